"""Two convolutions or pools in a row as one larger kernel, where that is exact.

A pool is a convolution of each channel with itself, so pools fold into convolutions on either side.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import gcd

import numpy as np

from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.synapses import Conv, Pool
from snndeploy.passes.forms import Kernel, Pooled, kernel_of

Folding = Kernel | Pooled


def one_kernel(first: Folding, second: Folding) -> Kernel | Pooled | None:
    """Return two convolutions as one, None where the second's border is not the first's.

    A padded second convolution sees zeros beyond the image between them. One kernel sees the
    first's outputs there, so they must be 0: windows that lie in padding altogether.
    """
    pools = isinstance(first, Pooled) and isinstance(second, Pooled)
    one, two = _kernel(first), _kernel(second)
    a, b = one.conv, two.conv
    for axis in (0, 1):
        extent = (one.weight.shape[2 + axis] - 1) * a.dilation[axis] + 1
        before = extent <= a.stride[axis] + a.padding[axis]
        after = a.out_shape[1 + axis] * a.stride[axis] - a.padding[axis] >= a.in_shape[1 + axis]
        if b.padding[axis] and not (before and after):
            return None
    merged = _merged(one, two)
    if pools and is_uniform(merged.weight.reshape(-1)) and merged.conv.dilation == (1, 1):
        conv, kernel = merged.conv, (merged.weight.shape[2], merged.weight.shape[3])
        pool = Pool(in_shape=a.in_shape, kernel=kernel, stride=conv.stride, padding=conv.padding)
        return Pooled(pool=pool, factor=float(merged.weight.flat[0]))
    return merged


def bordered(first: Folding, second: Folding) -> Iterator[tuple[Kernel, IntArray, IntArray]]:
    """Yield two convolutions as kernels that hold for some rows and columns of the output each.

    At the border taps of the second see padding instead of the first's outputs: one kernel per
    set of taps that see the image, for the rows and columns where they do.
    """
    one, two = _kernel(first), _kernel(second)
    places = [_places(one.conv, two, axis) for axis in (0, 1)]
    for seen_y, rows in places[0].items():
        for seen_x, columns in places[1].items():
            mask = np.outer(seen_y, seen_x)
            yield _merged(one, replace(two, weight=two.weight * mask)), rows, columns


def _places(one: Conv, two: Kernel, axis: int) -> dict[tuple[bool, ...], IntArray]:
    """Return the rows (axis 0) or columns of the second's output by the taps that see its image."""
    conv, size = two.conv, one.out_shape[1 + axis]
    taps = np.arange(two.weight.shape[2 + axis]) * conv.dilation[axis] - conv.padding[axis]
    at = np.arange(conv.out_shape[1 + axis])[:, None] * conv.stride[axis] + taps
    seen = (at >= 0) & (at < size)
    found: dict[tuple[bool, ...], list[int]] = {}
    for place, taps_seen in enumerate(seen.tolist()):
        found.setdefault(tuple(taps_seen), []).append(place)
    return {key: np.array(value) for key, value in found.items()}


def _merged(one: Kernel, two: Kernel) -> Kernel:
    """Return the kernel of two as if the first's output went on beyond its border."""
    a, b = one.conv, two.conv
    weight, dilation = _composed_weight(one, two)
    conv = Conv(
        weight=np.zeros(weight.shape, dtype=np.int64),
        in_shape=a.in_shape,
        stride=(a.stride[0] * b.stride[0], a.stride[1] * b.stride[1]),
        padding=(
            b.padding[0] * a.stride[0] + a.padding[0],
            b.padding[1] * a.stride[1] + a.padding[1],
        ),
        dilation=dilation,
        groups=gcd(a.groups, b.groups),
    )
    return Kernel(conv=conv, weight=weight)


