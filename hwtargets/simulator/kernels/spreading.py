"""Projections laid out for `kernels.steps`: which targets a source pixel feeds, weights in order.

Along a row of the image, neighbouring targets see a source pixel through places of the kernel that
are one stride apart, from right to left. So every row of a kernel is stored once per phase of the
stride, places in descending order: what a pixel feeds in a row of targets is one run of weights.
"""

import numpy as np

from hwtargets.simulator.kernels.images import Image
from hwtargets.simulator.kernels.layout import Layout
from hwtargets.simulator.kernels.steps import Spread
from hwtargets.simulator.kernels.weights import common_factor
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.synapses import Conv, Dense, Synapse

WIDEST = 32
"""Channels of a target beyond which `gather` is faster."""
MOST_BYTES = 1 << 18
"""Weights and sums that a second cache holds beside the states."""


def spread_out(synapse: Synapse, laid: Layout, target: Image, lag: int) -> Spread | None:
    """Return a projection for the stepwise kernel, None if it is not one of the thin ones.

    Args:
        laid: the same for `gather`, in which all that is scaled fits 32 bits.
        target: how the target's neurons are arranged.
    """
    if target.channels > WIDEST or laid.pixels != target.pixels:
        return None
    if isinstance(synapse, Dense):
        weight = _by_source(synapse.weight, laid.source)
        largest = int(np.abs(synapse.weight).sum(axis=1).max(initial=0))
        runs, starts, by_channel = _dense_runs(laid.source)
    elif isinstance(synapse, Conv) and synapse.groups == 1 and synapse.dilation == (1, 1):
        weight = synapse.weight
        largest = int(np.abs(weight).sum(axis=(1, 2, 3)).max(initial=0))
        order = [(i, j) for i in range(weight.shape[2]) for j in _descending(synapse)]
        weight = np.stack([weight[:, :, i, j] for i, j in order], axis=2).transpose(1, 2, 0)
        runs, starts = _conv_runs(synapse)
        by_channel = len(order)
    else:
        return None
    width = width_of(target)
    low, high = int(weight.min(initial=0)), int(weight.max(initial=0))
    scale = common_factor(weight, low, high)
    if largest // scale >= 1 << 15 or weight.size // weight.shape[-1] * width * 2 > MOST_BYTES:
        return None
    wide = np.zeros((*weight.shape[:2], width), dtype=np.int16)
    wide[:, :, : target.channels] = weight // scale
    _, _, left, right = laid.scaling
    return Spread(
        runs=(runs * [width, width, 1]).astype(np.int32), starts=starts.astype(np.int32),
        weights=wide.reshape(-1), stride=by_channel * width, pixels=target.pixels,
        scaling=(scale, 0, left, right), lag=lag,
    )  # fmt: skip


def width_of(target: Image) -> int:
    """Return how many channels of a target lie side by side: 8, 16 or 32."""
    return next(width for width in (8, 16, 32) if target.channels <= width)


def _by_source(weight: IntArray, source: Image) -> IntArray:
    """Return weights [n_out, n_in] as [pixels, channels, n_out] of the source."""
    return weight.reshape(len(weight), source.channels, source.pixels).transpose(2, 1, 0)


def _dense_runs(source: Image) -> tuple[IntArray, IntArray, int]:
    """Return one run for each pixel, where those of each start, and places per channel."""
    pixel = np.arange(source.pixels)
    runs = np.stack([0 * pixel, pixel * source.channels, 0 * pixel + 1], axis=1)
    return runs, np.arange(source.pixels + 1), 1


def _descending(conv: Conv) -> list[int]:
    """Return the columns of a kernel, phase by phase of the stride, descending."""
    width, stride = int(conv.weight.shape[3]), conv.stride[1]
    return [j for phase in range(stride) for j in sorted(range(phase, width, stride))[::-1]]


def _conv_runs(conv: Conv) -> tuple[IntArray, IntArray]:
    """Return the runs (target, place, pixels) of every source pixel, and where they start."""
    height, width = conv.in_shape[1:]
    out_h, out_w = conv.out_shape[1:]
    k_h, k_w = int(conv.weight.shape[2]), int(conv.weight.shape[3])
    (s_h, s_w), (p_h, p_w) = conv.stride, conv.padding
    place = {j: k for k, j in enumerate(_descending(conv))}
    columns = []
    for x in range(width):
        first = max(-((k_w - 1 - x - p_w) // s_w), 0)  # ceil((x + p - (k - 1)) / s)
        last = min((x + p_w) // s_w, out_w - 1)
        if first <= last:
            columns.append((x, first, place[x + p_w - first * s_w], last - first + 1))
    runs, n_runs = [], np.zeros(height * width, dtype=np.int64)
    for y in range(height):
        rows = [(i, (y + p_h - i) // s_h) for i in range(k_h) if (y + p_h - i) % s_h == 0]
        seen = [(i, row) for i, row in rows if 0 <= row < out_h]
        for x, first, at, n in columns:
            runs += [(row * out_w + first, i * k_w + at, n) for i, row in seen]
            n_runs[y * width + x] = len(seen)
    return np.array(runs, dtype=np.int64).reshape(-1, 3), np.concatenate([[0], np.cumsum(n_runs)])
