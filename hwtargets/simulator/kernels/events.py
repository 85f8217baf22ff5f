"""Spikes as bits, and lists of them: which neurons sent something, frame by frame.

A node's spikes are words of 64 bits [frames, pixels, words], bit c % 64 of word c // 64 being
channel c. A list holds the spikes of every frame cell by cell: `starts` [cells + 1, frames]
says where those of a cell begin in `events`, uint32. What a cell is, and which number stands for a
spike, is the reader's: it gives the words to visit, in order, cell by cell.
"""

import numpy as np
from numba import njit

from hwtargets.simulator.kernels.bits import list_bits, pack_word
from snndeploy.ir.arrays import AnyArray

TOGETHER = 8
"""Frames whose spikes are tallied together."""
SLACK = 64
"""Events that may be read or written beyond the end of a list."""


@njit(nogil=True, cache=True)
def count_bits(words: AnyArray) -> int:  # pragma: no cover
    """Return how many bits are set in words [n], uint64."""
    total = np.uint64(0)
    for word in words:
        x = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
        x = (x & np.uint64(0x3333333333333333)) + (
            (x >> np.uint64(2)) & np.uint64(0x3333333333333333)
        )
        x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
        total += (x * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return int(total)


@njit(nogil=True, cache=True)
def list_events(
    bits: AnyArray, cells: AnyArray, words: AnyArray, masks: AnyArray, bases: AnyArray,
    starts: AnyArray, events: AnyArray,
) -> int:  # pragma: no cover  # fmt: skip
    """Fill the lists of all frames and return the number of events.

    Args:
        bits: uint64 [frames, words].
        cells: int64 [cells + 1]: cell i visits entries cells[i] .. cells[i + 1] of the next three.
        words: which word, int32.
        masks: which bits of it, uint64.
        bases: the number of its bit 0, uint32.
        starts: int32 [cells + 1, frames], filled.
        events: uint32, filled; SLACK longer than needed.
    """
    at = 0
    for row in range(starts.shape[1]):
        frame = bits[row]
        for cell in range(len(cells) - 1):
            starts[cell, row] = at
            for k in range(cells[cell], cells[cell + 1]):
                word = frame[words[k]] & masks[k]
                if word:
                    at += list_bits(word, bases[k], events, at)
        starts[len(cells) - 1, row] = at
    return at


@njit(nogil=True, cache=True)
def pack(values: AnyArray, channels: int, bits: AnyArray) -> bool:  # pragma: no cover
    """Fill the bits of frames values [frames, channels * pixels]; return if all are 0 or 1.

    Args:
        values: integers or floats, neuron = channel * pixels + pixel.
        bits: uint64 [frames, pixels, words], zeroed.
    """
    n_frames, pixels, n_words = bits.shape
    binary = True
    for frame in range(n_frames):
        row = values[frame]
        for value in row:
            binary &= (value == 0) | (value == 1)
        for word in range(n_words):
            first, last = 64 * word, min(64 * word + 64, channels)
            if pixels == 1 and last - first == 64:
                bits[frame, 0, word] = pack_word(row, first)
                continue
            for channel in range(first, last):
                shift = np.uint64(channel - first)
                for pixel in range(pixels):
                    bit = np.uint64(row[channel * pixels + pixel] != 0)
                    bits[frame, pixel, word] |= bit << shift
    return binary


@njit(nogil=True, cache=True)
def unpack(bits: AnyArray, channels: int, values: AnyArray) -> None:  # pragma: no cover
    """Fill zeroed frames values [frames, channels * pixels] with 1 where a bit is set."""
    n_frames, pixels, n_words = bits.shape
    found = np.empty(128, dtype=np.uint32)
    for frame in range(n_frames):
        for pixel in range(pixels):
            for k in range(n_words):
                word = bits[frame, pixel, k]
                if word:
                    n = list_bits(word, np.uint32(64 * k), found, 0)
                    for i in range(n):
                        values[frame, found[i] * pixels + pixel] = 1


@njit(nogil=True, cache=True)
def tally_spikes(
    bits: AnyArray, rows: AnyArray, costs: AnyArray, total: AnyArray
) -> None:  # pragma: no cover
    """Add the costs of every spike to its row.

    A few frames at a time take a word each, so that the word's rows and costs are at hand.

    Args:
        bits: uint64 [frames, words].
        rows: int32 [words * 64]: the row of each bit's neuron.
        costs: uint64 [words * 64, 2]: what its spike costs, two kinds of 32 bits in each.
        total: uint64 [frames, rows, 2], added to.
    """
    found = np.empty(128, dtype=np.uint32)
    n_frames = bits.shape[0]
    for first in range(0, n_frames, TOGETHER):
        for k in range(bits.shape[1]):
            for frame in range(first, min(first + TOGETHER, n_frames)):
                word = bits[frame, k]
                if word:
                    n = list_bits(word, np.uint32(64 * k), found, 0)
                    for i in range(n):
                        bit = found[i]
                        row = rows[bit]
                        total[frame, row, 0] += costs[bit, 0]
                        total[frame, row, 1] += costs[bit, 1]
