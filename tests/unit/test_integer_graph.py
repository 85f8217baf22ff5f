"""The integer network in torch: its gradients by hand, and what it refuses by name."""

from dataclasses import replace
from math import pi

import nir
import numpy as np
import pytest
import torch
from chains import DT, chain_model, conv, integrate_and_fire, lif, pool

import snndeploy
from snndeploy.compress.integer_graph import (
    fit_layer,
    integer_graph,
    moving_weights,
    size_of,
    write_weights,
)
from snndeploy.compress.integer_neuron import leak_of, run_program
from snndeploy.compress.integer_run import run_integers
from snndeploy.errors import UnsupportedError
from snndeploy.ir.interpret import step
from snndeploy.ir.neurons import LIF, V_LIMIT
from snndeploy.ir.neurons import lif as lif_params
from snndeploy.nirgraph.metadata import with_semantics
from snndeploy.nirgraph.rebuild import build_graph
from snndeploy.nirgraph.weight_grid import grid_of_node
from snndeploy.pipeline import CompileOptions
from snndeploy.registry import find_target
from snndeploy.semantics import Semantics

NUMERICS = find_target("loihi2").chip.numerics


def one_neuron(weight=(0.4, -0.2), bias=0.0, **options):
    """Two inputs, one integrate-and-fire neuron, one step."""
    model = chain_model(
        nir.Affine(weight=np.array([weight]), bias=np.array([bias])), integrate_and_fire((1,)),
        shape=(2,), out_shape=(1,), steps=1, compare="gt",
    )  # fmt: skip
    return snndeploy.quantize(model, 8, **options).model


def graph_of(model, **options):
    return integer_graph(model, NUMERICS, CompileOptions(), steps=model.steps, **options)


def test_gradients_of_one_step_by_hand():
    graph = graph_of(one_neuron(bias=0.05))
    weights = {key: tensor.requires_grad_() for key, tensor in moving_weights(graph).items()}
    x = torch.tensor([[[1.0, 1.0]]])
    y, traces = run_integers(graph, weights, {"input": x}, record=("n1",))
    fitted, _ = fit_layer(graph, "n1", weights)
    states_of_one = 64 / float(fitted.units[0])
    v = float(traces["n1"].v[0].detach())
    assert v == pytest.approx((0.4 - 0.2 + 0.05) * states_of_one, rel=0.01)
    y["output"].sum().backward()
    # the surrogate of the distance in thresholds, times d(state)/d(weight); theta = 1
    distance = (v - 64 * float(fitted.params["vth"][0])) / states_of_one
    slope = 1 / (1 + (pi * distance) ** 2)
    for key in weights:
        assert weights[key].grad.flatten().tolist() == pytest.approx(
            [slope] * weights[key].numel(), rel=1e-3
        )


@pytest.mark.parametrize("ste", ["one", "rescaled", "masked"])
def test_the_slope_of_a_quantized_weight_is_the_chosen_one(ste):
    model = one_neuron(gamma="max")
    grid = grid_of_node("n0", model.graph.nodes["n0"])
    assert grid.gamma == pytest.approx(0.4, rel=0.02)
    plain, own = graph_of(model), graph_of(model, ste=ste)
    beyond = {key: tensor.clone() for key, tensor in moving_weights(plain).items()}
    beyond["n0", "weight"] = torch.tensor([[0.3, -0.2]], dtype=torch.float64)  # both within gamma
    found = []
    for graph in (plain, own):
        weights = {key: tensor.clone().requires_grad_() for key, tensor in beyond.items()}
        y, _ = run_integers(graph, weights, {"input": torch.ones(1, 1, 2)})
        y["output"].sum().backward()
        found.append(weights["n0", "weight"].grad)
    gamma = float(fit_layer(own, "n1", beyond)[0].gammas["n0"][0])
    expected = {"one": 1.0, "rescaled": 1 / gamma, "masked": 1.0}[ste]
    np.testing.assert_allclose(found[1] / found[0], expected, rtol=1e-6)


