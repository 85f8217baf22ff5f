"""Linear maps in float, each in the layout that the chip can hold it in.

A form knows its real weights and how to make a synapse of integers in their place, can be applied
to values and can be listed connection by connection. All arrays are in torch's order (C, H, W).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np

from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse
from snndeploy.nirgraph.arithmetic import convolve2d, sum_pool

Build = Callable[[IntArray], Synapse]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Diagonal:
    """out[i] = weight[i] * x[i]; weight [n], or [1] where all are the same."""

    n: int
    weight: FloatArray

    @property
    def n_in(self) -> int:
        return self.n

    @property
    def n_out(self) -> int:
        return self.n

    @property
    def n_stored(self) -> int:
        return len(self.weight)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Pooled:
    """out = factor * (sum over the window), channel by channel."""

    pool: Pool
    factor: float

    @property
    def n_in(self) -> int:
        return self.pool.n_in

    @property
    def n_out(self) -> int:
        return self.pool.n_out

    @property
    def n_stored(self) -> int:
        return 1


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Kernel:
    """Cross-correlation with weight [C_out, C_in / groups, kH, kW]; `conv` is its geometry."""

    conv: Conv
    weight: FloatArray

    @property
    def n_in(self) -> int:
        return self.conv.n_in

    @property
    def n_out(self) -> int:
        return self.conv.n_out

    @property
    def n_stored(self) -> int:
        return self.weight.size


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Matrix:
    """out = weight @ x; weight [n_out, n_in]."""

    weight: FloatArray

    @property
    def n_in(self) -> int:
        return int(self.weight.shape[1])

    @property
    def n_out(self) -> int:
        return int(self.weight.shape[0])

    @property
    def n_stored(self) -> int:
        return self.weight.size


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Listed:
    """out[targets[k]] += weight[k] * x[sources[k]], sorted by target, then source, each pair once.

    Attributes:
        targets: [n_stored]; so are `sources` and `weight`, of which none is 0.
    """

    n_in: int
    n_out: int
    targets: IntArray
    sources: IntArray
    weight: FloatArray

    @property
    def n_stored(self) -> int:
        return len(self.weight)


Form = Diagonal | Pooled | Kernel | Matrix | Listed


def identity(n: int) -> Diagonal:
    """Return the form that leaves n values as they are."""
    return Diagonal(n=n, weight=np.ones(1))


def is_identity(form: Form) -> bool:
    """Return whether a form leaves every value as it is."""
    return isinstance(form, Diagonal) and bool(np.all(form.weight == 1.0))


def weights_of(form: Form) -> tuple[FloatArray, Build]:
    """Return the real weights and what makes a synapse of integers of the same shape."""
    match form:
        case Diagonal(n=n, weight=weight):
            return weight, lambda whole: OneToOne(weight=np.broadcast_to(whole, n))
        case Pooled(pool=pool, factor=factor):
            return np.full(1, factor), lambda whole: replace(pool, weight=int(whole[0]))
        case Kernel(conv=conv, weight=weight):
            return weight, lambda whole: replace(conv, weight=whole)
        case Matrix(weight=weight):
            return weight, lambda whole: Dense(weight=whole)
        case Listed(weight=weight):
            return weight, lambda whole: _sparse(form, whole)
        case _:
            assert_never(form)


def _sparse(form: Listed, whole: IntArray) -> Sparse:
    kept = whole != 0
    counts = np.bincount(form.targets[kept], minlength=form.n_out)
    return Sparse(
        n_in=form.n_in,
        indptr=np.concatenate([[0], np.cumsum(counts)]),
        indices=form.sources[kept],
        weight=whole[kept],
    )


def apply_form(form: Form, x: FloatArray) -> FloatArray:
    """Return what a form makes of values [n_in]: [n_out]."""
    match form:
        case Diagonal(weight=weight):
            return weight * x
        case Pooled(pool=pool, factor=factor):
            image = x.reshape(1, *pool.in_shape)
            sums = sum_pool(image, kernel=pool.kernel, stride=pool.stride, padding=pool.padding)
            return factor * sums.reshape(-1)
        case Kernel(conv=conv, weight=weight):
            image = x.reshape(1, *conv.in_shape)
            return convolve2d(
                image,
                weight,
                stride=conv.stride,
                padding=conv.padding,
                dilation=conv.dilation,
                groups=conv.groups,
            ).reshape(-1)
        case Matrix(weight=weight):
            out: FloatArray = weight @ x
            return out
        case Listed(targets=targets, sources=sources, weight=weight):
            total: FloatArray = np.zeros(form.n_out)
            np.add.at(total, targets, weight * x[sources])
            return total
        case _:
            assert_never(form)


def kernel_of(pooled: Pooled) -> Kernel:
    """Return a pool as a convolution of each channel with itself."""
    pool = pooled.pool
    shape = (pool.in_shape[0], 1, *pool.kernel)
    conv = Conv(
        weight=np.zeros(shape, dtype=np.int64),
        in_shape=pool.in_shape,
        stride=pool.stride,
        padding=pool.padding,
        groups=pool.in_shape[0],
    )
    return Kernel(conv=conv, weight=np.full(shape, pooled.factor))
