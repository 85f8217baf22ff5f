"""What the kernels are given, in named tuples, which numba takes apart."""

from typing import NamedTuple

from snndeploy.ir.arrays import AnyArray


class Gather(NamedTuple):
    """A projection laid out for the kernel.

    A weight is scale * w + zero with w in int8; a sum is shifted left, then floored right.

    Attributes:
        runs: int32 [n, 3]: first cell, one past the last, by what an event exceeds its row.
        starts: int64 [pixels * parts + 1]: part i has runs starts[i] .. starts[i + 1].
        parts: of a pixel: runs whose weights are used together.
        cells: of one plane, a group of input channels.
        weights: int16, flat [planes, blocks, rows, width / 2], two channels per word.
        rows: weight rows of a block, the last one empty.
        most: rows that a pixel can ask for in one step.
        safe: rows that may be added in 16 bits.
        scaling: (scale, zero, left, right).
        lag: steps between a spike and its arrival.
    """

    runs: AnyArray
    starts: AnyArray
    parts: int
    cells: int
    weights: AnyArray
    rows: int
    most: int
    safe: int
    scaling: tuple[int, int, int, int]
    lag: int


class Lists(NamedTuple):
    """Event lists of a source: step k of window w is column w * per_window + k - first."""

    starts: AnyArray
    events: AnyArray
    per_window: int
    first: int


class Neurons(NamedTuple):
    """Parameters of `lif` laid out for the kernel, and where states go.

    Attributes:
        keep: (keep_u, keep_v) in 1/4096.
        threshold, bias: int32, flat [pixels or 1, channels padded to blocks], or of one block.
        per_pixel, per_block: 1 if they differ from pixel to pixel, from block to block, else 0.
        calm: 1 if u is what arrives, and that surely below 2^17, else 0.
        idles: 1 if a step in which nothing arrives changes nothing and sends nothing, else 0.
        u, v: int32, flat: states [windows, pixels, channels], empty if none is carried on.
        carried: 1 if states go on from an earlier call, else 0.
        log_u, log_v: int32, flat [windows, steps, pixels, channels], or empty.
    """

    keep: tuple[int, int]
    threshold: AnyArray
    bias: AnyArray
    per_pixel: int
    per_block: int
    calm: int
    idles: int
    u: AnyArray
    v: AnyArray
    carried: int
    log_u: AnyArray
    log_v: AnyArray


class Frames(NamedTuple):
    """Which windows and steps to run.

    Attributes:
        live: int64 [windows, 2]: the steps of each that exist, from and to.
        steps: of a window.
        first, stop: the steps to run.
        reset: the step at whose start states are cleared, besides step 0.
        pixels, planes, blocks: of the target; a plane is a group of output channels.
        masks: of 16 spikes, of a frame and of a pixel.
        items: which of windows x pixels, from and to.
    """

    live: AnyArray
    steps: int
    first: int
    stop: int
    reset: int
    pixels: int
    planes: int
    blocks: int
    masks: tuple[int, int]
    items: tuple[int, int]
