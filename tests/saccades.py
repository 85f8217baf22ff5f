"""Recordings of digits as N-MNIST has them: what an event camera sees in three saccades.

N-MNIST itself is a download. These recordings follow its description (Orchard et al., 2015): digits
on 34 x 34 pixels swing along a closed triangle of 7 x 7 pixels in three saccades of 100 ms, each
starting and ending at rest. A pixel remembers the brightness of its last event and sends an event
whenever it differs by `CONTRAST`; with it a digit makes about 4,300 events, N-MNIST's has 4,200. No
noise, nothing drawn at random.
"""

import numpy as np
from digits import load_digits, shift

STEPS = 300
"""Steps of 1 ms."""
CONTRAST = 0.2
PADDING = 3
CORNERS = ((-3.5, -3.5), (3.5, 0.0), (-3.5, 3.5), (-3.5, -3.5))
"""Where the three saccades start and end, in pixels (down, right) from the middle."""


def recordings(n):
    """Return events [300, n, 2, 34, 34] of the first n test digits, and their labels.

    Channel 0 carries what grows brighter, channel 1 what grows darker.
    """
    digits = load_digits()
    images = np.pad(digits.test_images[:n], ((0, 0), (0, 0), (PADDING,) * 2, (PADDING,) * 2))
    seen = shift(images, down=CORNERS[0][0], right=CORNERS[0][1])
    events = np.empty((STEPS, n, 2, *images.shape[2:]), dtype=np.uint8)
    for step in range(STEPS):
        down, right = position(step)
        change = shift(images, down=down, right=right) - seen
        brighter, darker = change >= CONTRAST, change <= -CONTRAST
        seen += np.float32(CONTRAST) * (brighter.astype(np.float32) - darker)
        events[step] = np.concatenate([brighter, darker], axis=1)
    return events, digits.test_labels[:n]


def position(step):
    """Return where the digit is at the end of a step, in pixels (down, right)."""
    saccade, within = divmod(step, STEPS // 3)
    start, end = np.array(CORNERS[saccade]), np.array(CORNERS[saccade + 1])
    share = (1 - np.cos(np.pi * (within + 1) / (STEPS // 3))) / 2
    down, right = start + share * (end - start)
    return float(down), float(right)
