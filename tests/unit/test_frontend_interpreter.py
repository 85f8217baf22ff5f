"""The float interpreter's rules, by hand and by the frameworks' other resets."""

from dataclasses import replace

import nir
import numpy as np
import pytest
import snntorch as snn
import torch
from spikingjelly.activation_based import functional, neuron
from torch import nn

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.frontends.torch_module import ImportOptions, import_module
from snndeploy.model import InputPort, Model, OutputPort
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.metadata import with_semantics
from snndeploy.nirgraph.rebuild import build_graph, rebuild_graph
from snndeploy.nirgraph.split import split_after
from snndeploy.semantics import Semantics

DT = 1e-4


def model_of(nodes, edges, shape, semantics, **options):
    graph = build_graph(
        {"input": nir.Input({"input": np.array(shape)}), **nodes,
         "output": nir.Output({"output": np.array(shape)})}, edges,
    )  # fmt: skip
    port = InputPort(name="input", shape=shape, values="real", low=-9.0, high=9.0, **options)
    return Model(
        graph=graph,
        semantics=semantics,
        inputs=(port,),
        outputs=(OutputPort(name="output", shape=shape),),
        steps=3,
        notes=(),
        origin="by hand",
    )


def run_one(node, x, **semantics):
    """Return the output and v of one neuron for inputs x."""
    chosen = Semantics(**{"dt": DT, **semantics})
    model = model_of({"n": node}, [("input", "n"), ("n", "output")], (1,), chosen)
    answer = run_float(model, {"input": np.reshape(x, (-1, 1, 1))}, record=("n:v",))
    return answer["output"].ravel().tolist(), answer["n:v"].ravel().tolist()


def integrate_and_fire(threshold=1.0, reset=0.0):
    return nir.IF(np.array([1 / DT]), np.array([threshold]), np.array([reset]))


def cuba(**fields):
    values = {"tau_syn": 2 * DT, "tau_mem": 2 * DT, "r": 2.0, "v_leak": 0.0, "v_threshold": 1.0,
              "w_in": 2.0} | fields  # fmt: skip
    return nir.CubaLIF(**{name: np.array([value]) for name, value in values.items()})


def test_a_tie_fires_only_with_ge():
    assert run_one(integrate_and_fire(), [0.5, 0.5, 0.5]) == ([0, 0, 1], [0.5, 1.0, 0.0])
    assert run_one(integrate_and_fire(), [0.5, 0.5, 0.5], compare="ge") == (
        [0, 1, 0],
        [0.5, 0, 0.5],
    )


def test_reset_to_a_value():
    node = integrate_and_fire(reset=-0.5)
    assert run_one(node, [2.0, 1.0, 1.0], compare="ge") == ([1, 0, 1], [-0.5, 0.5, -0.5])


def test_reset_by_subtraction_in_the_same_step_and_in_the_next():
    x = [1.75, 0.5, 0.0]
    assert run_one(integrate_and_fire(), x, reset="subtract") == ([1, 1, 0], [0.75, 0.25, 0.25])
    assert run_one(integrate_and_fire(), x, reset="subtract-delayed") == (
        [1, 1, 0],
        [1.75, 1.25, 0.25],
    )


def test_no_reset():
    x = [1.5, 0.0, -1.0]
    assert run_one(integrate_and_fire(), x, reset="none") == ([1, 1, 0], [1.5, 1.5, 0.5])


def test_several_spikes_per_step_and_a_lower_clamp():
    x = [3.5, -3.0, 1.5]
    options = {"reset": "subtract", "compare": "ge", "multi_spike": True, "v_min": -1.0}
    assert run_one(integrate_and_fire(), x, **options) == ([3, 0, 0], [0.5, -1.0, 0.5])


