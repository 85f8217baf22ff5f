"""A module in its own framework beside what was read of it, and beside what is deployed of it."""

import pytest
import snntorch
import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn

import snndeploy
from snndeploy.frontends.examples import ImportOptions
from snndeploy.frontends.torch_module import import_module

STEPS = 8


def jelly():
    torch.manual_seed(3)
    return nn.Sequential(
        layer.Linear(12, 20), neuron.LIFNode(tau=2.0), layer.Linear(20, 10),
        neuron.LIFNode(tau=2.0, v_reset=None), layer.Linear(10, 4),
    ), STEPS  # fmt: skip


class Leaky(nn.Module):
    """snnTorch's form: states outside, the loop outside."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.fc1, self.lif1 = nn.Linear(12, 20), snntorch.Leaky(beta=0.875, init_hidden=True)
        self.fc2, self.lif2 = nn.Linear(20, 10), snntorch.Leaky(beta=0.5, init_hidden=True)

    def forward(self, x):
        return self.lif2(self.fc2(self.lif1(self.fc1(x))))


def made(name):
    if name == "spikingjelly":
        return jelly()[0], ["1", "3"]
    return Leaky(), ["lif1", "lif2"]


@pytest.fixture(params=["spikingjelly", "snntorch"])
def case(request):
    torch.set_num_threads(1)
    net, names = made(request.param)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Linear):
                module.weight *= 5
    x = (torch.rand(STEPS, 40, 12, generator=torch.Generator().manual_seed(5)) < 0.4).float()
    return net.eval(), names, x


def test_a_module_is_what_was_read_of_it(case):
    net, names, x = case
    example = x[0, :1]
    model = import_module(net, example, ImportOptions(steps=STEPS))
    found = snndeploy.compare(net, model, x.numpy(), example_input=example, steps=STEPS)
    assert [entry.name for entry in found.layers] == names
    assert all(0 < entry.spikes_a < entry.cells for entry in found.layers)
    for entry in found.layers:  # single precision may tip a neuron over; nothing else does
        assert entry.different < 1e-3 * entry.cells
        assert set(entry.causes) <= {"rounding", "came from before"}


def test_a_module_and_its_deployed_network(case):
    net, names, x = case
    example = x[0, :1]
    model = import_module(net, example, ImportOptions(steps=STEPS))
    compiled = snndeploy.compile(model, "loihi2", weight_bits=3)
    found = snndeploy.compare(net, compiled, x.numpy(), example_input=example)
    assert found.first.layer == names[0]
    assert found.first.why.cause == "rounding"
    assert "executor" not in found.layers[0].causes


def test_a_wrong_reset_is_found_between_framework_and_model(case):
    net, names, x = case
    example = x[0, :1]
    model = import_module(net, example, ImportOptions(steps=STEPS))
    node = model.graph.nodes[names[1]]
    node.metadata["snndeploy"]["reset"] = "none"
    found = snndeploy.compare(net, model, x.numpy(), example_input=example, steps=STEPS)
    assert (found.first.layer, found.first.why.cause) == (names[1], "reset order")
