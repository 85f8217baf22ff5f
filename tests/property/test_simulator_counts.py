"""Event counts equal a loop over chip steps, spikes and listed synapses."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwtargets.simulator import SIMULATOR, engine, executor, windows
from hwtargets.simulator.sent import packed_rows
from hwtargets.simulator.touched import places, touched
from snndeploy.energy import HOST, PHASES, price
from snndeploy.ir.interpret import deliver, injected, step, triples, wrap, zero_state
from snndeploy.ir.placement import Placement
from snndeploy.ir.synapses import Conv
from snndeploy.mapping import place
from snndeploy.target import load_chip
from tests.expanded import expanded
from tests.generator.networks import random_network
from tests.generator.neurons import ALL_PROGRAMS

CHIP = load_chip(Path(__file__).parents[2] / "hwtargets" / "chips" / "loihi1.toml")
seeds = st.integers(0, 2**32 - 1)


def placed_network(seed):
    """Return a random network on as many small cores as it takes, and its inputs."""
    rng = np.random.default_rng(seed)
    network, inputs = random_network(rng, programs=tuple(ALL_PROGRAMS))
    network = replace(network, alone=bool(rng.random() < 0.3))
    n = sum(population.n for population in network.populations)
    limits = {"cores": 128, "neurons_per_core": int(rng.integers(3, 40)) + n // 100}
    changed = {key: replace(CHIP.limits[key], value=Decimal(n)) for key, n in limits.items()}
    placement = place(network, replace(CHIP, limits={**CHIP.limits, **changed}))
    assert isinstance(placement, Placement)
    cores = rng.permutation(128)
    slices = tuple(replace(s, core=int(cores[s.core])) for s in placement.slices)
    return network, inputs, replace(placement, slices=slices)


def n_samples_of(inputs):
    return next(iter(inputs.values())).shape[1]


def sent_log(network, inputs):
    """Return what every node sends at every chip step: name -> list of [n]."""
    n_samples = n_samples_of(inputs)
    sent = {name: [] for name in network.nodes}
    states = {}
    for t in range(network.chip_steps(n_samples)):
        for source in network.sources:
            sent[source.name].append(injected(network, source, inputs.get(source.name), t))
        for population in network.populations:
            cleared = network.alone and t % network.period == 0
            if t == 0 or cleared or (t - population.wave) % network.period == 0:
                states[population.name] = zero_state(population)
            a = sum(
                deliver(p, triples(p.synapse), sent[p.source], t)
                for p in network.into(population.name)
                if arrives(network, p, t) is not None
            )
            words = step(
                population.program, states[population.name], population.params, wrap(a, 32)
            )
            states[population.name] = {s.name: words[s.name] for s in population.program.states}
            emitted = np.broadcast_to(words[population.program.emits], population.n)
            sent[population.name].append(emitted)
    return sent


def arrives(network, projection, t):
    """Return the step in which what arrives at step t was sent; None if nothing does."""
    at = t - 1 - projection.delay
    first = t - t % network.period if network.alone else 0
    return at if at >= first else None


def counted_by_hand(network, inputs, placement):
    """Return (kind, core or HOST, chip step) -> count, spike by spike."""
    found = Counter()
    sent = sent_log(network, inputs)
    stored = {p.name: expanded(p.synapse)[1] for p in network.projections}
    if network.alone:
        found.update({("reset", HOST, t): 1 for t in range(0, len(sent["in"]), network.period)})
    for source in network.sources:
        for t, values in enumerate(sent[source.name]):
            found["host_in", HOST, t] += int((values != 0).sum())
    for piece in placement.slices:
        mine = slice(piece.start, piece.stop)
        for t in range(len(sent[piece.population])):
            touched = np.zeros(piece.n, dtype=bool)
            for p in network.into(piece.population):
                at = arrives(network, p, t)
                for i in () if at is None else np.flatnonzero(sent[p.source][at]):
                    reached = stored[p.name][mine, i]
                    touched |= reached
                    found["synaptic_op", piece.core, t] += int(reached.sum())
                    bits = int(reached.sum()) * p.weight_bits
                    found["synaptic_word", piece.core, t] += -(-bits // 64)
            found["neuron_active", piece.core, t] += int(touched.sum())
            found["neuron_idle", piece.core, t] += int((~touched).sum())
            found["barrier", piece.core, t] += 1
            outputs = [o for o in network.outputs if o.population == piece.population]
            sample, k = divmod(t - network.population[piece.population].wave, network.period)
            if sample in range(n_samples_of(inputs)) and k < network.steps:
                found["host_out", piece.core, t] += len(outputs) * piece.n
            for i in np.flatnonzero(sent[piece.population][t][mine]) + piece.start:
                found["spike", piece.core, t] += 1
                add_messages(found, network, placement, stored, piece, i, t)
    return +found


def add_messages(found, network, placement, stored, piece, i, t):
    goals = {
        goal.core
        for p in network.out_of(piece.population)
        for goal in placement.slices
        if goal.population == p.target and stored[p.name][goal.start : goal.stop, i].any()
    }
    for goal in goals:
        (x, y), (goal_x, goal_y) = placement.tile(piece.core), placement.tile(goal)
        found["message", piece.core, t] += 1
        found["hop_x", piece.core, t] += abs(goal_x - x)
        found["hop_y", piece.core, t] += abs(goal_y - y)


def as_counter(counts):
    found = Counter()
    for kind, table in counts.events.items():
        for row, t in np.argwhere(table):
            found[kind, counts.cores[row], int(t)] += int(table[row, t])
    return found


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_counts_equal_a_loop_over_spikes(seed):
    network, inputs, placement = placed_network(seed)
    counts = SIMULATOR.run(network, inputs, record=(), placement=placement).counts
    assert as_counter(counts) == counted_by_hand(network, inputs, placement)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_counts_do_not_depend_on_chunks(seed):
    network, inputs, placement = placed_network(seed)
    whole = SIMULATOR.run(network, inputs, record=(), placement=placement).counts
    counter = executor.counter(network, placement, windows.schedule_of(network, inputs))
    for chunk in engine.simulate(network, inputs, record=(), chunk_cells=1):
        counter.add(chunk)
    assert as_counter(counter.result()) == as_counter(whole)


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_windows_that_see_a_spike_are_counted_alike_in_kernels_and_on_arrays(seed):
    rng = np.random.default_rng(seed)
    size, groups = (int(rng.integers(5, 14)), int(rng.choice([8, 16, 32, 11]))), rng.integers(1, 3)
    kernel, stride, padding, dilation = rng.integers((1, 1, 0, 1), (4, 3, 3, 3), (2, 4)).T.tolist()
    conv = Conv(
        weight=np.ones((2 * groups, 3, *kernel), dtype=np.int64), in_shape=(3 * groups, *size),
        stride=tuple(stride), padding=tuple(padding), dilation=tuple(dilation), groups=int(groups),
    )  # fmt: skip
    active = rng.random((9, groups * size[0] * size[1])) < 0.05
    seen = touched(conv, active).reshape(9, -1)
    sizes = rng.integers(0, 3, (3, seen.shape[1]))
    found = places(conv, sizes)
    assert np.array_equal(found.count(active), sizes @ seen.T)
    if found.in_rows:
        assert np.array_equal(found.count_rows(packed_rows(active, size[1])), sizes @ seen.T)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_operations_are_spikes_times_fan_out_whatever_the_placement(seed):
    network, inputs, placement = placed_network(seed)
    counts = SIMULATOR.run(network, inputs, record=(), placement=placement).counts
    sent, total = sent_log(network, inputs), 0
    for p in network.projections:
        fan_out = expanded(p.synapse)[1].sum(axis=0)
        at = [arrives(network, p, t) for t in range(len(sent[p.source]))]
        arrived = [sent[p.source][k] for k in at if k is not None]
        total += sum(int(fan_out[np.flatnonzero(values)].sum()) for values in arrived)
    assert counts.total("synaptic_op") == total


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_a_step_is_never_shorter_than_any_core_and_energy_sums_exactly(seed):
    network, inputs, placement = placed_network(seed)
    result = SIMULATOR.run(network, inputs, record=(), placement=placement, chip=CHIP)
    assert (result.timing.step_s >= result.timing.core_s + result.timing.barrier_s - 1e-18).all()
    for table in CHIP.prices.values():
        ledger = price(result.counts, table, result.timing)
        static = [row.energy.nominal for row in ledger.rows if row.kind == "static"]
        parts = [row.energy.nominal for row in ledger.by_population]
        assert sum(parts) + sum(static) == ledger.total.nominal


def test_random_placements_exercise_what_is_counted():
    seen = Counter()
    for seed in range(120):
        network, inputs, placement = placed_network(seed)
        counts = SIMULATOR.run(network, inputs, record=(), placement=placement).counts
        for kind, table in counts.events.items():
            seen[kind] += bool(table.any())
        for index, phase in enumerate(PHASES):
            seen[phase] += bool(counts.events["spike"][counts.phase == index].any())
    assert min(seen.values()) >= 5, seen
