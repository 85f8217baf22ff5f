"""Projections laid out for `kernels.steps`: which targets a source pixel feeds, weights in order.

Along a row of the image, neighbouring targets see a source pixel through places of the kernel that
are one stride apart, from right to left. So every row of a kernel is stored once per phase of the
stride, places in descending order: what a pixel feeds in a row of targets is one run of weights.
Zeros around it make all runs equally long, at the borders of the image too, so that the loops over
them have nothing to guess; how many a pixel has is the same all along a row of the image.
"""

from math import prod

import numpy as np

from hwtargets.simulator.kernels.images import WORD, Image
from hwtargets.simulator.kernels.layout import Layout
from hwtargets.simulator.kernels.listing import Listing
from hwtargets.simulator.kernels.rows import LAST_RUN
from hwtargets.simulator.kernels.steps import INT16_MAX, V_TOP, Levels, Spread
from hwtargets.simulator.kernels.weights import aligned, common_factor
from hwtargets.simulator.lif import Constants
from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.synapses import Conv, OneToOne, Synapse

MOST_PIXELS = 1 << 31 - LAST_RUN
"""Of a target."""
WIDEST = 32
"""Channels of a target beyond which `gather` is faster."""
MOST_ALONE = 1 << 16
"""Neurons that are fed one to one."""
MOST_BYTES = 1 << 18
"""Weights and sums that a second cache holds beside the states."""


def spread_out(synapse: Synapse, laid: Layout | Listing, target: Image, lag: int) -> Spread | None:
    """Return a projection for the stepwise kernel, None if it is not one of the thin ones.

    Args:
        laid: the same for `gather` or `scatter`, in which all that is scaled fits 32 bits.
        target: how the target's neurons are arranged.
    """
    if isinstance(laid, Listing):
        return _one_by_one(synapse, laid, target, lag)
    if not isinstance(synapse, Conv) or not _is_plain(synapse):
        return None
    if target.channels > WIDEST or target.pixels > MOST_PIXELS:
        return None
    largest = int(np.abs(synapse.weight).sum(axis=(1, 2, 3)).max(initial=0))
    weight = _in_runs(synapse)
    width = width_of(target)
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    scale = common_factor(weight, low, high)
    if largest // scale >= 1 << 15 or prod(weight.shape[:2]) * width * 2 > MOST_BYTES:
        return None
    wide = np.zeros((*weight.shape[:2], width), dtype=np.int64)
    wide[:, :, : target.channels] = weight // scale
    _, _, left, right = laid.scaling
    return Spread(
        runs=_conv_runs(synapse), length=run_length(synapse),
        weights=_narrow(wide), stride=weight.shape[1] * width, pixels=target.pixels, width=width,
        scaling=(scale, 0, left, right),
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
        runs=_joined(neuron // 8, neuron, neuron >= 0)[:, None], length=1,
        weights=_narrow(weights), stride=0, pixels=n // 8, width=8, scaling=(scale, 0, left, right),
        divisor=target.n, flat=1, lag=lag,
    )  # fmt: skip


def _joined(targets: IntArray, places: IntArray, is_last: AnyArray) -> AnyArray:
    """Return runs as `Spread` has them."""
    joined = targets << LAST_RUN + 1 | is_last.astype(np.int64) << LAST_RUN | places
    return np.asarray(joined, dtype=np.uint32)


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


def _in_runs(conv: Conv) -> IntArray:
    """Return weights as [source channels, places, targets' channels].

    Every row of the kernel has `stride` phases of 2 * length - 1 places, the last length - 1 of
    them zeros, as are the first length - 1 of all places and the last length.
    """
    c_out, c_in, k_h, k_w = conv.weight.shape
    stride, length = conv.stride[1], run_length(conv)
    places = np.zeros((c_in, k_h, stride, 2 * length - 1, c_out), dtype=np.int64)
    for phase in range(stride):
        columns = np.arange(phase, k_w, stride)[::-1]
        places[:, :, phase, : len(columns)] = conv.weight[:, :, :, columns].transpose(1, 2, 3, 0)
    zeros = np.zeros((c_in, length, c_out), dtype=np.int64)
    return np.concatenate([zeros[:, 1:], places.reshape(c_in, -1, c_out), zeros[:, :1]], axis=1)


def _conv_runs(conv: Conv) -> AnyArray:
    """Return the runs of every source pixel [pixels, runs]; one of zeros where there is none."""
    height, width = conv.in_shape[1:]
    out_h, out_w = conv.out_shape[1:]
    k_h, k_w = int(conv.weight.shape[2]), int(conv.weight.shape[3])
    (s_h, s_w), (p_h, p_w) = conv.stride, conv.padding
    length = run_length(conv)
    x, y = np.arange(width) + p_w, np.arange(height) + p_h
    phase = x % s_w
    n_columns = -(-(k_w - phase) // s_w)  # of this phase; the first target sees the last of them
    first = x // s_w - n_columns + 1
    start = np.clip(first, 0, out_w - length)
    column = phase * (2 * length - 1) + length - 1 + start - first
    exists = (start - first < length) & (first - start < length)
    n_rows = -(-k_h // s_h)
    i = y[:, None] % s_h + s_h * np.arange(n_rows)
    row = (y[:, None] - i) // s_h
    seen = ((i < k_h) & (row >= 0) & (row < out_h))[:, None] & exists[:, None]
    place = i[:, None] * s_w * (2 * length - 1) + column[:, None]
    target = np.clip(row, 0, out_h - 1)[:, None] * out_w + start[:, None]
    nothing = k_h * s_w * (2 * length - 1)
    order = np.argsort(~seen, axis=2, kind="stable")
    target, place = (
        np.take_along_axis(a, order, axis=2) for a in (target, np.where(seen, place, nothing))
    )
    last = np.maximum(seen.sum(axis=2, keepdims=True), 1) - 1
    runs = _joined(target, place, np.arange(n_rows) == last)
    return runs.reshape(height * width, n_rows)
