"""Queues: every message by itself over per-link FIFO servers with finite buffers.

A core makes its messages one after the other and stops while its port is full. A message takes a
lane (those of a core alternate), waits in the FIFO at the input of every router on its way and
moves on when the next FIFO of its lane has room and the link is free; who stood in line first goes
first. A full FIFO stops the one before it, back to the cores. A core that takes messages works on
them one by one; others wait before it in one FIFO for all lanes. Times are whole picoseconds and
ties are broken by order, so the answer is the same everywhere.

Events are what cores do: make a message, take one. All that follows from an event is worked out
with it, at the times at which it will happen: a message moves on until it meets others or a FIFO
without room, and where it leaves room, those move up that wait for it. So a message that nothing
stops passes all its links in one go, and one made later comes after it on each of them, even where
it would have been there some nanoseconds earlier. That costs an event per message instead of one
per router, and does not show in how far step times are from those of a cycle-accurate network.

Buffers are numbered: ports of the cores 0 .. n - 1, then links, with `lanes` FIFOs each: lane k of
buffer b is FIFO b * lanes + k. Then comes one FIFO per core, its input.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from hwtargets.simulator.flows import Fabric, Flows
from hwtargets.simulator.messages_table import Tables, flows_in, room_for
from snndeploy.ir.arrays import IntArray

NONE = -1
NEVER = np.int64(1) << 62

HEAD, FILL, LANE, FREE, WAY, FIRST, LAST, BEHIND = range(8)
"""Of a FIFO: place of its first message, how many are there or on their way, its lane, when the
link into it is free, time over that link, first and last FIFO in the line for room in it, and the
one behind it in the line it stands in itself."""
MESSAGE, ARRIVES, CURSOR, GOES = range(4)
"""Of a place in a FIFO: its message, when it arrives, where the rest of its way begins among
`Ways`, and the FIFO it goes to next."""
NEXT, STOP, PORT, IS_BLOCKED, TAIL, BUSY, SENT, TAKEN = range(8)
"""Of a core: its next and last + 1 message, the lane of the next, whether its port is full, work
after the last one, until when it works on what it took, when it is done with sending and with
taking."""


class Ways(NamedTuple):
    """The FIFOs on the ways between all pairs of cores.

    Attributes:
        pointer: [n * n]: where the way of (a, b) begins in `fifo`.
        fifo: lane 0 of the links one after the other, then the input of the core.
    """

    pointer: IntArray
    fifo: IntArray


class State(NamedTuple):
    """Where everything is; tables of integers.

    Attributes:
        fifo: [FIFOs, 8]; `ring`: their places [FIFOs * size, 4]; `core`: [n, 8].
        tree: the events [2 * leaves]: leaf r is what core r takes next, n + r what it makes next,
            each as time << shift | number; every other node is the smaller of the two below.
        waiting: FIFOs in which there is room, and since when, yet to be looked at [FIFOs, 2].
        goal, made, work: of the messages, see `Flows`; pointer, way: see `Ways`.
        inputs: number of the first input; places: in every other FIFO; room: in those.
    """

    fifo: IntArray
    ring: IntArray
    core: IntArray
    tree: IntArray
    waiting: IntArray
    goal: IntArray
    made: IntArray
    work: IntArray
    pointer: IntArray
    way: IntArray
    n: int
    leaves: int
    shift: int
    lanes: int
    inputs: int
    places: int
    room: int
    size: int
    interface: int
    service: int


@njit(nogil=True, cache=True)
def run_steps(
    table: Tables, fabric: Fabric, start: int, stop: int, done: IntArray
) -> None:  # pragma: no cover
    """Write when each core is done in chip steps start .. stop to done [n, stop - start] ps.

    What is done is -1 if messages block each other.
    """
    room = room_for(0)
    ways = ways_of(len(table.node), fabric)
    for t in range(start, stop):
        flows, room = flows_in(table, t, room)
        answer = _done(flows, fabric, ways)
        done[:, t - start] = np.maximum(answer[0], answer[1])


@njit(nogil=True, cache=True)
def run_queue(flows: Flows, fabric: Fabric) -> Any:  # pragma: no cover
    """Return when each core has sent and taken everything [2, n] ps; -1 if messages remain."""
    return _done(flows, fabric, ways_of(len(flows.tail), fabric))


@njit(nogil=True, cache=True)
def _done(flows: Any, fabric: Any, ways: Any) -> Any:  # pragma: no cover
    """Do as `run_queue` does with the ways between the cores."""
    s = _start(flows, fabric, ways)
    _run(s)
    answer = np.full((2, s.n), NONE, dtype=np.int64)
    if (s.fifo[:, FILL] == 0).all() and (s.core[:, NEXT] == s.core[:, STOP]).all():
        answer[0], answer[1] = s.core[:, SENT], s.core[:, TAKEN]
    return answer


@njit(nogil=True, cache=True)
def ways_of(n: int, fabric: Fabric) -> Any:  # pragma: no cover
    """Return the ways between n cores."""
    pointer = np.empty(n * n, dtype=np.int64)
    fifo = np.empty(len(fabric.route) + n * n, dtype=np.int64)
    for pair in range(n * n):
        first, stop = fabric.pointer[pair], fabric.pointer[pair + 1]
        pointer[pair] = first + pair
        for k in range(first, stop):
            fifo[k + pair] = (n + fabric.route[k]) * fabric.lanes
        fifo[stop + pair] = (n + len(fabric.hop)) * fabric.lanes + pair % n
    return Ways(pointer, fifo)


@njit(nogil=True, cache=True)
def _start(flows: Any, fabric: Any, ways: Any) -> Any:  # pragma: no cover
    """Return the state at the start of a step."""
    n, lanes = len(flows.tail), fabric.lanes
    inputs = (n + len(fabric.hop)) * lanes
    places = max(1, fabric.depth // fabric.flits)
    size, leaves, shift = 1, 2, 1
    while size < max(places, fabric.room):
        size *= 2
    while leaves < 2 * n:
        leaves, shift = 2 * leaves, shift + 1
    fifo = np.zeros((inputs + n, 8), dtype=np.int64)
    fifo[:, FIRST], fifo[:, WAY] = NONE, fabric.within
    for q in range(inputs):
        fifo[q, LANE] = q % lanes
        if q >= n * lanes:
            fifo[q, WAY] = fabric.hop[q // lanes - n]
    s = State(
        fifo, np.empty((len(fifo) * size, 4), dtype=np.int64), np.zeros((n, 8), dtype=np.int64),
        np.full(2 * leaves, NEVER, dtype=np.int64), np.empty((len(fifo), 2), dtype=np.int64),
        flows.goal, flows.made, flows.work, ways.pointer, ways.fifo, n, leaves, shift, lanes,
        inputs, places, fabric.room, size, fabric.interface, fabric.service,
    )  # fmt: skip
    for r in range(n):
        s.core[r, NEXT], s.core[r, STOP] = flows.first[r], flows.first[r + 1]
        s.core[r, TAIL] = s.core[r, SENT] = flows.tail[r]
        s.core[r, BUSY] = s.core[r, TAKEN] = flows.backlog[r]
        if flows.first[r] < flows.first[r + 1]:
            _plan(s, n + r, flows.made[flows.first[r]])
    return s


@njit(nogil=True, cache=True, _nrt=False)  # tables are made before: counting references is slow
def _run(s: Any) -> None:  # pragma: no cover
    """Let all events happen, and what follows from them."""
    waiting = s.waiting
    while s.tree[1] < NEVER:
        event, now = s.tree[1] & (s.leaves - 1), s.tree[1] >> s.shift
        q = _take(s, now, event) if event < s.n else _make(s, now, event - s.n)
        n_waiting = 0 if q == NONE else 1
        waiting[0, 0], waiting[0, 1] = q, now
        while n_waiting > 0:
            n_waiting -= 1
            q, at = waiting[n_waiting, 0], waiting[n_waiting, 1]
            while at != NONE:
                n_waiting = _let_in(s, at, q, n_waiting)
                at = _move_on(s, at, q) if q < s.inputs else NONE


@njit(nogil=True, cache=True, inline="always")
def _plan(s: Any, event: Any, at: Any) -> None:  # pragma: no cover
    """Note when an event happens next."""
    _set(s, event, (at << s.shift) | event)


@njit(nogil=True, cache=True, inline="always")
def _set(s: Any, event: Any, key: Any) -> None:  # pragma: no cover
    """Set a leaf of the tree and what is above it."""
    tree, k = s.tree, s.leaves + event
    tree[k] = key
    while k > 1:
        key = min(key, tree[k ^ 1])
        k >>= 1
        tree[k] = key


@njit(nogil=True, cache=True, inline="always")
def _take(s: Any, now: Any, r: Any) -> Any:  # pragma: no cover
    """Let a core work on the first message before it; return its input, NONE if nobody waits."""
    fifo, core, ring, q = s.fifo, s.core, s.ring, s.inputs + r
    busy = now + s.work[ring[q * s.size + fifo[q, HEAD], MESSAGE]]
    core[r, BUSY] = core[r, TAKEN] = busy
    _drop(s, q)
    if fifo[q, FILL] > 0:
        _plan(s, r, max(busy, ring[q * s.size + fifo[q, HEAD], ARRIVES]))
    else:
        _set(s, r, NEVER)
    return q if fifo[q, FIRST] != NONE else NONE


@njit(nogil=True, cache=True, inline="always")
def _make(s: Any, now: Any, r: Any) -> Any:  # pragma: no cover
    """Hand a core's next message to its port; return the port if it may move on, else NONE."""
    core, i, lane = s.core, s.core[r, NEXT], s.core[r, PORT]
    q, event = r * s.lanes + lane, s.n + r
    if s.fifo[q, FILL] == s.places:
        core[r, IS_BLOCKED] = 1
        _set(s, event, NEVER)
        return NONE
    _put(s, q, i, now + s.interface, s.pointer[r * s.n + s.goal[i]], lane)
    core[r, NEXT] = i + 1
    core[r, PORT] = 0 if lane + 1 == s.lanes else lane + 1
    if i + 1 < core[r, STOP]:
        _plan(s, event, now + s.made[i + 1])
    else:
        core[r, SENT] = now + core[r, TAIL]
        _set(s, event, NEVER)
    return q if s.fifo[q, FILL] == 1 else NONE


