"""`.onnx` files: what they say, that they read back as themselves, and that lies are found."""

import json
import re
from dataclasses import replace

import numpy as np
import onnx
import pytest
from deployed import small_network
from hypothesis import given, settings
from onnx import TensorProto, helper

from snndeploy.errors import ModelError, TargetError, UnsupportedError
from snndeploy.exporters.onnx import onnx_file
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.neurons import LIF, lif
from snndeploy.ir.program import Program, State, line
from snndeploy.ir.synapses import Dense
from snndeploy.ir.text import print_network
from snndeploy.onnxgraph.check import check_onnx
from snndeploy.onnxgraph.file import PREFIX, dump_onnx
from snndeploy.onnxgraph.network import write_network
from snndeploy.onnxgraph.read import load_onnx
from snndeploy.onnxgraph.statements import DOMAIN
from snndeploy.registry import find_executor
from tests.generator.networks import networks
from tests.generator.neurons import ALL_PROGRAMS

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./]*\Z")
HOSTILE = "\x1b[31mred\u202e<script>/../../x" + "y" * 500


def parsed(data):
    return onnx.load_model_from_string(data)


def every_name(graph):
    for node in graph.node:
        yield from (node.name, *node.output)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from every_name(attribute.g)
    yield from (tensor.name for tensor in graph.initializer)
    yield from (port.name for port in (*graph.input, *graph.output))


@pytest.mark.parametrize("form", ["sequence", "step"])
@pytest.mark.parametrize("inline", [False, True])
def test_names_of_strangers_become_safe_and_survive_in_the_text(form, inline):
    network = small_network(name=HOSTILE)
    data = dump_onnx(network, form, inline=inline)
    check_onnx(data)
    names = list(every_name(parsed(data).graph))
    assert all(NAME.match(name) for name in names)
    assert load_onnx(data, "x").populations[0].name == HOSTILE


def test_the_file_says_what_it_is():
    network = small_network()
    model = parsed(dump_onnx(network))
    props = {p.key.removeprefix(PREFIX): p.value for p in model.metadata_props}
    assert json.loads(props["waves"]) == {"hidden": 1, "out": 2}
    assert props["steps"] == str(network.steps)
    given = json.loads(props["inputs"])["in"]
    assert (given["encoding"], given["low"], given["high"]) == ("spikes", 0, 1)
    read = json.loads(props["outputs"])["class"]
    assert (read["readout"], read["scale"]) == ("increment", network.outputs[0].scale)
    assert [function.name for function in model.functions] == ["lif"]
    assert {o.domain: o.version for o in model.opset_import} == {"": 18, DOMAIN: 1}
    assert model.ir_version == 8  # the first that holds functions
    assert len(model.functions[0].node) > 10
    check_onnx(dump_onnx(network))
    (scan,) = [node for node in model.graph.node if node.op_type == "Scan"]
    assert {node.op_type for node in scan.attribute[0].g.node} >= {"MatMulInteger", "lif"}
    shape = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["T", "B", 6]


def test_an_inline_file_has_no_functions():
    model = parsed(dump_onnx(small_network(), inline=True))
    assert not model.functions
    assert {o.domain for o in model.opset_import} == {""}


def test_weights_take_a_byte_each():
    model = parsed(dump_onnx(small_network()))
    kinds = {t.name: t.data_type for t in model.graph.initializer if t.name.endswith(".weight")}
    assert kinds == {"first.weight": TensorProto.INT8, "second.weight": TensorProto.INT8}


@settings(max_examples=25, deadline=None)
@given(networks(programs=tuple(ALL_PROGRAMS)))
def test_any_network_reads_back_as_itself(drawn):
    network, _ = drawn
    for form, inline in (("sequence", False), ("step", True)):
        data = dump_onnx(network, form, inline=inline)
        again = load_onnx(data, "x")
        assert print_network(again)[0] == print_network(network)[0]
        assert dump_onnx(again, form, inline=inline) == data


