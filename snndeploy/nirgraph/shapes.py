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
from snndeploy.nirgraph.canonical import PARAMETERS, SUPPORTED, Shape, canonical_node, integers
from snndeploy.nirgraph.microcode import Microcode, check_microcode
from snndeploy.nirgraph.rebuild import build_graph, sources_of, targets_of


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


def shapes_before_outputs(graph: nir.NIRGraph) -> dict[str, Shape]:
    """Return the shape of every node but the outputs, whose declared shapes are not looked at.

    Raises:
        ModelError: E1020 to E1022; UnsupportedError: E2020; as `normalize_graph`.
    """
    _check_structure(graph)
    nodes = {
        name: canonical_node(name, node)
        for name, node in graph.nodes.items()
        if not isinstance(node, nir.Output)
    }
    edges = [(source, target) for source, target in graph.edges if target in nodes]
    return _propagate(build_graph(nodes, edges))


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
            shapes[name] = integers(name, "shape", node.input_type["input"])
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
            declared = integers(name, "shape", node.output_type["output"])
            if declared != source:
                raise _mismatch(name, source, str(declared))
            return source
        case nir.Input():
            raise ModelError("E1020", "an edge leads into an input", where=name)
    _check_elementwise(name, node, source)
    return source


def _check_elementwise(name: str, node: Any, source: Shape) -> None:
    if isinstance(node, Microcode):
        check_microcode(name, node, prod(source))
        return
    own = getattr(node, PARAMETERS[type(node)][0]).shape
    if own not in ((), source):
        raise _mismatch(name, source, str(own))


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
