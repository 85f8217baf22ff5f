"""Networks of sinabs fire in our float interpreter where sinabs fires; they compile or say why."""

import pytest
import sinabs.layers as sl
import torch
from module_runs import STEPS, build, check, frames
from sinabs.activation import MaxSpike, MembraneReset, MembraneSubtract, SingleSpike
from sinabs.layers import StatefulLayer
from sinabs_networks import NETWORKS
from torch import nn

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.examples import ImportOptions
from snndeploy.frontends.measure import measure
from snndeploy.frontends.torch_module import import_module
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target
from snndeploy.samples import Samples


def is_neuron(module):
    return isinstance(module, StatefulLayer)


def reset(net):
    for part in net.modules():
        if isinstance(part, StatefulLayer):
            for name in ("v_mem", "i_syn"):
                if getattr(part, name, None) is not None:
                    setattr(part, name, torch.zeros(0))


@pytest.mark.parametrize("name", NETWORKS)
def test_spikes_are_sinabs_in_every_cell(name, tmp_path, tell):
    case = NETWORKS[name]
    torch.set_num_threads(1)
    net = build(case, seed=len(name))
    x = frames(case.shape, "spikes", 7)
    model, rates = check(net, case, x, tmp_path, is_neuron, reset)
    assert model.steps == STEPS
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
    tell(f"sinabs {name}: all cells equal, layers fire in {fired}; compiled: {compiled}")


def behind(neuron, size=4):
    return nn.Sequential(nn.Linear(size, size), neuron)


REFUSED = {
    "adaptive": (lambda: behind(sl.ALIF(tau_mem=5.0, tau_adapt=5.0)), "E2002", "module ALIF"),
    "at most": (lambda: behind(sl.IAF(spike_fn=MaxSpike(3))), "E2009", "spike_fn MaxSpike"),
    "resets elsewhere": (
        lambda: behind(sl.IAF(spike_fn=SingleSpike, reset_fn=MembraneReset(-0.5))), "E2009",
        "adds -0.5 to every neuron",
    ),
    "subtracts less": (
        lambda: behind(sl.IAF(reset_fn=MembraneSubtract(0.5))), "E2009", "subtracts 0.5",
    ),
    "uneven floor": (
        lambda: behind(sl.IAF(spike_threshold=torch.tensor([1.0, 2, 3, 4]), min_v_mem=-1.0)),
        "E2009", "min_v_mem",
    ),
    "first to fire pool": (
        lambda: nn.Sequential(nn.Conv2d(1, 1, 1), sl.IAFSqueeze(batch_size=1),
                              sl.SpikingMaxPooling2dLayer((2, 2))),
        "E2002", "SpikingMaxPooling2dLayer",
    ),
    "norm of order 2": (
        lambda: nn.Sequential(nn.Conv2d(1, 1, 1), sl.IAFSqueeze(batch_size=1), nn.LPPool2d(2, 2)),
        "E2008", "norm_type=2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_exact_node_is_refused_by_name(name):
    make, code, text = REFUSED[name]
    net = make()
    example = torch.zeros(3, 1, 4, 4) if isinstance(net[0], nn.Conv2d) else torch.zeros(1, 3, 4)
    with pytest.raises(UnsupportedError, match=text) as caught:
        import_module(net, example, ImportOptions())
    assert caught.value.code == code


def test_the_module_itself_is_measured_batch_first():
    torch.manual_seed(1)
    net = behind(sl.IAF())
    with torch.no_grad():
        net[0].weight.mul_(4)
    x = (torch.rand(20, 40, 4, generator=torch.Generator().manual_seed(2)) < 0.5).float()
    with torch.no_grad():
        decided = net(x.transpose(0, 1)).sum(1).argmax(1)
    assert len(decided.unique()) > 1
    model = import_module(net, x[:, :1].transpose(0, 1), ImportOptions())
    samples = Samples(x={"input": x.double().numpy()}, label=decided.numpy())
    assert measure(net, samples, x[:, :1].transpose(0, 1), model, None).accuracy == 1.0