def test_leak_euler_and_exponential_with_both_gains():
    node = nir.LIF(*(np.array([value]) for value in (2 * DT, 4.0, 0.0, 9.0)))
    assert run_one(node, [1.0, 0.0])[1] == [2.0, 1.0]
    assert run_one(node, [1.0, 0.0], gain="unit")[1] == [1.0, 0.5]
    decay = np.exp(-0.5)
    assert run_one(node, [1.0, 0.0], leak="exp", gain="unit")[1] == [1.0, decay]
    exact = [4 * (1 - decay), 4 * (1 - decay) * decay]
    assert run_one(node, [1.0, 0.0], leak="exp")[1] == pytest.approx(exact)


def test_leak_towards_a_value_and_the_initial_state():
    node = nir.LIF(*(np.array([value]) for value in (2 * DT, 1.0, 4.0, 9.0, -2.0)))
    assert run_one(node, [0.0, 0.0])[1] == [2.0, 3.0]
    assert run_one(node, [0.0, 0.0], v0="reset")[1] == [1.0, 2.5]


def test_a_current_is_used_before_or_after_it_decays():
    assert run_one(cuba(), [0.5, 0.0])[1] == [0.5, 0.5]
    assert run_one(cuba(), [0.5, 0.0], order="jump-use-decay")[1] == [0.5, 0.5]
    x = [0.5, 0.25, 0.0]
    assert run_one(cuba(v_threshold=9.0), x)[1] == [0.5, 0.75, 0.625]
    slow = {"tau_syn": 4 * DT, "w_in": 4.0, "v_threshold": 9.0}
    assert run_one(cuba(**slow), x)[1] == [0.5, 0.875, 0.90625]


def test_integrators_give_their_potential():
    assert run_one(nir.I(np.array([1 / DT])), [1.0, 2.0])[0] == [1.0, 3.0]
    assert run_one(nir.LI(*(np.array([v]) for v in (2 * DT, 2.0, 0.0))), [1.0, 1.0])[0] == [1, 1.5]


def test_a_delay_shifts_each_element_by_its_own_steps():
    node = nir.Delay(np.array([0.0, 2 * DT]))
    model = model_of({"n": node}, [("input", "n"), ("n", "output")], (2,), Semantics(dt=DT))
    x = np.arange(8.0).reshape(4, 1, 2)
    answer = run_float(model, {"input": x})["output"]
    assert answer[:, 0].tolist() == [[0, 0], [2, 0], [4, 1], [6, 3]]


def test_edges_into_one_node_are_summed():
    nodes = {"double": nir.Scale(np.array([2.0])), "sum": nir.Scale(np.array([1.0]))}
    edges = [("input", "double"), ("double", "sum"), ("input", "sum"), ("sum", "output")]
    model = model_of(nodes, edges, (1,), Semantics())
    assert run_float(model, {"input": np.full((1, 1, 1), 3.0)})["output"].item() == 9.0


def test_a_repeated_frame_is_shown_at_every_step():
    nodes, edges = {"n": integrate_and_fire(5.0)}, [("input", "n"), ("n", "output")]
    model = model_of(nodes, edges, (1,), Semantics(), repeat=True)
    answer = run_float(model, {"input": np.ones((1, 2, 1))}, record=("n:v",))
    assert answer["n:v"][:, 0, 0].tolist() == [1.0, 2.0, 3.0]


def test_blocks_of_samples_change_nothing(monkeypatch):
    torch.manual_seed(0)
    model = import_module(nn.Sequential(nn.Linear(6, 5), neuron.IFNode()), torch.rand(1, 6),
                          ImportOptions())  # fmt: skip
    x = np.random.default_rng(0).random((7, 11, 6)) * 3
    whole = run_float(model, {"input": x}, record=("1:v",))
    monkeypatch.setattr("snndeploy.nirgraph.interpret.BLOCK_VALUES", 100)
    blocks = run_float(model, {"input": x}, record=("1:v",))
    assert all(np.array_equal(whole[name], blocks[name]) for name in whole)


