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

READY, LINK, SOURCE, TAKE = 0, 1, 2, 3
"""Events: the head of a FIFO may ask for the next one; a FIFO may let somebody in; a core has made
a message; a core may take one."""

# Everything is a few tables of integers: compiled functions pass few arrays on, which is fast.
HEAD, FILL, SIZE, ASKED, FREE, WOKEN, FIRST, LAST, BEHIND = range(9)
"""Of a FIFO: place of its first message, how many are there or on their way, places, whether the
first one waits for the next FIFO, when the link into it is free, whether an event waits for that,
first and last FIFO that wait to send into it, and the one behind it in the line it stands in."""
MESSAGE, ARRIVES = range(2)
"""Of a place in a FIFO."""
START, NEXT, STOP, BLOCKED, TAIL, BUSY, SENT, TAKEN = range(8)
"""Of a core: its first, next and last + 1 message, whether its port is full, work after the last
one, until when it works on what it took, when it is done with sending and with taking."""
STEP, END, GOAL, MADE, WORK = range(5)
"""Of a message: next and last + 1 place of its way in the routes, core that takes it, time it takes
to make, work where it arrives."""


class Sizes(NamedTuple):
    """Numbers of the fabric."""

    n: int
    n_links: int
    lanes: int
    within: int
    interface: int
    service: int


@njit(nogil=True, cache=True)
def run_queue(flows: Flows, fabric: Fabric) -> Any:
    """Return when each core has sent and taken everything [2, n] ps; -1 if messages remain."""
    n, n_links, route, hop = len(flows.tail), len(fabric.hop), fabric.route, fabric.hop
    z = Sizes(n, n_links, fabric.lanes, fabric.within, fabric.interface, fabric.service)
    fifo, ring, core, message = _tables(flows, fabric)
    order = np.zeros(1, dtype=np.int64)
    events = [(np.int64(0), np.int64(0), np.int64(0), np.int64(0))]
    events.pop()
    for r in range(n):
        if core[r, NEXT] < core[r, STOP]:
            _later(events, order, message[core[r, NEXT], MADE], SOURCE, r)
        _later(events, order, core[r, BUSY], TAKE, r)
    while len(events) > 0:
        now, _, kind, index = heapq.heappop(events)
        if kind == READY and index // z.lanes >= n + n_links:
            kind, index = np.int64(TAKE), index // z.lanes - n - n_links
        if kind == SOURCE:
            _make(events, order, fifo, ring, core, message, z, now, index)
        elif kind == TAKE:
            _take(events, order, fifo, ring, core, message, z, now, index)
        elif kind == READY:
            target = _ask(fifo, ring, message, route, z, now, index)
            if target >= 0:
                _let_in(events, order, fifo, ring, core, message, hop, z, now, target)
        else:
            _let_in(events, order, fifo, ring, core, message, hop, z, now, index)
    answer = np.full((2, n), -1, dtype=np.int64)
    if (fifo[:, FILL] == 0).all() and (core[:, NEXT] == core[:, STOP]).all():
        answer[0], answer[1] = core[:, SENT], core[:, TAKEN]
    return answer


