"""Which neurons take part in a step: those that any spike reaches with a stored synapse.

Images are looked at in bits, frames side by side in whole words, borders included: what a kernel
reaches is its source's bits, shifted and joined.
"""

from dataclasses import dataclass
from math import prod
from typing import assert_never

import numpy as np

from hwtargets.simulator.fanout import geometry
from hwtargets.simulator.sent import ROW_TYPES, packed_rows
from snndeploy.ir.arrays import AnyArray, BoolArray, IntArray
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse

WORD = 64


def touched(synapse: Synapse, active: BoolArray, *, kernels: bool = False) -> BoolArray:
    """Return which targets active classes [F, classes] reach with a stored synapse.

    `kernels` says whether compiled kernels may run, which take long to load.

    The answer [F, groups, pixels] holds for all channels of a group of targets at a pixel; it is
    [F, 1, 1] for a dense layer and [F, n_out, 1] for listed synapses.
    """
    match synapse:
        case Dense():
            return active[:, :, None]
        case Sparse():
            return _listed_touched(synapse, active, kernels=kernels)[:, :, None]
        case OneToOne():
            return active[:, :, None]
        case Conv() | Pool():
            return _image_touched(synapse, active)
        case _:
            assert_never(synapse)


def _image_touched(synapse: Conv | Pool, active: BoolArray) -> BoolArray:
    """Mark the places of each group whose window holds an active source."""
    frame = _frame_of(synapse)
    words = _reached(synapse, frame, active)
    bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")
    return bits.view(np.bool_)[:, frame.places].reshape(len(active), *frame.places.shape[:1], -1)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Frame:
    """Bits of an image with its borders, padded to whole words, row by row where that is fast.

    Attributes:
        shape: groups, rows, columns with borders.
        n: bits.
        places: bit of the first source of each target's window [groups, targets].
    """

    shape: tuple[int, int, int]
    n: int
    places: IntArray


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Places:
    """How the neurons of each slice that an image reaches are counted.

    Attributes:
        masks: uint64 [masks, words]: bits of the same number of neurons in some slice.
        sizes: that number, 0 in other slices [rows, masks].
    """

    synapse: Conv | Pool
    frame: Frame
    masks: AnyArray
    sizes: IntArray

    @property
    def in_rows(self) -> bool:
        """Whether `count_rows` may be used."""
        return _has_rows(self.synapse, self.frame)

    def count(self, active: BoolArray) -> IntArray:
        """Return how many neurons of each slice active classes [F, classes] reach [rows, F]."""
        words = _reached(self.synapse, self.frame, active)
        found = [np.bitwise_count(words & mask).sum(axis=1, dtype=np.int64) for mask in self.masks]
        counted: IntArray = self.sizes @ np.stack(found)
        return counted

    def count_rows(self, active: AnyArray) -> IntArray:
        """Return what `count` does, of active rows [F, groups * rows]; compiled."""
        from hwtargets.simulator.kernels.counting import tally_places

        groups, kernel, dilation = geometry(self.synapse)
        masks = self.masks.reshape(len(self.masks), groups, -1)
        found = np.zeros((len(masks), len(active)), dtype=np.int64)
        tally_places(
            active.reshape(len(active), groups, -1), *self.synapse.padding, kernel, dilation,
            self.synapse.stride[0], masks, found,
        )  # fmt: skip
        counted: IntArray = self.sizes @ found
        return counted


def places(synapse: Conv | Pool, sizes: IntArray) -> Places:
    """Return how neurons are counted: `sizes` of each class of targets in each slice [rows, n]."""
    frame = _frame_of(synapse)
    where: dict[bytes, int] = {}
    counts: list[tuple[int, int, int]] = []
    for row, mine in enumerate(sizes):
        for size in np.unique(mine[mine > 0]):
            flags = np.zeros(frame.n, dtype=np.bool_)
            flags[frame.places.reshape(-1)[mine == size]] = True
            mask = np.packbits(flags, bitorder="little").tobytes()
            counts.append((row, where.setdefault(mask, len(where)), int(size)))
    table = np.zeros((len(sizes), len(where)), dtype=np.int64)
    for row, mask_number, size in counts:
        table[row, mask_number] = size
    masks = np.frombuffer(b"".join(where), dtype=np.uint64).reshape(len(where), -1)
    return Places(synapse=synapse, frame=frame, masks=masks, sizes=table)


