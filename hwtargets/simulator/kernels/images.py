"""Where neurons are among bits and lists: images, windows over them, readers of their spikes."""

from dataclasses import dataclass

import numpy as np

from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.synapses import Pair

WORD = 64


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


def read_all(image: Image, at_once: int) -> Reader:
    """Return the reader of an image, spikes numbered pixel * channels + channel.

    Cells are as many words as have `at_once` neurons.
    """
    first = np.repeat(np.arange(image.pixels) * image.channels, image.words)
    within = np.tile(np.arange(image.words) * WORD, image.pixels)
    n = image.pixels * image.words
    cell = (first + within) // at_once
    return Reader(
        cells=np.concatenate([[0], np.cumsum(np.bincount(cell))]),
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
