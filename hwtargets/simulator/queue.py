"""Queues: every message by itself over per-link FIFO servers with finite buffers, event by event.

A core makes its messages one after the other and stops while its port is full. A message takes a
lane (those of a core alternate), waits in the FIFO at the input of every router on its way and
moves on when the next FIFO of its lane has room and the link is free; who asked first goes first.
A full FIFO stops the one before it, back to the cores. A core that takes messages works on them
one by one; others wait before it in one FIFO for all lanes. Times are whole picoseconds and ties
are broken by order, so the answer is the same everywhere.

Buffers are numbered: ports of the cores 0 .. n - 1, then links, then the inputs of the cores; ports
and links have `lanes` FIFOs, inputs use the first of theirs alone.
"""

import heapq
from typing import Any

import numpy as np
from numba import njit

READY, LINK, SOURCE, TAKE = 0, 1, 2, 3
PORT, WAY, INPUT = 0, 1, 2
"""Rows of the capacities."""


@njit(nogil=True, cache=True)
def run_queue(
    first: Any,  # [n + 1] messages of core r are first[r] .. first[r + 1]
    goal: Any,  # [m] row of the core that takes the message
    made: Any,  # [m] ps between the message before it and this one
    work: Any,  # [m] ps of work where it arrives
    tail: Any,  # [n] ps of work of the sender after its last message
    backlog: Any,  # [n] ps of work of the receiver before its first message
    pointer: Any,  # [n * n + 1], routes: see mesh.routes
    route: Any,  # link numbers
    hop: Any,  # [n_links] ps through a router and over the link
    within: int,  # ps through the last router
    lanes: int,
    room: Any,  # [3] messages per FIFO: port, link, input
    service: int,  # ps a link is busy with a message
    interface: int,  # ps from core to port
) -> Any:
    """Return when each core has sent and taken everything [2, n] ps; -1 if messages remain."""
    n, n_links = len(tail), len(hop)
    n_buffers = 2 * n + n_links
    depth = room.max()
    held = np.zeros((n_buffers * lanes, depth), dtype=np.int64)
    ready = np.zeros((n_buffers * lanes, depth), dtype=np.int64)
    head = np.zeros(n_buffers * lanes, dtype=np.int64)
    fill = np.zeros(n_buffers * lanes, dtype=np.int64)
    asked = np.zeros(n_buffers * lanes, dtype=np.bool_)
    free = np.zeros(n_buffers * lanes, dtype=np.int64)
    woken = np.zeros(n_buffers * lanes, dtype=np.bool_)
    line_head = np.full(n_buffers * lanes, -1, dtype=np.int64)
    line_tail = np.full(n_buffers * lanes, -1, dtype=np.int64)
    behind = np.full(n_buffers * lanes, -1, dtype=np.int64)
    position = np.zeros(len(goal), dtype=np.int64)
    sender = np.zeros(len(goal), dtype=np.int64)
    following = first[:-1].copy()
    blocked = np.zeros(n, dtype=np.bool_)
    busy = backlog.copy()
    sent = tail.copy()
    taken = backlog.copy()
    left = len(goal)
    order = 0
    events = [(np.int64(0), np.int64(0), np.int64(0), np.int64(0))]
    events.pop()
    for r in range(n):
        sender[first[r] : first[r + 1]] = r
        if first[r + 1] > first[r]:
            heapq.heappush(events, (made[first[r]], np.int64(order), np.int64(SOURCE), np.int64(r)))
            order += 1
        heapq.heappush(events, (backlog[r], np.int64(order), np.int64(TAKE), np.int64(r)))
        order += 1
    while len(events) > 0:
        now, _, kind, index = heapq.heappop(events)
        if kind == SOURCE:
            i = following[index]
            lane = (i - first[index]) % lanes
            q = index * lanes + lane
            if fill[q] == room[PORT]:
                blocked[index] = True
                continue
            slot = (head[q] + fill[q]) % room[PORT]
            held[q, slot], ready[q, slot] = i, now + interface
            fill[q] += 1
            order += 1
            heapq.heappush(events, (now + interface, np.int64(order), np.int64(READY), np.int64(q)))
            following[index] += 1
            if i + 1 < first[index + 1]:
                order += 1
                at = now + made[i + 1]
                heapq.heappush(events, (at, np.int64(order), np.int64(SOURCE), np.int64(index)))
            else:
                sent[index] = now + tail[index]
            continue
        if kind == READY:
            q, buffer = index, index // lanes
            if buffer >= n + n_links:
                kind, index = np.int64(TAKE), np.int64(buffer - n - n_links)
            else:
                size = room[PORT] if buffer < n else room[WAY]
                if fill[q] == 0 or asked[q] or ready[q, head[q] % size] > now:
                    continue
                i = held[q, head[q] % size]
                pair = sender[i] * n + goal[i]
                at_end = pointer[pair] + position[i] == pointer[pair + 1]
                ahead = n + n_links + goal[i] if at_end else n + route[pointer[pair] + position[i]]
                target = ahead * lanes + (0 if at_end else q % lanes)
                asked[q] = True
                behind[q] = -1
                if line_head[target] < 0:
                    line_head[target] = q
                else:
                    behind[line_tail[target]] = q
                line_tail[target] = q
                kind, index = np.int64(LINK), np.int64(target)
        if kind == LINK:
            target, ahead = index, index // lanes
            woken[target] = woken[target] and free[target] > now
            space = room[INPUT] if ahead >= n + n_links else room[WAY]
            while line_head[target] >= 0 and fill[target] < space:
                if free[target] > now:
                    if not woken[target]:
                        woken[target] = True
                        order += 1
                        wake = (free[target], np.int64(order), np.int64(LINK), np.int64(target))
                        heapq.heappush(events, wake)
                    break
                q = line_head[target]
                line_head[target] = behind[q]
                size = room[PORT] if q // lanes < n else room[WAY]
                i = held[q, head[q] % size]
                at = now + (within if ahead >= n + n_links else hop[ahead - n])
                slot = (head[target] + fill[target]) % space
                held[target, slot], ready[target, slot] = i, at
                fill[target] += 1
                position[i] += 1
                free[target] = now + service
                order += 1
                heapq.heappush(events, (at, np.int64(order), np.int64(READY), np.int64(target)))
                head[q] = (head[q] + 1) % size
                fill[q] -= 1
                asked[q] = False
                if fill[q] > 0:
                    order += 1
                    at = max(now, ready[q, head[q]])
                    heapq.heappush(events, (at, np.int64(order), np.int64(READY), np.int64(q)))
                order += 1
                if q // lanes < n:
                    if blocked[q // lanes]:
                        blocked[q // lanes] = False
                        again = (now, np.int64(order), np.int64(SOURCE), np.int64(q // lanes))
                        heapq.heappush(events, again)
                elif line_head[q] >= 0:
                    heapq.heappush(events, (now, np.int64(order), np.int64(LINK), np.int64(q)))
            continue
        if kind == TAKE and busy[index] <= now:
            q = (n + n_links + index) * lanes
            if fill[q] > 0 and ready[q, head[q]] <= now:
                busy[index] = now + work[held[q, head[q]]]
                head[q] = (head[q] + 1) % room[INPUT]
                fill[q] -= 1
                left -= 1
                if line_head[q] >= 0:
                    order += 1
                    heapq.heappush(events, (now, np.int64(order), np.int64(LINK), np.int64(q)))
            if busy[index] > now:
                taken[index] = busy[index]
                order += 1
                at = busy[index]
                heapq.heappush(events, (at, np.int64(order), np.int64(TAKE), np.int64(index)))
    answer = np.empty((2, n), dtype=np.int64)
    answer[0], answer[1] = sent, taken
    if left > 0:
        answer[:] = -1
    return answer