def _frame_of(synapse: Conv | Pool) -> Frame:
    """Return how an image's bits lie."""
    groups, _, _ = geometry(synapse)
    (_, height, width), (_, out_h, out_w) = synapse.in_shape, synapse.out_shape
    (p_h, p_w), (s_h, s_w) = synapse.padding, synapse.stride
    pitch = width + 2 * p_w
    if ROW_TYPES.get(width) and pitch <= WORD:
        pitch = WORD
    shape = (groups, height + 2 * p_h, pitch)
    group, y, x = np.indices((groups, out_h, out_w))
    first = (group * shape[1] + y * s_h) * shape[2] + x * s_w
    n = -(-groups * shape[1] * shape[2] // WORD) * WORD
    return Frame(shape=shape, n=n, places=first.reshape(groups, -1))


def _reached(synapse: Conv | Pool, frame: Frame, active: BoolArray) -> AnyArray:
    """Return bits [F, words], uint64, set where a window with an active source begins.

    Frames are end to end: a shift of all is one long operation, what it mixes up is no place.
    """
    _, kernel, dilation = geometry(synapse)
    _, height, width = synapse.in_shape
    p_h, p_w = synapse.padding
    rows = _in_rows(synapse, frame, active)
    if rows is not None:
        words: AnyArray = np.zeros((len(active), *frame.shape[:2]), dtype=np.uint64)
        words[:, :, p_h : p_h + height] = rows
        words = words.reshape(-1) << np.uint64(p_w)
    else:
        flags = np.zeros((len(active), frame.n), dtype=np.bool_)
        images = flags[:, : prod(frame.shape)].reshape(-1, *frame.shape)
        here = images[:, :, p_h : p_h + height, p_w : p_w + width]
        here[:] = active.reshape(here.shape)
        words = np.packbits(flags.reshape(-1), bitorder="little").view(np.uint64)
    words = _joined(words, kernel[0], dilation[0] * frame.shape[2])
    return _joined(words, kernel[1], dilation[1]).reshape(len(active), -1)


def _in_rows(synapse: Conv | Pool, frame: Frame, active: BoolArray) -> AnyArray | None:
    """Return flags as a number per row [F, groups, rows]; None if rows are not so wide."""
    if not _has_rows(synapse, frame):
        return None
    height, width = synapse.in_shape[1:]
    return packed_rows(active, width).reshape(len(active), -1, height)


def _has_rows(synapse: Conv | Pool, frame: Frame) -> bool:
    """Return whether a row of the image is a number, and with its borders a word."""
    return frame.shape[2] == WORD and synapse.in_shape[2] in ROW_TYPES


def _joined(words: AnyArray, taps: int, step: int) -> AnyArray:
    """Return which of bits i, i + step, … of so many taps is set, for every i."""
    found, joined = words, 1
    while joined < taps:
        more = min(joined, taps - joined)
        found = found | _later(found, more * step)
        joined += more
    return found


def _later(words: AnyArray, n: int) -> AnyArray:
    """Return bits i + n for every i, zeros beyond the end."""
    skipped, shift = divmod(n, WORD)
    later = np.zeros_like(words)
    if skipped >= len(words):
        return later
    kept = words[skipped:]
    later[: len(kept)] = kept >> np.uint64(shift) if shift else kept
    if shift:
        later[: len(kept) - 1] |= kept[1:] << np.uint64(WORD - shift)
    return later


def _listed_touched(synapse: Sparse, active: BoolArray, *, kernels: bool) -> BoolArray:
    """Join the active frames, a bit each, of every row's sources."""
    words = _frames_as_bits(active)
    reached = np.zeros((len(words), synapse.n_out), dtype=np.uint64)
    filled = np.flatnonzero(np.diff(synapse.indptr))
    if kernels:
        from hwtargets.simulator.kernels.counting import find_touched

        find_touched(words, synapse.indptr, synapse.indices, reached)
    elif len(filled):
        flags = words[:, synapse.indices]
        reached[:, filled] = np.bitwise_or.reduceat(flags, synapse.indptr[filled], axis=1)
    by_byte = reached.view(np.uint8).reshape(len(words), synapse.n_out, 8).swapaxes(1, 2)
    bits = np.unpackbits(by_byte.reshape(-1, synapse.n_out), axis=0, bitorder="little")
    return bits[: len(active)].view(np.bool_)


def _frames_as_bits(active: BoolArray) -> AnyArray:
    """Return flags [F, n] as words [ceil(F / 64), n], bit f % 64 of word f // 64 being frame f."""
    n_frames, n = active.shape
    padded = np.zeros((-(-n_frames // 64) * 64, n), dtype=np.bool_)
    padded[:n_frames] = active
    by_byte = np.packbits(padded, axis=0, bitorder="little").reshape(-1, 8, n).swapaxes(1, 2)
    words: AnyArray = np.ascontiguousarray(by_byte).view(np.uint64)[:, :, 0]
    return words
