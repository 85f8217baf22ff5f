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
        sender: of each message [m].
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
    sender: IntArray
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
            if _choose(s, flows, fabric, now, lane):
                _move(s, fabric, now, lane)
                moved = True
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
        np.repeat(np.arange(n), np.diff(flows.first)),
        np.array([len(flows.goal), FAR], dtype=np.int64),
    )


@njit(nogil=True, cache=True)
def _put(s: Any, lane: Any, b: Any, i: Any, number: Any, passed: Any, at: Any) -> None:
    """Put a flit into the FIFO of an input, where it arrives later."""
    place = (s.head[lane, b] + s.fill[lane, b]) % s.flits.shape[2]
    s.flits[lane, b, place, MESSAGE], s.flits[lane, b, place, NUMBER] = i, number
    s.flits[lane, b, place, PASSED], s.flits[lane, b, place, ARRIVES] = passed, at
    s.fill[lane, b] += 1


@njit(nogil=True, cache=True)
def _take(s: Any, flows: Any, now: Any) -> bool:
    """Let every free core work on the first message before it; return whether one did."""
    complete, first_waiting, waiting, busy = s.complete, s.first_waiting, s.waiting, s.busy
    moved, soonest = False, s.counters[SOONEST]
    for r in range(len(busy)):
        if complete[r] == 0:
            continue
        place = first_waiting[r]
        able = max(busy[r], waiting[r, place, 1])
        if able > now:
            soonest = min(soonest, able)
            continue
        busy[r] = s.taken[r] = now + flows.work[waiting[r, place, 0]]
        first_waiting[r] = (place + 1) % waiting.shape[1]
        complete[r] -= 1
        s.claimed[r] -= 1
        s.counters[LEFT] -= 1
        moved = True
    s.counters[SOONEST] = soonest
    return moved


@njit(nogil=True, cache=True)
def _choose(s: Any, flows: Any, fabric: Any, now: Any, lane: Any) -> bool:
    """Choose for every output the next input, round robin; return whether any flit can move."""
    fill, head, flits, best = s.fill[lane], s.head[lane], s.flits[lane], s.best
    owner, last, seen, sender, goal = s.owner[lane], s.last[lane], s.seen, s.sender, flows.goal
    pointer, route = fabric.pointer, fabric.route
    n, n_links, n_inputs, any_open = len(seen), len(fabric.hop), len(fill), False
    soonest = s.counters[SOONEST]
    for b in range(n_inputs):
        if fill[b] == 0:
            continue
        place = head[b]
        if flits[b, place, ARRIVES] > now:
            soonest = min(soonest, flits[b, place, ARRIVES])
            continue
        i = flits[b, place, MESSAGE]
        pair = sender[i] * n + goal[i]
        step = pointer[pair] + flits[b, place, PASSED]
        output = route[step] if step < pointer[pair + 1] else n_links + goal[i]
        claimed = owner[output] >= 0
        if claimed and owner[output] != i:
            continue
        if output < n_links:
            is_open = fill[n + output] < fabric.depth
        else:
            is_open = claimed or seen[output - n_links] < fabric.room
        turn = (b - last[output] - 1) % n_inputs
        if is_open and (best[output, 0] < 0 or turn < best[output, 1]):
            best[output, 0], best[output, 1] = b, turn
            any_open = True
    s.counters[SOONEST] = soonest
    return any_open


@njit(nogil=True, cache=True)
def _move(s: Any, fabric: Any, now: Any, lane: Any) -> None:
    """Move the chosen flits."""
    best, n_links = s.best, len(fabric.hop)
    for output in range(len(best)):
        if best[output, 0] >= 0:
            _pass(s, fabric, now, lane, best[output, 0], output, n_links)
            best[output, 0] = -1


@njit(nogil=True, cache=True)
def _pass(s: Any, fabric: Any, now: Any, lane: Any, b: Any, output: Any, n_links: Any) -> None:
    """Move the first flit of an input through an output."""
    place = s.head[lane, b]
    i, number = s.flits[lane, b, place, MESSAGE], s.flits[lane, b, place, NUMBER]
    passed = s.flits[lane, b, place, PASSED]
    s.head[lane, b] = (place + 1) % fabric.depth
    s.fill[lane, b] -= 1
    s.last[lane, output] = b
    is_last = number == fabric.flits - 1
    s.owner[lane, output] = -1 if is_last else i
    if output < n_links:
        _put(s, lane, len(s.busy) + output, i, number, passed + 1, now + fabric.hop[output])
        return
    r = output - n_links
    s.claimed[r] += number == 0
    if is_last:
        place = (s.first_waiting[r] + s.complete[r]) % s.waiting.shape[1]
        s.waiting[r, place, 0], s.waiting[r, place, 1] = i, now + fabric.within
        s.complete[r] += 1


@njit(nogil=True, cache=True)
def _make(s: Any, flows: Any, fabric: Any, now: Any) -> bool:
    """Hand a flit of every core's message to its port if there is room; return if one was."""
    start, moved, soonest = s.start, False, s.counters[SOONEST]
    for r in range(len(start)):
        if start[r] > now:
            soonest = min(soonest, start[r])
            continue
        i = s.following[r]
        lane = (i - flows.first[r]) % fabric.lanes
        if s.fill[lane, r] == fabric.depth:
            continue
        _put(s, lane, r, i, s.pushed[r], 0, now + fabric.interface)
        s.pushed[r] += 1
        moved = True
        if s.pushed[r] == fabric.flits:
            s.pushed[r] = 0
            s.following[r] += 1
            s.sent[r] = now + flows.tail[r]
            start[r] = now + flows.made[i + 1] if i + 1 < flows.first[r + 1] else FAR
    s.counters[SOONEST] = soonest
    return moved