def test_a_masked_slope_is_zero_beyond_gamma():
    model = one_neuron(weight=(0.4, -0.1), gamma="mean")  # gamma 0.25
    graph = graph_of(model, ste="masked")
    weights = {k: t.clone() for k, t in moving_weights(graph).items()}
    weights["n0", "weight"] = torch.tensor([[0.9, -0.1]], dtype=torch.float64, requires_grad=True)
    y, _ = run_integers(graph, weights, {"input": torch.ones(1, 1, 2)})
    y["output"].sum().backward()
    gamma = float(fit_layer(graph, "n1", weights)[0].gammas["n0"][0])
    assert 0.1 < gamma < 0.9
    outside, inside = weights["n0", "weight"].grad[0].tolist()
    assert outside == 0
    assert inside != 0


@pytest.mark.parametrize("rule", ["mse", "max", "percentile", "mean", "vanilla"])
def test_the_clip_point_follows_the_weights_but_for_vanilla(rule):
    model = one_neuron(gamma=rule)
    graph = graph_of(model)
    weights = moving_weights(graph)
    grid = grid_of_node("n0", model.graph.nodes["n0"])
    as_it_came, _ = fit_layer(graph, "n1", weights)
    assert as_it_came.gammas["n0"] == pytest.approx(grid.gamma, rel=1e-12)
    weights["n0", "weight"] *= 2
    twice, _ = fit_layer(graph, "n1", weights)
    factor = 1 if rule == "vanilla" else 2
    assert twice.gammas["n0"] == pytest.approx(factor * grid.gamma, rel=0.02)
    own = np.asarray(model.graph.nodes["n0"].weight)
    assert size_of(2 * own, grid) == pytest.approx(factor * size_of(own, grid))


@pytest.mark.parametrize("keep", [0, 1, 2048, 3072, 3686, 4095, 4096])
def test_a_leak_truncates_toward_zero_in_every_bit(keep):
    v = np.array([0, 1, -1, 3, -3, 12345, -12345, V_LIMIT, -V_LIMIT, 8388605, -4194305])
    found = leak_of(np.array([keep]), (len(v),))(torch.from_numpy(v.astype(np.float32)))
    expected = np.sign(v) * (np.abs(v) * keep >> 12)
    assert found.to(torch.int64).tolist() == expected.tolist()


def test_a_potential_is_clipped_where_the_chip_clips_it():
    params = lif_params(du=4095, dv=0, vth=131072, bias_mant=np.array([4095, -4095]), bias_exp=7)
    arriving = np.array([[131000, -131000]] * 5)
    trace = run_program(
        LIF, params, torch.from_numpy(arriving[:, None].astype(np.float32)),
        torch.tensor([4095.0 * 128, -4095.0 * 128]), theta=torch.ones(1),
    )  # fmt: skip
    state = {"u": np.zeros(2, np.int64), "v": np.zeros(2, np.int64)}
    for now, got in zip(arriving, trace.v, strict=True):
        words = step(LIF, state, params, now)
        state = {"u": words["u"], "v": words["v"]}
        assert got[0].to(torch.int64).tolist() == state["v"].tolist()
    assert state["v"].tolist() == [V_LIMIT, -V_LIMIT]


def test_writing_weights_that_did_not_move_writes_the_same_model():
    model = one_neuron(bias=0.07)
    graph = graph_of(model)
    written = write_weights(graph, moving_weights(graph))
    for field in ("weight", "bias"):
        np.testing.assert_allclose(
            getattr(written.graph.nodes["n0"], field), getattr(model.graph.nodes["n0"], field),
            rtol=1e-12,
        )  # fmt: skip


def test_what_is_deployed_but_not_trained_is_refused_by_name():
    rng = np.random.default_rng(0)
    weights = nir.Linear(weight=rng.normal(0.2, 0.5, (4, 6)))
    partly = chain_model(
        weights, lif((4,), keep=0.5), nir.Linear(weight=rng.normal(0.2, 0.5, (3, 4))),
        shape=(6,), out_shape=(3,),
    )  # fmt: skip
    late = chain_model(
        weights,
        nir.Delay(delay=np.full(4, 2 * DT)),
        lif((4,), keep=0.5),
        shape=(6,),
        out_shape=(4,),
    )
    cases = {
        "E2315] n2: its weights are not quantized": snndeploy.quantize(partly, {"n0": 4}).model,
        "E2316] n2: delays on the way from input": snndeploy.quantize(late, 4).model,
    }
    for says, model in cases.items():
        with pytest.raises(UnsupportedError) as caught:
            graph_of(model)
        assert says in caught.value.line()
    nodes = {**partly.graph.nodes, "rec": nir.Linear(weight=np.eye(4))}
    edges = [*partly.graph.edges, ("n1", "rec"), ("rec", "n1")]
    loop = snndeploy.quantize(replace(partly, graph=build_graph(nodes, edges)), 4).model
    with pytest.raises(UnsupportedError, match=r"E2301\] n1: a loop"):
        graph_of(loop)


