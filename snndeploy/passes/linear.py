"""What stands between two spiking nodes, collected into one linear map in float.

Pools after spikes fold into the weights that follow: no population, no step. A map is written in
the layout the chip will use, and knows how to make a synapse of integer weights of its shape.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import nir
import numpy as np

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.interpret import triples
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pair, Pool, Shape3, Sparse, Synapse
from snndeploy.passes.neuron import READOUTS

Build = Callable[[IntArray], Synapse]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LinearMap:
    """The linear map collected since the last spiking node."""

    nodes: tuple[str, ...]
    shape: tuple[int, ...]
    pool: Pool | None = None
    pool_scale: float = 1.0
    weight_node: str = ""
    weight: FloatArray | None = None
    build: Build | None = None
    bias: FloatArray | None = None
    scale: float = 1.0


def identity(shape: tuple[int, ...]) -> LinearMap:
    """Return the map that leaves everything as it is."""
    return LinearMap(nodes=(), shape=shape)


def extend(linear: LinearMap, name: str, node: Any) -> LinearMap:
    """Append one linear node to the map."""
    linear = replace(linear, nodes=(*linear.nodes, name))
    match node:
        case nir.Flatten():
            return replace(linear, shape=_flattened(node, linear.shape))
        case nir.AvgPool2d() | nir.SumPool2d():
            return _with_pool(linear, name, node)
        case nir.Scale():
            return _with_scale(linear, name, node)
        case nir.Linear() | nir.Affine():
            return _with_dense(linear, name, node)
        case nir.Conv1d() | nir.Conv2d():
            return _with_conv(linear, name, node)
        case nir.NIRGraph():
            what, remedy = "a nested graph", "export the model flat"
        case _ if isinstance(node, READOUTS):
            what = f"a {type(node).__name__} readout that leaks or filters"
            remedy = "end the model in its weights, or in a spiking layer"
        case _:
            what, remedy = f"a {type(node).__name__} node", "replace it by a supported node"
    raise UnsupportedError("E2102", f"{what} has no lowering yet", where=name, remedy=remedy)


def _flattened(node: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the flattened shape; NIR counts dimensions without the batch."""
    start, end = int(node.start_dim) % len(shape), int(node.end_dim) % len(shape)
    return (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :])


def _with_pool(linear: LinearMap, name: str, node: Any) -> LinearMap:
    if linear.weight is not None:
        raise UnsupportedError(
            "E2104",
            "a pool between the weights and the neuron",
            where=name,
            remedy="train with the pool after the neuron, where it folds into the next weights",
        )
    if linear.pool is not None:
        raise UnsupportedError("E2104", "a pool after a pool", where=name, remedy="use one pool")
    kernel, stride, padding = (_pair(v) for v in (node.kernel_size, node.stride, node.padding))
    pool = Pool(in_shape=_image(linear.shape, name), kernel=kernel, stride=stride, padding=padding)
    share = 1.0 / prod(kernel) if isinstance(node, nir.AvgPool2d) else 1.0
    return replace(linear, pool=pool, pool_scale=share, shape=pool.out_shape)


def _with_scale(linear: LinearMap, name: str, node: Any) -> LinearMap:
    scale = np.asarray(node.scale, dtype=np.float64).reshape(-1)
    if np.ptp(scale) > 0:
        raise UnsupportedError(
            "E2102",
            "a Scale node with different factors has no lowering yet",
            where=name,
            remedy="fold the factors into the weights before or after it",
        )
    factor = float(scale[0])
    bias = None if linear.bias is None else linear.bias * factor
    return replace(linear, scale=linear.scale * factor, bias=bias)


def _with_dense(linear: LinearMap, name: str, node: Any) -> LinearMap:
    _one_weight_node(linear, name)
    weight = np.asarray(node.weight, dtype=np.float64)
    if weight.ndim != 2 or weight.shape[1] != prod(linear.shape):
        raise bad_shape(name, weight.shape, linear.shape)
    if linear.pool is not None:
        weight = _dense_of_pool(weight, linear.pool) * linear.pool_scale
    bias = _bias(node, len(weight))
    return replace(
        linear,
        weight_node=name,
        weight=weight,
        build=lambda integers: Dense(weight=integers),
        bias=bias,
        shape=(len(weight),),
    )


