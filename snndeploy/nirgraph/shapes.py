"""Canonical nodes and their shapes: one spelling of every field, checked, with readable errors.

What goes in: a graph as a frontend or `nir.read` made it. What comes out: the same graph whose
convolutions hold plain integers (Conv1d) or pairs (Conv2d), whose pools hold pairs, whose neurons
hold one parameter per neuron, and whose every node has its true `input_type` and `output_type`.
"""

from collections import deque
from math import prod
from typing import Any

import nir
import numpy as np

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.nirgraph.rebuild import build_graph, copy_node, sources_of, targets_of

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

SPIKING: tuple[Any, ...] = (nir.IF, nir.LIF, nir.CubaLIF)
NEURONS: tuple[Any, ...] = (*SPIKING, nir.I, nir.LI, nir.CubaLI)
SUPPORTED: tuple[Any, ...] = (
    nir.Input, nir.Output, nir.Linear, nir.Affine, nir.Conv1d, nir.Conv2d,
    nir.SumPool2d, nir.AvgPool2d, nir.Flatten, *PARAMETERS,
)  # fmt: skip


def normalize_graph(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Return the graph with canonical nodes and true types.

    Requires: nothing. Ensures: the argument is unchanged; every node is reached from an input,
    and nodes are in that order.

    Raises:
        ModelError: E1020 (edges, ports), E1021 (shapes), E1022 (values out of range).
        UnsupportedError: E2020, a node type that is not supported, by name.
    """
    _check_structure(graph)
    nodes = {name: canonical_node(name, node) for name, node in graph.nodes.items()}
    canonical = build_graph(nodes, graph.edges, graph.metadata)
    shapes = _propagate(canonical)
    for name, node in canonical.nodes.items():
        source = shapes[sources_of(canonical, name)[0]] if sources_of(canonical, name) else None
        _set_types(node, source if source is not None else shapes[name], shapes[name])
    found = {name: canonical.nodes[name] for name in shapes}
    return build_graph(found, canonical.edges, canonical.metadata)


def shape_of(node: Any) -> Shape:
    """Return the output shape of a node of a normalized graph, without time and batch."""
    return tuple(int(size) for size in next(iter(node.output_type.values())))


def _check_structure(graph: nir.NIRGraph) -> None:
    for name, node in graph.nodes.items():
        if not isinstance(node, SUPPORTED):
            kind = type(node).__name__
            what = "nested subgraphs are" if kind == "NIRGraph" else f"NIR node type {kind} is"
            raise UnsupportedError(
                "E2020", f"{what} not supported", where=name, remedy="export a flat, plain graph"
            )
        if "/" in name:
            raise ModelError("E1020", "a node name must not contain '/'", where=name)
    for edge in graph.edges:
        for end in edge:
            if end not in graph.nodes:
                raise ModelError("E1020", f"edge {edge[0]} -> {edge[1]}: there is no node {end!r}")
    if len(set(graph.edges)) < len(graph.edges):
        raise ModelError("E1020", "an edge is listed twice", remedy="double the weights instead")
    for port in (nir.Input, nir.Output):
        if not any(isinstance(node, port) for node in graph.nodes.values()):
            raise ModelError("E1020", f"the graph has no {port.__name__} node")


def _propagate(graph: nir.NIRGraph) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    queue: deque[str] = deque()
    for name, node in graph.nodes.items():
        if isinstance(node, nir.Input):
            shapes[name] = _integers(name, "shape", node.input_type["input"])
            queue.append(name)
    while queue:
        source = queue.popleft()
        for target in targets_of(graph, source):
            if target not in shapes:
                shapes[target] = output_shape(target, graph.nodes[target], shapes[source])
                queue.append(target)
    for name in graph.nodes:
        if name not in shapes:
            raise ModelError("E1020", "no path leads here from an input", where=name)
    for source, target in graph.edges:
        if output_shape(target, graph.nodes[target], shapes[source]) != shapes[target]:
            raise _mismatch(target, shapes[source], "the shapes of its other inputs")
    return shapes


def output_shape(name: str, node: Any, source: Shape) -> Shape:
    """Return the shape that a canonical node makes of an input of shape `source`.

    Raises:
        ModelError: E1021, the node cannot take that shape.
    """
    match node:
        case nir.Linear() | nir.Affine():
            if source != (node.weight.shape[1],):
                raise _mismatch(name, source, f"({node.weight.shape[1]},)")
            return (int(node.weight.shape[0]),)
        case nir.Conv1d() | nir.Conv2d():
            return _conv_shape(name, node, source)
        case nir.SumPool2d() | nir.AvgPool2d():
            return _pool_shape(name, node, source)
        case nir.Flatten():
            return _flat_shape(name, node, source)
        case nir.Output():
            declared = _integers(name, "shape", node.output_type["output"])
            if declared != source:
                raise _mismatch(name, source, str(declared))
            return source
        case nir.Input():
            raise ModelError("E1020", "an edge leads into an input", where=name)
    own = getattr(node, PARAMETERS[type(node)][0]).shape
    if own not in ((), source):
        raise _mismatch(name, source, str(own))
    return source


def _conv_shape(name: str, node: Any, source: Shape) -> Shape:
    spatial = node.weight.ndim - 2
    channels = node.weight.shape[1] * node.groups
    if len(source) != spatial + 1 or source[0] != channels:
        raise _mismatch(name, source, f"({channels}, …) with {spatial} spatial dimensions")
    sizes = [
        (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, stride, pad, dilation in zip(
            source[1:],
            node.weight.shape[2:],
            np.atleast_1d(node.stride),
            np.atleast_1d(node.padding),
            np.atleast_1d(node.dilation),
            strict=True,
        )
    ]
    return _positive(name, source, (int(node.weight.shape[0]), *map(int, sizes)))


def _pool_shape(name: str, node: Any, source: Shape) -> Shape:
    if len(source) != 3:
        raise _mismatch(name, source, "(channels, height, width)")
    sizes = (np.array(source[1:]) + 2 * node.padding - node.kernel_size) // node.stride + 1
    return _positive(name, source, (source[0], int(sizes[0]), int(sizes[1])))


def _flat_shape(name: str, node: Any, source: Shape) -> Shape:
    start, end = node.start_dim % len(source), node.end_dim % len(source)
    if start > end:
        raise _mismatch(name, source, f"dimensions {node.start_dim} to {node.end_dim}")
    return (*source[:start], prod(source[start : end + 1]), *source[end + 1 :])


def _positive(name: str, source: Shape, shape: Shape) -> Shape:
    if min(shape) < 1:
        raise _mismatch(name, source, "an input that is at least as large as the kernel")
    return shape


def _mismatch(name: str, had: Shape, allowed: str) -> ModelError:
    return ModelError("E1021", f"gets shape {had}, takes {allowed}", where=name)


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
        case nir.Input() | nir.Output():
            return copy_node(node)
    return _canonical_elementwise(name, node)


def _canonical_conv(name: str, node: Any) -> Any:
    n_spatial = 1 if isinstance(node, nir.Conv1d) else 2
    weight = _array(name, "weight", node.weight, n_spatial + 2)
    groups = _integers(name, "groups", [node.groups])[0]
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


def _set_types(node: Any, source: Shape, shape: Shape) -> None:
    node.input_type = {"input": np.array(source)}
    node.output_type = {"output": np.array(shape)}
    match node:
        case nir.Conv1d():
            node.input_shape = source[1]
        case nir.Conv2d():
            node.input_shape = source[1:]
        case _ if type(node) in PARAMETERS:
            for field in PARAMETERS[type(node)]:
                setattr(node, field, np.array(np.broadcast_to(getattr(node, field), shape)))


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
    sizes = _integers(name, field, np.atleast_1d(value))
    sizes = sizes * count if len(sizes) == 1 else sizes
    if len(sizes) != count or min(sizes) < least:
        raise ModelError("E1022", f"{field} {sizes}, at least {least} each", where=name)
    return sizes


def _pair(name: str, field: str, value: Any, *, least: int) -> Shape:
    return _sizes(name, field, value, 2, least=least)


def _integers(name: str, field: str, values: Any) -> Shape:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu" or not array.size:
        raise ModelError("E1022", f"{field} is {values!r}, not a list of integers", where=name)
    return tuple(int(value) for value in array)
