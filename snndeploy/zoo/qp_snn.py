"""The networks of QP-SNN: VGG-16, the wide ResNet-20 and VGGSNN, and a small one for digits.

All take the whole sequence at once: convolutions and batch normalisation see steps as samples
(one set of statistics for all steps), neurons see them as time. Static images [B, C, H, W] are
shown at every step, frames of events come as [T, B, C, H, W]. What comes out is the mean over the
steps of the last layer, which has no neurons, [B, classes].

Source: QP-SNN (ICLR 2025, arXiv 2502.05905), tables 9 to 11, and the code published beside it.
"""

from collections.abc import Iterable
from typing import Any

from spikingjelly.activation_based import layer
from torch import Tensor, nn
from torch.nn import functional

from snndeploy.zoo.neuron import lif

Plan = Iterable[int | str]
"""Channels of convolutions; `M` is a max pool of spikes, `A` an average pool, both 2x2."""

VGG16: tuple[int | str, ...] = (
    64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "A",
)  # fmt: skip
VGGSNN: tuple[int | str, ...] = (
    64, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "A",
)  # fmt: skip
DIGITS: tuple[int | str, ...] = (16, "M", 32, "M", 64, "A")
STEM, STAGES, N_BLOCKS = 64, (128, 256, 512), 3


class SpikingNet(nn.Module):
    """Spiking features, flattened, and a linear layer whose answers are averaged over the steps.

    Args:
        features: layers for [T, B, C, H, W].
        n_features: of the flattened image.
        n_classes: answers.
        steps: how often a static image is shown; None takes frames [T, B, …].
    """

    def __init__(
        self, features: nn.Module, n_features: int, n_classes: int, *, steps: int | None
    ) -> None:
        super().__init__()
        self.steps = steps
        self.features = features
        self.fc = layer.Linear(n_features, n_classes, step_mode="m")

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean answer over the steps, [B, classes]."""
        if self.steps is not None:
            x = x.unsqueeze(0).repeat(self.steps, 1, 1, 1, 1)
        answer: Tensor = self.fc(self.features(x).flatten(2)).mean(0)
        return answer


class Block(nn.Module):
    """Two convolutions and a shortcut without weights, added before the second neuron.

    Where size or channels change, the shortcut takes every `stride`-th pixel and gets channels of
    zeros on both sides.
    """

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.stride, self.added = stride, n_out - n_in
        self.conv1, self.bn1, self.sn1 = _conv(n_in, n_out, stride), _norm(n_out), lif()
        self.conv2, self.bn2, self.sn2 = _conv(n_out, n_out), _norm(n_out), lif()

    def forward(self, x: Tensor) -> Tensor:
        """Return spikes [T, B, C, H, W]."""
        y = self.bn2(self.conv2(self.sn1(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = x[..., :: self.stride, :: self.stride]
        if self.added:
            before = self.added // 2
            x = functional.pad(x, (0, 0, 0, 0, before, self.added - before))
        spikes: Tensor = self.sn2(y + x)
        return spikes


def vgg16(n_classes: int = 10, *, steps: int = 4, size: int = 32, channels: int = 3) -> SpikingNet:
    """Return the VGG-16 for images of `size` pixels (CIFAR 32, TinyImageNet 64)."""
    features = plain_features(VGG16, channels)
    return SpikingNet(features, 512 * (size // 32) ** 2, n_classes, steps=steps)


def vggsnn(n_classes: int = 10, *, size: int = 48, channels: int = 2) -> SpikingNet:
    """Return the VGGSNN for frames of events [T, B, 2, 48, 48]."""
    features = plain_features(VGGSNN, channels)
    return SpikingNet(features, 512 * (size // 16) ** 2, n_classes, steps=None)


def digit_net(n_classes: int = 10, *, steps: int | None = 4, channels: int = 1) -> SpikingNet:
    """Return a small network of the same kind for 28x28 pixels: images, or frames of events."""
    return SpikingNet(plain_features(DIGITS, channels), 64 * 9, n_classes, steps=steps)


def resnet20(
    n_classes: int = 10, *, steps: int = 2, size: int = 32, channels: int = 3
) -> SpikingNet:
    """Return the wide ResNet-20: a stem of 64, three stages of 128, 256 and 512 channels."""
    layers: dict[str, nn.Module] = {
        "conv0": _conv(channels, STEM), "bn0": _norm(STEM), "sn0": lif(),
    }  # fmt: skip
    n_in = STEM
    for stage, n_out in enumerate(STAGES, start=1):
        for block in range(N_BLOCKS):
            stride = 2 if stage > 1 and block == 0 else 1
            layers[f"stage{stage}_{block}"] = Block(n_in, n_out, stride)
            n_in = n_out
    layers["pool"] = layer.AvgPool2d(size // 4, step_mode="m")
    return SpikingNet(_named(layers), STAGES[-1], n_classes, steps=steps)


def plain_features(plan: Plan, channels: int) -> nn.Sequential:
    """Return convolutions with batch normalisation and neurons, and pools, one after the other.

    The first convolution has a bias, the others have none.
    """
    layers: dict[str, nn.Module] = {}
    n_in, count, pools = channels, 0, 0
    for item in plan:
        if isinstance(item, int):
            layers[f"conv{count}"] = _conv(n_in, item, bias=not count)
            layers[f"bn{count}"], layers[f"sn{count}"] = _norm(item), lif()
            n_in, count = item, count + 1
        else:
            kind = {"M": layer.MaxPool2d, "A": layer.AvgPool2d}[item]
            layers[f"pool{pools}"] = kind(2, step_mode="m")
            pools += 1
    return _named(layers)


def _named(layers: dict[str, nn.Module]) -> nn.Sequential:
    chain = nn.Sequential()
    for name, module in layers.items():
        chain.add_module(name, module)
    return chain


def _conv(n_in: int, n_out: int, stride: int = 1, *, bias: bool = False) -> Any:
    return layer.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=bias, step_mode="m")


def _norm(n: int) -> Any:
    return layer.BatchNorm2d(n, step_mode="m")
