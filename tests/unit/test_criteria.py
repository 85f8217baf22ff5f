"""Scores of channels against cases worked by hand, and against torch's own rank."""

from math import e, log, sqrt

import nir
import numpy as np
import pytest
import torch
from chains import chain_model, conv, flatten, integrate_and_fire, lif
from hypothesis import given, settings
from hypothesis import strategies as st

from snndeploy.compress import activity, scores
from snndeploy.compress.channels import groups_of
from snndeploy.compress.criteria import (
    CRITERIA,
    effective_rank,
    mean_size,
    ranked,
    rates,
    singular_values,
    spike_maps,
    spike_statistics,
)
from snndeploy.compress.potential import potential_before_spikes, recorded_for
from snndeploy.compress.scores import score_groups
from snndeploy.frontends.torch_module import ImportOptions, import_module
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.shapes import normalize_graph
from snndeploy.samples import Samples

ALL = ("rank", "nuclear", "effective", "rate")


def spikes_of(*steps):
    """Return one sample of one channel, [T, 1, 1, H, W]."""
    return torch.tensor(steps, dtype=torch.float32)[:, None, None]


def of(spikes, keys=ALL):
    return {key: values.tolist() for key, values in spike_statistics(spikes, keys).items()}


def test_two_steps_of_a_two_by_two_map():
    """Spikes on the diagonal, then on the antidiagonal: an average of halves, rank 1."""
    found = of(spikes_of([[1, 0], [0, 1]], [[0, 1], [1, 0]]))
    assert found["rank"] == [1]
    assert found["nuclear"] == pytest.approx([1.0])  # of [[.5, .5], [.5, .5]]
    assert found["effective"] == pytest.approx([1.0])
    assert found["rate"] == [0.5]


def test_the_rank_is_that_of_the_average_not_of_a_step():
    """Both steps have rank 1, their average rank 2."""
    found = of(spikes_of([[1, 0], [0, 0]], [[1, 1], [1, 1]]))
    assert found["rank"] == [2]  # [[1, .5], [.5, .5]]: determinant 1/4
    assert found["nuclear"] == pytest.approx([1.5])  # symmetric, positive: the trace
    sigma = np.array([0.75 + sqrt(5) / 4, 0.75 - sqrt(5) / 4])
    share = sigma / 1.5
    assert found["effective"] == pytest.approx([e ** -sum(p * log(p) for p in share)])


def test_a_silent_map_has_rank_zero_and_equal_singular_values_have_full_effective_rank():
    assert of(spikes_of(np.zeros((2, 3)).tolist())) == {
        "rank": [0], "nuclear": [0], "effective": [0], "rate": [0],
    }  # fmt: skip
    assert of(spikes_of(np.eye(3).tolist()))["effective"] == pytest.approx([3.0])


def test_scores_are_sums_over_samples_and_maps_need_not_be_square():
    one = torch.zeros(1, 3, 2, 2, 4)  # [T, B, C, H, W]
    one[0, 0, 0] = 1  # rank 1
    one[0, 1, 0, 0, 0] = one[0, 1, 0, 1, 1] = 1  # rank 2
    one[0, 2, 1, 0, 0] = 1
    assert of(one)["rank"] == [3, 1]
    assert of(one)["rate"] == pytest.approx([1 + 2 / 8, 1 / 8])


def test_neurons_without_an_image_take_steps_times_samples():
    spikes = torch.tensor([[[1, 1], [0, 1]], [[0, 1], [1, 1]], [[0, 0], [0, 0]]]).float()
    # [T=3, B=2, C=2]: the first neuron fires on a diagonal, the second always.
    assert spike_maps(spikes).shape == (1, 2, 3, 2)
    assert of(spikes)["rank"] == [2 * 2, 1 * 2]  # a rank counts for both samples
    along = torch.zeros(2, 1, 1, 3)  # [T, B, C, L]: steps times positions
    along[0, 0, 0, 0] = along[1, 0, 0, 1] = 1
    assert of(along)["rank"] == [2]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), n=st.integers(1, 12), width=st.integers(1, 12),
    steps=st.integers(1, 6), density=st.floats(0.02, 0.9),
)  # fmt: skip
def test_ranks_are_those_of_torch(seed, n, width, steps, density):
    rng = np.random.default_rng(seed)
    counts = (rng.random((steps, 8, n, width)) < density).sum(0)
    average = torch.from_numpy(counts / steps)
    sigma = singular_values(average)
    want = torch.linalg.matrix_rank(average)
    assert torch.equal((sigma > 1e-6).sum(-1), want)
    assert torch.equal(torch.linalg.matrix_rank(torch.from_numpy(counts * 1.0)), want)


