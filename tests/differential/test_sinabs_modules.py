"""Networks of sinabs fire in our float interpreter where sinabs fires; they compile or say why."""

import pytest
import torch

pytest.importorskip("sinabs")
import sinabs
from module_runs import STEPS, build, check, frames
from sinabs.layers import StatefulLayer
from sinabs_networks import NETWORKS

from snndeploy.errors import UnsupportedError
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target


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
