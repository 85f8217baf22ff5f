"""Loops of the float interpreter, by hand and against steps written out one by one."""

from dataclasses import replace
from itertools import pairwise

import nir
import numpy as np
import pytest

from snndeploy.errors import UnsupportedError
from snndeploy.model import InputPort, Model, OutputPort
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.loops import loop_through, stages_of
from snndeploy.nirgraph.metadata import with_semantics
from snndeploy.nirgraph.rebuild import build_graph, feedback_edges
from snndeploy.passes.layers import layers_of
from snndeploy.semantics import Semantics

DT = 1e-4
GE = Semantics(dt=DT, compare="ge")


def fires(n=1, threshold=1.0):
    """Integrate and fire, reset to zero."""
    return nir.IF(np.full(n, 1 / DT), np.full(n, threshold), np.zeros(n))


def affine(weight, bias):
    return nir.Affine(np.array([[float(weight)]]), np.array([float(bias)]))


def model_of(nodes, edges, n=1, semantics=GE):
    ports = {
        "input": nir.Input({"input": np.array([n])}),
        "output": nir.Output({"output": np.array([n])}),
    }
    return Model(
        graph=build_graph({**nodes, **ports}, edges),
        semantics=semantics,
        inputs=(InputPort(name="input", shape=(n,), values="real", low=-9.0, high=9.0),),
        outputs=(OutputPort(name="output", shape=(n,)),),
        steps=None,
        notes=(),
        origin="by hand",
    )


def with_loop(*chain, semantics=GE):
    """Return one neuron `n` whose output comes back over a chain of nodes `c0`, `c1`, …."""
    names = ["n", *(f"c{index}" for index in range(len(chain))), "n"]
    nodes = {"n": fires(), **dict(zip(names[1:], chain, strict=False))}
    edges = [("input", "n"), ("n", "output"), *pairwise(names)]
    return model_of(nodes, edges, semantics=semantics)


def run(model, x, record="n"):
    answer = run_float(model, {"input": np.reshape(x, (-1, 1, 1))}, record=(record,))
    return answer[record].ravel().tolist()


def test_a_spike_comes_back_a_step_later():
    model = with_loop(nir.Scale(np.array([0.5])))
    assert run(model, [1.0, 0.5, 0.0, 0.0, 0.0]) == [1, 1, 0, 0, 0]
    assert run(model, [1.0, 0.5, 0.0, 0.0, 0.0], "n:v") == [0, 0, 0.5, 0.5, 0.5]
    assert run(model, [1.0, 0.5, 0.0, 0.0, 0.0], "c0") == [0.5, 0.5, 0, 0, 0]


def test_a_neuron_may_feed_itself_directly():
    assert run(with_loop(), [1.0, 0.0, 0.0]) == [1, 1, 1]


def test_the_bias_of_a_recurrent_map_acts_at_once_or_a_step_later():
    x = [0.0, 0.0, 0.0, 0.0]
    for feedback, expected in (("spike", [0.5, 0, 0.5, 0]), ("output", [0, 0.5, 0, 0.5])):
        model = with_loop(affine(0, 0.5), semantics=replace(GE, feedback=feedback))
        assert run(model, x, "n:v") == expected


def test_the_rule_is_that_of_the_neuron_the_loop_enters():
    own = with_semantics(fires(), replace(GE, feedback="spike"))
    model = with_loop(affine(0, 0.5))
    graph = build_graph({**model.graph.nodes, "n": own}, model.graph.edges)
    assert run(replace(model, graph=graph), [0.0, 0.0], "n:v") == [0.5, 0]
    nodes = {"in": nir.Scale(np.ones(1)), "n": own, "w": affine(0, 0.5)}
    edges = [("input", "in"), ("in", "n"), ("n", "w"), ("w", "in"), ("n", "output")]
    assert run(model_of(nodes, edges), [0.0, 0.0], "n:v") == [0.5, 0]


@pytest.mark.parametrize("place", ["before", "behind"])
def test_a_delay_on_the_loop_adds_its_own_steps(place):
    delay, scale = nir.Delay(np.array([2 * DT])), nir.Scale(np.array([1.0]))
    chain = (delay, scale) if place == "before" else (scale, delay)
    assert run(with_loop(*chain), [1, 0, 0, 0, 0, 0, 0]) == [1, 0, 0, 1, 0, 0, 1]


