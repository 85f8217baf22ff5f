"""What the tracer makes of a module: nodes, semantics, ports, notes."""

import nir
import numpy as np
import pytest
import snntorch as snn
import torch
from hypothesis import given
from hypothesis import strategies as st
from spikingjelly.activation_based import layer, neuron
from torch import nn

from snndeploy.frontends.neurons import DT, decay_constants
from snndeploy.frontends.torch_module import ImportOptions, import_module
from snndeploy.model import InputPort
from snndeploy.nirgraph.interpret import run_float


def imported(net, example, **options):
    return import_module(net, example, ImportOptions(**options))


def notes_of(model):
    return {(note.kind, note.node): note.text for note in model.notes}


class Tutorial(nn.Module):
    """SpikingJelly's tutorial: forward repeats the frame and averages the spikes over time."""

    def __init__(self, repeat):
        super().__init__()
        self.repeat = repeat
        self.conv_fc = nn.Sequential(
            layer.Conv2d(1, 3, 3, step_mode="m"),
            neuron.IFNode(step_mode="m"),
            layer.Flatten(step_mode="m"),
            layer.Linear(108, 5, step_mode="m"),
            neuron.LIFNode(step_mode="m", v_threshold=0.1),
        )

    def forward(self, x):
        return self.conv_fc(self.repeat(x)).mean(0)


@pytest.mark.parametrize(
    "repeat",
    [
        lambda x: x.unsqueeze(0).repeat(6, 1, 1, 1, 1),
        lambda x: x.repeat(6, 1, 1, 1, 1),
        lambda x: torch.unsqueeze(x, 0).expand(6, -1, -1, -1, -1),
    ],
)
def test_a_frame_repeated_in_forward_is_a_repeated_input(repeat):
    torch.manual_seed(1)
    net = Tutorial(repeat)
    x = torch.rand(4, 1, 8, 8)
    model = imported(net, x[:1])
    assert model.steps == 6
    assert model.inputs[0].repeat
    assert model.outputs[0].decode == "mean"
    with torch.no_grad():
        expected = net(x).numpy()
    answer = run_float(model, {"input": x.numpy()[None]})["output"]
    assert 0.05 < answer.mean() < 0.6
    np.testing.assert_allclose(answer.mean(axis=0), expected, atol=1e-6)


def test_max_pool_of_spikes_is_a_sum_and_a_threshold():
    model = imported(nn.Sequential(neuron.IFNode(), nn.MaxPool2d(2)), torch.rand(1, 1, 4, 4))
    nodes = model.graph.nodes
    assert list(nodes) == ["input", "0", "1", "1.any", "output"]
    assert isinstance(nodes["1"], nir.SumPool2d)
    assert isinstance(nodes["1.any"], nir.Threshold)
    assert nodes["1.any"].threshold.tolist() == [[[0.5, 0.5], [0.5, 0.5]]]


def test_max_pool_of_spiking_input_is_allowed():
    model = imported(nn.Sequential(nn.MaxPool2d(2), neuron.IFNode()), torch.ones(1, 1, 4, 4))
    assert isinstance(model.graph.nodes["0.any"], nir.Threshold)


def test_each_neuron_carries_its_own_semantics():
    net = nn.Sequential(neuron.IFNode(), snn.Leaky(beta=0.5, init_hidden=True,
                                                  reset_mechanism="zero"))  # fmt: skip
    model = imported(net, torch.rand(1, 4))
    assert (model.semantics_of("0").compare, model.semantics_of("0").v0) == ("ge", "reset")
    assert (model.semantics_of("1").compare, model.semantics_of("1").v0) == ("gt", "zero")