def test_ranks_of_large_structured_maps_are_those_of_torch():
    """Sums of 20 patterns: float32 counts its own rounding as rank."""
    rng = np.random.default_rng(1)
    left, right = ((rng.random((300, *shape)) < 0.5) * 1.0 for shape in ((32, 20), (20, 32)))
    maps = torch.from_numpy(left @ right / 4)
    ranks = torch.linalg.matrix_rank(maps)
    assert torch.equal((singular_values(maps) > 1e-6).sum(-1), ranks)
    assert not torch.equal((torch.linalg.svdvals(maps.float()) > 1e-6).sum(-1), ranks)


def test_effective_rank_of_a_zero_map_is_zero():
    assert effective_rank(torch.zeros(2, 3)).tolist() == [0, 0]


def test_equal_scores_are_told_apart_by_the_next_key_then_by_the_index():
    assert ranked(np.array([[1.0, 2, 2, 2], [9, 1, 1, 3]])).tolist() == [3, 1, 2, 0]
    assert ranked(np.array([[1.0, 1 + 1e-12, 1]])).tolist() == [0, 1, 2]


def test_rates_and_sizes_are_means_over_steps_and_positions():
    spikes = torch.zeros(2, 2, 1, 2, 2)
    spikes[0, 0] = 1
    assert rates(spikes).tolist() == [0.5]
    u = np.array([[[1.0, -3.0]], [[0.0, 2.0]]])  # [T=2, B=1, C=2]
    assert mean_size(u).tolist() == [0.5, 2.5]


def small_model(**options):
    rng = np.random.default_rng(4)
    return chain_model(
        conv(rng.normal(0.1, 0.5, (5, 1, 3, 3)), (6, 6), padding=1), lif((5, 6, 6), keep=0.5),
        flatten((5, 6, 6)), nir.Linear(weight=rng.normal(0.02, 0.2, (7, 180))),
        integrate_and_fire((7,)), nir.Linear(weight=rng.normal(0, 1, (3, 7))),
        shape=(1, 6, 6), out_shape=(3,), steps=4, **options,
    )  # fmt: skip


def samples_of(model, n, seed=0):
    rng = np.random.default_rng(seed)
    shape = (model.steps, n, *model.inputs[0].shape)
    return Samples(x={model.inputs[0].name: (rng.random(shape) < 0.4) * 1.0})


def scored(model, samples, name, **options):
    graph = normalize_graph(model.graph)
    free = tuple(g for g in groups_of(graph) if not g.fixed)
    return score_groups(
        model, free, CRITERIA[name], samples=samples, steps=model.steps, **options
    )  # fmt: skip


def test_scores_are_those_of_all_recorded_spikes_at_once():
    model = small_model()
    samples = samples_of(model, 40)
    maps = run_float(model, samples.x, record=("n1",))["n1"].mean(axis=0)
    found = scored(model, samples, "svs")["n0"]
    assert np.allclose(found[0], np.linalg.matrix_rank(maps).mean(axis=0), rtol=0, atol=1e-12)
    nuclear = np.linalg.norm(maps, ord="nuc", axis=(-2, -1)).mean(axis=0)
    assert np.allclose(found[1], nuclear)
    assert np.allclose(scored(model, samples, "svs_nuclear")["n0"][0], nuclear)
    flat = run_float(model, samples.x, record=("n4",))["n4"]  # [4, 40, 7], in chunks of 32
    ranks = [np.linalg.matrix_rank(flat[:, a:b].transpose(2, 0, 1)) for a, b in ((0, 32), (32, 40))]
    want = (32 * ranks[0] + 8 * ranks[1]) / 40
    assert np.allclose(scored(model, samples, "svs")["n3"][0], want)


