"""The reference: runs a network one chip step at a time, slowly and obviously.

Every synapse is a listed (target, source, weight) triple, every neuron program is interpreted
statement by statement on 64-bit integers, every population is reset at its own wave. All other
executors are compared with this one; nothing here is shared with them.
"""

from collections.abc import Callable, Mapping
from typing import assert_never

import numpy as np

from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.program import Op, Params, Program
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse
from snndeploy.ir.trace import PopulationTrace

Words = dict[str, IntArray]


def run_reference(
    network: Network,
    inputs: Mapping[str, IntArray],
    *,
    record: tuple[str, ...],
    overflows: dict[str, int] | None = None,
) -> dict[str, PopulationTrace]:
    """Stream samples back to back through the network.

    Args:
        network: an integer network.
        inputs: integers [P, B, *shape] per source that takes an array, P = network.steps.
        record: populations to return.
        overflows: filled with how often u wrapped and v clipped (`population.u_wraps`, …).

    Returns:
        Per recorded population its spikes and states [P, B, n] in model time.
    """
    frames = {s.name: inputs[s.name] for s in network.inputs}
    n_samples = next(iter(frames.values())).shape[1]
    n_chip = network.chip_steps(n_samples)
    synapses = {p.name: triples(p.synapse) for p in network.projections}
    states = {p.name: zero_state(p) for p in network.populations}
    sent: dict[str, list[IntArray]] = {name: [] for name in network.nodes}
    logs: dict[str, list[Words]] = {name: [] for name in record}
    for t in range(n_chip):
        if network.alone and t % network.period == 0:
            states = {p.name: zero_state(p) for p in network.populations}
            sent = {n.name: [np.zeros(n.n, dtype=np.int64)] * t for n in network.nodes.values()}
        for source in network.sources:
            sent[source.name].append(injected(network, source, frames.get(source.name), t))
        for population in network.populations:
            if (t - population.wave) % network.period == 0:
                states[population.name] = zero_state(population)
            arriving = np.zeros(population.n, dtype=np.int64)
            for projection in network.into(population.name):
                arriving += deliver(
                    projection, synapses[projection.name], sent[projection.source], t
                )
            words = step(
                population.program,
                states[population.name],
                population.params,
                wrap(arriving, 32),
                overflows=overflows,
                name=population.name,
            )
            states[population.name] = {s.name: words[s.name] for s in population.program.states}
            sent[population.name].append(np.full(population.n, words[population.program.emits]))
            if population.name in logs:
                kept = (population.program.emits, *states[population.name])
                logs[population.name].append({word: words[word] for word in kept})
    return {name: in_windows(network, network.population[name], logs[name]) for name in record}


def injected(network: Network, source: Source, frames: IntArray | None, t: int) -> IntArray:
    """Return what a source sends at chip step t [n]: its frame, or what its encoding says."""
    sample, k = divmod(t - source.wave, network.period)
    if source.encoding == "guard":
        return np.full(source.n, int(k >= network.period - network.guard))
    if source.encoding == "bias":
        return np.full(source.n, int(k < network.steps))
    assert frames is not None
    if sample in range(frames.shape[1]) and k < network.steps:
        frame: IntArray = frames[k, sample].reshape(-1)
        return frame
    return np.zeros(source.n, dtype=np.int64)


def in_windows(network: Network, population: Population, log: list[Words]) -> PopulationTrace:
    """Cut a population's log [chip step] into its windows [P, B, n]."""
    n_samples = (len(log) - network.steps - network.depth) // network.period + 1
    starts = population.wave + np.arange(n_samples) * network.period

    def cut(word: str) -> IntArray:
        rows = np.stack([np.full(population.n, w[word]) for w in log])
        return np.stack([rows[start : start + network.steps] for start in starts], axis=1)

    return PopulationTrace(
        spikes=cut(population.program.emits),
        states={state.name: cut(state.name) for state in population.program.states},
    )


def zero_state(population: Population) -> Words:
    """Return the state after a reset."""
    return {s.name: np.zeros(population.n, dtype=np.int64) for s in population.program.states}


def deliver(
    projection: Projection,
    synapses: tuple[IntArray, IntArray, IntArray],
    sent: list[IntArray],
    t: int,
) -> IntArray:
    """Return what a projection delivers at chip step t: shift(sum w * s[t - 1 - delay])."""
    targets, sources, weights = synapses
    total = np.zeros(projection.synapse.n_out, dtype=np.int64)
    at = t - 1 - projection.delay
    if at >= 0:
        np.add.at(total, targets, weights * sent[at][sources])
    return wrap(_shift(wrap(total, 32), np.asarray(projection.weight_exp)), 32)


