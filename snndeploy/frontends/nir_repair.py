"""Bring graphs of which exporters wrote too much into plain form, noting each change.

Nested graphs become flat; shapes with time and batch in front lose them; a `Flatten` that counts
the batch as its first dimension counts without it. Anything else stays as it is and is judged by
`normalize_graph`.
"""

from typing import Any

import nir
import numpy as np

from snndeploy.errors import ModelError, SnnDeployError, UnsupportedError
from snndeploy.model import ImportNote
from snndeploy.nirgraph.canonical import Shape, canonical_node
from snndeploy.nirgraph.rebuild import Edge, build_graph, copy_node, rebuild_graph, targets_of
from snndeploy.nirgraph.shapes import output_shape, shapes_before_outputs

MOST_LEADING = 2
"""Time and batch."""


def repair_graph(graph: nir.NIRGraph) -> tuple[nir.NIRGraph, tuple[ImportNote, ...]]:
    """Return the graph in plain form, and what was changed.

    Raises:
        ModelError: E1420, a nested graph that cannot be made flat.
    """
    notes: list[ImportNote] = []
    nodes, edges = _flat(graph, "", notes)
    plain = build_graph(nodes, edges, graph.metadata)
    if any(end not in nodes for edge in edges for end in edge):
        return plain, tuple(notes)
    for step in (_inputs_without_batch, _flattens_without_batch, _outputs_without_batch):
        plain = step(plain, notes)
    return plain, tuple(notes)


def _flat(
    graph: nir.NIRGraph, prefix: str, notes: list[ImportNote]
) -> tuple[dict[str, Any], list[Edge]]:
    """Return nodes and edges with those of nested graphs among them, named OUTER.INNER."""
    nodes: dict[str, Any] = {}
    edges: list[Edge] = [(str(source), str(target)) for source, target in graph.edges]
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.NIRGraph):
            nodes[name] = node
            continue
        where = f"{prefix}{name}"
        inner, within = _flat(node, f"{where}.", notes)
        within = _resolved(where, inner, within, notes)
        ports = {kind: [n for n, part in inner.items() if isinstance(part, kind)]
                 for kind in (nir.Input, nir.Output)}  # fmt: skip
        (entry,), (way_out,) = (_only(where, kind.__name__, ends) for kind, ends in ports.items())
        if (entry, way_out) in within:
            raise ModelError("E1420", "a nested graph that passes its input on", where=where)
        owns_prefix = any(str(n).startswith(f"{name}.") for n in node.nodes)
        full = {n: n if owns_prefix and n.startswith(f"{name}.") else f"{name}.{n}" for n in inner}
        kept = [n for n in inner if n not in (entry, way_out)]
        taken = {full[n] for n in kept} & {*nodes, *graph.nodes}
        if taken or len({full[n] for n in kept}) < len(kept):
            raise ModelError(
                "E1420", "made flat, two nodes would have one name", where=where,
                remedy="rename the nodes of the nested graph, or export a flat one",
            )  # fmt: skip
        nodes |= {full[n]: inner[n] for n in kept}
        first = [full[target] for source, target in within if source == entry]
        last = [full[source] for source, target in within if target == way_out]
        edges = _spliced(edges, name, first, last)
        edges += [(full[a], full[b]) for a, b in within if entry not in (a, b) and way_out != b]
        notes.append(
            ImportNote(kind="repaired", node=where, text="the nested graph is flat: its nodes are "
                       f"{', '.join(sorted(full[n] for n in kept))}")
        )  # fmt: skip
    return nodes, edges


def _spliced(edges: list[Edge], name: str, first: list[str], last: list[str]) -> list[Edge]:
    """Return edges that lead to the first and from the last nodes of a nested graph."""
    joined = []
    for source, target in edges:
        starts = last if source == name else [source]
        ends = first if target == name else [target]
        joined += [(start, end) for start in starts for end in ends]
    return joined


def _resolved(
    where: str, nodes: dict[str, Any], edges: list[Edge], notes: list[ImportNote]
) -> list[Edge]:
    """Return edges whose ends are nodes: `lif` stands for the one node that ends in `.lif`."""
    found: dict[str, str] = {}
    for end in {end for edge in edges for end in edge} - set(nodes):
        tails = [name for name in nodes if name.endswith(f".{end}") or end.endswith(f".{name}")]
        if len(tails) != 1:
            raise ModelError("E1420", f"an edge names {end!r}, which is no node", where=where)
        found[end] = tails[0]
        text = f"an edge of {where} calls it {end!r}"
        notes.append(ImportNote(kind="repaired", node=f"{where}.{tails[0]}", text=text))
    return [(found.get(a, a), found.get(b, b)) for a, b in edges]


