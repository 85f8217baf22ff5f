"""The bound: a chip step takes as long as the busiest core or link, then everybody synchronises.

The greatest of sums that are linear in the counts. Nothing waits for anything, so no step of a
chip with these latencies is shorter; the other levels add what waiting costs.
"""

import numpy as np

from hwtargets.simulator.costs import Costs
from snndeploy.ir.arrays import FloatArray


def bound_core_s(costs: Costs) -> FloatArray:
    """Return how long the busier side of each core works [n_rows, n_chip_steps] s."""
    return np.maximum(costs.taking, costs.making)


def bound_step_s(core_s: FloatArray, link_s: FloatArray) -> FloatArray:
    """Return the time of every chip step before its barrier [n_chip_steps] s."""
    longest: FloatArray = np.maximum(core_s.max(axis=0), link_s.max(axis=0, initial=0.0))
    return longest
