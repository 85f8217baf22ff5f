"""What an executor recorded of one population, in model time."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from snndeploy.ir.arrays import IntArray


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PopulationTrace:
    """Spikes [P, B, n] and, where recorded, states [P, B, n] by name (after the step's reset).

    Entry [k, b] is chip step b * P + w + k of the population with wave offset w.
    """

    spikes: IntArray
    states: Mapping[str, IntArray] = field(default_factory=dict)
