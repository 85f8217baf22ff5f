"""Networks as the tutorials and READMEs of snnTorch and SpikingJelly build them, by name.

Each is what its users write, only narrower: classes, loops over time in forward, default resets.
`Case.time` says how the network is run: `loop` (forward loops itself over all steps), `frames` (one
frame per call; forward shows it at every step), `outer` (the caller loops over single steps) or
`module` (multi-step).
"""

from collections.abc import Callable
from typing import NamedTuple

import snntorch as snn
import torch
from snntorch import surrogate as snn_surrogate
from snntorch import utils
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn
from torch.nn import functional as tf

STEPS = 12


class Case(NamedTuple):
    make: Callable
    shape: tuple
    time: str


class FeedForward(nn.Module):
    """snnTorch tutorial 5: leaky neurons with their default reset, the loop in forward."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(36, 50)
        self.lif1 = snn.Leaky(beta=0.95)
        self.fc2 = nn.Linear(50, 10)
        self.lif2 = snn.Leaky(beta=0.95)

    def forward(self, x):
        mem1 = self.lif1.init_leaky()
        mem2 = self.lif2.init_leaky()
        spk2_rec = []
        mem2_rec = []
        for _ in range(STEPS):
            cur1 = self.fc1(x)
            spk1, mem1 = self.lif1(cur1, mem1)
            cur2 = self.fc2(spk1)
            spk2, mem2 = self.lif2(cur2, mem2)
            spk2_rec.append(spk2)
            mem2_rec.append(mem2)
        return torch.stack(spk2_rec, dim=0), torch.stack(mem2_rec, dim=0)


class ConvPoolFirst(nn.Module):
    """snnTorch tutorial 6 in a class: max pool before the neuron, membranes by hand."""

    def __init__(self):
        super().__init__()
        spike_grad = snn_surrogate.fast_sigmoid(slope=25)
        self.conv1 = nn.Conv2d(1, 4, 5)
        self.lif1 = snn.Leaky(beta=0.5, spike_grad=spike_grad)
        self.conv2 = nn.Conv2d(4, 8, 3)
        self.lif2 = snn.Leaky(beta=0.5, spike_grad=spike_grad)
        self.fc1 = nn.Linear(8 * 2 * 2, 10)
        self.lif3 = snn.Leaky(beta=0.5, spike_grad=spike_grad)

    def forward(self, x):
        mem1 = self.lif1.init_leaky()
        mem2 = self.lif2.init_leaky()
        mem3 = self.lif3.init_leaky()
        spk3_rec = []
        mem3_rec = []
        for _ in range(STEPS):
            cur1 = tf.max_pool2d(self.conv1(x), 2)
            spk1, mem1 = self.lif1(cur1, mem1)
            cur2 = tf.max_pool2d(self.conv2(spk1), 2)
            spk2, mem2 = self.lif2(cur2, mem2)
            cur3 = self.fc1(spk2.flatten(1))
            spk3, mem3 = self.lif3(cur3, mem3)
            spk3_rec.append(spk3)
            mem3_rec.append(mem3)
        return torch.stack(spk3_rec), torch.stack(mem3_rec)


def conv_sequential():
    """snnTorch tutorial 6: nn.Sequential with init_hidden, max pool before the neuron."""
    spike_grad = snn_surrogate.atan()
    return nn.Sequential(
        nn.Conv2d(1, 4, 5),
        nn.MaxPool2d(2),
        snn.Leaky(beta=0.5, spike_grad=spike_grad, init_hidden=True),
        nn.Conv2d(4, 8, 3),
        nn.MaxPool2d(2),
        snn.Leaky(beta=0.5, spike_grad=spike_grad, init_hidden=True),
        nn.Flatten(),
        nn.Linear(8 * 2 * 2, 10),
        snn.Leaky(beta=0.5, spike_grad=spike_grad, init_hidden=True, output=True),
    )


class SynapticNet(nn.Module):
    """snnTorch tutorial 4: second-order neurons with their defaults, the loop in forward."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(36, 50)
        self.lif1 = snn.Synaptic(alpha=0.9, beta=0.8)
        self.fc2 = nn.Linear(50, 10)
        self.lif2 = snn.Synaptic(alpha=0.7, beta=0.9)

    def forward(self, x):
        syn1, mem1 = self.lif1.init_synaptic()
        syn2, mem2 = self.lif2.init_synaptic()
        spk_rec = []
        for step in range(x.size(0)):
            spk1, syn1, mem1 = self.lif1(self.fc1(x[step]), syn1, mem1)
            spk2, syn2, mem2 = self.lif2(self.fc2(spk1), syn2, mem2)
            spk_rec.append(spk2)
        return torch.stack(spk_rec)


