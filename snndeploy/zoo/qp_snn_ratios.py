"""The shares of channels that QP-SNN removes, by layer of the networks here and by table row.

The last convolution stays whole, so that the classifier does. Table 10 prints the ratio of the
mids for the outputs of the ResNet's second stage too; the sizes that the paper reports follow only
from the ratio of the first stage there, which is what the code's default says.

Source: QP-SNN (ICLR 2025, arXiv 2502.05905), tables 9 to 11, and the code published beside it.
"""

from collections.abc import Mapping

Ratios = Mapping[str, float]


def vgg16_ratios(narrow: float, wide: float) -> Ratios:
    """Return ratios of the layers of up to 256 channels and of those of 512, the last left out."""
    shares = [narrow] * 7 + [wide] * 5
    return {f"features.conv{i}": share for i, share in enumerate(shares)}


def resnet20_ratios(stem: float, stream: float, mid: float) -> Ratios:
    """Return ratios of the stem, of the streams of stages 1 and 2, and of the blocks' mids.

    The mid of the first block has the ratio of its stream; the stream of stage 3 stays whole.
    """
    mids = {
        f"features.stage{stage}_{block}.conv1": stream if (stage, block) == (1, 0) else mid
        for stage in (1, 2, 3)
        for block in range(3)
    }
    streams = {f"features.stage{stage}_0.conv2": stream for stage in (1, 2)}
    return {"features.conv0": stem, **mids, **streams}


def vggsnn_ratios(first: float, rest: float) -> Ratios:
    """Return ratios of the first three layers and of the others, the last left out."""
    return {f"features.conv{i}": first if i < 3 else rest for i in range(7)}


RATIOS: Mapping[str, Ratios] = {
    "vgg16 CIFAR-10": vgg16_ratios(0.45, 0.51),
    "vgg16 CIFAR-10 small": vgg16_ratios(0.49, 0.80),
    "vgg16 CIFAR-100": vgg16_ratios(0.45, 0.70),
    "vgg16 CIFAR-100 small": vgg16_ratios(0.45, 0.78),
    "vgg16 TinyImageNet": vgg16_ratios(0.45, 0.51),
    "vgg16 TinyImageNet small": vgg16_ratios(0.45, 0.62),
    "resnet20": resnet20_ratios(0.1, 0.3, 0.6),
    "resnet20 small": resnet20_ratios(0.1, 0.35, 0.75),
    "vggsnn": vggsnn_ratios(0.5, 0.7),
    "vggsnn small": vggsnn_ratios(0.5, 0.8),
    "vggsnn smallest": vggsnn_ratios(0.82, 0.93),
}
"""By network and data set; ResNet-20 has the same for CIFAR-10 and CIFAR-100."""
