"""Three small spiking networks for digits, built of what neuromorphic chips can run.

Each is an ordinary module of its framework and ends in a linear layer without neurons: the class
is the largest answer, averaged over the steps. A SpikingJelly net takes one step or all steps at
once (`functional.set_step_mode`), a snnTorch net takes one step and keeps its state.
"""

import snntorch
import torch
from snntorch import surrogate as snntorch_surrogate
from snntorch import utils
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

IMAGE_STEPS = 8
DROPOUT = 0.2


def images_net() -> nn.Sequential:
    """Return a net for static images [..., 1, 28, 28] that are shown at every step."""
    return nn.Sequential(
        layer.Conv2d(1, 10, 3, stride=2, padding=1, bias=False),
        layer.BatchNorm2d(10),
        _lif(decay_input=False),
        layer.AvgPool2d(2),
        layer.Conv2d(10, 32, 3, padding=1, bias=False),
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


def snntorch_net() -> nn.Sequential:
    """Return a snnTorch net that takes one step: an image [N, 1, 28, 28] to answers [N, 10]."""
    return nn.Sequential(
        nn.Conv2d(1, 10, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(10),
        _leaky(),
        nn.Conv2d(10, 32, 3, stride=2, padding=1),
        _leaky(),
        nn.Flatten(),
        nn.Dropout(DROPOUT),
        nn.Linear(1568, 10),
    )


def snntorch_steps(net: nn.Module, frames: Tensor) -> Tensor:
    """Return the answers [T, N, 10] of a snnTorch net to frames [T, N, ...], from a fresh state."""
    utils.reset(net)
    return torch.stack([net(frame) for frame in frames])


def spikingjelly_steps(net: nn.Module, frames: Tensor) -> Tensor:
    """Return the answers [T, N, 10] of a SpikingJelly net that takes all steps at once."""
    functional.reset_net(net)
    answers: Tensor = net(frames)
    return answers


def _leaky() -> snntorch.Leaky:
    """Return a leaky neuron that keeps three quarters of its potential and resets to zero."""
    return snntorch.Leaky(
        beta=0.75,
        init_hidden=True,
        reset_mechanism="zero",
        spike_grad=snntorch_surrogate.atan(alpha=2.0),
    )
