"""What stands between two spiking nodes, collected into one linear map in float.

Every linear node is a form of its own (`snndeploy.passes.forms`); a map composes them as they come
and carries the biases through: no population, no step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import nir
import numpy as np

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.ir.arrays import FloatArray
from snndeploy.ir.synapses import Conv, Pair, Pool, Shape3
from snndeploy.passes.compose import added, compose
from snndeploy.passes.forms import (
    Diagonal,
    Form,
    Kernel,
    Matrix,
    Pooled,
    apply_form,
    identity,
    is_identity,
)
from snndeploy.passes.neuron import READOUTS


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LinearMap:
    """The linear map collected since the last spiking node.

    Attributes:
        nodes: the linear NIR nodes in it, in order.
        shape: of its output, without time and batch.
        form: from the source to here.
        biases: what is added [n_out], by the step from which on it acts; 0 is the first.
        weight_node: the last node with weights, empty if there is none.
        weight_nodes: all of them, in order.
        factor: what averages, scales and gains multiply the weights (or spikes) by, [1] or
            [n_out]; None where it differs in front of weights or a pool.
        notes: what the compile report says of it.
    """

    nodes: tuple[str, ...]
    shape: tuple[int, ...]
    form: Form
    biases: Mapping[int, FloatArray]
    weight_node: str = ""
    weight_nodes: tuple[str, ...] = ()
    factor: FloatArray | None = field(default_factory=lambda: np.ones(1))
    notes: tuple[str, ...] = ()

    @property
    def is_untouched(self) -> bool:
        """Whether what arrives is what was sent."""
        return is_identity(self.form) and not self.biases


def nothing_yet(shape: tuple[int, ...]) -> LinearMap:
    """Return the map that leaves everything as it is."""
    return LinearMap(nodes=(), shape=shape, form=identity(prod(shape)), biases={})


def extend(linear: LinearMap, name: str, node: Any, *, biased: bool = True) -> LinearMap:
    """Append one linear node to a map.

    Args:
        linear: what leads to the node.
        name: the node's name.
        node: any linear node but a delay.
        biased: whether this map brings the node's bias; it acts once where several meet.

    Raises:
        UnsupportedError: E2102 a node that is not linear, E2103 a composed map with too many
            connections.
        ModelError: E1052, shapes that do not follow from each other.
    """
    form, shape = _form_of(name, node, linear.shape)
    where = "+".join((*linear.nodes[-1:], name))
    biases = {lag: apply_form(form, bias) for lag, bias in linear.biases.items()}
    own = getattr(node, "bias", None)
    if biased and own is not None and np.any(own):
        bias = np.repeat(np.asarray(own, dtype=np.float64), prod(shape) // len(own))
        biases[0] = biases[0] + bias if 0 in biases else bias
    weighs = isinstance(node, nir.Linear | nir.Affine | nir.Conv1d | nir.Conv2d)
    composed = compose(linear.form, form, where=where)
    notes = linear.notes
    if linear.weight_node and not (isinstance(form, Diagonal) and form.n_stored == 1):
        notes = (
            *notes,
            f"{linear.weight_node} and {name} are one map of {composed.n_stored:,} weights instead "
            f"of {linear.form.n_stored:,} and {form.n_stored:,}",
        )
    return LinearMap(
        nodes=(*linear.nodes, name),
        shape=shape,
        form=composed,
        biases=biases,
        weight_node=name if weighs else linear.weight_node,
        weight_nodes=(*linear.weight_nodes, name) if weighs else linear.weight_nodes,
        factor=_factor(node, linear.factor),
        notes=notes,
    )


def times(first: FloatArray | None, second: FloatArray | None) -> FloatArray | None:
    """Return the product of two factors, None if one is."""
    return None if first is None or second is None else np.asarray(first * second)


def _factor(node: Any, before: FloatArray | None) -> FloatArray | None:
    """Return the factor behind a node for the one in front of it."""
    match node:
        case nir.Flatten():
            return before
        case nir.Scale():
            scale = np.asarray(node.scale, dtype=np.float64).reshape(-1)
            return times(before, scale[:1] if np.ptp(scale) == 0 else scale)
        case _ if before is None or len(before) > 1:
            return None
        case nir.AvgPool2d():
            return before / prod(_pair(node.kernel_size))
    return before


def part(linear: LinearMap, kept: FloatArray, *, delay: int, name: str) -> LinearMap:
    """Return the elements of a map that wait so many steps.

    Args:
        linear: what leads to the delay.
        kept: 1 for the elements that wait so long, 0 for the others [n_out].
        delay: steps from which on their biases act.
        name: the delay node's.
    """
    masked = linear.form
    if not kept.all():
        masked = compose(linear.form, Diagonal(n=len(kept), weight=kept), where=name)
    biases = {lag + delay: bias * kept for lag, bias in linear.biases.items()}
    return replace(linear, nodes=(*linear.nodes, name), form=masked, biases=biases)


def joined(first: LinearMap, second: LinearMap, *, name: str) -> LinearMap:
    """Return the sum of two maps of the same nodes, whose elements waited equally long in all."""
    biases = dict(first.biases)
    for lag, bias in second.biases.items():
        biases[lag] = biases[lag] + bias if lag in biases else bias
    return replace(first, form=added(first.form, second.form, where=name), biases=biases)


def _form_of(name: str, node: Any, shape: tuple[int, ...]) -> tuple[Form, tuple[int, ...]]:
    """Return one node as a form, and the shape of its output."""
    match node:
        case nir.Flatten():
            return identity(prod(shape)), _flattened(node, shape)
        case nir.AvgPool2d() | nir.SumPool2d():
            return _pooled(name, node, shape)
        case nir.Scale():
            scale = np.asarray(node.scale, dtype=np.float64).reshape(-1)
            if len(scale) not in (1, prod(shape)):
                raise bad_shape(name, scale.shape, shape)
            return Diagonal(n=prod(shape), weight=scale), shape
        case nir.Linear() | nir.Affine():
            weight = np.asarray(node.weight, dtype=np.float64)
            if weight.ndim != 2 or weight.shape[1] != prod(shape):
                raise bad_shape(name, weight.shape, shape)
            return Matrix(weight=weight), (len(weight),)
        case nir.Conv1d() | nir.Conv2d():
            return _kernel(name, node, shape)
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


def _pooled(name: str, node: Any, shape: tuple[int, ...]) -> tuple[Pooled, Shape3]:
    kernel, stride, padding = (_pair(v) for v in (node.kernel_size, node.stride, node.padding))
    pool = Pool(in_shape=_image(shape, name), kernel=kernel, stride=stride, padding=padding)
    share = 1.0 / prod(kernel) if isinstance(node, nir.AvgPool2d) else 1.0
    return Pooled(pool=pool, factor=share), pool.out_shape


def _kernel(name: str, node: Any, shape: tuple[int, ...]) -> tuple[Kernel, tuple[int, ...]]:
    one_d = isinstance(node, nir.Conv1d)
    image = _image(shape, name)
    weight = np.asarray(node.weight, dtype=np.float64)
    weight = weight[:, :, None, :] if one_d else weight
    stride, dilation = (_pair(v, one_d=one_d) for v in (node.stride, node.dilation))
    if weight.shape[1] * int(node.groups) != image[0]:
        raise bad_shape(name, weight.shape, image)
    try:
        conv = Conv(
            weight=np.zeros(weight.shape, dtype=np.int64),
            in_shape=image,
            stride=stride,
            padding=_padding(name, node.padding, weight.shape[2:], dilation, one_d=one_d),
            dilation=dilation,
            groups=int(node.groups),
        )
    except AssertionError:
        raise ModelError(
            "E1052", "the kernel is larger than its input", where=name, remedy="check the shapes"
        ) from None
    out = conv.out_shape
    return Kernel(conv=conv, weight=weight), (out[0], out[2]) if one_d else out


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