def test_a_delay_holds_what_the_feedback_rule_says():
    delay = nir.Delay(np.array([2 * DT]))
    for feedback, expected in (("spike", [0.25, 0.5, 0.75]), ("output", [0, 0, 0])):
        model = with_loop(affine(0, 0.25), delay, semantics=replace(GE, feedback=feedback))
        assert run(model, [0, 0, 0], "n:v") == expected


def test_delays_differ_per_element():
    nodes = {"n": fires(3), "d": nir.Delay(np.array([0, DT, 3 * DT]))}
    edges = [("input", "n"), ("n", "d"), ("d", "n"), ("n", "output")]
    x = np.zeros((8, 2, 3))
    x[0] = 1
    answer = run_float(model_of(nodes, edges, n=3), {"input": x})["output"]
    assert answer[:, 0].T.tolist() == [[1] * 8, [1, 0] * 4, [1, 0, 0, 0] * 2]


def weights(seed, *shape):
    return np.random.default_rng(seed).normal(0, 0.6, shape)


def two_layers():
    """Two populations that each feed back onto themselves, and the second onto the first."""
    arrays = {"fc": abs(weights(0, 5, 4)), "w1": weights(1, 5, 5), "ff": weights(2, 4, 5) + 0.3,
              "w2": weights(3, 4, 4), "back": weights(4, 5, 4)}  # fmt: skip
    bias = weights(5, 5) / 4
    nodes = {name: nir.Linear(weight) for name, weight in arrays.items()}
    nodes["back"] = nir.Affine(arrays["back"], bias)
    nodes |= {"a": fires(5, 0.7), "b": fires(4, 0.6)}
    edges = [("input", "fc"), ("fc", "a"), ("a", "w1"), ("w1", "a"), ("a", "ff"), ("ff", "b"),
             ("b", "w2"), ("w2", "b"), ("b", "back"), ("back", "a"), ("b", "output")]  # fmt: skip
    return model_of(nodes, edges, n=4, semantics=replace(GE, feedback="spike")), arrays, bias


def test_nested_loops_are_what_their_steps_say():
    model, arrays, bias = two_layers()
    x = np.random.default_rng(9).random((30, 6, 4))
    answer = run_float(model, {"input": x}, record=("a", "b", "a:v"))
    a, b, v, u = np.zeros((6, 5)), np.zeros((6, 4)), np.zeros((6, 5)), np.zeros((6, 4))
    for t, frame in enumerate(x):
        v = v + frame @ arrays["fc"].T + a @ arrays["w1"].T + b @ arrays["back"].T + bias
        u = u + b @ arrays["w2"].T
        a = (v >= 0.7).astype(float)
        u = u + a @ arrays["ff"].T
        b = (u >= 0.6).astype(float)
        v, u = np.where(a, 0, v), np.where(b, 0, u)
        assert np.array_equal(answer["a"][t], a)
        assert np.array_equal(answer["b"][t], b)
        np.testing.assert_allclose(answer["a:v"][t], v, atol=1e-12)
    assert 0.05 < answer["a"].mean() < 0.7
    assert 0.05 < answer["b"].mean() < 0.7


def test_loops_are_found_whatever_the_order_of_nodes_and_edges():
    model, *_ = two_layers()
    x = np.random.default_rng(9).random((12, 3, 4))
    expected = run_float(model, {"input": x})["output"]
    rng = np.random.default_rng(0)
    for _ in range(10):
        names = rng.permutation(list(model.graph.nodes))
        edges = [model.graph.edges[i] for i in rng.permutation(len(model.graph.edges))]
        graph = build_graph({name: model.graph.nodes[name] for name in names}, edges)
        assert feedback_edges(graph) == {("w1", "a"), ("w2", "b"), ("back", "a")}
        (loop,) = [stage for stage in stages_of(graph) if stage.is_loop]
        assert set(loop.members) == {"a", "w1", "ff", "b", "w2", "back"}
        again = run_float(replace(model, graph=graph), {"input": x})["output"]
        assert np.array_equal(again, expected)


