"""Synaptic input of many frames at once: exact integer sums, fast where floats are exact.

A sum of products of integers is exact in floating point, in any order, as long as the sum of the
absolute values stays below the float's integer range. That bound is computed from the weights and
the largest value of the source; where it fails, 64-bit integers do the work.
"""

from collections.abc import Callable, Iterator
from typing import assert_never

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from snndeploy.ir.arrays import AnyArray
from snndeploy.ir.network import Projection
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse

Number = type[np.float32] | type[np.float64] | type[np.int64]
Kernel = Callable[[AnyArray], AnyArray]
"""Frames [F, n_in] of the kernel's dtype -> sums [F, n_out]."""

FLOAT32_EXACT, FLOAT64_EXACT = 1 << 24, 1 << 53
DENSE_CELLS = 1 << 22
"""Listed synapses are multiplied as a matrix up to this size, and gathered beyond."""
BLOCK_CELLS = 1 << 20
"""Unfolded inputs are made block by block, each small enough for the cache."""


def exact_dtype(bound: float) -> Number:
    """Return the fastest type that holds every integer up to `bound` exactly."""
    if bound < FLOAT32_EXACT:
        return np.float32
    return np.float64 if bound < FLOAT64_EXACT else np.int64


def largest_sum(synapse: Synapse) -> float:
    """Return the largest sum of absolute weights into one neuron."""
    match synapse:
        case Dense() | Conv():
            axes = tuple(range(1, synapse.weight.ndim))
            sums = np.abs(synapse.weight.astype(np.float64)).sum(axis=axes)
        case Sparse():
            absolute = np.abs(synapse.weight.astype(np.float64))
            sums = np.bincount(synapse.rows, weights=absolute, minlength=synapse.n_out)
        case OneToOne():
            sums = np.abs(synapse.weight.astype(np.float64))
        case Pool():
            return float(abs(synapse.weight) * synapse.kernel[0] * synapse.kernel[1])
        case _:
            assert_never(synapse)
    return float(sums.max(initial=0))


def delivery(projection: Projection, peak: int) -> Callable[[AnyArray], AnyArray]:
    """Return the function that turns frames [F, n_in] into what arrives [F, n_out], int32.

    Args:
        projection: its sum is wrapped to 32 bits, shifted by weight_exp, and wrapped again.
        peak: largest absolute value of a frame.
    """
    bound = max(largest_sum(projection.synapse) * peak, peak)
    dtype = exact_dtype(bound)
    kernel = make_kernel(projection.synapse, dtype)

    def run(frames: AnyArray) -> AnyArray:
        total = kernel(frames.astype(dtype, copy=False))
        whole = total.astype(np.int64) if bound >= 1 << 31 else total
        return shift32(whole.astype(np.int32), projection.weight_exp)

    return run


def shift32(values: AnyArray, exponent: int) -> AnyArray:
    """Return values << exponent (floored >> if negative), wrapped to int32."""
    if exponent == 0:
        return values
    wide = values.astype(np.int64)
    return (wide << exponent if exponent > 0 else wide >> -exponent).astype(np.int32)


def make_kernel(synapse: Synapse, dtype: Number) -> Kernel:
    """Return the function frames [F, n_in] -> sums [F, n_out], both of `dtype`."""
    match synapse:
        case Dense():
            matrix: AnyArray = synapse.weight.T.astype(dtype)
            return lambda frames: frames @ matrix
        case Sparse():
            return sparse_kernel(synapse, dtype)
        case OneToOne():
            diagonal: AnyArray = synapse.weight.astype(dtype)
            return lambda frames: frames * diagonal
        case Pool():
            return lambda frames: pool(synapse, frames)
        case Conv():
            return conv_kernel(synapse, dtype)
        case _:
            assert_never(synapse)


def sparse_kernel(synapse: Sparse, dtype: Number) -> Kernel:
    """Return the kernel of listed synapses: as a matrix if it is small, else by gathering."""
    if synapse.n_in * synapse.n_out <= DENSE_CELLS:
        matrix: AnyArray = np.zeros((synapse.n_in, synapse.n_out), dtype=dtype)
        matrix[synapse.indices, synapse.rows] = synapse.weight
        return lambda frames: frames @ matrix
    weight: AnyArray = synapse.weight.astype(dtype)
    filled = np.flatnonzero(np.diff(synapse.indptr))
    starts = synapse.indptr[filled]

    def gather(frames: AnyArray) -> AnyArray:
        total: AnyArray = np.zeros((len(frames), synapse.n_out), dtype=dtype)
        for rows in blocks(len(frames), len(weight)):
            products = frames[rows][:, synapse.indices] * weight
            total[rows, filled] = np.add.reduceat(products, starts, axis=1)
        return total

    return gather


def pool(synapse: Pool, frames: AnyArray) -> AnyArray:
    """Return weight * (sum over the window) of frames [F, n_in] as [F, n_out]."""
    views = patches(frames, synapse.in_shape, synapse.kernel, synapse.stride, synapse.padding)
    total: AnyArray = views.sum(axis=(2, 3), dtype=frames.dtype)
    total *= synapse.weight
    return total.reshape(len(frames), synapse.n_out)


def conv_kernel(synapse: Conv, dtype: Number) -> Kernel:
    """Return the kernel of a convolution: unfold, then one matrix product per frame and group."""
    c_out, c_group, k_h, k_w = synapse.weight.shape
    groups, fan_in = synapse.groups, c_group * k_h * k_w
    weight: AnyArray = synapse.weight.reshape(groups, c_out // groups, fan_in).astype(dtype)
    places = synapse.n_out // c_out

    def run(frames: AnyArray) -> AnyArray:
        total = np.empty((len(frames), groups, c_out // groups, places), dtype=dtype)
        for rows in blocks(len(frames), groups * fan_in * places):
            views = patches(
                frames[rows], synapse.in_shape, (k_h, k_w), synapse.stride, synapse.padding,
                synapse.dilation,
            )  # fmt: skip
            unfolded = np.ascontiguousarray(views).reshape(-1, groups, fan_in, places)
            np.matmul(weight, unfolded, out=total[rows])
        return total.reshape(len(frames), synapse.n_out)

    return run


def patches(
    frames: AnyArray,
    in_shape: tuple[int, int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> AnyArray:
    """Return what each kernel tap sees: a view [F, C, kH, kW, H_out, W_out] of padded frames."""
    (p_h, p_w), (d_h, d_w) = padding, dilation
    images = frames.reshape(len(frames), *in_shape)
    if p_h or p_w:
        images = np.pad(images, ((0, 0), (0, 0), (p_h, p_h), (p_w, p_w)))
    extent = (d_h * (kernel[0] - 1) + 1, d_w * (kernel[1] - 1) + 1)
    windows = sliding_window_view(images, extent, axis=(2, 3))
    taps = windows[:, :, :: stride[0], :: stride[1], ::d_h, ::d_w]
    return taps.transpose(0, 1, 4, 5, 2, 3)


def blocks(n_frames: int, cells_per_frame: int) -> Iterator[slice]:
    """Yield slices of frames whose cells fit `BLOCK_CELLS`."""
    size = max(1, BLOCK_CELLS // max(1, cells_per_frame))
    for start in range(0, n_frames, size):
        yield slice(start, min(start + size, n_frames))
