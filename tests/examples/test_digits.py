"""The split is fixed and stratified; saccades make the events that the motion says."""

import hashlib

import digits
import numpy as np
import pytest


@pytest.fixture(scope="module")
def split():
    return digits.load_digits()


def bar():
    """A bright vertical bar, two pixels wide."""
    images = np.zeros((1, 1, 28, 28), dtype=np.float32)
    images[..., 8:20, 13:15] = 1.0
    return images


def test_split_is_stratified_and_disjoint(split):
    assert split.train_images.shape == (4000, 1, 28, 28)
    assert split.test_images.shape == (1000, 1, 28, 28)
    assert split.train_images.dtype == np.float32
    assert (split.train_images.min(), split.train_images.max()) == (0.0, 1.0)
    assert np.bincount(split.train_labels).tolist() == [400] * 10
    assert np.bincount(split.test_labels).tolist() == [100] * 10
    seen = {image.tobytes() for image in split.train_images}
    assert not any(image.tobytes() in seen for image in split.test_images)


def test_split_never_changes(split):
    digest = hashlib.sha256(split.test_images.tobytes() + split.test_labels.tobytes())
    assert digest.hexdigest()[:16] == "434ba81972c0d974"


def test_path_closes_and_swings_about_the_middle():
    path = np.array(digits.saccade_path())
    assert path.shape == (digits.EVENT_STEPS + 1, 2)
    assert (path[0] == path[-1]).all()
    assert (path.min(0) == -path.max(0)).all()


def test_a_pixel_never_sends_both_polarities(split):
    events = digits.saccade_events(split.test_images[:50])
    assert events.shape == (12, 50, 2, 28, 28)
    assert events.dtype == np.uint8
    assert set(np.unique(events)) == {0, 1}
    assert not (events[:, :, 0] & events[:, :, 1]).any()


def test_a_bar_that_moves_left_is_on_ahead_and_off_behind():
    events = digits.saccade_events(bar())
    last = events[-1, 0, :, 14]  # the third saccade moves left by one pixel per step
    on, off = np.flatnonzero(last[0]), np.flatnonzero(last[1])
    assert len(on) == len(off) == 1
    assert on[0] + 2 == off[0]


def test_events_of_whole_pixel_motion_add_up_to_the_change():
    image = bar()
    events = digits.saccade_events(image)[-4:, 0].astype(int)
    start, end = (digits.shift(image, down=d, right=r) for d, r in digits.saccade_path()[-5::4])
    assert ((events[:, 0] - events[:, 1]).sum(0) == (end - start)[0, 0]).all()


def test_shift_by_half_a_pixel_is_the_mean_of_neighbours():
    image = np.zeros((1, 1, 5, 5), dtype=np.float32)
    image[0, 0, 2, 2] = 1.0
    moved = digits.shift(image, down=-1, right=0.5)[0, 0]
    assert moved[1].tolist() == [0, 0, 0.5, 0.5, 0]
    assert moved.sum() == 1.0


def test_shift_drops_what_leaves_the_frame():
    image = np.ones((1, 1, 4, 4), dtype=np.float32)
    assert digits.shift(image, down=0, right=3)[0, 0].tolist() == [[0, 0, 0, 1]] * 4
