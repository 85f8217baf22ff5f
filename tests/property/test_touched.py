"""Neurons that an image reaches, found and counted in bits, are those of the listed synapses."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hwtargets.simulator.fanout import classes
from hwtargets.simulator.touched import places, touched
from snndeploy.ir.synapses import Conv, Pool


def random_image(rng, width):
    """Return a convolution or pool whose source is `width` wide."""
    kernel, stride = rng.integers(1, 6, size=2), tuple(map(int, rng.integers(1, 4, size=2)))
    padding = tuple(int(rng.integers(0, k)) for k in kernel)
    groups, height = int(rng.integers(1, 4)), int(rng.integers(9, 13))
    if rng.random() < 0.3:
        return Pool(in_shape=(groups, height, width), kernel=tuple(map(int, kernel)),
                    stride=stride, padding=padding, weight=1)  # fmt: skip
    return Conv(
        weight=np.ones((2 * groups, 2, *kernel), dtype=np.int64),
        in_shape=(2 * groups, height, width), stride=stride, padding=padding, groups=groups,
        dilation=tuple(map(int, rng.integers(1, 3, size=2))) if min(height, width) > 9 else (1, 1),
    )  # fmt: skip


def reached_by_hand(synapse, active):
    """Return which targets [F, groups, rows, columns] see an active source, window by window."""
    _, height, width = synapse.in_shape
    _, out_h, out_w = synapse.out_shape
    kernel = synapse.kernel if isinstance(synapse, Pool) else synapse.weight.shape[2:]
    d_h, d_w = (1, 1) if isinstance(synapse, Pool) else synapse.dilation
    (p_h, p_w), (s_h, s_w) = synapse.padding, synapse.stride
    images = np.pad(
        active.reshape(len(active), -1, height, width), ((0, 0), (0, 0), (p_h, p_h), (p_w, p_w))
    )
    found = np.zeros((*images.shape[:2], out_h, out_w), dtype=bool)
    for y, x in np.ndindex(out_h, out_w):
        rows = slice(y * s_h, y * s_h + d_h * (kernel[0] - 1) + 1, d_h)
        columns = slice(x * s_w, x * s_w + d_w * (kernel[1] - 1) + 1, d_w)
        found[:, :, y, x] = images[:, :, rows, columns].any(axis=(2, 3))
    return found


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([8, 11, 16, 32, 40, 64, 70]))
@example(seed=1, width=32)
def test_images_reach_what_their_windows_see(seed, width):
    rng = np.random.default_rng(seed)
    synapse = random_image(rng, width)
    groups, pixels = classes(synapse)
    active = rng.random((5, groups * pixels)) < rng.choice([0.01, 0.2])
    want = reached_by_hand(synapse, active).reshape(5, groups, -1)
    assert np.array_equal(touched(synapse, active), want)
    sizes = rng.integers(0, 3, size=(3, want[0].size))
    counted = places(synapse, sizes).count(active)
    assert np.array_equal(counted, sizes @ want.reshape(5, -1).T)
