"""How many synapses every source neuron has, and how many weights a synapse kind stands for.

Counted from the weights' layout, tap by tap for images: borders are exact, a tap outside the image
is no synapse.
"""

from typing import assert_never

import numpy as np

from snndeploy.ir.arrays import IntArray
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse

WORD_BITS = 64


def fan_out(synapse: Synapse, *, live: bool = False) -> IntArray:
    """Return the synapses of each source neuron [n_in].

    Args:
        synapse: of any kind.
        live: leave out those whose weight is 0; otherwise all that are stored: a zero weight
            inside a dense or convolution block is stored.
    """
    match synapse:
        case Dense(weight=weight):
            if live:
                return np.asarray(np.count_nonzero(weight, axis=0), dtype=np.int64)
            return np.full(synapse.n_in, synapse.n_out)
        case Sparse():
            stored = synapse.indices[synapse.weight != 0] if live else synapse.indices
            return np.bincount(stored, minlength=synapse.n_in)
        case OneToOne(weight=weight):
            return (weight != 0).astype(np.int64) if live else np.ones(len(weight), dtype=np.int64)
        case Conv() | Pool():
            return _image_fan_out(synapse, live=live)
        case _:
            assert_never(synapse)


def words_per_spike(synapse: Synapse, weight_bits: int) -> IntArray:
    """Return the 64-bit words that hold each source neuron's packed weights [n_in]."""
    words: IntArray = -(-fan_out(synapse) * weight_bits // WORD_BITS)
    return words


def n_weights(synapse: Synapse) -> int:
    """Return the weights that are stored; a pool's are those of its depthwise convolution."""
    if isinstance(synapse, Pool):
        return synapse.in_shape[0] * synapse.kernel[0] * synapse.kernel[1]
    return int(synapse.weight.size)


def n_zero(synapse: Synapse) -> tuple[int, int]:
    """Return (zero weights, all weights); connections that a list lacks are zero weights."""
    match synapse:
        case Sparse():
            total = synapse.n_in * synapse.n_out
            return total - int(np.count_nonzero(synapse.weight)), total
        case Pool():
            total = n_weights(synapse)
            return (0 if synapse.weight else total), total
        case Dense() | Conv() | OneToOne():
            total = n_weights(synapse)
            return total - int(np.count_nonzero(synapse.weight)), total
        case _:
            assert_never(synapse)


def n_possible(synapse: Synapse) -> int:
    """Return the products of a step without any zero: missing connections of a list included."""
    if isinstance(synapse, Sparse):
        return synapse.n_in * synapse.n_out
    return int(fan_out(synapse).sum())


def _image_fan_out(synapse: Conv | Pool, *, live: bool) -> IntArray:
    """Add up, tap by tap, the targets that each source channel and pixel reaches."""
    taps, dilation = _taps(synapse, live=live)
    _, height, width = synapse.in_shape
    _, out_h, out_w = synapse.out_shape
    (p_h, p_w), (s_h, s_w) = synapse.padding, synapse.stride
    channels = synapse.in_shape[0]
    total = np.zeros((channels, height + 2 * p_h + s_h, width + 2 * p_w + s_w), dtype=np.int64)
    for i, j in np.ndindex(taps.shape[1:]):
        y, x = i * dilation[0], j * dilation[1]
        total[:, y : y + s_h * out_h : s_h, x : x + s_w * out_w : s_w] += taps[:, i, j, None, None]
    return total[:, p_h : p_h + height, p_w : p_w + width].reshape(-1)


def _taps(synapse: Conv | Pool, *, live: bool) -> tuple[IntArray, tuple[int, int]]:
    """Return, per source channel and kernel element [C_in, kH, kW], the channels it feeds."""
    if isinstance(synapse, Pool):
        value = int(bool(synapse.weight) or not live)
        return np.full((synapse.in_shape[0], *synapse.kernel), value, dtype=np.int64), (1, 1)
    counts = (synapse.weight != 0) if live else np.ones_like(synapse.weight)
    grouped = counts.reshape(synapse.groups, -1, *synapse.weight.shape[1:])
    taps: IntArray = grouped.sum(axis=1, dtype=np.int64)
    return taps.reshape(-1, *synapse.weight.shape[2:]), synapse.dilation
