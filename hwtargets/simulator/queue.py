"""Queues: every message by itself over per-link FIFO servers with finite buffers.

A core makes its messages one after the other and stops while its port is full. A message takes a
lane (those of a core alternate), waits in the FIFO at the input of every router on its way and
moves on when the next FIFO of its lane has room and the link is free; who stood in line first goes
first. A full FIFO stops the one before it, back to the cores. A core that takes messages works on
them one by one; others wait before it in one FIFO for all lanes. Times are whole picoseconds and
ties are broken by order, so the answer is the same everywhere.

Events are what cores do: make a message, or take one for whose place another waits. All that
follows from an event is worked out with it, at the times at which it will happen: a message moves
on until it meets others or a FIFO without room, and where it leaves room, those move up that wait
for it. So a message that nothing stops passes all its links in one go, and one made later comes
after it on each of them, even where it would have been there some nanoseconds earlier. When a core
will begin with a message is known as soon as that stands before it. That costs an event per message
instead of one per router; step times stay in the same band around those of a cycle-accurate
network.

Buffers are numbered: ports of the cores 0 .. n - 1, then links, with `lanes` FIFOs each: lane k of
buffer b is FIFO b * lanes + k. Then comes one FIFO per core, its input.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from hwtargets.simulator.flows import Fabric, Flows
from hwtargets.simulator.messages_table import Tables, flows_in, room_for
from snndeploy.ir.arrays import AnyArray, IntArray

NONE, BLOCKED = -1, -2
NEVER = np.int64(1) << 62
MAKES, TAKES = 0, 1
"""The trees of events."""

FIFO = np.dtype(
    [(name, np.int64)
     for name in ("head", "fill", "room", "free", "way", "first", "last", "behind")]
)  # fmt: skip
"""`head`: place of the first message; `fill`: how many are there or on their way; `room`: how many
there may be; `free`: when the link into it is; `way`: time over that link; `first`, `last`: FIFOs
in the line for room in it; `behind`: the one behind it in the line it stands in itself. `BLOCKED`
stands in the line of a port whose core waits."""
PLACE = np.dtype([(name, np.int64) for name in ("message", "arrives", "cursor", "goes")])
"""A place in a FIFO: its message, when that arrives, where the rest of its way begins among `Ways`,
and the FIFO it goes to next. Before a core only `arrives` is set: when the core takes it."""
CORE = np.dtype(
    [(name, np.int64)
     for name in ("next", "stop", "lane", "cursor", "goes", "tail", "busy", "sent")]
)  # fmt: skip
"""`next`, `stop`: next and last + 1 message; `lane`, `cursor`, `goes`: of the next, its way as in
`PLACE`, looked up long before it is needed; `tail`: work after the last one; `busy`: until when it
works on what stands before it; `sent`: when it is done with the other."""
LEFT = np.dtype([("fifo", np.int64), ("at", np.int64)])
"""A FIFO that a message has left, and when."""


class Ways(NamedTuple):
    """The FIFOs on the ways between all pairs of cores, lane by lane.

    Attributes:
        pointer: [lanes * n * n]: where the way of (a, b) begins in `fifo`.
        fifo: of the links one after the other, then the input of the core.
    """

    pointer: IntArray
    fifo: IntArray


class State(NamedTuple):
    """Where everything is.

    Attributes:
        fifo: [FIFOs]; `ring`: their places [FIFOs * size]; `core`: [n].
        tree: the events [2, 2 * leaves], flat: leaf r of the first tree is when core r makes its
            next message, of the second when it takes one for whose place another waits, each as
            time << shift | number; every other node is the smaller of the two below.
        left: what is yet to be looked at [FIFOs].
        goal, made, work: of the messages, see `Flows`; pointer, way: see `Ways`.
        inputs: number of the first input.
    """

    fifo: AnyArray
    ring: AnyArray
    core: AnyArray
    tree: IntArray
    left: AnyArray
    goal: AnyArray
    made: IntArray
    work: AnyArray
    pointer: IntArray
    way: IntArray
    n: int
    leaves: int
    shift: int
    lanes: int
    inputs: int
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
    room = room_for(table, 0)
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
    answer = np.empty((2, s.n), dtype=np.int64)
    remain = 0
    for fifo in s.fifo[: s.inputs]:
        remain += fifo.fill
    for r in range(s.n):
        core = s.core[r]
        remain += core.stop - core.next
        answer[0, r], answer[1, r] = core.sent, core.busy
    if remain:
        answer[:] = NONE
    return answer


@njit(nogil=True, cache=True)
def ways_of(n: int, fabric: Fabric) -> Any:  # pragma: no cover
    """Return the ways between n cores."""
    lanes = fabric.lanes
    pointer = np.empty(lanes * n * n, dtype=np.int64)
    fifo = np.empty(lanes * (len(fabric.route) + n * n), dtype=np.int64)
    at = 0
    for lane in range(lanes):
        for pair in range(n * n):
            pointer[lane * n * n + pair] = at
            for k in range(fabric.pointer[pair], fabric.pointer[pair + 1]):
                fifo[at] = (n + fabric.route[k]) * lanes + lane
                at += 1
            fifo[at] = (n + len(fabric.hop)) * lanes + pair % n
            at += 1
    return Ways(pointer, fifo)


@njit(nogil=True, cache=True)
def _start(flows: Any, fabric: Any, ways: Any) -> Any:  # pragma: no cover
    """Return the state at the start of a step."""
    n, lanes = len(flows.tail), fabric.lanes
    inputs = (n + len(fabric.hop)) * lanes
    places = max(1, fabric.depth // fabric.flits)
    size, leaves, shift = 1, 2, 2
    while size < max(places, fabric.room):
        size *= 2
    while leaves < n:
        leaves, shift = 2 * leaves, shift + 1
    fifo = np.zeros(inputs + n, dtype=FIFO)
    for q in range(len(fifo)):
        fifo[q].first = NONE
        fifo[q].room = places if q < inputs else fabric.room
        link = q // lanes - n
        fifo[q].way = fabric.hop[link] if 0 <= link < len(fabric.hop) else fabric.within
    s = State(
        fifo, np.empty(len(fifo) * size, dtype=PLACE), np.zeros(n, dtype=CORE),
        np.full(4 * leaves, NEVER, dtype=np.int64), np.empty(len(fifo), dtype=LEFT),
        flows.goal, flows.made, flows.work, ways.pointer, ways.fifo, n, leaves, shift, lanes,
        inputs, size, fabric.interface, fabric.service,
    )  # fmt: skip
    for r in range(n):
        core = s.core[r]
        core.next, core.stop = flows.first[r], flows.first[r + 1]
        core.tail = core.sent = flows.tail[r]
        core.busy = flows.backlog[r]
        if core.next < core.stop:
            _plan(s, MAKES, r, flows.made[core.next])
            _look_up(s, r)
    return s


@njit(nogil=True, cache=True, _nrt=False)  # tables are made before: counting references is slow
def _run(s: Any) -> None:  # pragma: no cover
    """Let all events happen, and what follows from them."""
    left, leaves = s.left, s.leaves
    while True:
        event = min(s.tree[1], s.tree[2 * leaves + 1])
        if event == NEVER:
            return
        now, r = event >> s.shift, event & (leaves - 1)
        if event & leaves:
            _make(s, now, r)
            continue
        n_left = _take(s, now, s.inputs + r)
        while n_left > 0:
            n_left -= 1
            q, at = left[n_left].fifo, left[n_left].at
            while at != NONE:
                n_left = _let_in(s, at, q, n_left)
                at = _move_on(s, now, at, q)


@njit(nogil=True, cache=True, inline="always")
def _plan(s: Any, what: Any, r: Any, at: Any) -> None:  # pragma: no cover
    """Note when a core makes or takes next."""
    _set(s, what, r, (at << s.shift) | ((1 - what) * s.leaves) | r)


@njit(nogil=True, cache=True, inline="always")
def _set(s: Any, what: Any, r: Any, key: Any) -> None:  # pragma: no cover
    """Set a leaf of one of the trees and what is above it."""
    tree, root, k = s.tree, what * 2 * s.leaves, s.leaves + r
    tree[root + k] = key
    while k > 1:
        key = min(key, tree[root + (k ^ 1)])
        k >>= 1
        tree[root + k] = key


@njit(nogil=True, cache=True, inline="always")
def _take(s: Any, now: Any, q: Any) -> Any:  # pragma: no cover
    """Let those before a core that wait for the place of the message it takes now.

    Return how many left their FIFOs for it.
    """
    fifo = s.fifo
    _clear(s, now, q)
    n_left = _let_in(s, now, q, 0)
    if fifo[q].first == NONE:
        _set(s, TAKES, q - s.inputs, NEVER)
    else:
        _plan(s, TAKES, q - s.inputs, s.ring[q * s.size + fifo[q].head].arrives)
    return n_left


@njit(nogil=True, cache=True, inline="always")
def _clear(s: Any, now: Any, q: Any) -> None:  # pragma: no cover
    """Drop the messages that a core has taken by now."""
    fifo, ring = s.fifo, s.ring
    while fifo[q].fill > 0 and ring[q * s.size + fifo[q].head].arrives <= now:
        _drop(s, q)


@njit(nogil=True, cache=True, inline="always")
def _make(s: Any, now: Any, r: Any) -> None:  # pragma: no cover
    """Let a core's next message go as far as it can, or stand in its port."""
    core, i, lane = s.core, s.core[r].next, s.core[r].lane
    q, at, cursor, goes = r * s.lanes + lane, now + s.interface, core[r].cursor, core[r].goes
    fill = s.fifo[q].fill
    if fill == s.fifo[q].room:
        s.fifo[q].first = BLOCKED
        _set(s, MAKES, r, NEVER)
        return
    core[r].next = i + 1
    core[r].lane = 0 if lane + 1 == s.lanes else lane + 1
    if i + 1 < core[r].stop:
        _plan(s, MAKES, r, now + s.made[i + 1])
        _look_up(s, r)
    else:
        core[r].sent = now + core[r].tail
        _set(s, MAKES, r, NEVER)
    if fill == 0 and _is_open(s, now, goes):
        _travel(s, now, at, i, cursor, goes)
        return
    _put(s, q, i, at, cursor)
    if fill == 0:
        _stand_in_line(s, q, goes)


