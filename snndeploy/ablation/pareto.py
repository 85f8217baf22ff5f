"""The Pareto front: what no other point beats in everything, and its knee."""

from collections.abc import Sequence
from math import sqrt

Cost = tuple[float, ...]
"""One number per objective, the less the better."""


def front_of(costs: Sequence[Cost]) -> tuple[int, ...]:
    """Return the places of the points that no other point dominates, in their order."""
    return tuple(
        i for i, own in enumerate(costs) if not any(dominates(other, own) for other in costs)
    )


def dominates(one: Cost, other: Cost) -> bool:
    """Return whether one point is nowhere worse than the other, and somewhere better."""
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def knee_of(costs: Sequence[Cost], front: Sequence[int]) -> int | None:
    """Return the place of the knee; None if the front has fewer than three points.

    The knee is the point of the front that is nearest to the ideal one, the best of every
    objective, when every objective is scaled from 0 (best on the front) to 1 (worst on it).
    """
    if len(front) < 3:
        return None
    columns = list(zip(*(costs[i] for i in front), strict=True))
    low, span = [min(c) for c in columns], [(max(c) - min(c)) or 1.0 for c in columns]

    def distance(i: int) -> float:
        scaled = ((value - a) / b for value, a, b in zip(costs[i], low, span, strict=True))
        return sqrt(sum(value * value for value in scaled))

    return min(front, key=distance)
