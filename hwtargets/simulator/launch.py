"""Layouts, neurons and spikes as the kernels take them."""

import numpy as np

from hwtargets.simulator.kernels.arguments import Frames, Gather, Lists, Neurons
from hwtargets.simulator.kernels.events import SLACK, count_bits, list_events
from hwtargets.simulator.kernels.images import Reader
from hwtargets.simulator.kernels.layout import Layout
from hwtargets.simulator.kernels.listing import Listing
from hwtargets.simulator.kernels.scatter import Scatter
from hwtargets.simulator.kernels.weights import aligned
from hwtargets.simulator.lif import INT32_MAX
from hwtargets.simulator.plan import Stage
from snndeploy.ir.arrays import AnyArray

NOTHING = np.empty(0, dtype=np.int32)


def list_frames(bits: AnyArray, reader: Reader, *, per_window: int, first: int) -> Lists:
    """Return the event lists of frames bits [n, words]."""
    starts = np.empty((len(reader.cells), len(bits)), dtype=np.int32)
    bits = np.ascontiguousarray(bits)
    events = np.empty(count_bits(bits.reshape(-1)) + SLACK, dtype=np.uint32)
    list_events(
        bits, reader.cells, reader.words, reader.masks, reader.bases, starts, events
    )  # fmt: skip
    return Lists(starts=starts, events=events, per_window=per_window, first=first)


def gather_of(laid: Layout, lag: int) -> Gather:
    """Return a layout as the kernel takes it."""
    return Gather(
        runs=laid.runs, starts=laid.starts, parts=laid.parts, cells=laid.cells,
        weights=laid.weights, rows=laid.rows,
        most=laid.most, safe=laid.safe, scaling=laid.scaling, lag=lag,
    )  # fmt: skip


def scatter_of(laid: Listing, lag: int) -> Scatter:
    """Return listed synapses as the kernel takes them."""
    return Scatter(
        rows=laid.rows, synapses=laid.synapses, sums=laid.sums, scaling=laid.scaling, lag=lag
    )


def in_blocks(frames: Frames, laid: Layout) -> Frames:
    """Return the same steps for the blocks of a layout."""
    return frames._replace(pixels=laid.pixels, planes=laid.planes, blocks=laid.blocks)


def neurons_of(stage: Stage, n_carried: int, n_logged: int) -> Neurons:
    """Return a population's neurons as the kernel takes them, with room for states and logs."""
    fixed, image = stage.lif, stage.image
    assert fixed is not None
    n = image.pixels * image.padded
    per_pixel = max(len(fixed.threshold), len(fixed.bias)) > 1

    def spread(values: AnyArray, beyond: int) -> AnyArray:
        spread = aligned((image.pixels if per_pixel else 1) * image.padded, np.int32)
        wide = spread.reshape(-1, image.padded)
        wide[:] = beyond
        if per_pixel:
            full = np.broadcast_to(values, (image.n,))
            wide[:, : image.channels] = full.reshape(image.channels, image.pixels).T
        else:
            wide[:, : image.channels] = values
        return spread

    return Neurons(
        keep=(int(fixed.keep_u[0]), int(fixed.keep_v[0])),
        threshold=spread(fixed.threshold, INT32_MAX), bias=spread(fixed.bias, 0),
        per_pixel=int(per_pixel),
        u=aligned(n_carried * n or image.padded, np.int32),
        v=aligned(n_carried * n or image.padded, np.int32),
        carried=int(n_carried > 0),
        log_u=np.zeros(n_logged * n, dtype=np.int32), log_v=np.zeros(n_logged * n, dtype=np.int32),
    )  # fmt: skip


def no_neurons() -> Neurons:
    """Return nothing, of the right types."""
    return Neurons(
        keep=(0, 0), threshold=NOTHING, bias=NOTHING, per_pixel=0, u=NOTHING, v=NOTHING,
        carried=0, log_u=NOTHING, log_v=NOTHING,
    )  # fmt: skip


def no_gather() -> Gather:
    """Return a projection that brings nothing, of the right types."""
    return Gather(
        runs=np.empty((0, 3), dtype=np.int32), starts=np.zeros(1, dtype=np.int64), parts=0, cells=0,
        weights=np.empty(0, dtype=np.int16), rows=0, most=0, safe=0, scaling=(1, 0, 0, 0), lag=0,
    )  # fmt: skip


def no_lists() -> Lists:
    """Return lists of nothing, of the right types."""
    return Lists(
        starts=np.zeros((1, 0), dtype=np.int32), events=np.empty(0, dtype=np.uint32),
        per_window=0, first=0,
    )  # fmt: skip
