"""The simulator equals the reference, spike for spike and state for state."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from networks import networks, random_network

from hwtargets.simulator import SIMULATOR, engine
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.neurons import NEVER


def names(network):
    return tuple(population.name for population in network.populations)


def assert_same(network, inputs):
    record = names(network)
    want = run_reference(network, inputs, record=record)
    got = SIMULATOR.run(network, inputs, record=record).traces
    for name in record:
        assert np.array_equal(got[name].spikes, want[name].spikes), name
        assert np.array_equal(got[name].states["u"], want[name].states["u"]), name
        assert np.array_equal(got[name].states["v"], want[name].states["v"]), name


@settings(max_examples=150, deadline=None)
@given(networks())
def test_spikes_and_states_equal_the_reference(case):
    assert_same(*case)


@settings(max_examples=60, deadline=None)
@given(networks(wild=True))
def test_wrapping_and_clipping_networks_equal_the_reference(case):
    assert_same(*case)


@settings(max_examples=40, deadline=None)
@given(networks())
def test_chunks_do_not_change_the_answer(case):
    network, inputs = case
    runs = []
    for cells in (1, 1 << 30):
        chunks = list(engine.simulate(network, inputs, record=(), chunk_cells=cells))
        runs.append(
            {name: np.concatenate([chunk.sent[name] for chunk in chunks]) for name in network.nodes}
        )
    for name in network.nodes:
        assert np.array_equal(runs[0][name], runs[1][name])


def test_random_networks_exercise_what_they_claim():
    seen = Counter()
    for seed in range(120):
        network, inputs = random_network(np.random.default_rng(seed))
        result = SIMULATOR.run(network, inputs, record=names(network))
        seen["wraps"] += any(n for key, n in result.overflows.items() if "u_wraps" in key)
        seen["clips"] += any(n for key, n in result.overflows.items() if "v_clips" in key)
        seen["delays"] += any(p.delay for p in network.projections)
        seen["exponents"] += any(p.weight_exp for p in network.projections)
        seen.update(type(p.synapse).__name__ for p in network.projections)
        for population in network.populations:
            if population.scalar("vth") != NEVER:
                rate = result.traces[population.name].spikes.mean()
                seen["firing"] += 0.01 <= rate <= 0.6
                seen["populations"] += 1
    assert seen["firing"] >= 0.6 * seen["populations"], seen
    kinds = ("Dense", "Conv", "Pool", "Sparse", "OneToOne")
    floor = {"wraps": 5, "clips": 5, "delays": 20, "exponents": 40, **dict.fromkeys(kinds, 20)}
    assert not {key: seen[key] for key, least in floor.items() if seen[key] < least}


@pytest.mark.parametrize("seed", range(5))
def test_overflows_count_every_chip_step(seed):
    network, inputs = random_network(np.random.default_rng(seed), wild=True)
    counted = {}
    run_reference(network, inputs, record=(), overflows=counted)
    got = SIMULATOR.run(network, inputs, record=()).overflows
    for population in network.populations:
        clips = counted.get(f"{population.name}.y.clip", 0)
        assert got[f"{population.name}.v_clips"] == clips
