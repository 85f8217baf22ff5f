"""Two convolutions or pools in a row as one larger kernel, where that is exact.

A pool is a convolution of each channel with itself, so pools fold into convolutions on either side.
"""

from math import gcd

import numpy as np

from snndeploy.ir.arrays import FloatArray
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
    groups = gcd(a.groups, b.groups)
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
        groups=groups,
    )
    if pools and is_uniform(weight.reshape(-1)) and dilation == (1, 1):
        kernel = (weight.shape[2], weight.shape[3])
        pool = Pool(in_shape=a.in_shape, kernel=kernel, stride=conv.stride, padding=conv.padding)
        return Pooled(pool=pool, factor=float(weight.flat[0]))
    return Kernel(conv=conv, weight=weight)


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