@pytest.mark.parametrize(
    ("inputs", "record", "pattern"),
    [
        ({}, (), "E1040.*input: no array given"),
        ({"input": np.ones((2, 3))}, (), r"E1040.*array \(2, 3\), takes \(T, B, 1\)"),
        ({"input": np.full((2, 3, 1), np.nan)}, (), "E1040.*NaN"),
        ({"input": np.ones((2, 3, 1))}, ("m",), "E1041.*m: no such node"),
        ({"input": np.ones((2, 3, 1))}, ("input:v",), "E1041"),
    ],
)
def test_arrays_and_names_that_do_not_fit(inputs, record, pattern):
    nodes, edges = {"n": integrate_and_fire()}, [("input", "n"), ("n", "output")]
    with pytest.raises(ModelError, match=pattern):
        run_float(model_of(nodes, edges, (1,), Semantics()), inputs, record=record)


def with_reset(model, reset):
    nodes = {
        name: with_semantics(node, replace(model.semantics_of(name), reset=reset))
        for name, node in model.graph.nodes.items()
        if isinstance(node, nir.IF | nir.LIF | nir.CubaLIF)
    }
    return replace(model, graph=rebuild_graph(model.graph, nodes))


def drive(seed):
    torch.manual_seed(seed)
    return torch.rand(25, 4, 8) * 1.2


@pytest.mark.parametrize("delay", [True, False])
def test_snntorchs_default_reset_is_subtract_delayed(delay):
    """Without the delay it is `subtract`, as long as one reset brings v below the threshold."""
    x = drive(1) * (1.0 if delay else 0.6)
    make = lambda reset: snn.Leaky(beta=0.9, init_hidden=True, reset_mechanism=reset,  # noqa: E731
                                   reset_delay=delay)  # fmt: skip
    model = import_module(make("zero"), x[0], ImportOptions())
    model = with_reset(model, "subtract-delayed" if delay else "subtract")
    node = make("subtract")
    expected = torch.stack([node(frame) for frame in x]).numpy()
    answer = run_float(model, {"input": x.numpy()})["output"]
    assert 0.05 < expected.mean() < 0.95
    assert np.array_equal(answer, expected)


@pytest.mark.parametrize("node", [neuron.IFNode, neuron.LIFNode])
def test_spikingjellys_soft_reset_is_subtract(node):
    x = drive(2) * 2
    model = with_reset(import_module(node(), x[0], ImportOptions()), "subtract")
    soft = node(v_reset=None, step_mode="m")
    functional.reset_net(soft)
    expected = soft(x).numpy()
    assert 0.01 < expected.mean() < 0.95
    assert np.array_equal(run_float(model, {"input": x.numpy()})["output"], expected)


def deep():
    torch.manual_seed(4)
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3), neuron.IFNode(v_threshold=0.2), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(27, 9), neuron.LIFNode(v_threshold=0.05), nn.Linear(9, 4),
    )  # fmt: skip
    return import_module(net, torch.rand(1, 1, 8, 8), ImportOptions(decode="last", steps=6))


@pytest.mark.parametrize("n_layers", [1, 2])
def test_host_and_chip_together_are_the_model(n_layers):
    model = deep()
    host, chip = split_after(model, n_layers)
    x = np.random.default_rng(1).random((6, 5, 1, 8, 8))
    whole = run_float(model, {"input": x})["output"]
    spikes = run_float(host, {"input": x})["output"]
    assert 0.02 < spikes.mean() < 0.9
    assert np.array_equal(run_float(chip, {"input": spikes})["output"], whole)
    assert chip.inputs[0] == InputPort(
        name="input", shape=spikes.shape[2:], values="spikes", low=0.0, high=1.0
    )
    assert (chip.steps, chip.outputs) == (6, model.outputs)
    assert host.semantics_of("1") == model.semantics_of("1")


@pytest.mark.parametrize(
    ("n_layers", "pattern"),
    [(3, "no neuron follows|3 layers"), (4, "3 layers with weights"), (0, "E2023")],
)
def test_a_split_that_leaves_nothing_is_refused(n_layers, pattern):
    with pytest.raises(UnsupportedError, match=pattern) as caught:
        split_after(deep(), n_layers)
    assert caught.value.code == "E2023"
