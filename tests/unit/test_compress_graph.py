"""The torch graph is the float interpreter, spike for spike; its gradients are the surrogate's."""

from dataclasses import replace
from itertools import product
from math import pi

import nir
import numpy as np
import pytest
import torch
from chains import DT, chain_model, conv, cuba, flatten, integrate_and_fire, lif, pool

from snndeploy.compress.surrogate import count, fire
from snndeploy.compress.torch_graph import run_graph, torch_graph, weights_of, with_weights
from snndeploy.errors import UnsupportedError
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.metadata import with_semantics
from snndeploy.nirgraph.rebuild import build_graph
from snndeploy.semantics import Semantics
from tests.generator.models import CONSTRUCTS, random_model

N_SAMPLES = 5


def random_inputs(model, rng, steps=None):
    def values(port):
        shape = (steps or model.steps, N_SAMPLES, *port.shape)
        return rng.random(shape) < 0.3 if port.values == "spikes" else rng.uniform(-1, 1, shape)

    return {port.name: values(port).astype(float) for port in model.inputs}


def assert_same(model, inputs):
    """Compare every neuron's output and potential in every cell; return the rates."""
    graph = torch_graph(model)
    names = tuple(graph.constants)
    record = (*names, *(f"{name}:v" for name in names))
    want = run_float(model, inputs, record=record)
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    got = run_graph(graph, weights_of(graph), tensors, record=record)
    rates = []
    for name, array in want.items():
        answer = got[name].numpy()
        if name in names and float(array.max()).is_integer():
            assert np.array_equal(answer, array), name
            rates.append(array.mean())
        else:
            np.testing.assert_allclose(answer, array, rtol=1e-9, atol=1e-9, err_msg=name)
    return rates


def test_random_chains_fire_as_in_the_interpreter(tell):
    rates = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        model = random_model(rng, constructs=("layer", "average_pool", "max_pool"))
        rates += assert_same(model, random_inputs(model, rng))
    fires = [0 < rate < 1 for rate in rates]
    assert np.mean(fires) > 0.8
    tell(f"torch graph = float interpreter on 40 chains, {sum(fires)} layers that fire")


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_random_graphs_fire_as_in_the_interpreter(construct):
    rng = np.random.default_rng(3)
    model = random_model(rng, constructs=(construct,), most=1)
    assert any(0 < rate < 1 for rate in assert_same(model, random_inputs(model, rng)))


NODES = {
    "IF": lambda shape, rng: nir.IF(
        r=rng.uniform(0.5, 1.5, shape) / DT,
        v_threshold=rng.uniform(0.5, 1.5, shape),
        v_reset=rng.uniform(-0.3, 0.3, shape),
    ),
    "LIF": lambda shape, rng: nir.LIF(
        tau=rng.uniform(2, 9, shape) * DT, r=rng.uniform(2, 6, shape),
        v_leak=rng.uniform(-0.2, 0.2, shape), v_threshold=rng.uniform(0.5, 1.5, shape),
        v_reset=rng.uniform(-0.3, 0.3, shape),
    ),
    "CubaLIF": lambda shape, rng: nir.CubaLIF(
        tau_syn=rng.uniform(2, 9, shape) * DT, tau_mem=rng.uniform(2, 9, shape) * DT,
        r=rng.uniform(2, 6, shape), v_leak=rng.uniform(-0.2, 0.2, shape),
        v_threshold=rng.uniform(0.5, 1.5, shape), v_reset=rng.uniform(-0.3, 0.3, shape),
        w_in=rng.uniform(2, 6, shape),
    ),
}  # fmt: skip
SEMANTICS = [
    Semantics(
        dt=DT, leak=leak, gain=gain, reset=reset, compare=compare, order=order,
        multi_spike=multi, v_min=v_min, v0=v0,
    )
    for (leak, gain), reset, (compare, order), (multi, v_min, v0) in product(
        [("euler", "nir"), ("exp", "nir"), ("exp", "unit")],
        ["zero", "subtract", "subtract-delayed", "none"],
        [("gt", "synapse-first"), ("ge", "jump-use-decay")],
        [(False, None, "zero"), (False, -1.0, "reset"), (True, -0.5, "zero")],
    )
]  # fmt: skip


@pytest.mark.parametrize("kind", NODES)
def test_every_neuron_with_every_semantics_fires_as_in_the_interpreter(kind):
    rates = []
    for index, semantics in enumerate(SEMANTICS):
        rng = np.random.default_rng(index)
        layers = [
            nir.Affine(weight=rng.normal(0.1, 0.5, (9, 6)), bias=rng.normal(0, 0.1, 9)),
            NODES[kind]((9,), rng),
            nir.Linear(weight=rng.normal(0.1, 0.6, (7, 9))),
            with_semantics(NODES[kind]((7,), rng), semantics),
        ]
        model = chain_model(*layers, shape=(6,), out_shape=(7,))
        rates += assert_same(
            replace(model, semantics=replace(semantics, dt=1.5 * DT)), random_inputs(model, rng)
        )
    assert np.mean([rate > 0.01 and rate != 1 for rate in rates]) > 0.8
    assert max(rates) > 1, "several spikes per step were never seen"


