"""Metrics of random networks, loops included, equal sums over every synapse and every step."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snndeploy.activity import measure_activity
from snndeploy.baseline import baseline, without_baseline
from snndeploy.errors import SnnDeployError
from snndeploy.ir.interpret import run_reference, triples
from snndeploy.neurobench import fires, neurobench, synapses
from snndeploy.operations import ACCELERATOR, operation_prices
from snndeploy.registry import find_executor
from snndeploy.target import load_chip
from tests.generator.loops import random_loops
from tests.generator.networks import networks

LOIHI2 = load_chip(Path(__file__).parents[2] / "hwtargets" / "chips" / "loihi2.toml")


def counted_synapse_by_synapse(network, inputs):
    """Return (MACs, ACs) of all samples: a product per step, synapse and nonzero input."""
    traces = run_reference(network, inputs, record=tuple(p.name for p in network.populations))
    macs = acs = 0
    for projection in synapses(network):
        name = projection.source
        sent = traces[name].spikes if name in traces else inputs[name]
        sent = sent.reshape(*sent.shape[:2], -1)
        _, sources, weights = triples(projection.synapse)
        for k in range(projection.lag, network.steps):
            step = sent[k - projection.lag]
            products = sum(int(np.count_nonzero(sample[sources[weights != 0]])) for sample in step)
            if set(np.unique(step).tolist()) <= {-1, 0, 1}:
                acs += products
            else:
                macs += products
    return macs, acs


def check(network, inputs):
    activity = measure_activity(network, inputs, find_executor("sim"))
    n = activity.n_samples
    found = neurobench(network, activity)
    macs, acs = counted_synapse_by_synapse(network, inputs)
    operations = found.synaptic_operations
    assert operations.effective_macs * n == pytest.approx(macs)
    assert operations.effective_acs * n == pytest.approx(acs)
    assert macs + acs <= operations.dense * n * (1 + 1e-12)
    assert 0 <= found.activation_sparsity <= 1
    assert 0 <= found.connection_sparsity <= 1
    assert dict(found.by_layer).keys() == {p.name for p in network.populations if fires(p)}
    most = sum(p.n for p in network.populations) * network.steps
    assert 0 <= found.membrane_updates <= most
    if not without_baseline(network):
        base = baseline(network, activity, operation_prices(ACCELERATOR))
        assert base.snn_j[0] <= base.snn_j[1] <= base.snn_j[2]
        assert 0 <= base.density <= min(1.0, base.spikes_per_neuron + 1e-12)


@settings(max_examples=40, deadline=None)
@given(networks())
def test_networks(case):
    check(*case)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_networks_with_loops(seed, alone):
    try:
        network, inputs = random_loops(np.random.default_rng(seed), LOIHI2.numerics, alone=alone)
    except SnnDeployError:
        assume(False)
    assert without_baseline(network)
    check(network, inputs)
