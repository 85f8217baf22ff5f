"""Network -> Lava program: which Lava process stands for what, with which numbers.

Pure: arrays in, plain data out, Lava is not imported. Populations and sources are flat in C, H, W
order; only around a convolution do virtual ports turn them to Lava's W, H, C. What Lava would
change without a word (weights off its grid, sums that wrap, per-neuron decays) is refused.

A population of `lif` becomes Lava's own process, which judges our model of it. Any other program
becomes one generic process that interprets its statements: Lava then carries the spikes, but says
nothing of its own about the neuron (`judged_by_lava`).

Time: chip step t of the network is Lava's step t + 1. A population with wave offset w is reset
where t = w mod the period, so its `LIFReset` has that interval and offset w + 1.
"""

from collections.abc import Iterator

from hwtargets.loihi.expand import as_sparse
from hwtargets.loihi.limits import (
    REGISTERS,
    check_delay,
    check_register,
    check_sum,
    check_weights,
    is_native_conv,
    message_bits,
)
from hwtargets.loihi.program import (
    LavaConnection,
    LavaProcess,
    LavaProgram,
    Setting,
    Via,
    node_name,
    synapse_name,
)
from snndeploy.ir.arrays import frozen_int
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.neurons import LIF
from snndeploy.ir.synapses import Conv, Dense


def lower(network: Network) -> LavaProgram:
    """Return the Lava processes and connections that compute a network exactly.

    Raises:
        UnsupportedError: E2202 weights that Lava's clip and truncation would change; E2203 a sum
            that would wrap; E2204 per-neuron du, dv or vth of `lif`; E2205 a register of `lif` out
            of range; E2206 payloads wider than 24 bits; E2207 a delay beyond 63 steps.
    """
    processes = [
        *(lower_source(source) for source in network.sources),
        *(lower_projection(projection, network) for projection in network.projections),
        *(lower_population(p, period=network.period) for p in network.populations),
    ]
    return LavaProgram(
        name=network.name,
        steps=network.steps,
        depth=network.depth,
        guard=network.guard,
        alone=network.alone,
        outputs=tuple(dict.fromkeys(output.population for output in network.outputs)),
        neurons={p.program.name: p.program for p in network.populations if not judged_by_lava(p)},
        processes=tuple(processes),
        connections=tuple(c for p in network.projections for c in connect(p, network)),
    )


def judged_by_lava(population: Population) -> bool:
    """Whether Lava's own neuron runs this population, as an independent judge of ours."""
    return population.program == LIF


def lower_source(source: Source) -> LavaProcess:
    """Return the process that streams a source's integers, or fires as its encoding says."""
    encoding = "given" if source.is_given else source.encoding
    settings: dict[str, Setting] = {"n": source.n, "wave": source.wave, "sends": encoding}
    return LavaProcess(name=node_name(source.name), kind="stream", settings=settings, arrays={})


def lower_population(population: Population, *, period: int) -> LavaProcess:
    """Return a population as Lava's LIFReset, or as the generic process with its program.

    Raises:
        UnsupportedError: E2204, E2205.
    """
    when: dict[str, Setting] = {
        "n": population.n,
        "wave": population.wave,
        "reset_interval": period,
        "reset_offset": population.wave + 1,
    }
    if not judged_by_lava(population):
        return LavaProcess(
            name=node_name(population.name),
            kind="program",
            settings={**when, "program": population.program.name},
            arrays=population.params,
        )
    for name, (low, high) in REGISTERS.items():
        check_register(population, name, low, high)
    registers: dict[str, Setting] = {name: population.scalar(name) for name in ("du", "dv", "vth")}
    biases = {name: population.params[name] for name in ("bias_mant", "bias_exp")}
    return LavaProcess(
        name=node_name(population.name), kind="lif", settings={**when, **registers}, arrays=biases
    )


def lower_projection(projection: Projection, network: Network) -> LavaProcess:
    """Return a projection as the Lava process that carries exactly its integers.

    Raises:
        UnsupportedError: E2202, E2203, E2206, E2207.
    """
    payload = payload_of(projection, network)
    settings: dict[str, Setting] = {
        "sign_mode": projection.sign_mode,
        "num_weight_bits": projection.weight_bits,
        "weight_exp": projection.weight_exp,
        "num_message_bits": message_bits(projection, *payload),
    }
    check_weights(projection)
    check_delay(projection)
    synapse = projection.synapse
    if isinstance(synapse, Conv) and is_native_conv(projection, *payload):
        return _conv_process(projection, synapse, settings)
    check_sum(projection, *payload)
    if projection.delay:
        settings["delay"] = projection.delay
    delayed = "delay_" if projection.delay else ""
    if isinstance(synapse, Dense):
        return LavaProcess(
            name=synapse_name(projection.name),
            kind="delay_dense" if delayed else "dense",
            settings=settings,
            arrays={"weights": synapse.weight},
        )
    listed = as_sparse(synapse)
    return LavaProcess(
        name=synapse_name(projection.name),
        kind="delay_sparse" if delayed else "sparse",
        settings={**settings, "n_in": listed.n_in, "n_out": listed.n_out},
        arrays={"indptr": listed.indptr, "indices": listed.indices, "weights": listed.weight},
    )


def _conv_process(projection: Projection, conv: Conv, settings: dict[str, Setting]) -> LavaProcess:
    """Return Lava's Conv: kernel flipped (it convolves, torch correlates), all tuples (x, y)."""
    flipped = conv.weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)
    shape: dict[str, Setting] = {
        "input_shape": conv.in_shape[::-1],
        "stride": conv.stride[::-1],
        "padding": conv.padding[::-1],
        "dilation": conv.dilation[::-1],
        "groups": conv.groups,
    }
    return LavaProcess(
        name=synapse_name(projection.name),
        kind="conv",
        settings={**settings, **shape},
        arrays={"weight": frozen_int(flipped)},
    )


def payload_of(projection: Projection, network: Network) -> tuple[int, int]:
    """Return the smallest and largest value that a projection's source sends."""
    source = network.nodes[projection.source]
    return source.low, source.high


def connect(projection: Projection, network: Network) -> Iterator[LavaConnection]:
    """Yield the wires into and out of a projection's process."""
    name = synapse_name(projection.name)
    into: Via = ()
    out_of: Via = ()
    native = is_native_conv(projection, *payload_of(projection, network))
    if isinstance(projection.synapse, Conv) and native:
        into = (("reshape", projection.synapse.in_shape), ("transpose", (2, 1, 0)))
        out_of = (("transpose", (2, 1, 0)), ("flatten", ()))
    yield LavaConnection(source=node_name(projection.source), target=name, via=into)
    yield LavaConnection(source=name, target=node_name(projection.target), via=out_of)
