"""One linear map of two: exact in float up to rounding, in the smallest layout that holds it.

Scales keep the layout they act on; two convolutions (or pools) are one larger kernel as long as no
border is seen twice; everything else is listed connection by connection, as long as the list stays
within bounds. Integers are chosen once, for the composed map.
"""

from dataclasses import replace

import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.passes.forms import Diagonal, Form, Kernel, Listed, Matrix, Pooled, kernel_of
from snndeploy.passes.kernels import bordered, is_uniform, kernel_size, one_kernel, through
from snndeploy.passes.listing import (
    listed,
    listed_from,
    listed_kernels,
    n_connections,
    settled,
)

MOST_CONNECTIONS = 1 << 24
"""Connections of a composed map that are always allowed."""
MOST_GROWTH = 16
"""Beyond that a map may hold so many times the weights of its parts."""
AT_ONCE = 1 << 22
"""Products of two lists that are made at once."""


def compose(first: Form, second: Form, *, where: str) -> Form:
    """Return second(first(x)) as one form.

    Args:
        first: [n_in -> n].
        second: [n -> n_out].
        where: the layers' names, for messages.

    Raises:
        UnsupportedError: E2103, the composed map has too many connections.
    """
    allowed = max(MOST_CONNECTIONS, MOST_GROWTH * (first.n_stored + second.n_stored))
    match first, second:
        case _, Diagonal(weight=weight):
            return with_rows(first, weight, where=where)
        case Diagonal(weight=weight), _:
            return _with_columns(second, weight, where=where)
        case (Kernel() | Pooled(), Kernel() | Pooled()):
            n_weights = kernel_size(first, second)
            _check(n_weights, allowed, where=where)
            one = one_kernel(first, second)
            if one is not None:
                return one
            shape = (second.conv if isinstance(second, Kernel) else second.pool).out_shape
            _check(n_weights * shape[1] * shape[2], allowed, where=where)
            return settled(listed_kernels(bordered(first, second)))
        case (Matrix(), _) | (_, Matrix()):
            _check(first.n_in * second.n_out, allowed, where=where)
            return Matrix(weight=_matrix_product(first, second, where=where))
    one_list, two_list = _listed(first, where=where), _listed(second, where=where)
    return _product(one_list, two_list, allowed, where=where)


def scaled(form: Form, factor: float) -> Form:
    """Return a form whose output is multiplied by a number."""
    if factor == 1.0:
        return form
    if isinstance(form, Pooled):
        return replace(form, factor=form.factor * factor)
    return replace(form, weight=form.weight * factor)


def added(first: Form, second: Form, *, where: str) -> Form:
    """Return first(x) + second(x), two maps of the same nodes, as one form.

    Raises:
        UnsupportedError: E2103, they have too many connections.
    """
    shared = (Diagonal, Kernel, Matrix)
    if isinstance(first, shared) and isinstance(second, shared):
        alike = type(first) is type(second) and first.weight.shape == second.weight.shape
        if alike:
            return replace(first, weight=first.weight + second.weight)
    one, two = _listed(first, where=where), _listed(second, where=where)
    targets, sources, weight = (
        np.concatenate([getattr(one, field), getattr(two, field)])
        for field in ("targets", "sources", "weight")
    )
    return listed_from(one.n_out, one.n_in, targets, sources, weight)


def with_rows(form: Form, factor: FloatArray, *, where: str) -> Form:
    """Return a form whose outputs are multiplied by factor [n_out] each."""
    if is_uniform(factor):
        return scaled(form, float(factor[0]))
    match form:
        case Diagonal(weight=weight):
            return replace(form, weight=weight * factor)
        case Matrix(weight=weight):
            return Matrix(weight=weight * factor[:, None])
        case Listed(weight=weight, targets=targets):
            return _without_zeros(replace(form, weight=weight * factor[targets]))
        case Kernel(weight=weight):
            by_channel = factor.reshape(len(weight), -1)
            if np.all(np.ptp(by_channel, axis=1) == 0):
                return replace(form, weight=weight * by_channel[:, :1, None, None])
        case Pooled(pool=pool):
            if np.all(np.ptp(factor.reshape(pool.in_shape[0], -1), axis=1) == 0):
                return with_rows(kernel_of(form), factor, where=where)
    return with_rows(_listed(form, where=where), factor, where=where)


