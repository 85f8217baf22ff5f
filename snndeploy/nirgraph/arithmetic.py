"""Stateless arithmetic of the float interpreter: [N, *shape] in, [N, *shape] out, pure numpy."""

from math import prod
from typing import Any

import nir
import numpy as np

from snndeploy.ir.arrays import FloatArray
from snndeploy.nirgraph.shapes import shape_of


def apply_stateless(node: Any, x: FloatArray) -> FloatArray:
    """Return what a node of a normalized graph that keeps no state makes of x [N, *shape]."""
    match node:
        case nir.Linear():
            return linear(x, node.weight, None)
        case nir.Affine():
            return linear(x, node.weight, node.bias)
        case nir.Conv1d() | nir.Conv2d():
            return convolve(x, node)
        case nir.SumPool2d():
            return sum_pool(x, kernel=node.kernel_size, stride=node.stride, padding=node.padding)
        case nir.AvgPool2d():
            sums = sum_pool(x, kernel=node.kernel_size, stride=node.stride, padding=node.padding)
            means: FloatArray = sums / prod(node.kernel_size.tolist())
            return means
        case nir.Scale():
            scaled: FloatArray = x * node.scale
            return scaled
        case nir.Threshold():
            spikes: FloatArray = (x > node.threshold).astype(np.float64)
            return spikes
        case nir.Flatten():
            flat: FloatArray = x.reshape(len(x), *shape_of(node))
            return flat
    assert isinstance(node, nir.Input | nir.Output)
    return x


def add_up(values: list[FloatArray]) -> FloatArray:
    """Return the sum of at least one array."""
    return values[0] if len(values) == 1 else np.sum(values, axis=0)


def linear(x: FloatArray, weight: Any, bias: Any | None) -> FloatArray:
    """Return x [N, I] times weight [O, I] transposed, plus bias [O]."""
    product = x @ np.asarray(weight, dtype=np.float64).T
    return product if bias is None else product + bias


def convolve(x: FloatArray, node: Any) -> FloatArray:
    """Apply a canonical NIR Conv1d or Conv2d node to x [N, C, L] or [N, C, H, W]."""
    function = convolve2d if x.ndim == 4 else convolve1d
    weight = np.asarray(node.weight, dtype=np.float64)
    out: FloatArray = function(
        x,
        weight,
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
        groups=node.groups,
    )
    return out + np.reshape(node.bias, (-1, *[1] * (x.ndim - 2)))


def convolve2d(
    x: FloatArray,
    weight: FloatArray,
    *,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> FloatArray:
    """Cross-correlate x [N, C, H, W] with weight [O, C / groups, kH, kW], as torch's conv2d."""
    n_out, n_in, *kernel = weight.shape
    windows = _windows(x, (kernel[0], kernel[1]), stride, padding, dilation)  # N, C, H', W', kH, kW
    n, _, height, width = windows.shape[:4]
    taps = windows.transpose(0, 1, 4, 5, 2, 3)  # copied row by row, not kernel by kernel
    out = np.empty((n, n_out, height * width))
    per_group = n_out // groups
    for group in range(groups):
        columns = taps[:, group * n_in : (group + 1) * n_in].reshape(n, -1, height * width)
        rows = slice(group * per_group, (group + 1) * per_group)
        np.matmul(weight[rows].reshape(per_group, -1), columns, out=out[:, rows])
    return out.reshape(n, n_out, height, width)


def convolve1d(
    x: FloatArray, weight: FloatArray, *, stride: int, padding: int, dilation: int, groups: int
) -> FloatArray:
    """Cross-correlate x [N, C, L] with weight [O, C / groups, K], as torch's conv1d."""
    return convolve2d(
        x[:, :, None],
        weight[:, :, None],
        stride=(1, stride),
        padding=(0, padding),
        dilation=(1, dilation),
        groups=groups,
    )[:, :, 0]


def sum_pool(x: FloatArray, *, kernel: Any, stride: Any, padding: Any) -> FloatArray:
    """Sum x [N, C, H, W] over windows; padding adds zeros."""
    kernel, stride, padding = ((int(p[0]), int(p[1])) for p in (kernel, stride, padding))
    sums: FloatArray = _windows(x, kernel, stride, padding, (1, 1)).sum(axis=(-2, -1))
    return sums


def delay_steps(x: FloatArray, steps: Any) -> FloatArray:
    """Shift x [T, B, *shape] in time by a number of steps per element; zeros come first."""
    out = np.zeros_like(x)
    for count in np.unique(steps):
        chosen = steps == count
        if count < len(x):
            out[count:, :, chosen] = x[: len(x) - count, :, chosen]
    return out


def _windows(
    x: FloatArray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> FloatArray:
    pad = [(0, 0), (0, 0), (padding[0], padding[0]), (padding[1], padding[1])]
    padded = np.pad(x, pad) if any(padding) else x
    extent = [step * (size - 1) + 1 for step, size in zip(dilation, kernel, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, extent, axis=(2, 3))
    return windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