def test_states_and_programs_may_be_called_what_they_like():
    program = Program(
        name="lif/../x y",
        states=(State(name="past", bits=32), State(name="next", bits=2)),
        params=(),
        body=(
            line("past", "add", "past", "a"),
            line("next", "gt", "past", 90),
            line("s", "le", 1, "next"),
        ),
        emits="s",
    )
    network = small_network()
    hidden = replace(network.populations[0], program=program, params={})
    back = replace(
        network.projections[0], name="back", source="hidden", lag=1,
        synapse=Dense(weight=-2 * np.eye(8, dtype=np.int64)),
    )  # fmt: skip
    network = replace(
        network, populations=(hidden, *network.populations[1:]), alone=True,
        projections=(*network.projections, back),
    )  # fmt: skip
    x = (np.random.default_rng(0).random((5, 4, 6)) < 0.6).astype(np.int64)
    got, want = (
        find_executor(name).run(network, {"in": x}, record=("hidden",)).traces["hidden"]
        for name in ("onnx", "reference")
    )
    assert 0 < want.spikes.mean() < 1
    np.testing.assert_array_equal(got.spikes, want.spikes)
    for word in ("past", "next"):
        np.testing.assert_array_equal(got.states[word], want.states[word])


# ---- files that are not what they say -----------------------------------------------------


def tampered(change, **options):
    model = parsed(dump_onnx(small_network(), **options))
    change(model)
    return model.SerializeToString()


def weight_of(model):
    return next(t for t in model.graph.initializer if t.name == "first.weight")


def other_weight(model):
    values = bytearray(weight_of(model).raw_data)
    values[0] ^= 2
    weight_of(model).raw_data = bytes(values)


def set_prop(key, value):
    def change(model):
        for prop in model.metadata_props:
            if prop.key == PREFIX + key:
                prop.value = value

    return change


def edit_text(old, new):
    def change(model):
        for prop in model.metadata_props:
            if prop.key == f"{PREFIX}network":
                assert old in prop.value
                prop.value = prop.value.replace(old, new, 1)

    return change


def external(model):
    tensor = weight_of(model)
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def foreign_node(model):
    model.graph.node.add(op_type="Run", domain="evil", output=["z"])


def foreign_in_function(model):
    model.functions[0].node.add(op_type="Run", domain="evil", output=["z"])


def deep(model):
    graph = helper.make_graph([], "leaf", [], [])
    for _ in range(20):
        node = helper.make_node("If", ["c"], ["z"], then_branch=graph, else_branch=graph)
        node.attribute.pop()
        graph = helper.make_graph([node], "level", [], [])
    model.graph.node.add(op_type="If", input=["c"], output=["z"]).attribute.append(
        helper.make_attribute("then_branch", graph)
    )


def no_metadata(model):
    del model.metadata_props[:]


def one_node_less(model):
    del model.graph.node[0]


def one_statement_less(model):
    del model.functions[0].node[5]


def bigger(model):
    edit_text("population hidden shape=8", "population hidden shape=99999999999")(model)


LIES = {
    "E1402 no metadata": no_metadata,
    "E1403 neurons": bigger,
    "E1403 steps": edit_text("steps=5", "steps=99999999999999"),
    "E1404 domain": foreign_node,
    "E1404 domain in a function": foreign_in_function,
    "E1405 other file": external,
    "E1406 depth": deep,
    "E1407 node": one_node_less,
    "E1407 statement": one_statement_less,
    "E1407 threshold": edit_text("steps=5", "steps=6"),
    "E1407 form": set_prop("form", "step"),
    "E1408 format": set_prop("format", "7"),
    "E1408 form": set_prop("form", "spiral"),
    "E1408 arrays": set_prop("arrays", "{"),
    "E1408 arrays of another kind": set_prop("arrays", "[1, 2]"),
    "E1408 an array less": set_prop("arrays", "{}"),
    "E1408 factor": lambda model: set_prop(
        "arrays",
        json.dumps(
            {"first.weight": {"initializer": "first.weight", "factor": 10**40, "transposed": True}}
        ),
    )(model),
    "E1408 text": edit_text("snndeploy-network", "network"),
    "E1408 program": edit_text("= sub", "= divide"),
    "E1408 number": edit_text("steps=5", "steps=many"),
}


@pytest.mark.parametrize("case", LIES)
def test_a_file_that_lies_is_refused(case):
    with pytest.raises(ModelError) as caught:
        load_onnx(tampered(LIES[case]), "x.onnx")
    assert caught.value.code == case.split()[0], caught.value
    assert caught.value.where.startswith("x.onnx")


def test_another_weight_in_the_initializer_is_another_network():
    """The network's arrays are the initializers, so a changed one is a changed network."""
    network = load_onnx(tampered(other_weight), "x")
    want = small_network().projections[0].synapse.weight
    assert np.count_nonzero(network.projections[0].synapse.weight != want) == 1


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(share):
    data = dump_onnx(small_network())
    with pytest.raises(ModelError) as caught:
        load_onnx(data[: int(len(data) * share)], "x")
    assert caught.value.code in ("E1401", "E1402", "E1408", "E1407")


