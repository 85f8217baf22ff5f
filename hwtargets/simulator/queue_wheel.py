"""The network of `queue`, run fast: the same events in the same order, without the idle ones.

`queue.py` says what happens; this module gives the same answer and is compared with it. Events of
later times lie on a wheel of slots in which they are sorted; what happens at once waits in a line.
An event in the line comes after all on the wheel of the same time, which were noted before.

A message that arrives in a FIFO needs an event only when it is the first one there, and a core that
takes needs one only when a message is there: all others would change nothing. Where one of them
falls on the very moment at which its FIFO moves on, it is what moves it, and its turn counts: that
is what the numbers of the notes are kept for. This holds if no time is zero, see `suits`.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.cpython.unsafe.numbers import trailing_zeros

from hwtargets.simulator.flows import Fabric, Flows
from hwtargets.simulator.messages_table import Tables, flows_in, room_for
from snndeploy.ir.arrays import IntArray

SHIFT, SLOTS = 7, 4096
"""A slot is 2**SHIFT ps; what is further off than all of them waits in the last one."""
LATER = np.int64(1) << 62
NONE = -1

HEAD, FILL, SIZE, ASKED, FREE, WOKEN, FIRST, LAST, BEHIND = range(9)
"""Of a FIFO, as in `queue.py`."""
BASE, ARRIVED, LANE, BUFFER, WAY, TURN = range(9, 15)
"""And: its first place, when its last message arrives, its lane and buffer, time to get into it,
which of its two events of a free link is next."""
MESSAGE, ARRIVES, NOTE, GOES = range(4)
"""Of a place in a FIFO: its message, when it arrives, the note of that, and where it goes next:
what is looked up when a message comes in is at hand when it asks."""
NEXT, STOP, PORT, BLOCKED, TAIL, BUSY, SENT, TAKEN, TURNS = range(9)
"""Of a core: its next and last + 1 message, the lane of the next, whether its port is full, work
after the last one, until when it works on what it took, when it is done with sending and with
taking, and the note of the end of its work."""
STEP, END, GOAL, WORK = range(4)
"""Of a message: next and last + 1 place of its way in the routes, core that takes it, its work."""
TIME, TURN_OF, FOLLOWS = range(3)
"""Of an event: when, its note, and the one behind it in its slot."""
ORDER, NOW, TURN_NOW, SLOT, FRONT, BACK = range(6)
"""Counters: notes so far; time and note of the event under way; slot of the time; ends of the
line."""


class State(NamedTuple):
    """Where everything is; tables of integers.

    Attributes:
        fifo: [FIFOs, 15]; `ring`: their places [places, 4]; `core`: [n, 9].
        message: [m, 4]; `made`: time between the one before it and this one [m].
        event: [events, 3]: of each FIFO the arrival of its first message; of each core what it
            makes, then what it takes; of each FIFO two for its link.
        slot: first event of each, -1 for none; `filled`: a bit for each; `words`: for 64 of those.
        line: events that happen at once.
        counter: see `ORDER`.
    """

    fifo: IntArray
    ring: IntArray
    core: IntArray
    message: IntArray
    made: IntArray
    event: IntArray
    slot: IntArray
    filled: IntArray
    words: IntArray
    line: IntArray
    counter: IntArray
    route: IntArray
    n: int
    n_links: int
    lanes: int
    interface: int
    service: int


@njit(nogil=True, cache=True)
def suits(flows: Flows, fabric: Fabric) -> bool:  # pragma: no cover
    """Return whether no time is zero, as must be here."""
    n = len(flows.tail)
    for r in range(n):
        for i in range(flows.first[r] + 1, flows.first[r + 1]):
            if flows.made[i] < 1:
                return False
    if len(flows.work) > 0 and flows.work.min() < 1:
        return False
    if len(fabric.hop) > 0 and fabric.hop.min() < 1:
        return False
    return min(fabric.within, fabric.interface, fabric.service) >= 1


@njit(nogil=True, cache=True)
def run_wheel(flows: Flows, fabric: Fabric) -> Any:  # pragma: no cover
    """Return when each core has sent and taken everything [2, n] ps; -1 if messages remain."""
    return _done(flows, fabric, room_for(len(flows.goal)).way)


@njit(nogil=True, cache=True)
def _done(flows: Any, fabric: Any, way: Any) -> Any:  # pragma: no cover
    """Do as `run_wheel` does in memory for messages [m or more, 4]."""
    s = _start(flows, fabric, way)
    _run(s)
    answer = np.full((2, s.n), -1, dtype=np.int64)
    if (s.fifo[:, FILL] == 0).all() and (s.core[:, NEXT] == s.core[:, STOP]).all():
        answer[0], answer[1] = s.core[:, SENT], s.core[:, TAKEN]
    return answer


@njit(nogil=True, cache=True)
def run_steps(table: Tables, fabric: Fabric, start: int, stop: int, done: IntArray) -> Any:
    """Write when each core is done in chip steps start .. stop to done [n, stop - start] ps.

    Returns:
        The first step that was not run, as times of it are zero; `stop` if there is none.
    """
    room = room_for(0)
    for t in range(start, stop):
        flows, room = flows_in(table, t, room)
        if not suits(flows, fabric):
            return t
        answer = _done(flows, fabric, room.way)
        done[:, t - start] = np.maximum(answer[0], answer[1])
    return stop


@njit(nogil=True, cache=True, _nrt=False)  # tables are made before: counting references is slow
def _run(s: Any) -> None:  # pragma: no cover
    """Let all events happen."""
    n_fifos = len(s.fifo)
    makes, takes, links = n_fifos, n_fifos + s.n, n_fifos + 2 * s.n
    while True:
        event = _next(s)
        if event < 0:
            break
        now, target = s.counter[NOW], NONE
        if event < makes:
            target = _ask(s, now, event)
        elif event >= links:
            target = (event - links) >> 1
        elif event < takes:
            _make(s, now, event - makes)
        else:
            _take(s, now, event - takes)
        if target >= 0:
            _let_in(s, now, target)


@njit(nogil=True, cache=True)
def _start(flows: Any, fabric: Any, message: Any) -> Any:  # pragma: no cover
    """Return the state at the start of a step."""
    n, n_links, lanes = len(flows.tail), len(fabric.hop), fabric.lanes
    places = max(1, fabric.depth // fabric.flits)
    fifo = np.zeros(((2 * n + n_links) * lanes, 15), dtype=np.int64)
    n_fifos, base = len(fifo), 0
    for q in range(n_fifos):
        buffer = q // lanes
        fifo[q, SIZE] = places if buffer < n + n_links else fabric.room
        fifo[q, FIRST] = fifo[q, LAST] = fifo[q, BEHIND] = NONE
        fifo[q, BASE], fifo[q, LANE], fifo[q, BUFFER] = base, q % lanes, buffer
        fifo[q, WAY] = fabric.within
        if n <= buffer < n + n_links:
            fifo[q, WAY] = fabric.hop[buffer - n]
        base += fifo[q, SIZE]
    for i in range(len(flows.goal)):
        pair = flows.sender[i] * n + flows.goal[i]
        message[i, STEP], message[i, END] = fabric.pointer[pair], fabric.pointer[pair + 1]
        message[i, GOAL], message[i, WORK] = flows.goal[i], flows.work[i]
    n_events = 3 * n_fifos + 2 * n
    size = 1
    while size < 2 * n_events:
        size *= 2
    s = State(
        fifo, np.zeros((base, 4), dtype=np.int64), np.zeros((n, 9), dtype=np.int64), message,
        flows.made, np.zeros((n_events, 3), dtype=np.int64), np.full(SLOTS, NONE, dtype=np.int64),
        np.zeros(SLOTS // 64, dtype=np.int64), np.zeros(1, dtype=np.int64),
        np.zeros(size, dtype=np.int64), np.zeros(6, dtype=np.int64), fabric.route,
        n, n_links, lanes, fabric.interface, fabric.service,
    )  # fmt: skip
    for r in range(n):
        s.core[r, NEXT], s.core[r, STOP] = flows.first[r], flows.first[r + 1]
        s.core[r, TAIL] = s.core[r, SENT] = flows.tail[r]
        s.core[r, BUSY] = s.core[r, TAKEN] = flows.backlog[r]
        if flows.first[r] < flows.first[r + 1]:
            _later(s, n_fifos + r, flows.made[flows.first[r]], _note(s))
        s.core[r, TURNS] = _note(s)
    return s


@njit(nogil=True, cache=True, inline="always")
def _note(s: Any) -> Any:  # pragma: no cover
    """Return the number of a new note."""
    s.counter[ORDER] += 1
    return s.counter[ORDER]


@njit(nogil=True, cache=True, inline="always")
def _later(s: Any, event: Any, at: Any, note: Any) -> None:  # pragma: no cover
    """Put an event on the wheel, behind those that come before it."""
    table, slot = s.event, s.slot
    table[event, TIME], table[event, TURN_OF] = at, note
    k = min(at >> SHIFT, s.counter[SLOT] + SLOTS - 1) & (SLOTS - 1)
    before, other = -1, slot[k]
    if other < 0:
        s.filled[k >> 6] |= np.int64(1) << (k & 63)
        s.words[0] |= np.int64(1) << (k >> 6)
    while other >= 0 and (
        table[other, TIME] < at or (table[other, TIME] == at and table[other, TURN_OF] < note)
    ):
        before, other = other, table[other, FOLLOWS]
    table[event, FOLLOWS] = other
    if before < 0:
        slot[k] = event
    else:
        table[before, FOLLOWS] = event


@njit(nogil=True, cache=True, inline="always")
def _at_once(s: Any, event: Any) -> None:  # pragma: no cover
    """Put an event into the line."""
    s.line[s.counter[BACK] & (len(s.line) - 1)] = event
    s.counter[BACK] += 1


@njit(nogil=True, cache=True, inline="always")
def _next(s: Any) -> Any:  # pragma: no cover
    """Take out the next event, -1 if there is none; set the time."""
    counter, table, slot = s.counter, s.event, s.slot
    k = counter[SLOT] & (SLOTS - 1)
    event = slot[k]
    if counter[FRONT] < counter[BACK]:
        if event < 0 or table[event, TIME] > counter[NOW]:
            event = s.line[counter[FRONT] & (len(s.line) - 1)]
            counter[FRONT] += 1
            counter[TURN_NOW] = LATER
            return event
    else:
        while event < 0 or table[event, TIME] >> SHIFT > counter[SLOT]:
            if event >= 0:
                _remove(s, k, event)
                _later(s, event, table[event, TIME], table[event, TURN_OF])
            else:
                if s.words[0] == 0:
                    return -1
                counter[SLOT] += (_filled_from(s, k) - k) & (SLOTS - 1)
                k = counter[SLOT] & (SLOTS - 1)
            event = slot[k]
    _remove(s, k, event)
    counter[NOW], counter[TURN_NOW] = table[event, TIME], table[event, TURN_OF]
    return event


@njit(nogil=True, cache=True, inline="always")
def _remove(s: Any, k: Any, event: Any) -> None:  # pragma: no cover
    """Take the first event of a slot off the wheel."""
    s.slot[k] = s.event[event, FOLLOWS]
    if s.slot[k] < 0:
        s.filled[k >> 6] &= ~(np.int64(1) << (k & 63))
        if s.filled[k >> 6] == 0:
            s.words[0] &= ~(np.int64(1) << (k >> 6))


@njit(nogil=True, cache=True, inline="always")
def _filled_from(s: Any, k: Any) -> Any:  # pragma: no cover
    """Return the first slot from k on, around the wheel, that holds an event."""
    word = k >> 6
    bits = s.filled[word] & (np.int64(-1) << (k & 63))
    if bits == 0:
        others = s.words[0] & (np.int64(-2) << word) if word < 63 else np.int64(0)
        if others == 0:
            others = s.words[0]
        word = trailing_zeros(others)
        bits = s.filled[word]
    return (word << 6) + trailing_zeros(bits)


@njit(nogil=True, cache=True, inline="always")
def _put(s: Any, q: Any, i: Any, at: Any) -> None:  # pragma: no cover
    """Put a message into a FIFO, where it arrives later."""
    fifo, ring = s.fifo, s.ring
    note = _note(s)
    place = fifo[q, HEAD] + fifo[q, FILL]
    if place >= fifo[q, SIZE]:
        place -= fifo[q, SIZE]
    place += fifo[q, BASE]
    ring[place, MESSAGE], ring[place, ARRIVES], ring[place, NOTE] = i, at, note
    fifo[q, ARRIVED] = at
    r = fifo[q, BUFFER] - s.n - s.n_links
    if r < 0:
        step = s.message[i, STEP]
        s.message[i, STEP] = step + 1
        if step == s.message[i, END]:
            ring[place, GOES] = (s.n + s.n_links + s.message[i, GOAL]) * s.lanes
        else:
            ring[place, GOES] = (s.n + s.route[step]) * s.lanes + fifo[q, LANE]
    fifo[q, FILL] += 1
    if fifo[q, FILL] > 1:
        return
    if r < 0:
        _later(s, q, at, note)
    elif s.core[r, BUSY] >= at:
        _later(s, len(fifo) + s.n + r, s.core[r, BUSY], s.core[r, TURNS])
    else:
        _later(s, len(fifo) + s.n + r, at, note)


@njit(nogil=True, cache=True, inline="always")
def _arriving(s: Any, q: Any, at: Any) -> Any:  # pragma: no cover
    """Return the note of the message of a FIFO that arrives at a time, -1 if none does."""
    fifo, ring = s.fifo, s.ring
    if fifo[q, ARRIVED] < at:
        return -1
    for k in range(fifo[q, FILL]):
        place = fifo[q, HEAD] + k
        if place >= fifo[q, SIZE]:
            place -= fifo[q, SIZE]
        if ring[fifo[q, BASE] + place, ARRIVES] == at:
            return ring[fifo[q, BASE] + place, NOTE]
    return -1


@njit(nogil=True, cache=True, inline="always")
def _make(s: Any, now: Any, r: Any) -> None:  # pragma: no cover
    """Hand the next message of a core to its port, or wait until the port has room."""
    core, fifo = s.core, s.fifo
    i = core[r, NEXT]
    q = r * s.lanes + core[r, PORT]
    if fifo[q, FILL] == fifo[q, SIZE]:
        core[r, BLOCKED] = 1
        return
    _put(s, q, i, now + s.interface)
    core[r, NEXT] = i + 1
    core[r, PORT] = 0 if core[r, PORT] + 1 == s.lanes else core[r, PORT] + 1
    if i + 1 < core[r, STOP]:
        _later(s, len(fifo) + r, now + s.made[i + 1], _note(s))
    else:
        core[r, SENT] = now + core[r, TAIL]


@njit(nogil=True, cache=True, inline="always")
def _ask(s: Any, now: Any, q: Any) -> Any:  # pragma: no cover
    """Put a FIFO, if its first message has arrived, into a line; return whose, -1 if none."""
    fifo, ring = s.fifo, s.ring
    first = fifo[q, BASE] + fifo[q, HEAD]
    if fifo[q, FILL] == 0 or fifo[q, ASKED] or ring[first, ARRIVES] > now:
        return -1
    target = ring[first, GOES]
    fifo[q, ASKED], fifo[q, BEHIND] = 1, NONE
    if fifo[target, FIRST] < 0:
        fifo[target, FIRST] = q
    else:
        fifo[fifo[target, LAST], BEHIND] = q
    fifo[target, LAST] = q
    return target


@njit(nogil=True, cache=True, inline="always")
def _let_in(s: Any, now: Any, target: Any) -> None:  # pragma: no cover
    """Let those who wait for a FIFO in, one after the other, while there is room."""
    fifo, ring = s.fifo, s.ring
    if fifo[target, FREE] <= now:
        fifo[target, WOKEN] = 0
    while fifo[target, FIRST] >= 0 and fifo[target, FILL] < fifo[target, SIZE]:
        if fifo[target, FREE] > now:
            if not fifo[target, WOKEN]:
                fifo[target, WOKEN] = 1
                fifo[target, TURN] ^= 1
                event = len(fifo) + 2 * s.n + 2 * target + fifo[target, TURN]
                _later(s, event, fifo[target, FREE], _note(s))
            return
        q = fifo[target, FIRST]
        fifo[target, FIRST] = fifo[q, BEHIND]
        i = ring[fifo[q, BASE] + fifo[q, HEAD], MESSAGE]
        fifo[target, FREE] = now + s.service
        _put(s, target, i, now + fifo[target, WAY])
        fifo[q, ASKED] = 0
        _leave(s, now, q)
        r = fifo[q, BUFFER]
        if r < s.n and s.core[r, BLOCKED]:
            s.core[r, BLOCKED] = 0
            _at_once(s, len(fifo) + r)


@njit(nogil=True, cache=True, inline="always")
def _drop(s: Any, q: Any) -> None:  # pragma: no cover
    """Take the first message out of a FIFO."""
    fifo = s.fifo
    fifo[q, HEAD] = 0 if fifo[q, HEAD] + 1 == fifo[q, SIZE] else fifo[q, HEAD] + 1
    fifo[q, FILL] -= 1


@njit(nogil=True, cache=True, inline="always")
def _leave(s: Any, now: Any, q: Any) -> None:  # pragma: no cover
    """Take a message out of a FIFO: the one behind it may ask, who waits may come in."""
    fifo = s.fifo
    _drop(s, q)
    if fifo[q, FILL] > 0:
        first = fifo[q, BASE] + fifo[q, HEAD]
        if s.ring[first, ARRIVES] > now:
            _later(s, q, s.ring[first, ARRIVES], s.ring[first, NOTE])
        else:
            note = _arriving(s, q, now)
            if note > s.counter[TURN_NOW]:
                _later(s, q, now, note)
            _at_once(s, q)
    if fifo[q, FIRST] >= 0:
        _at_once(s, len(fifo) + 2 * s.n + 2 * q)


@njit(nogil=True, cache=True, inline="always")
def _take(s: Any, now: Any, r: Any) -> None:  # pragma: no cover
    """Let a core work on the first message before it and note when it takes the next."""
    fifo, core, ring = s.fifo, s.core, s.ring
    q = (s.n + s.n_links + r) * s.lanes
    i = ring[fifo[q, BASE] + fifo[q, HEAD], MESSAGE]
    busy = now + s.message[i, WORK]
    _drop(s, q)
    if fifo[q, FIRST] >= 0:
        _at_once(s, len(fifo) + 2 * s.n + 2 * q)
    core[r, BUSY] = core[r, TAKEN] = busy
    core[r, TURNS] = _note(s)
    if fifo[q, FILL] > 0:
        first = fifo[q, BASE] + fifo[q, HEAD]
        at, note = ring[first, ARRIVES], ring[first, NOTE]
        if at <= busy:
            at, note = busy, _arriving(s, q, busy)
            if note < 0:
                note = core[r, TURNS]
        _later(s, len(fifo) + s.n + r, at, note)
