"""Who touches whom: stored synapses per source neuron, and neurons that a frame reaches.

Counts are exact at the borders of images; a zero weight inside a dense or convolution block is
stored and counts, listed synapses count as listed. Neurons with the same fan-out are one class, so
that counting them is enough: all neurons of a dense layer, the channels of a group at one pixel.
"""

from dataclasses import dataclass
from typing import assert_never

import numpy as np

from hwtargets.simulator.deliver import exact_dtype
from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse


def fan_out(synapse: Synapse, start: int, stop: int) -> IntArray:
    """Return how many stored synapses each source neuron [n_in] has into targets [start, stop)."""
    match synapse:
        case Dense():
            return np.full(synapse.n_in, stop - start)
        case Sparse():
            listed = synapse.indices[synapse.indptr[start] : synapse.indptr[stop]]
            return np.bincount(listed, minlength=synapse.n_in)
        case OneToOne():
            neurons = np.arange(synapse.n_in)
            return ((neurons >= start) & (neurons < stop)).astype(np.int64)
        case Conv() | Pool():
            return per_neuron(synapse, _image_fan_out(synapse, start, stop))
        case _:
            assert_never(synapse)


def classes(synapse: Synapse) -> tuple[int, int]:
    """Return (groups, pixels) of the source: neurons of one group at one pixel are a class."""
    match synapse:
        case Dense():
            return 1, 1
        case Sparse() | OneToOne():
            return synapse.n_in, 1
        case Conv() | Pool():
            return geometry(synapse)[0], synapse.in_shape[1] * synapse.in_shape[2]
        case _:
            assert_never(synapse)


def class_fan_out(synapse: Synapse, start: int, stop: int) -> IntArray:
    """Return how many stored synapses a neuron of each class [classes] has into [start, stop)."""
    match synapse:
        case Dense():
            return np.array([stop - start])
        case Sparse() | OneToOne():
            return fan_out(synapse, start, stop)
        case Conv() | Pool():
            return _image_fan_out(synapse, start, stop).reshape(-1)
        case _:
            assert_never(synapse)


def per_neuron(synapse: Synapse, values: AnyArray) -> AnyArray:
    """Return values of classes [classes] as those of source neurons [n_in]."""
    groups, pixels = classes(synapse)
    if isinstance(synapse, Dense):
        return np.broadcast_to(values, (synapse.n_in,))
    each = synapse.n_in // (groups * pixels)
    return np.repeat(values.reshape(groups, 1, pixels), each, axis=1).reshape(-1)


def geometry(synapse: Conv | Pool) -> tuple[int, tuple[int, int], tuple[int, int]]:
    """Return (groups, kernel size, dilation); a pool is a convolution of one group per channel."""
    if isinstance(synapse, Pool):
        return synapse.in_shape[0], synapse.kernel, (1, 1)
    kernel = (int(synapse.weight.shape[2]), int(synapse.weight.shape[3]))
    return synapse.groups, kernel, synapse.dilation


def _image_fan_out(synapse: Conv | Pool, start: int, stop: int) -> IntArray:
    """Add up, tap by tap, the targets that a source pixel reaches in its group's channels."""
    groups, kernel, dilation = geometry(synapse)
    _, height, width = synapse.in_shape
    _, out_h, out_w = synapse.out_shape
    wanted = np.zeros(synapse.n_out, dtype=np.int64)
    wanted[start:stop] = 1
    per_place = wanted.reshape(groups, -1, out_h, out_w).sum(axis=1)
    (p_h, p_w), (s_h, s_w) = synapse.padding, synapse.stride
    total = np.zeros((groups, height + 2 * p_h + s_h, width + 2 * p_w + s_w), dtype=np.int64)
    for i, j in np.ndindex(kernel):
        y, x = i * dilation[0], j * dilation[1]
        total[:, y : y + s_h * out_h : s_h, x : x + s_w * out_w : s_w] += per_place
    return total[:, p_h : p_h + height, p_w : p_w + width]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Columns:
    """Columns that counts are multiplied with; each different one is multiplied once.

    Attributes:
        matrix: the different columns [n, k], in the fastest type in which sums are exact.
        index: which of them is each column [columns].
    """

    matrix: AnyArray
    index: IntArray

    def tally(self, counts: AnyArray) -> IntArray:
        """Return the exact sums (counts [F, n] @ columns).T, as int64 [columns, F]."""
        product: AnyArray = self.matrix.T @ counts.astype(self.matrix.dtype, copy=False).T
        return product.astype(np.int64)[self.index]


def summable(columns: IntArray, most: IntArray) -> Columns:
    """Return columns [n, columns] >= 0 for counts up to `most` [n], or [1] for all of them."""
    bound = float((columns.astype(np.float64) * most[:, None]).sum(axis=0).max(initial=0))
    number: dict[bytes, int] = {}
    index = [number.setdefault(column.tobytes(), len(number)) for column in columns.T]
    firsts = np.unique(index, return_index=True)[1]
    return Columns(
        matrix=columns[:, firsts].astype(exact_dtype(bound)), index=np.array(index, dtype=np.int64)
    )
