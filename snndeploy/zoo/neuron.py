"""The neuron of QP-SNN.

    u[t] = u[t-1] / 2 + x[t]
    s[t] = 1 if u[t] > 1 else 0
    u[t] = 0 where s[t] is 1

Its slope is a triangle around the threshold, ds/du = max(1 - |u - 1|, 0), and gradients flow
through the reset too. The paper prints u >= 1, its code compares strictly; this is the code.

Source: QP-SNN (ICLR 2025, arXiv 2502.05905), equations 1 to 3, and the code published beside it.
"""

from typing import Any

import torch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor


class Triangle(surrogate.SurrogateFunctionBase):  # type: ignore[misc]  # spikingjelly has no types
    """Fire above zero, strictly; the slope is a triangle of height and half width 1."""

    @staticmethod
    def spiking_function(x: Tensor) -> Tensor:
        """Return 1 where x > 0, else 0."""
        spikes: Tensor = _Step.apply(x)  # type: ignore[no-untyped-call]
        return spikes


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0).to(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * torch.clamp(1 - x.abs(), min=0)


def lif() -> Any:
    """Return a layer of the paper's neurons, for [T, B, …]."""
    return neuron.LIFNode(
        tau=2.0,
        decay_input=False,
        v_threshold=1.0,
        v_reset=0.0,
        surrogate_function=Triangle(),
        detach_reset=False,
        step_mode="m",
    )