def test_memory_bounds_the_batch_and_changes_no_score(monkeypatch):
    model, samples = small_model(), None
    samples = samples_of(model, 40)
    whole = scored(model, samples, "effective_rank")
    monkeypatch.setattr(activity, "MEMORY", 30_000)
    assert activity.activity_of(model, steps=4).batch < 5
    parts = scored(model, samples, "effective_rank")
    assert all(np.allclose(whole[name], parts[name], rtol=0, atol=1e-12) for name in whole)


def test_the_interpreters_doubles_are_reckoned_with(monkeypatch):
    model = small_model()
    inside = activity.activity_of(model, steps=4)
    monkeypatch.setattr(activity, "_in_torch", lambda _: None)
    outside = activity.activity_of(model, steps=4)
    assert outside.graph is None
    assert inside.batch == pytest.approx(2 * outside.batch, abs=1)


def test_weights_and_chance_need_no_samples():
    model = small_model()
    nodes = model.graph.nodes
    assert np.allclose(
        scored(model, None, "l1")["n0"], [np.abs(nodes["n0"].weight).sum(axis=(1, 2, 3))]
    )
    assert np.allclose(scored(model, None, "l1")["n3"], [np.abs(nodes["n3"].weight).sum(axis=1)])
    one, same, other = (scored(model, None, "random", seed=seed)["n0"] for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_potential_is_the_one_that_is_compared():
    """A neuron that keeps half, fires above 1 and resets to 0, gets 0.75 in every step."""
    model = chain_model(
        nir.Linear(weight=np.eye(1)), lif((1,), keep=0.5), shape=(1,), out_shape=(1,), compare="gt"
    )  # fmt: skip
    x = {"input": np.full((4, 1, 1), 0.75)}
    graph = normalize_graph(model.graph)
    recorded = run_float(model, x, record=recorded_for(graph, "n1"))
    u = potential_before_spikes(model, graph, "n1", recorded)
    assert u.ravel().tolist() == [0.75, 1.125, 0.75, 1.125]
    assert recorded["n1"].ravel().tolist() == [0, 1, 0, 1]


LOOPS = {
    "RLeaky": {"beta": 0.75, "linear_features": 6},
    "RSynaptic": {"alpha": 0.5, "beta": 0.75, "linear_features": 6},
    "RLeaky without reset": {"beta": 0.75, "linear_features": 6, "reset_mechanism": "none"},
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_potential_in_a_loop_decides_what_was_sent(name):
    import snntorch as snn

    torch.manual_seed(2)
    cell = getattr(snn, name.split()[0])(threshold=0.4, init_hidden=True, **LOOPS[name])
    net = torch.nn.Sequential(torch.nn.Linear(5, 6), cell, torch.nn.Linear(6, 2))
    model = import_module(net, torch.zeros(1, 5), ImportOptions(steps=9))
    graph = normalize_graph(model.graph)
    x = {"input": np.random.default_rng(0).random((9, 20, 5))}
    recorded = run_float(model, x, record=recorded_for(graph, "1"))
    u = potential_before_spikes(model, graph, "1", recorded)
    assert 0.05 < recorded["1"].mean() < 0.9
    assert np.array_equal(u > graph.nodes["1"].v_threshold, recorded["1"] > 0)
    samples = Samples(x=x)
    assert np.allclose(scored(model, samples, "sca")["0"][0], np.abs(u).mean(axis=(0, 1)))
    assert scores.unmeasured(groups_of(graph)[1], CRITERIA["sca"], graph) == ""


def test_the_inverted_control_keeps_the_lowest():
    model = small_model()
    samples = samples_of(model, 16)
    plain, inverted = (scored(model, samples, name)["n0"] for name in ("svs", "svs_inverted"))
    assert np.array_equal(inverted, -plain)
    assert set(ranked(inverted)[:2].tolist()) != set(ranked(plain)[:2].tolist())
