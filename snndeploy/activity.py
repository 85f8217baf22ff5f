"""What every neuron sent: one run of the samples whose traces are added up batch by batch.

Sums over samples are kept, never the traces, so that memory does not grow with the data. Only the
windows of samples are looked at; filling and draining the pipeline is no part of what a network
computes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.ir.arrays import BoolArray, IntArray
from snndeploy.ir.network import Network, Population, Projection
from snndeploy.ir.trace import PopulationTrace
from snndeploy.target import Executor, Progress, no_progress

BATCH_CELLS = 1 << 22
"""Neurons x steps x samples of a batch: a few arrays of 32 MB."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class NodeActivity:
    """What one source or population sent in the windows of all samples.

    Attributes:
        sent: samples in which each neuron sent something other than 0, step by step [P, n].
        used: samples in which what a neuron sent in its window does not add up to 0 [n].
        is_binary: whether all that was sent in a step is -1, 0 or 1, over all samples [P].
        updates: neuron steps that changed a membrane; the first step of a window always does.
    """

    sent: IntArray
    used: IntArray
    is_binary: BoolArray
    updates: int = 0

    @property
    def spikes(self) -> IntArray:
        """Spikes of each neuron [n], all samples added up."""
        return np.asarray(self.sent.sum(axis=0))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Activity:
    """What a network did on samples: by source that takes an array, and by population."""

    n_samples: int
    nodes: Mapping[str, NodeActivity]

    def arriving(self, projection: Projection) -> tuple[IntArray, BoolArray]:
        """Return what a projection takes in each step of a window [P, n], and if it is binary [P].

        With a lag that is what was sent so many steps before; nothing comes from other samples.
        """
        node, lag = self.nodes[projection.source], projection.lag
        if not lag:
            return node.sent, node.is_binary
        sent, is_binary = np.zeros_like(node.sent), np.ones_like(node.is_binary)
        sent[lag:] = node.sent[:-lag]
        is_binary[lag:] = node.is_binary[:-lag]
        return sent, is_binary


def measure_activity(
    network: Network,
    inputs: Mapping[str, IntArray],
    executor: Executor,
    *,
    progress: Progress = no_progress,
) -> Activity:
    """Run samples and add up what every neuron sent.

    Args:
        network: an integer network of so many steps.
        inputs: integers [P, B, *shape] per source that takes an array.
        executor: who runs it.
        progress: called with samples done and total.
    """
    n_samples = next(iter(inputs.values())).shape[1]
    names = tuple(population.name for population in network.populations)
    cells = network.steps * sum(node.n for node in network.nodes.values())
    size = max(1, BATCH_CELLS // cells)
    nodes: dict[str, NodeActivity] = {}
    for start in range(0, n_samples, size):
        batch = {name: values[:, start : start + size] for name, values in inputs.items()}
        traces = executor.run(network, batch, record=names).traces
        for source in network.inputs:
            _add(nodes, source.name, _activity(batch[source.name]))
        for population in network.populations:
            trace = traces[population.name]
            updates = _updates(population, trace)
            _add(nodes, population.name, _activity(trace.spikes, updates))
        progress(min(start + size, n_samples), n_samples)
    return Activity(n_samples=n_samples, nodes=nodes)


def membrane(population: Population) -> str | None:
    """Return the name of the state that integrates: `v`, else the first; None without states."""
    names = [state.name for state in population.program.states]
    return "v" if "v" in names else next(iter(names), None)


def _add(nodes: dict[str, NodeActivity], name: str, new: NodeActivity) -> None:
    old = nodes.get(name)
    nodes[name] = new if old is None else NodeActivity(
        sent=old.sent + new.sent,
        used=old.used + new.used,
        is_binary=old.is_binary & new.is_binary,
        updates=old.updates + new.updates,
    )  # fmt: skip


def _activity(values: IntArray, updates: int = 0) -> NodeActivity:
    """Add up values [P, B, *shape] over samples."""
    flat = values.reshape(*values.shape[:2], -1)
    return NodeActivity(
        sent=np.count_nonzero(flat, axis=1).astype(np.int64),
        used=np.count_nonzero(flat.sum(axis=0), axis=0).astype(np.int64),
        is_binary=np.asarray((np.abs(flat) <= 1).all(axis=(1, 2))),
        updates=updates,
    )


def _updates(population: Population, trace: PopulationTrace) -> int:
    word = membrane(population)
    if word is None:
        return 0
    states = trace.states[word]
    return int(states[0].size) + int(np.count_nonzero(np.diff(states, axis=0)))
