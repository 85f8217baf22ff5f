"""What the tracer makes of sums, gates, concatenations, loops over time, several ports."""

from dataclasses import replace

import nir
import numpy as np
import pytest
import snntorch as snn
import torch
from spikingjelly.activation_based import neuron
from torch import nn
from torch.nn import functional as tf

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.frontends.neurons import read_if
from snndeploy.frontends.readers import FRAMEWORKS
from snndeploy.frontends.torch_module import ImportOptions, import_module
from snndeploy.model import InputPort
from snndeploy.nirgraph.payload import REAL, SPIKES, Payload


class Net(nn.Module):
    """Layers and neurons of four features, and any forward."""

    def __init__(self, forward):
        super().__init__()
        self.fc1, self.fc2, self.wide = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(8, 4)
        self.a, self.b, self.c = neuron.IFNode(), neuron.IFNode(), neuron.IFNode()
        self.conv = nn.Conv2d(1, 2, 3)
        self.leaky = snn.Leaky(beta=0.9)
        self.hidden = snn.Leaky(beta=0.9, init_hidden=True)
        self.function = forward

    def forward(self, x):
        return self.function(self, x)


def imported(forward, shape=(1, 4), **options):
    return import_module(Net(forward), torch.rand(shape), ImportOptions(**options))


def image(forward):
    return imported(forward, (1, 1, 8, 8))


def test_the_same_spikes_twice_arrive_over_one_edge_with_weight_2():
    model = imported(lambda net, x: net.fc2(twice(net.a(x))))
    scales = [n for n in model.graph.nodes if isinstance(model.graph.nodes[n], nir.Scale)]
    assert scales == ["fc2.a.scale"]
    assert model.graph.nodes["fc2.a.scale"].scale.tolist() == [2.0] * 4
    assert ("a", "fc2.a.scale") in model.graph.edges


def twice(spikes):
    return spikes + spikes


