"""Listed synapses: every spike adds its row of weights to the targets it lists.

What decides the speed is memory, not arithmetic: a synapse is one 32-bit word, the rows of the
spikes to come are fetched ahead, and sums are 16 bits wide where they fit, for the first cache.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from hwtargets.simulator.kernels.arguments import Frames, Lists
from hwtargets.simulator.kernels.rows import prefetch, scatter_row
from snndeploy.ir.arrays import AnyArray

AHEAD = 4
"""Rows of so many spikes are on their way at a time."""
LINE = 16
"""Synapses in a cache line."""
FEW = 8
"""Where so many times fewer synapses than targets bring something, sums of all cost more."""


class Scatter(NamedTuple):
    """A projection by source neuron.

    Attributes:
        rows: int64 [n_in + 1]: neuron i feeds synapses rows[i] .. rows[i + 1].
        synapses: uint32 [nnz]: 256 * place of the target + weight modulo 256, weight in int8.
            Places are those among the target's pixels x padded channels.
        sums: [places], scratch: int16 if every sum of a step fits, else int32.
        scaling: (scale, left, right): a sum s becomes ((s * scale) << left) >> right.
        lag: steps between a spike and its arrival.
    """

    rows: AnyArray
    synapses: AnyArray
    sums: AnyArray
    scaling: tuple[int, int, int]
    lag: int


@njit(nogil=True, cache=True)
def deliver_listed(
    scatter: Scatter, lists: Lists, frames: Frames, arrived: AnyArray
) -> None:  # pragma: no cover
    """Add what arrives in some steps to `arrived`, int32, flat [windows, steps, places].

    Items are windows.
    """
    n = len(scatter.sums)
    scale, left, right = scatter.scaling
    factor = np.int32(scale << left)
    for window in range(frames.items[0], frames.items[1]):
        live, end = frames.live[window]
        for k in range(max(live, frames.first, scatter.lag), min(end, frames.stop)):
            frame = window * lists.per_window + k - scatter.lag - lists.first
            events = lists.events[lists.starts[0, frame] : lists.starts[1, frame]]
            here = (window * frames.steps + k) * n
            if not right and n_synapses(scatter.rows, events) < n // FEW:
                add_one_by_one(scatter, events, factor, arrived[here : here + n])
                continue
            scatter.sums[:] = 0
            add_rows(scatter, events)
            if right:
                for j in range(n):
                    arrived[here + j] += ((scatter.sums[j] * scale) << left) >> right
            else:
                for j in range(n):
                    arrived[here + j] += np.int32(scatter.sums[j] * factor)


@njit(nogil=True, cache=True)
def n_synapses(rows: AnyArray, events: AnyArray) -> int:  # pragma: no cover
    """Return how many synapses some neurons have."""
    n = 0
    for event in events:
        n += rows[event + 1] - rows[event]
    return n


@njit(nogil=True, cache=True)
def add_one_by_one(
    scatter: Scatter, events: AnyArray, factor: int, arrived: AnyArray
) -> None:  # pragma: no cover
    """Add the synapses of some neurons, times a factor, to what arrives [places]."""
    for event in events:
        for synapse in scatter.synapses[scatter.rows[event] : scatter.rows[event + 1]]:
            arrived[synapse >> 8] += np.int32(np.int8(synapse & 255)) * factor


@njit(nogil=True, cache=True)
def add_rows(scatter: Scatter, events: AnyArray) -> None:  # pragma: no cover
    """Add the synapses of some neurons to the sums."""
    rows, synapses = scatter.rows, scatter.synapses
    for i in range(len(events)):
        soon = events[min(i + AHEAD, len(events) - 1)]
        for j in range(rows[soon], rows[soon + 1], LINE):
            prefetch(synapses, j)
        scatter_row(synapses, rows[events[i]], rows[events[i] + 1], scatter.sums)
