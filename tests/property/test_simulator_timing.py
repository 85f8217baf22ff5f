"""Laws that step times and energies keep on any network, placement and constants."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_simulator_counts import CHIP as LOIHI1
from test_simulator_counts import placed_network

from hwtargets.simulator import SIMULATOR
from hwtargets.simulator.costs import costs_of
from hwtargets.simulator.counts import counter
from hwtargets.simulator.engine import simulate
from hwtargets.simulator.messages import message_maker
from hwtargets.simulator.traffic import traffic_counter
from hwtargets.simulator.windows import schedule_of
from snndeploy.energy import HOST, LEVELS, price

CHIP = replace(LOIHI1, latencies=LOIHI1.other_latencies["sanafe"])
seeds = st.integers(0, 2**32 - 1)


def run(network, inputs, placement, level="bound", chip=CHIP):
    return SIMULATOR.run(network, inputs, record=(), placement=placement, chip=chip, timing=level)


def counted(network, inputs, placement, chunk_cells=1 << 22, **options):
    """Return counts and traffic of a run, spikes kept."""
    schedule = schedule_of(network, inputs)
    counts = counter(network, placement, schedule)
    traffic = traffic_counter(network, placement, schedule, counts.reach, keep=True)
    for chunk in simulate(network, inputs, record=(), chunk_cells=chunk_cells, **options):
        counts.add(chunk)
        traffic.add(chunk)
    return counts.result(), traffic.result()


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_what_is_sent_is_taken_and_crosses_its_hops(seed):
    network, inputs, placement = placed_network(seed)
    counts, traffic = counted(network, inputs, placement)
    events = counts.events
    hops = (events["hop_x"] + events["hop_y"]).sum(axis=0)
    assert traffic.crossed.sum(axis=0).tolist() == hops.tolist()
    host = np.array(counts.cores) == HOST
    taken = traffic.taken["axon_in"]
    assert not taken[host].any()
    assert taken.sum() >= events["message"].sum()
    # What is booked where the target takes it has been booked where its spike was sent, or sooner.
    booked = (traffic.taken["synaptic_op"], events["synaptic_op"])
    sent, done = (np.cumsum(table.sum(axis=0)) for table in booked)
    assert (sent[:-1] >= done[1:]).all()


@pytest.mark.parametrize(("level", "is_told"), [("bound", False), ("queue", True)])
def test_progress_is_told_while_messages_are_followed(level, is_told):
    network, inputs, placement = placed_network(0)
    steps = network.chip_steps(next(iter(inputs.values())).shape[1])
    seen = []
    SIMULATOR.run(
        network, inputs, record=(), placement=placement, chip=CHIP, timing=level,
        progress=lambda *at: seen.append(at),
    )  # fmt: skip
    assert (seen[-steps:] == [(t + 1, steps) for t in range(steps)]) is is_told


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_kernels_count_what_arrays_count(seed):
    network, inputs, placement = placed_network(seed)
    counts, traffic = counted(network, inputs, placement, kernels=False)
    others, loads = counted(network, inputs, placement, kernels=True, threads=2)
    for kind, table in counts.events.items():
        assert np.array_equal(table, others.events[kind]), kind
    for kind, table in traffic.taken.items():
        assert np.array_equal(table, loads.taken[kind]), kind
    assert np.array_equal(traffic.crossed, loads.crossed)
    for name, columns in traffic.spikes.items():
        assert all(map(np.array_equal, columns, loads.spikes[name])), name


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_traffic_does_not_depend_on_chunks(seed):
    network, inputs, placement = placed_network(seed)
    (_, whole), (_, parts) = (counted(network, inputs, placement, n) for n in (1 << 22, 1))
    for kind, table in whole.taken.items():
        assert (table == parts.taken[kind]).all()
    assert (whole.crossed == parts.crossed).all()
    for name, columns in whole.spikes.items():
        assert all((a == b).all() for a, b in zip(columns, parts.spikes[name], strict=True))


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_messages_of_all_steps_are_the_counts(seed):
    network, inputs, placement = placed_network(seed)
    counts, traffic = counted(network, inputs, placement)
    costs = costs_of(counts, traffic, placement, CHIP)
    maker = message_maker(counts, traffic, costs, CHIP)
    for t in range(counts.phase.shape[1]):
        step = maker.step(t)
        sizes = np.diff(step.first)
        assert sizes.tolist() == counts.events["message"][: len(sizes), t].tolist()
        work = step.backlog_s.sum() + step.work_s.sum()
        assert np.isclose(work, costs.taking[:, t].sum(), rtol=1e-9, atol=1e-15)
        for row, (start, stop) in enumerate(pairwise(step.first)):
            times = [0.0, *step.made_s[start:stop]]
            assert (np.diff(times) > 0).all()
            done = times[-1] + step.tail_s[row]
            assert np.isclose(done, costs.making[row, t], rtol=1e-9, atol=1e-15)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_no_level_is_shorter_than_the_busiest_core_and_all_repeat(seed):
    network, inputs, placement = placed_network(seed)
    bound = run(network, inputs, placement).timing
    for level in LEVELS:
        first, again = (run(network, inputs, placement, level).timing for _ in range(2))
        assert (first.step_s == again.step_s).all()
        # Work is rounded to picoseconds, or to cycles of a nanosecond, message by message.
        slack = {"bound": 0.0, "queue": 0.01, "flit": 0.06}[level]
        busy = bound.core_s.max(axis=0)
        assert (first.step_s - first.barrier_s >= busy * (1 - slack) - 1e-9).all()
        assert (first.step_s >= first.core_s.max(axis=0) + first.barrier_s - 1e-18).all()


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from(sorted(CHIP.latencies)), st.integers(1, 50))
def test_a_slower_chip_is_never_faster(seed, name, factor):
    network, inputs, placement = placed_network(seed)
    slower = replace(CHIP.latencies[name], value=CHIP.latencies[name].value * factor)
    chip = replace(CHIP, latencies={**CHIP.latencies, name: slower})
    before, after = (run(network, inputs, placement, chip=c).timing for c in (CHIP, chip))
    assert (after.step_s >= before.step_s).all()
    assert (after.core_s >= before.core_s).all()


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_energy_depends_on_the_place_of_cores_by_hops_alone(seed):
    network, inputs, placement = placed_network(seed)
    cores = np.random.default_rng(seed).permutation(128)
    moved = replace(
        placement, slices=tuple(replace(s, core=int(cores[s.core])) for s in placement.slices)
    )
    table = replace(CHIP.prices["sanafe"], static_w=None)
    here, there = (
        {(r.kind, r.phase): r.energy.nominal for r in price(counts, table, None).rows
         if not r.kind.startswith("hop")}
        for counts in (run(network, inputs, p).counts for p in (placement, moved))
    )  # fmt: skip
    assert here == there
    assert sum(here.values()) > Decimal(0)


def test_random_networks_exercise_what_is_timed():
    waited = crossed = 0
    states = set()
    for seed in range(60):
        network, inputs, placement = placed_network(seed)
        bound, queue = (run(network, inputs, placement, k).timing for k in ("bound", "queue"))
        waited += bool((queue.step_s > bound.step_s + 20e-9).any())
        crossed += bool((bound.critical_link >= 0).any())
        states |= set(queue.bottleneck.tolist())
    assert min(waited, crossed) >= 20
    assert states == {0, 1, 2}
