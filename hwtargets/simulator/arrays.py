"""Run a network on arrays: the path of small networks, and the kernels' second opinion.

Layer by layer over all steps of a chunk; only populations that feed back on each other take their
steps together.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hwtargets.simulator.deliver import delivery
from hwtargets.simulator.kernels.images import Image
from hwtargets.simulator.neuron import kernel
from hwtargets.simulator.ran import Beat, Kernel, Ran, no_beat, start
from hwtargets.simulator.sent import Sent
from hwtargets.simulator.windows import Schedule, in_order
from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.network import Network, Population, Projection


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


def run_chunk(
    inputs: Mapping[str, IntArray],
    groups: tuple[tuple[Layer, ...], ...],
    schedule: Schedule,
    windows: IntArray,
    record: tuple[str, ...],
    before: Mapping[str, Sent],
    beat: Beat = no_beat,
) -> tuple[dict[str, Sent], dict[str, Ran]]:
    """Run some windows of every population, sources first; return what was sent and done.

    `before` is what the window before the first one sent, empty if nothing of it arrives.
    """
    network = schedule.network
    sent: dict[str, AnyArray] = {
        source.name: schedule.injected(source, inputs.get(source.name), windows)
        for source in network.sources
    }
    earlier = {name: frames.as_values()[-1] for name, frames in before.items()}
    ran: dict[str, Ran] = {}
    for number, group in enumerate(groups):
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
        known = [arriving_before(layer, sent, earlier) for layer in group]
        for k in range(schedule.steps):
            for layer, a in zip(group, known, strict=True):
                runs[layer.population.name].step(k, arriving_now(layer, a[:, k], sent, earlier, k))
            beat((number + (k + 1) / schedule.steps) / len(groups))
        ran |= {name: run.result() for name, run in runs.items()}
    shape = (len(windows), schedule.steps)
    return {
        name: Sent(shape=(*shape, values.shape[2]), image=flat(values.shape[2]), values=values)
        for name, values in sent.items()
    }, ran


def flat(n: int) -> Image:
    """Return n neurons as one pixel."""
    return Image(channels=n, pixels=1)


def arriving_before(
    layer: Layer, sent: Mapping[str, AnyArray], earlier: Mapping[str, AnyArray]
) -> AnyArray:
    """Return what arrives from populations that have run, int32 [n_windows, steps, n]."""
    first = next(iter(sent.values()))
    total = np.zeros((*first.shape[:2], layer.population.n), dtype=np.int32)
    for feed in layer.before:
        frames = sent[feed.source]
        arrived = feed.deliver(frames.reshape(-1, frames.shape[2])).reshape(total.shape)
        total[:, feed.lag :] += arrived[:, : max(total.shape[1] - feed.lag, 0)]
        if feed.lag and earlier:
            total[0, : feed.lag] += feed.deliver(earlier[feed.source][-feed.lag :])
    return total


def arriving_now(
    layer: Layer, a: AnyArray, sent: Mapping[str, AnyArray], earlier: Mapping[str, AnyArray], k: int
) -> AnyArray:
    """Return a with what arrives at step k from the population's own group [n_windows, n]."""
    for feed in layer.within:
        if k >= feed.lag:
            a = a + feed.deliver(sent[feed.source][:, k - feed.lag])
        elif earlier:
            a = a + feed.deliver(earlier[feed.source][None, k - feed.lag])
    return a
