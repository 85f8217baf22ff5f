"""Three small spiking networks for digits, built of what neuromorphic chips can run.

Each is an ordinary module of its framework and ends in a linear layer without neurons: the class
is the largest answer, averaged over the steps. The SpikingJelly nets take one step or all steps at
once (`functional.set_step_mode`); the snnTorch net carries its time loop in `forward`.
"""

import snntorch
import torch
from snntorch import surrogate as snntorch_surrogate
from spikingjelly.activation_based import layer, neuron, surrogate
from torch import Tensor, nn

IMAGE_STEPS = 8
DROPOUT = 0.2


def images_net() -> nn.Sequential:
    """Return a net for static images [..., 1, 28, 28] that are shown at every step."""
    return nn.Sequential(
        layer.Conv2d(1, 12, 3, stride=2, padding=1, bias=False),
        layer.BatchNorm2d(12),
        _lif(decay_input=False),
        layer.AvgPool2d(2),
        layer.Conv2d(12, 32, 3, padding=1, bias=False),
        layer.BatchNorm2d(32),
        _lif(decay_input=False),
        layer.Flatten(),
        layer.Dropout(DROPOUT),
        layer.Linear(1568, 10),
    )


def events_net() -> nn.Sequential:
    """Return a net for event frames [..., 2, 28, 28] of zeros and ones, ON and OFF."""
    return nn.Sequential(
        layer.Conv2d(2, 12, 3, stride=2, padding=1, bias=False),
        layer.BatchNorm2d(12),
        _lif(decay_input=True),
        layer.MaxPool2d(2),
        layer.Conv2d(12, 32, 3, padding=1, bias=False),
        layer.BatchNorm2d(32),
        neuron.IFNode(surrogate_function=surrogate.ATan(), detach_reset=True),
        layer.Flatten(),
        layer.Dropout(DROPOUT),
        layer.Linear(1568, 10),
    )


def _lif(*, decay_input: bool) -> neuron.LIFNode:
    """Return a leaky neuron that halves its potential per step and resets to zero."""
    return neuron.LIFNode(
        tau=2.0,
        decay_input=decay_input,
        surrogate_function=surrogate.ATan(),
        detach_reset=True,
    )


class SnnTorchNet(nn.Module):
    """A snnTorch net for static images [N, 1, 28, 28]; its time loop is inside."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, stride=2, padding=1)
        self.leaky1 = _leaky()
        self.conv2 = nn.Conv2d(12, 32, 3, stride=2, padding=1)
        self.leaky2 = _leaky()
        self.readout = nn.Linear(1568, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return the answers of all steps [8, N, 10]."""
        state1, state2 = self.leaky1.init_leaky(), self.leaky2.init_leaky()
        answers = []
        for _ in range(IMAGE_STEPS):
            spikes1, state1 = self.leaky1(self.conv1(images), state1)
            spikes2, state2 = self.leaky2(self.conv2(spikes1), state2)
            answers.append(self.readout(spikes2.flatten(1)))
        return torch.stack(answers)


def _leaky() -> snntorch.Leaky:
    """Return a leaky neuron that keeps three quarters of its potential and resets to zero."""
    return snntorch.Leaky(
        beta=0.75,
        reset_mechanism="zero",
        spike_grad=snntorch_surrogate.atan(alpha=2.0),
    )
