"""Recurrent cells in the forms that users give them, and what is refused, by place and reason."""

from dataclasses import replace

import numpy as np
import pytest
import snntorch as snn
import torch
from snntorch import utils
from spikingjelly.activation_based import functional, layer, neuron
from test_float_interpreter import build, check, frames
from torch import nn

from snndeploy.errors import SnnDeployError
from snndeploy.frontends.torch_module import ImportOptions, import_module
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.rebuild import build_graph, feedback_edges

Elementwise, Linear = layer.ElementWiseRecurrentContainer, layer.LinearRecurrentContainer


class StatesByHand(nn.Module):
    """snnTorch cells that take and return their states, one step per call."""

    n_states = 5

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(10, 14)
        self.cell1 = snn.RLeaky(beta=0.9, linear_features=14)
        self.fc2 = nn.Linear(14, 8)
        self.cell2 = snn.RSynaptic(alpha=0.6, beta=0.8, all_to_all=False, V=torch.rand(8))

    def forward(self, x, spk1, mem1, spk2, syn2, mem2):
        spk1, mem1 = self.cell1(self.fc1(x), spk1, mem1)
        spk2, syn2, mem2 = self.cell2(self.fc2(spk1), spk2, syn2, mem2)
        return spk2, spk1, mem1, spk2, syn2, mem2


class LoopByName(nn.Module):
    """The loop in forward, states by name and not in their order."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(10, 12)
        self.cell = snn.RSynaptic(alpha=0.6, beta=0.8, linear_features=12)

    def forward(self, x):
        spk, syn, mem = self.cell.init_rsynaptic()
        out = []
        for step in range(x.size(0)):
            spk, syn, mem = self.cell(self.fc(x[step]), mem=mem, spk=spk, syn=syn)
            out.append(spk)
        return torch.stack(out)


class HiddenLoop(nn.Module):
    """Hidden states reset at the start of forward; V is learned and differs per neuron."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(10, 12)
        self.cell = snn.RLeaky(beta=0.8, all_to_all=False, V=torch.randn(12), init_hidden=True)

    def forward(self, x):
        utils.reset(self)
        return torch.stack([self.cell(self.fc(frame)) for frame in x])


class ContainerLoop(nn.Module):
    """A single-step container in a loop in forward."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(10, 12)
        self.cell = Linear(neuron.LIFNode(), 12, 12)

    def forward(self, x):
        return torch.stack([self.cell(self.fc(frame)) for frame in x])


class Branched(nn.Module):
    """The layer in front of a container is read by another path too, and must stay as it is."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(10, 12)
        self.cell = Linear(neuron.IFNode(), 12, 12)
        self.other = neuron.IFNode()
        self.out = nn.Linear(12, 5)

    def forward(self, x):
        x = self.fc(x)
        return self.out(self.cell(x) + self.other(x))


def behind_spikes(function):
    return lambda: nn.Sequential(
        nn.Linear(10, 12), neuron.IFNode(), Elementwise(neuron.LIFNode(v_threshold=0.4), function)
    )


FORMS = {
    "states by hand": (StatesByHand, (10,), "outer"),
    "loop, states by name": (LoopByName, (10,), "module"),
    "loop, hidden states": (HiddenLoop, (10,), "module"),
    "loop, container": (ContainerLoop, (10,), "module"),
    "front layer read twice": (Branched, (10,), "outer"),
    "directly on the input": (
        lambda: nn.Sequential(Linear(neuron.LIFNode(), 10, 10)),
        (10,),
        "outer",
    ),
    "layers inside": (
        lambda: nn.Sequential(
            nn.Linear(10, 6),
            Linear(nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), neuron.LIFNode()), 6, 12),
        ),
        (10,),
        "outer",
    ),
    "two neurons inside": (
        lambda: nn.Sequential(
            nn.Linear(10, 8),
            Elementwise(
                nn.Sequential(neuron.IFNode(), nn.Linear(8, 8), neuron.LIFNode()), torch.add
            ),
        ),
        (10,),
        "outer",
    ),
    "a cell inside a cell": (
        lambda: nn.Sequential(
            nn.Linear(10, 8), Elementwise(Linear(neuron.IFNode(), 8, 8), lambda y, x: x - y)
        ),
        (10,),
        "outer",
    ),
    "gate: only after silence": (behind_spikes(lambda y, x: x * (1 - y)), (10,), "outer"),
    "gate: or": (behind_spikes(lambda y, x: torch.maximum(x, y)), (10,), "outer"),
    "an image": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3), Elementwise(neuron.IFNode(), lambda y, x: x + 0.5 * y)
        ),
        (2, 6, 6),
        "outer",
    ),
}


