"""Which channels stand and fall together, on graphs small enough to follow by hand."""

from itertools import pairwise

import nir
import numpy as np
import pytest
from chains import DT, chain_model, conv, flatten, graph_model, lif, pool

from snndeploy.compress.channels import by_node, classes, groups_of, is_copy
from snndeploy.compress.criteria import CRITERIA
from snndeploy.compress.removal import remove_channels
from snndeploy.compress.scores import unmeasured
from snndeploy.ir.program import Program, State, line
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.microcode import Microcode, Parameter
from snndeploy.nirgraph.shapes import normalize_graph
from tests.generator.models import CONSTRUCTS, random_model
from tests.pruned import muted, on_grid, random_kept, removed, silenced


def groups(model):
    return {g.name: g for g in groups_of(normalize_graph(model.graph))}


def linear(out, into):
    return nir.Affine(
        weight=np.arange(out * into, dtype=float).reshape(out, into), bias=np.zeros(out)
    )


def test_classes_are_named_after_their_smallest_element():
    assert classes(6, np.array([[4, 5, 1], [5, 2, 3]])).tolist() == [0, 1, 2, 1, 2, 2]
    assert classes(3, np.empty((2, 0), int)).tolist() == [0, 1, 2]


def test_a_chain_has_a_group_per_layer_and_a_flattened_image_keeps_its_channels():
    model = chain_model(
        conv(np.ones((3, 1, 1, 1)), (2, 2)), lif((3, 2, 2), keep=0.5), flatten((3, 2, 2)),
        linear(4, 12), lif((4,), keep=0.5), linear(2, 4), shape=(1, 2, 2), out_shape=(2,),
    )  # fmt: skip
    found = groups(model)
    assert set(found) == {"input", "n0", "n3", "n5"}
    assert found["n0"].n == 3
    assert found["n0"].index["n2"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert found["n0"].neurons == ("n1",)
    assert found["n3"].index["n4"].tolist() == [0, 1, 2, 3]
    assert found["n5"].fixed == "is read by the output output"
    assert found["input"].fixed == "shares its channels with the input input"
    small = remove_channels(
        normalize_graph(model.graph), tuple(found.values()), {"n0": np.array([0, 2])}
    )
    assert small.nodes["n3"].weight[1].tolist() == [12, 13, 14, 15, 20, 21, 22, 23]
    assert small.nodes["n1"].tau.shape == (2, 2, 2)


def residual(shortcut, stem=4, out=4):
    """Return stem -> a -> b, b's current plus a shortcut -> c -> fc."""
    shape = (2, 2)
    nodes = {
        "stem": conv(np.ones((stem, 1, 1, 1)), shape), "a": lif((stem, *shape), keep=0.5),
        "conv": conv(np.ones((out, stem, 1, 1)), shape), "c": lif((out, *shape), keep=0.5),
        "flat": flatten((out, *shape)), "fc": linear(2, out * 4), **shortcut,
    }  # fmt: skip
    way = ["a", *shortcut, "c"]
    edges = [
        ("in", "stem"), ("stem", "a"), ("a", "conv"), ("conv", "c"), ("c", "flat"),
        ("flat", "fc"), ("fc", "out"), *pairwise(way),
    ]  # fmt: skip
    return graph_model(nodes, edges, inputs={"in": (1, *shape)}, outputs={"out": (2,)}, steps=3)


def test_an_identity_shortcut_is_one_group():
    group = groups(residual({}))["stem"]
    assert group.layers == ("stem", "conv")
    assert group.neurons == ("a", "c")
    assert group.index["c"].tolist() == group.index["stem"].tolist() == [0, 1, 2, 3]


def test_a_padded_shortcut_is_an_index_map_and_couples_nothing():
    weight = np.zeros((7, 4, 1, 1))
    weight[[2, 3, 4, 5], [0, 1, 2, 3]] = 1
    model = residual({"pad": conv(weight, (2, 2))}, out=7)
    graph = normalize_graph(model.graph)
    assert is_copy(graph.nodes["pad"])
    found = groups(model)
    assert found["stem"].layers == ("stem",)
    assert found["conv"].layers == ("conv",)
    kept = {"stem": np.array([1, 3]), "conv": np.array([0, 3, 4, 5])}
    small = remove_channels(graph, tuple(found.values()), kept)
    # Channels 3 and 5 behind the shortcut are 1 and 3 before it; 0 is padding, 4 lost its source.
    assert small.nodes["pad"].weight[:, :, 0, 0].tolist() == [[0, 0], [1, 0], [0, 0], [0, 1]]
    assert is_copy(small.nodes["pad"])


def test_a_projected_shortcut_stands_and_falls_with_its_block():
    found = groups(residual({"short": conv(np.full((6, 4, 1, 1), 0.5), (2, 2))}, out=6))
    assert found["stem"].layers == ("stem",)
    assert set(found["conv"].layers) == {"conv", "short"}


def grouped(channels, **geometry):
    n_out, per_group = geometry["n_out"], channels // geometry["groups"]
    return chain_model(
        conv(np.ones((channels, 1, 1, 1)), (2, 2)), lif((channels, 2, 2), keep=0.5),
        conv(np.arange(n_out * per_group).reshape(n_out, per_group, 1, 1) * 1.0, (2, 2),
             groups=geometry["groups"]),
        lif((n_out, 2, 2), keep=0.5), flatten((n_out, 2, 2)), linear(2, n_out * 4),
        shape=(1, 2, 2), out_shape=(2,),
    )  # fmt: skip


def test_groups_of_a_convolution_stay_equal():
    found = groups(model := grouped(6, n_out=4, groups=2))
    assert found["n0"].blocks.tolist() == [0, 0, 0, 1, 1, 1]
    assert found["n2"].blocks.tolist() == [0, 0, 1, 1]
    kept = {"n0": np.array([0, 2, 3, 4]), "n2": np.array([1, 2])}
    small = remove_channels(normalize_graph(model.graph), tuple(found.values()), kept)
    assert small.nodes["n2"].groups == 2
    assert small.nodes["n2"].weight[:, :, 0, 0].tolist() == [[3, 5], [6, 7]]


def test_a_convolution_of_single_channels_loses_whole_groups():
    found = groups(model := grouped(3, n_out=6, groups=3))
    assert found["n0"].index["n2"].tolist() == [0, 0, 1, 1, 2, 2]
    small = remove_channels(
        normalize_graph(model.graph), tuple(found.values()), {"n0": np.array([0, 2])}
    )
    assert small.nodes["n2"].groups == 2
    assert small.nodes["n2"].weight.ravel().tolist() == [0, 1, 4, 5]


def test_groups_that_could_not_stay_equal_are_left():
    nodes = {
        "stem": conv(np.ones((6, 1, 1, 1)), (2, 2)), "a": lif((6, 2, 2), keep=0.5),
        "two": conv(np.ones((4, 3, 1, 1)), (2, 2), groups=2), "b": lif((4, 2, 2), keep=0.5),
        "three": conv(np.ones((6, 2, 1, 1)), (2, 2), groups=3), "c": lif((6, 2, 2), keep=0.5),
        "read": conv(np.ones((1, 4, 1, 1)), (2, 2)), "other": conv(np.ones((1, 6, 1, 1)), (2, 2)),
    }  # fmt: skip
    edges = [
        ("in", "stem"), ("stem", "a"), ("a", "two"), ("two", "b"), ("a", "three"), ("three", "c"),
        ("b", "read"), ("c", "other"), ("read", "out"), ("other", "out"),
    ]  # fmt: skip
    model = graph_model(nodes, edges, inputs={"in": (1, 2, 2)}, outputs={"out": (1, 2, 2)}, steps=2)
    assert groups(model)["stem"].fixed == "the groups of three would not stay equal"
    assert groups(model)["two"].fixed == ""


def test_an_output_that_taps_a_stream_keeps_it():
    nodes = {"fc": linear(4, 3), "a": lif((4,), keep=0.5), "head": linear(2, 4)}
    edges = [("in", "fc"), ("fc", "a"), ("a", "head"), ("head", "out"), ("a", "tap")]
    model = graph_model(
        nodes, edges, inputs={"in": (3,)}, outputs={"out": (2,), "tap": (4,)}, steps=2
    )
    assert groups(model)["fc"].fixed == "is read by the output tap"


def test_every_parameter_of_a_lost_channel_goes():
    n, rng = 4, np.random.default_rng(0)
    fields = ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in")
    values = {field: rng.uniform(1, 2, n) for field in fields}
    scale, delay, threshold = (rng.uniform(1, 2, n) for _ in range(3))
    own = Microcode(
        program=Program(
            name="p", states=(State(name="v", bits=24),), params=("vth", "keep"),
            body=(
                line("v", "mul", "v", "keep"), line("v", "add", "v", "a"),
                line("s", "gt", "v", "vth"),
            ),
            emits="s",
        ),
        parameters={
            "vth": Parameter(np.arange(n) + 1.0, "level"), "keep": Parameter(0.5, "share"),
        },
        metadata={"scale": np.arange(n), "deep": {"each": np.eye(n)}, "other": "text"},
    )  # fmt: skip
    model = chain_model(
        linear(n, 3), nir.CubaLIF(**values), nir.Scale(scale=scale), nir.Delay(delay=delay * DT),
        nir.Threshold(threshold=threshold), linear(n, n), own, linear(2, n),
        shape=(3,), out_shape=(2,),
    )  # fmt: skip
    graph = normalize_graph(model.graph)
    kept = {"n0": np.array([1, 3]), "n5": np.array([0, 2])}
    small = remove_channels(graph, groups_of(graph), kept)
    for field in fields:
        assert np.array_equal(getattr(small.nodes["n1"], field), values[field][[1, 3]])
    assert np.array_equal(small.nodes["n2"].scale, scale[[1, 3]])
    assert np.array_equal(small.nodes["n3"].delay, delay[[1, 3]] * DT)
    assert np.array_equal(small.nodes["n4"].threshold, threshold[[1, 3]])
    neuron = small.nodes["n6"]
    assert neuron.parameters["vth"].value.tolist() == [1, 3]
    assert neuron.parameters["keep"].value.size == 1
    assert neuron.metadata["scale"].tolist() == [0, 2]
    assert neuron.metadata["deep"]["each"].tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]
    assert neuron.metadata["other"] == "text"
    assert own.parameters["vth"].value.size == n
    assert small.nodes["n5"].weight.tolist() == [[1, 3], [9, 11]]


