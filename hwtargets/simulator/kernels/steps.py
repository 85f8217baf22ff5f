"""Thin layers step by step: every spike adds its weights to the sums of the pixels that see it.

What `gather` writes down for each pixel and step costs more than the sums themselves where few
channels see few spikes. Here the sums and the states of all pixels stay in the second cache, side
by side as their bits are, and neurons take a step all at once. A spike of a source pixel feeds a
few runs of neighbouring target pixels, whose weights lie in the same order.

Neurons that do nothing but add up need no sums beside their states: weights are added to v itself,
16 bits wide, and the threshold is one of weights. Those few that fall below are taken one by one.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from hwtargets.simulator.kernels.arguments import Frames, Neurons
from hwtargets.simulator.kernels.bits import list_bits
from hwtargets.simulator.kernels.gather import kind_of, zeros
from hwtargets.simulator.kernels.neuron import fire, update_lif
from hwtargets.simulator.kernels.rows import SPLIT, add_runs
from hwtargets.simulator.kernels.vector import ESCAPED
from snndeploy.ir.arrays import AnyArray

AT_ONCE = 64
"""Neurons that are updated together."""
INT16_MAX = (1 << 15) - 1
V_TOP = (1 << 23) - 1


class Spread(NamedTuple):
    """A projection by source pixel.

    Attributes:
        words: uint32 [row phases, words]: those of a source frame in which its rows of each phase
            are, in the order in which spikes are listed.
        evens: bits of the even pixels of a word where even and odd columns are a phase each, else
            0; see `list_phase`.
        starts: uint32 [row phases, column phases, source pixels as listed]: of the first run, the
            target pixel in `room` << PLACE_BITS | place of the first weight of channel 0. What is
            not there has weights of 0.
        n_runs: of a pixel, by row phase; lengths: of a run in target pixels, by column phase.
        steps: from run to run, (target pixels back, places on).
        room: target pixels before the first and after the last: where runs beyond the image go.
        weights: int8 or int16, flat.
        stride: weights from one source channel to the next.
        pixels: of the target; width: its channels, padded to 8, 16 or 32. One-to-one synapses of a
            single pixel see its neurons eight by eight.
        scaling: (scale, 0, left, right): a sum s becomes ((s * scale) << left) >> right.
        divisor: a bit's number over it is the pixel, the rest the channel; where `flat`, the other
            way round: spikes come neuron by neuron, as of one pixel.
        lag: steps between a spike and its arrival.
    """

    words: AnyArray
    evens: int
    starts: AnyArray
    n_runs: tuple[int, int]
    lengths: tuple[int, int]
    steps: tuple[int, int]
    room: tuple[int, int]
    weights: AnyArray
    stride: int
    pixels: int
    width: int
    scaling: tuple[int, int, int, int]
    divisor: int
    flat: int
    lag: int


class Levels(NamedTuple):
    """How v is kept of neurons that only add up and spike: as v / unit + rest.

    Attributes:
        unit: v of a weight of 1.
        rest: so that the most that v can be is the largest number of 16 bits.
        least: a v of as many units or more is neither clipped nor leaves 16 bits in a step.
    """

    unit: int
    rest: int
    least: int


@njit(nogil=True, cache=True)
def run_levels(
    eights: tuple[int, ...], spread: Spread, bits: AnyArray, neurons: Neurons, levels: Levels,
    frames: Frames, sent: AnyArray,
) -> int:  # pragma: no cover  # fmt: skip
    """Run all steps of some windows as `run_steps` does, of neurons that only add up."""
    n, unit, rest = n_sums(eights, spread), levels.unit, levels.rest
    around, v = with_room(eights, spread)
    beyond = spread.pixels * 8 * len(eights)
    threshold = zeros(len(neurons.threshold)).view(np.int16)
    for i in range(len(neurons.threshold)):
        threshold[i] = min(neurons.threshold[i] // unit + rest, INT16_MAX)
    found = np.empty(64 * bits.shape[2] + AT_ONCE, dtype=np.uint32)
    deep, depth = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
    clips = n_deep = 0
    for window in range(frames.items[0], frames.items[1]):
        live, end = frames.live[window]
        sent[window, :live], sent[window, end:] = 0, 0
        for k in range(live, end):
            if k == 0 or k == live or k == frames.reset:
                v[:] = rest
                n_deep = 0
            n_spikes = 0
            if k >= spread.lag:
                n_spikes = add_spikes(eights, spread, bits[window, k - spread.lag], found, around)
                v[beyond:] = rest
            if n_spikes == 0:
                sent[window, k] = 0
                continue
            if n_deep:
                n_deep, clipped = step_deep(v, deep, depth, n_deep, neurons, levels)
                clips += clipped
            least = fire(v, rest, threshold, neurons.per_pixel, n // AT_ONCE, sent[window, k])
            if least - rest < levels.least:
                n_deep = sink(v, deep, depth, n_deep, levels)
    return clips


@njit(nogil=True, cache=True)
def sink(
    v: AnyArray, deep: AnyArray, depth: AnyArray, n_deep: int, levels: Levels
) -> int:  # pragma: no cover
    """Move neurons close to the least v to those that are kept in 32 bits; return how many are.

    Args:
        deep: their numbers; depth: their v.
    """
    close = levels.least - levels.least // 8 + levels.rest
    for i in range(len(v)):
        if v[i] < close:
            deep[n_deep], depth[n_deep] = i, (v[i] - levels.rest) * levels.unit
            n_deep += 1
            v[i] = levels.rest
    return n_deep


@njit(nogil=True, cache=True)
def step_deep(
    v: AnyArray, deep: AnyArray, depth: AnyArray, n_deep: int, neurons: Neurons, levels: Levels
) -> tuple[int, int]:  # pragma: no cover
    """Take what was added to neurons in 32 bits; return how many are left, and were clipped.

    Those that have risen go back, and so do those that spike, with a v that makes them. A v that
    was clipped is not a number of units and stays.
    """
    clips = i = 0
    while i < n_deep:
        at = deep[i]
        y = depth[i] + (v[at] - levels.rest) * levels.unit
        v[at] = levels.rest
        if y < -V_TOP:
            y = -V_TOP
            clips += 1
        spikes = y > neurons.threshold[at if neurons.per_pixel else at % AT_ONCE]
        if spikes or (y > levels.least // 2 * levels.unit and y % levels.unit == 0):
            v[at] = INT16_MAX if spikes else y // levels.unit + levels.rest
            n_deep -= 1
            deep[i], depth[i] = deep[n_deep], depth[n_deep]
        else:
            depth[i] = y
            i += 1
    return n_deep, clips


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
        bits: uint64 [windows, steps, words of a source frame].
        sent: uint16 [windows, steps, masks of a frame], all of it set.
    """
    n = n_sums(eights, spread)
    (around, sums), v = with_room(eights, spread), zeros(n)
    beyond = spread.pixels * 8 * len(eights)
    found = np.empty(64 * bits.shape[2] + AT_ONCE, dtype=np.uint32)
    left, (kind, scaling) = 0, kind_of(neurons, spread.scaling)
    u = zeros(n if kind == 3 else 0)
    clips = escaped = 0
    for window in range(frames.items[0], frames.items[1]):
        live, end = frames.live[window]
        sent[window, :live], sent[window, end:] = 0, 0
        for k in range(live, end):
            starts_over = k == 0 or k == live or k == frames.reset
            if starts_over:
                u[:] = 0
                v[:] = 0
            n_spikes = 0
            if k >= spread.lag:
                n_spikes = add_spikes(eights, spread, bits[window, k - spread.lag], found, around)
                sums[beyond:] = 0
            if n_spikes == 0 and neurons.idles == 1 and not starts_over:
                sent[window, k] = 0
                continue
            masks = sent[window, k]
            if kind == 3:
                left = update_all((0, 0, 0), scaling, neurons, sums, u, v, masks)
            elif kind == 2:
                left = update_all((0, 0), scaling, neurons, sums, u, v, masks)
            else:
                left = update_all((0,), scaling, neurons, sums, u, v, masks)
            clips += left & (ESCAPED - 1)
            escaped |= left & ESCAPED
    return clips | escaped