class RecurrentLeaky(nn.Module):
    """snnTorch's RLeaky documentation: recurrent layers, their defaults, the loop in forward."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(36, 30)
        self.lif1 = snn.RLeaky(beta=0.9, linear_features=30)
        self.fc2 = nn.Linear(30, 10)
        self.lif2 = snn.RLeaky(beta=0.5, V=0.5, all_to_all=False)

    def forward(self, x):
        spk1, mem1 = self.lif1.init_rleaky()
        spk2, mem2 = self.lif2.init_rleaky()
        spk2_rec = []
        mem2_rec = []
        for step in range(x.size(0)):
            spk1, mem1 = self.lif1(self.fc1(x[step]), spk1, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), spk2, mem2)
            spk2_rec.append(spk2)
            mem2_rec.append(mem2)
        return torch.stack(spk2_rec), torch.stack(mem2_rec)


def recurrent_synaptic():
    """snnTorch RSynaptic in nn.Sequential, states in the neurons."""
    return nn.Sequential(
        nn.Linear(36, 24),
        snn.RSynaptic(alpha=0.7, beta=0.8, linear_features=24, init_hidden=True),
        nn.Linear(24, 10),
        snn.RSynaptic(alpha=0.5, beta=0.9, all_to_all=False, V=0.8, init_hidden=True, output=True),
    )


def recurrent_container():
    """SpikingJelly's recurrent containers around neurons, all steps at once."""
    net = nn.Sequential(
        layer.Linear(36, 32),
        layer.LinearRecurrentContainer(neuron.IFNode(), in_features=32, out_features=32, bias=True),
        layer.Linear(32, 10),
        layer.ElementWiseRecurrentContainer(
            neuron.LIFNode(), element_wise_function=lambda x, y: x + y
        ),
    )
    functional.set_step_mode(net, "m")
    return net


class Events(nn.Module):
    """snnTorch tutorial 7: event frames, time first, the neurons reset at the start of forward."""

    def __init__(self):
        super().__init__()
        grad = snn_surrogate.atan()
        self.net = nn.Sequential(
            nn.Conv2d(2, 6, 5),
            snn.Leaky(beta=0.5, spike_grad=grad, init_hidden=True),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3),
            snn.Leaky(beta=0.5, spike_grad=grad, init_hidden=True),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(8 * 2 * 2, 10),
            snn.Leaky(beta=0.5, spike_grad=grad, init_hidden=True, output=True),
        )

    def forward(self, data):
        spk_rec = []
        utils.reset(self.net)
        for step in range(data.size(0)):
            spk_out, _ = self.net(data[step])
            spk_rec.append(spk_out)
        return torch.stack(spk_rec)


