"""Linear nodes in any order between neurons, delays and sums of spikes, on every executor.

Weights and biases lie on coarse grids, so that most layers are exact: those must give every spike
of the float model.
"""

import os
from collections import Counter

import numpy as np
import pytest

from hwtargets.loihi.executor import LavaJob, run_jobs
from hwtargets.loihi.lower import lower
from hwtargets.simulator import SIMULATOR
from snndeploy.errors import SnnDeployError
from snndeploy.ir.interpret import run_reference
from snndeploy.mapping.check_placement import check_placement
from snndeploy.nirgraph.interpret import run_float
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target
from tests.chains import chain_model, integrate_and_fire
from tests.generator.check import assert_equal, names
from tests.unit import test_delays, test_sums
from tests.unit.test_linear_maps import random_node

TARGET = find_target("loihi2")
N_SEEDS, N_LAVA, N_SAMPLES = 60, 6, 4


def random_maps(seed):
    """Return a chain: one to three linear nodes and a neuron, twice."""
    rng = np.random.default_rng(seed)
    shape = here = (int(rng.integers(1, 4)), int(rng.integers(4, 9)), int(rng.integers(4, 9)))
    nodes = []
    for _ in range(2):
        for _ in range(int(rng.integers(1, 4))):
            node, here = random_node(rng, here)
            nodes.append(node)
        nodes.append(integrate_and_fire(here, threshold=float(rng.choice([0.5, 1.0, 2.0]))))
    return chain_model(*nodes, shape=shape, out_shape=here, steps=6, compare="gt")


def spikes(model, seed):
    rng = np.random.default_rng(seed)
    return {
        port.name: (rng.random((model.steps, N_SAMPLES, *port.shape)) < 0.4).astype(np.int64)
        for port in model.inputs
    }


def test_random_maps_between_neurons(tell):
    seen = Counter()
    for seed in range(N_SEEDS):
        model, x = random_maps(seed), None
        try:
            result = compile_model(model, TARGET, CompileOptions())
        except SnnDeployError as error:
            seen[error.code] += 1
            continue
        x, network = spikes(model, seed), result.network
        want = run_reference(network, x, record=names(network))
        assert_equal(SIMULATOR.run(network, x, record=names(network)).traces, want)
        if not result.violations:
            assert not check_placement(network, result.placement, TARGET.chip)
        floats = run_float(model, {"input": x["input"].astype(float)}, record=names(network))
        seen.update(report.synapse for report in result.layers)
        seen["composed"] += sum(bool(report.notes) for report in result.layers)
        exact = True
        for report in result.layers:
            exact &= report.exact
            got = want[report.population].spikes
            fires = floats[report.population].reshape(got.shape)
            if exact:
                assert np.array_equal(fires, got), (seed, report.population)
                seen["exact"] += 1
                seen["exact and telling"] += bool(0.01 < fires.mean() < 0.9)
    tell(f"maps of {N_SEEDS} chains of two: {dict(seen)}")
    assert seen["exact and telling"] >= 0.5 * N_SEEDS
    assert seen["composed"] >= 0.5 * N_SEEDS
    assert seen["E1053"] <= 0.2 * N_SEEDS


def cases():
    """Yield models of delays, sums and maps."""
    for builder in test_delays.CASES.values():
        nodes, shape, out_shape = builder(np.random.default_rng(3))
        yield chain_model(*nodes, shape=shape, out_shape=out_shape, steps=6, compare="gt")
    for builder in (test_sums.residual, test_sums.minus, test_sums.pooled):
        yield test_sums.model_of(builder)
    yield test_sums.model_of(test_sums.wide_convolution)
    yield from (random_maps(seed) for seed in range(N_LAVA))


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_lava_equals_reference_on_maps_delays_and_sums():
    compiled = []
    for index, model in enumerate(cases()):
        try:
            network = compile_model(model, TARGET, CompileOptions()).network
        except SnnDeployError:
            continue
        compiled.append((network, spikes(model, index)))
    assert len(compiled) >= 12
    jobs = [
        LavaJob(program=lower(network), inputs=x, record=names(network)) for network, x in compiled
    ]
    for (network, x), traces in zip(compiled, run_jobs(jobs, environ=os.environ), strict=True):
        assert_equal(traces, run_reference(network, x, record=names(network)))
