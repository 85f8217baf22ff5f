"""Projections laid out for `kernels.steps`: which targets a source pixel feeds, weights in order.

Along a row of the image, neighbouring targets see a source pixel through places of the kernel that
are one stride apart, from right to left. So every row of a kernel is stored once per phase of the
stride, places in descending order: what a pixel feeds in a row of targets is one run of weights.
From a run to the next, targets are a row further up and places a stride of rows further on, so the
first says it all: what is beyond the image goes to rows around it, and zeros beside the weights
make runs at its sides as long as others. The loops over them have nothing to guess.

At a stride of two an odd kernel feeds one row of targets fewer from every other row of the source,
and one target fewer from every other pixel of a row. Where words allow it, those are listed apart:
all pixels of a phase have as many and as long runs.
"""

import numpy as np

from hwtargets.simulator.kernels.images import WORD, Image
from hwtargets.simulator.kernels.layout import Layout
from hwtargets.simulator.kernels.listing import Listing
from hwtargets.simulator.kernels.rows import PLACE_BITS
from hwtargets.simulator.kernels.steps import INT16_MAX, V_TOP, Levels, Spread
from hwtargets.simulator.kernels.weights import aligned, common_factor
from hwtargets.simulator.lif import Constants
from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.synapses import Conv, OneToOne, Synapse

MOST_PIXELS = 1 << 32 - PLACE_BITS
"""Of a target, with the room around it."""
WIDEST = 32
"""Channels of a target beyond which `gather` is faster."""
MOST_ALONE = 1 << 16
"""Neurons that are fed one to one."""
ALIGNED = 32
"""Sums before which room ends."""
MOST_BYTES = 1 << 18
"""Weights and sums that a second cache holds beside the states."""


