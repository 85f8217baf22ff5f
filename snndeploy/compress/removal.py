"""Remove channels from a graph, or silence them: the same network, spike for spike.

In: a normalized graph, its groups, and the channels to keep. Out: a normalized graph. A removed
channel takes its rows of weights, its bias and its parameters with it, and the columns of all
layers that read it. A silenced one stays, its rows, biases and columns set to zero; that is what
pruning is proven against.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import nir
import numpy as np

from snndeploy.compress.channels import CONVOLUTIONS, Group, by_node
from snndeploy.ir.arrays import AnyArray, BoolArray, IntArray
from snndeploy.nirgraph.canonical import PARAMETERS
from snndeploy.nirgraph.microcode import Microcode, Parameter
from snndeploy.nirgraph.rebuild import build_graph, copy_node, rebuild_graph, sources_of
from snndeploy.nirgraph.shapes import normalize_graph, shape_of
from snndeploy.nirgraph.weight_grid import WEIGHTS, grid_of_node, with_grid

Kept = Mapping[str, IntArray]
"""Channels that stay, by the name of their group; groups that are not in it stay whole."""


def remove_channels(graph: nir.NIRGraph, groups: tuple[Group, ...], kept: Kept) -> nir.NIRGraph:
    """Return a graph without the channels that are not kept.

    Requires: a normalized graph, groups of it, at least one channel kept per block of a group.
    Ensures: a normalized graph with the same nodes and edges.
    """
    outputs = _masks(groups, kept)
    nodes = {}
    for name, node in graph.nodes.items():
        sources = sources_of(graph, name)
        inputs = outputs[sources[0]] if sources else None
        nodes[name] = _with_own_grid(
            name, node, _smaller(node, inputs, outputs[name]), outputs[name]
        )
    return normalize_graph(build_graph(nodes, graph.edges, graph.metadata))


def silence_channels(graph: nir.NIRGraph, groups: tuple[Group, ...], kept: Kept) -> nir.NIRGraph:
    """Return a graph in which the channels that are not kept are there and do nothing."""
    outputs = _masks(groups, kept)
    silent = {
        name: _silent(node, outputs[sources_of(graph, name)[0]], outputs[name])
        for name, node in graph.nodes.items()
        if isinstance(node, WEIGHTS)
    }
    return rebuild_graph(graph, silent)


def _masks(groups: tuple[Group, ...], kept: Kept) -> dict[str, BoolArray]:
    """Return per node which of its output channels stay."""
    masks = {}
    for name, group in by_node(groups).items():
        stays = np.ones(group.n, dtype=bool)
        if group.name in kept:
            stays = np.isin(np.arange(group.n), kept[group.name])
        masks[name] = stays[group.index[name]]
    return masks


def _smaller(node: Any, inputs: BoolArray | None, outputs: BoolArray) -> Any:
    if outputs.all() and (inputs is None or inputs.all()):
        return node
    shape = shape_of(node)
    metadata = _own_metadata(node.metadata or {}, outputs, shape)
    if isinstance(node, CONVOLUTIONS):
        assert inputs is not None
        weight, groups = _kernel(node, inputs, outputs)
        return copy_node(
            node, weight=weight, bias=node.bias[outputs], groups=groups, metadata=metadata
        )
    if isinstance(node, WEIGHTS):
        own = {"bias": node.bias[outputs]} if isinstance(node, nir.Affine) else {}
        weight = np.ascontiguousarray(node.weight[outputs][:, inputs])
        return copy_node(node, weight=weight, metadata=metadata, **own)
    if isinstance(node, Microcode):
        return copy_node(node, parameters=_own_parameters(node, outputs), metadata=metadata)
    fields = PARAMETERS.get(type(node), ())
    return copy_node(
        node, metadata=metadata, **{field: getattr(node, field)[outputs] for field in fields}
    )


def _with_own_grid(name: str, node: Any, smaller: Any, outputs: BoolArray) -> Any:
    """Return the smaller node with the clip points and units of the channels that stay."""
    grid = grid_of_node(name, node)
    if grid is None or len(grid.gamma) == 1:
        return smaller
    return with_grid(smaller, replace(grid, gamma=grid.gamma[outputs], unit=grid.unit[outputs]))


def _kernel(node: Any, inputs: BoolArray, outputs: BoolArray) -> tuple[AnyArray, int]:
    """Return a convolution's weights without the removed channels, and its groups."""
    rows = np.split(node.weight, node.groups)
    parts = [
        row[stays][:, reads]
        for row, stays, reads in zip(
            rows, np.split(outputs, node.groups), np.split(inputs, node.groups), strict=True
        )
        if stays.any()
    ]
    return np.concatenate(parts), len(parts)


def _own_parameters(node: Microcode, outputs: BoolArray) -> dict[str, Parameter]:
    shape = shape_of(node)

    def own(value: AnyArray) -> AnyArray:
        if value.size == 1:
            return value
        chosen = value.reshape(shape)[outputs]
        return chosen if value.shape == shape else chosen.reshape(-1)

    return {
        key: Parameter(value=own(parameter.value), kind=parameter.kind)
        for key, parameter in node.parameters.items()
    }


def _own_metadata(
    metadata: Mapping[str, Any], outputs: BoolArray, shape: tuple[int, ...]
) -> dict[str, Any]:
    """Return metadata whose arrays with a row per channel have lost the removed channels' rows."""

    def own(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: own(item) for key, item in value.items()}
        if isinstance(value, np.ndarray) and value.shape[:1] == shape[:1]:
            return value[outputs]
        return value

    return {key: own(value) for key, value in metadata.items()}


def _silent(node: Any, inputs: BoolArray, outputs: BoolArray) -> Any:
    weight = np.array(node.weight)
    weight[~outputs] = 0
    per_group = len(weight) // getattr(node, "groups", 1)
    for row, reads in enumerate(np.split(inputs, getattr(node, "groups", 1))):
        weight[row * per_group : (row + 1) * per_group, ~reads] = 0
    if isinstance(node, nir.Linear):
        return copy_node(node, weight=weight)
    return copy_node(node, weight=weight, bias=np.where(outputs, node.bias, 0))