def through(weight: FloatArray, first: Folding) -> FloatArray:
    """Return weight [n, n_out] of what a convolution sends as weight [n, n_in] of what it gets."""
    kernel = _kernel(first)
    conv, (_, height, width) = kernel.conv, kernel.conv.in_shape
    _, out_h, out_w = conv.out_shape
    (s_y, s_x), (p_y, p_x), (d_y, d_x) = conv.stride, conv.padding, conv.dilation
    rows = weight.reshape(len(weight), conv.groups, -1, out_h * out_w)
    taps = kernel.weight.reshape(conv.groups, -1, *kernel.weight.shape[1:])
    spread = np.zeros((len(weight), conv.in_shape[0], height + 2 * p_y, width + 2 * p_x))
    for i, j in np.ndindex(*kernel.weight.shape[2:]):
        part = np.einsum("rgop,goc->rgcp", rows, taps[..., i, j], optimize=True)
        window = np.s_[i * d_y :, j * d_x :]
        places = spread[(..., *window)][..., : s_y * out_h : s_y, : s_x * out_w : s_x]
        places += part.reshape(len(weight), -1, out_h, out_w)
    inner = spread[:, :, p_y : p_y + height, p_x : p_x + width]
    return inner.reshape(len(weight), -1)


def kernel_size(first: Folding, second: Folding) -> int:
    """Return an upper bound of the weights of two convolutions as one."""
    one, two = _kernel(first), _kernel(second)
    reach = [
        (two.weight.shape[2 + axis] - 1) * two.conv.dilation[axis] * one.conv.stride[axis]
        + (one.weight.shape[2 + axis] - 1) * one.conv.dilation[axis]
        + 1
        for axis in (0, 1)
    ]
    n_in = one.conv.in_shape[0] // gcd(one.conv.groups, two.conv.groups)
    return len(two.weight) * n_in * int(reach[0] * reach[1])


def is_uniform(weight: FloatArray) -> bool:
    """Return whether all values are the same."""
    return bool(np.ptp(weight) == 0)


def _kernel(form: Folding) -> Kernel:
    return kernel_of(form) if isinstance(form, Pooled) else form


def _composed_weight(one: Kernel, two: Kernel) -> tuple[FloatArray, tuple[int, int]]:
    """Return the kernel of two and its dilation.

    A tap of the second moves the first's kernel by dilation * stride; where the first has one tap
    in a direction, that is the dilation of the composed kernel.
    """
    a, b = one.conv, two.conv
    steps = [b.dilation[axis] * a.stride[axis] for axis in (0, 1)]
    inner, outer = one.weight.shape[2:], two.weight.shape[2:]
    dilation = tuple(
        1 if size == taps == 1 else step if size == 1 else own if taps == 1 else 1
        for step, size, own, taps in zip(steps, inner, a.dilation, outer, strict=True)
    )
    grain = [
        [step // dil, own // dil if size > 1 else 1]
        for step, dil, own, size in zip(steps, dilation, a.dilation, inner, strict=True)
    ]
    shape = [
        (taps - 1) * (move if taps > 1 else 0) + (size - 1) * space + 1
        for taps, size, (move, space) in zip(outer, inner, grain, strict=True)
    ]
    groups = gcd(a.groups, b.groups)
    left, right = _blocks(two, groups), _blocks(one, groups)
    n_out, n_in = left.shape[0] * left.shape[1], right.shape[2]
    total = np.zeros((groups, left.shape[1], n_in, *shape))
    depthwise = a.groups == a.in_shape[0] == len(one.weight)
    for y, x in np.ndindex(*outer):
        for i, j in np.ndindex(*inner):
            row, column = y * grain[0][0] + i * grain[0][1], x * grain[1][0] + j * grain[1][1]
            if depthwise:
                own = one.weight[:, 0, i, j].reshape(groups, 1, -1)
                total[..., row, column] += left[..., y, x] * own
            else:
                total[..., row, column] += left[..., y, x] @ right[..., i, j]
    return total.reshape(n_out, n_in, *shape), (dilation[0], dilation[1])


def _blocks(kernel: Kernel, groups: int) -> FloatArray:
    """Return weights [groups, C_out / groups, C_in / groups, kH, kW], 0 between finer groups."""
    conv, weight = kernel.conv, kernel.weight
    finer = conv.groups // groups
    own_out, own_in = len(weight) // conv.groups, weight.shape[1]
    blocks = np.zeros((groups, finer, own_out, finer, own_in, *weight.shape[2:]))
    for index in range(finer):
        parts = weight.reshape(groups, finer, own_out, *weight.shape[1:])
        blocks[:, index, :, index] = parts[:, index]
    return blocks.reshape(groups, finer * own_out, finer * own_in, *weight.shape[2:])
