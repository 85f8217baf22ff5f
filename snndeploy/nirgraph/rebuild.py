"""Build NIR graphs without touching anybody else's: nodes are copied, nir's type pass stays off.

`nir.NIRGraph` infers types by writing into the nodes, the list of edges and the dictionary it is
given (and gets grouped and non-square convolutions wrong), so this module is its only caller; types
are inferred by `snndeploy.nirgraph.shapes`.
"""

from collections.abc import Iterable, Mapping
from copy import copy, deepcopy
from graphlib import TopologicalSorter
from typing import Any

import nir

Edge = tuple[str, str]


def build_graph(
    nodes: Mapping[str, Any], edges: Iterable[Edge], metadata: Mapping[str, Any] | None = None
) -> nir.NIRGraph:
    """Return a graph of copies of `nodes`; their arrays are shared, never written."""
    return nir.NIRGraph(
        nodes={name: copy_node(node) for name, node in nodes.items()},
        edges=[(str(source), str(target)) for source, target in edges],
        metadata=deepcopy(dict(metadata or {})),
        type_check=False,
    )


def rebuild_graph(graph: nir.NIRGraph, nodes: Mapping[str, Any]) -> nir.NIRGraph:
    """Return a copy of a graph in which the nodes of these names are replaced."""
    return build_graph({**graph.nodes, **nodes}, graph.edges, graph.metadata)


def copy_node(node: Any, **changes: Any) -> Any:
    """Return a copy of a node, with its own metadata, and with some fields replaced."""
    copied = copy(node)
    copied.metadata = deepcopy(dict(node.metadata or {}))
    for field, value in changes.items():
        setattr(copied, field, value)
    return copied


def sources_of(graph: nir.NIRGraph, name: str) -> tuple[str, ...]:
    """Return the nodes with an edge into `name`, in the order of the edges."""
    return tuple(source for source, target in graph.edges if target == name)


def targets_of(graph: nir.NIRGraph, name: str) -> tuple[str, ...]:
    """Return the nodes with an edge from `name`, in the order of the edges."""
    return tuple(target for source, target in graph.edges if source == name)


def topological_order(graph: nir.NIRGraph) -> tuple[str, ...]:
    """Return the node names, sources before targets; feedback edges are left out."""
    lagging = feedback_edges(graph)
    before: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        if (source, target) not in lagging:
            before[target].append(source)
    return tuple(TopologicalSorter(before).static_order())


def feedback_edges(graph: nir.NIRGraph) -> frozenset[Edge]:
    """Return the edges whose target reads the step before: one per loop, empty without loops.

    NIR leaves the lag of a loop implicit. An edge lags if it leads back to a node on the way from
    an input (depth first, in the order of nodes and edges), as in frameworks, where a recurrent
    layer is entered through its neuron and feeds back what it sent in the step before.
    """
    targets: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        targets[source].append(target)
    lagging: set[Edge] = set()
    open_, done = set[str](), set[str]()
    starts = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    for start in (*starts, *graph.nodes):
        if start in done:
            continue
        stack = [(start, iter(targets[start]))]
        open_.add(start)
        while stack:
            name, ahead = stack[-1]
            target = next(ahead, None)
            if target is None:
                stack.pop()
                open_.remove(name)
                done.add(name)
            elif target in open_:
                lagging.add((name, target))
            elif target not in done:
                open_.add(target)
                stack.append((target, iter(targets[target])))
    return frozenset(lagging)
