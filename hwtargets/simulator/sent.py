"""What a node sent in the windows of a chunk: as bits for the kernels, as numbers for the rest."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwtargets.simulator.deliver import exact_dtype
from hwtargets.simulator.kernels.images import WORD, Image
from hwtargets.simulator.labels import Labels
from snndeploy.ir.arrays import AnyArray, BoolArray, IntArray

ROW_TYPES = {8: np.uint8, 16: np.uint16, 32: np.uint32}
"""Rows of an image that are numbers once they are packed."""


@dataclass(eq=False, slots=True)
class Sent:
    """Spikes in one form or both; the other is made when it is asked for.

    Attributes:
        shape: (windows, steps, neurons).
        image: how the bits are arranged.
        bits: uint64 [windows, steps, words], None for what is not 0 or 1 or not yet known.
        values: [windows, steps, neurons]: float32 0 and 1, or integers.
        others: bits in other arrangements; `counted`: spikes per class, `labelled`: per class of
            `Labels`; `windows`: those in which anything was sent. Once all steps have run: none of
            them changes any more.
        awake: windows in which anything may have been sent; None: any.
    """

    shape: tuple[int, int, int]
    image: Image
    bits: AnyArray | None = None
    values: AnyArray | None = None
    others: dict[Image, AnyArray] = field(default_factory=dict)
    counted: dict[tuple[int, int], IntArray] = field(default_factory=dict)
    labelled: dict[Labels, AnyArray] = field(default_factory=dict)
    windows: BoolArray | None = None
    awake: BoolArray | None = None

    @classmethod
    def silent(cls, windows: int, steps: int, image: Image) -> "Sent":
        """Return a node that sends nothing; its bits take no memory and are not to be set."""
        shape = (windows, steps, image.words)
        bits: AnyArray = np.ndarray(shape, dtype=np.uint64, buffer=bytes(8), strides=(0, 0, 0))
        return cls(
            shape=(windows, steps, image.n), image=image, bits=bits,
            windows=np.zeros(windows, dtype=np.bool_),
        )  # fmt: skip

    def as_values(self) -> AnyArray:
        """Return numbers [windows, steps, neurons]."""
        if self.values is None:
            from hwtargets.simulator.kernels.events import unpack

            assert self.bits is not None
            frames = np.zeros((self.shape[0] * self.shape[1], self.shape[2]), dtype=np.float32)
            unpack(self._frames(), self.image.pixels, self.image.stride, frames)
            self.values = frames.reshape(self.shape)
        return self.values

    def as_bits(self, image: Image) -> AnyArray:
        """Return bits arranged as another image of the same neurons."""
        if self.bits is not None and image == self.image:
            return self.bits
        if image not in self.others:
            self.others[image] = packed(self.as_values(), image)[0]
        return self.others[image]

    def bits_of_step(self, image: Image, step: int) -> AnyArray:
        """Return the bits of one step as an image [windows, words], while later steps still run."""
        if self.bits is not None and image == self.image:
            return self.bits[:, step]
        now = slice(step, step + 1)
        one = Sent(
            shape=(self.shape[0], 1, self.shape[2]),
            image=self.image,
            bits=None if self.bits is None else self.bits[:, now],
            values=None if self.bits is not None or self.values is None else self.values[:, now],
        )
        return one.as_bits(image)[:, 0]

    def per_class(self, groups: int, pixels: int) -> IntArray:
        """Return spikes per frame and class [windows * steps, groups * pixels].

        A class is the channels of one group at one pixel; a single class is all neurons.
        """
        key = (groups, pixels)
        if key not in self.counted:
            self.counted[key] = self._count(groups, pixels)
        return self.counted[key]

    def _count(self, groups: int, pixels: int) -> IntArray:
        n_frames = self.shape[0] * self.shape[1]
        if self.bits is not None and groups == 1 and pixels in (1, self.image.pixels):
            numbers = self._frames() if pixels == 1 else self.by_pixel()
            found: IntArray = (
                np.bitwise_count(numbers).reshape(n_frames, pixels, -1).sum(axis=2, dtype=np.int64)
            )
            return found
        active = self.as_values().reshape(n_frames, groups, -1, pixels) != 0
        return np.asarray(active.sum(axis=2, dtype=np.int64)).reshape(n_frames, groups * pixels)

    def active(self, groups: int, pixels: int) -> BoolArray:
        """Return which classes of `per_class` send anything [windows * steps, groups * pixels]."""
        key = (groups, pixels)
        if self.bits is not None and self.image.pixels == 1 and groups == 1 and pixels % 64 == 0:
            by_byte = self._active_pixels(pixels).view(np.uint8)
            return np.unpackbits(by_byte, axis=1, bitorder="little").view(np.bool_)
        known = key in self.counted or self.bits is None
        if known or groups > 1 or pixels not in (1, self.image.pixels):
            return np.asarray(self.per_class(groups, pixels) > 0)
        if pixels == 1:
            return np.asarray(self._frames().any(axis=1, keepdims=True))
        flags = (self.by_pixel() != 0).reshape(self.shape[0] * self.shape[1], pixels, -1)
        return np.asarray(flags.any(axis=2) if flags.shape[2] > 1 else flags[:, :, 0])

    def active_rows(self, groups: int, pixels: int, width: int) -> AnyArray:
        """Return `active` as a number of `width` bits per row [windows * steps, groups * rows]."""
        if self.bits is not None and self.image.pixels == 1 and groups == 1 and pixels % 64 == 0:
            return self._active_pixels(pixels).view(ROW_TYPES[width])
        return packed_rows(self.active(groups, pixels), width)

    def _active_pixels(self, pixels: int) -> AnyArray:
        """Return a bit for each pixel that sends anything, of bits that come neuron by neuron."""
        assert self.bits is not None
        words = self._frames().reshape(self.shape[0] * self.shape[1], -1, pixels // 64)
        return np.asarray(np.bitwise_or.reduce(words, axis=1))

    def per_label(self, labels: Labels) -> AnyArray:
        """Return spikes per frame and class [windows * steps, classes], in a type to multiply."""
        if labels not in self.labelled:
            self.labelled[labels] = self._count_labels(labels)
        return self.labelled[labels]

    def _count_labels(self, labels: Labels) -> AnyArray:
        n_frames, dtype = self.shape[0] * self.shape[1], exact_dtype(self.shape[2])
        if self.bits is None:
            return labels.count(self.as_values().reshape(n_frames, -1)).astype(dtype)
        from hwtargets.simulator.kernels.counting import tally_groups

        groups = labels.in_image(self.image)
        found = np.zeros((n_frames, labels.n_classes), dtype=dtype)
        tally_groups(
            self._frames(), groups.starts, groups.words, groups.labels, groups.firsts,
            groups.classes, groups.masks, found,
        )  # fmt: skip
        return found

    def _frames(self) -> AnyArray:
        """Return the bits of all windows one after the other [windows * steps, words]."""
        assert self.bits is not None
        return np.ascontiguousarray(self.bits).reshape(-1, self.image.words)

    def by_pixel(self) -> AnyArray:
        """Return the bits, a view if they are set, as unsigned [windows, steps, pixels]."""
        assert self.bits is not None
        image, bits = self.image, np.ascontiguousarray(self.bits)  # those of silence are not
        if image.stride > WORD:
            return bits.reshape(*bits.shape[:2], image.pixels, -1)
        return bits.view(f"u{image.stride // 8}")[:, :, : image.pixels]

    def spikes(self, frames: slice) -> tuple[IntArray, IntArray]:
        """Return (frame, neuron) of every spike of some frames, in their order."""
        if self.bits is None:
            at, neurons = np.nonzero(self.as_values().reshape(-1, self.shape[2])[frames])
            return at, neurons
        from hwtargets.simulator.kernels.events import count_bits, list_neurons

        bits, image = self._frames()[frames], self.image
        stops = np.empty(len(bits), dtype=np.int64)
        neurons = np.empty(count_bits(bits.reshape(-1)), dtype=np.int64)
        list_neurons(bits, image.channels, image.pixels, image.stride, neurons, stops)
        return np.repeat(np.arange(len(bits)), np.diff(stops, prepend=0)), neurons

    @property
    def is_silent(self) -> bool:
        """Whether nothing was sent."""
        return not any(self.in_windows().tolist())  # a few flags: numpy takes longer to begin

    def in_windows(self) -> BoolArray:
        """Return in which windows anything was sent."""
        windows = self.windows
        if windows is None:
            windows = self.windows = self._find_windows()
        return windows

    def _find_windows(self) -> BoolArray:
        if self.bits is None:
            assert self.values is not None
            return np.asarray(self.values.reshape(len(self.values), -1).any(axis=1))
        from hwtargets.simulator.kernels.counting import has_bits

        found = np.ones(len(self.bits), dtype=np.bool_) if self.awake is None else self.awake.copy()
        has_bits(np.ascontiguousarray(self.bits).reshape(len(self.bits), -1), found)
        return found

    def any_from(self, step: int) -> bool:
        """Return whether anything was sent from a step of a window on."""
        known = self.values if self.bits is None else self.bits
        assert known is not None
        return bool(known[:, step:].any())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:  # noqa: FBT001
        """Return the numbers, for numpy."""
        return np.array(self.as_values(), dtype=dtype, copy=copy)


def packed(values: AnyArray, image: Image) -> tuple[AnyArray, bool]:
    """Return numbers [a, b, neurons] as bits [a, b, words], and if all were 0 or 1."""
    from hwtargets.simulator.kernels.events import pack

    bits = np.zeros((*values.shape[:2], image.words), dtype=np.uint64)
    frames = np.ascontiguousarray(values).reshape(-1, values.shape[2])
    channels, pixels, stride = image.channels, image.pixels, image.stride
    return bits, bool(pack(frames, channels, pixels, stride, bits.reshape(-1, image.words)))


def packed_rows(flags: BoolArray, width: int) -> AnyArray:
    """Return flags [F, rows * width] as a number per row [F, rows], of as many bits."""
    bits = np.packbits(flags.reshape(-1), bitorder="little")
    return bits.view(ROW_TYPES[width]).reshape(len(flags), -1)
