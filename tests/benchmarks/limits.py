"""What the processor allows, measured in the same rounds as what is compared with it.

An operation adds the weight of one synapse, an update takes one step of one neuron; both in the
kernels' own loops, on data that lies in the first cache. A listed synapse is read, added to the sum
of its target and stored: one store each.
"""

import time

import numpy as np
from numba import njit

from hwtargets.simulator.kernels.neuron import update_lif
from hwtargets.simulator.kernels.rows import add_rows, scatter_row
from hwtargets.simulator.kernels.weights import aligned

BLOCK = 64


@njit(nogil=True, cache=True)
def add_many(lanes, rows, n, weights, sums):
    for _ in range(n):
        add_rows(lanes, rows, 0, len(rows), weights, 0, sums, 0, 0)


@njit(nogil=True, cache=True)
def update_many(lanes, n, a, u, v, threshold, bias, sent):
    for _ in range(n):
        update_lif(
            lanes, (0, 0, 0), a, 0, 0, (1, 0, 0, 0), (3000, 3686), u, v, 0, threshold, bias, 0,
            sent, 0,
        )  # fmt: skip


@njit(nogil=True, cache=True)
def scatter_many(n, synapses, sums):
    for _ in range(n):
        scatter_row(synapses, 0, len(synapses), sums)


class Limit:
    """Seconds per operation, update and listed synapse."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.rows = rng.integers(0, 256, 4096).astype(np.uint32)
        self.weights = aligned(256 * BLOCK // 2, np.int16)
        self.weights[:] = rng.integers(-9000, 9000, len(self.weights))
        self.arrays = [aligned(BLOCK, np.int32) for _ in range(5)]
        self.arrays[3][:] = 1 << 20
        self.sent = np.zeros(4, dtype=np.uint16)
        places = np.sort(rng.choice(4096, 200, replace=False))
        self.synapses = (places * 256 + rng.integers(0, 256, 200)).astype(np.uint32)
        self.sums = np.zeros(4096, dtype=np.int16)
        self.measure()

    def measure(self):
        """Return the three, measured once more."""
        times = [time.process_time()]
        for run in (
            lambda: add_many((0, 0), self.rows, 4_000, self.weights, self.arrays[0]),
            lambda: update_many((0, 0), 500_000, *self.arrays, self.sent),
            lambda: scatter_many(50_000, self.synapses, self.sums),
        ):
            run()
            times.append(time.process_time())
        counts = 4_000 * 4096 * BLOCK, 500_000 * BLOCK, 50_000 * len(self.synapses)
        return tuple(np.diff(times) / counts)

    def floor(self, workload, operations):
        """Return the seconds that a workload's operations and updates alone would take now."""
        operation, update, listed = self.measure()
        each = operation if workload.layers else listed
        return operations * each + workload.updates * update
