"""Counting: spikes per class of neurons, windows that see one, steps in which there are any."""

from typing import Any

import numpy as np
from numba import njit

from hwtargets.simulator.kernels.bits import list_bits, n_bits
from snndeploy.ir.arrays import AnyArray
from snndeploy.ir.synapses import Pair

TOGETHER = 8
"""Frames whose spikes are counted together, so that what is known of a group is at hand."""
DIGITS = 8
"""Binary digits of what is counted bit by bit: words at a time are fewer than two to that."""
LISTED = 4
"""Classes per word of a group beyond which every spike is looked up by itself."""


@njit(nogil=True, cache=True)
def has_bits(bits: AnyArray, found: AnyArray) -> None:  # pragma: no cover
    """Clear found [windows] where no bit is set in bits [windows, words]."""
    for window in range(bits.shape[0]):
        if found[window]:
            found[window] = False
            for word in bits[window]:
                if word:
                    found[window] = True
                    break


@njit(nogil=True, cache=True)
def find_live(
    windows: AnyArray, rests: AnyArray, start: int, steps: int, n_chip_steps: int, live: AnyArray
) -> None:  # pragma: no cover
    """Set live [windows, 2] to the steps of each window from and to which it exists; none if rests.

    Args:
        windows: numbers, int64; `rests`: bool, for each.
        start: chip step at which window 0 begins.
    """
    for i in range(len(windows)):
        first = windows[i] * steps + start
        begin = min(max(-first, 0), steps)
        end = begin if rests[i] else max(begin, min(n_chip_steps - first, steps))
        live[i, 0], live[i, 1] = begin, end


@njit(nogil=True, cache=True)
def tally_groups(
    bits: AnyArray, starts: AnyArray, words: AnyArray, labels: AnyArray, firsts: AnyArray,
    classes: AnyArray, masks: AnyArray, total: AnyArray,
) -> None:  # pragma: no cover  # fmt: skip
    """Add the spikes of every class to total [frames, classes].

    No slices are taken in the loops: each would count references, which takes longer than the rest.

    Args:
        bits: uint64 [frames, words].
        starts, words, labels, firsts, classes, masks: see `labels.Groups`.
    """
    found = np.empty(128, dtype=np.uint32)
    n_frames, at_once = bits.shape[0], (1 << DIGITS) - 1
    for earliest in range(0, n_frames, TOGETHER):
        for group in range(len(starts) - 1):
            first, stop = starts[group], starts[group + 1]
            kind, end = firsts[group], firsts[group + 1]
            for frame in range(earliest, min(earliest + TOGETHER, n_frames)):
                if end - kind == 1:
                    n = np.int64(0)
                    for i in range(first, stop):
                        n += n_bits(bits[frame, words[i]])
                    total[frame, classes[kind]] += n
                elif end - kind > LISTED * (stop - first):
                    for i in range(first, stop):
                        n = list_bits(bits[frame, words[i]], np.uint32(0), found, 0)
                        for k in range(n):
                            total[frame, labels[group, found[k]]] += 1
                else:
                    for i in range(first, stop, at_once):
                        digits = add_up(bits, frame, words, i, min(i + at_once, stop))
                        add_classes(digits, classes, masks, kind, end, total, frame)


@njit(nogil=True, cache=True, inline="always")
def full(a: int, b: int, c: int) -> tuple[int, int]:  # pragma: no cover
    """Return the sum of three bits and what is carried, for 64 of each."""
    half = a ^ b
    return half ^ c, (a & b) | (half & c)


