"""Recurrent cells fire where the framework fires: every map, reset and container, many seeds."""

import pytest
import snntorch as snn
from spikingjelly.activation_based import functional, layer, neuron
from test_float_interpreter import build, check, frames
from torch import nn

from snndeploy.errors import UnsupportedError
from snndeploy.frontends import checkpoint

CELLS = {
    "all to all": {"linear_features": 14},
    "one to one": {"all_to_all": False, "V": 0.6},
}
RESETS = ("subtract", "zero", "none")


def snntorch_net(cell, reset, *, synaptic, seed):
    decays = {"alpha": 0.6, "beta": 0.8} if synaptic else {"beta": 0.85}
    kind = snn.RSynaptic if synaptic else snn.RLeaky
    return nn.Sequential(
        nn.Linear(10, 14),
        kind(**decays, **CELLS[cell], reset_mechanism=reset, init_hidden=True),
        nn.Linear(14, 6, bias=seed % 2 == 0),
        snn.Leaky(beta=0.7, init_hidden=True, output=True),
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("synaptic", [False, True])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("cell", CELLS)
def test_snntorch_cells(cell, reset, synaptic, seed, tmp_path):
    def make():
        return snntorch_net(cell, reset, synaptic=synaptic, seed=seed)

    net = build(make, seed)
    x = frames((10,), "spikes", seed)
    if reset == "zero":
        with pytest.raises(UnsupportedError, match=r"E2003\] 1: .*drops one step"):
            checkpoint.save(net, tmp_path / "model.pt", x[0])
        if synaptic:  # snnTorch 1.0 itself fails on RSynaptic(reset_delay=False)
            return
        net[1].reset_delay = False
    check(net, x, "outer", tmp_path)
    assert checkpoint.load(tmp_path / "model.pt").semantics_of("1").feedback == "spike"


def test_a_convolutional_cell(tmp_path):
    def make():
        return nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            snn.RLeaky(beta=0.8, conv2d_channels=4, kernel_size=3, init_hidden=True),
            nn.Flatten(),
            nn.Linear(4 * 36, 6),
            snn.Leaky(beta=0.7, init_hidden=True, output=True),
        )

    check(build(make, 5), frames((2, 6, 6), "spikes", 5), "outer", tmp_path)


NEURONS = {
    "IF": neuron.IFNode,
    "LIF": lambda: neuron.LIFNode(tau=2.5),
    "LIF, soft": lambda: neuron.LIFNode(tau=2.5, v_reset=None),
    "PLIF": lambda: neuron.ParametricLIFNode(init_tau=3.0),
}
CONTAINERS = {
    "linear": lambda node: layer.LinearRecurrentContainer(node, 12, 12, bias=True),
    "sum": lambda node: layer.ElementWiseRecurrentContainer(node, lambda y, x: x + y),
    "difference": lambda node: layer.ElementWiseRecurrentContainer(node, lambda y, x: x - 0.5 * y),
}


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("kind", NEURONS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_spikingjellys_containers(container, kind, mode, tmp_path):
    def make():
        net = nn.Sequential(
            layer.Linear(10, 12),
            CONTAINERS[container](NEURONS[kind]()),
            layer.Linear(12, 6),
            neuron.LIFNode(),
        )
        functional.set_step_mode(net, mode)
        return net

    net = build(make, len(kind) + len(container))
    x = frames((10,), "spikes", 3)
    check(net, x, "module" if mode == "m" else "outer", tmp_path)
