"""The messages of all chip steps, compiled: those of `messages.py`, in whole picoseconds.

`messages.py` and `waiting.flows` say what a message is; this module does the same additions in
the same order, so that every number is the same, without an array per slice and step.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from hwtargets.simulator.flows import Flows, narrow
from hwtargets.simulator.messages import MessageMaker
from snndeploy.energy import HOST
from snndeploy.ir.arrays import AnyArray, FloatArray, IntArray


class Tables(NamedTuple):
    """What the messages of any chip step are made from; numba passes it as it is.

    Attributes:
        node: number of the node of each core, -1 if it sends nothing [n].
        start: its first neuron; `stop`: last + 1 [n].
        steps: spikes of node k in chip step t are steps[k, t] .. steps[k, t + 1].
        neuron: of each spike; `kind`: its class [spikes].
        first: goals of class c are first[c] .. first[c + 1].
        goal: row of each, `work_s` and `work`: what a message brings it, in seconds and units.
        making: seconds of each side of each core [n, T]; `taking`.
        spike_s: seconds of a spike; `message_s`: of a message; `unit`.
    """

    node: IntArray
    start: IntArray
    stop: IntArray
    steps: IntArray
    neuron: AnyArray
    kind: AnyArray
    first: IntArray
    goal: AnyArray
    work_s: FloatArray
    work: AnyArray
    making: FloatArray
    taking: FloatArray
    spike_s: float
    message_s: float
    unit: float


def tables(maker: MessageMaker, unit: float) -> Tables:
    """Return the tables of a run; `unit` is that of its times in seconds."""
    n, n_steps = maker.n_rows, maker.costs.making.shape[1]
    place = np.zeros((3, n), dtype=np.int64)
    place[0] = -1
    steps: list[IntArray] = []
    neurons: list[IntArray] = []
    kinds: list[IntArray] = []
    degree: list[IntArray] = []
    goals: list[IntArray] = []
    work: list[FloatArray] = []
    n_spikes = n_classes = 0
    for name, reach in maker.traffic.reach.items():
        origins = [origin for origin in reach.origins if origin.core != HOST]
        if not (reach.goals and origins):
            continue
        for origin in origins:
            place[:, origin.row] = len(steps), origin.start, origin.stop
        at, fired = maker.traffic.spikes.get(name, (np.zeros(0, np.int64), np.zeros(0, np.int64)))
        steps.append(np.searchsorted(at, np.arange(n_steps + 1)) + n_spikes)
        neurons.append(fired)
        kinds.append(reach.labels.of[fired] + n_classes)
        cls, goal = reach.sends
        degree.append(np.bincount(cls, minlength=len(reach.work)))
        goals.append(np.array([row.row for row in reach.goals], dtype=np.int64)[goal])
        work.append(reach.work[cls, :, goal] @ maker.taken_s)
        n_spikes, n_classes = n_spikes + len(fired), n_classes + len(reach.work)
    work_s = _joined(work, np.float64)
    return Tables(
        node=place[0].copy(), start=place[1].copy(), stop=place[2].copy(),
        steps=np.array(steps, dtype=np.int64).reshape(-1, n_steps + 1),
        neuron=_joined(neurons, np.int64), kind=_joined(kinds, np.int64),
        first=np.concatenate([[0], np.cumsum(_joined(degree, np.int64))]),
        goal=_joined(goals, np.int32), work_s=work_s,
        work=narrow(np.rint(work_s / unit).astype(np.int64)),
        making=np.ascontiguousarray(maker.costs.making[:n]),
        taking=np.ascontiguousarray(maker.costs.taking[:n]),
        spike_s=maker.spike_s, message_s=maker.message_s, unit=unit,
    )  # fmt: skip


def _joined(parts: list[AnyArray], dtype: Any) -> AnyArray:
    joined: AnyArray = np.concatenate([np.zeros(0, dtype=dtype), *parts]).astype(dtype)
    return joined


@njit(nogil=True, cache=True)
def flows_of(table: Tables, t: int) -> Any:  # pragma: no cover
    """Return the messages of chip step t."""
    return flows_in(table, t, room_for(table, 0))[0]


@njit(nogil=True, cache=True)
def room_for(table: Tables, m: int) -> Any:  # pragma: no cover
    """Return memory for goal, made and work of m messages."""
    made = np.empty(m, dtype=np.int64)
    return np.empty(m, dtype=table.goal.dtype), made, np.empty(m, dtype=table.work.dtype)


@njit(nogil=True, cache=True)
def flows_in(table: Tables, t: int, room: Any) -> Any:  # pragma: no cover
    """Return the messages of chip step t, and the memory they are in: more if it was too small.

    It is kept from step to step: fresh memory costs as much again.
    """
    n = len(table.node)
    spikes, first = _spans(table, t)
    m = first[n]
    if m > len(room[0]):
        room = room_for(table, 2 * m)
    goal, made, work = room
    tail, late = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    backlog = table.taking[:, t].copy()
    for r in range(n):
        last = _fill(table, t, r, spikes, first, goal, made, work, backlog)
        tail[r] = np.rint(max(table.making[r, t] - last, 0.0) / table.unit)
    for r in range(n):
        late[r] = np.rint((backlog[r] if backlog[r] > 1e-15 else 0.0) / table.unit)
    return Flows(first, goal[:m], made[:m], work[:m], tail, late), room


@njit(nogil=True, cache=True)
def _spans(table: Any, t: Any) -> Any:  # pragma: no cover
    """Return which spikes each core fires in chip step t [n, 2], and its first message [n + 1]."""
    steps, neuron, kind, degree = table.steps, table.neuron, table.kind, table.first
    n = len(table.node)
    spikes = np.zeros((n, 2), dtype=np.int64)
    first = np.zeros(n + 1, dtype=np.int64)
    for r in range(n):
        if table.node[r] >= 0:
            a, b = steps[table.node[r], t], steps[table.node[r], t + 1]
            spikes[r, 0] = a + np.searchsorted(neuron[a:b], table.start[r])
            spikes[r, 1] = a + np.searchsorted(neuron[a:b], table.stop[r])
        for k in range(spikes[r, 0], spikes[r, 1]):
            first[r + 1] += degree[kind[k] + 1] - degree[kind[k]]
        first[r + 1] += first[r]
    return spikes, first


@njit(nogil=True, cache=True, _nrt=False)
def _fill(
    table: Any, t: Any, r: Any, spikes: Any, first: Any, goal: Any, made: Any,
    work: Any, backlog: Any,
) -> Any:  # pragma: no cover  # fmt: skip
    """Write the messages of a core, in the order of its neurons; return when the last is made."""
    n_spikes, n_messages = spikes[r, 1] - spikes[r, 0], first[r + 1] - first[r]
    own = table.making[r, t] - n_spikes * table.spike_s - n_messages * table.message_s
    each = max(own, 0.0) / (table.stop[r] - table.start[r]) if n_spikes else 0.0
    i, before, at = first[r], np.int64(0), 0.0
    for number in range(n_spikes):
        k = spikes[r, 0] + number
        done = (table.neuron[k] - table.start[r] + 1) * each + (number + 1) * table.spike_s
        for c in range(table.first[table.kind[k]], table.first[table.kind[k] + 1]):
            at = done + (i - first[r] + 1) * table.message_s
            ended = np.int64(np.ceil(at / table.unit - 1e-6))
            made[i], before = ended - before, ended
            goal[i], work[i] = table.goal[c], table.work[c]
            backlog[table.goal[c]] -= table.work_s[c]
            i += 1
    return at
