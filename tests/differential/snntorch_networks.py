"""snnTorch networks as its users write them, by name: (network, input shape).

A network either takes and returns its states (`n_states`) or keeps them (init_hidden=True).
"""

import snntorch as snn
import torch
from torch import nn
from torch.nn import functional as tf

ZERO = {"reset_mechanism": "zero"}
NOW = {"reset_mechanism": "zero", "reset_delay": False}


class TutorialFC(nn.Module):
    """States by hand, as in the tutorials, one step per call."""

    n_states = 2

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(30, 40)
        self.lif1 = snn.Leaky(beta=0.9, **ZERO)
        self.fc2 = nn.Linear(40, 10)
        self.lif2 = snn.Leaky(beta=0.8, **ZERO)

    def forward(self, x, mem1, mem2):
        cur1 = self.fc1(x.flatten(1))
        spk1, mem1 = self.lif1(cur1, mem1)
        cur2 = self.fc2(spk1)
        spk2, mem2 = self.lif2(cur2, mem2)
        return spk2, mem1, mem2


class ConvNet(nn.Module):
    """Convolutions, max pools of spikes, batch normalisation, states by hand in a nested tuple."""

    n_states = 3

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.lif1 = snn.Leaky(beta=0.85, threshold=0.6, **ZERO)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2, groups=2)
        self.lif2 = snn.Leaky(beta=torch.rand(8, 1, 1), **ZERO)
        self.pool = nn.AvgPool2d(2)
        self.fc = nn.Linear(8, 10)
        self.lif3 = snn.Leaky(beta=0.5, **ZERO)

    def forward(self, x, *states):
        mem1, mem2, mem3 = states
        spk, mem1 = self.lif1(self.bn1(self.conv1(x)), mem1)
        spk = tf.max_pool2d(spk, 2)
        spk, mem2 = self.lif2(self.conv2(spk), mem2)
        spk = self.pool(spk)
        spk, mem3 = self.lif3(self.fc(spk.reshape(spk.shape[0], -1)), mem3)
        return spk, mem1, mem2, mem3


class SynapticNet(nn.Module):
    """Current-based neurons whose reset is in the step of the spike, states by hand."""

    n_states = 3

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(30, 40)
        self.syn1 = snn.Synaptic(alpha=0.7, beta=0.9, **NOW)
        self.fc2 = nn.Linear(40, 10)
        self.lif2 = snn.Leaky(beta=0.8, **NOW)

    def forward(self, x, syn1, mem1, mem2):
        spk, syn1, mem1 = self.syn1(self.fc1(x), syn1, mem1)
        spk, mem2 = self.lif2(self.fc2(spk), mem2)
        return spk, syn1, mem1, mem2


class InitHidden(nn.Module):
    """States kept by the neurons, a readout without a neuron."""

    n_states = 0

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 8, 3, padding=2, dilation=2)
        self.lif1 = snn.Leaky(beta=0.95, init_hidden=True, **ZERO)
        self.fc = nn.Linear(96, 12)
        self.syn2 = snn.Synaptic(alpha=torch.rand(12), beta=0.6, init_hidden=True, **NOW)
        self.readout = nn.Linear(12, 4)

    def forward(self, x):
        x = torch.flatten(self.lif1(self.conv(x)), start_dim=1)
        return self.readout(self.syn2(self.fc(x)))


def sequential():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3),
        snn.Leaky(beta=0.9, init_hidden=True, learn_beta=True, **ZERO),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(54, 20),
        snn.Leaky(beta=0.7, init_hidden=True, threshold=0.5, learn_threshold=True, **ZERO),
        nn.Dropout(0.1),
        nn.Linear(20, 10),
        snn.Leaky(beta=0.9, init_hidden=True, output=True, **ZERO),
    )


def hidden_chain(*neurons, bias=True):
    sizes = (30, 40, 25, 10)
    modules = []
    for n_in, n_out, node in zip(sizes, sizes[1:], neurons, strict=False):
        modules += [nn.Linear(n_in, n_out, bias=bias), node]
    return nn.Sequential(*modules)


def leaky(beta, **options):
    return snn.Leaky(beta=beta, init_hidden=True, **{**ZERO, **options})


def synaptic(alpha, beta, **options):
    return snn.Synaptic(alpha=alpha, beta=beta, init_hidden=True, **{**NOW, **options})


def on_weight_grid():
    net = hidden_chain(leaky(0.5), leaky(1.0), bias=False)
    with torch.no_grad():
        for module in (net[0], net[2]):
            module.weight.copy_(torch.randint(-4, 5, module.weight.shape) / 8)
    return net


NETWORKS = {
    "tutorial_fc": (TutorialFC, (2, 15)),
    "conv_net": (ConvNet, (1, 12, 12)),
    "synaptic_by_hand": (SynapticNet, (30,)),
    "init_hidden": (InitHidden, (3, 12)),
    "sequential": (sequential, (2, 9, 9)),
    "beta_per_neuron": (
        lambda: hidden_chain(leaky(torch.rand(40) * 1.4 - 0.2, learn_beta=True), leaky(0.3)),
        (30,),
    ),
    "beta_0_and_1": (lambda: hidden_chain(leaky(0.0), leaky(1.0), leaky(1.7)), (30,)),
    "threshold_per_neuron": (
        lambda: hidden_chain(leaky(0.9, threshold=torch.rand(40) + 0.5), leaky(0.9)),
        (30,),
    ),
    "reset_in_the_same_step": (lambda: hidden_chain(leaky(0.9, **NOW), leaky(0.8, **NOW)), (30,)),
    "synaptic_sequential": (
        lambda: hidden_chain(synaptic(0.5, 0.9), synaptic(torch.rand(25), torch.rand(25))),
        (30,),
    ),
    "synaptic_without_decay": (lambda: hidden_chain(synaptic(0.9, 1.0), synaptic(0.0, 0.5)), (30,)),
    "no_reset": (lambda: hidden_chain(leaky(0.8, reset_mechanism="none"), leaky(0.9)), (30,)),
    "default_reset": (
        lambda: hidden_chain(*(leaky(b, reset_mechanism="subtract") for b in (0.9, 0.5, 1.0))),
        (30,),
    ),
    "synaptic_default_reset": (
        lambda: hidden_chain(
            *(synaptic(a, 0.8, reset_mechanism="subtract", reset_delay=True) for a in (0.9, 0.3))
        ),
        (30,),
    ),
    "synaptic_no_reset": (
        lambda: hidden_chain(synaptic(0.5, 0.5, reset_mechanism="none"), leaky(0.9)),
        (30,),
    ),
    "weight_grid": (on_weight_grid, (30,)),
}
