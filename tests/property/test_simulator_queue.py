"""The fast queue network gives what the readable one gives, event for event."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwtargets.simulator.flows import Fabric, Flows
from hwtargets.simulator.mesh import Mesh, routes
from hwtargets.simulator.queue import run_queue
from hwtargets.simulator.queue_wheel import run_fast, run_wheel, suits

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
    flows = Flows(
        first=np.searchsorted(sender, np.arange(n + 1)), goal=rng.choice(goals, n_messages),
        sender=sender, made=times(rng.choice([1000, 10_000, 100_000, 5_000_000]), n_messages),
        work=times(rng.choice([1000, 20_000, 400_000, 5_000_000]), n_messages),
        tail=times(100_000, n), backlog=rng.integers(0, 2, n) * times(100_000, n),
    )  # fmt: skip
    flits = int(rng.integers(1, 3))
    fabric = Fabric(
        pointer=pointer, route=route, hop=times(8000, len(mesh.links)),
        within=int(times(8000, 1)[0]), interface=int(times(10_000, 1)[0]),
        lanes=int(rng.integers(1, 4)), flits=flits, depth=int(rng.integers(1, 10)),
        room=int(rng.integers(1, 10)), service=int(times(2000, 1)[0]),
    )  # fmt: skip
    return flows, fabric


@settings(max_examples=600, deadline=None)
@given(seeds)
def test_the_wheel_gives_what_the_heap_gives(seed):
    flows, fabric = some(seed)
    assert suits(flows, fabric)
    assert np.array_equal(run_wheel(flows, fabric), run_queue(flows, fabric))


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_times_of_zero_are_followed_too(seed):
    flows, fabric = some(seed, least=0)
    assert np.array_equal(run_fast(flows, fabric), run_queue(flows, fabric))


def test_random_messages_exercise_what_can_differ():
    stopped = zeros = 0
    for seed in range(150):
        flows, fabric = some(seed)
        sent = run_queue(flows, fabric)[0]
        made = [flows.made[a:b].sum() for a, b in zip(flows.first, flows.first[1:], strict=False)]
        stopped += bool((sent > made + flows.tail).any())
        zeros += not suits(*some(seed, least=0))
    assert stopped >= 50
    assert zeros >= 20
