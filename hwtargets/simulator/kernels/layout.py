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

from hwtargets.simulator.kernels.images import WORD, Image, Reader, Window, read_all, read_cells
from hwtargets.simulator.kernels.weights import fit_weights, merge, pack_pairs
from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.ranges import shifted
from snndeploy.ir.synapses import Conv, Dense, Pool

MOST_WEIGHTS = 1 << 26
"""Weights that are laid out for one projection, zeros between merged groups included."""
GROUP = 4
"""Rows are added so many at a time."""
PART_BYTES = 40 << 10
"""Weights of a block that are used together. Somewhat more than a first cache of 32 KB holds is
faster than more parts, each of which takes every sum up again."""
SAFE_ROWS = 252
"""Rows of int8 whose sum fits 16 bits whatever they hold, in whole groups: 255 * 128 < 2^15."""
ONE_PART_BYTES = 52 << 10
"""Weights of a block that are not divided into parts."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Layout:
    """A projection ready for `gather.advance`; see `gather.Gather` for what is not said here.

    Attributes:
        source: the arrangement of the source's neurons that the reader takes.
        pixels: of the target as this projection sees it; a dense one sees one pixel.
        starts: [pixels * parts + 1]: part i has runs starts[i] .. starts[i + 1].
        lanes: width of a block in units of 32 channels.
        planes, blocks: groups of targets, and blocks of each.
        largest: bound of what arrives.
    """

    source: Image
    reader: Reader
    runs: AnyArray
    starts: IntArray
    parts: int
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
    largest: int


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
    conv = synapse.as_conv if isinstance(synapse, Pool) else synapse
    merged = merged_groups(conv, target)
    if conv.weight.size * merged > MOST_WEIGHTS:
        return None
    window = window_of(conv)
    kernel = conv.weight[:, :, :: window.cell[0], :: window.cell[1]]
    weight, used = merge(kernel, conv.groups // merged, merged)
    planes, n_out, _, _, c_in = weight.shape
    channels, height, width = conv.in_shape
    padded = target.padded if planes == 1 else n_out
    runs, starts, parts, each = list_runs(window, c_in, part_rows(padded, weight[0, 0].size))
    return _packed(
        weight.reshape(planes, n_out, -1),
        used if used is None else used.reshape(planes, n_out, -1),
        source=Image(channels=channels, pixels=height * width),
        reader=read_cells(window, Image(channels=channels, pixels=height * width), planes),
        runs=runs, starts=starts, parts=parts, each=each, cells=window.cells[0] * window.cells[1],
        padded=padded,
        repeats=window.cell[0] * window.cell[1], exponent=exponent,
    )  # fmt: skip


def _lay_out_dense(synapse: Dense, source: Image, target: Image, exponent: int) -> Layout | None:
    n_out = target.padded * target.pixels
    if n_out * synapse.n_in > MOST_WEIGHTS:
        return None
    weight: AnyArray = np.zeros((1, n_out, synapse.n_in), dtype=np.int64)
    pixel_first = np.arange(source.n).reshape(source.channels, source.pixels).T.reshape(-1)
    used = None
    if n_out == synapse.n_out and source.pixels == target.pixels == 1:
        weight = synapse.weight[None]
    else:
        weight[0, target.places()] = synapse.weight[:, pixel_first]
        used = np.zeros(weight.shape, dtype=np.bool_)
        used[0, target.places()] = True
    at_once = part_rows(n_out, synapse.n_in)
    parts = -(-synapse.n_in // at_once)
    at_once = -(-synapse.n_in // (parts * WORD)) * WORD
    reader = read_all(source, at_once)
    parts = len(reader.cells) - 1
    cell = np.arange(parts)
    return _packed(
        weight,
        used,
        source=source, reader=reader,
        runs=np.stack([cell, cell + 1, np.zeros_like(cell)], axis=1).astype(np.int32),
        starts=np.arange(parts + 1), parts=parts, each=at_once, cells=parts,
        padded=n_out, repeats=1, exponent=exponent,
    )  # fmt: skip


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


def part_rows(padded: int, rows: int) -> int:
    """Return how many rows of weights of a block are used together."""
    row = 64 if padded % 64 == 0 else 32
    return (ONE_PART_BYTES if rows * row <= ONE_PART_BYTES else PART_BYTES) // row


def list_runs(window: Window, c_in: int, at_once: int) -> tuple[AnyArray, IntArray, int, int]:
    """Return the runs of every target pixel, where those of each of its parts start, and the parts.

    A run is a row of the kernel; one place, if the kernel is dilated or its rows have too many
    weights to be used at once. Parts are as many runs as can be.
    """
    k_h, k_w = window.kernel
    joined = window.dilation[1] == 1 and k_w * c_in <= at_once
    width, places = (k_w, 1) if joined else (1, k_w)
    y, x, i, j = np.indices((*window.out, k_h, places)).reshape(4, -1)
    row = y * window.stride[0] - window.padding[0] + i * window.dilation[0]
    first = x * window.stride[1] - window.padding[1] + j * window.dilation[1]
    n_rows, n_columns = window.cells
    start, stop = np.clip(first, 0, n_columns), np.clip(first + width, 0, n_columns)
    exists = (row >= 0) & (row < n_rows) & (start < stop)
    base = (first - i * k_w - j) * c_in
    runs = np.stack([row * n_columns + start, row * n_columns + stop, base], axis=1)
    together = max(1, at_once // (width * c_in))
    parts = -(-k_h * places // together)
    part = (y * window.out[1] + x) * parts + (i * places + j) // together
    sizes = np.bincount(part[exists], minlength=window.out[0] * window.out[1] * parts)
    return (
        runs[exists].astype(np.int32),
        np.concatenate([[0], np.cumsum(sizes)]),
        parts,
        together * width * c_in,
    )


def _packed(
    weight: IntArray, used: AnyArray | None, *, source: Image, reader: Reader, runs: AnyArray,
    starts: IntArray, parts: int, each: int, cells: int, padded: int, repeats: int, exponent: int,
) -> Layout | None:  # fmt: skip
    """Return the layout with weights [planes, outputs, rows] in blocks, if they fit."""
    planes, n_out, rows = weight.shape
    fitted = fit_weights(weight, used)
    if fitted is None or abs(exponent) > 30:
        return None
    small, scale, zero = fitted
    most = rows * repeats
    largest = (most * scale * (128 + abs(zero))) << max(exponent, 0)
    if largest >= 1 << 31:
        return None
    lanes = 2 if padded % 64 == 0 else 1
    wide = np.full((planes, padded, rows + 1), -zero, dtype=np.int32)
    wide[:, :n_out, :rows] = small
    sums = [
        (np.abs(part.sum(axis=2)) + np.abs(part).sum(axis=2)).max(initial=0) // 2
        for part in (wide[:, :, k : k + each] for k in range(0, rows, each))
    ]
    spread = np.abs(wide).sum(axis=2)
    most_added = int((spread + abs(zero) * rows).max(initial=0))
    return Layout(
        source=source, reader=reader, runs=runs, starts=starts, parts=parts, cells=cells,
        weights=pack_pairs(wide.reshape(planes, -1, 32 * lanes, rows + 1)), rows=rows + 1,
        most=most + GROUP * parts,
        safe=1 << 40 if 2 * max(sums) * repeats < 1 << 15 else SAFE_ROWS,
        scaling=(scale, zero * scale, max(exponent, 0), max(-exponent, 0)),
        lanes=lanes, planes=planes, blocks=padded // (32 * lanes),
        pixels=(len(starts) - 1) // parts,
        largest=shifted(scale * repeats * most_added, exponent),
    )  # fmt: skip
