"""Spikes as the interpreter decides them, with a slope that gradients can follow.

Forward is exact: a comparison, or an integer part. Backward replaces the derivative of the step,
which is zero or undefined, by that of (1/pi) arctan(pi x) + 1/2.

Source: Neftci, Mostafa and Zenke, "Surrogate Gradient Learning in Spiking Neural Networks", IEEE
Signal Processing Magazine 2019; the arctan: Fang et al., "Incorporating Learnable Membrane Time
Constant", ICCV 2021, with alpha = 2; the straight-through integer part: Bengio, Léonard and
Courville, arXiv 1308.3432.
"""

from math import pi
from typing import Any

import torch
from torch import Tensor


def fire(v: Tensor, threshold: Tensor, unit: Tensor, *, strict: bool) -> Tensor:
    """Return 1 where v > threshold (v >= threshold if not strict), else 0.

    Args:
        v: potentials [B, *shape].
        threshold: [*shape] or [1].
        unit: distance from the threshold at which the slope has fallen to 1 / (1 + pi^2) of its
            peak; positive, [*shape] or [1].
        strict: whether a tie stays silent.
    """
    spikes: Tensor = _Fire.apply(v, threshold, unit, strict)  # type: ignore[no-untyped-call]
    return spikes


def count(v: Tensor, threshold: Tensor) -> Tensor:
    """Return max(trunc(v / threshold), 0): several spikes per step.

    The gradient is that of max(v / threshold, 0).
    """
    spikes: Tensor = _Count.apply(v, threshold)  # type: ignore[no-untyped-call]
    return spikes


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, threshold: Tensor, unit: Tensor, strict: bool) -> Tensor:  # noqa: FBT001 - torch's seam
        ctx.save_for_backward(v, threshold, unit)
        return (v > threshold if strict else v >= threshold).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        v, threshold, unit = ctx.saved_tensors
        distance = (v - threshold) / unit
        return gradient / ((1 + (pi * distance) ** 2) * unit), None, None, None


class _Count(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, threshold: Tensor) -> Tensor:
        ratio = v / threshold
        ctx.save_for_backward(ratio, threshold)
        return torch.clamp(torch.trunc(ratio), min=0.0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        ratio, threshold = ctx.saved_tensors
        return gradient * (ratio > 0) / threshold, None
