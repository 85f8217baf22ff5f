"""Numbers of a population's units, the real values of one weight step: pure functions.

A unit is the real value of weight 1 (before the exponent); the threshold in state units follows
from it, or it from the threshold (`snndeploy.passes.program`). There is one per population, [1], or
one per row of the weights (target channel or neuron), [rows].
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


def by_row(values: FloatArray, weight: FloatArray | IntArray) -> FloatArray:
    """Return values [1] or [rows] in a shape that multiplies the rows of the weights."""
    shaped: FloatArray = values.reshape(-1, *[1] * (weight.ndim - 1))
    return shaped


def round_weights(weight: FloatArray, unit: FloatArray, bits: int) -> Rounded:
    """Round real weights to stored ones so that a row's errors cancel; -256 is never used.

    Every weight goes to one of its two neighbours on the grid. What feeds a neuron is never
    negative and lasts, so an error that all weights of a row share adds up from spike to spike,
    while errors that cancel stay noise: the sum of a row is kept to half a step.
    """
    mode = sign_mode_of(weight)
    step = weight_step(bits, mode)
    low, high = (end // step for end in weight_range(bits, mode))
    low = max(low, -high) if mode == "mixed" else low
    ideal = weight / by_row(unit, weight) / step
    kept = _keep_sums(np.clip(ideal, low, high))
    return Rounded(
        weight=kept.astype(np.int64) * step,
        sign_mode=mode,
        clipped=int(np.count_nonzero((np.rint(ideal) < low) | (np.rint(ideal) > high))),
        rounded=int(np.count_nonzero(np.abs(ideal - kept) > GRID_TOLERANCE)),
    )


def _keep_sums(ideal: FloatArray) -> FloatArray:
    """Round down, then up again where the largest fractions are, until each row has its sum."""
    rows = ideal.reshape(len(ideal), -1) if ideal.size else ideal.reshape(0, 1)
    nearest = np.rint(rows)
    lies_there = np.abs(rows - nearest) <= 2 * GRID_TOLERANCE
    down = np.where(lies_there, nearest, np.floor(rows))
    fraction = np.where(lies_there, 0.0, rows - down)
    order = np.argsort(-fraction, axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    up = rank < np.rint(fraction.sum(axis=1, keepdims=True))
    kept: FloatArray = (down + up).reshape(ideal.shape)
    return kept


def best_units(weight: FloatArray, bits: int, rows: int) -> FloatArray:
    """Return per row [rows] the unit of least squared weight error among the clip candidates."""
    if not weight.any():
        return np.ones(rows)
    flat = weight.reshape(rows, -1)
    largest = np.abs(flat).max(axis=1)
    largest[largest == 0] = largest.max()
    mode = sign_mode_of(weight)
    step = weight_step(bits, mode)
    units = CLIP_CANDIDATES[:, None] * largest / (255 // step * step)
    errors = [
        np.sum((flat - u[:, None] * round_weights(flat, u, bits).weight) ** 2, axis=1)
        for u in units
    ]
    return np.asarray(units[np.argmin(errors, axis=0), np.arange(rows)])


def encode_bias(
    bias: FloatArray, unit: FloatArray, numerics: Numerics
) -> tuple[IntArray, IntArray] | None:
    """Return mantissas [n] and exponents, [1] or [n] like the units, None if they do not fit.

    The smallest exponent that holds a bias is used: least rounding.
    """
    state = bias / unit * STATE
    exponents = np.zeros(len(state), dtype=np.int64)
    for exponent in range(numerics.bias_exp_max + 1):
        exponents += np.abs(np.rint(state / (1 << exponent))) > bias_limit(numerics)
    if len(unit) == 1:
        exponents = exponents.max(keepdims=True, initial=0)
    if exponents.max(initial=0) > numerics.bias_exp_max:
        return None
    return np.rint(state / (1 << exponents)).astype(np.int64), exponents


def bias_limit(numerics: Numerics) -> int:
    """Return the largest bias mantissa."""
    return (1 << (numerics.bias_mant_bits - 1)) - 1


def units_for_bias(bias: FloatArray, rows: int, numerics: Numerics) -> FloatArray:
    """Return per row [rows] the smallest unit at which all its biases can be encoded."""
    largest = np.abs(bias).reshape(rows, -1).max(axis=1)
    return np.asarray(largest * STATE / (bias_limit(numerics) << numerics.bias_exp_max))


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
            most = min(most, top / float(values[-1]) * (1 + GRID_TOLERANCE))
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