def test_sums_of_spikes_and_pools_in_front_of_weights_are_covered():
    rng = np.random.default_rng(5)
    subtract = Semantics(dt=DT, reset="subtract", compare="ge", v0="reset")
    model = chain_model(
        conv(rng.normal(0.1, 0.4, (3, 1, 3, 3)), (6, 6)), lif((3, 4, 4), keep=0.5),
        pool(nir.SumPool2d, 2), conv(rng.normal(0.1, 0.4, (2, 3, 2, 2)), (2, 2)),
        with_semantics(integrate_and_fire((2, 1, 1)), subtract),
        shape=(1, 6, 6), out_shape=(2, 1, 1),
    )  # fmt: skip
    graph = graph_of(snndeploy.quantize(model, 3, grid="odd").model)
    y, _ = run_integers(
        graph, moving_weights(graph), {"input": torch.ones(model.steps, 2, 1, 6, 6)}
    )
    assert y["output"].shape == (model.steps, 2, 2, 1, 1)


def host_and_torch(model, x):
    """Return a quantized model's answers as the host reads them, and as training judges them."""
    quantized = snndeploy.quantize(model, 2).model
    graph = graph_of(quantized)
    y, _ = run_integers(
        graph, moving_weights(graph), {"input": torch.from_numpy(x.astype(np.float32))},
        dtype=torch.float64,
    )  # fmt: skip
    return snndeploy.run(snndeploy.compile(quantized), x).y["output"], y["output"].numpy()


def two_layers(rng):
    """Return 10 inputs, 12 neurons and a readout of 4."""
    return chain_model(
        nir.Affine(weight=rng.normal(0.1, 0.5, (12, 10)), bias=rng.normal(0, 0.1, 12)),
        lif((12,), keep=0.5), nir.Linear(weight=rng.normal(0, 0.3, (4, 12))),
        shape=(10,), out_shape=(4,), steps=7, compare="gt",
    )  # fmt: skip


def test_answers_are_those_that_the_host_reads_to_the_bit():
    rng = np.random.default_rng(6)
    model, x = two_layers(rng), rng.integers(0, 2, (7, 50, 10))
    want, got = host_and_torch(model, x)
    assert np.array_equal(want, got)
    assert len(np.unique(want)) > 5


def test_a_readout_without_weights_is_run():
    rng = np.random.default_rng(7)
    model = chain_model(
        conv(rng.normal(0.1, 0.4, (3, 1, 3, 3)), (6, 6)), lif((3, 4, 4), keep=0.5),
        pool(nir.AvgPool2d, 2), shape=(1, 6, 6), out_shape=(3, 2, 2), compare="gt",
    )  # fmt: skip
    x = rng.integers(0, 2, (model.steps, 20, 1, 6, 6))
    want, got = host_and_torch(model, x)
    assert np.array_equal(want, got)
    assert len(np.unique(want)) > 3


def test_epochs_are_judged_as_the_host_decides_ties_included():
    rng = np.random.default_rng(8)
    quantized = snndeploy.quantize(two_layers(rng), 2).model
    x = rng.integers(0, 2, (7, 2000, 10))
    answer = snndeploy.run(snndeploy.compile(quantized), x)
    decided = answer.decision["output"]
    summed = np.sort(np.rint(answer.y["output"].sum(axis=0) * 1e6), axis=1)
    assert np.count_nonzero(summed[:, -1] == summed[:, -2]) > 20, "no ties"
    tuned = snndeploy.finetune(
        quantized, x[:, :8], label=decided[:8], validation=x, validation_label=decided, epochs=1
    )
    assert tuned.report.before == 1.0
