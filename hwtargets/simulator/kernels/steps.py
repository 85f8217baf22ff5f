"""Thin layers step by step: every spike adds its weights to the sums of the pixels that see it.

What `gather` writes down for each pixel and step costs more than the sums themselves where few
channels see few spikes. Here the sums and the states of all pixels stay in the second cache, side
by side without padding to whole blocks, and neurons take a step all at once. A spike of a source
pixel feeds a few runs of neighbouring target pixels, whose weights lie in the same order.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from hwtargets.simulator.kernels.arguments import Frames, Neurons
from hwtargets.simulator.kernels.bits import list_words, lowest_bit
from hwtargets.simulator.kernels.gather import zeros
from hwtargets.simulator.kernels.neuron import update_lif
from hwtargets.simulator.kernels.rows import add_run
from hwtargets.simulator.kernels.vector import CHUNK, ESCAPED
from snndeploy.ir.arrays import AnyArray

AT_ONCE = 64
"""Neurons that are updated together."""


class Spread(NamedTuple):
    """A projection by source pixel.

    Attributes:
        runs: int32 [source pixels, runs, 2]: first sum, first weight of channel 0. All pixels have
            as many, all are as long: what is not there has weights of 0.
        length: of a run, in target pixels.
        weights: int16, flat.
        stride: weights from one source channel to the next.
        pixels: of the target; width: its channels, padded to 8, 16 or 32. One-to-one synapses of a
            single pixel see its neurons eight by eight.
        scaling: (scale, 0, left, right): a sum s becomes ((s * scale) << left) >> right.
        flat: the pixels of a source whose spikes come neuron by neuron, as of one pixel; else 0.
        factor: what a sum << 6 is multiplied with instead, if no current can reach 2^17; else 0.
        lag: steps between a spike and its arrival.
    """

    runs: AnyArray
    length: int
    weights: AnyArray
    stride: int
    pixels: int
    width: int
    scaling: tuple[int, int, int, int]
    flat: int
    factor: int
    lag: int


@njit(nogil=True, cache=True)
def run_steps(
    eights: tuple[int, ...], spread: Spread, bits: AnyArray, neurons: Neurons, frames: Frames,
    sent: AnyArray,
) -> int:  # pragma: no cover  # fmt: skip
    """Run all steps of some windows of a population; return as `gather.advance` does.

    Items are windows. Thresholds and biases of `neurons` are those of AT_ONCE neurons, or, if they
    differ from pixel to pixel, of all of them.

    Args:
        eights: a tuple as long as the channels of a target pixel in units of 8: 1, 2 or 4.
        bits: uint64 [windows, steps, source pixels, words].
        sent: uint64 [windows, steps, words of a frame], filled.
    """
    width = 8 * len(eights)
    n = (spread.pixels * width + AT_ONCE - 1) // AT_ONCE * AT_ONCE
    sums, masks = zeros(n // 2).view(np.int16), np.zeros(n // 16, dtype=np.uint16)
    v = zeros(n)
    found = np.empty(bits.shape[2] * bits.shape[3] + CHUNK, dtype=np.uint32)
    u = zeros(n if neurons.keep[0] else 0)
    left = 0
    kind = 3 if neurons.keep[0] else 2 if neurons.keep[1] < 4096 else 4 if spread.factor else 1
    clips = escaped = 0
    for window in range(frames.items[0], frames.items[1]):
        live, end = frames.live[window]
        for k in range(live, end):
            starts_over = k == 0 or k == live or k == frames.reset
            if starts_over:
                u[:] = 0
                v[:] = 0
            n_spikes = 0
            if k >= spread.lag:
                now = bits[window, k - spread.lag].reshape(-1)
                n_spikes = add_spikes(eights, spread, now, found, bits.shape[3], sums)
            if n_spikes == 0 and neurons.idles == 1 and not starts_over:
                continue
            if kind == 4:
                left = update_all((0, 0, 0, 0), spread, neurons, sums, u, v, masks)
            elif kind == 3:
                left = update_all((0, 0, 0), spread, neurons, sums, u, v, masks)
            elif kind == 2:
                left = update_all((0, 0), spread, neurons, sums, u, v, masks)
            else:
                left = update_all((0,), spread, neurons, sums, u, v, masks)
            clips += left & (ESCAPED - 1)
            escaped |= left & ESCAPED
            note(eights, masks, sent[window, k])
    return clips | escaped


@njit(nogil=True, cache=True)
def add_spikes(
    eights: tuple[int, ...], spread: Spread, bits: AnyArray, found: AnyArray, n_words: int,
    sums: AnyArray,
) -> int:  # pragma: no cover  # fmt: skip
    """Add the weights of a frame's spikes to the sums; return how many spikes there are.

    Args:
        bits: uint64 [source pixels * n_words].
        found: scratch, uint32, CHUNK longer.
    """
    runs, length, weights, stride = spread.runs, spread.length, spread.weights, spread.stride
    n, total, flat = 0, 0, spread.flat
    whole = len(bits) // CHUNK * CHUNK
    for first in range(0, whole, CHUNK):
        n += list_words(bits, first, found, n)
    for k in range(whole, len(bits)):
        found[n] = k
        n += bits[k] != 0
    for i in range(n):
        pixel, part = np.int64(found[i]), np.int64(0)
        if n_words > 1:
            pixel, part = pixel // n_words, pixel % n_words
        word = bits[found[i]]
        while word:
            channel = 64 * part + lowest_bit(word)
            if flat:
                channel, pixel = divmod(channel, flat)
            mine = channel * stride
            word &= word - np.uint64(1)
            total += 1
            for r in range(runs.shape[1]):
                start = mine + runs[pixel, r, 1]
                add_run(eights, sums, runs[pixel, r, 0], weights, start, length)
    return total


@njit(nogil=True, cache=True)
def update_all(
    kind: tuple[int, ...], spread: Spread, neurons: Neurons, sums: AnyArray, u: AnyArray,
    v: AnyArray, masks: AnyArray,
) -> int:  # pragma: no cover  # fmt: skip
    """Take a step of all neurons and clear the sums; return as `gather.advance` does."""
    clips = escaped = 0
    scaling = (spread.factor << 6, 0, 0, 0) if len(kind) == 4 else spread.scaling
    for block in range(len(sums) // AT_ONCE):
        at = block * AT_ONCE
        left = update_lif(
            (0, 0), kind, sums, block, 0, scaling, neurons.keep, u, v, at,
            neurons.threshold, neurons.bias, at * neurons.per_pixel, masks, at // 16,
        )  # fmt: skip
        sums[at : at + AT_ONCE] = 0
        clips += left & (ESCAPED - 1)
        escaped |= left & ESCAPED
    return clips | escaped


@njit(nogil=True, cache=True)
def note(eights: tuple[int, ...], masks: AnyArray, words: AnyArray) -> None:  # pragma: no cover
    """Set the words of a frame, uint64, to its masks, uint16, flat."""
    if len(masks) == 4 * len(words):
        words[:] = masks.view(np.uint64)
    elif len(eights) == 1:
        widen(masks.view(np.uint8), words)
    elif len(eights) == 2:
        widen(masks, words)
    else:
        widen(masks.view(np.uint32), words)


@njit(nogil=True, cache=True)
def widen(masks: AnyArray, words: AnyArray) -> None:  # pragma: no cover
    """Set words [pixels], uint64, to the masks of as many pixels."""
    for pixel in range(len(words)):
        words[pixel] = masks[pixel]
