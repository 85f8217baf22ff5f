"""Synapse kinds: a closed union of weight layouts, all arrays in torch's order (C, H, W).

Weights are integers on the chip's grid. A kind holds its weights once: convolutions and pools are
never expanded here.
"""

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from snndeploy.ir.arrays import IntArray, frozen_int

Pair = tuple[int, int]
Shape3 = tuple[int, int, int]
SignMode = Literal["mixed", "excitatory", "inhibitory"]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Dense:
    """All-to-all: acc[o] = sum_i weight[o, i] * s[i]; weight [n_out, n_in]."""

    weight: IntArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", frozen_int(self.weight))
        assert self.weight.ndim == 2

    @property
    def n_in(self) -> int:
        return int(self.weight.shape[1])

    @property
    def n_out(self) -> int:
        return int(self.weight.shape[0])


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Conv:
    """Cross-correlation as torch's Conv2d; weight [C_out, C_in / groups, kH, kW].

    A 1-D convolution has H = 1, kH = 1. `in_shape` is (C_in, H, W).
    """

    weight: IntArray
    in_shape: Shape3
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", frozen_int(self.weight))
        c_out, c_in_group, _, _ = self.weight.shape
        assert c_in_group * self.groups == self.in_shape[0]
        assert c_out % self.groups == 0
        assert min(self.out_shape) > 0

    @property
    def out_shape(self) -> Shape3:
        height, width = (
            (size + 2 * pad - dil * (kernel - 1) - 1) // step + 1
            for size, pad, dil, kernel, step in zip(
                self.in_shape[1:], self.padding, self.dilation, self.weight.shape[2:], self.stride,
                strict=True,
            )
        )  # fmt: skip
        return int(self.weight.shape[0]), int(height), int(width)

    @property
    def n_in(self) -> int:
        return prod(self.in_shape)

    @property
    def n_out(self) -> int:
        return prod(self.out_shape)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Pool:
    """Sum pool with one weight: acc = weight * (sum over the window), channel by channel."""

    in_shape: Shape3
    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    weight: int = 1

    def __post_init__(self) -> None:
        assert min(self.out_shape) > 0

    @property
    def out_shape(self) -> Shape3:
        height, width = (
            (size + 2 * pad - kernel) // step + 1
            for size, pad, kernel, step in zip(
                self.in_shape[1:], self.padding, self.kernel, self.stride, strict=True
            )
        )
        return self.in_shape[0], height, width

    @property
    def as_conv(self) -> Conv:
        """The depthwise convolution that it is."""
        channels = self.in_shape[0]
        return Conv(
            weight=np.full((channels, 1, *self.kernel), self.weight, dtype=np.int64),
            in_shape=self.in_shape,
            stride=self.stride,
            padding=self.padding,
            groups=channels,
        )

    @property
    def n_in(self) -> int:
        return prod(self.in_shape)

    @property
    def n_out(self) -> int:
        return prod(self.out_shape)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Sparse:
    """Listed synapses in CSR order by target: row o holds indices[indptr[o]:indptr[o + 1]].

    Indices ascend within a row and no stored weight is 0.
    """

    n_in: int
    indptr: IntArray
    indices: IntArray
    weight: IntArray

    def __post_init__(self) -> None:
        for name in ("indptr", "indices", "weight"):
            object.__setattr__(self, name, frozen_int(getattr(self, name)))
        assert self.indptr[0] == 0
        assert self.indptr[-1] == len(self.indices) == len(self.weight)
        assert np.all(np.diff(self.indptr) >= 0)
        assert not len(self.indices) or (0 <= self.indices.min() <= self.indices.max() < self.n_in)

    @property
    def n_out(self) -> int:
        return len(self.indptr) - 1

    @property
    def rows(self) -> IntArray:
        """Target neuron of every stored synapse [nnz]."""
        return np.repeat(np.arange(self.n_out), np.diff(self.indptr))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class OneToOne:
    """Neuron i feeds neuron i with weight[i]; weight [n]."""

    weight: IntArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", frozen_int(self.weight))
        assert self.weight.ndim == 1

    @property
    def n_in(self) -> int:
        return len(self.weight)

    @property
    def n_out(self) -> int:
        return len(self.weight)


Synapse = Dense | Conv | Pool | Sparse | OneToOne


def sparse_from_dense(weight: IntArray) -> Sparse:
    """Return the non-zero entries of weight [n_out, n_in] as `Sparse`."""
    rows, columns = np.nonzero(weight)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=weight.shape[0]))])
    return Sparse(
        n_in=weight.shape[1], indptr=indptr, indices=columns, weight=weight[rows, columns]
    )