def step(
    program: Program,
    state: Words,
    params: Params,
    arriving: IntArray,
    *,
    overflows: dict[str, int] | None = None,
    name: str = "",
) -> Words:
    """Run one update of a program; return every word, states included."""
    words: Words = {**state, **params, "a": arriving}
    for statement in program.body:
        args = [words[a] if isinstance(a, str) else np.asarray(a) for a in statement.args]
        result = OPS[statement.op](*args)
        if overflows is not None and statement.op in ("clip", "wrap", "select"):
            count_overflow(overflows, f"{name}.{statement.target}", statement.op, args, result)
        words[statement.target] = np.asarray(result)
    return words


def count_overflow(
    overflows: dict[str, int], key: str, op: Op, args: list[IntArray], result: IntArray
) -> None:
    """Count the neurons whose value a clip, wrap or select changed."""
    before = args[2] if op == "select" else args[0]
    key = f"{key}.{op}"
    overflows[key] = overflows.get(key, 0) + int(np.count_nonzero(result != before))


def wrap(value: IntArray, bits: int | IntArray) -> IntArray:
    """Return value as a signed word of `bits` bits."""
    above = 64 - np.asarray(bits)
    return np.asarray(value << above >> above)  # the lowest bits of 64, moved to the top and back


def _shift(a: IntArray, b: IntArray) -> IntArray:
    if b.ndim == 0:
        return a << b if b >= 0 else a >> -b
    return np.where(b >= 0, a << np.maximum(b, 0), a >> np.maximum(-b, 0))


def _select(a: IntArray, b: IntArray, c: IntArray) -> IntArray:
    return np.where(a != 0, b, c)


OPS: Mapping[Op, Callable[..., IntArray]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "shift": _shift,
    "shz": lambda a, b: np.sign(a) * (np.abs(a) >> b),
    "gt": lambda a, b: (a > b).astype(np.int64),
    "le": lambda a, b: (a <= b).astype(np.int64),
    "max": lambda a, b: _select(a > b, a, b),
    "select": _select,
    "clip": lambda a, low, high: np.minimum(np.maximum(a, low), high),
    "wrap": wrap,
}


def triples(synapse: Synapse) -> tuple[IntArray, IntArray, IntArray]:
    """List a synapse kind as (target, source, weight) arrays, zero weights left out."""
    match synapse:
        case Dense(weight=weight):
            targets, sources = np.nonzero(weight)
            return targets, sources, weight[targets, sources]
        case Sparse():
            return synapse.rows, synapse.indices, synapse.weight
        case OneToOne(weight=weight):
            return np.arange(len(weight)), np.arange(len(weight)), weight
        case Conv():
            return _conv_triples(synapse)
        case Pool():
            channels = synapse.in_shape[0]
            ones = np.full((channels, 1, *synapse.kernel), synapse.weight, dtype=np.int64)
            return _conv_triples(
                Conv(
                    weight=ones,
                    in_shape=synapse.in_shape,
                    stride=synapse.stride,
                    padding=synapse.padding,
                    groups=channels,
                )
            )
        case _:
            assert_never(synapse)


def _conv_triples(conv: Conv) -> tuple[IntArray, IntArray, IntArray]:
    """Walk every kernel element of every output pixel; out-of-image taps do not exist."""
    c_out, c_in_group, k_h, k_w = conv.weight.shape
    _, height, width = conv.in_shape
    _, out_h, out_w = conv.out_shape
    o, i, kh, kw, y, x = np.indices((c_out, c_in_group, k_h, k_w, out_h, out_w)).reshape(6, -1)
    in_y = y * conv.stride[0] - conv.padding[0] + kh * conv.dilation[0]
    in_x = x * conv.stride[1] - conv.padding[1] + kw * conv.dilation[1]
    channel = o // (c_out // conv.groups) * c_in_group + i
    weight = conv.weight[o, i, kh, kw]
    real = (in_y >= 0) & (in_y < height) & (in_x >= 0) & (in_x < width) & (weight != 0)
    targets = ((o * out_h + y) * out_w + x)[real]
    sources = ((channel * height + in_y) * width + in_x)[real]
    return targets, sources, weight[real]
