"""Spikes as bits, and lists of them: which neurons sent something, frame by frame.

A node's spikes are words of 64 bits [frames, pixels, words], bit c % 64 of word c // 64 being
channel c. A list holds the spikes of every frame cell by cell: `starts` [cells + 1, frames]
says where those of a cell begin in `events`, uint32. What a cell is, and which number stands for a
spike, is the reader's: it gives the words to visit, in order, cell by cell.
"""

import numpy as np
from numba import njit

from hwtargets.simulator.kernels.bits import list_bits, n_bits, pack_word
from snndeploy.ir.arrays import AnyArray

SLACK = 64
"""Events that may be read or written beyond the end of a list."""


@njit(nogil=True, cache=True)
def count_bits(words: AnyArray) -> int:  # pragma: no cover
    """Return how many bits are set in words [n], uint64."""
    total = 0
    for word in words:
        total += n_bits(word)
    return total


@njit(nogil=True, cache=True)
def list_neurons(
    bits: AnyArray, channels: int, neurons: AnyArray, stops: AnyArray
) -> None:  # pragma: no cover
    """List the neurons that sent something, frame by frame, in their order.

    Args:
        bits: uint64 [frames, pixels, words].
        channels: neuron = channel * pixels + pixel.
        neurons: int64, filled; as long as `count_bits` says.
        stops: int64 [frames], filled: where the neurons of each frame end.
    """
    n_frames, pixels, n_words = bits.shape
    channel = np.empty(channels * pixels + SLACK, dtype=np.uint32)
    pixel = np.empty(channels * pixels, dtype=np.uint32)
    place = np.empty(channels + 1, dtype=np.int64)
    start = 0
    for frame in range(n_frames):
        place[:] = 0
        n = 0
        for p in range(pixels):
            for k in range(n_words):
                word = bits[frame, p, k]
                if word:
                    more = n + list_bits(word, np.uint32(64 * k), channel, n)
                    for i in range(n, more):
                        pixel[i] = p
                        place[channel[i] + 1] += 1
                    n = more
        place[0] = start
        for c in range(channels):
            place[c + 1] += place[c]
        for i in range(n):
            neurons[place[channel[i]]] = channel[i] * pixels + pixel[i]
            place[channel[i]] += 1
        start += n
        stops[frame] = start


@njit(nogil=True, cache=True)
def list_events(
    bits: AnyArray, cells: AnyArray, words: AnyArray, masks: AnyArray, bases: AnyArray,
    starts: AnyArray, events: AnyArray, first: int, stop: int, at: int,
) -> int:  # pragma: no cover  # fmt: skip
    """Fill the lists of frames first .. stop from events[at] on and return where they end.

    Args:
        bits: uint64 [frames, words].
        cells: int64 [cells + 1]: cell i visits entries cells[i] .. cells[i + 1] of the next three.
        words: which word, int32.
        masks: which bits of it, uint64.
        bases: the number of its bit 0, uint32.
        starts: int32 [cells + 1, frames], filled.
        events: uint32, filled; SLACK longer than needed.
    """
    for row in range(first, stop):
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
