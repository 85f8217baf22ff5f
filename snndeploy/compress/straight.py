"""Integers that gradients pass straight through.

Forward returns the integer itself: `x + (q - x).detach()` is q only up to rounding. Backward takes
a slope in the place of the derivative of rounding, which is zero or undefined.

Source: Bengio, Léonard and Courville, arXiv 1308.3432.
"""

from typing import Any

import torch
from torch import Tensor


def straight(real: Tensor, integers: Tensor, slope: Tensor) -> Tensor:
    """Return integers whose gradient goes to `real`, times a slope that broadcasts to it.

    Args:
        real: what was rounded.
        integers: what it was rounded to, of the same shape.
        slope: of the integers in the real values.
    """
    passed: Tensor = _Straight.apply(real, integers, slope)  # type: ignore[no-untyped-call]
    return passed


def truncate(x: Tensor) -> Tensor:
    """Return x rounded toward zero, with a slope of 1."""
    cut: Tensor = _Truncate.apply(x)  # type: ignore[no-untyped-call]
    return cut


class _Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, real: Tensor, integers: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        ctx.real = real.dtype
        return integers.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return gradient.to(ctx.real) * slope, None, None


class _Truncate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004 - torch's seam
        return torch.trunc(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004
        return gradient
