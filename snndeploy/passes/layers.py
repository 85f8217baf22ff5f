"""Model -> layers: each spiking node with the one linear map that feeds it.

A chain of NIR nodes is cut behind its spiking nodes. What stands before each (pools, flattening,
scales and at most one weight node) becomes one linear map in float, written in the layout that the
chip will use. Pools after spikes fold into the weights that follow: no population, no step.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import nir
import numpy as np

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.ir.arrays import AnyArray, FloatArray, IntArray
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pair, Pool, Shape3, Synapse
from snndeploy.model import Model
from snndeploy.passes.neuron import NEURONS, READOUTS, Recurrence, recurrence

LAYOUT_ONLY = (nir.Flatten,)
POOLS = (nir.AvgPool2d, nir.SumPool2d)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Layer:
    """One population to be: a linear map, a bias, a neuron.

    Attributes:
        name: name of its spiking node, or of its last weight node for a readout.
        nodes: the NIR nodes it came from, in order.
        weight: real weights, first axis the target channel or neuron.
        build: makes the synapse of integer weights of the same shape.
        bias: real bias per neuron [n].
        shape: of the population.
        neuron: None for a readout without a neuron.
    """

    name: str
    nodes: tuple[str, ...]
    weight: FloatArray
    build: Callable[[IntArray], Synapse]
    bias: FloatArray
    shape: tuple[int, ...]
    neuron: Recurrence | None


def layers_of(model: Model) -> tuple[Layer, ...]:
    """Cut a chain into layers.

    Raises:
        UnsupportedError: E2101 the graph is not a chain, E2102 a node that has no lowering, E2103
            weights after weights, E2104 a pool between weights and neuron, and those of
            `recurrence`.
        ModelError: E1052 shapes that do not follow from each other.
    """
    layers: list[Layer] = []
    shape = model.inputs[0].shape
    pending = _identity(shape)
    for name in chain(model):
        node = model.graph.nodes[name]
        if isinstance(node, NEURONS):
            neuron = recurrence(name, node, model.semantics_of(name))
            layers.append(_close(pending, name, neuron))
            pending = _identity(layers[-1].shape)
        else:
            pending = _extend(pending, name, node)
    if pending.nodes:
        layers.append(_close(pending, pending.weight_node or pending.nodes[-1], None))
    return tuple(layers)


def chain(model: Model) -> tuple[str, ...]:
    """Return the names of the nodes between the input and the output, in order."""
    following: dict[str, list[str]] = {name: [] for name in model.graph.nodes}
    for source, target in model.graph.edges:
        following[source].append(target)
    order: list[str] = []
    here = model.inputs[0].name
    while True:
        targets = following[here]
        if len(targets) != 1 or len(order) > len(following):
            raise _not_a_chain(here, len(targets))
        here = targets[0]
        if isinstance(model.graph.nodes[here], nir.Output):
            break
        order.append(here)
    if len(order) != len(following) - 2:
        raise _not_a_chain(next(iter(set(following) - set(order))), 0)
    return tuple(order)


def _not_a_chain(name: str, n: int) -> UnsupportedError:
    return UnsupportedError(
        "E2101",
        f"the graph is not a chain ({n} edges leave this node)",
        where=name,
        remedy="deploy the branch-free part; branches, loops and skips are not lowered yet",
    )


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Pending:
    """The linear map collected since the last spiking node."""

    nodes: tuple[str, ...]
    in_shape: tuple[int, ...]
    shape: tuple[int, ...]
    pool: Pool | None = None
    pool_scale: float = 1.0
    weight_node: str = ""
    weight: FloatArray | None = None
    build: Callable[[IntArray], Synapse] | None = None
    bias: FloatArray | None = None
    scale: float = 1.0


def _identity(shape: tuple[int, ...]) -> _Pending:
    return _Pending(nodes=(), in_shape=shape, shape=shape)


def _extend(pending: _Pending, name: str, node: Any) -> _Pending:
    """Append one linear node to the map."""
    pending = replace(pending, nodes=(*pending.nodes, name))
    match node:
        case nir.Flatten():
            return replace(pending, shape=_flattened(node, pending.shape))
        case nir.AvgPool2d() | nir.SumPool2d():
            return _with_pool(pending, name, node)
        case nir.Scale():
            return _with_scale(pending, name, node)
        case nir.Linear() | nir.Affine():
            return _with_dense(pending, name, node)
        case nir.Conv1d() | nir.Conv2d():
            return _with_conv(pending, name, node)
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


def _with_pool(pending: _Pending, name: str, node: Any) -> _Pending:
    if pending.weight is not None:
        raise UnsupportedError(
            "E2104",
            "a pool between the weights and the neuron",
            where=name,
            remedy="train with the pool after the neuron, where it folds into the next weights",
        )
    if pending.pool is not None:
        raise UnsupportedError("E2104", "a pool after a pool", where=name, remedy="use one pool")
    kernel, stride, padding = (_pair(v) for v in (node.kernel_size, node.stride, node.padding))
    pool = Pool(in_shape=_image(pending.shape, name), kernel=kernel, stride=stride, padding=padding)
    share = 1.0 / prod(kernel) if isinstance(node, nir.AvgPool2d) else 1.0
    return replace(pending, pool=pool, pool_scale=share, shape=pool.out_shape)


def _with_scale(pending: _Pending, name: str, node: Any) -> _Pending:
    scale = np.asarray(node.scale, dtype=np.float64).reshape(-1)
    if np.ptp(scale) > 0:
        raise UnsupportedError(
            "E2102",
            "a Scale node with different factors has no lowering yet",
            where=name,
            remedy="fold the factors into the weights before or after it",
        )
    factor = float(scale[0])
    bias = None if pending.bias is None else pending.bias * factor
    return replace(pending, scale=pending.scale * factor, bias=bias)


def _with_dense(pending: _Pending, name: str, node: Any) -> _Pending:
    _one_weight_node(pending, name)
    weight = np.asarray(node.weight, dtype=np.float64)
    if weight.ndim != 2 or weight.shape[1] != prod(pending.shape):
        raise _bad_shape(name, weight.shape, pending.shape)
    if pending.pool is not None:
        weight = _dense_of_pool(weight, pending.pool) * pending.pool_scale
    bias = _bias(node, len(weight))
    return replace(
        pending,
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


def _with_conv(pending: _Pending, name: str, node: Any) -> _Pending:
    _one_weight_node(pending, name)
    one_d = isinstance(node, nir.Conv1d)
    weight = np.asarray(node.weight, dtype=np.float64)
    weight = weight[:, :, None, :] if one_d else weight
    image = _image(pending.shape, name)
    stride, dilation = (_pair(v, one_d=one_d) for v in (node.stride, node.dilation))
    padding = _padding(name, node.padding, weight.shape[2:], dilation, one_d=one_d)
    groups = int(node.groups)
    if weight.shape[1] * groups != image[0]:
        raise _bad_shape(name, weight.shape, image)
    if pending.pool is not None:
        weight, stride, padding, dilation = _conv_of_pool(
            name, weight * pending.pool_scale, pending.pool, stride, padding, dilation
        )
        image = pending.pool.in_shape

    def build(integers: IntArray) -> Synapse:
        return Conv(
            weight=integers, in_shape=image, stride=stride, padding=padding, dilation=dilation,
            groups=groups,
        )  # fmt: skip

    out = _out_shape(name, build, weight)
    bias = np.repeat(_bias(node, len(weight)), prod(out[1:]))
    shape = (out[0], out[2]) if one_d else out
    return replace(pending, weight_node=name, weight=weight, build=build, bias=bias, shape=shape)


def _out_shape(name: str, build: Callable[[IntArray], Synapse], weight: FloatArray) -> Shape3:
    try:
        synapse = build(np.zeros(weight.shape, dtype=np.int64))
    except AssertionError:
        raise ModelError(
            "E1052", "the kernel is larger than its input", where=name, remedy="check the shapes"
        ) from None
    assert isinstance(synapse, Conv)
    return synapse.out_shape


def _conv_of_pool(
    name: str, weight: FloatArray, pool: Pool, stride: Pair, padding: Pair, dilation: Pair
) -> tuple[FloatArray, Pair, Pair, Pair]:
    """Compose sum pool and convolution into one kernel with dilation 1."""
    tiled = pool.stride == pool.kernel and pool.padding == (0, 0)
    whole = all(size % step == 0 for size, step in zip(pool.in_shape[1:], pool.stride, strict=True))
    if padding != (0, 0) and not (tiled and whole):
        raise UnsupportedError(
            "E2104",
            f"a padded convolution after a pool that does not tile its {pool.in_shape[1]}x"
            f"{pool.in_shape[2]} input",
            where=name,
            remedy="use a pool size that divides the image, or no padding",
        )
    size = tuple(
        (taps - 1) * dil * step + kernel
        for taps, dil, step, kernel in zip(
            weight.shape[2:], dilation, pool.stride, pool.kernel, strict=True
        )
    )
    composed = np.zeros((*weight.shape[:2], *size))
    for y in range(weight.shape[2]):
        for x in range(weight.shape[3]):
            top, left = y * dilation[0] * pool.stride[0], x * dilation[1] * pool.stride[1]
            window = np.s_[:, :, top : top + pool.kernel[0], left : left + pool.kernel[1]]
            composed[window] += weight[:, :, y, x, None, None]
    stride = (stride[0] * pool.stride[0], stride[1] * pool.stride[1])
    padding = (
        padding[0] * pool.stride[0] + pool.padding[0],
        padding[1] * pool.stride[1] + pool.padding[1],
    )
    return composed, stride, padding, (1, 1)


def _close(pending: _Pending, name: str, neuron: Recurrence | None) -> Layer:
    """Make a layer of the collected map and a neuron, scales and gains folded into the weights."""
    n = prod(pending.shape)
    weight, build = pending.weight, pending.build
    if weight is None or build is None:
        weight, build = _weightless(pending, n)
    bias = np.zeros(n) if pending.bias is None else pending.bias
    weight = weight * pending.scale
    if neuron is None:
        return Layer(
            name=name, nodes=pending.nodes, weight=weight, build=build, bias=bias,
            shape=pending.shape, neuron=None,
        )  # fmt: skip
    if len(neuron.threshold) not in (1, n):
        raise _bad_shape(name, neuron.threshold.shape, pending.shape)
    if neuron.keep_u and np.any(bias != 0):
        raise UnsupportedError(
            "E2127",
            "a bias that enters the synaptic current; the chip adds biases to the potential",
            where=name,
            remedy="train the layer before a current-based neuron with bias=False",
        )
    weight, bias, neuron = _normalise(name, weight, bias, neuron, n)
    return Layer(
        name=name, nodes=(*pending.nodes, name), weight=weight, build=build, bias=bias,
        shape=pending.shape, neuron=neuron,
    )  # fmt: skip


def _normalise(
    name: str, weight: FloatArray, bias: FloatArray, neuron: Recurrence, n: int
) -> tuple[FloatArray, FloatArray, Recurrence]:
    """Fold the gain into the weights; thresholds that differ become 1 by scaling their rows."""
    gain, threshold = (np.broadcast_to(v, n) for v in (neuron.gain, neuron.threshold))
    drive = np.broadcast_to(neuron.drive, n)
    common = np.ptp(threshold) == 0
    factor = gain if common else gain / threshold
    rows = factor.reshape(len(weight), -1)
    if np.any(np.ptp(rows, axis=1) > 0):
        raise UnsupportedError(
            "E2124",
            "gain or threshold differ inside a channel whose weights are shared",
            where=name,
            remedy="train with one threshold per channel or per layer",
        )
    weight = weight * rows[:, 0].reshape(-1, *[1] * (weight.ndim - 1))
    bias = bias * factor + (drive if common else drive / threshold)
    threshold = threshold[:1] if common else np.ones(1)
    one = np.ones(1)
    return weight, bias, replace(neuron, gain=one, drive=0 * one, threshold=threshold)


def _weightless(pending: _Pending, n: int) -> tuple[FloatArray, Callable[[IntArray], Synapse]]:
    pool = pending.pool
    if pool is None:
        return np.ones(n), lambda integers: OneToOne(weight=np.broadcast_to(integers, n))

    def build(integers: IntArray) -> Synapse:
        return replace(pool, weight=int(integers.reshape(-1)[0]))

    return np.full(1, pending.pool_scale), build


def _one_weight_node(pending: _Pending, name: str) -> None:
    if pending.weight is not None:
        raise UnsupportedError(
            "E2103",
            f"weights after the weights of {pending.weight_node!r}, no neuron between them",
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
        raise _bad_shape(name, ("C", "H", "W"), shape)
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


def _bad_shape(name: str, weight: tuple[Any, ...] | AnyArray, shape: tuple[int, ...]) -> ModelError:
    return ModelError(
        "E1052",
        f"weights of shape {tuple(weight)} do not follow from an input of shape {shape}",
        where=name,
        remedy="check the layer's sizes and the input shape",
    )
