"""Who sends what to whom in every chip step: the load of cores and links, and single messages.

A message is delivered, and its synapses are read, in the chip step in which its spike is fired:
the barrier ends a step when nothing is on its way. (Event counts, which follow the neurons, book
synaptic operations in the step in which the target takes the input, one or more steps later.)
Spikes that the host injects reach a core's input in the step of their injection; their way from
the host is not known and not modelled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hwtargets.simulator.counts import WORD_BITS, CoreRow
from hwtargets.simulator.engine import Chunk
from hwtargets.simulator.fanout import fan_out, tally
from hwtargets.simulator.mesh import Mesh
from hwtargets.simulator.windows import Schedule
from snndeploy.energy import HOST
from snndeploy.ir.arrays import AnyArray, FloatArray, IntArray
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement

TAKEN = ("axon_in", "synaptic_op", "synaptic_word")
"""What a core does with the messages it takes."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Goals:
    """What one spike of each neuron of a slice sets off.

    Attributes:
        origin: the slice, or the host's row of a source.
        rows: rows of the cores that are reached [g].
        work: per neuron: messages, synaptic operations, words for each goal [n, 3, g].
        links: 1 for every link on the way to a goal [g, n_links]; zeros from the host.
    """

    origin: CoreRow
    rows: IntArray
    work: IntArray
    links: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Traffic:
    """What went where in every chip step of a run.

    Attributes:
        mesh: its links number the rows of `crossed`.
        taken: by kind of `TAKEN`, per row of the counts [n_rows, n_chip_steps].
        crossed: messages over each link [n_links, n_chip_steps].
        goals: of every slice and source.
        spikes: (chip step, neuron) of every spike by node, by step; empty unless kept.
    """

    mesh: Mesh
    taken: Mapping[str, IntArray]
    crossed: IntArray
    goals: tuple[Goals, ...]
    spikes: Mapping[str, tuple[IntArray, IntArray]]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class TrafficCounter:
    """Adds up chunks; filled while the simulation runs."""

    network: Network
    schedule: Schedule
    traffic: Traffic
    keep: bool
    kept: dict[str, list[tuple[IntArray, IntArray]]] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        """Take the windows of a chunk."""
        sent: dict[str, AnyArray] = {}
        for goals in self.traffic.goals:
            name = goals.origin.node
            if name not in sent:
                values = np.asarray(chunk.sent[name])
                sent[name] = values.reshape(-1, values.shape[2]) != 0
                if self.keep:
                    self._keep(name, chunk.windows, sent[name])
            self._add(goals, chunk.windows, sent[name][:, goals.origin.start : goals.origin.stop])

    def result(self) -> Traffic:
        """Return what was added."""
        spikes = {}
        for name, parts in self.kept.items():
            steps, neurons = (np.concatenate(columns) for columns in zip(*parts, strict=True))
            order = np.lexsort((neurons, steps))
            spikes[name] = (steps[order], neurons[order])
        t = self.traffic
        return Traffic(mesh=t.mesh, taken=t.taken, crossed=t.crossed, goals=t.goals, spikes=spikes)

    def _add(self, goals: Goals, windows: IntArray, spikes: AnyArray) -> None:
        n_goals = len(goals.rows)
        found = tally(spikes, goals.work.reshape(len(goals.work), -1))
        found = found.reshape(len(spikes), 3, n_goals)
        steps, exists = self._steps(goals.origin.node, windows)
        at = steps[exists]
        for index, kind in enumerate(TAKEN):
            self.traffic.taken[kind][goals.rows[:, None], at] += found[exists, index].T
        crossed: AnyArray = found[exists, 0].astype(np.float64) @ goals.links
        self.traffic.crossed[:, at] += crossed.T.astype(np.int64)

    def _keep(self, name: str, windows: IntArray, spikes: AnyArray) -> None:
        steps, exists = self._steps(name, windows)
        frames, neurons = np.nonzero(spikes & exists[:, None])
        self.kept.setdefault(name, []).append((steps[frames], neurons))

    def _steps(self, name: str, windows: IntArray) -> tuple[IntArray, AnyArray]:
        """Return the chip step of every frame, and which of them exist."""
        wave = self.network.nodes[name].wave
        steps = self.schedule.chip_step(windows, wave).reshape(-1)
        return steps, self.schedule.exists(windows, wave).reshape(-1)


def traffic_counter(
    network: Network,
    placement: Placement,
    schedule: Schedule,
    rows: Mapping[str, tuple[CoreRow, ...]],
    *,
    keep: bool,
) -> TrafficCounter:
    """Return an empty counter.

    Args:
        network: what runs.
        placement: where.
        schedule: its windows.
        rows: rows of the event counts, by node.
        keep: whether every spike is kept, as the levels need that follow single messages.
    """
    mesh = Mesh(placement.mesh)
    shape = (sum(map(len, rows.values())), schedule.n_chip_steps)
    traffic = Traffic(
        mesh=mesh,
        taken={kind: np.zeros(shape, dtype=np.int64) for kind in TAKEN},
        crossed=np.zeros((len(mesh.links), shape[1]), dtype=np.int64),
        goals=tuple(
            goals
            for name in network.nodes
            for goals in _goals(network, placement, mesh, rows, name)
        ),
        spikes={},
    )
    return TrafficCounter(network=network, schedule=schedule, traffic=traffic, keep=keep)


def _goals(
    network: Network,
    placement: Placement,
    mesh: Mesh,
    rows: Mapping[str, tuple[CoreRow, ...]],
    name: str,
) -> list[Goals]:
    """Return what one spike of each neuron of a node sets off, slice by slice."""
    targets = {row.core: row for p in network.out_of(name) for row in rows[p.target]}
    goals = sorted(targets.values(), key=lambda row: row.row)
    if not goals:
        return []
    index = {row.core: k for k, row in enumerate(goals)}
    work = np.zeros((network.nodes[name].n, 3, len(goals)), dtype=np.int64)
    for projection in network.out_of(name):
        for row in rows[projection.target]:
            reach = fan_out(projection.synapse, row.start, row.stop)
            work[:, 1, index[row.core]] += reach
            work[:, 2, index[row.core]] += -(-reach * projection.weight_bits // WORD_BITS)
    work[:, 0] = work[:, 1] > 0
    return [
        Goals(
            origin=origin,
            rows=np.array([row.row for row in goals]),
            work=work[origin.start : origin.stop],
            links=_ways(placement, mesh, origin, goals),
        )
        for origin in rows[name]
    ]


def _ways(placement: Placement, mesh: Mesh, origin: CoreRow, goals: list[CoreRow]) -> FloatArray:
    """Return which links lie on the way to each goal [g, n_links]."""
    used = np.zeros((len(goals), len(mesh.links)))
    if origin.core != HOST:
        for k, goal in enumerate(goals):
            way = mesh.route(placement.tile(origin.core), placement.tile(goal.core))
            used[k, list(way)] = 1
    return used
