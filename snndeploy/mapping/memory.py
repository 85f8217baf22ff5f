"""Synaptic memory and input axons of a slice of a population: estimates from public tools.

An axon's synapses are stored in blocks of at most 64, each rounded up to 64-bit words:
ceil64(n * (weight + delay [+ index]) + 4 + 6) bits. Source: nengo-loihi, `bits_per_axon`, written
for Loihi 1; no public formula exists for Loihi 2, so there it is an estimate. Convolutions and
pools share weights: a core keeps the kernels of its output channels once. That is an estimate on
both chips (Loihi 1 adds variants at the borders of the image).
"""

from typing import assert_never

import numpy as np

from snndeploy.ir.arrays import BoolArray, IntArray
from snndeploy.ir.network import Projection
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse

WORD_BITS = 64
BLOCK_SYNAPSES = 64
BLOCK_HEADER_BITS = 4 + 6
"""Index of the synapse format and number of synapses."""
MIN_INDEX_BITS = 6


def list_bits(n_synapses: IntArray | int, synapse_bits: int) -> IntArray:
    """Return the bits of lists of synapses, one list per entry; an empty list takes none."""
    full, rest = np.divmod(n_synapses, BLOCK_SYNAPSES)
    return np.asarray(
        full * _words(BLOCK_SYNAPSES * synapse_bits + BLOCK_HEADER_BITS)
        + np.where(rest > 0, _words(rest * synapse_bits + BLOCK_HEADER_BITS), 0)
    )


def synapse_bits(projection: Projection, start: int, stop: int) -> int:
    """Return the synaptic memory [bits] of target neurons [start, stop) on one core."""
    synapse = projection.synapse
    plain = projection.weight_bits + projection.delay.bit_length()
    indexed = plain + max(MIN_INDEX_BITS, (stop - start - 1).bit_length())
    match synapse:
        case Dense():
            return synapse.n_in * int(list_bits(stop - start, plain))
        case Sparse():
            listed = synapse.indices[synapse.indptr[start] : synapse.indptr[stop]]
            return int(list_bits(np.bincount(listed, minlength=1), indexed).sum())
        case OneToOne():
            return (stop - start) * int(list_bits(1, indexed))
        case Conv():
            places = synapse.n_out // len(synapse.weight)
            channels = (stop - 1) // places - start // places + 1
            return int(list_bits(channels * synapse.weight[0].size, plain))
        case Pool():
            return int(list_bits(synapse.kernel[0] * synapse.kernel[1], plain))
        case _:
            assert_never(synapse)


def whole_bits(synapse: Synapse, *, weight_bits: int) -> int:
    """Return the synaptic memory [bits] of a synapse kind, as if all its targets were on a core."""
    projection = Projection(name="", source="", target="", synapse=synapse, weight_bits=weight_bits)
    return synapse_bits(projection, 0, synapse.n_out)


def sources_of(synapse: Synapse, start: int, stop: int) -> BoolArray:
    """Return which source neurons [n_in] have a stored synapse to target neurons [start, stop)."""
    if isinstance(synapse, Conv | Pool):
        field = _field(synapse, start, stop)
        return np.repeat(field, synapse.in_shape[0] // len(field), axis=0).reshape(-1)
    reached = np.zeros(synapse.n_in, dtype=np.bool_)
    match synapse:
        case Dense():
            reached[:] = True
        case Sparse():
            reached[synapse.indices[synapse.indptr[start] : synapse.indptr[stop]]] = True
        case OneToOne():
            reached[start:stop] = True
        case _:
            assert_never(synapse)
    return reached


def n_sources(synapse: Synapse, start: int, stop: int) -> int:
    """Return how many source neurons reach target neurons [start, stop)."""
    if isinstance(synapse, Conv | Pool):  # counted by group: mapping asks this very often
        field = _field(synapse, start, stop)
        return int(field.sum()) * (synapse.in_shape[0] // len(field))
    return int(sources_of(synapse, start, stop).sum())


def _field(synapse: Conv | Pool, start: int, stop: int) -> BoolArray:
    """Return the receptive field of output neurons [start, stop), [groups, H, W]."""
    if isinstance(synapse, Pool):
        groups, kernel, dilation = synapse.in_shape[0], synapse.kernel, (1, 1)
    else:
        groups, dilation = synapse.groups, synapse.dilation
        kernel = (synapse.weight.shape[2], synapse.weight.shape[3])
    wanted = np.zeros(synapse.n_out, dtype=np.bool_)
    wanted[start:stop] = True
    _, out_h, out_w = synapse.out_shape
    places = wanted.reshape(groups, -1, out_h, out_w).any(axis=1)
    _, height, width = synapse.in_shape
    field = np.zeros((groups, *_padded(synapse)), dtype=np.bool_)
    (s_h, s_w), (p_h, p_w) = synapse.stride, synapse.padding
    for i, j in np.ndindex(kernel):
        y, x = i * dilation[0], j * dilation[1]
        field[:, y : y + s_h * out_h : s_h, x : x + s_w * out_w : s_w] |= places
    return field[:, p_h : p_h + height, p_w : p_w + width]


def _padded(synapse: Conv | Pool) -> tuple[int, int]:
    """Return the size of a padded image, with room for a slice's last stride."""
    _, height, width = synapse.in_shape
    (p_h, p_w), (s_h, s_w) = synapse.padding, synapse.stride
    return height + 2 * p_h + s_h, width + 2 * p_w + s_w


def _words(bits: IntArray | int) -> IntArray:
    return np.asarray(-(-np.asarray(bits) // WORD_BITS) * WORD_BITS)