@pytest.mark.parametrize("kind", ["spikes", "real"])
@pytest.mark.parametrize("form", FORMS)
def test_a_form_fires_as_its_framework_does(form, kind, tmp_path):
    make, shape, time = FORMS[form]
    x = frames(shape, kind, 3)
    model, answers = check(build(make, len(form)), x, time, tmp_path)
    record = tuple(name for name in answers if name != "output")
    cut = run_float(without_loops(model), {"input": x.numpy()}, record=record)
    assert any(np.any(cut[name] != answers[name]) for name in record)


def without_loops(model):
    """Return the model whose loops are cut, to see that they decide spikes."""
    lagging = feedback_edges(model.graph)
    assert lagging
    edges = [edge for edge in model.graph.edges if edge not in lagging]
    return replace(model, graph=build_graph(model.graph.nodes, edges))


def rleaky(**options):
    return snn.RLeaky(beta=0.9, init_hidden=True, **{"linear_features": 4, **options})


def replaced():
    cell = rleaky()
    cell.recurrent = nn.Sequential(nn.Linear(4, 4))
    return cell


class Joined(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.cell = nn.Linear(4, 2), nn.Linear(4, 2), rleaky()

    def forward(self, x):
        return self.cell(torch.cat([self.a(x), self.b(x)], 1))


def behind(*modules):
    return nn.Sequential(nn.Linear(4, 4), *modules)


REFUSED = {
    "zero, delayed": (lambda: behind(rleaky(reset_mechanism="zero")), "E2003", "1: RLeaky.*drops"),
    "RSynaptic without the delay": (
        lambda: behind(snn.RSynaptic(alpha=0.5, beta=0.9, linear_features=4, init_hidden=True,
                                     reset_delay=False)),
        "E2003", "1: RSynaptic.*before it has made them",
    ),
    "a map of the user's": (lambda: behind(replaced()), "E2001", "1.recurrent: recurrent map"),
    "other features": (lambda: behind(rleaky(linear_features=5)), "E1021", r"takes \(5,\)"),
    "V of another size": (
        lambda: behind(rleaky(linear_features=None, all_to_all=False, V=torch.rand(3))),
        "E2009", "1: V has shape",
    ),
    "behind a concatenation": (Joined, "E2017", "cell: a recurrent cell right behind"),
    "no neuron inside": (lambda: behind(Linear(nn.Linear(4, 4), 4, 4), neuron.IFNode()),
                         "E2029", "1: feeds back real values.*1.sub_module"),
    "other shape than the input": (
        lambda: behind(Elementwise(nn.Sequential(nn.Linear(4, 3), neuron.IFNode()), torch.add)),
        "E2029", r"1: feeds back spikes \(3,\)",
    ),
    "a function of no signal": (
        lambda: behind(Elementwise(neuron.IFNode(), lambda _y, _x: 3)), "E2029", "1: its element"
    ),
    "a function that is not exact": (
        lambda: behind(Elementwise(neuron.IFNode(), lambda y, x: torch.tanh(x + y))),
        "E2001", "1.function.tanh: forward applies 'tanh'",
    ),
    "a product of currents": (
        lambda: behind(Elementwise(neuron.IFNode(), lambda y, x: x * y)),
        "E2014", "1.function.mul",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_loop_of_spikes_is_refused_by_place(case):
    make, code, pattern = REFUSED[case]
    with pytest.raises(SnnDeployError, match=pattern) as caught:
        import_module(make(), torch.rand(2, 4), ImportOptions())
    assert caught.value.code == code
    assert caught.value.remedy or code == "E1021"


def test_the_input_weights_of_a_container_are_folded_only_where_nothing_else_reads_them():
    functional.reset_net(net := Branched())
    kept = import_module(net, torch.rand(2, 10), ImportOptions()).graph.nodes
    assert {"fc", "cell.rc", "cell.rc.feedback"} <= set(kept)
    chain = nn.Sequential(nn.Linear(10, 12), Linear(neuron.IFNode(), 12, 12))
    folded = import_module(chain, torch.rand(2, 10), ImportOptions())
    assert set(folded.graph.nodes) == {"input", "0", "1.rc.feedback", "1.sub_module", "output"}
    assert any(note.kind == "folded" and "1.rc" in note.text for note in folded.notes)