class Regression(nn.Module):
    """snnTorch regression tutorial: a readout membrane that never resets, learned decays."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(36, 40)
        self.lif1 = snn.Leaky(beta=torch.rand(40), learn_beta=True, threshold=0.8)
        self.fc2 = nn.Linear(40, 20)
        self.lif2 = snn.Leaky(beta=torch.rand(20), learn_beta=True, learn_threshold=True)
        self.fc_out = nn.Linear(20, 6)
        self.li_out = snn.Leaky(beta=0.9, threshold=1.0, learn_beta=True, reset_mechanism="none")

    def forward(self, x):
        mem_1, mem_2, mem_3 = (node.init_leaky() for node in (self.lif1, self.lif2, self.li_out))
        spk_rec, mem_rec = [], []
        for _ in range(STEPS):
            spk_1, mem_1 = self.lif1(self.fc1(x), mem_1)
            spk_2, mem_2 = self.lif2(self.fc2(spk_1), mem_2)
            spk_3, mem_3 = self.li_out(self.fc_out(spk_2), mem_3)
            spk_rec.append(spk_3)
            mem_rec.append(mem_3)
        return torch.stack(spk_rec, dim=0), torch.stack(mem_rec)


def population():
    """snnTorch population tutorial: fully connected, many output neurons, one step per call."""
    grad = snn_surrogate.fast_sigmoid()
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(36, 48),
        snn.Leaky(beta=0.9, spike_grad=grad, init_hidden=True),
        nn.Linear(48, 100),
        snn.Leaky(beta=0.9, spike_grad=grad, init_hidden=True, output=True),
    )


def lif_fc():
    """SpikingJelly's first network: one layer of LIF neurons, one step per call."""
    return nn.Sequential(
        layer.Flatten(),
        layer.Linear(36, 10, bias=False),
        neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan()),
    )


class CSNN(nn.Module):
    """SpikingJelly's network for Fashion-MNIST: multi-step, frames repeated in forward."""

    def __init__(self):
        super().__init__()
        self.conv_fc = nn.Sequential(
            layer.Conv2d(1, 6, kernel_size=3, padding=1, bias=False),
            layer.BatchNorm2d(6),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.MaxPool2d(2, 2),
            layer.Conv2d(6, 8, kernel_size=3, padding=1, bias=False),
            layer.BatchNorm2d(8),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.MaxPool2d(2, 2),
            layer.Flatten(),
            layer.Linear(8 * 3 * 3, 20, bias=False),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.Linear(20, 10, bias=False),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
        )
        functional.set_step_mode(self, step_mode="m")

    def forward(self, x):
        x_seq = x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1)
        return self.conv_fc(x_seq).mean(0)


