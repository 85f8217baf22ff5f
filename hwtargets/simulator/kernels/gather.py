"""Synaptic sums and neurons of one population over all steps of many windows.

For every target pixel and step the spikes it sees are a few runs of consecutive events, one per
row of the kernel. They are written down once as numbers of weight rows; then, for every block of
channels, the rows are added up in registers and the neurons take their step. Neither the sums nor
the states of a step go to memory.

Blocks are 32 * len(lanes) channels wide. The rows of a tile of pixels are listed together, so that
a block's weights stay in the cache while the whole tile uses them.
"""

import numpy as np
from numba import njit

from hwtargets.simulator.kernels.arguments import Frames, Gather, Lists, Neurons
from hwtargets.simulator.kernels.neuron import update_lif
from hwtargets.simulator.kernels.rows import add_rows, list_rows, scale_sums
from hwtargets.simulator.kernels.vector import ESCAPED, GROUP
from snndeploy.ir.arrays import AnyArray

TILE_ROWS = 1 << 15
"""Weight rows listed at a time: 128 KB."""
TILE_PIXELS = 256
SLOTS = 128
"""Sums of pixels and steps under way: 32 KB for 64 channels."""
ROW_SLACK = 64
"""Words written beyond the end of a list."""


@njit(nogil=True, cache=True)
def advance(
    lanes: tuple[int, ...], gather: Gather, lists: Lists, neurons: Neurons, frames: Frames,
    arrived: AnyArray, sent: AnyArray, fires: bool,
) -> int:  # pragma: no cover  # fmt: skip
    """Run some steps of some items of a population; return how many v were clipped, and ESCAPED.

    Args:
        lanes: a tuple as long as the width of a block in units of 32 channels.
        arrived: int32, flat [windows, steps, pixels, channels]: what other projections brought;
            empty if nothing.
        sent: uint16, flat [windows, steps, masks of a frame]: the spikes, filled.
        fires: whether neurons run; else sums are added to `arrived` for a later call.
    """
    width = 32 * len(lanes)
    n_steps = frames.stop - frames.first
    fills = GROUP * gather.parts * n_steps
    most = min(gather.most * n_steps, len(lists.events) + fills)  # a pixel sees a spike once
    rows = np.empty(TILE_ROWS + most + ROW_SLACK, dtype=np.uint32)
    bounds = np.zeros((TILE_PIXELS, gather.parts, n_steps + 1), dtype=np.int32)
    together = max(1, SLOTS // n_steps)
    sums = zeros((together * n_steps + 2) * width)
    u, v = neurons.u, neurons.v
    if not neurons.carried:
        channels = width * frames.blocks * frames.planes
        u, v = zeros(channels), zeros(channels)
    clips = escaped = 0
    for plane in range(frames.planes):
        first = frames.items[0]
        while first < frames.items[1]:
            stop = list_tile(gather, lists, frames, plane, first, rows, bounds)
            left = run_tile(
                lanes, gather, neurons, frames, plane, first, stop, rows, bounds, sums, u, v,
                arrived, sent, fires,
            )  # fmt: skip
            clips += left & (ESCAPED - 1)
            escaped |= left & ESCAPED
            first = stop
    return clips | escaped


@njit(nogil=True, cache=True)
def zeros(n: int) -> AnyArray:  # pragma: no cover
    """Return n zeros, int32, that start where a cache line does."""
    room = np.zeros(n + 16, dtype=np.int32)
    start = -room.ctypes.data % 64 // 4
    return room[start : start + n]


@njit(nogil=True, cache=True)
def kind_of(
    neurons: Neurons, scaling: tuple[int, int, int, int]
) -> tuple[int, tuple[int, int, int, int]]:  # pragma: no cover
    """Return the length of `kind` and the scaling with which `update_lif` runs neurons."""
    scale, zero, left, right = scaling
    if neurons.calm == 0 or right or len(neurons.log_u):
        return 3, scaling
    return 2 if neurons.keep[1] < 4096 else 1, (scale << left + 6, zero << left + 6, 0, 0)


@njit(nogil=True, cache=True, inline="always")
def step_block(
    kind: int, lanes: tuple[int, ...], sums: AnyArray, slot: int, n: int,
    scaling: tuple[int, int, int, int], keep: tuple[int, int], u: AnyArray, v: AnyArray,
    state: int, threshold: AnyArray, bias: AnyArray, fixed: int, sent: AnyArray, word: int,
) -> int:  # pragma: no cover  # fmt: skip
    """Do as `update_lif` does with neurons of the kind that `kind_of` says."""
    left: int
    if kind == 3:
        left = update_lif(
            lanes, (0, 0, 0), sums, slot, n, scaling, keep, u, v, state, threshold, bias, fixed,
            sent, word,
        )  # fmt: skip
    elif kind == 2:
        left = update_lif(
            lanes, (0, 0), sums, slot, n, scaling, keep, u, v, state, threshold, bias, fixed,
            sent, word,
        )  # fmt: skip
    else:
        left = update_lif(
            lanes, (0,), sums, slot, n, scaling, keep, u, v, state, threshold, bias, fixed,
            sent, word,
        )  # fmt: skip
    return left


@njit(nogil=True, cache=True)
def list_tile(
    gather: Gather, lists: Lists, frames: Frames, plane: int, first: int,
    rows: AnyArray, bounds: AnyArray,
) -> int:  # pragma: no cover  # fmt: skip
    """List the weight rows of pixels first .. of all windows till the tile is full; return its end.

    bounds[i, j, k] says where in `rows` those of part j of step frames.first + k of pixel first + i
    begin.
    """
    stop: int = min(frames.items[1], first + TILE_PIXELS)
    n_frames, shift = lists.starts.shape[1], plane * gather.cells
    at = 0
    for item in range(first, stop):
        if at > TILE_ROWS:
            stop = item
            break
        window, pixel = item // frames.pixels, item % frames.pixels
        live, end = frames.live[window]
        begin, until = max(live, frames.first), min(end, frames.stop)
        for part in range(gather.parts if begin < until else 0):
            mine = pixel * gather.parts + part
            span = gather.starts[mine], gather.starts[mine + 1]
            bounds[item - first, part, begin - frames.first] = at
            for k in range(begin, until):
                if k >= gather.lag:
                    frame = window * lists.per_window + k - gather.lag - lists.first
                    at = list_rows(
                        lists.events, lists.starts, n_frames, frame, gather.runs, span, shift,
                        gather.rows - 1, rows, at,
                    )  # fmt: skip
                bounds[item - first, part, k - frames.first + 1] = at
    return stop


@njit(nogil=True, cache=True)
def run_tile(  # noqa: C901 - one loop nest, for the sake of what stays in registers
    lanes: tuple[int, ...], gather: Gather, neurons: Neurons, frames: Frames, plane: int,
    first: int, stop: int, rows: AnyArray, bounds: AnyArray, sums: AnyArray, u: AnyArray,
    v: AnyArray, arrived: AnyArray, sent: AnyArray, fires: bool,
) -> int:  # pragma: no cover  # fmt: skip
    """Run pixels first .. stop of all windows block by block; see `advance`.

    A few pixels at a time, the rows of all their steps are added part by part of the weights, each
    sum in a slot of its own; a projection of one part adds them as the neurons need them.

    Args:
        bounds: see `list_tile`.
        sums: int32, flat [slots, width]: slot 0 is zero, the others are filled.
        u, v: the states, see `Neurons`.
    """
    width = 32 * len(lanes)
    channels = width * frames.blocks * frames.planes
    steps, pixels, reset = frames.steps, frames.pixels, frames.reset
    begin, n_steps = frames.first, frames.stop - frames.first
    weights, parts, safe, scaling = gather.weights, gather.parts, gather.safe, gather.scaling
    threshold, bias = neurons.threshold, neurons.bias
    log_u, log_v, keep = neurons.log_u, neurons.log_v, neurons.keep
    per_block, carried, spans = neurons.per_block * width, neurons.carried, frames.live
    per_pixel = neurons.per_pixel * channels
    idles = neurons.idles == 1 and len(arrived) == 0 and len(log_u) == 0
    kind, factors = kind_of(neurons, (1, 0, 0, 0) if len(arrived) else scaling)
    together = max(1, SLOTS // n_steps)
    has_more = len(arrived) > 0
    spare = together * n_steps + 1
    clips = escaped = 0
    for block in range(plane * frames.blocks, (plane + 1) * frames.blocks):
        origin = block * gather.rows * (width // 2)
        for start in range(first, stop, together):
            end = min(start + together, stop)
            for part in range(parts if parts > 1 else 0):
                for item in range(start, end):
                    window = item // pixels
                    for k in range(
                        max(spans[window, 0] - begin, 0), min(spans[window, 1] - begin, n_steps)
                    ):
                        slot = (item - start) * n_steps + k + 1
                        at, last = bounds[item - first, part, k], bounds[item - first, part, k + 1]
                        middle = min(last, at + safe)
                        before = slot if part else 0
                        add_rows(lanes, rows, at, middle, weights, origin, sums, before, slot)
                        while middle < last:
                            at, middle = middle, min(last, middle + safe)
                            add_rows(lanes, rows, at, middle, weights, origin, sums, slot, slot)
            for item in range(start, end):
                window, pixel = item // pixels, item % pixels
                live = spans[window, 0]
                fixed = pixel * per_pixel + block * per_block
                state = item * carried * channels + block * width
                for k in range(max(live - begin, 0), min(spans[window, 1] - begin, n_steps)):
                    starts_over = begin + k == 0 or begin + k == live or begin + k == reset
                    if idles and not starts_over:
                        spikes = 0
                        for part in range(parts):
                            spikes += bounds[item - first, part, k + 1]
                            spikes -= bounds[item - first, part, k]
                        if spikes == 0:
                            continue
                    frame = (window * steps + begin + k) * pixels + pixel
                    here = frame * channels + block * width
                    n, slot = 0, (item - start) * n_steps + k + 1
                    if parts == 1:
                        at, last = bounds[item - first, 0, k], bounds[item - first, 0, k + 1]
                        n, slot = last - at, 1
                        middle = min(last, at + safe)
                        add_rows(lanes, rows, at, middle, weights, origin, sums, 0, 1)
                        while middle < last:
                            at, middle = middle, min(last, middle + safe)
                            add_rows(lanes, rows, at, middle, weights, origin, sums, 1, 1)
                    elif scaling[1]:
                        for part in range(parts):
                            n += bounds[item - first, part, k + 1] - bounds[item - first, part, k]
                    if has_more:
                        scale_sums(lanes, sums, slot, n, scaling, spare)
                        slot = spare
                        for j in range(width):
                            sums[spare * width + j] += arrived[here + j]
                        if not fires:
                            for j in range(width):
                                arrived[here + j] = sums[spare * width + j]
                            continue
                    if starts_over:
                        for j in range(width):
                            u[state + j] = 0
                            v[state + j] = 0
                    word = (window * steps + begin + k) * frames.masks[0]
                    word += pixel * frames.masks[1] + block * (width // 16)
                    left = step_block(
                        kind, lanes, sums, slot, n, factors, keep, u, v, state,
                        threshold, bias, fixed, sent, word,
                    )  # fmt: skip
                    clips += left & (ESCAPED - 1)
                    escaped |= left & ESCAPED
                    if len(log_u):
                        for j in range(width):
                            log_u[here + j] = u[state + j]
                            log_v[here + j] = v[state + j]
    return clips | escaped


@njit(nogil=True, cache=True)
def run_neurons(
    lanes: tuple[int, ...], neurons: Neurons, frames: Frames, arrived: AnyArray, sent: AnyArray
) -> int:  # pragma: no cover
    """Run the neurons of some steps and items on what has arrived; see `advance`."""
    width = 32 * len(lanes)
    channels = width * frames.blocks
    threshold, bias, keep = neurons.threshold, neurons.bias, neurons.keep
    log_u, log_v = neurons.log_u, neurons.log_v
    kind, factors = kind_of(neurons, (1, 0, 0, 0))
    u, v = neurons.u, neurons.v
    if not neurons.carried:
        u, v = zeros(channels), zeros(channels)
    clips = escaped = 0
    for item in range(frames.items[0], frames.items[1]):
        window, pixel = item // frames.pixels, item % frames.pixels
        live, end = frames.live[window]
        state = item * neurons.carried * channels
        for k in range(max(live, frames.first), min(end, frames.stop)):
            if k == 0 or k == live or k == frames.reset:
                u[state : state + channels], v[state : state + channels] = 0, 0
            frame = window * frames.steps + k
            here = (frame * frames.pixels + pixel) * channels
            word = frame * frames.masks[0] + pixel * frames.masks[1]
            for block in range(frames.blocks):
                at = block * width
                fixed = pixel * neurons.per_pixel * channels + at * neurons.per_block
                left = step_block(
                    kind, lanes, arrived, (here + at) // width, 0, factors, keep, u, v,
                    state + at, threshold, bias, fixed, sent, word + at // 16,
                )  # fmt: skip
                clips += left & (ESCAPED - 1)
                escaped |= left & ESCAPED
            if len(log_u):
                log_u[here : here + channels] = u[state : state + channels]
                log_v[here : here + channels] = v[state : state + channels]
    return clips | escaped
