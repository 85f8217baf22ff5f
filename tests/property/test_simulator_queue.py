"""The queue network gives what one in plain Python gives, and messages are those of the run."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from queue_judge import by_hand
from test_simulator_counts import placed_network
from test_simulator_timing import CHIP, counted

from hwtargets.simulator.costs import costs_of
from hwtargets.simulator.flows import Fabric, Flows, narrow
from hwtargets.simulator.mesh import Mesh, routes
from hwtargets.simulator.messages import message_maker
from hwtargets.simulator.messages_table import flows_of, tables
from hwtargets.simulator.queue import run_queue
from hwtargets.simulator.waiting import PICOSECOND, fabric_of, flows, network_data, runner
from snndeploy.energy import HOST

SUDDEN = replace(
    CHIP,
    latencies={
        key: value if key.startswith(("hop", "barrier")) else replace(value, value=Decimal(0))
        for key, value in CHIP.latencies.items()
    },
)
"""Cores that need no time: many messages at the same moment."""
seeds = st.integers(0, 2**32 - 1)


def some(seed, *, least=1):
    """Return random messages between the cores of a random mesh.

    Times are coarse in half of the cases, so that many things happen at the same moment, and
    small FIFOs and slow receivers stop senders.
    """
    rng = np.random.default_rng(seed)
    grain = int(rng.choice([1, 1, 100, 1000]))
    size = tuple(int(v) for v in rng.integers(1, 5, 2))
    n, n_messages = int(rng.integers(2, 24)), int(rng.integers(0, 400))
    mesh = Mesh(size)
    tiles = [tuple(int(v) for v in rng.integers(0, size)) for _ in range(n)]
    pointer, route = routes(mesh, tiles)

    def times(most, count):
        return np.maximum(least, rng.integers(0, most // grain + 1, count) * grain)

    sender = np.sort(rng.integers(0, rng.integers(1, n + 1), n_messages))
    goals = rng.integers(0, n, int(rng.integers(1, n + 1)))
    messages = Flows(
        first=np.searchsorted(sender, np.arange(n + 1)), goal=narrow(rng.choice(goals, n_messages)),
        made=times(rng.choice([1000, 10_000, 100_000, 5_000_000]), n_messages),
        work=narrow(times(rng.choice([1000, 20_000, 400_000, 5_000_000]), n_messages)),
        tail=times(100_000, n), backlog=rng.integers(0, 2, n) * times(100_000, n),
    )  # fmt: skip
    flits = int(rng.integers(1, 3))
    fabric = Fabric(
        pointer=pointer, route=route, hop=times(8000, len(mesh.links)),
        within=int(times(8000, 1)[0]), interface=int(times(10_000, 1)[0]),
        lanes=int(rng.integers(1, 4)), flits=flits, depth=int(rng.integers(1, 10)),
        room=int(rng.integers(1, 10)), service=int(times(2000, 1)[0]),
    )  # fmt: skip
    return messages, fabric


@settings(max_examples=300, deadline=None)
@given(seeds, st.integers(0, 1))
def test_cores_are_done_when_they_are_by_hand(seed, least):
    messages, fabric = some(seed, least=least)
    assert np.array_equal(run_queue(messages, fabric), by_hand(messages, fabric))


@settings(max_examples=40, deadline=None)
@given(seeds, st.booleans())
def test_every_step_is_what_its_messages_give_one_by_one(seed, is_sudden):
    network, inputs, placement = placed_network(seed)
    chip = SUDDEN if is_sudden else CHIP
    counts, traffic = counted(network, inputs, placement)
    maker = message_maker(counts, traffic, costs_of(counts, traffic, placement, chip), chip)
    table = tables(maker, PICOSECOND)
    data = network_data(chip, "queue")
    tiles = [placement.tile(core) for core in counts.cores if core != HOST]
    fabric = fabric_of(data, traffic.mesh, tiles, PICOSECOND)
    n_steps = counts.phase.shape[1]
    done = runner("queue", data, traffic.mesh, tiles, maker)(0, n_steps)
    for t in range(n_steps):
        messages = flows(maker.step(t), PICOSECOND)
        for want, found in zip(messages, flows_of(table, t), strict=True):
            assert np.array_equal(want, found)
        sent_and_taken = run_queue(messages, fabric).max(axis=0)
        assert np.array_equal(done[:, t], sent_and_taken.astype(np.float64) * PICOSECOND)


def test_random_messages_exercise_what_can_differ():
    stopped = zeros = 0
    for seed in range(150):
        messages, fabric = some(seed)
        sent = run_queue(messages, fabric)[0]
        made = [messages.made[a:b].sum() for a, b in pairwise(messages.first)]
        stopped += bool((sent > made + messages.tail).any())
        zeros += bool((some(seed, least=0)[0].work == 0).any())
    assert stopped >= 50
    assert zeros >= 20
