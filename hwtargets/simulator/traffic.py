"""Who sends what to whom in every chip step: the load of cores and links, and single messages.

A message is delivered, and its synapses are read, in the chip step in which its spike is fired:
the barrier ends a step when nothing is on its way. (Event counts, which follow the neurons, book
synaptic operations in the step in which the target takes the input, one or more steps later.)
Spikes that the host injects reach a core's input in the step of their injection; their way from
the host is not known and not modelled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from hwtargets.simulator.engine import Chunk
from hwtargets.simulator.fanout import Columns, summable
from hwtargets.simulator.mesh import Mesh
from hwtargets.simulator.reach import Reach
from hwtargets.simulator.windows import Schedule
from snndeploy.energy import HOST
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement

TAKEN = ("axon_in", "synaptic_op", "synaptic_word")
"""What a core does with the messages it takes."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Load:
    """What one spike of each class of a node's neurons brings to cores and links.

    Attributes:
        links: those on the way to any goal.
        columns: by kind of `TAKEN` what each goal takes, then messages over each of the links.
    """

    links: IntArray
    columns: Columns


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Traffic:
    """What went where in every chip step of a run.

    Attributes:
        mesh: its links number the rows of `crossed`.
        taken: by kind of `TAKEN`, per row of the counts [n_rows, n_chip_steps].
        crossed: messages over each link [n_links, n_chip_steps].
        reach: of every slice and source, by node.
        spikes: (chip step, neuron) of every spike by node, by step; empty unless kept.
    """

    mesh: Mesh
    taken: Mapping[str, IntArray]
    crossed: IntArray
    reach: Mapping[str, Reach]
    spikes: Mapping[str, tuple[IntArray, IntArray]]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class TrafficCounter:
    """Adds up chunks; filled while the simulation runs."""

    network: Network
    schedule: Schedule
    traffic: Traffic
    loads: Mapping[str, Load]
    keep: bool
    kept: dict[str, list[tuple[IntArray, IntArray]]] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        """Take the windows of a chunk."""
        for name, load in self.loads.items():
            if not chunk.sent[name].is_silent:
                self._add(name, load, chunk)
                if self.keep:
                    self._keep(name, chunk)

    def result(self) -> Traffic:
        """Return what was added."""
        spikes = {}
        for name, parts in self.kept.items():
            steps, neurons = (np.concatenate(columns) for columns in zip(*parts, strict=True))
            spikes[name] = (steps, neurons)
        return replace(self.traffic, spikes=spikes)

    def _add(self, name: str, load: Load, chunk: Chunk) -> None:
        reach = self.traffic.reach[name]
        frames, at = self.schedule.span(chunk.windows, self.network.nodes[name].wave)
        n_goals = len(reach.goals)
        found = load.columns.tally(chunk.sent[name].per_label(reach.labels)[frames]).T
        rows = np.array([goal.row for goal in reach.goals])
        for index, kind in enumerate(TAKEN):
            self.traffic.taken[kind][rows, at] += found[index * n_goals : (index + 1) * n_goals]
        self.traffic.crossed[load.links, at] += found[len(TAKEN) * n_goals :]

    def _keep(self, name: str, chunk: Chunk) -> None:
        frames, at = self.schedule.span(chunk.windows, self.network.nodes[name].wave)
        steps, neurons = chunk.sent[name].spikes(frames)
        self.kept.setdefault(name, []).append((steps + at.start, neurons))


def traffic_counter(
    network: Network,
    placement: Placement,
    schedule: Schedule,
    reach: Mapping[str, Reach],
    *,
    keep: bool,
) -> TrafficCounter:
    """Return an empty counter.

    Args:
        network: what runs.
        placement: where.
        schedule: its windows.
        reach: what a spike of each node sets off.
        keep: whether every spike is kept, as the levels need that follow single messages.
    """
    mesh = Mesh(placement.mesh)
    n_rows = sum(len(one.origins) for one in reach.values())
    traffic = Traffic(
        mesh=mesh,
        taken={kind: np.zeros((n_rows, schedule.n_chip_steps), dtype=np.int64) for kind in TAKEN},
        crossed=np.zeros((len(mesh.links), schedule.n_chip_steps), dtype=np.int64),
        reach=reach,
        spikes={},
    )
    loads = {name: _load(placement, mesh, one) for name, one in reach.items() if one.goals}
    return TrafficCounter(
        network=network, schedule=schedule, traffic=traffic, loads=loads, keep=keep
    )


def _load(placement: Placement, mesh: Mesh, reach: Reach) -> Load:
    """Return what one spike of each class brings where."""
    crossed = np.zeros((reach.labels.n_classes, len(mesh.links)), dtype=np.int64)
    for k, origin in enumerate(reach.origins):
        mine = slice(reach.first[k], reach.first[k + 1])
        for number, goal in enumerate(reach.goals if origin.core != HOST else ()):
            way = mesh.route(placement.tile(origin.core), placement.tile(goal.core))
            crossed[mine, list(way)] += reach.work[mine, 0, number, None]
    links = np.flatnonzero(crossed.any(axis=0))
    work = reach.work.reshape(len(crossed), -1)
    columns = np.concatenate([work, crossed[:, links]], axis=1)
    return Load(links=links, columns=summable(columns, reach.labels.sizes))
