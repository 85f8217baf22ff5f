"""Spikes as bits, and lists of them: which neurons sent something, frame by frame.

A node's spikes are words of 64 bits [frames, words], see `images.Image`. A list holds the spikes
of every frame cell by cell: `starts` [cells + 1, frames] says where those of a cell begin in
`events`, uint32. What a cell is, and which number stands for a spike, is the reader's: it gives the
words to visit, in order, cell by cell.
"""

import numpy as np
from numba import njit

from hwtargets.simulator.kernels.bits import list_bits, list_many_bits, n_bits, pack_word
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
    bits: AnyArray, channels: int, pixels: int, stride: int, neurons: AnyArray, stops: AnyArray
) -> None:  # pragma: no cover
    """List the neurons that sent something, frame by frame, in their order.

    Args:
        bits: uint64 [frames, words].
        channels: neuron = channel * pixels + pixel.
        stride: bits of a pixel.
        neurons: int64, filled; as long as `count_bits` says.
        stops: int64 [frames], filled: where the neurons of each frame end.
    """
    found = np.empty(channels * pixels + SLACK, dtype=np.uint32)
    channel = np.empty(channels * pixels, dtype=np.uint32)
    place = np.empty(channels + 1, dtype=np.int64)
    start, shift = 0, np.uint32(0)
    while stride >> shift > 1:
        shift += np.uint32(1)
    is_power = 1 << shift == stride  # a division by any other number takes as long as the rest
    for frame in range(len(bits)):
        n = 0
        for k in range(bits.shape[1]):
            n += list_bits(bits[frame, k], np.uint32(64 * k), found, n)
        if pixels == 1:
            neurons[start : start + n] = found[:n]
            start += n
            stops[frame] = start
            continue
        place[:] = 0
        for i in range(n):
            pixel = found[i] >> shift if is_power else found[i] // np.uint32(stride)
            channel[i] = found[i] - pixel * np.uint32(stride)
            found[i] = pixel
            place[channel[i] + 1] += 1
        place[0] = start
        for c in range(channels):
            place[c + 1] += place[c]
        for i in range(n):
            neurons[place[channel[i]]] = channel[i] * pixels + found[i]
            place[channel[i]] += 1
        start += n
        stops[frame] = start


@njit(nogil=True, cache=True)
def list_events(
    bits: AnyArray, cells: AnyArray, words: AnyArray, masks: AnyArray, bases: AnyArray,
    starts: AnyArray, events: AnyArray, first: int, stop: int, at: int, crowded: bool,
) -> int:  # pragma: no cover  # fmt: skip
    """Fill the lists of frames first .. stop from events[at] on and return where they end.

    Args:
        bits: uint64 [frames, words].
        cells: int64 [cells + 1]: cell i visits entries cells[i] .. cells[i + 1] of the next three.
        words: which word, uint32.
        masks: which bits of it, uint64; empty: all of them.
        bases: the number of its bit 0, uint32.
        starts: int32 [cells + 1, frames], filled.
        events: uint32, filled; SLACK longer than needed.
        crowded: whether most words have more than a few bits.
    """
    for row in range(first, stop):
        frame = bits[row]
        for cell in range(len(cells) - 1):
            starts[cell, row] = at
            if len(masks) == 0:
                for k in range(cells[cell], cells[cell + 1]):
                    if crowded:
                        at += list_many_bits(frame[words[k]], bases[k], events, at)
                    else:
                        at += list_bits(frame[words[k]], bases[k], events, at)
                continue
            for k in range(cells[cell], cells[cell + 1]):
                at += list_bits(frame[words[k]] & masks[k], bases[k], events, at)
        starts[len(cells) - 1, row] = at
    return at


@njit(nogil=True, cache=True)
def pack(
    values: AnyArray, channels: int, pixels: int, stride: int, bits: AnyArray
) -> bool:  # pragma: no cover
    """Fill the bits of frames values [frames, channels * pixels]; return if all are 0 or 1.

    Args:
        values: integers or floats, neuron = channel * pixels + pixel.
        stride: bits of a pixel.
        bits: uint64 [frames, words], zeroed.
    """
    binary = True
    whole = channels // 64 if pixels == 1 else 0
    for frame in range(len(bits)):
        row, words = values[frame], bits[frame]
        for value in row:
            binary &= (value == 0) | (value == 1)
        for word in range(whole):
            words[word] = pack_word(row, 64 * word)
        for channel in range(64 * whole, channels):
            for pixel in range(pixels):
                bit = np.uint64(row[channel * pixels + pixel] != 0)
                place = pixel * stride + channel
                words[place >> 6] |= bit << np.uint64(place & 63)
    return binary


@njit(nogil=True, cache=True)
def unpack(bits: AnyArray, pixels: int, stride: int, values: AnyArray) -> None:  # pragma: no cover
    """Fill zeroed frames values [frames, channels * pixels] with 1 where a bit is set."""
    found = np.empty(128, dtype=np.uint32)
    for frame in range(len(bits)):
        for k in range(bits.shape[1]):
            word = bits[frame, k]
            if word:
                n = list_bits(word, np.uint32(64 * k), found, 0)
                for i in range(n):
                    pixel, channel = divmod(np.int64(found[i]), stride)
                    values[frame, channel * pixels + pixel] = 1