def _with_columns(form: Form, factor: FloatArray, *, where: str) -> Form:
    """Return a form whose inputs are multiplied by factor [n_in] each."""
    if is_uniform(factor):
        return scaled(form, float(factor[0]))
    match form:
        case Matrix(weight=weight):
            return Matrix(weight=weight * factor)
        case Listed(weight=weight, sources=sources):
            return _without_zeros(replace(form, weight=weight * factor[sources]))
        case Kernel(conv=conv, weight=weight):
            by_channel = factor.reshape(conv.in_shape[0], -1)
            if np.all(np.ptp(by_channel, axis=1) == 0):
                grouped = by_channel[:, 0].reshape(conv.groups, 1, -1, 1, 1)
                blocks = weight.reshape(conv.groups, -1, *weight.shape[1:]) * grouped
                return replace(form, weight=blocks.reshape(weight.shape))
        case Pooled():
            return _with_columns(kernel_of(form), factor, where=where)
    return _with_columns(_listed(form, where=where), factor, where=where)


def _without_zeros(form: Listed) -> Listed:
    kept = form.weight != 0
    return replace(
        form, targets=form.targets[kept], sources=form.sources[kept], weight=form.weight[kept]
    )


# ---- lists -------------------------------------------------------------------------------


def _matrix_product(first: Form, second: Form, *, where: str) -> FloatArray:
    """Return the matrix of second(first(x)), of which at least one is a matrix: [n_out, n_in]."""
    if isinstance(first, Matrix) and isinstance(second, Matrix):
        both: FloatArray = second.weight @ first.weight
        return both
    if isinstance(second, Matrix) and isinstance(first, Kernel | Pooled):
        return through(second.weight, first)
    if isinstance(second, Matrix):
        return _through(second.weight, _listed(first, where=where))
    assert isinstance(first, Matrix)
    back = _listed(second, where=where)
    turned = listed_from(back.n_in, back.n_out, back.sources, back.targets, back.weight)
    return _through(first.weight.T, turned).T


def _through(weight: FloatArray, first: Listed) -> FloatArray:
    """Return weight [n_out, n] times a list of connections [n, n_in], row by row."""
    rows = [
        np.bincount(first.sources, weights=first.weight * row[first.targets], minlength=first.n_in)
        for row in weight
    ]
    return np.stack(rows)


def _product(first: Listed, second: Listed, allowed: int, *, where: str) -> Form:
    """Return second(first(x)), connection by connection, a slice of targets at a time."""
    starts = np.searchsorted(first.targets, np.arange(first.n_out + 1))
    many = np.diff(starts)[second.sources]
    ends = np.searchsorted(second.targets, np.arange(second.n_out + 1))
    made = np.concatenate([[0], np.cumsum(many)])[ends]
    _check(int(made[-1]) // MOST_GROWTH, allowed, where=where)
    parts: list[tuple[IntArray, IntArray, FloatArray]] = []
    begin, total, rows = 0, 0, max(AT_ONCE // first.n_in, 1)
    while begin < second.n_out:
        stop = int(np.searchsorted(made, made[begin] + AT_ONCE, side="right")) - 1
        stop = min(max(stop, begin + 1), begin + rows)
        cut = slice(int(ends[begin]), int(ends[stop]))
        counts = many[cut]
        at = np.repeat(starts[second.sources[cut]], counts) + _count_up(counts)
        values = np.repeat(second.weight[cut], counts) * first.weight[at]
        cells = np.repeat(second.targets[cut] - begin, counts) * first.n_in + first.sources[at]
        sums = np.bincount(cells, weights=values, minlength=(stop - begin) * first.n_in)
        kept = np.flatnonzero(sums)
        row, column = np.divmod(kept, first.n_in)
        weights: FloatArray = np.asarray(sums[kept], dtype=np.float64)
        parts.append((row + begin, column, weights))
        total += len(kept)
        _check(total, allowed, where=where)
        begin = stop
    targets, sources, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    return settled(
        Listed(n_in=first.n_in, n_out=second.n_out, targets=targets, sources=sources, weight=weight)
    )


def _count_up(many: IntArray) -> IntArray:
    """Return 0, 1, …, many[0] - 1, 0, 1, …, many[1] - 1 and so on."""
    starts = np.cumsum(many) - many
    return np.arange(int(many.sum())) - np.repeat(starts, many)


def _listed(form: Form, *, where: str) -> Listed:
    allowed = max(MOST_CONNECTIONS, MOST_GROWTH * form.n_stored)
    _check(n_connections(form), allowed, where=where)
    return listed(form)


def _check(n_wanted: int, allowed: int, *, where: str) -> None:
    if n_wanted > allowed:
        raise UnsupportedError(
            "E2103",
            f"layers without a neuron between them become one map of {n_wanted:,} connections or "
            f"more; {allowed:,} at most",
            where=where,
            remedy="put a spiking layer between them, or train the second convolution without "
            "padding, then both are one kernel",
        )
