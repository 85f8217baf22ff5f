"""Files that the frameworks' own exporters write fire as the framework does, once asked right.

The option in each case is the one that our refusal or note names; without it the file is refused,
or noted as open.
"""

import nir
import norse.torch as norse
import numpy as np
import pytest
import sinabs.layers as sl
import sinabs.nir
import snntorch as snn
import torch
from module_runs import RATES, Case, build, calibrate, frames, run
from sinabs.activation import SingleSpike
from snntorch.export_nir import export_to_nir as snntorch_to_nir
from spikingjelly.activation_based import functional, neuron
from spikingjelly.activation_based.nir_exchange import export_to_nir as jelly_to_nir
from test_norse_modules import is_neuron as is_norse
from test_sinabs_modules import reset as reset_sinabs
from torch import nn

from snndeploy.errors import ModelError
from snndeploy.frontends import nir_file
from snndeploy.nirgraph.interpret import run_float
from snndeploy.semantics import parse_choice

N = 16


def full(value):
    return torch.full((N,), float(value))


def norse_net(cell):
    return norse.SequentialState(nn.Linear(20, N), cell)


def box():
    return norse.LIFBoxCell(norse.LIFBoxParameters(full(100), full(0), full(1), full(0)))


def cell():
    p = norse.LIFParameters(full(200), full(100), full(0), full(1), full(0))
    return norse.LIFCell(p)


def norse_file(net, path):
    nir.write(path, norse.to_nir(net.float(), torch.zeros(1, 20), dt=1e-3))


def sinabs_file(net, path):
    net = net.float()
    reset_sinabs(net)
    net(torch.zeros(1, 2, 20))
    graph = sinabs.nir.to_nir(net, torch.zeros(1, 2, 20))
    nir.write(path, graph)


def snntorch_file(net, path):
    graph = snntorch_to_nir(net.float(), torch.zeros(1, 20), ignore_dims=[0])
    nir.write(path, graph)


def jelly_file(net, path):
    jelly_to_nir(net.float(), torch.zeros(1, 20), save_path=path)


def sequence(neuron_layer):
    return nn.Sequential(nn.Linear(20, N), neuron_layer)


def leaky(**options):
    return snn.Leaky(beta=full(0.9), threshold=full(1), init_hidden=True, output=True, **options)


def reset_snn(net):
    for part in net.modules():
        if isinstance(part, snn.SpikingNeuron):
            part.reset_mem()


def nothing(_net):
    """Norse's states are arguments."""


def of(kind):
    return lambda module: isinstance(module, kind)


NORSE = (norse_file, is_norse, nothing, "outer", 1)
SINABS = (sinabs_file, of(sl.StatefulLayer), reset_sinabs, "batch-first", 0)
SNNTORCH = (snntorch_file, of(snn.SpikingNeuron), reset_snn, "outer", 0)
JELLY = (jelly_file, of(neuron.BaseNode), functional.reset_net, "outer", 0)
FILES = {
    "norse box": (lambda: norse_net(box()), NORSE, "norse,dt=1e-6", "E1422"),
    "norse cell": (lambda: norse_net(cell()), NORSE, "norse,dt=1e-6", "E1422"),
    "norse iaf": (
        lambda: norse_net(norse.IAFCell(norse.IAFParameters(full(1), full(0)))), NORSE, "norse",
        "E1422",
    ),
    "sinabs iaf": (lambda: sequence(sl.IAF(full(1))), SINABS, "sinabs,v_min=none", "E1422"),
    "sinabs iaf with a floor": (
        lambda: sequence(sl.IAF(full(1), min_v_mem=-1.0)), SINABS, "sinabs", "E1422",
    ),
    "sinabs single spikes": (
        lambda: sequence(sl.IAF(full(1), spike_fn=SingleSpike)), SINABS,
        "sinabs,multi_spike=false,v_min=none", "E1422",
    ),
    "sinabs normed": (
        lambda: sequence(sl.LIF(full(10), spike_threshold=full(1))), SINABS,
        "sinabs,gain=nir,v_min=none", "E1422",
    ),
    "sinabs plain": (
        lambda: sequence(sl.LIF(full(10), spike_threshold=full(1), norm_input=False)), SINABS,
        "sinabs,gain=unit,v_min=none", "E1422",
    ),
    "snntorch default": (
        lambda: sequence(leaky()), SNNTORCH, "snntorch,reset=subtract-delayed", "note",
    ),
    "snntorch zero": (
        lambda: sequence(leaky(reset_mechanism="zero")), SNNTORCH, "snntorch,reset=zero", "note",
    ),
    "spikingjelly": (
        lambda: sequence(neuron.LIFNode(tau=4.0, decay_input=False)), JELLY, "spikingjelly", "note",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore")
def test_a_frameworks_file_fires_as_the_framework_once_asked_right(name, tmp_path, tell):
    make, (write, is_neuron, reset, time, n_states), semantics, asked = FILES[name]
    torch.set_num_threads(1)
    case = Case(make, (20,), time, n_states=n_states)
    net = build(case, seed=len(name))
    x = frames((20,), "spikes", 5)
    calibrate(net, case, x, is_neuron, reset)
    want, _ = run(net, case, x, is_neuron, reset)
    reset(net)
    write(net, tmp_path / "net.nir")
    model = nir_file.read(tmp_path / "net.nir", parse_choice(semantics), values="spikes")
    got = run_float(model, {model.inputs[0].name: x.numpy()})[model.outputs[0].name]
    assert RATES[0] < (want > 0).mean() < RATES[1]
    differ = np.mean(got != want)
    assert differ == 0
    if asked == "note":
        notes = nir_file.read(tmp_path / "net.nir").notes
        assert any("does not say how neurons reset" in note.text for note in notes)
    else:
        with pytest.raises(ModelError) as caught:
            nir_file.read(tmp_path / "net.nir")
        assert caught.value.code == asked
        assert f"--semantics {semantics.split(',')[0]}" in caught.value.line() or (
            "or norse" in caught.value.line()
        )
    tell(f"{name}: --semantics {semantics}: {want.size:,} cells equal")
