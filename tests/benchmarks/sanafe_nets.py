"""Networks that SANA-FE and we run alike: integrate-and-fire, convolutions, Loihi 1.

SANA-FE's input neurons sit on cores; ours are a population `p0` that the host drives, neuron by
neuron, one chip step later. So our chip step t + 1 is SANA-FE's step t.
"""

from dataclasses import dataclass, replace

import numpy as np
from workloads import tune, weights

from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.neurons import LIF, lif
from snndeploy.ir.synapses import Conv, Dense, OneToOne
from snndeploy.mapping import place


@dataclass(frozen=True, eq=False, kw_only=True)
class Pair:
    """A network for both.

    Attributes:
        inputs: {"in": [T, 1, *shape]}.
        placement: of all populations; SANA-FE has the same cores.
    """

    title: str
    network: Network
    inputs: dict[str, np.ndarray]
    placement: object


def dvs_like(rng, chip):
    """Return events of a camera through three convolutions, a thousand steps."""
    layers = [
        Conv(weight=weights(rng, (8, 2, 5, 5)), in_shape=(2, 32, 32), padding=(2, 2)),
        Conv(weight=weights(rng, (32, 8, 5, 5)), in_shape=(8, 32, 32), stride=(2, 2),
             padding=(2, 2)),
        Conv(weight=weights(rng, (24, 32, 3, 3)), in_shape=(32, 16, 16), stride=(2, 2),
             padding=(1, 1)),
        Dense(weight=weights(rng, (11, 24 * 64))),
    ]  # fmt: skip
    return pair("DVS-like", layers, (2, 32, 32), 1000, 0.02, rng, chip)


def conv_100k(rng, chip):
    """Return 101,322 neurons and 13.3 million synapses, twenty steps."""
    layers = [
        Conv(weight=weights(rng, (16, 2, 3, 3)), in_shape=(2, 64, 64)),
        Conv(weight=weights(rng, (32, 16, 5, 5)), in_shape=(16, 62, 62), stride=(2, 2)),
        Conv(weight=weights(rng, (24, 32, 3, 3)), in_shape=(32, 29, 29), stride=(2, 2)),
        Dense(weight=weights(rng, (10, 24 * 14 * 14))),
    ]
    return pair("conv 100k", layers, (2, 64, 64), 20, 0.1, rng, chip)


def pair(title, layers, shape, steps, rate, rng, chip):
    """Return a chain of layers behind neurons that repeat the input."""
    n = int(np.prod(shape))
    synapses = [OneToOne(weight=np.full(n, 2)), *layers]
    shapes = [shape, *(s.out_shape if isinstance(s, Conv) else (s.n_out,) for s in layers)]
    network = Network(
        name=title, steps=steps, sources=(Source(name="in", shape=shape),),
        populations=tuple(
            Population(name=f"p{k}", shape=s, program=LIF, wave=k + 1,
                       params=lif(du=4095, dv=0, vth=0, bias_mant=0))
            for k, s in enumerate(shapes)
        ),
        projections=tuple(
            Projection(name=f"w{k}", source=f"p{k - 1}" if k else "in", target=f"p{k}", synapse=s)
            for k, s in enumerate(synapses)
        ),
        outputs=(),
    )  # fmt: skip
    inputs = {"in": (rng.random((steps, 1, *shape)) < rate).astype(np.int64)}
    few = {"in": inputs["in"][:20]}
    tuned = replace(tune(replace(network, steps=20), few, skip=1), steps=steps)
    many = {key: replace(limit, value=limit.value * 10**6) for key, limit in chip.limits.items()}
    many |= {key: chip.limits[key] for key in ("neurons_per_core", "cores")}
    placement = place(tuned, replace(chip, limits=many))
    return Pair(title=title, network=tuned, inputs=inputs, placement=placement)


def job(pair):
    """Return what `sanafe_driver.py` reads: everything in lists."""
    network = pair.network
    number = {p.name: k for k, p in enumerate(network.populations)}
    arrays = {
        "sizes": [p.n for p in network.populations],
        "threshold": [int(p.params["vth"][0]) + 0.5 for p in network.populations],
        "place": [(number[s.population], s.core, s.start, s.stop) for s in pair.placement.slices],
        "spikes": pair.inputs["in"].reshape(network.steps, -1),
        "source": [number[p.source] for p in network.projections[1:]],
        "target": [number[p.target] for p in network.projections[1:]],
    }
    for k, projection in enumerate(network.projections[1:]):
        arrays[f"pairs{k}"], arrays[f"values{k}"] = listed(projection.synapse)
    return arrays


def listed(synapse):
    """Return (source, target) of every synapse [n, 2], and weights [n]."""
    if isinstance(synapse, Dense):
        target, source = np.indices(synapse.weight.shape).reshape(2, -1)
        return np.stack([source, target], axis=1), synapse.weight.reshape(-1)
    (c_in, h, w), (c_out, out_h, out_w) = synapse.in_shape, synapse.out_shape
    axes = (c_out, c_in, *synapse.weight.shape[2:], out_h, out_w)
    o, c, i, j, y, x = np.indices(axes, dtype=np.int32).reshape(6, -1)
    row = y * synapse.stride[0] - synapse.padding[0] + i
    column = x * synapse.stride[1] - synapse.padding[1] + j
    inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
    source, target = (c * h + row) * w + column, (o * out_h + y) * out_w + x
    return np.stack([source, target], axis=1)[inside], synapse.weight[o, c, i, j][inside]
