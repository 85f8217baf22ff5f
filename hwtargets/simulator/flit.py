"""Flits: a wormhole mesh cycle by cycle, for calibration on short runs.

The network of `queue`, with time in whole cycles and messages of one or more flits. A message takes
a virtual channel (those of a core alternate) and keeps it; its head claims the channel of each
link until its tail has passed. In every cycle each link moves at most one flit per channel, round
robin between its inputs, into a FIFO. A core takes a message when all of it has arrived; its head
claims room for all of it. Cycles in which nothing can move are skipped.

Inputs are numbered: ports of the cores 0 .. n - 1, then links; outputs: links, then the cores.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from hwtargets.simulator.flows import Fabric, Flows
from snndeploy.ir.arrays import IntArray

FAR = np.int64(1) << 62
LEFT, SOONEST = 0, 1
"""Counters: messages not taken yet; the next cycle in which something may move."""
MESSAGE, NUMBER, PASSED, ARRIVES = 0, 1, 2, 3
"""Of a flit: its message, its number in it, links passed, when it has arrived."""


class State(NamedTuple):
    """Where everything is.

    Attributes:
        flits: [lane, input, place, 4], see `MESSAGE`; `head`, `fill`: of each FIFO [lane, input].
        owner: message that has claimed an output, -1 for none [lane, output].
        last: input that sent last [lane, output].
        best: input chosen for an output, -1 for none, and its distance from the last [output, 2].
        waiting: message and cycle of its arrival, before each core [n, places, 2].
        first_waiting: place of the first; `complete`: how many wait; `claimed`: and how many are
            on their way too; `seen`: the same at the start of the cycle [n].
        following: next message to make; `pushed`: flits of it that have left; `start`: when [n].
        busy: until when; `sent`, `taken`: when a core is done with either [n].
        counters: see `LEFT`, `SOONEST`.
    """

    flits: IntArray
    head: IntArray
    fill: IntArray
    owner: IntArray
    last: IntArray
    best: IntArray
    waiting: IntArray
    first_waiting: IntArray
    complete: IntArray
    claimed: IntArray
    seen: IntArray
    following: IntArray
    pushed: IntArray
    start: IntArray
    busy: IntArray
    sent: IntArray
    taken: IntArray
    counters: IntArray


@njit(nogil=True, cache=True)
def run_flit(flows: Flows, fabric: Fabric) -> Any:
    """Return when each core has sent and taken everything [2, n] cycles; -1 on a deadlock."""
    n = len(flows.tail)
    s = _start(flows, fabric)
    now = np.int64(0)
    while s.counters[LEFT] > 0:
        s.counters[SOONEST] = FAR
        moved = _take(s, flows, now)
        s.seen[:] = s.claimed  # all lanes see the same room: each may claim what is left
        for lane in range(fabric.lanes):
            moved |= _choose(s, flows, fabric, now, lane)
            _move(s, fabric, now, lane)
        moved |= _make(s, flows, fabric, now)
        if moved:
            now += 1
        elif s.counters[SOONEST] < FAR:
            now = max(now + 1, s.counters[SOONEST])
        else:
            break
    answer = np.empty((2, n), dtype=np.int64)
    answer[0], answer[1] = s.sent, s.taken
    if s.counters[LEFT] > 0:
        answer[:] = -1
    return answer


@njit(nogil=True, cache=True)
def _start(flows: Any, fabric: Any) -> Any:
    n, lanes = len(flows.tail), fabric.lanes
    n_ends = n + len(fabric.hop)
    start = np.full(n, FAR, dtype=np.int64)
    for r in range(n):
        if flows.first[r + 1] > flows.first[r]:
            start[r] = flows.made[flows.first[r]]
    best = np.zeros((n_ends, 2), dtype=np.int64)
    best[:, 0] = -1
    return State(
        np.zeros((lanes, n_ends, fabric.depth, 4), dtype=np.int64),
        np.zeros((lanes, n_ends), dtype=np.int64),
        np.zeros((lanes, n_ends), dtype=np.int64),
        np.full((lanes, n_ends), -1, dtype=np.int64),
        np.zeros((lanes, n_ends), dtype=np.int64),
        best,
        np.zeros((n, fabric.room + lanes - 1, 2), dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        flows.first[:-1].copy(),
        np.zeros(n, dtype=np.int64),
        start,
        flows.backlog.copy(),
        flows.tail.copy(),
        flows.backlog.copy(),
        np.array([len(flows.goal), FAR], dtype=np.int64),
    )


@njit(nogil=True, cache=True)
def _not_before(s: Any, cycle: Any) -> None:
    s.counters[SOONEST] = min(s.counters[SOONEST], cycle)


@njit(nogil=True, cache=True)
def _take(s: Any, flows: Any, now: Any) -> bool:
    """Let every free core work on the first message before it; return whether one did."""
    moved = False
    for r in range(len(s.busy)):
        if s.complete[r] == 0:
            continue
        place = s.first_waiting[r]
        able = max(s.busy[r], s.waiting[r, place, 1])
        if able > now:
            _not_before(s, able)
            continue
        s.busy[r] = s.taken[r] = now + flows.work[s.waiting[r, place, 0]]
        s.first_waiting[r] = (place + 1) % s.waiting.shape[1]
        s.complete[r] -= 1
        s.claimed[r] -= 1
        s.counters[LEFT] -= 1
        moved = True
    return moved


@njit(nogil=True, cache=True)
def _is_open(s: Any, fabric: Any, lane: Any, output: Any, message: Any) -> bool:
    """Return whether a flit of a message may go to an output now."""
    n, n_links, owner = len(s.busy), len(fabric.hop), s.owner[lane, output]
    if owner >= 0 and owner != message:
        return False
    if output < n_links:
        return bool(s.fill[lane, n + output] < fabric.depth)
    return bool(owner >= 0 or s.seen[output - n_links] < fabric.room)


@njit(nogil=True, cache=True)
def _choose(s: Any, flows: Any, fabric: Any, now: Any, lane: Any) -> bool:
    """Choose for every output the next input, round robin; return whether any flit can move."""
    n, n_links, n_inputs, any_open = len(s.busy), len(fabric.hop), s.fill.shape[1], False
    for b in range(n_inputs):
        if s.fill[lane, b] == 0:
            continue
        flit = s.flits[lane, b, s.head[lane, b]]
        if flit[ARRIVES] > now:
            _not_before(s, flit[ARRIVES])
            continue
        i = flit[MESSAGE]
        pair = flows.sender[i] * n + flows.goal[i]
        step = fabric.pointer[pair] + flit[PASSED]
        at_end = step == fabric.pointer[pair + 1]
        output = n_links + flows.goal[i] if at_end else fabric.route[step]
        if not _is_open(s, fabric, lane, output, i):
            continue
        turn = (b - s.last[lane, output] - 1) % n_inputs
        if s.best[output, 0] < 0 or turn < s.best[output, 1]:
            s.best[output, 0], s.best[output, 1] = b, turn
        any_open = True
    return any_open


@njit(nogil=True, cache=True)
def _move(s: Any, fabric: Any, now: Any, lane: Any) -> None:
    """Move the chosen flits."""
    n, n_links, depth = len(s.busy), len(fabric.hop), fabric.depth
    for output in range(len(s.best)):
        b = s.best[output, 0]
        if b < 0:
            continue
        s.best[output, 0] = -1
        i, number, passed, _ = s.flits[lane, b, s.head[lane, b]]
        s.head[lane, b] = (s.head[lane, b] + 1) % depth
        s.fill[lane, b] -= 1
        s.last[lane, output] = b
        is_last = number == fabric.flits - 1
        s.owner[lane, output] = -1 if is_last else i
        if output < n_links:
            to = n + output
            at = s.flits[lane, to, (s.head[lane, to] + s.fill[lane, to]) % depth]
            at[MESSAGE], at[NUMBER], at[PASSED] = i, number, passed + 1
            at[ARRIVES] = now + fabric.hop[output]
            s.fill[lane, to] += 1
            continue
        r = output - n_links
        s.claimed[r] += number == 0
        if is_last:
            place = (s.first_waiting[r] + s.complete[r]) % s.waiting.shape[1]
            s.waiting[r, place, 0], s.waiting[r, place, 1] = i, now + fabric.within
            s.complete[r] += 1


@njit(nogil=True, cache=True)
def _make(s: Any, flows: Any, fabric: Any, now: Any) -> bool:
    """Hand a flit of every core's message to its port if there is room; return if one was."""
    moved = False
    for r in range(len(s.busy)):
        if s.start[r] > now:
            _not_before(s, s.start[r])
            continue
        i = s.following[r]
        lane = (i - flows.first[r]) % fabric.lanes
        if s.fill[lane, r] == fabric.depth:
            continue
        at = s.flits[lane, r, (s.head[lane, r] + s.fill[lane, r]) % fabric.depth]
        at[MESSAGE], at[NUMBER], at[PASSED] = i, s.pushed[r], 0
        at[ARRIVES] = now + fabric.interface
        s.fill[lane, r] += 1
        s.pushed[r] += 1
        moved = True
        if s.pushed[r] == fabric.flits:
            s.pushed[r] = 0
            s.following[r] += 1
            s.sent[r] = now + flows.tail[r]
            s.start[r] = now + flows.made[i + 1] if i + 1 < flows.first[r + 1] else FAR
    return moved
