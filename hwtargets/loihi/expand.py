"""Listed synapses for the kinds that Lava has no process for, and what a sum of them can reach.

Every function takes a synapse kind and answers in target order; flat indices are C, H, W.
"""

from typing import assert_never

import numpy as np

from snndeploy.ir.arrays import IntArray
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse


def as_sparse(synapse: Conv | Pool | OneToOne | Sparse) -> Sparse:
    """Return the same synapses, listed; no stored weight is 0."""
    match synapse:
        case Sparse():
            return synapse
        case OneToOne(weight=weight):
            neurons = np.arange(len(weight))
            return _from_triples(neurons, neurons, weight, n_in=len(weight), n_out=len(weight))
        case Pool():
            return as_sparse(synapse.as_conv)
        case Conv():
            targets, sources, weights = _conv_taps(synapse)
            return _from_triples(targets, sources, weights, n_in=synapse.n_in, n_out=synapse.n_out)
        case _:
            assert_never(synapse)


def _conv_taps(conv: Conv) -> tuple[IntArray, IntArray, IntArray]:
    """List (target, source, weight) kernel position by kernel position, padding left out."""
    c_out, c_in_group, k_h, k_w = conv.weight.shape
    channels = np.arange(c_out)
    first_in = channels // (c_out // conv.groups) * c_in_group
    in_channels = first_in[:, None] + np.arange(c_in_group)
    found: list[tuple[IntArray, IntArray, IntArray]] = []
    for row in range(k_h):
        out_y, in_y = _reached(conv, 0, row)
        for column in range(k_w):
            out_x, in_x = _reached(conv, 1, column)
            targets = _flat(channels, out_y, out_x, conv.out_shape)
            sources = _flat(in_channels, in_y, in_x, conv.in_shape)
            weights = conv.weight[:, :, row, column]
            shape = (c_out, c_in_group, targets.shape[-1])
            found.append(
                (
                    np.broadcast_to(targets[:, None, :], shape).reshape(-1),
                    sources.reshape(-1),
                    np.broadcast_to(weights[:, :, None], shape).reshape(-1),
                )
            )
    return (
        np.concatenate([t for t, _, _ in found]),
        np.concatenate([s for _, s, _ in found]),
        np.concatenate([w for _, _, w in found]),
    )


def _reached(conv: Conv, axis: int, tap: int) -> tuple[IntArray, IntArray]:
    """Return the output positions whose tap falls inside the image, and where it falls."""
    out = np.arange(conv.out_shape[1 + axis])
    inside = out * conv.stride[axis] - conv.padding[axis] + tap * conv.dilation[axis]
    real = (inside >= 0) & (inside < conv.in_shape[1 + axis])
    return out[real], inside[real]


def _flat(channels: IntArray, y: IntArray, x: IntArray, shape: tuple[int, int, int]) -> IntArray:
    """Return flat C, H, W indices [*channels.shape, len(y) * len(x)]."""
    pixels = (y[:, None] * shape[2] + x).reshape(-1)
    return np.asarray(channels[..., None] * (shape[1] * shape[2]) + pixels)


def _from_triples(
    targets: IntArray, sources: IntArray, weights: IntArray, *, n_in: int, n_out: int
) -> Sparse:
    order = np.lexsort((sources, targets))
    order = order[weights[order] != 0]
    counts = np.bincount(targets[order], minlength=n_out)
    return Sparse(
        n_in=n_in,
        indptr=np.concatenate([[0], np.cumsum(counts)]),
        indices=sources[order],
        weight=weights[order],
    )


def sum_range(synapse: Synapse, low: int, high: int) -> tuple[int, int]:
    """Return the smallest and largest sum any target can receive in one step.

    Args:
        synapse: weights, before the projection's exponent.
        low: smallest payload of a source neuron; a silent neuron sends 0.
        high: largest payload.
    """
    low, high = min(low, 0), max(high, 0)
    match synapse:
        case Dense(weight=weight):
            rows = weight
        case Conv(weight=weight):
            rows = weight.reshape(len(weight), -1)
        case OneToOne(weight=weight):
            rows = weight[:, None]
        case Pool(kernel=kernel, weight=value):
            rows = np.full((1, kernel[0] * kernel[1]), value)
        case Sparse():
            return _sparse_sum_range(synapse, low, high)
        case _:
            assert_never(synapse)
    smallest = np.minimum(rows * low, rows * high).sum(axis=1)
    largest = np.maximum(rows * low, rows * high).sum(axis=1)
    return int(smallest.min(initial=0)), int(largest.max(initial=0))


def _sparse_sum_range(synapse: Sparse, low: int, high: int) -> tuple[int, int]:
    smallest = np.zeros(synapse.n_out, dtype=np.int64)
    largest = np.zeros(synapse.n_out, dtype=np.int64)
    np.add.at(smallest, synapse.rows, np.minimum(synapse.weight * low, synapse.weight * high))
    np.add.at(largest, synapse.rows, np.maximum(synapse.weight * low, synapse.weight * high))
    return int(smallest.min(initial=0)), int(largest.max(initial=0))
