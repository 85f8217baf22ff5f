"""Which nodes of a graph lie on loops, and the order in which a graph with loops is computed.

A loop is a strongly connected component: nodes that each depend on all the others. One edge per
cycle lags a step (`rebuild.feedback_edges`); an explicit `Delay` on a cycle adds its own steps.
"""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import nir

from snndeploy.errors import UnsupportedError
from snndeploy.nirgraph.canonical import SPIKING
from snndeploy.nirgraph.rebuild import Edge, feedback_edges, topological_order


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Nodes that are computed together: one node over all steps, or a loop step by step.

    Attributes:
        members: in the order of a step.
        is_loop: they depend on each other over feedback edges.
    """

    members: tuple[str, ...]
    is_loop: bool


def stages_of(graph: nir.NIRGraph) -> tuple[Stage, ...]:
    """Return the stages of a graph, sources before targets; every node is in one of them."""
    order = topological_order(graph)
    loops: dict[str, frozenset[str]] = {}
    for _, target in feedback_edges(graph):
        if target not in loops:
            found = loop_through(graph.edges, target)
            loops |= dict.fromkeys(found, found)
    position = {name: index for index, name in enumerate(order)}
    heads = {name: min(loops.get(name, {name}), key=position.__getitem__) for name in order}
    before: dict[str, set[str]] = {heads[name]: set() for name in order}
    for source, target in graph.edges:
        if heads[source] != heads[target]:
            before[heads[target]].add(heads[source])
    members: dict[str, list[str]] = {head: [] for head in before}
    for name in order:
        members[heads[name]].append(name)
    return tuple(
        Stage(members=tuple(members[head]), is_loop=head in loops)
        for head in TopologicalSorter(before).static_order()
    )


def loop_through(edges: Iterable[Edge], name: str) -> frozenset[str]:
    """Return the nodes on cycles through `name`, itself included; empty if there is no cycle."""
    ahead: dict[str, list[str]] = {}
    behind: dict[str, list[str]] = {}
    for source, target in edges:
        ahead.setdefault(source, []).append(target)
        behind.setdefault(target, []).append(source)
    return _reached(ahead, name) & _reached(behind, name)


def check_loops(graph: nir.NIRGraph) -> None:
    """Check that every cycle holds a spiking neuron, and that a loop is entered at one node.

    Entered at several, which of its edges lags would depend on the order in which they are listed.

    Raises:
        UnsupportedError: E2021, naming a cycle without a neuron; E2030, naming a loop's entries.
    """
    silent = {name for name, node in graph.nodes.items() if not isinstance(node, SPIKING)}
    try:
        TopologicalSorter(_sources_among(graph, silent)).prepare()
    except CycleError as error:
        cycle = error.args[1]
        raise UnsupportedError(
            "E2021",
            f"the loop {' -> '.join(cycle)} holds no spiking neuron",
            where=cycle[0],
            remedy="put an IF, LIF or CubaLIF neuron into the loop",
        ) from None
    for stage in stages_of(graph):
        inside = set(stage.members)
        entries = {t for s, t in graph.edges if t in inside and s not in inside}
        if stage.is_loop and len(entries) > 1:
            raise UnsupportedError(
                "E2030",
                f"a loop is entered at {len(entries)} nodes, {', '.join(sorted(entries))}: which "
                "of its edges lags a step is not said",
                where=min(entries),
                remedy="let the loop be entered at one neuron, or train without it",
            )


def order_among(graph: nir.NIRGraph, members: Collection[str]) -> tuple[str, ...]:
    """Return members in an order in which sources that are members come first.

    Requires: no cycle lies among the members alone.
    """
    return tuple(TopologicalSorter(_sources_among(graph, members)).static_order())


def _sources_among(graph: nir.NIRGraph, members: Collection[str]) -> dict[str, list[str]]:
    before: dict[str, list[str]] = {name: [] for name in members}
    for source, target in graph.edges:
        if source in before and target in before:
            before[target].append(source)
    return before


def _reached(ahead: dict[str, list[str]], start: str) -> frozenset[str]:
    """Return the nodes that lie behind at least one edge from `start`."""
    found: set[str] = set()
    queue = deque([start])
    while queue:
        for target in ahead.get(queue.popleft(), ()):
            if target not in found:
                found.add(target)
                queue.append(target)
    return frozenset(found)
