"""Networks whose forward branches, by name: (network, shapes of the inputs, time).

Every construct is written as users write it; the comment says what it becomes in plain NIR.
"""

import snntorch as snn
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn
from torch.nn import functional as tf


class Branches(nn.Module):
    """Two convolutions with spikes, and what a function makes of them before the last layers."""

    def __init__(self, join, n_joined=4, kind=neuron.LIFNode):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1)
        self.sn1 = kind(v_threshold=0.5)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(4)
        self.sn2 = neuron.IFNode(v_reset=None)
        self.conv3 = nn.Conv2d(n_joined, 6, 3, stride=2)
        self.bn3 = nn.BatchNorm2d(6)
        self.sn3 = neuron.IFNode()
        self.fc = nn.Linear(6 * 3 * 3, 10)
        self.join = join

    def forward(self, x):
        a = self.sn1(self.conv1(x))
        b = self.sn2(self.bn2(self.conv2(a)))
        return self.fc(self.sn3(self.bn3(self.conv3(self.join(a, b)))).flatten(1))


class CurrentAdd(nn.Module):
    """Spikes and currents added before a neuron, in place; a functional add of two convolutions."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (nn.Conv2d(2, 2, 3, padding=1) for _ in range(3))
        self.bn = nn.BatchNorm2d(2)
        self.sn1, self.sn2, self.sn3 = neuron.LIFNode(), neuron.IFNode(), neuron.LIFNode(tau=3.0)

    def forward(self, x):
        a = self.sn1(self.conv1(x))
        current = self.conv2(a)
        current += a
        b = self.sn2(current)
        return self.sn3(self.bn(torch.add(self.conv3(b), self.conv1(x), alpha=0.5)))


class CatFeatures(nn.Module):
    """Flattened branches side by side before a linear layer; a neuron behind a concatenation."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 3, 3), nn.Conv2d(2, 4, 3, stride=2)
        self.bn = nn.BatchNorm1d(20)
        self.fc1 = nn.Linear(3 * 6 * 6 + 4 * 3 * 3, 20)
        self.fc2 = nn.Linear(20 + 3 * 6 * 6, 9)
        self.sn1 = neuron.IFNode(v_threshold=0.7)
        self.sn2, self.sn3 = neuron.LIFNode(), neuron.IFNode()

    def forward(self, x):
        a, b = self.conv1(x), self.conv2(x)
        spikes = self.sn1(torch.cat([a.flatten(1), b.flatten(1)], dim=1))
        c = self.sn2(self.bn(self.fc1(spikes)))
        return self.sn3(self.fc2(torch.cat((c, a.flatten(1)), dim=-1)))


class Inception(nn.Module):
    """Channels of two convolutions side by side, normalised, spiking and max-pooled together."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 5, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.sn1 = neuron.LIFNode(v_reset=None)
        self.pool = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(8, 4, 3, padding=1)
        self.sn2 = neuron.IFNode()
        self.fc = nn.Linear(4 * 4 * 4 + 8 * 4 * 4, 10)

    def forward(self, x):
        x = self.sn1(self.bn(torch.cat([self.conv1(x), self.conv2(x)], dim=1)))
        x = self.pool(x)
        y = self.sn2(self.conv3(x))
        both = torch.cat([x, y], 1)
        return self.fc(both.view(both.size(0), -1))


class SharedWeights(nn.Module):
    """One convolution on two signals: two nodes with the same arrays."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.lif1, self.lif2 = (snn.Leaky(beta=0.8, init_hidden=True) for _ in range(2))

    def forward(self, x):
        return self.lif2(self.conv(self.lif1(self.conv(x))))


class Subsampled(nn.Module):
    """Every second pixel, and a border of zeros before a convolution."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 3, padding=1)
        self.conv2 = nn.Conv2d(3, 4, 3)
        self.short = nn.Conv2d(3, 4, 1, bias=False)
        self.border = nn.ZeroPad2d(1)
        self.sn1, self.sn2 = neuron.LIFNode(), neuron.LIFNode()

    def forward(self, x):
        a = self.sn1(self.conv1(tf.pad(x, (2, 2, 1, 1))))
        a = a[..., 0::2, ::2]
        return self.sn2(self.conv2(self.border(a)) + self.short(a))


class TwoStreams(nn.Module):
    """Two inputs, added behind layers of their own; two outputs by name."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(12, 16), nn.Linear(7, 16)
        self.lif1, self.lif2 = (snn.Leaky(beta=0.9, init_hidden=True) for _ in range(2))
        self.head = nn.Linear(16, 5)

    def forward(self, image, sound):
        fused = self.lif1(self.fc1(image) + self.fc2(sound))
        return {"class": self.lif2(self.head(fused)), "value": self.head(fused)}


class MultiStep(nn.Module):
    """All steps at once: sums, gates and concatenations over [T, B, …]."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = layer.Conv2d(2, 4, 3, padding=1), layer.Conv2d(8, 4, 3, padding=1)
        self.bn = layer.BatchNorm2d(4)
        self.sn1, self.sn2, self.sn3 = neuron.IFNode(), neuron.LIFNode(), neuron.IFNode()
        self.conv3 = layer.Conv2d(4, 4, 3, padding=1)
        self.fc = layer.Linear(4, 6)
        self.pool = layer.AdaptiveAvgPool2d(1)
        functional.set_step_mode(self, "m")

    def forward(self, x):
        a = self.sn1(self.conv1(x))
        b = self.sn2(self.bn(self.conv2(torch.cat([a, a], dim=2))))
        c = self.sn3(self.conv3((1 - a) * b) + a)
        return self.fc(torch.flatten(self.pool(c + b), 2)).mean(0)


def one(make, shape=(2, 8, 8), time="outer"):
    return make, {"input": shape}, time


JOINS = {
    "sum": lambda a, b: a + b,
    "twice the same": lambda a, b: a + a + b,
    "difference": lambda a, b: 2 * a - b / 4,
    "and": lambda a, b: a * b,
    "or by maximum": lambda a, b: torch.maximum(a, b),
    "or by max": lambda a, b: torch.max(a, b),
    "or by clamp": lambda a, b: torch.clamp(a + b, max=1),
    "or by logic": lambda a, b: torch.logical_or(a, b).float(),
    "or by counting": lambda a, b: ((a + b) > 0).float(),
    "and by counting": lambda a, b: ((a + b) >= 2).float(),
    "iand": lambda a, b: (1 - a) * b,
    "iand, other way": lambda a, b: a * (1.0 - b),
    "iand by clamp": lambda a, b: (b - a).clamp(min=0),
    "xor": lambda a, b: torch.logical_xor(a, b).float(),
    "of three": lambda a, b: torch.minimum(a, b) + b * (1 - a),
}
"""Joins of two spike trains."""

NETWORKS = {
    **{f"join: {name}": one(lambda j=join: Branches(j)) for name, join in JOINS.items()},
    "cat of channels": one(lambda: Branches(lambda a, b: torch.cat([a, b], dim=1), 8)),
    "cat of sums": one(lambda: Branches(lambda a, b: torch.cat([a + b, a * b], 1) * 0.5, 8)),
    "cat, then cat": one(
        lambda: Branches(lambda a, b: torch.cat([torch.cat([a, b], 1), b], 1), 12)
    ),
    "current add": one(CurrentAdd),
    "cat of features": one(CatFeatures),
    "inception": one(Inception),
    "shared weights": one(SharedWeights),
    "subsampled": one(Subsampled),
    "two streams": (TwoStreams, {"image": (12,), "sound": (7,)}, "outer"),
    "multi-step": one(MultiStep, time="module"),
}