def test_a_line_of_values_and_a_partly_flattened_image():
    along = nir.Conv1d(
        input_shape=5, weight=np.ones((3, 2, 1)), stride=1, padding=0, dilation=1, groups=1,
        bias=np.zeros(3),
    )  # fmt: skip
    rows = nir.Flatten(start_dim=1, end_dim=2, input_type={"input": np.array((3, 2, 2))})
    model = chain_model(along, lif((3, 5), keep=0.5), shape=(2, 5), out_shape=(3, 5))
    assert groups(model)["n0"].n == 3
    model = chain_model(
        conv(np.ones((3, 1, 1, 1)), (2, 2)), rows, lif((3, 4), keep=0.5), flatten((3, 4)),
        linear(2, 12), shape=(1, 2, 2), out_shape=(2,),
    )  # fmt: skip
    assert groups(model)["n0"].index["n1"].tolist() == [0, 1, 2]
    assert groups(model)["n0"].index["n3"].tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_lines_of_values_lose_channels_as_if_they_were_silent():
    rng = np.random.default_rng(0)

    def along(n_out, n_in, **geometry):
        return nir.Conv1d(
            input_shape=None, weight=rng.integers(-8, 16, (n_out, n_in, 3)) / 16,
            bias=rng.integers(-2, 4, n_out) / 16, stride=1, padding=1, dilation=1, **geometry,
        )  # fmt: skip

    model = chain_model(
        along(6, 2, groups=1), lif((6, 7), keep=0.5), along(4, 3, groups=2), lif((4, 7), keep=0.5),
        flatten((4, 7)), linear(3, 28), shape=(2, 7), out_shape=(3,), steps=6,
    )  # fmt: skip
    model = on_grid(model)
    kept = random_kept(groups_of(model.graph), rng, share=0.7)
    x = {"input": (rng.random((6, 5, 2, 7)) < 0.5) * 1.0}
    got = run_float(removed(model, kept), x, record=("n3",))
    assert 0 < got["n3"].mean() < 1
    for other in (silenced, muted):
        assert np.array_equal(got["output"], run_float(other(model, kept), x)["output"])


