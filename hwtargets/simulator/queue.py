"""Queues: every message by itself over per-link FIFO servers with finite buffers, event by event.

A core makes its messages one after the other and stops while its port is full. A message takes a
lane (those of a core alternate), waits in the FIFO at the input of every router on its way and
moves on when the next FIFO of its lane has room and the link is free; who asked first goes first.
A full FIFO stops the one before it, back to the cores. A core that takes messages works on them
one by one; others wait before it in one FIFO for all lanes. Times are whole picoseconds and ties
are broken by order, so the answer is the same everywhere.

Buffers are numbered: ports of the cores 0 .. n - 1, then links, then the inputs of the cores; ports
and links have `lanes` FIFOs, inputs use the first of theirs alone. FIFO q is lane q % lanes of
buffer q // lanes.
"""

import heapq
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from hwtargets.simulator.flows import Fabric, Flows
from snndeploy.ir.arrays import AnyArray, IntArray

READY, LINK, SOURCE, TAKE = 0, 1, 2, 3
"""Events: the head of a FIFO may ask for the next one; a FIFO may let somebody in; a core has made
a message; a core may take one."""
ORDER, LEFT = 0, 1
"""Counters: events so far, messages not taken yet."""


class State(NamedTuple):
    """Where everything is; rows are FIFOs unless said otherwise.

    Attributes:
        held: messages [q, places] and `ready`: when each has arrived.
        head: place of the first one; `fill`: how many are there or on their way.
        size: places.
        asked: whether the first one waits for the next FIFO.
        free: when the link into it is free; `woken`: whether an event waits for that.
        line: first and last FIFO that waits to send into it, -1 for none [q, 2]; `behind`: the
            next one in the line that q itself stands in.
        position: links passed, per message.
        following: next message to make, per core; `blocked`: whether its port is full.
        busy: until when, per core; `sent`, `taken`: when it is done with either.
        counters: see `ORDER`, `LEFT`.
    """

    held: IntArray
    ready: IntArray
    head: IntArray
    fill: IntArray
    size: IntArray
    asked: AnyArray
    free: IntArray
    woken: AnyArray
    line: IntArray
    behind: IntArray
    position: IntArray
    following: IntArray
    blocked: AnyArray
    busy: IntArray
    sent: IntArray
    taken: IntArray
    counters: IntArray


