"""What was sent, added up batch by batch, equals the traces of the reference."""

import numpy as np
import pytest
from hypothesis import given, settings

from snndeploy import activity
from snndeploy.activity import Activity, NodeActivity, measure_activity, membrane
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Projection
from snndeploy.ir.synapses import Dense
from snndeploy.reference import REFERENCE
from snndeploy.registry import find_executor
from tests.generator.networks import networks


@settings(max_examples=40, deadline=None)
@given(networks())
def test_sums_equal_the_traces_of_the_reference(case):
    network, inputs = case
    found = measure_activity(network, inputs, find_executor("sim"))
    traces = run_reference(network, inputs, record=tuple(p.name for p in network.populations))
    for population in network.populations:
        node, spikes = found.nodes[population.name], traces[population.name].spikes
        np.testing.assert_array_equal(node.sent, (spikes != 0).sum(axis=1))
        np.testing.assert_array_equal(node.used, (spikes.sum(axis=0) != 0).sum(axis=0))
        assert node.spikes.sum() == np.count_nonzero(spikes)
        assert node.is_binary.tolist() == [bool((np.abs(step) <= 1).all()) for step in spikes]
        states = traces[population.name].states[membrane(population)]
        moved = sum(
            int((states[k] != states[k - 1]).sum()) if k else states[0].size
            for k in range(len(states))
        )
        assert node.updates == moved
    for source in network.inputs:
        values = inputs[source.name].reshape(*inputs[source.name].shape[:2], -1)
        np.testing.assert_array_equal(found.nodes[source.name].sent, (values != 0).sum(axis=1))


@settings(max_examples=15, deadline=None)
@given(networks())
def test_batches_do_not_change_the_sums(case):
    network, inputs = case
    whole = measure_activity(network, inputs, REFERENCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(activity, "BATCH_CELLS", 1)
        single = measure_activity(network, inputs, REFERENCE)
    assert whole.n_samples == single.n_samples
    for name, node in whole.nodes.items():
        other = single.nodes[name]
        np.testing.assert_array_equal(node.sent, other.sent)
        np.testing.assert_array_equal(node.used, other.used)
        np.testing.assert_array_equal(node.is_binary, other.is_binary)
        assert node.updates == other.updates


@pytest.mark.parametrize(("lag", "want"), [(0, [1, 2, 3]), (1, [0, 1, 2]), (4, [0, 0, 0])])
def test_a_lag_brings_what_was_sent_before_in_the_same_window(lag, want):
    node = NodeActivity(
        sent=np.array([[1], [2], [3]]), used=np.array([3]),
        is_binary=np.array([False, True, True]),
    )  # fmt: skip
    found = Activity(n_samples=3, nodes={"a": node})
    projection = Projection(
        name="loop", source="a", target="a", synapse=Dense(weight=[[1]]), lag=lag
    )
    sent, is_binary = found.arriving(projection)
    assert sent[:, 0].tolist() == want
    assert is_binary.tolist() == ([True] * lag + [False, True, True])[:3]