@njit(nogil=True, cache=True, inline="always")
def _look_up(s: Any, r: Any) -> None:  # pragma: no cover
    """Note the way of a core's next message."""
    core = s.core
    core[r].cursor = s.pointer[(core[r].lane * s.n + r) * s.n + s.goal[core[r].next]]
    core[r].goes = s.way[core[r].cursor]


@njit(nogil=True, cache=True, inline="always")
def _let_in(s: Any, at: Any, q: Any, n_left: Any) -> Any:  # pragma: no cover
    """Let those in that wait for room in a FIFO; note that they left theirs."""
    fifo, ring = s.fifo, s.ring
    while fifo[q].first != NONE and fifo[q].fill < fifo[q].room:
        other = fifo[q].first
        if other == BLOCKED:
            fifo[q].first = NONE
            _plan(s, MAKES, q // s.lanes, at)
            break
        fifo[q].first = fifo[other].behind
        k = other * s.size + fifo[other].head
        moves = max(max(at, ring[k].arrives), fifo[q].free)
        fifo[q].free = moves + s.service
        _drop(s, other)
        _enter(s, q, ring[k].message, moves + fifo[q].way, ring[k].cursor + 1)
        s.left[n_left].fifo, s.left[n_left].at = other, moves
        n_left += 1
    return n_left


@njit(nogil=True, cache=True, inline="always")
def _move_on(s: Any, now: Any, at: Any, q: Any) -> Any:  # pragma: no cover
    """Let the first message of a port or link go as far as it can; return when it left.

    If it must wait, its FIFO stands in line; it returns NONE then, and if there is no message.
    """
    fifo, ring = s.fifo, s.ring
    if fifo[q].fill == 0:
        return NONE
    k = q * s.size + fifo[q].head
    goes = ring[k].goes
    if not _is_open(s, now, goes):
        _stand_in_line(s, q, goes)
        return NONE
    at = max(at, ring[k].arrives)
    left = max(at, fifo[goes].free)
    _drop(s, q)
    _travel(s, now, at, ring[k].message, ring[k].cursor, goes)
    return left


@njit(nogil=True, cache=True, inline="always")
def _travel(s: Any, now: Any, at: Any, i: Any, cursor: Any, goes: Any) -> None:  # pragma: no cover
    """Let a message that is free at some time into a FIFO with room, and on as far as it can go."""
    fifo = s.fifo
    while True:
        at = max(at, fifo[goes].free)
        fifo[goes].free = at + s.service
        at += fifo[goes].way
        cursor += 1
        if goes >= s.inputs or fifo[goes].fill > 0:
            _enter(s, goes, i, at, cursor)
            return
        following = s.way[cursor]
        if not _is_open(s, now, following):
            _put(s, goes, i, at, cursor)
            _stand_in_line(s, goes, following)
            return
        goes = following


@njit(nogil=True, cache=True, inline="always")
def _is_open(s: Any, now: Any, q: Any) -> Any:  # pragma: no cover
    """Return whether a FIFO has room and nobody waits for it."""
    if q >= s.inputs and s.fifo[q].fill == s.fifo[q].room:
        _clear(s, now, q)
    return (s.fifo[q].first == NONE) & (s.fifo[q].fill < s.fifo[q].room)


@njit(nogil=True, cache=True, inline="always")
def _stand_in_line(s: Any, q: Any, goes: Any) -> None:  # pragma: no cover
    """Put a FIFO into the line of those that wait for room in another."""
    fifo = s.fifo
    fifo[q].behind = NONE
    if fifo[goes].first == NONE:
        fifo[goes].first = q
        if goes >= s.inputs:
            _plan(s, TAKES, goes - s.inputs, s.ring[goes * s.size + fifo[goes].head].arrives)
    else:
        fifo[fifo[goes].last].behind = q
    fifo[goes].last = q


@njit(nogil=True, cache=True, inline="always")
def _enter(s: Any, q: Any, i: Any, at: Any, cursor: Any) -> None:  # pragma: no cover
    """Put a message into a link's FIFO or a core's input, to be taken when the core is free."""
    if q < s.inputs:
        _put(s, q, i, at, cursor)
        return
    core, k = s.core[q - s.inputs], _place(s, q)
    s.ring[k].arrives = max(at, core.busy)
    core.busy = s.ring[k].arrives + s.work[i]
    s.fifo[q].fill += 1


@njit(nogil=True, cache=True, inline="always")
def _put(s: Any, q: Any, i: Any, at: Any, cursor: Any) -> None:  # pragma: no cover
    """Put a message into the FIFO of a port or link."""
    ring, k = s.ring, _place(s, q)
    ring[k].message, ring[k].arrives = i, at
    ring[k].cursor, ring[k].goes = cursor, s.way[cursor]
    s.fifo[q].fill += 1


@njit(nogil=True, cache=True, inline="always")
def _place(s: Any, q: Any) -> Any:  # pragma: no cover
    """Return the first free place of a FIFO."""
    return q * s.size + ((s.fifo[q].head + s.fifo[q].fill) & (s.size - 1))


@njit(nogil=True, cache=True, inline="always")
def _drop(s: Any, q: Any) -> None:  # pragma: no cover
    """Take the first message out of a FIFO."""
    s.fifo[q].head = (s.fifo[q].head + 1) & (s.size - 1)
    s.fifo[q].fill -= 1