def test_parameters_are_nirs_per_neuron_and_in_seconds():
    net = nn.Sequential(
        neuron.LIFNode(tau=3.0, decay_input=False, v_threshold=0.5, v_reset=-1.0),
        neuron.LIFNode(tau=3.0),
        neuron.IFNode(),
    )
    nodes = imported(net, torch.rand(1, 2, 2)).graph.nodes
    assert nodes["0"].tau == pytest.approx(np.full((2, 2), 3e-4))
    assert nodes["0"].r.tolist() == [[3.0, 3.0], [3.0, 3.0]]
    assert nodes["0"].v_leak.tolist() == [[-1.0, -1.0], [-1.0, -1.0]]
    assert nodes["0"].v_reset.tolist() == [[-1.0, -1.0], [-1.0, -1.0]]
    assert nodes["0"].v_threshold.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert nodes["1"].r.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert nodes["2"].r == pytest.approx(np.full((2, 2), 1e4))


def test_thresholds_are_rounded_as_torch_rounds_them():
    net = nn.Sequential(nn.Linear(1, 1), neuron.IFNode(v_threshold=0.7))
    threshold = imported(net, torch.rand(1, 1)).graph.nodes["1"].v_threshold
    assert threshold.tolist() == [float(np.float32(0.7))]
    threshold = imported(net.double(), torch.rand(1, 1).double()).graph.nodes["1"].v_threshold
    assert threshold.tolist() == [0.7]


@given(st.floats(0.0, 1.0, allow_subnormal=False))
def test_decay_and_unit_gain_survive_the_time_constant(decay):
    tau, r = decay_constants(np.array([decay]))
    assert r[0] * DT / tau[0] == 1.0
    assert abs(1.0 - DT / tau[0] - decay) <= 2.0**-52


def test_folded_batch_norm_is_noted_and_dropout_dropped():
    net = nn.Sequential(
        nn.Linear(4, 3, bias=False), nn.BatchNorm1d(3), nn.Dropout(), neuron.IFNode()
    )
    model = imported(net, torch.rand(1, 4))
    assert isinstance(model.graph.nodes["0"], nir.Affine)
    notes = notes_of(model)
    assert "batch normalisation 1" in notes["folded", "0"]
    assert "Dropout" in notes["dropped", "2"]


def test_what_is_guessed_is_noted():
    model = imported(neuron.IFNode(step_mode="m"), torch.tensor([[[0.25, 1.5]]] * 3))
    assert model.steps == 3
    expected = InputPort(name="input", shape=(2,), values="real", low=0.25, high=1.5)
    assert model.inputs == (expected,)
    assert [note.kind for note in model.notes] == ["assumed"] * 3


def test_what_is_said_is_not_guessed():
    model = imported(
        neuron.IFNode(step_mode="m"), torch.ones(3, 1, 2), values="real", steps=8,
        input_range=(-1.0, 2.0), repeat=True, decode="last", name="mine",
    )  # fmt: skip
    port = InputPort(name="input", shape=(2,), values="real", low=-1.0, high=2.0, repeat=True)
    assert model.inputs == (port,)
    assert (model.steps, model.outputs[0].decode, model.notes) == (8, "last", ())
    assert model.origin == "mine (spikingjelly)"


def test_modules_named_like_ports_get_a_number():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.input = nn.Linear(4, 4)
            self.lif = neuron.IFNode()
            self.output = nn.Linear(4, 4)

        def forward(self, x):
            return self.output(self.lif(self.input(x)))

    nodes = imported(Net(), torch.rand(1, 4)).graph.nodes
    assert list(nodes) == ["input", "input.2", "lif", "output.2", "output"]


def test_returned_spikes_of_inner_layers_are_not_outputs():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lif1, self.lif2 = neuron.IFNode(), neuron.IFNode()

        def forward(self, x):
            spikes = self.lif1(x)
            return {"hidden": spikes, "out": self.lif2(spikes)}

    model = imported(Net(), torch.rand(1, 4))
    assert [port.name for port in model.outputs] == ["output"]
    assert ("output", "lif2") not in model.graph.edges
    assert "record it" in notes_of(model)["dropped", "lif1"]


def test_weights_shared_by_two_calls_become_two_nodes():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.lif1, self.lif2 = neuron.IFNode(), neuron.IFNode()

        def forward(self, x):
            return self.lif2(self.fc(self.lif1(self.fc(x))))

    model = imported(Net(), torch.rand(1, 4))
    assert list(model.graph.nodes) == ["input", "fc", "lif1", "fc.2", "lif2", "output"]
