"""Every synapse kind spelled out by its definition, slowly: shares no code with what is tested."""

import numpy as np

from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse


def expanded(synapse: Synapse) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and stored mask [n_out, n_in] of any synapse, by definition, slowly."""
    weight = np.zeros((synapse.n_out, synapse.n_in), dtype=np.int64)
    stored = np.zeros(weight.shape, dtype=bool)
    for target, source, value in listed(synapse):
        weight[target, source] += value
        stored[target, source] = True
    return weight, stored


def listed(synapse: Synapse):
    """Yield (target, source, weight) of every stored synapse."""
    match synapse:
        case Dense():
            for target, source in np.ndindex(synapse.weight.shape):
                yield target, source, int(synapse.weight[target, source])
        case Sparse():
            for target, source, value in zip(
                synapse.rows, synapse.indices, synapse.weight, strict=True
            ):
                yield int(target), int(source), int(value)
        case OneToOne():
            for i, value in enumerate(synapse.weight):
                yield i, i, int(value)
        case Conv():
            yield from conv_taps(synapse)
        case Pool():
            yield from pool_taps(synapse)


def conv_taps(synapse: Conv):
    c_out, c_group, k_h, k_w = synapse.weight.shape
    _, height, width = synapse.in_shape
    _, out_h, out_w = synapse.out_shape
    for o, y, x, c, i, j in np.ndindex(c_out, out_h, out_w, c_group, k_h, k_w):
        row = y * synapse.stride[0] - synapse.padding[0] + i * synapse.dilation[0]
        column = x * synapse.stride[1] - synapse.padding[1] + j * synapse.dilation[1]
        if 0 <= row < height and 0 <= column < width:
            channel = (o // (c_out // synapse.groups)) * c_group + c
            yield (
                (o * out_h + y) * out_w + x,
                (channel * height + row) * width + column,
                int(synapse.weight[o, c, i, j]),
            )


def pool_taps(synapse: Pool):
    channels, height, width = synapse.in_shape
    _, out_h, out_w = synapse.out_shape
    for c, y, x, i, j in np.ndindex(channels, out_h, out_w, *synapse.kernel):
        row = y * synapse.stride[0] - synapse.padding[0] + i
        column = x * synapse.stride[1] - synapse.padding[1] + j
        if 0 <= row < height and 0 <= column < width:
            yield (
                (c * out_h + y) * out_w + x,
                (c * height + row) * width + column,
                synapse.weight,
            )
