"""Projections laid out for the kernels: which spikes a target sees, and weights in blocks.

Neurons of an image are kept pixel by pixel, channels side by side, in 64-bit words; targets are
padded to whole blocks of channels. A convolution is a list of weight rows per block: one for every
place of the kernel and input channel, in that order, so that the spikes under one row of the
kernel, consecutive in a list ordered by place and channel, need consecutive rows:

    row = number of the event - base of the run,   number = place in its image row * C + channel

A kernel that repeats each weight r x r times, with stride and padding to match (a pool, or a
convolution of pooled spikes), sees cells of r x r pixels, whose spikes make one list. A dense layer
is a convolution with a single pixel. Groups are merged until they fill a block.
"""

from dataclasses import dataclass
from math import gcd

import numpy as np

from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.synapses import Conv, Dense, Pair, Pool

WORD = 64
LOW_BIAS = 128
"""Added to the low byte of a packed pair of weights, so that it is not negative."""
MOST_WEIGHTS = 1 << 26
"""Weights that are laid out for one projection, zeros between merged groups included."""
SAFE_ROWS = 255
"""Rows of int8 whose sum fits 16 bits whatever they hold: 255 * 128 < 2^15."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """How a node's neurons are arranged: neuron = channel * pixels + pixel."""

    channels: int
    pixels: int

    @property
    def words(self) -> int:
        """64-bit words of spikes per pixel."""
        return -(-self.channels // WORD)

    @property
    def padded(self) -> int:
        """Channels in whole blocks: one of 32, or as many of 64 as it takes."""
        return 32 if self.channels <= 32 else WORD * self.words

    @property
    def n(self) -> int:
        return self.channels * self.pixels

    def places(self) -> IntArray:
        """Return where each neuron is among pixels x padded channels [n]."""
        channel, pixel = np.divmod(np.arange(self.n), self.pixels)
        return np.asarray(pixel * self.padded + channel)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Reader:
    """How spikes become event lists; see `events.list_events`."""

    cells: IntArray
    words: AnyArray
    masks: AnyArray
    bases: AnyArray


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Layout:
    """A projection ready for `gather.advance`; see `gather.Gather` for what is not said here.

    Attributes:
        source: the arrangement of the source's neurons that the reader takes.
        pixels: of the target as this projection sees it; a dense one sees one pixel.
        starts: [pixels + 1] pixel p has runs starts[p] .. starts[p + 1].
        lanes: width of a block in units of 32 channels.
        planes, blocks: groups of targets, and blocks of each.
    """

    source: Image
    reader: Reader
    runs: AnyArray
    starts: IntArray
    cells: int
    weights: AnyArray
    rows: int
    most: int
    safe: int
    scaling: tuple[int, int, int, int]
    lanes: int
    planes: int
    blocks: int
    pixels: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A kernel that slides over the cells of an image; pairs are (rows, columns).

    Attributes:
        image: pixels; cell: pixels of a cell.
    """

    image: Pair
    cell: Pair
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    out: Pair

    @property
    def cells(self) -> Pair:
        return -(-self.image[0] // self.cell[0]), -(-self.image[1] // self.cell[1])


def lay_out(
    synapse: Dense | Conv | Pool, source: Image, target: Image, exponent: int
) -> Layout | None:
    """Return the layout of a projection; None if its numbers or sizes do not fit the kernel.

    Args:
        source: how the source's neurons are arranged, for a dense synapse.
        target: how the target's are.
        exponent: of the weights.
    """
    if isinstance(synapse, Dense):
        return _lay_out_dense(synapse, source, target, exponent)
    conv = as_conv(synapse)
    merged = merged_groups(conv, target)
    if conv.weight.size * merged > MOST_WEIGHTS:
        return None
    window = window_of(conv)
    kernel = conv.weight[:, :, :: window.cell[0], :: window.cell[1]]
    weight, used = merge(kernel, conv.groups // merged, merged)
    planes, _, _, _, c_in = weight.shape
    channels, height, width = conv.in_shape
    runs, starts = list_runs(window, c_in)
    return _packed(
        weight.reshape(planes, len(weight[0]), -1), used.reshape(planes, len(weight[0]), -1),
        source=Image(channels=channels, pixels=height * width),
        reader=read_cells(window, Image(channels=channels, pixels=height * width), planes),
        runs=runs, starts=starts, cells=window.cells[0] * window.cells[1],
        padded=target.padded if planes == 1 else len(weight[0]),
        repeats=window.cell[0] * window.cell[1], exponent=exponent,
    )  # fmt: skip


def _lay_out_dense(synapse: Dense, source: Image, target: Image, exponent: int) -> Layout | None:
    n_out = target.padded * target.pixels
    if n_out * synapse.n_in > MOST_WEIGHTS:
        return None
    weight = np.zeros((1, n_out, synapse.n_in), dtype=np.int64)
    used = np.zeros((1, n_out, 1), dtype=np.bool_)
    pixel_first = np.arange(source.n).reshape(source.channels, source.pixels).T.reshape(-1)
    weight[0, target.places()] = synapse.weight[:, pixel_first]
    used[0, target.places()] = True
    return _packed(
        weight, np.broadcast_to(used, weight.shape),
        source=source,
        reader=read_all(source),
        runs=np.array([[0, 1, 0]], dtype=np.int32), starts=np.array([0, 1]), cells=1,
        padded=n_out, repeats=1, exponent=exponent,
    )  # fmt: skip


def as_conv(synapse: Conv | Pool) -> Conv:
    """Return a pool as the convolution that it is."""
    if isinstance(synapse, Conv):
        return synapse
    channels = synapse.in_shape[0]
    return Conv(
        weight=np.full((channels, 1, *synapse.kernel), synapse.weight),
        in_shape=synapse.in_shape,
        stride=synapse.stride,
        padding=synapse.padding,
        groups=channels,
    )


def merged_groups(conv: Conv, target: Image) -> int:
    """Return how many groups to merge: the fewest that fill whole blocks, else all of them."""
    c_group = len(conv.weight) // conv.groups
    if target.padded == target.channels:
        for width in (64, 32):
            n = width // gcd(width, c_group)
            if conv.groups % n == 0:
                return n
    return conv.groups


def window_of(conv: Conv) -> Window:
    """Return the window of a convolution, on the largest cells of equal weights."""
    kernel = (int(conv.weight.shape[2]), int(conv.weight.shape[3]))
    cell = tuple(
        _repeats(np.moveaxis(conv.weight, axis, 0), conv.stride[k], conv.padding[k])
        if conv.dilation[k] == 1
        else 1
        for k, axis in enumerate((2, 3))
    )
    return Window(
        image=conv.in_shape[1:],
        cell=(cell[0], cell[1]),
        kernel=(kernel[0] // cell[0], kernel[1] // cell[1]),
        stride=(conv.stride[0] // cell[0], conv.stride[1] // cell[1]),
        padding=(conv.padding[0] // cell[0], conv.padding[1] // cell[1]),
        dilation=conv.dilation,
        out=conv.out_shape[1:],
    )


def _repeats(weight: IntArray, stride: int, padding: int) -> int:
    """Return how often every entry along the first axis comes in a row, for cells that fit."""
    fits = gcd(gcd(len(weight), stride), padding)
    for r in range(fits, 1, -1):
        if fits % r == 0 and np.array_equal(weight, np.repeat(weight[::r], r, axis=0)):
            return r
    return 1


def merge(kernel: IntArray, planes: int, merged: int) -> tuple[IntArray, AnyArray]:
    """Return weights [planes, merged outputs, kH, kW, merged inputs] and which of them exist."""
    c_out, c_group, k_h, k_w = kernel.shape
    c_part = c_out // (planes * merged)
    grouped = kernel.reshape(planes, merged, c_part, c_group, k_h, k_w)
    shape = (planes, merged, c_part, k_h, k_w, merged, c_group)
    weight, used = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.bool_)
    for k in range(merged):
        weight[:, k, :, :, :, k] = grouped[:, k].transpose(0, 1, 3, 4, 2)
        used[:, k, :, :, :, k] = True
    flat = (planes, merged * c_part, k_h, k_w, merged * c_group)
    return weight.reshape(flat), used.reshape(flat)


def list_runs(window: Window, c_in: int) -> tuple[AnyArray, IntArray]:
    """Return the runs of every target pixel: one per kernel row, or per place if it is dilated."""
    n_rows, n_columns = window.cells
    joined = window.dilation[1] == 1
    width = window.kernel[1] if joined else 1
    y, i, x, j = np.meshgrid(
        *(np.arange(n) for n in (
            window.out[0], window.kernel[0], window.out[1], 1 if joined else window.kernel[1]
        )), indexing="ij",
    )  # fmt: skip
    row = y * window.stride[0] - window.padding[0] + i * window.dilation[0]
    first = x * window.stride[1] - window.padding[1] + j * window.dilation[1]
    start, stop = np.clip(first, 0, n_columns), np.clip(first + width, 0, n_columns)
    base = (first - i * window.kernel[1] - j) * c_in
    runs = np.stack([row * n_columns + start, row * n_columns + stop, base], axis=-1)
    exists = (row >= 0) & (row < n_rows) & (start < stop)
    by_pixel = (0, 2, 1, 3)
    listed = runs.transpose(*by_pixel, 4)[exists.transpose(by_pixel)]
    per_pixel = exists.transpose(by_pixel).sum(axis=(2, 3)).reshape(-1)
    return listed.astype(np.int32), np.concatenate([[0], np.cumsum(per_pixel)])


def read_cells(window: Window, image: Image, planes: int) -> Reader:
    """Return the reader of an image: plane by plane, cell by cell, pixel by pixel."""
    pixels = np.arange(image.pixels)
    y, x = np.divmod(pixels, window.image[1])
    column = x // window.cell[1]
    cell = y // window.cell[0] * window.cells[1] + column
    order = np.argsort(cell, kind="stable")
    c_in = image.channels // planes
    counts = np.bincount(cell, minlength=window.cells[0] * window.cells[1])
    words, masks, bases, sizes = [], [], [], []
    for plane in range(planes):
        first, last = plane * c_in, (plane + 1) * c_in
        seen = np.arange(first // WORD, -(-last // WORD))
        words.append((order[:, None] * image.words + seen).reshape(-1))
        masks.append(np.tile(_masks(seen, first, last), len(order)))
        bases.append((column[order][:, None] * c_in + seen * WORD - first).reshape(-1))
        sizes.append(counts * len(seen))
    return Reader(
        cells=np.concatenate([[0], np.cumsum(np.concatenate(sizes))]),
        words=np.concatenate(words).astype(np.int32),
        masks=np.concatenate(masks),
        bases=np.concatenate(bases).astype(np.uint32),
    )


def read_all(image: Image) -> Reader:
    """Return the reader of an image as one cell, spikes numbered pixel * channels + channel."""
    first = np.repeat(np.arange(image.pixels) * image.channels, image.words)
    within = np.tile(np.arange(image.words) * WORD, image.pixels)
    n = image.pixels * image.words
    return Reader(
        cells=np.array([0, n]),
        words=np.arange(n, dtype=np.int32),
        masks=np.full(n, (1 << WORD) - 1, dtype=np.uint64),
        bases=(first + within).astype(np.uint32),
    )


def _masks(words: IntArray, first: int, last: int) -> AnyArray:
    """Return which bits of some words are channels first .. last."""
    bits = words[:, None] * WORD + np.arange(WORD)
    inside = ((bits >= first) & (bits < last)).astype(np.uint64)
    masks: AnyArray = (inside << np.arange(WORD, dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
    return masks


def fit_weights(
    weight: IntArray, used: AnyArray, exponent: int
) -> tuple[AnyArray, int, int] | None:
    """Return (w, scale, zero) with weight = scale * w + zero where used, w in int8; or None."""
    values = weight[used]
    scale = max(1, int(np.gcd.reduce(values, initial=0)))
    low, high = int(values.min(initial=0)) // scale, int(values.max(initial=0)) // scale
    zero = 0 if low >= -128 and high <= 127 else low + 128
    if high - zero > 127 or scale >= 1 << 15 or abs(exponent) > 30:
        return None
    fitted = np.where(used, weight // scale - zero, -zero)
    if fitted.min(initial=0) < -128 or fitted.max(initial=0) > 127:
        return None
    return fitted, scale, zero * scale


def _packed(
    weight: IntArray, used: AnyArray, *, source: Image, reader: Reader, runs: AnyArray,
    starts: IntArray, cells: int, padded: int, repeats: int, exponent: int,
) -> Layout | None:  # fmt: skip
    """Return the layout with weights [planes, outputs, rows] in blocks, if they fit."""
    planes, n_out, rows = weight.shape
    fitted = fit_weights(weight, used, exponent)
    if fitted is None:
        return None
    small, scale, zero = fitted
    most = rows * repeats
    if (most * (128 * scale + abs(zero))) << max(exponent, 0) >= 1 << 31:
        return None
    lanes = 2 if padded % 64 == 0 else 1
    full = np.full((planes, padded, rows), -zero // scale)
    full[:, :n_out] = small
    sums = np.stack([np.maximum(full, 0).sum(axis=2), np.maximum(-full, 0).sum(axis=2)])
    is_safe = int(sums.max(initial=0)) * repeats < 1 << 15
    blocks = full.reshape(planes, -1, 32 * lanes, rows).transpose(0, 1, 3, 2)
    return Layout(
        source=source, reader=reader, runs=runs, starts=starts, cells=cells,
        weights=pack_pairs(blocks), rows=rows, most=most,
        safe=1 << 62 if is_safe else SAFE_ROWS,
        scaling=(scale, zero, max(exponent, 0), max(-exponent, 0)),
        lanes=lanes, planes=planes, blocks=padded // (32 * lanes), pixels=len(starts) - 1,
    )  # fmt: skip


def pack_pairs(blocks: IntArray) -> AnyArray:
    """Return weights [..., width] as words [..., width / 2] of two, flat, on a cache line's start."""
    low, high = np.split(blocks, 2, axis=-1)
    words = (256 * high + low + LOW_BIAS).astype(np.int16).reshape(-1)
    room = np.empty(len(words) + 32, dtype=np.int16)
    start = -room.ctypes.data % 64 // 2
    room[start : start + len(words)] = words
    return room[start : start + len(words)]
