"""Neurons in classes, and where the bits of a class are, so that spikes are counted class by class.

Words of 64 bits whose neurons are of the same classes, bit by bit, form a group: their spikes are
counted together: for each bit first in how many words it is set, then class by class.
"""

from dataclasses import dataclass, field

import numpy as np

from hwtargets.simulator.kernels.images import WORD, Image
from snndeploy.ir.arrays import AnyArray, IntArray


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Groups:
    """Words of an image by group; see `kernels.counting.tally_groups`.

    Attributes:
        starts: int64 [groups + 1]: group i has words starts[i] .. starts[i + 1].
        words: uint32, numbers of the words of a frame.
        labels: int32 [groups, 64]: class of each bit, -1 where there is no neuron.
        firsts: int64 [groups + 1]: group i has classes firsts[i] .. firsts[i + 1] of the next two.
        classes: int32; masks: uint64, their bits in the words.
    """

    starts: IntArray
    words: AnyArray
    labels: AnyArray
    firsts: IntArray
    classes: AnyArray
    masks: AnyArray


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Labels:
    """The class of every neuron.

    Attributes:
        of: int32 [neurons].
        n_classes: classes are 0 .. n_classes - 1, each of which has a neuron.
        groups: by image, as they are needed.
    """

    of: AnyArray
    n_classes: int
    groups: dict[Image, Groups] = field(default_factory=dict)

    @property
    def sizes(self) -> IntArray:
        """Neurons of each class."""
        return np.bincount(self.of, minlength=self.n_classes)

    def in_image(self, image: Image) -> Groups:
        """Return where the bits of the classes are in an image of these neurons."""
        if image not in self.groups:
            self.groups[image] = group_words(self.of, image)
        return self.groups[image]

    def count(self, spikes: AnyArray) -> IntArray:
        """Return how many neurons of each class spike [F, classes] in frames [F, neurons]."""
        order = np.argsort(self.of, kind="stable")
        firsts = np.searchsorted(self.of[order], np.arange(self.n_classes))
        active = (spikes != 0)[:, order]
        found: IntArray = np.add.reduceat(active, firsts, axis=1, dtype=np.int64)
        return found


def group_words(labels: AnyArray, image: Image) -> Groups:
    """Return the words of an image in groups of equal classes."""
    by_bit = np.full(image.words * WORD, -1, dtype=np.int32)
    by_bit[image.bits()] = labels
    kinds, kind = np.unique(by_bit.reshape(-1, WORD), axis=0, return_inverse=True)
    found = [np.unique(kind[kind >= 0]) for kind in kinds]
    bit = np.uint64(1) << np.arange(WORD, dtype=np.uint64)
    masks = [
        bit[kinds[k] == label].sum(dtype=np.uint64) for k, of in enumerate(found) for label in of
    ]
    return Groups(
        starts=np.concatenate([[0], np.cumsum(np.bincount(kind.reshape(-1)))]),
        words=np.argsort(kind.reshape(-1), kind="stable").astype(np.uint32),
        labels=kinds,
        firsts=np.cumsum([0, *map(len, found)]),
        classes=np.concatenate(found).astype(np.int32),
        masks=np.array(masks, dtype=np.uint64),
    )