@njit(nogil=True, cache=True, inline="always")
def _let_in(s: Any, at: Any, q: Any, n_waiting: Any) -> Any:  # pragma: no cover
    """Let those in that wait for a FIFO with room; note that there is room where they were."""
    fifo, core, ring = s.fifo, s.core, s.ring
    while fifo[q, FIRST] != NONE and _has_room(s, q):
        other = fifo[q, FIRST]
        fifo[q, FIRST] = fifo[other, BEHIND]
        k = other * s.size + fifo[other, HEAD]
        moves = max(max(at, ring[k, ARRIVES]), fifo[q, FREE])
        fifo[q, FREE] = moves + s.service
        _drop(s, other)
        _enter(s, q, ring[k, MESSAGE], moves + fifo[q, WAY], ring[k, CURSOR] + 1)
        s.waiting[n_waiting, 0], s.waiting[n_waiting, 1] = other, moves
        n_waiting += 1
    r = q // s.lanes
    if r < s.n and core[r, IS_BLOCKED] and core[r, PORT] == fifo[q, LANE] and _has_room(s, q):
        core[r, IS_BLOCKED] = 0
        _plan(s, s.n + r, at)
    return n_waiting


@njit(nogil=True, cache=True, inline="always")
def _move_on(s: Any, at: Any, q: Any) -> Any:  # pragma: no cover
    """Let the first message of a port or link go as far as it can; return when it left.

    If it must wait, its FIFO stands in line; it returns NONE then, and if there is no message.
    """
    fifo, ring = s.fifo, s.ring
    k = q * s.size + fifo[q, HEAD]
    goes = ring[k, GOES]
    if fifo[q, FILL] == 0 or not _is_open(s, goes):
        if fifo[q, FILL] > 0:
            _stand_in_line(s, q, goes)
        return NONE
    i, cursor, lane = ring[k, MESSAGE], ring[k, CURSOR], fifo[q, LANE]
    at = max(at, ring[k, ARRIVES])
    left = max(at, fifo[goes, FREE])
    _drop(s, q)
    while True:
        at = max(at, fifo[goes, FREE])
        fifo[goes, FREE] = at + s.service
        at += fifo[goes, WAY]
        cursor += 1
        if goes >= s.inputs or fifo[goes, FILL] > 0:
            _enter(s, goes, i, at, cursor)
            return left
        following = _fifo_at(s, cursor, lane)
        if not _is_open(s, following):
            _put(s, goes, i, at, cursor, lane)
            _stand_in_line(s, goes, following)
            return left
        goes = following


