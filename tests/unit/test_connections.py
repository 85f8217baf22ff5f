"""Fan-outs, counted from the layout, equal those of the listed synapses and of the simulator."""

import numpy as np
import pytest
from hypothesis import given, settings

from hwtargets.simulator import fanout
from snndeploy.ir.connections import fan_out, n_possible, n_weights, n_zero, words_per_spike
from snndeploy.ir.interpret import triples
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse
from tests.generator.networks import networks


@settings(max_examples=80, deadline=None)
@given(networks())
def test_fan_outs_equal_listed_synapses(case):
    network, _ = case
    for projection in network.projections:
        synapse = projection.synapse
        _, sources, _ = triples(synapse)
        listed = np.bincount(sources, minlength=synapse.n_in)
        if not isinstance(synapse, Pool | Sparse | OneToOne) or np.all(synapse.weight):
            np.testing.assert_array_equal(fan_out(synapse, live=True), listed)
        np.testing.assert_array_equal(fan_out(synapse), fanout.fan_out(synapse, 0, synapse.n_out))


def test_words_hold_packed_weights():
    synapse = Dense(weight=np.ones((17, 2)))
    assert words_per_spike(synapse, 8).tolist() == [3, 3]  # 136 bits
    assert words_per_spike(synapse, 4).tolist() == [2, 2]
    assert words_per_spike(Sparse(n_in=3, indptr=[0, 1], indices=[1], weight=[5]), 8).tolist() == [
        0, 1, 0,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("synapse", "weights", "zeros", "possible"),
    [
        (Dense(weight=[[1, 0], [0, 2], [3, 4]]), 6, (2, 6), 6),
        (Sparse(n_in=4, indptr=[0, 2, 2], indices=[0, 3], weight=[2, 4]), 2, (6, 8), 8),
        (OneToOne(weight=[1, 0, 2]), 3, (1, 3), 3),
        # 3 x 3 image, 2 x 2 kernel: four places of four taps
        (Conv(weight=[[[[1, 0], [2, 3]]]], in_shape=(1, 3, 3)), 4, (1, 4), 16),
        # two channels of 2 x 4, each in two places of four taps
        (Pool(in_shape=(2, 2, 4), kernel=(2, 2), stride=(2, 2)), 8, (0, 8), 16),
        # padding adds no synapse: the corner place has one real tap of four
        (Conv(weight=[[[[1, 1], [1, 1]]]], in_shape=(1, 1, 1), padding=(1, 1)), 4, (0, 4), 4),
    ],
)
def test_weights_zeros_and_products(synapse, weights, zeros, possible):
    assert n_weights(synapse) == weights
    assert n_zero(synapse) == zeros
    assert n_possible(synapse) == possible