def test_a_residual_is_two_edges_into_one_node():
    def forward(net, x):
        spikes = net.a(x)
        return net.b(net.fc1(spikes) + spikes)

    assert set(imported(forward).graph.edges) == {
        ("input", "a"), ("a", "fc1"), ("a", "b"), ("fc1", "b"), ("b", "output"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("join", "threshold", "factor"),
    [
        (lambda a, b: a * b, 1.5, None),
        (lambda a, b: a | b, 0.5, None),
        (lambda a, b: (a + b).clamp(0, 1), 0.5, None),
        (lambda a, b: (1 - a) * b, 0.5, -1.0),
        (lambda a, b: (a + b) >= 2, 1.5, None),
    ],
)
def test_logic_of_spikes_is_a_threshold_on_a_sum(join, threshold, factor):
    model = imported(lambda net, x: join(net.a(x), net.b(net.fc1(x))))
    (gate,) = (n for n in model.graph.nodes.values() if isinstance(n, nir.Threshold))
    assert gate.threshold.tolist() == [threshold] * 4
    scales = [n.scale[0] for n in model.graph.nodes.values() if isinstance(n, nir.Scale)]
    assert scales == ([] if factor is None else [factor])


def test_a_max_pool_of_a_sum_of_spikes_is_refused_but_not_of_their_or():
    pool = lambda net, x: tf.max_pool2d(torch.maximum(net.a(x), net.b(x)), 2)  # noqa: E731
    assert "max_pool2d.any" in image(pool).graph.nodes
    with pytest.raises(UnsupportedError, match=r"E2004.*max pooling of whole numbers from 0 to 2"):
        image(lambda net, x: tf.max_pool2d(net.a(x) + net.b(x), 2))


def test_a_product_of_a_sum_of_spikes_is_refused():
    with pytest.raises(UnsupportedError, match=r"E2014.*whole numbers from 0 to 2"):
        imported(lambda net, x: (net.a(x) + net.b(net.fc1(x))) * net.c(net.fc2(x)))


@pytest.mark.parametrize(
    ("join", "code"),
    [
        (lambda a, b: a * b, "E2014"),
        (torch.maximum, "E2014"),
        (lambda a, b: (1 - a) * b, "E2014"),
        (None, "E2004"),
    ],
)
def test_logic_of_neurons_that_send_several_spikes_per_step_is_refused(join, code, monkeypatch):
    def several(*args):
        node, semantics = read_if(*args)
        return node, replace(semantics, multi_spike=True, reset="subtract")

    monkeypatch.setitem(FRAMEWORKS["spikingjelly"], "IFNode", several)
    shape = (1, 4, 2, 2) if code == "E2004" else (1, 4)
    forward = {
        "E2004": lambda net, x: tf.max_pool2d(net.a(x), 2),
        "E2014": lambda net, x: join(net.a(x), net.b(x)),
    }[code]
    with pytest.raises(UnsupportedError, match=f"{code}.*whole numbers from"):
        imported(forward, shape)


def test_a_concatenation_splits_the_weights_and_keeps_one_bias():
    model = imported(lambda net, x: net.c(net.wide(torch.cat([net.a(x), net.b(x)], 1))))
    first, second = model.graph.nodes["wide.0"], model.graph.nodes["wide.1"]
    assert (type(first), type(second)) == (nir.Affine, nir.Linear)
    assert first.weight.shape == second.weight.shape == (4, 4)


def test_a_subsampled_image_is_a_pool_of_one_pixel():
    node = image(lambda net, x: net.conv(net.a(x)[:, :, ::2, ::3])).graph.nodes["getitem"]
    assert isinstance(node, nir.SumPool2d)
    assert (node.kernel_size.tolist(), node.stride.tolist()) == ([1, 1], [2, 3])


def test_a_border_of_zeros_is_the_convolutions_padding():
    model = image(lambda net, x: net.a(net.conv(tf.pad(x, (2, 2, 1, 1)))))
    assert model.graph.nodes["conv"].padding == (1, 2)


def test_several_outputs_are_numbered_or_have_their_keys():
    two = lambda net, x: (net.fc1(net.a(x)), net.fc2(net.b(x)))  # noqa: E731
    assert [port.name for port in imported(two).outputs] == ["out0", "out1"]
    named = lambda net, x: dict(zip(("p", "q"), two(net, x), strict=True))  # noqa: E731
    model = imported(named, decode="mean")
    assert [(port.name, port.decode) for port in model.outputs] == [("p", "mean"), ("q", "mean")]


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.lif = nn.Linear(3, 4), nn.Linear(5, 4), snn.Leaky(beta=0.5)

    def forward(self, x, y, mem=None):
        return self.lif(self.fc1(x) + self.fc2(y), mem)


@pytest.mark.parametrize("as_dict", [True, False])
def test_several_inputs_have_the_names_of_forwards_arguments(as_dict):
    x, y = torch.ones(2, 3), torch.full((2, 5), 0.5)
    example = {"y": y, "x": x} if as_dict else (x, y)
    model = import_module(TwoInputs(), example, ImportOptions())
    ports = {port.name: port for port in model.inputs}
    assert ports["x"] == InputPort(name="x", shape=(3,), values="spikes", low=0.0, high=1.0)
    assert ports["y"] == InputPort(name="y", shape=(5,), values="real", low=0.5, high=0.5)


@pytest.mark.parametrize(
    ("example", "pattern"),
    [
        ({"z": torch.ones(1, 3)}, "forward has no argument z.*takes x, y, mem"),
        ({}, "no argument at all"),
        ((torch.ones(1, 3), torch.ones(2, 5)), "differ in steps or samples"),
        ((torch.ones(1, 3),) * 4, "no argument 3"),
    ],
)
def test_examples_that_do_not_fit_forward(example, pattern):
    with pytest.raises(ModelError, match=rf"E1045.*{pattern}"):
        import_module(TwoInputs(), example, ImportOptions())


def unrolled(net, x):
    mem = net.leaky.init_leaky()
    total, spikes, mems = torch.zeros(1, 4), [], []
    for _ in range(5):
        spike, mem = net.leaky(net.fc1(x), mem)
        total = total + spike
        spikes.append(spike)
        mems.append(mem)
    return total, spikes, torch.stack(mems)


@pytest.mark.parametrize(
    ("answer", "decode"),
    [
        (lambda _, spikes: torch.stack(spikes), "max"),
        (lambda _, spikes: torch.stack(spikes).sum(0), "sum"),
        (lambda total, _: total, "sum"),
        (lambda total, _: total / 5, "mean"),
        (lambda _, spikes: sum(spikes), "sum"),
        (lambda _, spikes: spikes[-1], "last"),
    ],
)
def test_a_loop_in_forward_is_rolled_up(answer, decode):
    def forward(net, x):
        total, spikes, mems = unrolled(net, x)
        return answer(total, spikes), mems

    model = imported(forward, decode="max")
    assert list(model.graph.nodes) == ["input", "fc1", "leaky", "output"]
    assert (model.steps, model.inputs[0].repeat, model.outputs[0].decode) == (5, True, decode)


def test_a_loop_over_the_input_takes_one_step_each():
    model = imported(lambda net, x: torch.stack([net.hidden(net.fc1(step)) for step in x]),
                     (7, 2, 4))  # fmt: skip
    assert (model.steps, model.inputs[0].repeat, model.inputs[0].shape) == (7, False, (4,))


def test_a_loop_of_one_step_is_a_loop():
    model = imported(lambda net, x: torch.stack([net.hidden(net.fc1(x[t])) for t in range(len(x))]),
                     (1, 2, 4))  # fmt: skip
    assert (model.steps, model.inputs[0].shape) == (1, (4,))


def test_what_no_output_depends_on_is_left_out():
    def forward(net, x):
        net.b(net.fc2(x))
        return net.a(net.fc1(x))

    model = imported(forward)
    assert list(model.graph.nodes) == ["input", "fc1", "a", "output"]
    assert {note.node for note in model.notes if note.kind == "dropped"} == {"fc2", "b"}


def test_batch_norm_behind_a_sum_folds_into_all_its_layers():
    net = Net(lambda net, x: net.a(net.bn(net.fc1(x) - 2 * net.fc2(x))))
    net.bn = nn.BatchNorm1d(4)
    net.bn.running_mean += torch.rand(4)
    x = torch.rand(3, 4)
    nodes = import_module(net, x, ImportOptions()).graph.nodes
    with torch.no_grad():
        expected = net.eval().bn(net.fc1(x) - 2 * net.fc2(x)).numpy()
    first, second = (x.numpy() @ nodes[n].weight.T + nodes[n].bias for n in ("fc1", "fc2"))
    np.testing.assert_allclose(first - 2 * second, expected, rtol=1e-5, atol=1e-6)


def test_payloads_follow_sums_and_factors():
    both = SPIKES.plus(SPIKES)
    assert both == Payload(0.0, 2.0, True)
    assert SPIKES.times(-1.0).shifted(1.0).is_spikes
    assert not both.times(0.5).is_spikes
    assert (SPIKES.text, both.text) == ("spikes", "whole numbers from 0 to 2")
    assert SPIKES.plus(REAL).text == "real values"
