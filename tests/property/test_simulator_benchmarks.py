"""The networks that the simulator is timed on give the reference's answers, whole or cut."""

import numpy as np
import pytest

from hwtargets.simulator import engine
from snndeploy.ir.interpret import run_reference
from tests.benchmarks import workloads


def assert_equal_to_the_reference(workload):
    """Compare spikes of all populations; every one fires in some cells and not in all."""
    network, inputs = workload.network, workload.inputs
    names = tuple(network.population)
    want = run_reference(network, inputs, record=names)
    found = {name: np.zeros_like(want[name].spikes) for name in names}
    for chunk in engine.simulate(network, inputs, record=(), kernels=True, threads=2):
        for i, window in enumerate(chunk.windows):
            if 0 <= window < inputs["in"].shape[1]:
                for name in names:
                    start = network.population[name].wave if network.alone else 0
                    values = np.asarray(chunk.sent[name])[i, start : start + network.steps]
                    found[name][:, window] = values
    for name in names:
        assert 0 < want[name].spikes.mean() < 1, name
        assert np.array_equal(found[name], want[name].spikes), name


def test_the_dense_workload_equals_the_reference():
    rng = np.random.default_rng(0)
    assert_equal_to_the_reference(workloads.dense(rng, n_samples=2, steps=12))


def test_the_recurrent_workload_equals_the_reference():
    rng = np.random.default_rng(0)
    assert_equal_to_the_reference(workloads.recurrent(rng, n=2000, fan_in=200, steps=10))


@pytest.mark.full
@pytest.mark.parametrize("make", [workloads.vgg, workloads.large])
def test_a_cut_of_the_convolutions_equals_the_reference(make):
    assert_equal_to_the_reference(make(np.random.default_rng(0), side=4, steps=12))


@pytest.mark.full
@pytest.mark.parametrize("make", [workloads.vgg, workloads.large])
def test_whole_convolutions_equal_those_on_arrays(make):
    workload = make(np.random.default_rng(0), steps=6)
    runs = [
        engine.simulate(workload.network, workload.inputs, record=(), kernels=kernels)
        for kernels in (False, True)
    ]
    for a, b in zip(*runs, strict=True):
        for name in workload.network.nodes:
            assert np.array_equal(a.sent[name], b.sent[name]), name
