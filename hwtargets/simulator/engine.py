"""Run a network window by window: layer by layer over all steps of many samples at once.

What goes in: a network and integer inputs. What comes out: every node's spikes, chunk by chunk.
Windows do not depend on each other, so neither results nor counts depend on the chunk size.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from hwtargets.simulator import lif
from hwtargets.simulator.deliver import arriving, delivery
from hwtargets.simulator.windows import Schedule, check_inputs, frames_of, in_order
from snndeploy.errors import UnsupportedError
from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.network import Network, Population
from snndeploy.ir.neurons import LIF

CHUNK_CELLS = 1 << 22
"""Neurons x steps that a chunk holds: a few arrays of 16 MB."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Layer:
    """A population ready to run: its constants and how each source's frames arrive."""

    population: Population
    fixed: lif.Constants
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
    ran: Mapping[str, lif.LifWindows]


def simulate(
    network: Network,
    inputs: Mapping[str, IntArray],
    *,
    record: tuple[str, ...],
    chunk_cells: int = CHUNK_CELLS,
) -> Iterator[Chunk]:
    """Yield all windows of a run in order, pipeline fill and drain included.

    Args:
        network: an acyclic network of `lif` populations with aligned branches.
        inputs: integers [P, B, *shape] per source.
        record: populations whose states are kept.
        chunk_cells: neurons x steps per chunk; changes memory and speed, never the answer.

    Raises:
        UnsupportedError: E3002 delays that do not match the waves, E3004 another neuron program.
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
    peaks = {
        source.name: max(1, int(np.abs(inputs[source.name]).max(initial=0)))
        for source in network.sources
    }
    layers = []
    for population in in_order(network):
        if population.program is not LIF and population.program != LIF:
            raise UnsupportedError(
                "E3004",
                f"neuron program {population.program.name!r}; the simulator runs 'lif' only",
                where=population.name,
                remedy="use the reference executor (--backend reference)",
            )
        deliveries = tuple(
            (p.source, delivery(p, peaks.get(p.source, 1))) for p in network.into(population.name)
        )
        layers.append(
            Layer(
                population=population,
                fixed=lif.constants(population.params),
                deliveries=deliveries,
            )
        )
    return tuple(layers)


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
    ran: dict[str, lif.LifWindows] = {}
    n_frames = len(windows) * schedule.steps
    for layer in layers:
        population = layer.population
        parts = [(run, sent[name].reshape(n_frames, -1)) for name, run in layer.deliveries]
        a = arriving(parts, (n_frames, population.n)).reshape(len(windows), schedule.steps, -1)
        exists = schedule.exists(windows, population.wave)
        found = lif.run_windows(a, layer.fixed, exists, states=population.name in record)
        ran[population.name], sent[population.name] = found, found.spikes
    return Chunk(windows=windows, sent=sent, ran=ran)
