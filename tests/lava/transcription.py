"""Lava's fixed-point models in numpy, transcribed from their equations, one chip step at a time.

Shares no code with snndeploy's reference, with the lowering or with the simulator: synapses are
dense matrices filled by loops over pixels, buffers are queues as Lava's are, time is counted from
1 as Lava counts it. Small and slow on purpose.
"""

from collections import Counter

import numpy as np

from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse

TOP = 2**23


def w32(x):
    """Wrap to a signed 32-bit word."""
    return (np.asarray(x, dtype=np.int64) + 2**31) % 2**32 - 2**31


def decay(x, factor):
    """Multiply by factor / 4096, truncating toward zero."""
    product = np.asarray(x, dtype=np.int64) * factor
    return np.sign(product) * (np.abs(product) // 4096)


def shifted(x, exponent):
    """Shift left, or right with floor."""
    return x * 2**exponent if exponent >= 0 else np.floor_divide(x, 2**-exponent)


def lif_step(u, v, a, p, seen):
    """Return (u, v, s) after one step; count in `seen` what wrapped and clipped."""
    x = w32(decay(u, 4096 - (p["du"] + 1)) + w32(a * 64))
    u = np.where(x > TOP, x - 2 * TOP, np.where(x <= -TOP, x + 2 * TOP, x))
    bias = w32([shifted(int(m), int(e)) for m, e in np.broadcast(p["bias_mant"], p["bias_exp"])])
    free = w32(decay(v, 4096 - p["dv"]) + u + bias)
    v = np.minimum(np.maximum(free, -TOP + 1), TOP - 1)
    spikes = v > p["vth"] * 64
    seen["u wraps"] += int((x != u).sum())
    seen["v clips"] += int((free != v).sum())
    seen["spikes"] += int(spikes.sum())
    return u, np.where(spikes, 0, v), spikes.astype(np.int64)


def stored(weight, mode, bits):
    """Clip and truncate as Lava does when a Dense or Sparse starts."""
    if mode == "inhibitory":
        kept = np.clip(-weight, 0, 255)
        return -(kept >> (8 - bits) << (8 - bits))
    low = -256 if mode == "mixed" else 0
    k = 8 - bits + (mode == "mixed")
    return np.clip(weight, low, 255) >> k << k


def matrix(synapse):
    """Return weights [n_out, n_in], C, H, W order on both sides."""
    if isinstance(synapse, Dense):
        return np.array(synapse.weight)
    if isinstance(synapse, OneToOne):
        return np.diag(synapse.weight)
    full = np.zeros((synapse.n_out, synapse.n_in), dtype=np.int64)
    if isinstance(synapse, Sparse):
        for row in range(synapse.n_out):
            for k in range(synapse.indptr[row], synapse.indptr[row + 1]):
                full[row, synapse.indices[k]] += synapse.weight[k]
        return full
    if isinstance(synapse, Pool):
        channels = synapse.in_shape[0]
        kernel = np.full((channels, 1, *synapse.kernel), synapse.weight)
        return windows(synapse, kernel, (1, 1), channels, full)
    assert isinstance(synapse, Conv)
    return windows(synapse, synapse.weight, synapse.dilation, synapse.groups, full)


def windows(synapse, kernel, dilation, groups, full):
    """Fill a matrix by walking output pixels; torch's cross-correlation."""
    c_in, height, width = synapse.in_shape
    c_out, out_h, out_w = synapse.out_shape
    per_group = c_out // groups
    for o in range(c_out):
        for y in range(out_h):
            for x in range(out_w):
                for i in range(c_in // groups):
                    channel = o // per_group * (c_in // groups) + i
                    for ky in range(kernel.shape[2]):
                        for kx in range(kernel.shape[3]):
                            row = y * synapse.stride[0] - synapse.padding[0] + ky * dilation[0]
                            col = x * synapse.stride[1] - synapse.padding[1] + kx * dilation[1]
                            if 0 <= row < height and 0 <= col < width:
                                target = (o * out_h + y) * out_w + x
                                full[target, (channel * height + row) * width + col] += kernel[
                                    o, i, ky, kx
                                ]
    return full


def run(network, inputs):
    """Return ({population: (spikes, u, v)} [P, B, n] each, what was exercised)."""
    steps = network.steps
    samples = next(iter(inputs.values())).shape[1]
    last = samples * steps + max(p.wave for p in network.populations)
    weights = {p.name: stored(matrix(p.synapse), p.sign_mode, p.weight_bits)
               for p in network.projections}  # fmt: skip
    queues = {p.name: [np.zeros(p.synapse.n_out, dtype=np.int64)] * (1 + p.delay)
              for p in network.projections}  # fmt: skip
    params = {p.name: {k: v if len(v) > 1 else int(v[0]) for k, v in p.params.items()}
              for p in network.populations}  # fmt: skip
    for population in network.populations:
        for key in ("bias_mant", "bias_exp"):
            params[population.name][key] = np.broadcast_to(population.params[key], population.n)
    state = {p.name: (np.zeros(p.n, np.int64), np.zeros(p.n, np.int64))
             for p in network.populations}  # fmt: skip
    log = {p.name: [] for p in network.populations}
    seen = Counter()
    for t in range(1, last + 1):
        sent = {}
        for source in network.sources:
            column = t - 1 - source.wave
            frame = np.zeros(source.n, dtype=np.int64)
            if 0 <= column < samples * steps:
                frame = inputs[source.name][column % steps, column // steps].reshape(-1)
            sent[source.name] = frame
        for population in network.populations:
            arriving = w32(sum(
                (queues[p.name][0] for p in network.projections if p.target == population.name),
                np.zeros(population.n, dtype=np.int64),
            ))  # fmt: skip
            u, v = state[population.name]
            if t % steps == (population.wave + 1) % steps:
                seen["resets of a state that was not zero"] += int(np.any(u) or np.any(v))
                u, v = u * 0, v * 0
            u, v, s = lif_step(u, v, arriving, params[population.name], seen)
            state[population.name] = u, v
            sent[population.name] = s
            log[population.name].append((s, u, v))
        for p in network.projections:
            total = w32(shifted(w32(weights[p.name] @ sent[p.source]), p.weight_exp))
            queues[p.name] = [*queues[p.name][1:], total]
    answer = {}
    for population in network.populations:
        rows = np.array(log[population.name])[population.wave : population.wave + samples * steps]
        cut = rows.reshape(samples, steps, 3, population.n).transpose(2, 1, 0, 3)
        answer[population.name] = tuple(cut)
    return answer, seen
