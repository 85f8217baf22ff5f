"""One spelling for every field of a NIR node, checked: integers, pairs, one parameter per neuron.

`nir.read` gives numpy scalars, arrays, bytes or strings for the same field, and constructors take
more than one form; everything after this sees one.
"""

from typing import Any

import nir
import numpy as np

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.nirgraph.rebuild import copy_node

Shape = tuple[int, ...]
Pair = tuple[int, int]

PARAMETERS: dict[Any, tuple[str, ...]] = {
    nir.I: ("r",),
    nir.IF: ("r", "v_threshold", "v_reset"),
    nir.LI: ("tau", "r", "v_leak"),
    nir.LIF: ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    nir.CubaLI: ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    nir.CubaLIF: ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
    nir.Threshold: ("threshold",),
    nir.Scale: ("scale",),
    nir.Delay: ("delay",),
}
"""Nodes that act element by element, and their arrays, one value per element."""

SPIKING: tuple[Any, ...] = (nir.IF, nir.LIF, nir.CubaLIF, Microcode)
NEURONS: tuple[Any, ...] = (*SPIKING, nir.I, nir.LI, nir.CubaLI)
SUPPORTED: tuple[Any, ...] = (
    nir.Input, nir.Output, nir.Linear, nir.Affine, nir.Conv1d, nir.Conv2d,
    nir.SumPool2d, nir.AvgPool2d, nir.Flatten, *PARAMETERS, Microcode,
)  # fmt: skip


def canonical_node(name: str, node: Any) -> Any:
    """Return a copy of a node with one spelling per field: integers, pairs, float64 parameters.

    Raises:
        ModelError: E1021 (array shapes), E1022 (values out of range).
        UnsupportedError: E2008, a padding that NIR's integers cannot say.
    """
    match node:
        case nir.Linear():
            return copy_node(node, weight=_array(name, "weight", node.weight, 2))
        case nir.Affine():
            weight = _array(name, "weight", node.weight, 2)
            return copy_node(node, weight=weight, bias=_bias(name, node.bias, weight))
        case nir.Conv1d() | nir.Conv2d():
            return _canonical_conv(name, node)
        case nir.SumPool2d() | nir.AvgPool2d():
            pairs = {
                field: np.array(_pair(name, field, getattr(node, field), least=least))
                for field, least in (("kernel_size", 1), ("stride", 1), ("padding", 0))
            }
            return copy_node(node, **pairs)
        case nir.Flatten():
            return copy_node(node, start_dim=int(node.start_dim), end_dim=int(node.end_dim))
        case nir.Input() | nir.Output() | Microcode():
            return copy_node(node)
    return _canonical_elementwise(name, node)


def _canonical_conv(name: str, node: Any) -> Any:
    n_spatial = 1 if isinstance(node, nir.Conv1d) else 2
    weight = _array(name, "weight", node.weight, n_spatial + 2)
    groups = integers(name, "groups", [node.groups])[0]
    if groups < 1 or weight.shape[0] % groups:
        raise ModelError("E1022", f"{weight.shape[0]} channels in {groups} groups", where=name)
    dilation = _sizes(name, "dilation", node.dilation, n_spatial, least=1)
    stride = _sizes(name, "stride", node.stride, n_spatial, least=1)
    padding = _padding(name, node.padding, weight.shape[2:], dilation)
    single = n_spatial == 1
    return copy_node(
        node,
        weight=weight,
        bias=_bias(name, node.bias, weight),
        groups=groups,
        stride=stride[0] if single else stride,
        dilation=dilation[0] if single else dilation,
        padding=padding[0] if single else padding,
    )


def _padding(name: str, padding: Any, kernel: Shape, dilation: Shape) -> Shape:
    padding = padding.decode() if isinstance(padding, bytes) else padding
    if not isinstance(padding, str):
        return _sizes(name, "padding", padding, len(kernel), least=0)
    if padding not in ("same", "valid"):
        raise ModelError("E1022", f"padding {padding!r}", where=name)
    if padding == "valid":
        return (0,) * len(kernel)
    totals = [step * (size - 1) for step, size in zip(dilation, kernel, strict=True)]
    if any(total % 2 for total in totals):
        raise UnsupportedError(
            "E2008", "padding 'same' with an even kernel pads one side more", where=name,
            remedy="use an odd kernel or explicit padding",
        )  # fmt: skip
    return tuple(total // 2 for total in totals)


def _canonical_elementwise(name: str, node: Any) -> Any:
    fields = PARAMETERS[type(node)]
    arrays = {field: np.asarray(getattr(node, field), dtype=np.float64) for field in fields}
    if len({array.shape for array in arrays.values()}) > 1:
        shapes = ", ".join(f"{field} {array.shape}" for field, array in arrays.items())
        raise ModelError("E1021", f"parameters differ in shape: {shapes}", where=name)
    for field in ("tau", "tau_mem", "tau_syn"):
        if field in arrays and not np.all(arrays[field] > 0):
            raise ModelError("E1022", f"{field} must be positive", where=name)
    return copy_node(node, **arrays)


def _array(name: str, field: str, values: Any, ndim: int) -> Any:
    array = np.asarray(values)
    if array.ndim != ndim or array.dtype.kind not in "iuf" or not array.size:
        raise ModelError(
            "E1021", f"{field} is {array.dtype} {array.shape}, not {ndim}-D numbers", where=name
        )
    return array


def _bias(name: str, bias: Any, weight: Any) -> Any:
    array = _array(name, "bias", bias, 1)
    if array.shape != weight.shape[:1]:
        raise ModelError("E1021", f"{len(array)} biases, {len(weight)} rows", where=name)
    return array


def _sizes(name: str, field: str, value: Any, count: int, *, least: int) -> Shape:
    sizes = integers(name, field, np.atleast_1d(value))
    sizes = sizes * count if len(sizes) == 1 else sizes
    if len(sizes) != count or min(sizes) < least:
        raise ModelError("E1022", f"{field} {sizes}, at least {least} each", where=name)
    return sizes


def _pair(name: str, field: str, value: Any, *, least: int) -> Shape:
    return _sizes(name, field, value, 2, least=least)


def integers(name: str, field: str, values: Any) -> Shape:
    """Return a list of integers as a tuple.

    Raises:
        ModelError: E1022, it is something else.
    """
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu" or not array.size:
        raise ModelError("E1022", f"{field} is {values!r}, not a list of integers", where=name)
    return tuple(int(value) for value in array)