def _only(where: str, kind: str, names: list[str]) -> list[str]:
    if len(names) != 1:
        raise ModelError(
            "E1420", f"a nested graph with {len(names)} {kind} nodes", where=where,
            remedy="export a flat graph, or nested graphs with one input and one output",
        )  # fmt: skip
    return names


def _inputs_without_batch(graph: nir.NIRGraph, notes: list[ImportNote]) -> nir.NIRGraph:
    """Strip what stands before the features of an input that nothing takes as it is."""
    changed = {}
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.Input):
            continue
        shape = _shape(node.input_type["input"])
        targets = [(t, graph.nodes[t]) for t in targets_of(graph, name)]
        for leading in range(min(MOST_LEADING, len(shape) - 1) + 1):
            if all(_takes(t, part, shape[leading:]) for t, part in targets):
                break
        else:
            continue
        if leading:
            changed[name] = nir.Input(input_type={"input": np.array(shape[leading:])})
            notes.append(_stripped(name, shape, leading))
    return rebuild_graph(graph, changed) if changed else graph


def _takes(name: str, node: Any, shape: Shape) -> bool:
    if isinstance(node, nir.Output):
        return True
    try:
        output_shape(name, canonical_node(name, node), shape)
    except SnnDeployError:
        return False
    return True


def _flattens_without_batch(graph: nir.NIRGraph, notes: list[ImportNote]) -> nir.NIRGraph:
    """Let a `Flatten` start one dimension earlier where the graph holds together only then."""
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.Flatten) or int(node.start_dim) < 1 or _shapes(graph):
            continue
        start, end = int(node.start_dim) - 1, int(node.end_dim)
        earlier = copy_node(node, start_dim=start, end_dim=end - 1 if end > 0 else end)
        changed = rebuild_graph(graph, {name: earlier})
        if _layers_behind_fit(changed, name):
            graph = changed
            text = f"it counted the batch: flattens from dimension {start}, not {start + 1}"
            notes.append(ImportNote(kind="repaired", node=name, text=text))
    return graph


def _layers_behind_fit(graph: nir.NIRGraph, name: str) -> bool:
    """Whether all nodes up to those right behind a node take what reaches them."""
    ahead = {name, *targets_of(graph, name)}
    level = {name}
    while level:
        level = {source for source, target in graph.edges if target in level} - ahead
        ahead |= level
    part = {n: node for n, node in graph.nodes.items() if n in ahead}
    edges = [edge for edge in graph.edges if edge[0] in part and edge[1] in part]
    end = nir.Output(output_type={"output": np.zeros(1, dtype=np.int64)})
    return bool(_shapes(build_graph({**part, ".end": end}, edges)))


def _outputs_without_batch(graph: nir.NIRGraph, notes: list[ImportNote]) -> nir.NIRGraph:
    shapes = _shapes(graph)
    changed = {}
    for source, name in graph.edges:
        node = graph.nodes[name]
        if not isinstance(node, nir.Output) or source not in shapes:
            continue
        declared, true = _shape(node.output_type["output"]), shapes[source]
        leading = len(declared) - len(true)
        if 0 < leading <= MOST_LEADING and declared[leading:] == true:
            changed[name] = nir.Output(output_type={"output": np.array(true)})
            notes.append(_stripped(name, declared, leading))
    return rebuild_graph(graph, changed) if changed else graph


def _shapes(graph: nir.NIRGraph) -> dict[str, Shape]:
    """Return the shapes that are known; none where the graph does not hold together."""
    try:
        return shapes_before_outputs(graph)
    except (ModelError, UnsupportedError):
        return {}


def _shape(values: Any) -> Shape:
    sizes = np.atleast_1d(values)
    if sizes.dtype.kind not in "iuf" or not np.isfinite(sizes).all():
        raise ModelError("E1425", f"a shape of {sizes.dtype} values, not of whole numbers")
    return tuple(int(size) for size in sizes)


def _stripped(name: str, shape: Shape, leading: int) -> ImportNote:
    text = f"shape {shape} has time or batch in front; features are {shape[leading:]}"
    return ImportNote(kind="repaired", node=name, text=text)
