"""Run a network window by window: layer by layer over all steps of many samples at once.

What goes in: a network and integer inputs. What comes out: every node's spikes, chunk by chunk.
Windows do not depend on each other, so neither results nor counts depend on the chunk size.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from hwtargets.simulator import compiled, lif
from hwtargets.simulator.deliver import arriving, delivery
from hwtargets.simulator.ran import Ran
from hwtargets.simulator.windows import Schedule, check_inputs, frames_of, in_order
from snndeploy.ir.arrays import AnyArray, BoolArray, IntArray
from snndeploy.ir.network import Network, Population
from snndeploy.ir.neurons import LIF

Kernel = Callable[[AnyArray, BoolArray, bool], Ran]
"""(input [n_windows, P, n], which steps exist [n_windows, P], whether to keep states) -> Ran."""
CHUNK_CELLS = 1 << 22
"""Neurons x steps that a chunk holds: a few arrays of 16 MB."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Layer:
    """A population ready to run: its kernel and how each source's frames arrive."""

    population: Population
    run: Kernel
    deliveries: tuple[tuple[str, Callable[[AnyArray], AnyArray]], ...]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Chunk:
    """Some windows of every node.

    Attributes:
        windows: their numbers.
        sent: what every source and population sent [n_windows, P, n].
        ran: what recorded populations did, with states; others without.
    """

    windows: IntArray
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
        network: an acyclic network with aligned branches.
        inputs: integers [P, B, *shape] per source.
        record: populations whose states are kept.
        chunk_cells: neurons x steps per chunk; changes memory and speed, never the answer.

    Raises:
        UnsupportedError: E3002 delays that do not match the waves.
        ModelError: E3003 inputs of the wrong shape.
    """
    schedule = schedule_of(network, inputs)
    layers = prepare(network, inputs)
    per_window = network.steps * sum(node.n for node in network.nodes.values())
    for windows in schedule.chunks(max(1, chunk_cells // per_window)):
        yield run_chunk(network, inputs, layers, schedule, windows, record)


def schedule_of(network: Network, inputs: Mapping[str, IntArray]) -> Schedule:
    """Return the windows of a run; raise ModelError E3003 for inputs of the wrong shape."""
    n_samples = check_inputs(network, inputs)
    return Schedule(steps=network.steps, n_samples=n_samples, depth=network.depth)


def prepare(network: Network, inputs: Mapping[str, IntArray]) -> tuple[Layer, ...]:
    """Return the populations in order of execution, weights laid out for their kernels."""
    peaks = {p.name: max(1, -p.low, p.high) for p in network.populations} | {
        source.name: max(1, int(np.abs(inputs[source.name]).max(initial=0)))
        for source in network.sources
    }
    return tuple(
        Layer(
            population=population,
            run=kernel(population),
            deliveries=tuple(
                (p.source, delivery(p, peaks[p.source])) for p in network.into(population.name)
            ),
        )
        for population in in_order(network)
    )


def kernel(population: Population) -> Kernel:
    """Return what runs a population: a kernel written for `lif`, else its compiled program."""
    if population.program == LIF:
        fixed = lif.constants(population.params)
        return lambda a, exists, states: lif.run_windows(a, fixed, exists, states=states)
    code = compiled.compile_population(population)
    return lambda a, exists, states: compiled.run_windows(a, code, exists, states=states)


def run_chunk(
    network: Network,
    inputs: Mapping[str, IntArray],
    layers: tuple[Layer, ...],
    schedule: Schedule,
    windows: IntArray,
    record: tuple[str, ...],
) -> Chunk:
    """Run some windows of every population, sources first."""
    sent: dict[str, AnyArray] = {
        source.name: frames_of(inputs[source.name], windows) for source in network.sources
    }
    ran: dict[str, Ran] = {}
    n_frames = len(windows) * schedule.steps
    for layer in layers:
        population = layer.population
        parts = [(run, sent[name].reshape(n_frames, -1)) for name, run in layer.deliveries]
        a = arriving(parts, (n_frames, population.n)).reshape(len(windows), schedule.steps, -1)
        exists = schedule.exists(windows, population.wave)
        found = layer.run(a, exists, population.name in record)
        ran[population.name], sent[population.name] = found, found.spikes
    return Chunk(windows=windows, sent=sent, ran=ran)
