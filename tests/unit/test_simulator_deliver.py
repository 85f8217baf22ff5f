"""Synaptic sums are exact in whatever type they are made."""

import numpy as np
import pytest

from hwtargets.simulator import deliver
from snndeploy.ir.network import Projection
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse
from tests.expanded import expanded
from tests.generator.synapses import random_synapse

FRAMES = np.random.default_rng(0)


def projection(synapse, weight_exp=0):
    return Projection(name="p", source="x", target="y", synapse=synapse, weight_exp=weight_exp)


@pytest.mark.parametrize(
    ("bound", "dtype"),
    [
        ((1 << 24) - 1, np.float32),
        (1 << 24, np.float64),
        ((1 << 53) - 1, np.float64),
        (1 << 53, np.int64),
    ],
)
def test_type_changes_where_a_float_ends(bound, dtype):
    assert deliver.exact_dtype(bound) is dtype


@pytest.mark.parametrize("peak", [1, 1 << 20, 1 << 50])
@pytest.mark.parametrize("kind", ["dense", "conv", "pool", "sparse", "one_to_one"])
def test_sums_equal_the_expanded_matrix(kind, peak):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        synapse = random_synapse(rng, (2, 5, 4), kind)
        frames = rng.integers(-peak, peak, size=(3, synapse.n_in), endpoint=True)
        weight, _ = expanded(synapse)
        want = (frames @ weight.T).astype(np.int32)
        got = deliver.delivery(projection(synapse), peak)(frames)
        assert np.array_equal(got, want)


def test_long_lists_are_gathered_and_give_the_same(monkeypatch):
    synapse = random_synapse(np.random.default_rng(3), (3, 5, 5), "sparse")
    frames = np.random.default_rng(4).integers(0, 2, size=(50, synapse.n_in))
    matrix = deliver.delivery(projection(synapse), 1)(frames)
    monkeypatch.setattr(deliver, "DENSE_CELLS", 0)
    monkeypatch.setattr(deliver, "BLOCK_CELLS", 100)
    assert np.array_equal(deliver.delivery(projection(synapse), 1)(frames), matrix)
    assert matrix.any()


@pytest.mark.parametrize(("exponent", "want"), [(0, -5), (2, -20), (-1, -3)])
def test_the_sum_is_shifted_and_floored(exponent, want):
    run = deliver.delivery(projection(Dense(weight=[[-2, -3]]), exponent), 1)
    assert run(np.array([[1, 1]])).tolist() == [[want]]


def test_sums_beyond_32_bits_wrap():
    run = deliver.delivery(projection(OneToOne(weight=[1 << 20])), 1 << 12)
    assert run(np.array([[1 << 12]])).tolist() == [[0]]


@pytest.mark.parametrize(
    ("synapse", "want"),
    [
        (Dense(weight=[[1, -2], [3, 0]]), 3),
        (OneToOne(weight=[1, -7]), 7),
        (Pool(in_shape=(1, 4, 4), kernel=(2, 2), stride=(2, 2), weight=-3), 12),
        (Conv(weight=np.full((1, 2, 3, 1), -4), in_shape=(2, 3, 1)), 24),
        (Sparse(n_in=3, indptr=[0, 2, 2], indices=[0, 2], weight=[4, -5]), 9),
        (Sparse(n_in=3, indptr=[0, 0], indices=[], weight=[]), 0),
    ],
)
def test_largest_sum_is_over_absolute_weights(synapse, want):
    assert deliver.largest_sum(synapse) == want
