"""The grids on which Loihi stores weights."""

import numpy as np

from snndeploy.ir.arrays import IntArray
from snndeploy.ir.synapses import SignMode


def weight_step(bits: int, sign_mode: SignMode) -> int:
    """Return the distance between neighbouring weights: 2^(8 - bits), doubled for mixed signs."""
    return 1 << (8 - bits + (sign_mode == "mixed"))


def weight_range(bits: int, sign_mode: SignMode) -> tuple[int, int]:
    """Return the smallest and largest weight on the grid."""
    step = weight_step(bits, sign_mode)
    largest = 255 // step * step
    return {"mixed": (-256, largest), "excitatory": (0, largest), "inhibitory": (-largest, 0)}[
        sign_mode
    ]


def stored_weight(weight: IntArray, bits: int, sign_mode: SignMode) -> IntArray:
    """Return what the chip keeps of a weight: clipped, then its low bits cleared.

    Mixed and excitatory weights are floored to the grid, inhibitory ones truncated toward zero.
    Source: lava-nc 0.10.0, lava/utils/weightutils.py, truncate_weights.
    """
    step = weight_step(bits, sign_mode)
    if sign_mode == "inhibitory":
        return -(np.clip(-weight, 0, 255) // step * step)
    low = -256 if sign_mode == "mixed" else 0
    return np.asarray(np.clip(weight, low, 255) // step * step)


def natural_sign_mode(weight: IntArray) -> SignMode:
    """Return the sign mode with the finest grid that can hold these weights' signs."""
    if weight.min(initial=0) >= 0:
        return "excitatory"
    return "inhibitory" if weight.max(initial=0) <= 0 else "mixed"
