"""Means over seeds and their intervals: Student's t, which few seeds need."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin, sqrt, tan

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class Mean:
    """A mean over seeds.

    Attributes:
        half: half the width of the 95 % interval of Student's t; None for a single seed.
        n: seeds.
    """

    value: float
    half: float | None
    n: int


def mean_of(values: Sequence[float]) -> Mean:
    """Return the mean of one value per seed, with its interval."""
    n = len(values)
    value = sum(values) / n
    if n < 2:
        return Mean(value=value, half=None, n=n)
    variance = sum((x - value) ** 2 for x in values) / (n - 1)
    return Mean(value=value, half=student_t(n - 1) * sqrt(variance / n), n=n)


def student_t(freedom: int, confidence: float = CONFIDENCE) -> float:
    """Return t with P(-t < T < t) = confidence for some degrees of freedom, by bisection.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    low, high = 0.0, pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        if _inside(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return tan(low) * sqrt(freedom)


def _inside(theta: float, freedom: int) -> float:
    """Return P(-t < T < t) at t = tan(theta) sqrt(freedom): a finite sum of powers of cos."""
    is_odd = freedom % 2
    term = cos(theta) if is_odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(3 if is_odd else 2, freedom - 1, 2):
        term *= cos(theta) ** 2 * (k - 1) / k
        total += term
    if is_odd:
        return 2 / pi * (theta + sin(theta) * total)
    return sin(theta) * total
