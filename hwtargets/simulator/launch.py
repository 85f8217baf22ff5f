"""Layouts, neurons and spikes as the kernels take them."""

from itertools import accumulate

import numpy as np

from hwtargets.simulator.kernels.arguments import Frames, Gather, Lists, Neurons
from hwtargets.simulator.kernels.events import SLACK, count_bits, list_events
from hwtargets.simulator.kernels.images import Image, Reader
from hwtargets.simulator.kernels.layout import Layout
from hwtargets.simulator.kernels.listing import Listing
from hwtargets.simulator.kernels.scatter import Scatter
from hwtargets.simulator.kernels.weights import aligned
from hwtargets.simulator.plan import Stage
from hwtargets.simulator.workers import Workers
from snndeploy.ir.arrays import AnyArray

NOTHING = np.empty(0, dtype=np.int32)
CROWDED_BITS = 3
"""Bits per word from which on they are listed byte by byte."""


def list_frames(
    bits: AnyArray, reader: Reader, workers: Workers, *, per_window: int, first: int
) -> Lists:
    """Return the event lists of frames bits [n, words]; those of a range end in a gap."""
    bits = np.ascontiguousarray(bits)
    parts = workers.ranges(len(bits))
    counts = [count_bits(bits[first:stop].reshape(-1)) for first, stop in parts]
    places = list(accumulate((n + SLACK for n in counts), initial=0))
    crowded = sum(counts) > CROWDED_BITS * bits.size
    starts = np.empty((len(reader.cells), len(bits)), dtype=np.int32)
    events = np.empty(places[-1], dtype=np.uint32)

    def fill(k: int) -> None:
        list_events(
            bits, reader.cells, reader.words, reader.masks, reader.bases, starts, events,
            *parts[k], places[k], crowded,
        )  # fmt: skip

    workers.map(fill, range(len(parts)))
    return Lists(starts=starts, events=events, per_window=per_window, first=first)


def gather_of(laid: Layout, lag: int) -> Gather:
    """Return a layout as the kernel takes it."""
    return Gather(
        runs=laid.runs, starts=laid.starts, parts=laid.parts, cells=laid.cells,
        weights=laid.weights, rows=laid.rows,
        most=laid.most, safe=laid.safe, scaling=laid.scaling, lag=lag,
    )  # fmt: skip


def scatter_of(laid: Listing, lag: int) -> Scatter:
    """Return listed synapses as the kernel takes them, with sums of their own."""
    return Scatter(
        rows=laid.rows, synapses=laid.synapses, sums=np.empty(laid.places, dtype=laid.sum_dtype),
        scaling=laid.scaling, lag=lag,
    )  # fmt: skip


def masks_of(image: Image) -> tuple[int, int]:
    """Return how many masks of 16 spikes a frame and a pixel have."""
    return 4 * image.words, image.stride // 16


def in_blocks(frames: Frames, laid: Layout) -> Frames:
    """Return the same steps for the blocks of a layout."""
    return frames._replace(pixels=laid.pixels, planes=laid.planes, blocks=laid.blocks)


def with_states(stage: Stage, n_carried: int, n_logged: int) -> Neurons:
    """Return a population's neurons with room for states and logs."""
    assert stage.neurons is not None
    if not n_carried and not n_logged:
        return stage.neurons
    n = stage.image.pixels * stage.image.padded
    return stage.neurons._replace(
        u=aligned(n_carried * n, np.int32), v=aligned(n_carried * n, np.int32),
        carried=int(n_carried > 0),
        log_u=np.zeros(n_logged * n, dtype=np.int32), log_v=np.zeros(n_logged * n, dtype=np.int32),
    )  # fmt: skip


NO_NEURONS = Neurons(
    keep=(0, 0), threshold=NOTHING, bias=NOTHING, per_pixel=0, per_block=0, calm=0, idles=0,
    u=NOTHING, v=NOTHING, carried=0, log_u=NOTHING, log_v=NOTHING,
)  # fmt: skip
"""Of the right types."""
