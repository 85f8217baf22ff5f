"""SpikingJelly networks as its users write them, by name: (network, input shape, where time is)."""

import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn
from torch.nn import functional as tf


class TutorialCSNN(nn.Module):
    """The tutorial's network for images: max pools after the neurons, multi-step."""

    def __init__(self):
        super().__init__()
        self.conv_fc = nn.Sequential(
            layer.Conv2d(1, 6, kernel_size=3, padding=1, bias=False),
            layer.BatchNorm2d(6),
            neuron.IFNode(),
            layer.MaxPool2d(2, 2),
            layer.Conv2d(6, 8, kernel_size=3, padding=1, bias=False),
            layer.BatchNorm2d(8),
            neuron.IFNode(),
            layer.MaxPool2d(2, 2),
            layer.Flatten(),
            layer.Dropout(0.5),
            layer.Linear(8 * 3 * 3, 20, bias=False),
            neuron.IFNode(),
            layer.Linear(20, 10, bias=False),
            neuron.IFNode(),
        )
        functional.set_step_mode(self, "m")

    def forward(self, x):
        return self.conv_fc(x)


class FunctionalForward(nn.Module):
    """One step, plain torch layers, pools and flattening as functions."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 5, 3, padding="same")
        self.sn1 = neuron.LIFNode(tau=2.5, v_threshold=0.7, decay_input=False)
        self.conv2 = nn.Conv2d(5, 4, 3, stride=2)
        self.sn2 = neuron.IFNode(v_threshold=0.5)
        self.fc = nn.Linear(4 * 2 * 2, 7)
        self.sn3 = neuron.LIFNode(tau=4.0)

    def forward(self, x):
        x = tf.avg_pool2d(x, 2)
        x = tf.max_pool2d(self.sn1(self.conv1(x)), kernel_size=3, stride=1, padding=1)
        x = tf.dropout(self.sn2(self.conv2(x)), 0.2, self.training)
        x = x.view(x.size(0), -1)
        return self.sn3(self.fc(x))


class Block(nn.Module):
    """A convolution whose child is not called in the order of its attributes."""

    def __init__(self, n_in, n_out, **options):
        super().__init__()
        self.sn = neuron.LIFNode(tau=3.0, decay_input=True, v_reset=-0.3, v_threshold=0.6)
        self.bn = nn.BatchNorm2d(n_out)
        self.conv = nn.Conv2d(n_in, n_out, **options)

    def forward(self, x):
        return self.sn(self.bn(self.conv(x)))


class Nested(nn.Module):
    """Blocks in blocks, average pools after spikes, a readout without a neuron."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            Block(2, 4, kernel_size=(3, 5), stride=(2, 1), padding=(1, 2)),
            nn.AvgPool2d(2),
            Block(4, 8, kernel_size=3, dilation=2, groups=4, padding=1),
        )
        self.pool = nn.AdaptiveAvgPool2d((1, 2))
        self.output = nn.Linear(16, 5)

    def forward(self, x):
        return self.output(torch.flatten(self.pool(self.features(x)), 1))


class PlainLinearOverTime(nn.Module):
    """1-D convolutions in multi-step mode; torch's own Linear and Flatten over [T, B, …]."""

    def __init__(self):
        super().__init__()
        self.conv = layer.Conv1d(3, 6, 5, stride=2, padding=2, step_mode="m")
        self.bn = layer.BatchNorm1d(6, step_mode="m")
        self.sn1 = neuron.ParametricLIFNode(init_tau=1.7, decay_input=False, step_mode="m")
        self.flat = nn.Flatten(2)
        self.fc = nn.Linear(6 * 6, 9)
        self.sn2 = neuron.ParametricLIFNode(init_tau=2.0, step_mode="m")
        self.readout = nn.Linear(9, 4, bias=False)

    def forward(self, x):
        return self.readout(self.sn2(self.fc(self.flat(self.sn1(self.bn(self.conv(x)))))))


def containers():
    return nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6)),
        neuron.LIFNode(tau=2.0, step_mode="m"),
        layer.SeqToANNContainer(nn.AvgPool2d(2), nn.Sequential(nn.Flatten(), nn.Linear(96, 16))),
        neuron.IFNode(step_mode="m"),
        layer.MultiStepContainer(nn.Linear(16, 8), neuron.LIFNode(tau=1.5)),
    )


def fully_connected(*neurons, n_in=24, bias=True):
    sizes = (n_in, 40, 20, 10)
    modules = [nn.Flatten()]
    for n_from, n_to, node in zip(sizes, sizes[1:], neurons, strict=False):
        modules += [nn.Linear(n_from, n_to, bias=bias), node]
    return nn.Sequential(*modules)


def on_weight_grid():
    net = fully_connected(neuron.IFNode(), neuron.LIFNode(tau=2.0, decay_input=False), bias=False)
    with torch.no_grad():
        for module in (net[1], net[3]):
            module.weight.copy_(torch.randint(-4, 5, module.weight.shape) / 8)
    return net


def multi_step_lif():
    net = nn.Sequential(
        layer.Linear(24, 30),
        neuron.LIFNode(tau=1.1, v_threshold=0.8),
        layer.Linear(30, 12),
        neuron.LIFNode(tau=16.0, decay_input=False, v_threshold=2.0, v_reset=0.5),
    )
    functional.set_step_mode(net, "m")
    return net


NETWORKS = {
    "tutorial_csnn": (TutorialCSNN, (1, 14, 14), "module"),
    "functional_forward": (FunctionalForward, (2, 10, 10), "outer"),
    "nested_blocks": (Nested, (2, 16, 12), "outer"),
    "plain_linear_over_time": (PlainLinearOverTime, (3, 11), "module"),
    "containers": (containers, (2, 8, 8), "module"),
    "if": (lambda: fully_connected(neuron.IFNode(), neuron.IFNode()), (2, 12), "outer"),
    "lif": (
        lambda: fully_connected(
            neuron.LIFNode(tau=2.0),
            neuron.LIFNode(tau=3.3, decay_input=False),
            neuron.LIFNode(tau=100.0, decay_input=False),
        ),
        (24,),
        "outer",
    ),
    "lif_v_reset": (
        lambda: fully_connected(
            neuron.LIFNode(tau=2.0, v_reset=-0.3),
            neuron.LIFNode(tau=2.0, v_reset=0.25, decay_input=False),
            neuron.IFNode(v_reset=-0.7),
        ),
        (24,),
        "outer",
    ),
    "parametric_lif": (
        lambda: fully_connected(
            neuron.ParametricLIFNode(init_tau=1.3), neuron.ParametricLIFNode(decay_input=False)
        ),
        (24,),
        "outer",
    ),
    "multi_step_lif": (multi_step_lif, (24,), "module"),
    "soft_reset": (
        lambda: fully_connected(
            neuron.IFNode(v_reset=None),
            neuron.LIFNode(tau=2.5, v_reset=None, decay_input=False, v_threshold=0.6),
            neuron.ParametricLIFNode(init_tau=1.5, v_reset=None),
        ),
        (24,),
        "outer",
    ),
    "weight_grid": (on_weight_grid, (24,), "outer"),
    "double": (
        lambda: fully_connected(neuron.LIFNode(tau=2.7), neuron.IFNode()).double(),
        (24,),
        "outer",
    ),
}
