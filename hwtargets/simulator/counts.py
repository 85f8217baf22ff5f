"""Exact event counts per core and chip step, from what every node sent.

Everything is linear in the spikes of one step: a spike of neuron i costs its fan-out into each
core's slice, one message per core it reaches, and the hops of those messages. Neurons of the same
fan-out are counted together, pixel by pixel. Synaptic operations
and updates belong to the chip step in which the target neuron takes the input, spikes, messages
and hops to the step of the spike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import numpy as np

from hwtargets.simulator.engine import Chunk
from hwtargets.simulator.fanout import Columns, classes, summable
from hwtargets.simulator.reach import WORD_BITS, CoreRow, Reach, Rows, reach_of
from hwtargets.simulator.sent import Sent
from hwtargets.simulator.touched import Places, places, touched
from hwtargets.simulator.windows import Schedule
from snndeploy.energy import EVENT_KINDS, HOST, EventCounts, EventKind
from snndeploy.ir.arrays import AnyArray, BoolArray, IntArray
from snndeploy.ir.network import Network, Projection
from snndeploy.ir.placement import Placement
from snndeploy.ir.synapses import Conv, OneToOne, Pool

TRAVEL: tuple[EventKind, ...] = ("spike", "message", "hop_x", "hop_y")
TOGETHER = 8
"""Slices of a population whose spikes are multiplied at once."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Counter:
    """Adds up chunks; made by `counter`, filled while the simulation runs.

    Attributes:
        rows: by node, in neuron order.
        synaptic: per projection the operations, then the words, of each class of its source's
            reach into each slice, [classes, 2 * rows].
        events: [n_rows, n_chip_steps] by kind; to begin with, those of a run without a spike.
        phase: of every row and chip step, see `EventCounts`.
        reach: what a spike of each node sets off.
        routes: and which ways it takes, by population, the kinds of `TRAVEL` for the classes of
            TOGETHER rows of it at a time [classes, 4 * rows].
        sizes: neurons of each class of targets in each slice, by population and shape; places: the
            same for a single image, by projection; as they are needed.
    """

    network: Network
    schedule: Schedule
    rows: Rows
    synaptic: dict[str, Columns]
    events: Mapping[EventKind, IntArray]
    phase: IntArray
    reach: Mapping[str, Reach]
    routes: Mapping[str, tuple[Columns, ...]]
    sizes: dict[str, Columns] = field(default_factory=dict)
    places: dict[str, Places] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        """Count the windows of a chunk."""
        if not chunk.before and all(sent.is_silent for sent in chunk.sent.values()):
            return
        for source in self.network.sources:
            sent, span = chunk.sent[source.name], self._span(source.name, chunk)
            if not sent.is_silent:
                injected = sent.per_label(self.reach[source.name].labels).sum(axis=1)
                self._write("host_in", source.name, span, injected[None])
        for population in self.network.populations:
            self._add_input(population.name, chunk)
            self._add_output(population.name, chunk)

    def result(self) -> EventCounts:
        """Return the counts of everything added."""
        rows = [row for rows in self.rows.values() for row in rows]
        return EventCounts(
            cores=tuple(row.core for row in rows),
            populations=tuple(row.node for row in rows),
            events=self.events,
            phase=self.phase,
            n_samples=self.schedule.n_samples,
        )

    def _add_input(self, name: str, chunk: Chunk) -> None:
        """Count synaptic operations and words, and the neurons that took part."""
        rows, n = self.rows[name], self.network.population[name].n
        span = self._span(name, chunk)
        n_frames = len(chunk.windows) * self.schedule.steps
        sizes = np.array([row.stop - row.start for row in rows])
        arriving = [
            projection
            for projection in self.network.into(name)
            if chunk.before or not chunk.sent[projection.source].is_silent
        ]
        if not arriving:
            return
        work, *others = (self._work(projection, chunk) for projection in arriving)
        for other in others:
            work += other
        if len(arriving) == 1 and isinstance(arriving[0].synapse, OneToOne):
            active = work[: len(rows)]  # every operation is that of another neuron
        elif len(arriving) == 1 and isinstance(arriving[0].synapse, Conv | Pool):
            active = self._reached(arriving[0], chunk)
        else:
            reached = np.zeros((n_frames, 1, 1), dtype=np.bool_)
            for projection in arriving:
                reached = either(reached, self._touched(projection, chunk), n)
            active = self._sizes(name, reached).tally(reached.reshape(n_frames, -1))
        self._write("synaptic_op", name, span, work[: len(rows)])
        self._write("synaptic_word", name, span, work[len(rows) :])
        self._write("neuron_active", name, span, active)
        self._write("neuron_idle", name, span, sizes[:, None] - active)

    def _work(self, projection: Projection, chunk: Chunk) -> IntArray:
        """Return operations, then words, that a projection brings to each slice [2 * rows, F]."""
        labels = self.reach[projection.source].labels
        spikes = self._arriving(partial(Sent.per_label, labels=labels), projection, chunk)
        return self.synaptic[projection.name].tally(spikes)

    def _reached(self, projection: Projection, chunk: Chunk) -> IntArray:
        """Return how many neurons of each slice an image reaches [rows, F]."""
        found = self._places(projection)
        if chunk.sent[projection.source].bits is None or not found.in_rows:
            return found.count(self._sending(projection, chunk))
        kind, width = classes(found.synapse), found.synapse.in_shape[2]
        rows = self._arriving(lambda sent: sent.active_rows(*kind, width), projection, chunk)
        return found.count_rows(rows)

    def _touched(self, projection: Projection, chunk: Chunk) -> BoolArray:
        """Return which targets a projection reaches; see `touched.touched`."""
        active = self._sending(projection, chunk)
        kernels = chunk.sent[projection.source].bits is not None
        return touched(projection.synapse, active, kernels=kernels)

    def _sending(self, projection: Projection, chunk: Chunk) -> BoolArray:
        """Return which classes of a projection's sources send what arrives [F, classes]."""
        kind = classes(projection.synapse)
        return self._arriving(lambda sent: sent.active(*kind), projection, chunk)

    def _places(self, projection: Projection) -> Places:
        """Return how the neurons that an image reaches are counted."""
        if projection.name not in self.places:
            synapse = projection.synapse
            assert isinstance(synapse, Conv | Pool)
            n, (groups, _) = self.network.population[projection.target].n, classes(synapse)
            shape = (groups, synapse.out_shape[1] * synapse.out_shape[2])
            sizes = [class_sizes(row, n, shape) for row in self.rows[projection.target]]
            self.places[projection.name] = places(synapse, np.stack(sizes))
        return self.places[projection.name]

    def _sizes(self, name: str, reached: BoolArray) -> Columns:
        """Return the neurons of each class of `reached` in each slice [classes, rows]."""
        n, shape = self.network.population[name].n, reached.shape[1:]
        key = f"{name} {shape}"
        if key not in self.sizes:
            sizes = [class_sizes(row, n, shape) for row in self.rows[name]]
            self.sizes[key] = summable(np.stack(sizes, axis=1), np.ones(1, dtype=np.int64))
        return self.sizes[key]

    def _arriving(
        self, count: Callable[[Sent], AnyArray], projection: Projection, chunk: Chunk
    ) -> AnyArray:
        """Return what is counted [F, classes] of what arrives: what was sent `lag` steps before."""
        lag, steps = self.schedule.lag(projection), self.schedule.steps
        spikes = count(chunk.sent[projection.source])
        if not lag:
            return spikes
        frames = spikes.reshape(-1, steps, spikes.shape[1])
        late = np.zeros_like(frames)
        late[:, lag:] = frames[:, : max(steps - lag, 0)]
        if chunk.before:
            late[0, :lag] = count(chunk.before[projection.source])[-lag:]
        return late.reshape(spikes.shape)

    def _add_output(self, name: str, chunk: Chunk) -> None:
        """Count spikes, messages and hops."""
        sent, reach = chunk.sent[name], self.reach[name]
        if sent.is_silent:
            return
        span = self._span(name, chunk)
        spikes = sent.per_label(reach.labels)
        for k, routes in enumerate(self.routes[name]):
            start, stop = k * TOGETHER, min((k + 1) * TOGETHER, len(reach.origins))
            found = routes.tally(spikes[:, reach.first[start] : reach.first[stop]])
            by_kind = found.reshape(len(TRAVEL), stop - start, -1)
            for kind, values in zip(TRAVEL, by_kind, strict=True):
                self._write(kind, name, span, values, start)

    def _span(self, name: str, chunk: Chunk) -> tuple[slice, slice]:
        """Return which frames of a node's windows exist, and their chip steps."""
        return self.schedule.span(chunk.windows, self.network.nodes[name].wave)

    def _write(
        self, kind: EventKind, name: str, span: tuple[slice, slice], values: IntArray,
        start: int = 0,
    ) -> None:  # fmt: skip
        """Store values [rows of a node from `start` on, n_windows * P] at chip steps that exist."""
        first, (frames, steps) = self.rows[name][0].row + start, span
        self.events[kind][first : first + len(values), steps] = values[:, frames]


