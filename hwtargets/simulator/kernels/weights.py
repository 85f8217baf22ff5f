"""Weights as the kernels add them: in int8 with a scale, two channels to a word, aligned."""

import numpy as np

from snndeploy.ir.arrays import AnyArray, IntArray

LOW_BIAS = 128
"""Added to the low byte of a packed pair of weights, so that it is not negative."""


def merge(kernel: IntArray, planes: int, merged: int) -> tuple[IntArray, AnyArray | None]:
    """Return weights [planes, outputs, kH, kW, inputs] of merged groups, and which exist."""
    c_out, c_group, k_h, k_w = kernel.shape
    c_part = c_out // (planes * merged)
    if merged == 1:
        split = kernel.reshape(planes, c_part, c_group, k_h, k_w)
        return np.ascontiguousarray(split.transpose(0, 1, 3, 4, 2)), None
    grouped = kernel.reshape(planes, merged, c_part, c_group, k_h, k_w)
    shape = (planes, merged, c_part, k_h, k_w, merged, c_group)
    weight, used = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.bool_)
    for k in range(merged):
        weight[:, k, :, :, :, k] = grouped[:, k].transpose(0, 1, 3, 4, 2)
        used[:, k, :, :, :, k] = True
    flat = (planes, merged * c_part, k_h, k_w, merged * c_group)
    return weight.reshape(flat), used.reshape(flat)


def fit_weights(weight: IntArray, used: AnyArray | None) -> tuple[AnyArray, int, int] | None:
    """Return (w, scale, zero), w in int8: weight = scale * (w + zero), 0 where not used."""
    values = weight if used is None else weight[used]
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    scale = common_factor(values, low, high)
    low, high = low // scale, high // scale
    zero = 0 if low >= -128 and high <= 127 else low + 128
    if high - zero > 127 or scale >= 1 << 15 or not -127 <= zero <= 128:
        return None
    fitted = (weight // scale - zero).astype(np.int8)
    if used is not None:
        fitted[~used] = -zero
    return fitted, scale, zero


def common_factor(values: IntArray, low: int, high: int) -> int:
    """Return a common factor of numbers in [low, high]: of two, or any where that is not enough."""
    union = int(np.bitwise_or.reduce(values, axis=None))
    two = union & -union if union else 1
    if (high - low) // two <= 255:
        return two
    return max(1, int(np.gcd.reduce(np.unique(values))))


def pack_pairs(blocks: AnyArray) -> AnyArray:
    """Return weights [., blocks, width, rows], int8, as words of two channels, row by row, flat."""
    width = blocks.shape[2]
    low, high = blocks[:, :, : width // 2], blocks[:, :, width // 2 :]
    words = high.astype(np.int16) * 256 + (low.astype(np.int16) + LOW_BIAS)
    packed = aligned(words.size, np.int16)
    packed.reshape(*words.shape[:2], -1, width // 2)[:] = words.swapaxes(2, 3)
    return packed


def aligned(n: int, dtype: type[np.int8] | type[np.int16] | type[np.int32]) -> AnyArray:
    """Return n zeros that start where a cache line does: vectors across two lines cost double."""
    line = 64 // np.dtype(dtype).itemsize
    room: AnyArray = np.zeros(n + line, dtype=dtype)
    start = -room.ctypes.data % 64 // room.itemsize
    return room[start : start + n]