@njit(nogil=True, cache=True)
def _tables(flows: Any, fabric: Any) -> Any:
    """Return FIFOs, their places, cores and messages at the start of a step."""
    n, n_links, lanes = len(flows.tail), len(fabric.hop), fabric.lanes
    places = max(1, fabric.depth // fabric.flits)
    fifo = np.zeros(((2 * n + n_links) * lanes, 9), dtype=np.int64)
    fifo[:, SIZE] = places
    fifo[(n + n_links) * lanes :, SIZE] = fabric.room
    fifo[:, FIRST] = fifo[:, LAST] = fifo[:, BEHIND] = -1
    ring = np.zeros((len(fifo), max(places, fabric.room), 2), dtype=np.int64)
    core = np.zeros((n, 8), dtype=np.int64)
    core[:, START] = core[:, NEXT] = flows.first[:-1]
    core[:, STOP] = flows.first[1:]
    core[:, TAIL] = core[:, SENT] = flows.tail
    core[:, BUSY] = core[:, TAKEN] = flows.backlog
    message = np.zeros((len(flows.goal), 5), dtype=np.int64)
    for i in range(len(message)):
        pair = flows.sender[i] * n + flows.goal[i]
        message[i, STEP], message[i, END] = fabric.pointer[pair], fabric.pointer[pair + 1]
    message[:, GOAL], message[:, MADE], message[:, WORK] = flows.goal, flows.made, flows.work
    return fifo, ring, core, message


@njit(nogil=True, cache=True)
def _later(events: Any, order: Any, at: Any, kind: Any, index: Any) -> None:
    """Note an event; those of the same time happen in the order of their notes."""
    order[0] += 1
    heapq.heappush(events, (np.int64(at), order[0], np.int64(kind), np.int64(index)))


@njit(nogil=True, cache=True)
def _put(events: Any, order: Any, fifo: Any, ring: Any, q: Any, i: Any, at: Any) -> None:
    """Put a message into a FIFO, where it arrives later."""
    place = (fifo[q, HEAD] + fifo[q, FILL]) % fifo[q, SIZE]
    ring[q, place, MESSAGE], ring[q, place, ARRIVES] = i, at
    fifo[q, FILL] += 1
    _later(events, order, at, READY, q)


@njit(nogil=True, cache=True)
def _make(
    events: Any, order: Any, fifo: Any, ring: Any, core: Any, message: Any, z: Any, now: Any, r: Any
) -> None:
    """Hand the next message of a core to its port, or wait until the port has room."""
    i = core[r, NEXT]
    q = r * z.lanes + (i - core[r, START]) % z.lanes
    if fifo[q, FILL] == fifo[q, SIZE]:
        core[r, BLOCKED] = 1
        return
    _put(events, order, fifo, ring, q, i, now + z.interface)
    core[r, NEXT] += 1
    if i + 1 < core[r, STOP]:
        _later(events, order, now + message[i + 1, MADE], SOURCE, r)
    else:
        core[r, SENT] = now + core[r, TAIL]


@njit(nogil=True, cache=True)
def _ask(fifo: Any, ring: Any, message: Any, route: Any, z: Any, now: Any, q: Any) -> int:
    """Put a FIFO, if its first message has arrived, into a line; return whose, -1 if none."""
    first = fifo[q, HEAD]
    if fifo[q, FILL] == 0 or fifo[q, ASKED] or ring[q, first, ARRIVES] > now:
        return -1
    i = ring[q, first, MESSAGE]
    if message[i, STEP] == message[i, END]:
        target = (z.n + z.n_links + message[i, GOAL]) * z.lanes
    else:
        target = (z.n + route[message[i, STEP]]) * z.lanes + q % z.lanes
    fifo[q, ASKED], fifo[q, BEHIND] = 1, -1
    if fifo[target, FIRST] < 0:
        fifo[target, FIRST] = q
    else:
        fifo[fifo[target, LAST], BEHIND] = q
    fifo[target, LAST] = q
    return int(target)


@njit(nogil=True, cache=True)
def _let_in(
    events: Any, order: Any, fifo: Any, ring: Any, core: Any, message: Any, hop: Any, z: Any,
    now: Any, target: Any,
) -> None:  # fmt: skip
    """Let those who wait for a FIFO in, one after the other, while there is room."""
    link = target // z.lanes - z.n
    way = z.within if link >= z.n_links else hop[link]
    fifo[target, WOKEN] = fifo[target, WOKEN] and fifo[target, FREE] > now
    while fifo[target, FIRST] >= 0 and fifo[target, FILL] < fifo[target, SIZE]:
        if fifo[target, FREE] > now:
            if not fifo[target, WOKEN]:
                fifo[target, WOKEN] = 1
                _later(events, order, fifo[target, FREE], LINK, target)
            return
        q = fifo[target, FIRST]
        fifo[target, FIRST] = fifo[q, BEHIND]
        i = ring[q, fifo[q, HEAD], MESSAGE]
        message[i, STEP] += 1
        fifo[target, FREE] = now + z.service
        _put(events, order, fifo, ring, target, i, now + way)
        fifo[q, ASKED] = 0
        _leave(events, order, fifo, ring, now, q)
        if q // z.lanes < z.n and core[q // z.lanes, BLOCKED]:
            core[q // z.lanes, BLOCKED] = 0
            _later(events, order, now, SOURCE, q // z.lanes)


@njit(nogil=True, cache=True)
def _leave(events: Any, order: Any, fifo: Any, ring: Any, now: Any, q: Any) -> None:
    """Take the first message out of a FIFO: the one behind it may ask, who waits may come in."""
    fifo[q, HEAD] = (fifo[q, HEAD] + 1) % fifo[q, SIZE]
    fifo[q, FILL] -= 1
    if fifo[q, FILL] > 0:
        _later(events, order, max(now, ring[q, fifo[q, HEAD], ARRIVES]), READY, q)
    if fifo[q, FIRST] >= 0:
        _later(events, order, now, LINK, q)


@njit(nogil=True, cache=True)
def _take(
    events: Any, order: Any, fifo: Any, ring: Any, core: Any, message: Any, z: Any, now: Any, r: Any
) -> None:
    """Let a core that is free work on the first message before it."""
    q = (z.n + z.n_links + r) * z.lanes
    first = fifo[q, HEAD]
    if core[r, BUSY] > now or fifo[q, FILL] == 0 or ring[q, first, ARRIVES] > now:
        return
    core[r, BUSY] = core[r, TAKEN] = now + message[ring[q, first, MESSAGE], WORK]
    _leave(events, order, fifo, ring, now, q)
    _later(events, order, core[r, BUSY], TAKE, r)
