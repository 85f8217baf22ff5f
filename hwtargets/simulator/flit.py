"""Flits: a wormhole mesh cycle by cycle, for calibration on short runs.

The network of `queue`, with time in whole cycles and messages of one or more flits. A message takes
a virtual channel (those of a core alternate) and keeps it; its head claims the channel of each
link until its tail has passed. In every cycle each link moves at most one flit per channel, round
robin between its inputs, into a FIFO with room for `lane_buffer` flits. A core takes a message when
all of it has arrived; its head claims room for all of it. Cycles in which nothing can move are skipped.
"""

from typing import Any

import numpy as np
from numba import njit

FAR = np.int64(1) << 62


@njit(nogil=True, cache=True)
def run_flit(
    first: Any,  # [n + 1] messages of core r are first[r] .. first[r + 1]
    goal: Any,  # [m] row of the core that takes the message
    made: Any,  # [m] cycles between the message before it and this one
    work: Any,  # [m] cycles of work where it arrives
    tail: Any,  # [n] cycles of work of the sender after its last message
    backlog: Any,  # [n] cycles of work of the receiver before its first message
    pointer: Any,  # [n * n + 1], routes: see mesh.routes
    route: Any,  # link numbers
    hop: Any,  # [n_links] cycles through a router and over the link
    within: int,  # cycles through the last router
    lanes: int,
    flits: int,  # per message
    depth: int,  # flits per lane of a router's input
    room: int,  # messages that wait before a core
    interface: int,  # cycles from core to port
) -> Any:
    """Return when each core has sent and taken everything [2, n] cycles; -1 on a deadlock."""
    n, n_links = len(tail), len(hop)
    n_inputs, n_outputs = n + n_links, n_links + n
    held = np.zeros((lanes, n_inputs, depth), dtype=np.int64)
    ready = np.zeros((lanes, n_inputs, depth), dtype=np.int64)
    number = np.zeros((lanes, n_inputs, depth), dtype=np.int64)
    place = np.zeros((lanes, n_inputs, depth), dtype=np.int64)
    head = np.zeros((lanes, n_inputs), dtype=np.int64)
    fill = np.zeros((lanes, n_inputs), dtype=np.int64)
    owner = np.full((lanes, n_outputs), -1, dtype=np.int64)
    last = np.zeros((lanes, n_outputs), dtype=np.int64)
    best = np.full(n_outputs, -1, dtype=np.int64)
    rank = np.zeros(n_outputs, dtype=np.int64)
    wanted = np.zeros(n_outputs, dtype=np.int64)
    ring = room + lanes - 1
    waiting = np.zeros((n, ring), dtype=np.int64)
    arrives = np.zeros((n, ring), dtype=np.int64)
    wait_head = np.zeros(n, dtype=np.int64)
    complete, claimed_room = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    sender = np.zeros(len(goal), dtype=np.int64)
    following, pushed = first[:-1].copy(), np.zeros(n, dtype=np.int64)
    start, busy = np.zeros(n, dtype=np.int64), backlog.copy()
    sent, taken = tail.copy(), backlog.copy()
    for r in range(n):
        sender[first[r] : first[r + 1]] = r
        start[r] = made[first[r]] if first[r + 1] > first[r] else FAR
    left, now = len(goal), np.int64(0)
    while left > 0:
        moved, soonest = False, FAR
        for r in range(n):  # cores take what has arrived
            if complete[r] == 0:
                continue
            slot = wait_head[r]
            if max(busy[r], arrives[r, slot]) > now:
                soonest = min(soonest, max(busy[r], arrives[r, slot]))
                continue
            busy[r] = now + work[waiting[r, slot]]
            taken[r] = busy[r]
            wait_head[r] = (slot + 1) % ring
            complete[r] -= 1
            claimed_room[r] -= 1
            left -= 1
            moved = True
        seen = claimed_room.copy()  # all lanes see the same room: each may claim what is left
        for lane in range(lanes):
            n_wanted = 0
            for b in range(n_inputs):  # every head asks for its output
                if fill[lane, b] == 0:
                    continue
                slot = head[lane, b]
                if ready[lane, b, slot] > now:
                    soonest = min(soonest, ready[lane, b, slot])
                    continue
                i = held[lane, b, slot]
                pair = sender[i] * n + goal[i]
                step = pointer[pair] + place[lane, b, slot]
                output = route[step] if step < pointer[pair + 1] else n_links + goal[i]
                claimed = owner[lane, output]
                if claimed >= 0 and claimed != i:
                    continue
                if output < n_links:
                    if fill[lane, n + output] == depth:
                        continue
                elif claimed < 0 and seen[output - n_links] >= room:
                    continue
                turn = (b - last[lane, output] - 1) % n_inputs
                if best[output] < 0:
                    wanted[n_wanted] = output
                    n_wanted += 1
                if best[output] < 0 or turn < rank[output]:
                    best[output], rank[output] = b, turn
            for k in range(n_wanted):  # the chosen ones move
                output = wanted[k]
                b = best[output]
                best[output] = -1
                slot = head[lane, b]
                i, flit, step = held[lane, b, slot], number[lane, b, slot], place[lane, b, slot]
                head[lane, b] = (slot + 1) % depth
                fill[lane, b] -= 1
                last[lane, output] = b
                is_last = flit == flits - 1
                owner[lane, output] = -1 if is_last else i
                moved = True
                if output < n_links:
                    to = n + output
                    slot = (head[lane, to] + fill[lane, to]) % depth
                    held[lane, to, slot], number[lane, to, slot] = i, flit
                    place[lane, to, slot], ready[lane, to, slot] = step + 1, now + hop[output]
                    fill[lane, to] += 1
                else:
                    r = output - n_links
                    if flit == 0:
                        claimed_room[r] += 1
                    if is_last:
                        slot = (wait_head[r] + complete[r]) % ring
                        waiting[r, slot], arrives[r, slot] = i, now + within
                        complete[r] += 1
        for r in range(n):  # cores hand their messages to their ports
            i = following[r]
            if start[r] > now:
                soonest = min(soonest, start[r])
                continue
            lane = (i - first[r]) % lanes
            if fill[lane, r] == depth:
                continue
            slot = (head[lane, r] + fill[lane, r]) % depth
            held[lane, r, slot], number[lane, r, slot] = i, pushed[r]
            place[lane, r, slot], ready[lane, r, slot] = 0, now + interface
            fill[lane, r] += 1
            pushed[r] += 1
            moved = True
            if pushed[r] == flits:
                pushed[r] = 0
                following[r] += 1
                sent[r] = now + tail[r]
                start[r] = now + made[i + 1] if i + 1 < first[r + 1] else FAR
        if moved:
            now += 1
        elif soonest < FAR:
            now = max(now + 1, soonest)
        else:
            break
    answer = np.empty((2, n), dtype=np.int64)
    answer[0], answer[1] = sent, taken
    if left > 0:
        answer[:] = -1
    return answer