def _dense_of_pool(weight: FloatArray, pool: Pool) -> FloatArray:
    """Spread weights on pooled pixels over the pixels of their windows: [n_out, pool.n_in]."""
    channels, height, width = pool.in_shape
    _, out_h, out_w = pool.out_shape
    rows = weight.reshape(-1, channels, out_h, out_w)
    pad_y, pad_x = pool.padding
    spread = np.zeros((len(rows), channels, height + 2 * pad_y, width + 2 * pad_x))
    for y in range(out_h):
        for x in range(out_w):
            top, left = y * pool.stride[0], x * pool.stride[1]
            window = np.s_[:, :, top : top + pool.kernel[0], left : left + pool.kernel[1]]
            spread[window] += rows[:, :, y, x, None, None]
    inner = spread[:, :, pad_y : pad_y + height, pad_x : pad_x + width]
    return inner.reshape(len(rows), -1)


def _with_conv(linear: LinearMap, name: str, node: Any) -> LinearMap:
    _one_weight_node(linear, name)
    one_d = isinstance(node, nir.Conv1d)
    weight = np.asarray(node.weight, dtype=np.float64)
    weight = weight[:, :, None, :] if one_d else weight
    conv = _conv_shape(name, node, _image(linear.shape, name), weight.shape, one_d=one_d)
    out = conv.out_shape
    bias = np.repeat(_bias(node, len(weight)), prod(out[1:]))
    if linear.pool is None:
        build: Build = partial(_with_weight, conv)
    else:
        weight, build = _conv_of_pool(conv, weight * linear.pool_scale, linear.pool)
    shape = (out[0], out[2]) if one_d else out
    return replace(linear, weight_node=name, weight=weight, build=build, bias=bias, shape=shape)


def _with_weight(conv: Conv, integers: IntArray) -> Synapse:
    return replace(conv, weight=integers)


def _conv_shape(
    name: str, node: Any, image: Shape3, kernel: tuple[int, ...], *, one_d: bool
) -> Conv:
    """Return the convolution's geometry, its weights still 0."""
    stride, dilation = (_pair(v, one_d=one_d) for v in (node.stride, node.dilation))
    padding = _padding(name, node.padding, kernel[2:], dilation, one_d=one_d)
    if kernel[1] * int(node.groups) != image[0]:
        raise bad_shape(name, kernel, image)
    try:
        return Conv(
            weight=np.zeros(kernel, dtype=np.int64),
            in_shape=image,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=int(node.groups),
        )
    except AssertionError:
        raise ModelError(
            "E1052", "the kernel is larger than its input", where=name, remedy="check the shapes"
        ) from None


def _conv_of_pool(conv: Conv, weight: FloatArray, pool: Pool) -> tuple[FloatArray, Build]:
    """Compose sum pool and convolution: one kernel, or listed synapses where padding forbids it.

    A padded convolution sees zeros beyond the pooled image. Composed into one kernel it sees zeros
    there only if the pool's windows tile the whole input.
    """
    tiled = pool.stride == pool.kernel and pool.padding == (0, 0)
    whole = all(size % step == 0 for size, step in zip(pool.in_shape[1:], pool.stride, strict=True))
    if conv.padding != (0, 0) and not (tiled and whole):
        return _list_of_pool(conv, weight, pool)
    size = tuple(
        (taps - 1) * dil * step + kernel
        for taps, dil, step, kernel in zip(
            weight.shape[2:], conv.dilation, pool.stride, pool.kernel, strict=True
        )
    )
    composed = np.zeros((*weight.shape[:2], *size))
    for y, x in np.ndindex(*weight.shape[2:]):
        top, left = y * conv.dilation[0] * pool.stride[0], x * conv.dilation[1] * pool.stride[1]
        window = np.s_[:, :, top : top + pool.kernel[0], left : left + pool.kernel[1]]
        composed[window] += weight[:, :, y, x, None, None]

    def build(integers: IntArray) -> Synapse:
        return Conv(
            weight=integers,
            in_shape=pool.in_shape,
            stride=(conv.stride[0] * pool.stride[0], conv.stride[1] * pool.stride[1]),
            padding=(
                conv.padding[0] * pool.stride[0] + pool.padding[0],
                conv.padding[1] * pool.stride[1] + pool.padding[1],
            ),
            groups=conv.groups,
        )

    return composed, build