def test_every_other_node_answers_as_in_the_interpreter():
    rng = np.random.default_rng(8)
    shape = (2, 7, 8)
    nodes = [
        nir.Scale(scale=rng.normal(1, 0.2, shape)),
        nir.Delay(delay=rng.integers(0, 12, shape) * DT),
        conv(rng.normal(0.1, 0.4, (4, 1, 3, 2)), shape[1:], groups=2, padding=(2, 0)),
        lif((4, 9, 7), keep=0.75),
        nir.AvgPool2d(np.array([3, 2]), np.array([2, 1]), np.array([2, 1])),
        nir.Threshold(threshold=np.full((4, 6, 8), 0.3)),
        flatten((4, 6, 8)),
        nir.Linear(weight=rng.normal(0, 0.2, (6, 192))),
        nir.LI(*(np.full(6, value) for value in (3 * DT, 3.0, 0.1))),
        nir.I(np.full(6, 1 / DT)),
    ]
    model = chain_model(*nodes, shape=shape, out_shape=(6,), steps=9)
    assert_same(model, random_inputs(model, rng))
    cuba_out = nir.CubaLI(*(np.full(3, v) for v in (3 * DT, 5 * DT, 2.0, 0.1)), np.full(3, 3.0))
    line = nir.Conv1d(
        input_shape=9, weight=rng.normal(0, 1, (3, 2, 3)), stride=2, padding=1, dilation=2,
        groups=1, bias=rng.normal(0, 1, 3),
    )  # fmt: skip
    model = chain_model(
        line, integrate_and_fire((3, 4)), flatten((3, 4)),
        nir.Linear(weight=rng.normal(0, 1, (3, 12))), cuba_out, shape=(2, 9), out_shape=(3,),
    )  # fmt: skip
    assert_same(model, random_inputs(model, rng))


def test_a_still_image_is_computed_once_and_answers_the_same():
    rng = np.random.default_rng(2)
    model = chain_model(
        conv(rng.normal(0, 1, (3, 1, 3, 3)), (6, 6)), lif((3, 4, 4), keep=0.5),
        pool(nir.SumPool2d, 2), shape=(1, 6, 6), out_shape=(3, 2, 2), repeat=True,
    )  # fmt: skip
    frame = rng.random((1, N_SAMPLES, 1, 6, 6))
    want = run_float(model, {"input": frame})
    graph = torch_graph(model)
    still = torch.from_numpy(frame).expand(model.steps, *frame.shape[1:])
    got = run_graph(graph, weights_of(graph), {"input": still})
    assert np.array_equal(got["output"].numpy(), want["output"])


def test_a_loop_is_refused_by_its_edge():
    model = chain_model(
        nir.Linear(weight=np.eye(3)), cuba((3,), keep_u=0.5, keep_v=0.5),
        shape=(3,), out_shape=(3,),
    )  # fmt: skip
    nodes = {**model.graph.nodes, "rec": nir.Linear(weight=np.eye(3))}
    edges = [*model.graph.edges, ("n1", "rec"), ("rec", "n1")]
    with pytest.raises(UnsupportedError, match=r"E2301\] n1: a loop: its edge rec -> n1"):
        torch_graph(replace(model, graph=build_graph(nodes, edges)))


def test_weights_come_out_as_they_went_in_and_leave_the_model_alone():
    model = chain_model(
        nir.Affine(weight=np.ones((2, 3), np.float32), bias=np.zeros(2)), lif((2,), keep=0.5),
        shape=(3,), out_shape=(2,),
    )  # fmt: skip
    graph = torch_graph(model)
    weights = weights_of(graph)
    assert {key: tensor.dtype for key, tensor in weights.items()} == {
        ("n0", "weight"): torch.float32,
        ("n0", "bias"): torch.float64,
    }
    changed = with_weights(graph, {**weights, ("n0", "weight"): torch.full((2, 3), 2.0)})
    weights["n0", "bias"] += 1
    assert model.graph.nodes["n0"].weight.tolist() == [[1] * 3] * 2
    assert changed.graph.nodes["n0"].weight.tolist() == [[2] * 3] * 2
    assert changed.graph.nodes["n0"].weight.dtype == np.float32
    assert changed.graph.nodes["n0"].bias.tolist() == [0, 0]


def test_a_spikes_slope_is_the_arctans_in_units_of_reset_to_threshold():
    v = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64, requires_grad=True)
    unit = torch.full((1,), 2.0, dtype=torch.float64)
    threshold = torch.full((1,), 2.0, dtype=torch.float64)
    for strict, spikes in ((True, [0, 0, 1]), (False, [0, 1, 1])):
        fired = fire(v, threshold, unit, strict=strict)
        assert fired.tolist() == spikes
        (slope,) = torch.autograd.grad(fired.sum(), v)
        expected = [0.5 / (1 + (pi / 2) ** 2), 0.5, 0.5 / (1 + pi**2)]
        assert slope.tolist() == pytest.approx(expected)


def test_several_spikes_have_the_slope_of_their_ratio():
    v = torch.tensor([-3.0, 1.0, 5.0], requires_grad=True)
    counted = count(v, torch.tensor([2.0]))
    assert counted.tolist() == [0, 0, 2]
    assert torch.autograd.grad(counted.sum(), v)[0].tolist() == [0, 0.5, 0.5]
