"""Synaptic sums and neurons of one population over all steps of many windows.

For every target pixel and step the spikes it sees are a few runs of consecutive events, one per
row of the kernel. They are written down once as numbers of weight rows; then, for every block of
channels, the rows are added up in registers and the neurons take their step. Neither the sums nor
the states of a step go to memory.

Blocks are 32 * len(lanes) channels wide. The rows of a tile of pixels are listed together, so that
a block's weights stay in the cache while the whole tile uses them.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from hwtargets.simulator.kernels.layout import SAFE_ROWS
from hwtargets.simulator.kernels.vector import (
    ESCAPED,
    GROUP,
    add_rows,
    copy_run,
    scale_sums,
    update_lif,
)
from snndeploy.ir.arrays import AnyArray

TILE_ROWS = 1 << 15
"""Weight rows listed at a time: 128 KB."""
TILE_PIXELS = 256
SLOTS = 64
"""Sums of pixels and steps under way: 16 KB for 64 channels."""
ROW_SLACK = 64
"""Words written beyond the end of a list."""


class Gather(NamedTuple):
    """A projection laid out for the kernel.

    A weight is scale * w + zero with w in int8; a sum is shifted left, then floored right.

    Attributes:
        runs: int32 [n, 3]: first cell, one past the last, what an event's number exceeds its row by.
        starts: int64 [pixels * parts + 1]: part i of the pixels has runs starts[i] .. starts[i + 1].
        parts: of a pixel: runs whose weights are used together.
        cells: of one plane, a group of input channels.
        weights: int16, flat [planes, blocks, rows, width / 2], two channels per word.
        rows: weight rows of a block, the last one empty.
        most: rows that a pixel can ask for in one step.
        safe: rows that may be added in 16 bits.
        scaling: (scale, zero, left, right).
        lag: steps between a spike and its arrival.
    """

    runs: AnyArray
    starts: AnyArray
    parts: int
    cells: int
    weights: AnyArray
    rows: int
    most: int
    safe: int
    scaling: tuple[int, int, int, int]
    lag: int


class Lists(NamedTuple):
    """Event lists of a source: step k of window w is column w * per_window + k - first of `starts`."""

    starts: AnyArray
    events: AnyArray
    per_window: int
    first: int


class Neurons(NamedTuple):
    """Parameters of `lif` laid out for the kernel, and where states go.

    Attributes:
        keep: (keep_u, keep_v) in 1/4096.
        threshold, bias: int32, flat [pixels or 1, channels padded to blocks].
        per_pixel: 1 if they differ from pixel to pixel, else 0.
        u, v: int32, flat: states [windows, pixels, channels], or [channels] if none is carried on.
        carried: 1 if states go on from an earlier call, else 0.
        log_u, log_v: int32, flat [windows, steps, pixels, channels], or empty.
    """

    keep: tuple[int, int]
    threshold: AnyArray
    bias: AnyArray
    per_pixel: int
    u: AnyArray
    v: AnyArray
    carried: int
    log_u: AnyArray
    log_v: AnyArray


class Frames(NamedTuple):
    """Which windows and steps to run.

    Attributes:
        live: int64 [windows, 2]: the steps of each that exist, from and to.
        steps: of a window.
        first, stop: the steps to run.
        reset: the step at whose start states are cleared, besides step 0.
        pixels, planes, blocks: of the target; a plane is a group of output channels.
        words: of 64 bits per pixel.
    """

    live: AnyArray
    steps: int
    first: int
    stop: int
    reset: int
    pixels: int
    planes: int
    blocks: int
    words: int


@njit(nogil=True, cache=True)
def advance(
    lanes: tuple[int, ...], gather: Gather, lists: Lists, neurons: Neurons, frames: Frames,
    arrived: AnyArray, sent: AnyArray, fires: bool,
) -> int:  # pragma: no cover  # fmt: skip
    """Run some steps of a population; return how many v were clipped, and ESCAPED.

    Args:
        lanes: a tuple as long as the width of a block in units of 32 channels.
        arrived: int32, flat [windows, steps, pixels, channels]: what other projections brought;
            empty if nothing.
        sent: uint16, flat [windows, steps, pixels, 4 * words]: the spikes, filled.
        fires: whether neurons run; else sums are added to `arrived` for a later call.
    """
    width = 32 * len(lanes)
    n_steps = frames.stop - frames.first
    n_items = frames.live.shape[0] * frames.pixels
    rows = np.empty(TILE_ROWS + gather.most * n_steps + ROW_SLACK, dtype=np.uint32)
    bounds = np.zeros((TILE_PIXELS, max(1, gather.parts), n_steps + 1), dtype=np.int32)
    together = max(1, SLOTS // n_steps)
    room = np.zeros((together * n_steps + 2) * width + 16, dtype=np.int32)
    aligned = -room.ctypes.data % 64 // 4
    acc = room[aligned : aligned + width]
    sums = room[aligned + width :]
    clips = escaped = 0
    for plane in range(frames.planes):
        first = 0
        while first < n_items:
            stop = list_tile(gather, lists, frames, plane, first, rows, bounds)
            for block in range(plane * frames.blocks, (plane + 1) * frames.blocks):
                for start in range(first, stop, together):
                    end = min(start + together, stop)
                    tile = bounds[start - first : end - first]
                    if gather.parts > 1:
                        add_parts(lanes, gather, frames, start, block, rows, tile, sums)
                    for item in range(start, end):
                        left = run_block(
                            lanes, gather, neurons, frames, item, block, rows,
                            tile[item - start], (item - start) * n_steps + 1, sums, acc,
                            arrived, sent, fires,
                        )  # fmt: skip
                        clips += left & (ESCAPED - 1)
                        escaped |= left & ESCAPED
            first = stop
    return clips | escaped


@njit(nogil=True, cache=True)
def list_tile(
    gather: Gather, lists: Lists, frames: Frames, plane: int, first: int,
    rows: AnyArray, bounds: AnyArray,
) -> int:  # pragma: no cover  # fmt: skip
    """List the weight rows of pixels first .. of all windows until the tile is full; return its end.

    bounds[i, j, k] says where in `rows` those of part j of step frames.first + k of pixel first + i
    begin.
    """
    n_items = frames.live.shape[0] * frames.pixels
    stop = min(n_items, first + TILE_PIXELS)
    at = 0
    for item in range(first, stop):
        if at > TILE_ROWS:
            return item
        window, pixel = item // frames.pixels, item % frames.pixels
        live, end = frames.live[window]
        for part in range(gather.parts):
            here = bounds[item - first, part]
            for k in range(max(live, frames.first), min(end, frames.stop)):
                here[k - frames.first] = at
                if k >= gather.lag:
                    frame = window * lists.per_window + k - gather.lag - lists.first
                    at = list_part(
                        gather, lists, frame, plane, pixel * gather.parts + part, rows, at
                    )
                here[k - frames.first + 1] = at
    return stop


@njit(nogil=True, cache=True, inline="always")
def list_part(
    gather: Gather, lists: Lists, frame: int, plane: int, part: int, rows: AnyArray, at: int
) -> int:  # pragma: no cover
    """List the weight rows of one part of a pixel in one frame from `at` on; return their end.

    The last row of a block, which is empty, fills the last group.
    """
    shift = plane * gather.cells
    first = at
    for r in range(gather.starts[part], gather.starts[part + 1]):
        start = lists.starts[shift + gather.runs[r, 0], frame]
        stop = lists.starts[shift + gather.runs[r, 1], frame]
        at += copy_run(lists.events, start, stop, np.int64(gather.runs[r, 2]), rows, at)
    for k in range(GROUP):
        rows[at + k] = gather.rows - 1
    return first + (at - first + GROUP - 1) // GROUP * GROUP


@njit(nogil=True, cache=True, inline="always")
def add_parts(
    lanes: tuple[int, ...], gather: Gather, frames: Frames, first: int, block: int,
    rows: AnyArray, bounds: AnyArray, sums: AnyArray,
) -> None:  # pragma: no cover  # fmt: skip
    """Add up the rows of some pixels from `first` on, part by part of the weights.

    Args:
        bounds: of these pixels; see `list_tile`.
        sums: slot 0 is zero, then there is one per pixel and step.
    """
    origin = block * gather.rows * 16 * len(lanes)
    n_steps = frames.stop - frames.first
    for part in range(gather.parts):
        for i in range(bounds.shape[0]):
            live, end = frames.live[(first + i) // frames.pixels]
            for k in range(
                max(live, frames.first) - frames.first, min(end, frames.stop) - frames.first
            ):
                slot = i * n_steps + k + 1
                add_safely(
                    lanes, gather, rows, bounds[i, part, k], bounds[i, part, k + 1], origin, sums,
                    slot if part else 0, slot,
                )  # fmt: skip


@njit(nogil=True, cache=True, inline="always")
def add_safely(
    lanes: tuple[int, ...], gather: Gather, rows: AnyArray, first: int, last: int, origin: int,
    sums: AnyArray, before: int, after: int,
) -> None:  # pragma: no cover  # fmt: skip
    """Add rows[first:last], so many at a time that their sum fits 16 bits."""
    stop = min(last, first + gather.safe)
    add_rows(lanes, rows, first, stop, gather.weights, origin, sums, before, after)
    while stop < last:
        first, stop = stop, min(last, stop + gather.safe)
        add_rows(lanes, rows, first, stop, gather.weights, origin, sums, after, after)


@njit(nogil=True, cache=True, inline="always")
def run_block(
    lanes: tuple[int, ...], gather: Gather, neurons: Neurons, frames: Frames, item: int, block: int,
    rows: AnyArray, bounds: AnyArray, slot: int, sums: AnyArray, acc: AnyArray,
    arrived: AnyArray, sent: AnyArray, fires: bool,
) -> int:  # pragma: no cover  # fmt: skip
    """Run the steps of one block of channels of one pixel; return how many v were clipped, and ESCAPED."""
    width = 32 * len(lanes)
    channels = width * frames.blocks * frames.planes
    window, pixel = item // frames.pixels, item % frames.pixels
    live, end = frames.live[window]
    origin = block * gather.rows * (width // 2)
    fixed = pixel * neurons.per_pixel * channels + block * width
    state = item * neurons.carried * channels + block * width
    keep_u, keep_v = neurons.keep
    clips = escaped = 0
    for k in range(max(live, frames.first), min(end, frames.stop)):
        frame = (window * frames.steps + k) * frames.pixels + pixel
        here = frame * channels + block * width
        step = k - frames.first
        n, at = 0, slot + step
        if gather.parts == 1:
            first, last = bounds[0, step], bounds[0, step + 1]
            n, at = last - first, 1
            add_safely(lanes, gather, rows, first, last, origin, sums, 0, 1)
        elif gather.scaling[1]:
            for part in range(gather.parts):
                n += bounds[part, step + 1] - bounds[part, step]
        scaling = gather.scaling
        if not fires or len(arrived):
            scale_sums(lanes, sums, at, n, scaling, acc)
            if not fires:
                for j in range(width):
                    arrived[here + j] += acc[j]
                continue
            for j in range(width):
                acc[j] += arrived[here + j]
            scaling = (1, 0, 0, 0)
        source, at = (acc, 0) if len(arrived) else (sums, at)
        if k in (0, live, frames.reset):
            neurons.u[state : state + width] = 0
            neurons.v[state : state + width] = 0
        word = frame * frames.words * 4 + block * (width // 16)
        if keep_u or len(neurons.log_u):
            left = update_lif(
                lanes, (0, 0, 0), source, at, n, scaling, neurons.keep, neurons.u, neurons.v, state,
                neurons.threshold, neurons.bias, fixed, sent, word,
            )  # fmt: skip
        elif keep_v < 4096:
            left = update_lif(
                lanes, (0, 0), source, at, n, scaling, neurons.keep, neurons.u, neurons.v, state,
                neurons.threshold, neurons.bias, fixed, sent, word,
            )  # fmt: skip
        else:
            left = update_lif(
                lanes, (0,), source, at, n, scaling, neurons.keep, neurons.u, neurons.v, state,
                neurons.threshold, neurons.bias, fixed, sent, word,
            )  # fmt: skip
        clips += left & (ESCAPED - 1)
        escaped |= left & ESCAPED
        if len(neurons.log_u):
            neurons.log_u[here : here + width] = neurons.u[state : state + width]
            neurons.log_v[here : here + width] = neurons.v[state : state + width]
    return clips | escaped
