"""Networks whose channels depend on each other, in both frameworks' forms, one step per call.

Every class takes a function that makes a neuron; `FORMS` names them.
"""

import snntorch as snn
import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn
from torch.nn import functional as tf


def jelly(threshold=0.6):
    return neuron.LIFNode(tau=2.0, decay_input=False, v_threshold=threshold)


def snntorch(threshold=0.6):
    return snn.Leaky(
        beta=0.5, threshold=threshold, init_hidden=True, reset_mechanism="zero", reset_delay=False
    )


FORMS = {"spikingjelly": jelly, "snntorch": snntorch}


class Chain(nn.Module):
    """Convolutions, a max pool of spikes, a flattened image, linear layers."""

    def __init__(self, lif):
        super().__init__()
        self.conv1, self.bn1, self.sn1 = nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), lif()
        self.pool = nn.MaxPool2d(2)
        self.conv2, self.sn2 = nn.Conv2d(6, 8, 3, padding=1), lif()
        self.fc1, self.sn3 = nn.Linear(8 * 4 * 4, 12), lif()
        self.fc2 = nn.Linear(12, 5)

    def forward(self, x):
        x = self.pool(self.sn1(self.bn1(self.conv1(x))))
        x = self.sn2(self.conv2(x)).flatten(1)
        return self.fc2(self.sn3(self.fc1(x)))


class Residual(nn.Module):
    """Identity shortcuts over two blocks, added before the neuron."""

    def __init__(self, lif):
        super().__init__()
        self.stem, self.sn0 = nn.Conv2d(2, 6, 3, padding=1), lif()
        self.conv1, self.sn1 = nn.Conv2d(6, 7, 3, padding=1), lif()
        self.conv2, self.bn2, self.sn2 = nn.Conv2d(7, 6, 3, padding=1), nn.BatchNorm2d(6), lif()
        self.conv3, self.sn3 = nn.Conv2d(6, 4, 3, padding=1), lif()
        self.conv4, self.sn4 = nn.Conv2d(4, 6, 3, padding=1), lif()
        self.fc = nn.Linear(6 * 4 * 4, 5)

    def forward(self, x):
        x = self.sn0(self.stem(x))
        x = self.sn2(self.bn2(self.conv2(self.sn1(self.conv1(x)))) + x)
        x = self.sn4(self.conv4(self.sn3(self.conv3(x))) + x)
        return self.fc(tf.avg_pool2d(x, 2).flatten(1))


class Padded(nn.Module):
    """A strided shortcut without weights: every second pixel, zero channels on both sides."""

    def __init__(self, lif):
        super().__init__()
        self.stem, self.sn0 = nn.Conv2d(2, 4, 3, padding=1), lif()
        self.conv1, self.sn1 = nn.Conv2d(4, 6, 3, stride=2, padding=1), lif()
        self.conv2, self.sn2 = nn.Conv2d(6, 10, 3, padding=1), lif()
        self.fc = nn.Linear(10 * 4 * 4, 5)

    def forward(self, x):
        x = self.sn0(self.stem(x))
        short = tf.pad(x[..., ::2, ::2], (0, 0, 0, 0, 3, 3))
        return self.fc(self.sn2(self.conv2(self.sn1(self.conv1(x))) + short).flatten(1))


class Projected(nn.Module):
    """A shortcut with a strided 1x1 convolution of its own."""

    def __init__(self, lif):
        super().__init__()
        self.stem, self.sn0 = nn.Conv2d(2, 4, 3, padding=1), lif()
        self.conv1, self.sn1 = nn.Conv2d(4, 6, 3, stride=2, padding=1), lif()
        self.conv2, self.bn2 = nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.short, self.bn = nn.Conv2d(4, 8, 1, stride=2, bias=False), nn.BatchNorm2d(8)
        self.sn2 = lif()
        self.fc = nn.Linear(8 * 4 * 4, 5)

    def forward(self, x):
        x = self.sn0(self.stem(x))
        y = self.bn2(self.conv2(self.sn1(self.conv1(x)))) + self.bn(self.short(x))
        return self.fc(self.sn2(y).flatten(1))


class Grouped(nn.Module):
    """Grouped convolutions, one channel by channel, one that makes two channels of each."""

    def __init__(self, lif):
        super().__init__()
        self.conv1, self.sn1 = nn.Conv2d(2, 8, 3, padding=1), lif()
        self.conv2, self.sn2 = nn.Conv2d(8, 12, 3, padding=1, groups=2), lif()
        self.conv3, self.sn3 = nn.Conv2d(12, 6, 1), lif()
        self.conv4, self.sn4 = nn.Conv2d(6, 6, 3, groups=6), lif()
        self.conv5, self.sn5 = nn.Conv2d(6, 12, 3, groups=6), lif()
        self.fc = nn.Linear(12 * 4 * 4, 5)

    def forward(self, x):
        x = self.sn3(self.conv3(self.sn2(self.conv2(self.sn1(self.conv1(x))))))
        return self.fc(self.sn5(self.conv5(self.sn4(self.conv4(x)))).flatten(1))


class Concatenated(nn.Module):
    """Two branches side by side, normalised, fired and read together, then beside a third."""

    def __init__(self, lif):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 4, 1), nn.Conv2d(2, 5, 3, padding=1)
        self.bn, self.sn1 = nn.BatchNorm2d(9), lif()
        self.conv3, self.sn2 = nn.Conv2d(9, 6, 3, padding=1), lif()
        self.fc = nn.Linear(15 * 8 * 8, 5)

    def forward(self, x):
        x = self.sn1(self.bn(torch.cat([self.conv1(x), self.conv2(x)], dim=1)))
        y = self.sn2(self.conv3(x))
        return self.fc(torch.cat([x, y], 1).flatten(1))


IMAGES = {
    "chain": Chain,
    "identity shortcut": Residual,
    "padded shortcut": Padded,
    "projected shortcut": Projected,
    "grouped": Grouped,
    "concatenation": Concatenated,
}


def snntorch_recurrent(**options):
    decays = {"alpha": 0.5} if options.pop("synaptic", False) else {}
    kind = snn.RSynaptic if decays else snn.RLeaky
    return lambda: nn.Sequential(
        nn.Linear(10, 14),
        kind(beta=0.75, threshold=0.6, init_hidden=True, **decays, **options),
        nn.Linear(14, 8),
        snntorch(),
        nn.Linear(8, 5),
    )


RECURRENT = {
    "RLeaky, all to all": snntorch_recurrent(linear_features=14),
    "RLeaky, one to one": snntorch_recurrent(all_to_all=False, V=torch.linspace(-0.5, 0.5, 14)),
    "RSynaptic": snntorch_recurrent(linear_features=14, synaptic=True),
    "LinearRecurrent": lambda: nn.Sequential(
        layer.LinearRecurrentContainer(jelly(), 10, 10, 10), nn.Linear(10, 8), jelly(),
        nn.Linear(8, 5),
    ),
    "LinearRecurrent around layers": lambda: nn.Sequential(
        nn.Linear(10, 12),
        layer.LinearRecurrentContainer(
            nn.Sequential(nn.Linear(12, 14), jelly()), 12, 14
        ),
        nn.Linear(14, 8), jelly(), nn.Linear(8, 5),
    ),
    "ElementWiseRecurrent": lambda: nn.Sequential(
        nn.Linear(10, 14),
        layer.ElementWiseRecurrentContainer(jelly(), lambda y, x: x + y),
        nn.Linear(14, 8), jelly(), nn.Linear(8, 5),
    ),
}  # fmt: skip
