"""What one factor does: means per level over all else that was varied, with seeds as repetitions.

Only cells count (settings of the other factors, and a seed) in which every level was measured;
levels are then compared on the same networks, seeds and data, and a missing trial cannot tilt them.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from snndeploy.ablation.measures import Measures
from snndeploy.ablation.space import FACTORS, NOT_USED, Point
from snndeploy.ablation.statistics import Mean, mean_of
from snndeploy.ablation.study import UNPRUNED

Done = Mapping[tuple[Point, int], Measures]
Cell = tuple[tuple[Any, ...], int]
"""Levels of the other factors, and the seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelMean:
    """Means of one level over the cells that all levels of the factor share."""

    level: str
    accuracy: Mean
    energy: Mean


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """One factor: the mean of every level; `n_cells` settings of the others per level and seed."""

    factor: str
    levels: tuple[LevelMean, ...]
    n_cells: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """The accuracy of one level less that of another, seed by seed on the same cells."""

    factor: str
    level: str
    other: str
    difference: Mean
    n_cells: int


def effects_of(done: Done) -> tuple[Effect, ...]:
    """Return the effect of every factor that has two levels or more in common cells."""
    found = []
    for factor in FACTORS:
        accuracy = _shared_cells(done, factor, lambda m: m.accuracy)
        energy = _shared_cells(done, factor, lambda m: m.energy_j[1])
        levels = tuple(
            LevelMean(
                level=str(level),
                accuracy=_over_seeds(accuracy[level]),
                energy=_over_seeds(energy[level]),
            )
            for level in accuracy
        )
        if len(levels) > 1:
            found.append(Effect(factor=factor, levels=levels, n_cells=_per_seed(accuracy)))
    return tuple(found)


def contrasts_of(done: Done) -> tuple[Contrast, ...]:
    """Return the difference in accuracy of every two levels of every factor."""
    found = []
    for factor in FACTORS:
        table = _shared_cells(done, factor, lambda m: m.accuracy)
        for (level, own), (other, others) in combinations(table.items(), 2):
            found.append(
                Contrast(
                    factor=factor,
                    level=str(level),
                    other=str(other),
                    difference=_over_seeds({cell: own[cell] - others[cell] for cell in own}),
                    n_cells=_per_seed(table),
                )
            )
    return tuple(found)


def _shared_cells(
    done: Done, factor: str, read: Callable[[Measures], float]
) -> dict[Any, dict[Cell, float]]:
    """Return what every level reached in the cells that all levels have; empty without any.

    What is no level of a factor takes no part: `none` prunes nothing, so it has no ratio to share
    with criteria; float weights have no clip point.
    """
    table: dict[Any, dict[Cell, list[float]]] = {}
    for (point, seed), measures in done.items():
        levels = asdict(point)
        level = levels.pop(factor)
        if level not in (NOT_USED, 0.0, UNPRUNED):
            cells = table.setdefault(level, {})
            cells.setdefault(_cell(factor, levels, seed), []).append(read(measures))
    shared = set.intersection(*(set(cells) for cells in table.values())) if table else set()
    return {
        level: {cell: sum(own) / len(own) for cell, own in cells.items() if cell in shared}
        for level, cells in table.items()
        if shared
    }


def _cell(factor: str, levels: Mapping[str, Any], seed: int) -> Cell:
    """Return the cell of a trial; bits are compared over whatever clip points and grids they had.

    Float weights have neither, so that else no cell would be shared with them.
    """
    put_aside = ("gamma", "grid") if factor == "bits" else ()
    return tuple((k, v) for k, v in levels.items() if k not in put_aside), seed


def _over_seeds(values: Mapping[Cell, float]) -> Mean:
    """Return the mean over seeds of each seed's mean over its cells."""
    by_seed: dict[int, list[float]] = {}
    for (_, seed), value in values.items():
        by_seed.setdefault(seed, []).append(value)
    return mean_of([sum(found) / len(found) for found in by_seed.values()])


def _per_seed(table: Mapping[Any, Mapping[Cell, float]]) -> int:
    """Return the largest number of cells that a seed has."""
    seeds = [seed for _, seed in next(iter(table.values()))]
    return max(map(seeds.count, seeds))
