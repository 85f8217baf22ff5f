"""Time of every chip step of a run, and what decided it."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.quantity import Grade

Level = Literal["bound", "queue", "flit"]
LEVELS: tuple[Level, ...] = get_args(Level)
Bottleneck = Literal["memory", "compute", "traffic"]
BOTTLENECKS: tuple[Bottleneck, ...] = get_args(Bottleneck)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Timing:
    """Time of every chip step [s], what decided it, and which numbers it lacks.

    Attributes:
        level: `bound`: the most that any core or link has to do; `queue`: messages wait in FIFOs;
            `flit`: a mesh cycle by cycle.
        step_s: [n_chip_steps], barrier included.
        critical_core: core number per chip step.
        critical_link: the link with the most messages per chip step, index into `links`; -1 where
            no message left its tile.
        bottleneck: index into `BOTTLENECKS` per chip step: synapses read, neurons updated, or
            messages and links.
        core_s: [n_cores, n_chip_steps] when a core is done; at `bound`, how long it is busy.
        links: names of the directed links, `(x,y)>(x,y)` in tiles.
        link_s: [n_links, n_chip_steps] how long a link is busy; zeros if `missing` has `links`.
        barrier_s: synchronisation per step.
        cycle_s: a cycle; None where the chip states none.
        cycle_kind: `clock`, or `reference` for a chip without one.
        missing: latencies of events that happened which the chip does not state: what they stand
            for is not in the time.
        grade: weakest grade of a latency used.
    """

    level: Level
    step_s: FloatArray
    critical_core: IntArray
    critical_link: IntArray
    bottleneck: IntArray
    core_s: FloatArray
    links: tuple[str, ...]
    link_s: FloatArray
    barrier_s: float
    cycle_s: float | None
    cycle_kind: str
    missing: tuple[str, ...]
    grade: Grade

    @property
    def total_s(self) -> float:
        """Time of all chip steps [s]."""
        return float(self.step_s.sum())

    @property
    def core_cycles(self) -> IntArray | None:
        """Cycles per core and chip step, begun ones counted [n_cores, n_chip_steps]."""
        if self.cycle_s is None:
            return None
        cycles: IntArray = np.ceil(self.core_s / self.cycle_s - 1e-9).astype(np.int64)
        return cycles
