"""Where neurons are among bits and lists: images, windows over them, readers of their spikes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.synapses import Pair

WORD = 64


@dataclass(frozen=True, kw_only=True)
class Image:
    """How a node's neurons are arranged: neuron = channel * pixels + pixel.

    A frame of spikes is 64-bit words, pixel after pixel: channel c of pixel p is bit
    p * stride + c of them.
    """

    channels: int
    pixels: int

    @cached_property
    def stride(self) -> int:
        """Bits of a pixel: no word is shared but by whole pixels of 8, 16 or 32."""
        narrow = (width for width in (8, 16) if self.channels <= width and self.pixels > 1)
        return next(narrow, self.padded)

    @cached_property
    def words(self) -> int:
        """64-bit words of a frame."""
        return -(-self.pixels * self.stride // WORD)

    @cached_property
    def padded(self) -> int:
        """Channels in whole blocks: one of 32, or as many of 64 as it takes."""
        return 32 if self.channels <= 32 else -(-self.channels // WORD) * WORD

    @property
    def n(self) -> int:
        return self.channels * self.pixels

    def places(self) -> IntArray:
        """Return where each neuron is among pixels x padded channels [n]."""
        channel, pixel = np.divmod(np.arange(self.n), self.pixels)
        return np.asarray(pixel * self.padded + channel)

    def bits(self) -> IntArray:
        """Return which bit of a frame is each neuron's [n]."""
        channel, pixel = np.divmod(np.arange(self.n), self.pixels)
        return np.asarray(pixel * self.stride + channel)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Reader:
    """How spikes become event lists; see `events.list_events`."""

    cells: IntArray
    words: AnyArray
    masks: AnyArray
    bases: AnyArray

    @classmethod
    def of(cls, cells: IntArray, words: IntArray, masks: AnyArray, bases: IntArray) -> "Reader":
        """Return a reader; it needs no masks if it reads no word twice."""
        is_whole = len(np.unique(words)) == len(words)
        return cls(
            cells=cells, words=words.astype(np.uint32), masks=masks[: 0 if is_whole else None],
            bases=bases.astype(np.uint32),  # modulo 2^32
        )  # fmt: skip


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
        word, shift = np.divmod(order[:, None] * image.stride, WORD)
        words.append((word + seen).reshape(-1))
        masks.append((_masks(seen, first, last) << shift.astype(np.uint64)).reshape(-1))
        number = column[order][:, None] * c_in + seen * WORD - first
        bases.append((number - shift).reshape(-1))
        sizes.append(counts * len(seen))
    return Reader.of(
        cells=np.concatenate([[0], np.cumsum(np.concatenate(sizes))]),
        words=np.concatenate(words),
        masks=np.concatenate(masks),
        bases=np.concatenate(bases),
    )


def read_all(image: Image, at_once: int) -> Reader:
    """Return the reader of an image, spikes numbered pixel * channels + channel.

    Cells are as many words as have `at_once` neurons.
    """
    if image.channels == image.stride:  # no bit between two pixels is unused
        image = Image(channels=image.n, pixels=1)
    seen = np.arange(-(-image.channels // WORD))
    word, shift = np.divmod(np.arange(image.pixels)[:, None] * image.stride, WORD)
    first = np.arange(image.pixels)[:, None] * image.channels + seen * WORD
    masks = _masks(seen, 0, image.channels) << shift.astype(np.uint64)
    return Reader.of(
        cells=np.concatenate([[0], np.cumsum(np.bincount((first // at_once).reshape(-1)))]),
        words=(word + seen).reshape(-1),
        masks=masks.reshape(-1),
        bases=(first - shift).reshape(-1),
    )


def _masks(words: IntArray, first: int, last: int) -> AnyArray:
    """Return which bits of some words are channels first .. last."""
    bits = words[:, None] * WORD + np.arange(WORD)
    inside = ((bits >= first) & (bits < last)).astype(np.uint64)
    masks: AnyArray = (inside << np.arange(WORD, dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
    return masks
