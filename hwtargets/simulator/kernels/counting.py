"""Counting spikes per class of neurons."""

import numpy as np
from numba import njit

from hwtargets.simulator.kernels.bits import count_positions, list_bits, n_bits
from snndeploy.ir.arrays import AnyArray

TOGETHER = 8
"""Frames whose spikes are counted together, so that what is known of a group is at hand."""
FEW = 6
"""Words of a group below which every spike is looked up by itself."""
BYTE = 255
"""Words whose bits are counted in bytes."""


@njit(nogil=True, cache=True)
def has_bits(bits: AnyArray, found: AnyArray) -> None:  # pragma: no cover
    """Set found [windows] to whether any bit is set in bits [windows, words]."""
    for window in range(bits.shape[0]):
        found[window] = False
        for word in bits[window]:
            if word:
                found[window] = True
                break


@njit(nogil=True, cache=True)
def tally_groups(
    bits: AnyArray, starts: AnyArray, words: AnyArray, labels: AnyArray, alike: AnyArray,
    total: AnyArray,
) -> None:  # pragma: no cover  # fmt: skip
    """Add the spikes of every class to total [frames, classes], int64.

    Args:
        bits: uint64 [frames, words].
        starts, words, labels, alike: see `labels.Groups`.
    """
    found, counts = np.empty(128, dtype=np.uint32), np.empty(64, dtype=np.int32)
    n_frames = bits.shape[0]
    for earliest in range(0, n_frames, TOGETHER):
        for group in range(len(alike)):
            mine, one, of = words[starts[group] : starts[group + 1]], alike[group], labels[group]
            for frame in range(earliest, min(earliest + TOGETHER, n_frames)):
                row, sums = bits[frame], total[frame]
                if one >= 0:
                    for word in mine:
                        sums[one] += n_bits(row[word])
                elif len(mine) < FEW:
                    add_listed(row, mine, of, found, sums)
                else:
                    add_positions(row, mine, of, counts, sums)


@njit(nogil=True, cache=True)
def add_listed(
    row: AnyArray, words: AnyArray, of: AnyArray, found: AnyArray, sums: AnyArray
) -> None:  # pragma: no cover
    """Add the spikes of some words to the sums of their classes, one by one."""
    for word in words:
        n = list_bits(row[word], np.uint32(0), found, 0)
        for i in range(n):
            sums[of[found[i]]] += 1


@njit(nogil=True, cache=True)
def add_positions(
    row: AnyArray, words: AnyArray, of: AnyArray, counts: AnyArray, sums: AnyArray
) -> None:  # pragma: no cover
    """Add the spikes of some words to the sums of their classes, bit by bit of all words."""
    counts[:] = 0
    for k in range(0, len(words), BYTE):
        count_positions(row, words, k, min(k + BYTE, len(words)), counts)
    for bit in range(64):
        if counts[bit]:
            sums[of[bit]] += counts[bit]


@njit(nogil=True, cache=True)
def find_touched(
    active: AnyArray, indptr: AnyArray, indices: AnyArray, reached: AnyArray
) -> None:  # pragma: no cover
    """Set reached [words, targets] to the frames in which any listed source is active.

    A target's sources are looked at until there is nothing to add: soon, where many are active.

    Args:
        active: uint64 [words, sources], a bit per frame.
        indptr, indices: targets' sources, row by row.
        reached: uint64, filled.
    """
    for word in range(active.shape[0]):
        flags, every = active[word], np.uint64(0)
        for flag in flags:
            every |= flag
        for target in range(len(indptr) - 1):
            found = np.uint64(0)
            for k in range(indptr[target], indptr[target + 1]):
                found |= flags[indices[k]]
                if found == every:
                    break
            reached[word, target] = found