def test_thresholds_without_a_state_stand_for_neurons_where_there_are_none():
    model = chain_model(
        conv(np.ones((3, 1, 1, 1)), (4, 4)), nir.Threshold(threshold=np.full((3, 4, 4), 0.5)),
        conv(np.ones((2, 3, 1, 1)), (4, 4)), lif((2, 4, 4), keep=0.5), pool(nir.SumPool2d, 2),
        nir.Threshold(threshold=np.full((2, 2, 2), 0.5)), flatten((2, 2, 2)), linear(2, 8),
        shape=(1, 4, 4), out_shape=(2,),
    )  # fmt: skip
    found = groups(model)
    assert found["n0"].neurons == ("n1",)
    assert found["n2"].neurons == ("n3",)
    graph = normalize_graph(model.graph)
    assert unmeasured(found["n0"], CRITERIA["svs"], graph) == ""
    reason = "is measured at n1, whose potential is not known"
    assert unmeasured(found["n0"], CRITERIA["sca"], graph) == reason


def test_every_node_is_in_one_group():
    model = chain_model(
        conv(np.ones((3, 1, 1, 1)), (4, 4)), lif((3, 4, 4), keep=0.5), pool(nir.AvgPool2d, 2),
        shape=(1, 4, 4), out_shape=(3, 2, 2),
    )  # fmt: skip
    graph = normalize_graph(model.graph)
    assert set(by_node(groups_of(graph))) == set(graph.nodes)


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs_answer_as_if_their_lost_channels_were_silent(seed):
    rng = np.random.default_rng(seed)
    constructs = tuple(CONSTRUCTS)
    model = random_model(rng, constructs=(constructs[seed % len(constructs)], *constructs), most=4)
    model = on_grid(model)
    kept = random_kept(groups_of(model.graph), rng)
    x = {p.name: (rng.random((model.steps, 4, *p.shape)) < 0.5) * 1.0 for p in model.inputs}
    got = run_float(removed(model, kept), x)
    for other in (silenced, muted):
        want = run_float(other(model, kept), x)
        for port in model.outputs:
            np.testing.assert_allclose(got[port.name], want[port.name], rtol=0, atol=1e-12)
