"""Graphs beyond chains: every construct on every executor, and close to the float model."""

import os
from collections import Counter

import numpy as np
import pytest

from hwtargets.loihi.executor import LavaJob, run_jobs
from hwtargets.loihi.lower import lower
from hwtargets.simulator import SIMULATOR
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.neurons import NEVER
from snndeploy.mapping.check_placement import check_placement
from snndeploy.nirgraph.interpret import run_float
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target
from tests.conformance.test_random_models import assert_equal, names
from tests.graphs import CONSTRUCTS, random_graph

N_SEEDS, N_LAVA, N_SAMPLES = 20, 2, 5
TARGET = find_target("loihi2")


def compiled(construct, seed):
    rng = np.random.default_rng(seed)
    model = random_graph(rng, construct)
    result = compile_model(model, TARGET, CompileOptions())
    x = {
        port.name: (rng.random((model.steps, N_SAMPLES, *port.shape)) < 0.3).astype(np.int64)
        for port in model.inputs
    }
    return model, result, x


def firing(network, traces):
    return {
        p.name: float(traces[p.name].spikes.mean())
        for p in network.populations
        if p.scalar("vth") != NEVER
    }


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_simulator_equals_reference_and_stays_close_to_the_float_model(construct, tell):
    telling, differing, delays = 0, [], Counter()
    for seed in range(N_SEEDS):
        model, result, x = compiled(construct, seed)
        network = result.network
        want = run_reference(network, x, record=names(network))
        assert_equal(SIMULATOR.run(network, x, record=names(network)).traces, want)
        delays["delayed"] += sum(p.delay > 0 for p in network.projections)
        delays["relays"] += sum(".relay" in p.name for p in network.populations)
        rates = firing(network, want)
        telling += all(0.01 <= rate <= 0.6 for rate in rates.values())
        own = tuple(name for name in rates if ".relay" not in name)
        floats = run_float(model, {k: v.astype(float) for k, v in x.items()}, record=own)
        differing += [
            np.mean(floats[name].reshape(want[name].spikes.shape) != want[name].spikes)
            for name in own
        ]
    tell(
        f"{construct}: {telling} of {N_SEEDS} telling, {dict(delays)}, "
        f"{np.mean(differing):.2%} of spikes differ from the float model"
    )
    assert telling >= 0.6 * N_SEEDS
    assert np.mean(differing) < 0.03


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_placement_of_every_construct_is_right(construct):
    _, result, _ = compiled(construct, 0)
    assert not result.violations
    assert not check_placement(result.network, result.placement, TARGET.chip)


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_lava_equals_reference_on_every_construct():
    cases = [compiled(construct, seed) for construct in CONSTRUCTS for seed in range(N_LAVA)]
    jobs = [
        LavaJob(program=lower(result.network), inputs=x, record=names(result.network))
        for _, result, x in cases
    ]
    for (_, result, x), traces in zip(cases, run_jobs(jobs, environ=os.environ), strict=True):
        assert_equal(traces, run_reference(result.network, x, record=names(result.network)))
