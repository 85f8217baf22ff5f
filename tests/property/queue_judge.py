"""The network of `queue` in plain Python: FIFOs and cores as objects, their events in a heap."""

import heapq
from collections import deque
from dataclasses import dataclass, field

import numpy as np


@dataclass(eq=False)
class Message:
    goal: int
    made: int
    work: int
    way: list["Fifo"] = field(default_factory=list)
    arrives: int = 0


@dataclass(eq=False)
class Fifo:
    """Messages in order of arrival, each with its place; who waits for one stands in `line`."""

    room: int
    delay: int
    messages: deque[Message] = field(default_factory=deque)
    line: deque["Fifo"] = field(default_factory=deque)
    free: int = 0

    def has_room(self, now):  # noqa: ARG002 - an input's depends on it
        return len(self.messages) < self.room

    def is_open(self, now):
        return not self.line and self.has_room(now)


class Input(Fifo):
    """Messages before a core, each with the time at which the core takes it: `arrives`."""

    def has_room(self, now):
        return sum(message.arrives > now for message in self.messages) < self.room

    def next_leaves(self, now):
        return min(message.arrives for message in self.messages if message.arrives > now)


@dataclass(eq=False)
class Core:
    """A core between its ports and its input; `stuck` is the port that stops it."""

    ports: list[Fifo]
    input: Input
    to_make: deque[Message]
    busy: int
    sent: int
    stuck: Fifo | None = None
    n_made: int = 0


class Network:
    """One chip step; see `hwtargets.simulator.queue` for what happens in it."""

    def __init__(self, flows, fabric):
        self.interface, self.service = fabric.interface, fabric.service
        places, lanes, n = max(1, fabric.depth // fabric.flits), fabric.lanes, len(flows.tail)
        links = [[Fifo(places, int(hop)) for _ in range(lanes)] for hop in fabric.hop]
        self.cores = []
        for r in range(n):
            mine = range(flows.first[r], flows.first[r + 1])
            messages = [
                Message(*(int(a[i]) for a in (flows.goal, flows.made, flows.work))) for i in mine
            ]
            ports = [Fifo(places, 0) for _ in range(lanes)]
            core = Core(
                ports, Input(fabric.room, fabric.within), deque(messages),
                int(flows.backlog[r]), int(flows.tail[r]),
            )  # fmt: skip
            self.cores.append(core)
        self.tail = flows.tail
        for r, core in enumerate(self.cores):
            for k, message in enumerate(core.to_make):
                pair = r * n + message.goal
                route = fabric.route[fabric.pointer[pair] : fabric.pointer[pair + 1]]
                message.way = [links[link][k % lanes] for link in route]
                message.way.append(self.cores[message.goal].input)
        self.events = []
        for r, core in enumerate(self.cores):
            if core.to_make:
                self.plan(core.to_make[0].made, "make", r)

    def plan(self, at, what, r):
        """At the same moment cores take first, then make, in their order."""
        heapq.heappush(self.events, (at, what != "take", r))

    def run(self):
        while self.events:
            self.now, makes, r = heapq.heappop(self.events)
            if makes:
                self.make(self.now, r)
            else:
                self.take(self.cores[r], r)
        for core in self.cores:
            assert not core.to_make
            assert not core.input.line
        return [core.sent for core in self.cores], [core.busy for core in self.cores]

    def take(self, core, r):
        """A core takes a message, and others wait for its place."""
        self.follow(core.input, self.now)
        if core.input.line:
            self.plan(core.input.next_leaves(self.now), "take", r)

    def make(self, now, r):
        core = self.cores[r]
        port = core.ports[core.n_made % len(core.ports)]
        if len(port.messages) == port.room:
            core.stuck = port
            return
        message = core.to_make.popleft()
        core.n_made += 1
        message.arrives = now + self.interface
        port.messages.append(message)
        if core.to_make:
            self.plan(now + core.to_make[0].made, "make", r)
        else:
            core.sent = now + int(self.tail[r])
        if len(port.messages) == 1:
            self.follow(port, now)

    def follow(self, fifo, at):
        """There is room in a FIFO: others move up, then its own first message moves on."""
        left = []
        while at is not None:
            left += self.let_in(fifo, at)
            at = self.move_on(fifo, at)
        for other, then in reversed(left):
            self.follow(other, then)

    def let_in(self, fifo, at):
        left = []
        while fifo.line and fifo.has_room(self.now):
            other = fifo.line.popleft()
            message = other.messages.popleft()
            then = max(at, message.arrives, fifo.free)
            self.cross(message, fifo, then)
            fifo.messages.append(message)
            left.append((other, then))
        for r, core in enumerate(self.cores):
            if core.stuck is fifo and fifo.has_room(self.now):
                core.stuck = None
                self.plan(at, "make", r)
        return left

    def move_on(self, fifo, at):
        if not fifo.messages or isinstance(fifo, Input):
            return None
        message = fifo.messages[0]
        if not message.way[0].is_open(self.now):
            self.stand_in_line(fifo, message.way[0])
            return None
        fifo.messages.popleft()
        left = at = max(at, message.arrives, message.way[0].free)
        while True:
            goes = message.way[0]
            self.cross(message, goes, max(at, goes.free))
            at = message.arrives
            if goes.messages or not message.way:
                goes.messages.append(message)
                return left
            if not message.way[0].is_open(self.now):
                goes.messages.append(message)
                self.stand_in_line(goes, message.way[0])
                return left

    def stand_in_line(self, fifo, goes):
        """Wait for room; a core that will make some soon is told so."""
        for r, core in enumerate(self.cores):
            if core.input is goes and not goes.line:
                self.plan(goes.next_leaves(self.now), "take", r)
        goes.line.append(fifo)

    def cross(self, message, goes, then):
        """A message enters the link into a FIFO; before a core it is known when that takes it."""
        message.way.pop(0)
        goes.free = then + self.service
        message.arrives = then + goes.delay
        for core in self.cores:
            if core.input is goes:
                message.arrives = max(message.arrives, core.busy)
                core.busy = message.arrives + message.work


def by_hand(flows, fabric):
    """Return when each core has sent and taken everything [2, n]."""
    return np.array(Network(flows, fabric).run())