@njit(nogil=True, cache=True)
def run_queue(flows: Flows, fabric: Fabric) -> Any:
    """Return when each core has sent and taken everything [2, n] ps; -1 if messages remain."""
    n = len(flows.tail)
    s = _start(flows, fabric)
    events = [(np.int64(0), np.int64(0), np.int64(0), np.int64(0))]
    events.pop()
    for r in range(n):
        if flows.first[r + 1] > flows.first[r]:
            _later(events, s, flows.made[flows.first[r]], SOURCE, r)
        _later(events, s, flows.backlog[r], TAKE, r)
    while len(events) > 0:
        now, _, kind, index = heapq.heappop(events)
        if kind == SOURCE:
            _make(events, s, flows, fabric, now, index)
        elif kind == TAKE:
            _take(events, s, flows, fabric, now, index)
        elif kind == LINK:
            _let_in(events, s, fabric, n, now, index)
        elif index // fabric.lanes >= n + len(fabric.hop):
            _take(events, s, flows, fabric, now, index // fabric.lanes - n - len(fabric.hop))
        else:
            _ask(events, s, flows, fabric, now, index)
    answer = np.empty((2, n), dtype=np.int64)
    answer[0], answer[1] = s.sent, s.taken
    if s.counters[LEFT] > 0:
        answer[:] = -1
    return answer


@njit(nogil=True, cache=True)
def _start(flows: Any, fabric: Any) -> Any:
    n, n_links, lanes = len(flows.tail), len(fabric.hop), fabric.lanes
    n_queues = (2 * n + n_links) * lanes
    places = max(1, fabric.depth // fabric.flits)
    size = np.full(n_queues, places, dtype=np.int64)
    size[(n + n_links) * lanes :] = fabric.room
    longest = max(places, fabric.room)
    return State(
        np.zeros((n_queues, longest), dtype=np.int64),
        np.zeros((n_queues, longest), dtype=np.int64),
        np.zeros(n_queues, dtype=np.int64),
        np.zeros(n_queues, dtype=np.int64),
        size,
        np.zeros(n_queues, dtype=np.bool_),
        np.zeros(n_queues, dtype=np.int64),
        np.zeros(n_queues, dtype=np.bool_),
        np.full((n_queues, 2), -1, dtype=np.int64),
        np.full(n_queues, -1, dtype=np.int64),
        np.zeros(len(flows.goal), dtype=np.int64),
        flows.first[:-1].copy(),
        np.zeros(n, dtype=np.bool_),
        flows.backlog.copy(),
        flows.tail.copy(),
        flows.backlog.copy(),
        np.array([0, len(flows.goal)], dtype=np.int64),
    )


@njit(nogil=True, cache=True)
def _later(events: Any, s: Any, at: Any, kind: Any, index: Any) -> None:
    """Note an event; those of the same time happen in the order of their notes."""
    s.counters[ORDER] += 1
    event = (np.int64(at), np.int64(s.counters[ORDER]), np.int64(kind), np.int64(index))
    heapq.heappush(events, event)


@njit(nogil=True, cache=True)
def _put(events: Any, s: Any, q: Any, message: Any, at: Any) -> None:
    """Put a message into a FIFO, where it arrives later."""
    place = (s.head[q] + s.fill[q]) % s.size[q]
    s.held[q, place], s.ready[q, place] = message, at
    s.fill[q] += 1
    _later(events, s, at, READY, q)


@njit(nogil=True, cache=True)
def _make(events: Any, s: Any, flows: Any, fabric: Any, now: Any, r: Any) -> None:
    """Hand the next message of a core to its port, or wait until the port has room."""
    i = s.following[r]
    q = r * fabric.lanes + (i - flows.first[r]) % fabric.lanes
    if s.fill[q] == s.size[q]:
        s.blocked[r] = True
        return
    _put(events, s, q, i, now + fabric.interface)
    s.following[r] += 1
    if i + 1 < flows.first[r + 1]:
        _later(events, s, now + flows.made[i + 1], SOURCE, r)
    else:
        s.sent[r] = now + flows.tail[r]


@njit(nogil=True, cache=True)
def _ask(events: Any, s: Any, flows: Any, fabric: Any, now: Any, q: Any) -> None:
    """Put a FIFO, if its first message has arrived, into the line before the next FIFO."""
    if s.fill[q] == 0 or s.asked[q] or s.ready[q, s.head[q]] > now:
        return
    n, n_links, i = len(flows.tail), len(fabric.hop), s.held[q, s.head[q]]
    pair = flows.sender[i] * n + flows.goal[i]
    step = fabric.pointer[pair] + s.position[i]
    if step == fabric.pointer[pair + 1]:
        target = (n + n_links + flows.goal[i]) * fabric.lanes
    else:
        target = (n + fabric.route[step]) * fabric.lanes + q % fabric.lanes
    s.asked[q] = True
    s.behind[q] = -1
    if s.line[target, 0] < 0:
        s.line[target, 0] = q
    else:
        s.behind[s.line[target, 1]] = q
    s.line[target, 1] = q
    _let_in(events, s, fabric, n, now, target)


@njit(nogil=True, cache=True)
def _let_in(events: Any, s: Any, fabric: Any, n: Any, now: Any, target: Any) -> None:
    """Let those who wait for a FIFO in, one after the other, while there is room."""
    link, n_links = target // fabric.lanes - n, len(fabric.hop)
    s.woken[target] = s.woken[target] and s.free[target] > now
    while s.line[target, 0] >= 0 and s.fill[target] < s.size[target]:
        if s.free[target] > now:
            if not s.woken[target]:
                s.woken[target] = True
                _later(events, s, s.free[target], LINK, target)
            return
        q = s.line[target, 0]
        s.line[target, 0] = s.behind[q]
        i = s.held[q, s.head[q]]
        s.position[i] += 1
        s.free[target] = now + fabric.service
        _put(events, s, target, i, now + (fabric.within if link >= n_links else fabric.hop[link]))
        s.asked[q] = False
        _leave(events, s, now, q)
        if q // fabric.lanes < n and s.blocked[q // fabric.lanes]:
            s.blocked[q // fabric.lanes] = False
            _later(events, s, now, SOURCE, q // fabric.lanes)


@njit(nogil=True, cache=True)
def _leave(events: Any, s: Any, now: Any, q: Any) -> None:
    """Take the first message out of a FIFO: the one behind it may ask, who waits may come in."""
    s.head[q] = (s.head[q] + 1) % s.size[q]
    s.fill[q] -= 1
    if s.fill[q] > 0:
        _later(events, s, max(now, s.ready[q, s.head[q]]), READY, q)
    if s.line[q, 0] >= 0:
        _later(events, s, now, LINK, q)


@njit(nogil=True, cache=True)
def _take(events: Any, s: Any, flows: Any, fabric: Any, now: Any, r: Any) -> None:
    """Let a core that is free work on the first message before it."""
    q = (len(flows.tail) + len(fabric.hop) + r) * fabric.lanes
    if s.busy[r] > now or s.fill[q] == 0 or s.ready[q, s.head[q]] > now:
        return
    s.busy[r] = now + flows.work[s.held[q, s.head[q]]]
    s.taken[r] = s.busy[r]
    s.counters[LEFT] -= 1
    _leave(events, s, now, q)
    _later(events, s, s.busy[r], TAKE, r)
