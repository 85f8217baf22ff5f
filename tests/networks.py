"""Random small feed-forward networks, for every suite that compares executors.

Layers of all synapse kinds with odd strides, paddings, dilations and groups, skips with delays,
graded and binary sources, biases that fire before the wave arrives. Thresholds are tuned on the
fly so that most populations fire in 1 to 60 % of their cells; `wild` networks instead wrap u and
clip v. Neurons are `lif` unless a suite asks for others.
"""

from dataclasses import replace
from math import prod

import neurons
import numpy as np
from hypothesis import strategies as st

from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, NEVER, lif
from snndeploy.ir.programs import PROGRAMS
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse, sparse_from_dense

KINDS = ("dense", "conv", "pool", "sparse", "one_to_one")


def random_network(
    rng: np.random.Generator,
    *,
    max_layers: int = 4,
    kinds: tuple[str, ...] = KINDS,
    graded: bool | None = None,
    skips: bool = True,
    wild: bool | None = None,
    conv_exp: bool = True,
    firing_output: bool | None = None,
    programs: tuple[str, ...] = ("lif",),
) -> tuple[Network, dict[str, np.ndarray]]:
    """Return a network and inputs {"in": [P, B, C, H, W]} for it.

    Args:
        kinds: synapse kinds to draw from.
        graded: whether the source carries integers; None draws.
        skips: whether layers may be bridged by a delayed projection.
        wild: weights and biases so large that u wraps and v clips; None draws it in one of five.
        conv_exp: whether convolutions and pools may have a weight exponent.
        firing_output: whether the last population fires (else an integrator); None draws.
        programs: neuron programs to draw from; only `lif` can be an integrator.
    """
    steps, n_samples = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    graded = bool(rng.random() < 0.4) if graded is None else graded
    wild = bool(rng.random() < 0.2) if wild is None else wild
    shape = (int(rng.integers(1, 4)), int(rng.integers(1, 8)), int(rng.integers(1, 8)))
    low, high = (int(rng.integers(-127, 1)), int(rng.integers(2, 128))) if graded else (0, 1)
    source = Source(
        name="in", shape=shape, low=low, high=high, encoding="graded" if graded else "spikes"
    )
    inputs = {"in": random_frames(rng, source, steps, n_samples)}
    network = Network(
        name="random", steps=steps, sources=(source,), populations=(), projections=(), outputs=()
    )
    n_layers = int(rng.integers(1, max_layers + 1))
    for index in range(n_layers):
        last = index == n_layers - 1
        silent = last and (rng.random() < 0.4 if firing_output is None else not firing_output)
        network = add_layer(
            network, inputs, rng, index, kinds=kinds, skips=skips, wild=wild, conv_exp=conv_exp,
            silent=bool(silent), programs=programs,
        )  # fmt: skip
    top = network.populations[-1]
    silent = top.program == LIF and top.scalar("vth") == NEVER
    output = Output(
        name="out", population=top.name, shape=top.shape, decode="sum",
        readout="increment" if silent else "spikes",
    )  # fmt: skip
    return replace(network, outputs=(output,)), inputs


def networks(**options):
    """Return a hypothesis strategy of (network, inputs), shrinking towards small seeds."""
    return st.integers(0, 2**32 - 1).map(
        lambda seed: random_network(np.random.default_rng(seed), **options)
    )


def random_frames(rng, source, steps, n_samples):
    """Return integers [P, B, *shape] within the source's range, mostly zeros."""
    shape = (steps, n_samples, *source.shape)
    active = rng.random(shape) < rng.uniform(0.05, 0.6)
    return active * rng.integers(source.low, source.high, size=shape, endpoint=True)


def add_layer(network, inputs, rng, index, *, kinds, skips, wild, conv_exp, silent, programs):
    """Return the network with one more population, its threshold tuned to what arrives."""
    below = network.populations[-1] if network.populations else network.sources[0]
    synapse = random_synapse(rng, below.shape, str(rng.choice(kinds)), wild=wild)
    shape = synapse.out_shape if isinstance(synapse, Conv | Pool) else out_shape(rng, synapse)
    name = f"p{index}"
    population = Population(
        name=name, shape=shape, program=LIF, params=lif(du=4095, dv=0, vth=1), wave=below.wave + 1
    )
    projections = [projection(rng, below.name, name, synapse, 0, wild=wild, conv_exp=conv_exp)]
    nodes = list(network.nodes.values())[:-1]
    if skips and nodes and rng.random() < 0.4:
        early = nodes[int(rng.integers(len(nodes)))]
        weight = random_weights(rng, (population.n, early.n), wild=wild)
        weight[rng.random(weight.shape) < 0.7] = 0
        delay = population.wave - early.wave - 1
        projections.append(
            projection(
                rng, early.name, name, sparse_from_dense(weight), delay, wild=wild, conv_exp=True
            )
        )
    grown = replace(
        network,
        populations=(*network.populations, population),
        projections=(*network.projections, *projections),
    )
    chosen = programs[0] if len(programs) == 1 else str(rng.choice(programs))
    if chosen == "lif":
        return tune(grown, inputs, rng, wild=wild, silent=silent)
    return neurons.tune(grown, inputs, rng, PROGRAMS[chosen], wild=wild)