class StaticConv(nn.Module):
    """SpikingJelly's older network: the first convolution once, then a loop that counts spikes."""

    def __init__(self):
        super().__init__()
        self.static_conv = nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(6)
        )
        self.conv = nn.Sequential(
            neuron.IFNode(),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(6, 8, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            neuron.IFNode(v_reset=None),
            nn.MaxPool2d(2, 2),
            nn.Flatten(),
        )
        self.fc = nn.Sequential(
            nn.Dropout(0.5), nn.Linear(8 * 3 * 3, 10, bias=False), neuron.LIFNode(tau=2.0)
        )

    def forward(self, x):
        x = self.static_conv(x)
        out_spikes_counter = self.fc(self.conv(x))
        for _ in range(1, STEPS):
            out_spikes_counter += self.fc(self.conv(x))
        return out_spikes_counter / STEPS


class PLIFNet(nn.Module):
    """The PLIF paper's network for event data: BN, PLIF, max pools, votes by average pooling."""

    def __init__(self):
        super().__init__()
        conv = []
        for n_in, n_out in ((2, 6), (6, 8)):
            conv += [
                layer.Conv2d(n_in, n_out, kernel_size=3, padding=1, bias=False),
                layer.BatchNorm2d(n_out),
                neuron.ParametricLIFNode(init_tau=2.0, detach_reset=True),
                layer.MaxPool2d(2, 2),
            ]
        self.conv_fc = nn.Sequential(
            *conv,
            layer.Flatten(),
            layer.Dropout(0.5),
            layer.Linear(8 * 3 * 3, 30),
            neuron.ParametricLIFNode(init_tau=2.0, detach_reset=True),
            layer.Dropout(0.5),
            layer.Linear(30, 11),
            neuron.ParametricLIFNode(init_tau=2.0, detach_reset=True),
        )
        functional.set_step_mode(self, "m")

    def forward(self, x):
        return self.conv_fc(x)


def sew_function(x, y, cnf):
    if cnf == "ADD":
        return x + y
    if cnf == "AND":
        return x * y
    if cnf == "IAND":
        return x * (1.0 - y)
    raise NotImplementedError


class SEWBlock(nn.Module):
    """A block of SpikingJelly's SEW-ResNet."""

    def __init__(self, n_in, n_out, stride=1, cnf="ADD"):
        super().__init__()
        self.conv1 = layer.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = layer.BatchNorm2d(n_out)
        self.sn1 = neuron.IFNode(detach_reset=True)
        self.conv2 = layer.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = layer.BatchNorm2d(n_out)
        self.sn2 = neuron.IFNode(detach_reset=True)
        self.downsample = None
        if stride != 1 or n_in != n_out:
            self.downsample = nn.Sequential(
                layer.Conv2d(n_in, n_out, 1, stride=stride, bias=False),
                layer.BatchNorm2d(n_out),
                neuron.IFNode(),
            )
        self.cnf = cnf

    def forward(self, x):
        identity = x
        out = self.sn1(self.bn1(self.conv1(x)))
        out = self.sn2(self.bn2(self.conv2(out)))
        if self.downsample is not None:
            identity = self.downsample(x)
        return sew_function(identity, out, self.cnf)


class SEWNet(nn.Module):
    """A SEW-ResNet of two blocks."""

    def __init__(self, cnf):
        super().__init__()
        self.conv1 = layer.Conv2d(2, 6, 3, padding=1, bias=False)
        self.bn1 = layer.BatchNorm2d(6)
        self.sn1 = neuron.IFNode()
        self.layer1 = SEWBlock(6, 6, cnf=cnf)
        self.layer2 = SEWBlock(6, 8, stride=2, cnf=cnf)
        self.avgpool = layer.AdaptiveAvgPool2d((1, 1))
        self.fc = layer.Linear(8, 10)
        functional.set_step_mode(self, "m")

    def forward(self, x):
        x = self.sn1(self.bn1(self.conv1(x)))
        x = self.avgpool(self.layer2(self.layer1(x)))
        x = torch.flatten(x, 2)
        return self.fc(x)


class MembraneResNet(nn.Module):
    """A spiking ResNet: identities are added to the current; the shortcut is padded (option A)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.sn1 = neuron.LIFNode()
        self.conv2 = nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)
        self.sn2 = neuron.LIFNode(v_reset=None)
        self.fc = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x):
        x = self.sn1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(x))
        out += tf.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2), "constant", 0)
        return self.fc(self.sn2(out).flatten(1))


NETWORKS = {
    "snntorch tutorial 5, fully connected": Case(FeedForward, (36,), "frames"),
    "snntorch tutorial 4, synaptic": Case(SynapticNet, (36,), "loop"),
    "snntorch recurrent leaky": Case(RecurrentLeaky, (36,), "loop"),
    "snntorch recurrent synaptic": Case(recurrent_synaptic, (36,), "outer"),
    "spikingjelly recurrent containers": Case(recurrent_container, (36,), "module"),
    "snntorch tutorial 7, events": Case(Events, (2, 16, 16), "loop"),
    "snntorch regression": Case(Regression, (36,), "frames"),
    "snntorch population": Case(population, (6, 6), "outer"),
    "spikingjelly lif_fc_mnist": Case(lif_fc, (1, 6, 6), "outer"),
    "spikingjelly csnn": Case(CSNN, (1, 12, 12), "frames"),
    "spikingjelly csnn, older": Case(StaticConv, (1, 12, 12), "frames"),
    "spikingjelly plif": Case(PLIFNet, (2, 12, 12), "module"),
    "spikingjelly sew add": Case(lambda: SEWNet("ADD"), (2, 8, 8), "module"),
    "spikingjelly sew and": Case(lambda: SEWNet("AND"), (2, 8, 8), "module"),
    "spikingjelly sew iand": Case(lambda: SEWNet("IAND"), (2, 8, 8), "module"),
    "spiking resnet, option A": Case(MembraneResNet, (2, 8, 8), "outer"),
}
POOL_FIRST = {
    "snntorch tutorial 6, class": Case(ConvPoolFirst, (1, 16, 16), "frames"),
    "snntorch tutorial 6, sequential": Case(conv_sequential, (1, 16, 16), "outer"),
}
"""Networks that pool before the neuron, which no spiking population does exactly."""