def counter(network: Network, placement: Placement, schedule: Schedule) -> Counter:
    """Return a counter of no chunk: fan-outs and routes of every slice, counts without a spike."""
    rows = _rows(network, placement)
    reach = {name: reach_of(network, rows, name) for name in network.nodes}
    phase = _phases(schedule, rows)
    return Counter(
        network=network,
        schedule=schedule,
        rows=rows,
        synaptic={p.name: _synaptic(p, reach[p.source]) for p in network.projections},
        events=_events_at_rest(schedule, rows, phase),
        phase=phase,
        reach=reach,
        routes={p.name: _routes(reach[p.name], placement) for p in network.populations},
    )


def _events_at_rest(
    schedule: Schedule, rows: Rows, phase: IntArray
) -> Mapping[EventKind, IntArray]:
    """Return what happens without a spike: neurons visited, barriers, what the host does anyway."""
    events = {kind: np.zeros(phase.shape, dtype=np.int64) for kind in EVENT_KINDS}
    every = [row for mine in rows.values() for row in mine]
    for row in every:
        if row.core != HOST:
            events["neuron_idle"][row.row] = row.stop - row.start
            events["barrier"][row.row] = 1
        events["host_out"][row.row] = row.reads * (phase[row.row] == 0)
    if schedule.network.alone:
        host = next(row for row in every if row.core == HOST)
        events["reset"][host.row, :: schedule.network.period] = 1
    return events


