"""Run a network window by window: many samples at once, layer by layer over all steps of each.

What goes in: a network and integer inputs. What comes out: every node's spikes, chunk by chunk.
Only populations that feed back on each other take their steps together. Windows do not depend on
each other, so neither results nor counts depend on the chunk size.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from hwtargets.simulator import compiled, lif
from hwtargets.simulator.deliver import delivery
from hwtargets.simulator.ran import Kernel, Ran, start
from hwtargets.simulator.windows import Schedule, in_order, schedule_of
from snndeploy.errors import ModelError
from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.network import Network, Population, Projection
from snndeploy.ir.neurons import LIF

CHUNK_CELLS = 1 << 22
"""Neurons x steps that a chunk holds: a few arrays of 16 MB."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Feed:
    """A projection ready to run: frames [F, n_in] -> what arrives [F, n_out], int32."""

    source: str
    lag: int
    deliver: Callable[[AnyArray], AnyArray]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Layer:
    """A population ready to run.

    Attributes:
        before: projections from populations and sources that have run.
        within: projections from populations of its own group.
    """

    population: Population
    kernel: Kernel
    before: tuple[Feed, ...]
    within: tuple[Feed, ...]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Chunk:
    """Some windows of every node.

    Attributes:
        windows: their numbers.
        before: what the window before the first one sent, by node [steps, n]; empty if nothing.
        sent: what every source and population sent [n_windows, steps, n].
        ran: what recorded populations did, with states; others without.
    """

    windows: IntArray
    before: Mapping[str, AnyArray]
    sent: Mapping[str, AnyArray]
    ran: Mapping[str, Ran]


def simulate(
    network: Network,
    inputs: Mapping[str, IntArray],
    *,
    record: tuple[str, ...],
    chunk_cells: int = CHUNK_CELLS,
) -> Iterator[Chunk]:
    """Yield all windows of a run in order, pipeline fill and drain included.

    Args:
        network: a network with aligned branches.
        inputs: integers [P, B, *shape] per source that takes an array.
        record: populations whose states are kept.
        chunk_cells: neurons x steps per chunk; changes memory and speed, never the answer.

    Raises:
        UnsupportedError: E3002 delays that do not match lag and waves.
        ModelError: E3003 inputs of the wrong shape; E3004 a spike that crosses from one sample
            into the next.
    """
    schedule = schedule_of(network, inputs)
    groups = prepare(network, inputs, schedule)
    per_window = schedule.steps * sum(node.n for node in network.nodes.values())
    before: Mapping[str, AnyArray] = {}
    for windows in schedule.chunks(max(1, chunk_cells // per_window)):
        chunk = run_chunk(inputs, groups, schedule, windows, record, before)
        filling = windows[-1] < -1
        before = {name: frames[-1] for name, frames in chunk.sent.items()} if filling else {}
        if not filling:
            check_windows(schedule, chunk.sent)
        yield chunk


def prepare(
    network: Network, inputs: Mapping[str, IntArray], schedule: Schedule
) -> tuple[tuple[Layer, ...], ...]:
    """Return groups of populations in order of execution, weights laid out for their kernels."""
    peaks = {p.name: max(1, -p.low, p.high) for p in network.populations}
    peaks |= {source.name: 1 for source in network.sources}
    for source in network.inputs:
        peaks[source.name] = max(1, int(np.abs(inputs[source.name]).max(initial=0)))

    def feed(projection: Projection) -> Feed:
        return Feed(
            source=projection.source,
            lag=schedule.lag(projection),
            deliver=delivery(projection, peaks[projection.source]),
        )

    groups = []
    for group in in_order(network):
        mates = {p.name for p in group}
        groups.append(
            tuple(
                Layer(
                    population=population,
                    kernel=kernel(population),
                    before=tuple(
                        feed(p) for p in network.into(population.name) if p.source not in mates
                    ),
                    within=tuple(
                        feed(p) for p in network.into(population.name) if p.source in mates
                    ),
                )
                for population in group
            )
        )
    return tuple(groups)


def kernel(population: Population) -> Kernel:
    """Return what runs a population: a kernel written for `lif`, else its compiled program."""
    if population.program == LIF:
        return lif.kernel(population.params)
    return compiled.kernel(population)


def run_chunk(
    inputs: Mapping[str, IntArray],
    groups: tuple[tuple[Layer, ...], ...],
    schedule: Schedule,
    windows: IntArray,
    record: tuple[str, ...],
    before: Mapping[str, AnyArray],
) -> Chunk:
    """Run some windows of every population, sources first."""
    network = schedule.network
    sent: dict[str, AnyArray] = {
        source.name: schedule.injected(source, inputs.get(source.name), windows)
        for source in network.sources
    }
    ran: dict[str, Ran] = {}
    for group in groups:
        runs = {
            layer.population.name: start(
                layer.kernel,
                schedule.exists(windows, layer.population.wave),
                layer.population.n,
                states=layer.population.name in record,
                reset_at=schedule.model_start(layer.population.wave),
            )
            for layer in group
        }
        sent |= {name: run.spikes for name, run in runs.items()}
        known = [arriving_before(layer, sent, before) for layer in group]
        for k in range(schedule.steps):
            for layer, a in zip(group, known, strict=True):
                runs[layer.population.name].step(k, arriving_now(layer, a[:, k], sent, before, k))
        ran |= {name: run.result() for name, run in runs.items()}
    return Chunk(windows=windows, before=before, sent=sent, ran=ran)


def arriving_before(
    layer: Layer, sent: Mapping[str, AnyArray], before: Mapping[str, AnyArray]
) -> AnyArray:
    """Return what arrives from populations that have run, int32 [n_windows, steps, n]."""
    first = next(iter(sent.values()))
    total = np.zeros((*first.shape[:2], layer.population.n), dtype=np.int32)
    for feed in layer.before:
        frames = sent[feed.source]
        arrived = feed.deliver(frames.reshape(-1, frames.shape[2])).reshape(total.shape)
        total[:, feed.lag :] += arrived[:, : max(total.shape[1] - feed.lag, 0)]
        if feed.lag and before:
            total[0, : feed.lag] += feed.deliver(before[feed.source][-feed.lag :])
    return total


def arriving_now(
    layer: Layer, a: AnyArray, sent: Mapping[str, AnyArray], before: Mapping[str, AnyArray], k: int
) -> AnyArray:
    """Return a with what arrives at step k from the population's own group [n_windows, n]."""
    for feed in layer.within:
        if k >= feed.lag:
            a = a + feed.deliver(sent[feed.source][:, k - feed.lag])
        elif before:
            a = a + feed.deliver(before[feed.source][None, k - feed.lag])
    return a


def check_windows(schedule: Schedule, sent: Mapping[str, AnyArray]) -> None:
    """Check that no spike of one window would reach the next.

    Raises:
        ModelError: E3004.
    """
    network = schedule.network
    for projection in network.projections:
        crossing = sent[projection.source][:, max(schedule.steps - projection.lag, 0) :]
        if projection.lag and not network.alone and crossing.any():
            raise ModelError(
                "E3004",
                "spikes of one sample would reach the next one",
                where=projection.name,
                remedy="compile with --one-at-a-time, or use the reference executor",
            )