@pytest.mark.parametrize("seed", range(40))
def test_random_damage_is_never_believed(seed):
    """A changed byte is refused, or changes a value that the network then has."""
    rng = np.random.default_rng(seed)
    data = bytearray(dump_onnx(small_network()))
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    try:
        network = load_onnx(bytes(data), "x")
    except (ModelError, UnsupportedError):
        return
    assert parsed(dump_onnx(network)).graph == parsed(bytes(data)).graph


# ---- limits and ranges --------------------------------------------------------------------


def wide_network(n_in, weight, high):
    """Return a dense layer with as large sums as int32 and its digits can take."""
    return Network(
        name="wide", steps=1,
        sources=(Source(name="in", shape=(n_in,), low=-high, high=high, encoding="graded"),),
        populations=(
            Population(
                name="p", shape=(1,), program=LIF, params=lif(du=4095, dv=4096, vth=5), wave=1
            ),
        ),
        projections=(
            Projection(
                name="w", source="in", target="p", sign_mode="excitatory",
                synapse=Dense(weight=np.full((1, n_in), weight)),
            ),
        ),
        outputs=(),
    )  # fmt: skip


@pytest.mark.parametrize("high", [127, 128, 32767, (1 << 31) - 1])
@pytest.mark.parametrize("n_in", [1, 300, 200_000])
def test_payloads_of_any_width_and_sums_that_wrap(n_in, high):
    network = wide_network(n_in, 255, high)
    rng = np.random.default_rng(1)
    values = rng.choice([-high, high, high - 1, 0], (1, 3, n_in))
    values[0, 0] = high
    executor = find_executor("onnx")
    reference = find_executor("reference")
    got = executor.run(network, {"in": values}, record=("p",)).traces["p"]
    want = reference.run(network, {"in": values}, record=("p",)).traces["p"]
    np.testing.assert_array_equal(got.states["u"], want.states["u"])
    assert want.states["u"].any()


def test_digits_never_exceed_seven_bits_or_an_int32_sum():
    """What is multiplied ends at 127, where no 16-bit pair saturates, and sums below 2^31."""
    model = write_network(wide_network(200_000, 255, 1000)).model
    (scan,) = [node for node in model.graph.node if node.op_type == "Scan"]
    body = scan.attribute[0].g
    constants = {
        node.output[0]: onnx.numpy_helper.to_array(node.attribute[0].t)
        for node in body.node
        if node.op_type == "Constant"
    }
    bases = [int(constants[node.input[1]]) for node in body.node if node.op_type == "Mod"]
    assert bases
    assert max(bases) <= 128
    assert (max(bases) - 1) * 255 * 200_000 < 1 << 31


def test_integers_beyond_a_source_s_range_are_refused():
    network = wide_network(2, 4, 10)
    with pytest.raises(ModelError) as caught:
        find_executor("onnx").run(network, {"in": np.full((1, 1, 2), 11)}, record=("p",))
    assert caught.value.code == "E1400"


def test_a_guard_that_acts_inside_windows_is_refused():
    network = small_network()
    guard = Source(name="guard", shape=(1,), encoding="guard")
    into = replace(
        network.projections[0], name="g", source="guard", lag=1, delay=1,
        synapse=Dense(weight=np.full((8, 1), -4)),
    )  # fmt: skip
    odd = replace(network, sources=(*network.sources, guard), guard=1,
                  projections=(*network.projections, into))  # fmt: skip
    with pytest.raises(UnsupportedError) as caught:
        write_network(odd)
    assert caught.value.code == "E2402"


def test_a_runtime_that_answers_otherwise_keeps_the_file_from_being_written(monkeypatch):
    executor = find_executor("onnx")
    honest = type(executor).load_file

    def lying(self, data, *, optimised):
        run = honest(self, data, optimised=optimised)
        return lambda feeds: {name: value + 1 for name, value in run(feeds).items()}

    monkeypatch.setattr(type(executor), "load_file", lying)
    probes = {"in": np.ones((5, 2, 6), dtype=np.int64)}
    with pytest.raises(TargetError) as caught:
        onnx_file(small_network(), probes)
    assert caught.value.code == "E4042"
