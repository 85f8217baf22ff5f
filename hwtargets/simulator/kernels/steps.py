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
from hwtargets.simulator.kernels.bits import lowest_bit
from hwtargets.simulator.kernels.gather import zeros
from hwtargets.simulator.kernels.neuron import update_lif
from hwtargets.simulator.kernels.rows import add_run
from hwtargets.simulator.kernels.vector import ESCAPED
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
        pixels: of the target.
        scaling: (scale, 0, left, right): a sum s becomes ((s * scale) << left) >> right.
        lag: steps between a spike and its arrival.
    """

    runs: AnyArray
    length: int
    weights: AnyArray
    stride: int
    pixels: int
    scaling: tuple[int, int, int, int]
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
        sent: uint64 [windows, steps, pixels], filled.
    """
    width = 8 * len(eights)
    n = (spread.pixels * width + AT_ONCE - 1) // AT_ONCE * AT_ONCE
    sums, masks = zeros(n // 2).view(np.int16), np.zeros(n // 16, dtype=np.uint16)
    v = zeros(n)
    u = zeros(n if neurons.keep[0] else 0)
    left = 0
    kind = 3 if neurons.keep[0] else 2 if neurons.keep[1] < 4096 else 1
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
                n_spikes = add_spikes(eights, spread, bits[window, k - spread.lag], sums)
            if n_spikes == 0 and neurons.idles == 1 and not starts_over:
                continue
            if kind == 3:
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
    eights: tuple[int, ...], spread: Spread, bits: AnyArray, sums: AnyArray
) -> int:  # pragma: no cover
    """Add the weights of a frame's spikes to the sums; return how many spikes there are."""
    runs, length, weights, stride = spread.runs, spread.length, spread.weights, spread.stride
    total = 0
    for pixel in range(bits.shape[0]):
        for k in range(bits.shape[1]):
            word = bits[pixel, k]
            while word:
                mine = (64 * k + lowest_bit(word)) * stride
                word &= word - np.uint64(1)
                total += 1
                for r in range(runs.shape[1]):
                    first = mine + runs[pixel, r, 1]
                    add_run(eights, sums, runs[pixel, r, 0], weights, first, length)
    return total


@njit(nogil=True, cache=True)
def update_all(
    kind: tuple[int, ...], spread: Spread, neurons: Neurons, sums: AnyArray, u: AnyArray,
    v: AnyArray, masks: AnyArray,
) -> int:  # pragma: no cover  # fmt: skip
    """Take a step of all neurons and clear the sums; return as `gather.advance` does."""
    clips = escaped = 0
    for block in range(len(sums) // AT_ONCE):
        at = block * AT_ONCE
        left = update_lif(
            (0, 0), kind, sums, block, 0, spread.scaling, neurons.keep, u, v, at,
            neurons.threshold, neurons.bias, at * neurons.per_pixel, masks, at // 16,
        )  # fmt: skip
        clips += left & (ESCAPED - 1)
        escaped |= left & ESCAPED
    sums[:] = 0
    return clips | escaped


@njit(nogil=True, cache=True)
def note(eights: tuple[int, ...], masks: AnyArray, words: AnyArray) -> None:  # pragma: no cover
    """Set the words of a frame [pixels], uint64, to its masks, uint16, flat."""
    if len(eights) == 1:
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
