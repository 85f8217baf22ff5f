"""Single messages of one chip step, in the order in which every core makes them.

A core visits its neurons in order and takes the same time for each (their mean in that step); a
spike and its messages add their own, and a message leaves when it is made.
"""

from dataclasses import dataclass

import numpy as np

from hwtargets.simulator.costs import Costs
from hwtargets.simulator.reach import CoreRow, Reach
from hwtargets.simulator.traffic import Traffic
from snndeploy.chip import ChipSpec
from snndeploy.energy import HOST, EventCounts
from snndeploy.ir.arrays import FloatArray, IntArray


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class StepMessages:
    """Messages of one chip step, sorted by sender; rows are cores.

    Attributes:
        first: messages of row r are first[r] .. first[r + 1] [n + 1].
        goal: row that takes the message [m].
        made_s: seconds from the start after which it is made if nothing stops its core [m].
        work_s: seconds of work where it arrives [m].
        tail_s: seconds that the sender works after its last message [n].
        backlog_s: seconds of work of the receiver for what the host injected [n].
    """

    first: IntArray
    goal: IntArray
    made_s: FloatArray
    work_s: FloatArray
    tail_s: FloatArray
    backlog_s: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class MessageMaker:
    """Makes the messages of any chip step of a run."""

    traffic: Traffic
    costs: Costs
    spike_s: float
    message_s: float
    taken_s: FloatArray
    n_rows: int

    def step(self, t: int) -> StepMessages:
        """Return the messages of chip step t."""
        making = self.costs.making[: self.n_rows, t]
        parts = [
            self._slice(reach, origin, t, making)
            for reach in self.traffic.reach.values()
            for origin in reach.origins
            if reach.goals and origin.core != HOST
        ]
        parts.sort(key=lambda part: part[0])
        tail, backlog = making.copy(), self.costs.taking[: self.n_rows, t].copy()
        goal = np.concatenate([part[1] for part in parts] or [np.zeros(0, dtype=np.int64)])
        made = np.concatenate([part[2] for part in parts] or [np.zeros(0)])
        work = np.concatenate([part[3] for part in parts] or [np.zeros(0)])
        sizes = np.zeros(self.n_rows, dtype=np.int64)
        for row, goals, times, _ in parts:
            sizes[row] = len(goals)
            tail[row] -= times[-1] if len(times) else 0.0
        np.subtract.at(backlog, goal, work)
        return StepMessages(
            first=np.concatenate([[0], np.cumsum(sizes)]),
            goal=goal,
            made_s=made,
            work_s=work,
            tail_s=np.maximum(tail, 0),
            backlog_s=np.where(backlog > 1e-15, backlog, 0.0),
        )

    def _slice(
        self, reach: Reach, origin: CoreRow, t: int, making: FloatArray
    ) -> tuple[int, IntArray, FloatArray, FloatArray]:
        """Return row, destinations, times and work of one slice's messages."""
        steps, neurons = self.traffic.spikes.get(
            origin.node, (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        )
        fired = neurons[np.searchsorted(steps, t) : np.searchsorted(steps, t + 1)]
        start, stop = np.searchsorted(fired, (origin.start, origin.stop))
        mine = fired[start:stop]
        work = reach.work[reach.labels.of[mine]]
        spike, goal = np.nonzero(work[:, 0])
        own = making[origin.row] - len(mine) * self.spike_s - len(spike) * self.message_s
        visited = (mine - origin.start + 1) * (max(own, 0.0) / (origin.stop - origin.start))
        done = visited + np.arange(1, len(mine) + 1) * self.spike_s
        made = done[spike] + np.arange(1, len(spike) + 1) * self.message_s
        amounts = work[spike, :, goal] @ self.taken_s
        rows = np.array([row.row for row in reach.goals], dtype=np.int64)
        return origin.row, rows[goal], made, amounts


def message_maker(
    counts: EventCounts, traffic: Traffic, costs: Costs, chip: ChipSpec
) -> MessageMaker:
    """Return what makes the messages of a run whose spikes were kept."""

    def seconds(kind: str) -> float:
        return float(chip.latencies[kind].value) if kind in chip.latencies else 0.0

    return MessageMaker(
        traffic=traffic,
        costs=costs,
        spike_s=seconds("spike"),
        message_s=seconds("message"),
        taken_s=np.array([seconds(kind) for kind in ("axon_in", "synaptic_op", "synaptic_word")]),
        n_rows=sum(core != HOST for core in counts.cores),
    )
