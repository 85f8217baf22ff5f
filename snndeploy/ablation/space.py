"""The space of a study: points (what is varied) and trials (a point with a seed)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from snndeploy.ablation.study import FLOAT, UNPRUNED, Bits, Space

FACTORS = ("bits", "gamma", "grid", "criterion", "ratio", "target")
"""What a point is made of, in the order of reports."""
NOT_USED = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One way to compress a model.

    Attributes:
        gamma: empty where nothing is quantized in training, and so is `grid`.
        ratio: 0 where nothing is pruned.
    """

    bits: Bits
    gamma: str
    grid: str
    criterion: str
    ratio: float
    target: str

    def label(self) -> str:
        """Return the point in a few words."""
        bits = FLOAT if self.bits == FLOAT else f"{self.bits} bit {self.gamma} {self.grid}"
        pruned = "" if self.criterion == UNPRUNED else f", {self.criterion} {self.ratio:.0%}"
        return f"{bits}{pruned} on {self.target}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A point, a seed, and the key that its record has in the store."""

    point: Point
    seed: int
    key: str

    def label(self) -> str:
        """Return the trial in a few words."""
        return f"{self.point.label()}, seed {self.seed}"


def point_of(levels: Mapping[str, Any]) -> Point:
    """Return the point of some levels; levels that change nothing are put aside.

    Without quantization there is neither clip point nor grid, without a criterion no ratio, so that
    what is the same network is one point.
    """
    is_float, is_whole = levels["bits"] == FLOAT, levels["criterion"] == UNPRUNED
    return Point(
        bits=levels["bits"],
        gamma=NOT_USED if is_float else levels["gamma"],
        grid=NOT_USED if is_float else levels["grid"],
        criterion=levels["criterion"],
        ratio=0.0 if is_whole else float(levels["ratio"]),
        target=levels["target"],
    )


def points_of(space: Space) -> tuple[Point, ...]:
    """Return all points of a space, each once, in the order of its levels."""
    levels = asdict(space)
    found = (
        point_of(dict(zip(FACTORS, chosen, strict=True)))
        for chosen in product(*(levels[factor] for factor in FACTORS))
    )
    return tuple(dict.fromkeys(found))