@njit(nogil=True, cache=True, inline="always")
def add_up(
    bits: AnyArray, frame: int, words: AnyArray, first: int, stop: int
) -> Any:  # pragma: no cover
    """Return, for each of 64 bits, in how many words it is set: bit i of the k-th is digit k of it.

    Args:
        bits: uint64 [frames, words], of which words[first:stop] count, fewer than two to the
            DIGITS.
    """
    none = np.uint64(0)
    d0 = d1 = d2 = d3 = d4 = d5 = d6 = d7 = none
    whole, i = first + (stop - first) // 8 * 8, first
    while i < stop:
        if i < whole:
            a, twos_a = full(
                bits[frame, words[i]], bits[frame, words[i + 1]], bits[frame, words[i + 2]]
            )
            b, twos_b = full(
                bits[frame, words[i + 3]], bits[frame, words[i + 4]], bits[frame, words[i + 5]]
            )
            c, twos_c = full(bits[frame, words[i + 6]], bits[frame, words[i + 7]], d0)
            d0, twos = full(a, b, c)
            a, fours_a = full(twos_a, twos_b, twos_c)
            d1, fours = full(twos, a, d1)
            d2, carry = full(fours_a, fours, d2)
            i += 8
        else:
            second = bits[frame, words[i + 1]] if i + 1 < stop else none
            d0, carry = full(d0, bits[frame, words[i]], second)
            d1, carry = d1 ^ carry, d1 & carry
            d2, carry = d2 ^ carry, d2 & carry
            i += 2
        if carry:
            d3, carry = d3 ^ carry, d3 & carry
            d4, carry = d4 ^ carry, d4 & carry
            d5, carry = d5 ^ carry, d5 & carry
            d6, carry = d6 ^ carry, d6 & carry
            d7 ^= carry
    return d0, d1, d2, d3, d4, d5, d6, d7


@njit(nogil=True, cache=True, inline="always")
def add_classes(
    digits: Any, classes: AnyArray, masks: AnyArray, first: int, stop: int,
    total: AnyArray, frame: int,
) -> None:  # pragma: no cover  # fmt: skip
    """Add the numbers of the bits of classes first .. stop, as `add_up` has them, to their totals.

    Where spikes are few the higher digits are 0 throughout, and not looked at.
    """
    d0, d1, d2, d3, d4, d5, d6, d7 = digits
    some, many = d2 | d3, d4 | d5 | d6 | d7
    for i in range(first, stop):
        mask = masks[i]
        n = n_bits(d0 & mask) + (n_bits(d1 & mask) << 1)
        if some:
            n += (n_bits(d2 & mask) << 2) + (n_bits(d3 & mask) << 3)
        if many:
            n += (n_bits(d4 & mask) << 4) + (n_bits(d5 & mask) << 5)
            n += (n_bits(d6 & mask) << 6) + (n_bits(d7 & mask) << 7)
        total[frame, classes[i]] += n


@njit(nogil=True, cache=True)
def tally_places(
    rows: AnyArray, first: int, left: int, kernel: Pair, dilation: Pair, stride: int,
    masks: AnyArray, found: AnyArray,
) -> None:  # pragma: no cover  # fmt: skip
    """Add up the windows that see an active pixel.

    Args:
        rows: unsigned [frames, groups, rows]: a bit per pixel of an image.
        first, left: rows above the image and columns to its left.
        kernel, dilation: (rows, columns) of a window; stride: rows between windows.
        masks: uint64 [masks, groups, rows with borders]: windows that count, by the pixel they
            start at.
        found: int64 [masks, frames].
    """
    height, n_rows = masks.shape[2], rows.shape[2]
    stop = height - (kernel[0] - 1) * dilation[0]
    seen, joined = np.zeros(height, dtype=np.uint64), np.empty(stop, dtype=np.uint64)
    for frame in range(rows.shape[0]):
        for group in range(rows.shape[1]):
            image, inside = rows[frame, group], seen[first : first + n_rows]
            inside[:] = 0
            for k in range(kernel[1]):
                back = np.uint64(k * dilation[1])
                for y in range(n_rows):
                    inside[y] |= np.uint64(image[y]) << np.uint64(left) >> back
            joined[:] = 0
            for k in range(kernel[0]):
                later = seen[k * dilation[0] :]
                for y in range(stop):
                    joined[y] |= later[y]
            for mask in range(len(masks)):
                here, n = masks[mask, group], np.int64(0)
                for y in range(0, stop, stride):
                    n += n_bits(joined[y] & here[y])
                found[mask, frame] += n


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