@njit(nogil=True, cache=True)
def n_sums(eights: tuple[int, ...], spread: Spread) -> int:  # pragma: no cover
    """Return how many sums there are, in whole blocks."""
    blocks: int = (spread.pixels * 8 * len(eights) + AT_ONCE - 1) // AT_ONCE
    return blocks * AT_ONCE


@njit(nogil=True, cache=True)
def with_room(
    eights: tuple[int, ...], spread: Spread
) -> tuple[AnyArray, AnyArray]:  # pragma: no cover
    """Return sums, int16, with the room around them, and without."""
    n, width = n_sums(eights, spread), 8 * len(eights)
    before, after = spread.room[0] * width, spread.room[1] * width
    around = zeros((before + n + after + 1) // 2).view(np.int16)
    return around, around[before : before + n]


@njit(nogil=True, cache=True)
def add_spikes(
    eights: tuple[int, ...], spread: Spread, words: AnyArray, found: AnyArray, sums: AnyArray
) -> int:  # pragma: no cover
    """Add the weights of all spikes of a frame to the sums; return how many there are.

    Args:
        words: uint64, a frame of the source.
        found: uint32, room for the numbers of the spikes, AT_ONCE more than there can be.
        sums: int16, with the room around them.
    """
    split = (spread.divisor, (1 << SPLIT) // spread.divisor + 1, spread.flat)
    n_spikes = 0
    for row in range(len(spread.words)):
        for column in range(spread.starts.shape[1]):
            n = list_phase(words, spread.words[row], np.uint64(spread.evens), spread.divisor,
                           column, found)  # fmt: skip
            shape = spread.n_runs[row], spread.lengths[column]
            add_runs(
                eights, sums, found, n, split, spread.starts[row, column], shape, spread.steps,
                spread.weights, spread.stride,
            )  # fmt: skip
            n_spikes += n
    return n_spikes


@njit(nogil=True, cache=True)
def list_phase(
    words: AnyArray, of: AnyArray, evens: int, stride: int, column: int, found: AnyArray
) -> int:  # pragma: no cover
    """List the numbers of the bits that are set in some of the words; return how many there are.

    Bits count on from word to word. If `evens` are the bits of the even pixels of a word, only
    those of two words count, side by side in turn, as one word, or only those of the odd pixels.

    Args:
        of: numbers of the words.
        stride: bits of a pixel; column: 0 for even pixels, 1 for odd ones.
    """
    n = 0
    if not evens:
        for k in range(len(of)):
            n += list_bits(words[of[k]], np.uint32(64 * k), found, n)
        return n
    down, up = np.uint64(column * stride), np.uint64((1 - column) * stride)
    for k in range(0, len(of), 2):
        first, second = words[of[k]], words[of[k + 1]]
        both = (first >> down & evens) | (second << up & ~evens)
        n += list_bits(both, np.uint32(32 * k), found, n)
    return n


@njit(nogil=True, cache=True)
def update_all(
    kind: tuple[int, ...], scaling: tuple[int, int, int, int], neurons: Neurons, sums: AnyArray,
    u: AnyArray, v: AnyArray, masks: AnyArray,
) -> int:  # pragma: no cover  # fmt: skip
    """Take a step of all neurons and clear the sums; return as `gather.advance` does."""
    clips = escaped = 0
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
