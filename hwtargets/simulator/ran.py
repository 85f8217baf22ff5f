"""What a population did in some windows, whichever kernel ran it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.ir.arrays import AnyArray, BoolArray


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Ran:
    """Spikes, states and overflows of a population.

    Attributes:
        spikes: what was sent [n_windows, P, n]: float32 0 and 1, or int64 payloads.
        states: states after each step by name, integers [n_windows, P, n], if they were asked for.
        overflows: cells in which a word left its range, by what happened to it.
    """

    spikes: AnyArray
    states: Mapping[str, AnyArray]
    overflows: Mapping[str, int]


def count(cells: AnyArray, live: BoolArray | None, shape: tuple[int, ...]) -> int:
    """Return how many cells of an array that broadcasts to `shape` are set among the live ones."""
    everywhere = np.broadcast_to(cells, shape)
    return int(np.count_nonzero(everywhere if live is None else everywhere & live))