@njit(nogil=True, cache=True, inline="always")
def _is_open(s: Any, q: Any) -> Any:  # pragma: no cover
    """Return whether a FIFO has room and nobody waits for it."""
    return s.fifo[q, FIRST] == NONE and _has_room(s, q)


@njit(nogil=True, cache=True, inline="always")
def _has_room(s: Any, q: Any) -> Any:  # pragma: no cover
    return s.fifo[q, FILL] < (s.places if q < s.inputs else s.room)


@njit(nogil=True, cache=True, inline="always")
def _stand_in_line(s: Any, q: Any, goes: Any) -> None:  # pragma: no cover
    """Put a FIFO into the line of those that wait for room in another."""
    fifo = s.fifo
    fifo[q, BEHIND] = NONE
    if fifo[goes, FIRST] == NONE:
        fifo[goes, FIRST] = q
    else:
        fifo[fifo[goes, LAST], BEHIND] = q
    fifo[goes, LAST] = q


@njit(nogil=True, cache=True, inline="always")
def _enter(s: Any, q: Any, i: Any, at: Any, cursor: Any) -> None:  # pragma: no cover
    """Put a message into a link's FIFO or a core's input; a free core may take it."""
    if q < s.inputs:
        _put(s, q, i, at, cursor, s.fifo[q, LANE])
        return
    s.ring[_place(s, q), MESSAGE], s.ring[_place(s, q), ARRIVES] = i, at
    s.fifo[q, FILL] += 1
    if s.fifo[q, FILL] == 1:
        _plan(s, q - s.inputs, max(at, s.core[q - s.inputs, BUSY]))


