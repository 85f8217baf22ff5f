"""Numbers of a population's unit, the real value of one weight step: pure functions.

`unit` is the real value of weight 1 (before the exponent); the threshold in state units follows
from it, or it from the threshold (`snndeploy.passes.program`).
"""

from dataclasses import dataclass
from math import gcd

import numpy as np

from snndeploy.ir.arrays import BoolArray, FloatArray, IntArray
from snndeploy.ir.grid import natural_sign_mode, weight_range, weight_step
from snndeploy.ir.neurons import ACT_SHIFT
from snndeploy.ir.synapses import SignMode
from snndeploy.target import Numerics

STATE = 1 << ACT_SHIFT
CLIP_CANDIDATES = np.linspace(1.0, 0.4, 13)
"""Fractions of the largest weight that are tried as the clip point; the one of least error wins."""
GRID_TOLERANCE = 1e-5
"""A float32 weight this close (in steps) to a grid point lies on it."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Rounded:
    """Integer weights and how they were made."""

    weight: IntArray
    sign_mode: SignMode
    clipped: int
    rounded: int


def sign_mode_of(weight: FloatArray) -> SignMode:
    """Return the sign mode of real weights."""
    return natural_sign_mode(np.sign(weight).astype(np.int64))


def round_weights(weight: FloatArray, unit: float, bits: int) -> Rounded:
    """Round real weights to the nearest stored weight; symmetric, so -256 is never used."""
    mode = sign_mode_of(weight)
    step = weight_step(bits, mode)
    low, high = weight_range(bits, mode)
    low = max(low, -high) if mode == "mixed" else low
    ideal = weight / unit
    nearest = np.rint(ideal / step) * step
    integers = np.clip(nearest, low, high)
    return Rounded(
        weight=integers.astype(np.int64),
        sign_mode=mode,
        clipped=int(np.count_nonzero(integers != nearest)),
        rounded=int(np.count_nonzero(np.abs(ideal - integers) > GRID_TOLERANCE * step)),
    )


def best_unit(weight: FloatArray, bits: int) -> float:
    """Return the unit of least squared weight error among the clip candidates."""
    largest = float(np.abs(weight).max(initial=0.0))
    if largest == 0.0:
        return 1.0
    mode = sign_mode_of(weight)
    top = max(abs(value) for value in weight_range(bits, mode))
    top = min(top, 255 // weight_step(bits, mode) * weight_step(bits, mode))
    units = CLIP_CANDIDATES * largest / top
    errors = [np.sum((weight - u * round_weights(weight, u, bits).weight) ** 2) for u in units]
    return float(units[int(np.argmin(errors))])


def encode_bias(bias: FloatArray, unit: float, numerics: Numerics) -> tuple[IntArray, int] | None:
    """Return mantissas and the common exponent of biases, None if they do not fit.

    The smallest exponent that holds the largest bias is used: least rounding.
    """
    state = bias / unit * STATE
    limit = (1 << (numerics.bias_mant_bits - 1)) - 1
    for exponent in range(numerics.bias_exp_max + 1):
        mant = np.rint(state / (1 << exponent))
        if np.abs(mant).max(initial=0) <= limit:
            return mant.astype(np.int64), exponent
    return None


def grid_unit(
    weights: tuple[FloatArray, ...],
    bias: FloatArray,
    theta: float,
    bits: int,
    numerics: Numerics,
    *,
    spare_bits: list[int],
) -> int | None:
    """Return k such that theta / k is a unit on which every weight and bias lies, else None.

    Trained-on-the-grid models have one; the smallest k is the coarsest such unit. Weights must
    lie on the stored grid, biases on the state grid (1/64 of a unit). `spare_bits` says per array
    how many exponent bits its weights may use.
    """
    most, steps = float(numerics.vth_max), []
    for weight, spare in zip(weights, spare_bits, strict=True):
        values = np.unique(np.abs(weight[weight != 0])) / theta
        if len(values):
            step = weight_step(bits, sign_mode_of(weight))
            top = (255 // step * step) << spare
            most = min(most, top / values[-1] * (1 + GRID_TOLERANCE))
            steps.append(values / step)
    if not steps:
        return None
    candidates = np.arange(1, int(most) + 1, dtype=np.float64)
    biases = np.unique(np.abs(bias)) / theta * STATE
    for value in (*_few_then_all(np.concatenate(steps)), *biases):
        if not len(candidates):
            return None
        candidates = candidates[_on_grid(candidates * value)]
    return int(candidates[0]) if len(candidates) else None


def exact_exponent(ideal: FloatArray, bits: int, most: int) -> int | None:
    """Return the smallest exponent at which weights (in units) are stored exactly, else None."""
    step = weight_step(bits, sign_mode_of(ideal))
    top = 255 // step * step
    for exponent in range(most + 1):
        scaled = np.abs(ideal) / (1 << exponent)
        if scaled.max(initial=0.0) <= top * (1 + GRID_TOLERANCE):
            return exponent if bool(np.all(_on_grid(scaled / step))) else None
    return None


def _few_then_all(values: FloatArray) -> FloatArray:
    """Order values so that those that rule out most come first: small and large ones mixed."""
    order = np.argsort(np.abs(np.arange(len(values)) % 7 - 3), kind="stable")
    return values[order]


def _on_grid(values: FloatArray) -> BoolArray:
    return np.abs(values - np.rint(values)) <= GRID_TOLERANCE * np.maximum(1.0, values / 256)


def trailing_zeros(*arrays: IntArray) -> int:
    """Return how many low bits are zero in every element; 62 if all elements are 0."""
    common = 0
    for array in arrays:
        common = gcd(common, int(np.gcd.reduce(array.reshape(-1), initial=0)))
    return (common & -common).bit_length() - 1 if common else 62


def decay_bits_used(keep: float, decay_bits: int) -> int | None:
    """Return fraction bits that one step of this decay needs, None if the register rounds it.

    keep = m / 2^q in lowest terms needs q: 0 for an integrator or full decay, 1 for a half.
    """
    scaled = keep * (1 << decay_bits)
    nearest = round(scaled)
    if abs(scaled - nearest) > 1e-6:
        return None
    if nearest == 0:
        return 0
    return max(decay_bits - ((nearest & -nearest).bit_length() - 1), 0)
