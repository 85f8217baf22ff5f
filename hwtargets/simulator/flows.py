"""What the networks of `queue` and `flit` are given, in whole units of time."""

from typing import NamedTuple

import numpy as np

from snndeploy.ir.arrays import AnyArray, IntArray


class Flows(NamedTuple):
    """The messages of one chip step, a row per core; numba passes it as it is.

    Attributes:
        first: messages of core r are first[r] .. first[r + 1] [n + 1].
        goal: row of the core that takes each message, int32 [m].
        made: time between the message before it, or the start, and this one [m].
        work: time of work where it arrives [m], see `narrow`.
        tail: time the sender works after its last message [n].
        backlog: time the receiver works before its first message [n].
    """

    first: IntArray
    goal: AnyArray
    made: IntArray
    work: AnyArray
    tail: IntArray
    backlog: IntArray


class Fabric(NamedTuple):
    """A network; times in the same unit.

    Attributes:
        pointer: [n * n + 1] and `route`: links between all pairs of cores, see `mesh.routes`.
        hop: time through a router and over each link [n_links].
        within: time through the last router, into a core.
        interface: time from a core to its port.
        lanes: FIFOs side by side at every port and link.
        flits: per message.
        depth: flits in a FIFO of a port or link.
        room: messages that wait before a core.
        service: time a link is busy with a message; flits move one per unit of time instead.
    """

    pointer: IntArray
    route: IntArray
    hop: IntArray
    within: int
    interface: int
    lanes: int
    flits: int
    depth: int
    room: int
    service: int


def narrow(values: IntArray) -> AnyArray:
    """Return numbers >= 0 in 32 bits if they fit: a step may have more messages than a cache."""
    fits = values.max(initial=0) <= np.iinfo(np.int32).max
    return values.astype(np.int32 if fits else np.int64)