def _rows(network: Network, placement: Placement) -> Rows:
    """Number the rows: slices in the order of the network, then the sources."""
    rows: dict[str, tuple[CoreRow, ...]] = {}
    for population in network.populations:
        outputs = sum(output.population == population.name for output in network.outputs)
        first = sum(map(len, rows.values()))
        rows[population.name] = tuple(
            CoreRow(
                row=first + k, core=piece.core, node=population.name,
                start=piece.start, stop=piece.stop, reads=outputs * piece.n,
            )
            for k, piece in enumerate(placement.by_population[population.name])
        )  # fmt: skip
    for source in network.sources:
        here = sum(map(len, rows.values()))
        rows[source.name] = (
            CoreRow(row=here, core=HOST, node=source.name, start=0, stop=source.n, reads=0),
        )
    return rows


def either(a: BoolArray, b: BoolArray, n: int) -> BoolArray:
    """Return a or b, flags [F, groups, pixels] of n neurons, in classes fine enough for both."""
    if a.shape == b.shape or a[0].size == 1 or b[0].size == 1:
        return a | b
    return _expanded(a, n) | _expanded(b, n)


def _expanded(flags: BoolArray, n: int) -> BoolArray:
    """Return flags [F, groups, pixels] of n neurons as [F, n, 1]."""
    n_frames, groups, pixels = flags.shape
    shape = (n_frames, groups, n // (groups * pixels), pixels)
    return np.broadcast_to(flags[:, :, None], shape).reshape(n_frames, n, 1)


def class_sizes(row: CoreRow, n: int, shape: tuple[int, ...]) -> IntArray:
    """Return how many neurons of a slice are in each class (group, pixel) of a population's n."""
    groups, pixels = shape
    inside = np.zeros(n, dtype=np.int64)
    inside[row.start : row.stop] = 1
    sizes: IntArray = inside.reshape(groups, -1, pixels).sum(axis=1).reshape(-1)
    return sizes


def _synaptic(projection: Projection, reach: Reach) -> Columns:
    """Return stored synapses, then 64-bit words of packed weights, per class and slice."""
    fan_out = reach.fan_out[projection.name]
    words = -(-fan_out * projection.weight_bits // WORD_BITS)
    return summable(np.concatenate([fan_out, words], axis=1), reach.labels.sizes)


def _routes(reach: Reach, placement: Placement) -> tuple[Columns, ...]:
    """Return what one spike of each class sends, some origins at a time: [classes, 4 * origins]."""
    routes, sizes, found = reach.routes(placement), reach.labels.sizes, []
    for start in range(0, len(reach.origins), TOGETHER):
        firsts = reach.first[start : start + TOGETHER + 1]
        apart = np.zeros((firsts[-1] - firsts[0], len(TRAVEL), len(firsts) - 1), dtype=np.int64)
        for k, (first, stop) in enumerate(pairwise(firsts)):
            apart[first - firsts[0] : stop - firsts[0], :, k] = routes[first:stop]
        mine = sizes[firsts[0] : firsts[-1]]
        found.append(summable(apart.reshape(len(mine), -1), mine))
    return tuple(found)


def _phases(schedule: Schedule, rows: Rows) -> IntArray:
    """Return the phase of every row in every chip step [n_rows, n_chip_steps]."""
    waves = [schedule.network.nodes[row.node].wave for mine in rows.values() for row in mine]
    phases = {wave: _phase(schedule, wave) for wave in waves}
    return np.stack([phases[wave] for wave in waves])


def _phase(schedule: Schedule, wave: int) -> IntArray:
    """Return the phase of every chip step for a node: 0 work, 1 fill, 2 drain.

    Between windows, dead steps of a guard count as drain, and steps before a wave arrives as fill.
    """
    network = schedule.network
    age = np.arange(schedule.n_chip_steps) - wave
    step = age % schedule.steps
    work = (age >= 0) & (age < schedule.n_samples * schedule.steps) & (step < network.steps)
    before = (age < 0) | (network.alone & (step >= schedule.steps - wave))
    return np.where(work, 0, np.where(before, 1, 2))
