"""Networks of Norse fire in our float interpreter where Norse fires, and compile or say why not."""

import norse.torch as norse
import numpy as np
import pytest
import torch
from module_runs import STEPS, build, check, frames
from norse.torch.module import snn
from norse.torch.module.leaky_integrator import LILinearCell
from norse_networks import NETWORKS
from torch import nn

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.checkpoint import save
from snndeploy.frontends.examples import ImportOptions
from snndeploy.frontends.measure import measure
from snndeploy.frontends.rewrite import pool_after_neuron
from snndeploy.frontends.torch_module import import_module
from snndeploy.nirgraph.interpret import run_float
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target
from snndeploy.samples import Samples

NEURONS = (snn.SNN, snn.SNNCell, snn.SNNRecurrent, snn.SNNRecurrentCell, LILinearCell)


def is_neuron(module):
    return isinstance(module, NEURONS)


def no_reset(_net):
    """Norse's states are arguments."""


@pytest.mark.parametrize("name", NETWORKS)
def test_spikes_are_norses_in_every_cell(name, tmp_path, tell):
    case = NETWORKS[name]
    torch.set_num_threads(1)
    net = build(case, seed=len(name))
    x = frames(case.shape, "spikes", 7)
    model, rates = check(net, case, x, tmp_path, is_neuron, no_reset)
    options = CompileOptions(steps=STEPS)
    if case.refused:
        with pytest.raises(UnsupportedError) as caught:
            compile_model(model, find_target("loihi2"), options)
        assert caught.value.code == case.refused
        compiled = case.refused
    else:
        layers = compile_model(model, find_target("loihi2"), options).layers
        compiled = "+".join(dict.fromkeys(layer.program for layer in layers))
    fired = ", ".join(f"{rate:.0%}" for rate in rates.values())
    tell(f"norse {name}: all cells equal, layers fire in {fired}; compiled: {compiled}")


def lone(cell):
    return norse.SequentialState(nn.Linear(4, 4), cell)


REFUSED = {
    "adaptive": (lambda: lone(norse.LIFAdExCell()), "E2002", "1: norse module LIFAdExCell"),
    "recurrent of another kind": (lambda: lone(norse.LSNNRecurrentCell(4, 4)), "E2002", "LSNNRec"),
    "adjoint": (
        lambda: lone(norse.LIFCell(norse.LIFParameters(method="adjoint"))), "E2009", "adjoint",
    ),
    "overshoots": (lambda: lone(norse.LIFCell(dt=0.02)), "E2009", r"dt \* tau_syn_inv is 4"),
    "hidden outputs": (
        lambda: norse.SequentialState(nn.Linear(4, 4), norse.LIFCell(), return_hidden=True),
        "E2001", "return_hidden",
    ),
    "own reset": (
        lambda: lone(norse.LIFBoxCell(norse.LIFBoxParameters(reset_method=max))),
        "E2009", "reset_method",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_exact_node_is_refused_by_name(name):
    make, code, text = REFUSED[name]
    with pytest.raises(UnsupportedError, match=text) as caught:
        import_module(make(), torch.zeros(1, 4), ImportOptions())
    assert caught.value.code == code


def test_a_cell_that_is_called_without_its_state_starts_anew():
    class Forgets(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.cell = nn.Linear(4, 4), norse.LIFCell()

        def forward(self, x):
            return self.cell(self.fc(x))[0]

    with pytest.raises(UnsupportedError, match=r"E2028.*cell"):
        import_module(Forgets(), torch.zeros(1, 4), ImportOptions())


def test_a_cell_without_its_state_in_a_loop_starts_anew():
    class Forgets(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.cell = nn.Linear(4, 4), norse.LIFCell()

        def forward(self, x):
            return torch.stack([self.cell(self.fc(frame))[0] for frame in x])

    with pytest.raises(UnsupportedError, match=r"E2024.*cell: is called without its state"):
        import_module(Forgets(), torch.zeros(5, 1, 4), ImportOptions())


def test_the_module_itself_is_measured_with_its_states():
    torch.manual_seed(1)
    net = norse.SequentialState(nn.Linear(4, 3), norse.LIFBoxCell())
    with torch.no_grad():
        net[0].weight.mul_(8)
    x = (torch.rand(20, 40, 4, generator=torch.Generator().manual_seed(2)) < 0.5).float()
    counts, state = torch.zeros(40, 3), None
    for frame in x:
        spikes, state = net(frame, state)
        counts += spikes
    assert len(counts.argmax(1).unique()) > 1
    model = import_module(net, x[0], ImportOptions(steps=20))
    samples = Samples(x={"input": x.double().numpy()}, label=counts.argmax(1).numpy())
    assert measure(net, samples, x[0], model, None).accuracy == 1.0


def test_a_pool_before_a_neuron_is_rewritten_in_a_sequence_of_norse(tmp_path):
    torch.manual_seed(4)
    net = norse.SequentialState(nn.Conv2d(1, 3, 3), nn.MaxPool2d(2), norse.LIFBoxCell()).double()
    with torch.no_grad():
        net[0].weight.mul_(20)
    x = frames((1, 8, 8), "spikes", 3)
    model = save(net, tmp_path / "m.pt", x[0], rewrite="pool-after-neuron")
    swapped, state, spikes = pool_after_neuron(net), None, []
    with torch.no_grad():
        for frame in x:
            out, state = swapped(frame, state)
            spikes.append(out)
    want = torch.stack(spikes).numpy()
    assert 0.02 < want.mean() < 0.9
    np.testing.assert_array_equal(run_float(model, {"input": x.numpy()})["output"], want)