def test_what_lies_between_two_loops_is_run_between_them():
    nodes = {"a": fires(), "wa": nir.Scale(np.array([0.5])), "mid": nir.Scale(np.array([2.0])),
             "b": fires(), "wb": nir.Scale(np.array([-0.5]))}  # fmt: skip
    edges = [("input", "a"), ("a", "wa"), ("wa", "a"), ("a", "mid"), ("mid", "b"), ("b", "wb"),
             ("wb", "b"), ("b", "output")]  # fmt: skip
    model = model_of(nodes, edges)
    members = [stage.members for stage in stages_of(model.graph)]
    assert [m for m in members if m not in (("input",), ("output",))] == [
        ("a", "wa"), ("mid",), ("b", "wb")
    ]  # fmt: skip
    assert run(model, [1.0, 0.5, 0.0], "b") == [1, 1, 0]


def test_blocks_of_samples_change_nothing_in_a_loop(monkeypatch):
    model, *_ = two_layers()
    x = np.random.default_rng(3).random((9, 11, 4))
    whole = run_float(model, {"input": x}, record=("a:v", "back"))
    monkeypatch.setattr("snndeploy.nirgraph.interpret.BLOCK_VALUES", 100)
    blocks = run_float(model, {"input": x}, record=("a:v", "back"))
    for name, values in whole.items():  # matrix products of other sizes round differently
        np.testing.assert_allclose(blocks[name], values, atol=1e-12)


def test_a_convolution_and_a_gate_may_lie_on_a_loop():
    shape = (1, 3, 3)
    nodes = {
        "input": nir.Input({"input": np.array(shape)}),
        "n": fires(shape),
        "or": nir.SumPool2d(np.array([3, 3]), np.array([1, 1]), np.array([1, 1])),
        "any": nir.Threshold(np.full(shape, 0.5)),
        "output": nir.Output({"output": np.array(shape)}),
    }
    edges = [("input", "n"), ("n", "or"), ("or", "any"), ("any", "n"), ("n", "output")]
    port = InputPort(name="input", shape=shape, values="spikes", low=0.0, high=1.0)
    out = OutputPort(name="output", shape=shape)
    model = replace(
        model_of({}, []), graph=build_graph(nodes, edges), inputs=(port,), outputs=(out,)
    )
    x = np.zeros((3, 1, *shape))
    x[0, 0, 0, 0, 0] = 1
    spread = run_float(model, {"input": x})["output"].sum(axis=(1, 2, 3, 4))
    assert spread.tolist() == [1, 4, 9]


def test_loop_through_a_node():
    edges = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("d", "d")]
    found = {name: set(loop_through(edges, name)) for name in "abcd"}
    assert found == {"a": set(), "b": {"b", "c"}, "c": {"b", "c"}, "d": {"d"}}


@pytest.mark.parametrize(
    ("nodes", "edges"),
    [
        ({}, [("w", "w")]),
        ({"g": nir.Threshold(np.array([0.5]))}, [("w", "g"), ("g", "w")]),
        ({"i": nir.LI(*(np.array([v]) for v in (2 * DT, 1.0, 0.0)))}, [("w", "i"), ("i", "w")]),
        ({}, [("n", "w"), ("w", "n"), ("w", "w")]),
    ],
)
def test_a_loop_without_a_spiking_neuron_is_refused(nodes, edges):
    inner = {"w": nir.Scale(np.array([0.5])), "n": fires(), **nodes}
    edges = [("input", "w"), *dict.fromkeys([("w", "n"), ("n", "output"), *edges])]
    with pytest.raises(UnsupportedError, match=r"E2021\].*the loop .* -> .*no spiking neuron"):
        run_float(model_of(inner, edges), {"input": np.zeros((2, 1, 1))})


def test_a_loop_entered_at_two_nodes_is_refused():
    nodes = {"a": fires(), "b": fires()}
    edges = [("input", "a"), ("input", "b"), ("a", "b"), ("b", "a"), ("b", "output")]
    model = model_of(nodes, edges)
    with pytest.raises(UnsupportedError, match=r"E2030\] a: .*entered at 2 nodes, a, b"):
        run_float(model, {"input": np.zeros((2, 1, 1))})
    with pytest.raises(UnsupportedError, match="E2030"):
        layers_of(model)


def test_a_loop_without_a_neuron_does_not_compile():
    nodes = {"w": nir.Scale(np.array([0.5])), "n": fires()}
    edges = [("input", "w"), ("w", "w"), ("w", "n"), ("n", "output")]
    with pytest.raises(UnsupportedError, match="E2021"):
        layers_of(model_of(nodes, edges))
