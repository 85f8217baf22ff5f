"""Linear maps connection by connection, for what no layout with shared weights can say."""

from collections.abc import Iterable, Iterator
from typing import assert_never

import numpy as np

from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.synapses import Conv, Dense, Pool, Sparse, Synapse, sparse_from_dense
from snndeploy.passes.forms import Diagonal, Form, Kernel, Listed, Matrix, Pooled, kernel_of

SPARSE_BELOW = 0.4
"""A matrix with a smaller share of non-zero weights takes less memory as a list."""


def n_connections(form: Form) -> int:
    """Return an upper bound of the connections of a form: what listing it takes."""
    match form:
        case Diagonal(n=n):
            return n
        case Pooled(pool=pool):
            return pool.n_out * pool.kernel[0] * pool.kernel[1]
        case Kernel(conv=conv, weight=weight):
            return weight.size * conv.out_shape[1] * conv.out_shape[2]
        case Matrix() | Listed():
            return form.n_stored
        case _:
            assert_never(form)


def listed(form: Form) -> Listed:
    """Return a form connection by connection; weights of 0 are left out."""
    match form:
        case Listed():
            return form
        case Diagonal(n=n, weight=weight):
            every = np.arange(n)
            return listed_from(n, n, every, every, np.broadcast_to(weight, n))
        case Matrix(weight=weight):
            rows, columns = np.nonzero(weight)
            return listed_from(form.n_out, form.n_in, rows, columns, weight[rows, columns])
        case Pooled():
            return listed(kernel_of(form))
        case Kernel():
            _, height, width = form.conv.out_shape
            return listed_kernels([(form, np.arange(height), np.arange(width))])
        case _:
            assert_never(form)


def listed_from(
    n_out: int, n_in: int, targets: IntArray, sources: IntArray, weight: FloatArray
) -> Listed:
    """Return connections in any order as a form: sorted, pairs that occur twice added up."""
    keys, place = np.unique(targets * n_in + sources, return_inverse=True)
    total = np.bincount(place, weights=weight, minlength=len(keys))
    kept = total != 0
    rows, columns = np.divmod(keys[kept], n_in)
    return Listed(n_in=n_in, n_out=n_out, targets=rows, sources=columns, weight=total[kept])


def listed_synapse(synapse: Conv | Pool) -> Sparse:
    """Return a convolution or pool of integers as the list of its synapses."""
    form: Form
    if isinstance(synapse, Pool):
        form = Pooled(pool=synapse, factor=float(synapse.weight))
    else:
        form = Kernel(conv=synapse, weight=synapse.weight.astype(np.float64))
    every = listed(form)
    return Sparse(
        n_in=every.n_in,
        indptr=np.searchsorted(every.targets, np.arange(every.n_out + 1)),
        indices=every.sources,
        weight=every.weight.astype(np.int64),
    )


def smallest(synapse: Synapse) -> Synapse:
    """Return a dense matrix of few weights as a list."""
    if not isinstance(synapse, Dense):
        return synapse
    share = np.count_nonzero(synapse.weight) / max(synapse.weight.size, 1)
    return sparse_from_dense(synapse.weight) if 0 < share < SPARSE_BELOW else synapse


def listed_kernels(parts: Iterable[tuple[Kernel, IntArray, IntArray]]) -> Listed:
    """Return convolutions of one geometry, each for its rows and columns of the output, listed."""
    taps = []
    for form, rows, columns in parts:
        n_out, n_in = form.n_out, form.n_in
        taps += list(_taps(form, rows, columns))
    targets, sources, values = (np.concatenate(part) for part in zip(*taps, strict=True))
    order = np.argsort(targets * n_in + sources)  # no pair occurs twice
    return Listed(
        n_in=n_in,
        n_out=n_out,
        targets=targets[order],
        sources=sources[order],
        weight=values[order],
    )


def _taps(
    form: Kernel, out_rows: IntArray, out_columns: IntArray
) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
    """Yield, per element of the kernel, its connections inside the image; none has weight 0."""
    conv, weight = form.conv, form.weight
    c_out, c_in, *kernel = weight.shape
    _, height, width = conv.in_shape
    _, out_h, out_w = conv.out_shape
    inputs = np.arange(c_out)[:, None] // (c_out // conv.groups) * c_in + np.arange(c_in)
    for i, j in np.ndindex(*kernel):
        y = out_rows * conv.stride[0] - conv.padding[0] + i * conv.dilation[0]
        x = out_columns * conv.stride[1] - conv.padding[1] + j * conv.dilation[1]
        rows, columns = (
            np.flatnonzero((at >= 0) & (at < size)) for at, size in ((y, height), (x, width))
        )
        o, c = np.nonzero(weight[:, :, i, j])
        places = out_rows[rows][:, None] * out_w + out_columns[columns]
        pixels = y[rows][:, None] * width + x[columns]
        targets = o[:, None] * (out_h * out_w) + places.reshape(-1)
        sources = inputs[o, c][:, None] * (height * width) + pixels.reshape(-1)
        values = np.broadcast_to(weight[o, c, i, j][:, None], targets.shape)
        yield targets.reshape(-1), sources.reshape(-1), values.reshape(-1)


def settled(form: Form) -> Form:
    """Return the layout that takes least memory for connections that share no weights."""
    if isinstance(form, Listed):
        one_to_one = form.n_in == form.n_out == form.n_stored
        if one_to_one and np.array_equal(form.targets, form.sources):
            return Diagonal(n=form.n_in, weight=form.weight)
        if form.n_stored >= SPARSE_BELOW * form.n_in * form.n_out:
            weight = np.zeros((form.n_out, form.n_in))
            weight[form.targets, form.sources] = form.weight
            return Matrix(weight=weight)
    return form
