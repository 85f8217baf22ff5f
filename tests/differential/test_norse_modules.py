"""Networks of Norse fire in our float interpreter where Norse fires, and compile or say why not."""

import pytest
import torch
from module_runs import STEPS, build, check, frames
from norse.torch.module import snn
from norse.torch.module.leaky_integrator import LILinearCell
from norse_networks import NETWORKS

from snndeploy.errors import UnsupportedError
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target

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