def _list_of_pool(conv: Conv, weight: FloatArray, pool: Pool) -> tuple[FloatArray, Build]:
    """Compose sum pool and convolution synapse by synapse; weights [n_synapses]."""
    numbered = replace(conv, weight=np.arange(1, weight.size + 1).reshape(weight.shape))
    targets, pooled, number = triples(numbered)
    kernel_weight = weight.reshape(-1)[number - 1]
    taps, pixels, _ = triples(pool)
    order = np.argsort(taps, kind="stable")
    first = np.searchsorted(taps[order], np.arange(pool.n_out))
    many = np.bincount(taps, minlength=pool.n_out)[pooled]
    which = np.repeat(first[pooled], many) + _count_up(many)
    keys = np.repeat(targets, many) * pool.n_in + pixels[order][which]
    unique, place = np.unique(keys, return_inverse=True)
    weights = np.zeros(len(unique))
    np.add.at(weights, place, np.repeat(kernel_weight, many))
    rows, columns = np.divmod(unique, pool.n_in)

    def build(integers: IntArray) -> Synapse:
        kept = integers != 0
        counts = np.bincount(rows[kept], minlength=conv.n_out)
        return Sparse(
            n_in=pool.n_in,
            indptr=np.concatenate([[0], np.cumsum(counts)]),
            indices=columns[kept],
            weight=integers[kept],
        )

    return weights, build


def _count_up(many: IntArray) -> IntArray:
    """Return 0, 1, …, many[0] - 1, 0, 1, …, many[1] - 1 and so on."""
    starts = np.cumsum(many) - many
    return np.arange(int(many.sum())) - np.repeat(starts, many)


def weights_of(linear: LinearMap) -> tuple[FloatArray, Build]:
    """Return the real weights, scales included, and what makes a synapse of integer ones."""
    if linear.weight is not None and linear.build is not None:
        return linear.weight * linear.scale, linear.build
    pool, n = linear.pool, prod(linear.shape)
    if pool is None:
        return np.full(1, linear.scale), lambda whole: OneToOne(weight=np.broadcast_to(whole, n))

    def build(integers: IntArray) -> Synapse:
        return replace(pool, weight=int(integers[0]))

    return np.full(1, linear.pool_scale * linear.scale), build


def _one_weight_node(linear: LinearMap, name: str) -> None:
    if linear.weight is not None:
        raise UnsupportedError(
            "E2103",
            f"weights after the weights of {linear.weight_node!r}, no neuron between them",
            where=name,
            remedy="put a spiking layer between them, or multiply the two into one layer",
        )


def _bias(node: Any, n: int) -> FloatArray:
    bias = getattr(node, "bias", None)
    return np.zeros(n) if bias is None else np.asarray(bias, dtype=np.float64).reshape(-1)


def _image(shape: tuple[int, ...], name: str) -> Shape3:
    if len(shape) == 2:
        return shape[0], 1, shape[1]
    if len(shape) != 3:
        raise bad_shape(name, ("C", "H", "W"), shape)
    return shape[0], shape[1], shape[2]


def _pair(value: Any, *, one_d: bool = False) -> Pair:
    values = np.asarray(value, dtype=np.int64).reshape(-1)
    if one_d:
        return (1, int(values[-1]))
    return int(values[0]), int(values[-1])


def _padding(
    name: str, value: Any, kernel: tuple[int, ...], dilation: Pair, *, one_d: bool
) -> Pair:
    if not isinstance(value, str):
        height, width = _pair(value, one_d=one_d)
        return (0, width) if one_d else (height, width)
    reach = [d * (k - 1) if value == "same" else 0 for d, k in zip(dilation, kernel, strict=True)]
    if any(pixels % 2 for pixels in reach):
        raise UnsupportedError(
            "E2102",
            "padding 'same' of an even kernel is not symmetric",
            where=name,
            remedy="use an odd kernel or a number for the padding",
        )
    return reach[0] // 2, reach[1] // 2


def bad_shape(name: str, weight: tuple[Any, ...], shape: tuple[int, ...]) -> ModelError:
    """Return the error of weights that do not fit their input."""
    return ModelError(
        "E1052",
        f"weights of shape {tuple(weight)} do not follow from an input of shape {shape}",
        where=name,
        remedy="check the layer's sizes and the input shape",
    )