@njit(nogil=True, cache=True, inline="always")
def _put(s: Any, q: Any, i: Any, at: Any, cursor: Any, lane: Any) -> None:  # pragma: no cover
    """Put a message into the FIFO of a port or link."""
    ring, k = s.ring, _place(s, q)
    ring[k, MESSAGE], ring[k, ARRIVES] = i, at
    ring[k, CURSOR], ring[k, GOES] = cursor, _fifo_at(s, cursor, lane)
    s.fifo[q, FILL] += 1


@njit(nogil=True, cache=True, inline="always")
def _place(s: Any, q: Any) -> Any:  # pragma: no cover
    """Return the first free place of a FIFO."""
    return q * s.size + ((s.fifo[q, HEAD] + s.fifo[q, FILL]) & (s.size - 1))


@njit(nogil=True, cache=True, inline="always")
def _fifo_at(s: Any, cursor: Any, lane: Any) -> Any:  # pragma: no cover
    """Return a FIFO of a message's way."""
    q = s.way[cursor]
    return q + lane if q < s.inputs else q


@njit(nogil=True, cache=True, inline="always")
def _drop(s: Any, q: Any) -> None:  # pragma: no cover
    """Take the first message out of a FIFO."""
    s.fifo[q, HEAD] = (s.fifo[q, HEAD] + 1) & (s.size - 1)
    s.fifo[q, FILL] -= 1