def projection(rng, source, target, synapse, delay, *, wild, conv_exp):
    """Return a projection with a random exponent where the format has one."""
    has_exp = conv_exp or not isinstance(synapse, Conv | Pool)
    chosen = int(rng.integers(4, 8)) if wild else int(rng.integers(-3, 3))
    exponent = chosen if has_exp and (wild or rng.random() < 0.5) else 0
    return Projection(
        name=f"{source}_{target}_{delay}", source=source, target=target, synapse=synapse,
        weight_exp=exponent, delay=delay,
    )  # fmt: skip


def out_shape(rng, synapse: Synapse) -> tuple[int, ...]:
    """Return a (C, H, W) of the synapse's targets, so that any layer can follow."""
    n = synapse.n_out
    height = int(rng.choice([d for d in range(1, n + 1) if n % d == 0]))
    return (1, height, n // height) if rng.random() < 0.5 else (n // height, height, 1)


def random_weights(rng, shape, *, wild):
    """Return even weights in -256..254, small ones unless `wild`, some of them zero."""
    spread = 126 if wild else int(rng.integers(2, 40))
    weight = 2 * rng.integers(-spread, spread, size=shape, endpoint=True)
    weight[rng.random(shape) < 0.1] = 0
    return weight


def random_synapse(rng, shape, kind: str, *, wild: bool) -> Synapse:
    """Return a synapse of one kind from neurons of a (C, H, W) shape."""
    channels, height, width = shape
    n_in = prod(shape)
    match kind:
        case "conv":
            return random_conv(rng, shape, wild=wild)
        case "pool":
            kernel = (int(rng.integers(1, height + 1)), int(rng.integers(1, width + 1)))
            kernel = (min(kernel[0], 3), min(kernel[1], 3))
            return Pool(
                in_shape=(channels, height, width),
                kernel=kernel,
                stride=(int(rng.integers(1, 4)), int(rng.integers(1, 4))),
                padding=(int(rng.integers(0, 2)), int(rng.integers(0, 2))),
                weight=int(2 * rng.integers(1, 128)),
            )
        case "one_to_one":
            return OneToOne(weight=random_weights(rng, n_in, wild=wild))
    n_out = int(rng.integers(1, 24))
    weight = random_weights(rng, (n_out, n_in), wild=wild)
    if kind == "dense":
        return Dense(weight=weight)
    weight[rng.random(weight.shape) < 0.6] = 0
    return sparse_from_dense(weight)


def random_conv(rng, shape, *, wild) -> Conv:
    """Return a convolution with odd strides, paddings, dilations and groups that fits."""
    channels, height, width = shape
    groups = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
    padding = (int(rng.integers(0, 3)), int(rng.integers(0, 3)))
    dilation = (int(rng.integers(1, 4)), int(rng.integers(1, 3)))
    kernel = [
        int(rng.integers(1, min(3, (size + 2 * pad - 1) // dil + 1) + 1))
        for size, pad, dil in zip((height, width), padding, dilation, strict=True)
    ]
    c_out = groups * int(rng.integers(1, 4))
    return Conv(
        weight=random_weights(rng, (c_out, channels // groups, *kernel), wild=wild),
        in_shape=(channels, height, width),
        stride=(int(rng.integers(1, 4)), int(rng.integers(1, 3))),
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


def tune(network, inputs, rng, *, wild, silent):
    """Return the network with the last population's parameters drawn, its threshold tuned."""
    top = network.populations[-1]
    du = 4095 if rng.random() < 0.5 else int(rng.integers(-1, 4096))
    dv = 0 if rng.random() < 0.4 else int(rng.integers(0, 4097))
    drawn = {
        "du": du,
        "dv": dv,
        "bias_exp": 7 if wild else int(rng.integers(0, 8)),
        "bias_mant": random_bias(rng, top.n, wild=wild),
    }
    listening = with_params(network, lif(vth=NEVER, **drawn))
    if silent:
        return listening
    trace = run_reference(listening, inputs, record=(top.name,))[top.name].states["v"]
    level = float(np.quantile(trace, 1 - rng.uniform(0.03, 0.3))) / 64
    return with_params(network, lif(vth=int(np.clip(level, 0, NEVER - 1)), **drawn))


def with_params(network, params):
    """Return the network with other parameters of its last population."""
    top = replace(network.populations[-1], params=params)
    return replace(network, populations=(*network.populations[:-1], top))


def random_bias(rng, n, *, wild):
    """Return no bias, one per population, or one per neuron."""
    size = int(rng.choice([0, 1, n]))
    if size == 0:
        return 0
    spread = 4095 if wild else 200
    return rng.integers(-spread, spread, size=size, endpoint=True)


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