def spread_out(
    synapse: Synapse, laid: Layout | Listing, source: Image, target: Image, lag: int
) -> Spread | None:
    """Return a projection for the stepwise kernel, None if it is not one of the thin ones.

    Args:
        laid: the same for `gather` or `scatter`, in which all that is scaled fits 32 bits.
        source, target: how their neurons are arranged; those of `laid.source` come pixel by pixel,
            but as they are, neuron by neuron, where the source is no image.
    """
    if isinstance(laid, Listing):
        return _one_by_one(synapse, laid, target, lag)
    if not isinstance(synapse, Conv) or not _is_plain(synapse) or target.channels > WIDEST:
        return None
    words, evens, pixels = _as_listed(synapse, laid.source, is_image=source.pixels > 1)
    n_runs = _most_seen(synapse, 0, apart=len(words) > 1)
    lengths = _most_seen(synapse, 1, apart=evens != 0)
    starts, beside, room = _starts(synapse, n_runs, lengths)
    n_rows = synapse.weight.shape[2] if len(words) > 1 else n_runs[0] * synapse.stride[0]
    weight, width = _in_runs(synapse, n_rows, beside), width_of(target)
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    scale = common_factor(weight, low, high)
    largest = int(np.abs(synapse.weight).sum(axis=(1, 2, 3)).max(initial=0))
    c_in, places, _ = weight.shape
    before, after = (-(-n * width // ALIGNED) * ALIGNED // width for n in room)
    fits = before + target.pixels + after <= MOST_PIXELS and places < 1 << PLACE_BITS
    if not fits or largest // scale >= 1 << 15 or c_in * places * width * 2 > MOST_BYTES:
        return None
    wide = np.zeros((c_in, places, width), dtype=np.int64)
    wide[:, :, : target.channels] = weight // scale
    (s_h, s_w), block = synapse.stride, run_length(synapse) + beside
    _, _, left, right = laid.scaling
    return Spread(
        words=words, evens=evens,
        starts=(starts + (before << PLACE_BITS)).astype(np.uint32)[pixels],
        n_runs=n_runs, lengths=lengths, steps=(synapse.out_shape[2], s_h * s_w * block),
        room=(before, after), weights=_narrow(wide), stride=places * width,
        pixels=target.pixels, width=width, scaling=(scale, 0, left, right),
        divisor=laid.source.stride, flat=0, lag=lag,
    )  # fmt: skip


def _one_by_one(synapse: Synapse, laid: Listing, target: Image, lag: int) -> Spread | None:
    """Return one-to-one synapses between neurons of a single pixel, None if these are others.

    A source neuron is a pixel that feeds the eight targets around its own, all but one with 0.
    """
    if not isinstance(synapse, OneToOne) or (laid.source.pixels, target.pixels) != (1, 1):
        return None
    scale, left, right = laid.scaling
    neuron, n = np.arange(target.n), -(-target.n // WORD) * WORD
    if n > MOST_ALONE:
        return None
    weights = np.zeros(n * 8, dtype=np.int64)
    weights[neuron * 8 + neuron % 8] = synapse.weight // scale
    return Spread(
        words=np.arange(laid.source.words, dtype=np.uint32)[None], evens=0,
        starts=(neuron // 8 << PLACE_BITS | neuron).astype(np.uint32)[None, None],
        n_runs=(1, 1), lengths=(1, 1), steps=(0, 0), room=(0, 0),
        weights=_narrow(weights), stride=0, pixels=n // 8, width=8, scaling=(scale, 0, left, right),
        divisor=target.n, flat=1, lag=lag,
    )  # fmt: skip


def _narrow(weights: IntArray) -> AnyArray:
    """Return weights, flat, in as few bytes as they fit: they stay in the first cache."""
    fits = weights.min(initial=0) >= -128 and weights.max(initial=0) <= 127
    narrow = aligned(weights.size, np.int8 if fits else np.int16)
    narrow[:] = weights.reshape(-1)
    return narrow


def levels_of(synapse: Synapse, spread: Spread, fixed: Constants) -> Levels | None:
    """Return how v is kept if neurons only add up; None if these do more, or 16 bits are too few.

    They do not leak, have no bias, and at rest stay there. In a step, v rises by the sum of all
    positive weights at most, and falls by that of all negative ones.
    """
    scale, _, left, right = spread.scaling
    unit = (scale << left) << 6
    only_adds = (int(fixed.keep_u[0]), int(fixed.keep_v[0])) == (0, 4096) and not fixed.bias.any()
    if right or not only_adds or fixed.threshold.min() < 0:
        return None
    rises, falls = (_most(synapse, sign) // scale for sign in (1, -1))
    most = int(fixed.threshold.max()) // unit + rises
    rest, top = INT16_MAX - most, V_TOP // unit
    depth = min(INT16_MAX + 1 + rest, top)
    calm = max(rises, falls) * unit >> 6 < 1 << 17  # else currents have to be watched
    if not calm or rest < 0 or most > top or falls > depth // 2:
        return None
    return Levels(unit=unit, rest=rest, least=falls - depth)


def _most(synapse: Synapse, sign: int) -> int:
    """Return the largest sum of a target's weights of one sign."""
    assert isinstance(synapse, Conv | OneToOne)
    rows = np.maximum(sign * synapse.weight, 0).reshape(len(synapse.weight), -1)
    return int(rows.sum(axis=1).max(initial=0))


def width_of(target: Image) -> int:
    """Return how many channels of a target lie side by side: 8, 16 or 32."""
    return next(width for width in (8, 16, 32) if target.channels <= width)


def _is_plain(conv: Conv) -> bool:
    """Return whether all channels see all others, and a row of targets is as long as a run."""
    return conv.groups == 1 and conv.dilation == (1, 1) and conv.out_shape[2] >= run_length(conv)


def run_length(conv: Conv) -> int:
    """Return how many targets of a row see a source pixel at most."""
    return -(-int(conv.weight.shape[3]) // conv.stride[1])


def _most_seen(conv: Conv, axis: int, *, apart: bool) -> tuple[int, int]:
    """Return how many targets of a column (axis 0) or row (1) see a source pixel at most.

    First of the even rows or columns of the source, then of the odd ones, if they are apart.
    """
    kernel, padding = int(conv.weight.shape[2 + axis]), conv.padding[axis]
    even, odd = (-(-(kernel - (padding + k) % 2 * apart) // conv.stride[axis]) for k in (0, 1))
    return even, odd


def _as_listed(conv: Conv, source: Image, *, is_image: bool) -> tuple[AnyArray, int, IntArray]:
    """Return how a source's spikes are listed: phases apart where they differ and words allow it.

    The answers are `Spread.words`, `Spread.evens` and the pixels in the order of
    `steps.list_phase` [row phases, column phases, pixels].
    """
    words, pixels = np.arange(source.words, dtype=np.uint32)[None], np.arange(source.pixels)
    if not is_image or source.stride >= WORD:
        return words, 0, pixels[None, None]
    rows_differ, columns_differ = (
        conv.stride[axis] == 2 and conv.weight.shape[2 + axis] % 2 == 1
        and conv.in_shape[1 + axis] % 2 == 0
        for axis in (0, 1)
    )  # fmt: skip
    if rows_differ and conv.in_shape[2] * source.stride % WORD == 0:
        by_row = words.reshape(conv.in_shape[1] // 2, 2, -1)
        words = np.ascontiguousarray(by_row.swapaxes(0, 1)).reshape(2, -1)
    each = WORD // source.stride
    listed = np.minimum(words[:, :, None] * each + np.arange(each), source.pixels - 1)
    if not columns_differ or words.shape[1] % 2:
        return words, 0, listed.reshape(len(words), 1, -1)
    pairs = listed.reshape(len(words), -1, 2, each // 2, 2)  # word of two, pair of pixels, phase
    evens = sum((1 << source.stride) - 1 << first for first in range(0, WORD, 2 * source.stride))
    apart = np.ascontiguousarray(pairs.transpose(0, 4, 1, 3, 2))
    return words, evens, apart.reshape(len(words), 2, -1)


def _starts(
    conv: Conv, n_runs: tuple[int, int], lengths: tuple[int, int]
) -> tuple[IntArray, int, tuple[int, int]]:
    """Return `Spread.starts` of every source pixel, image and weights without what is around them.

    Then zeros beside the weights of a phase, and target pixels before and after the image.
    """
    (_, height, width), (_, out_h, out_w) = conv.in_shape, conv.out_shape
    (s_h, s_w), (p_h, p_w) = conv.stride, conv.padding
    longest, length = run_length(conv), np.resize(lengths, width)
    x, y = np.arange(width) + p_w, np.arange(height) + p_h
    n_columns = -(-(int(conv.weight.shape[3]) - x % s_w) // s_w)
    first = x // s_w - n_columns + 1  # sees the last of them
    start = np.clip(first, 0, out_w - length)
    shift = np.clip(start - first, -longest, longest)
    beside = int(np.abs(shift).max())
    block = longest + beside
    column, row = x % s_w * block + beside + shift, y % s_h * s_w * block
    last_row = y // s_h
    before = int(max(0, (np.resize(n_runs, height) - 1 - last_row).max())) * out_w
    after = int(max(0, last_row.max() + 1 - out_h)) * out_w
    target, place = last_row[:, None] * out_w + start, row[:, None] + column
    return (target << PLACE_BITS | place).reshape(-1), beside, (before, after)


def _in_runs(conv: Conv, n_rows: int, beside: int) -> IntArray:
    """Return weights as [source channels, places, targets' channels].

    Every row of the kernel, zeros to make up `n_rows`, has `stride` phases of as many places as a
    run is long, those not there zeros, and of zeros `beside` them, as there are before all.
    """
    c_out, c_in, k_h, k_w = conv.weight.shape
    stride, length = conv.stride[1], run_length(conv)
    places = np.zeros((c_in, n_rows, stride, length + beside, c_out), dtype=np.int64)
    for phase in range(stride):
        columns = np.arange(phase, k_w, stride)[::-1]
        places[:, :k_h, phase, : len(columns)] = conv.weight[:, :, :, columns].transpose(1, 2, 3, 0)
    before = np.zeros((c_in, beside, c_out), dtype=np.int64)
    return np.concatenate([before, places.reshape(c_in, -1, c_out)], axis=1)
