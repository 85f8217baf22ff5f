"""What `model.pt` holds, between a `Model` and plain dicts, lists, scalars and arrays.

format, version, origin, notes, model (semantics, steps, inputs, outputs),
graph: nodes {name: type, arrays {field: array}, integers {field: list}, metadata}, edges
"""

from typing import Any, get_args

from snndeploy.errors import ModelError
from snndeploy.model import ImportNote, Model, NoteKind
from snndeploy.nirgraph import metadata, plain
from snndeploy.nirgraph.rebuild import build_graph
from snndeploy.nirgraph.shapes import normalize_graph
from snndeploy.nirgraph.values import check_finite

FORMAT = "snndeploy-model"
VERSION = 1
FIELDS = {"format", "version", "origin", "notes", "model", "graph"}


def content_of(model: Model) -> dict[str, Any]:
    """Return a model as nested dicts, lists, scalars and arrays."""
    graph = normalize_graph(model.graph)
    nodes = {name: plain.to_record(node) for name, node in graph.nodes.items()}
    notes = [{"kind": note.kind, "node": note.node, "text": note.text} for note in model.notes]
    return {
        "format": FORMAT,
        "version": VERSION,
        "origin": model.origin,
        "notes": notes,
        "model": metadata.model_record(model),
        "graph": {"nodes": nodes, "edges": [list(edge) for edge in graph.edges]},
    }


def model_of(content: dict[str, Any]) -> Model:
    """Return the model of a file's content, whose tensors have become arrays.

    Raises:
        ModelError: E1010 (malformed), E1012 (NaN), E1020 to E1022 (the graph).
        UnsupportedError: E2020, an unknown node type.
    """
    stored, record = content["graph"], record_at("model", content["model"])
    nodes = {
        str(name): plain.from_record(str(name), node) for name, node in stored["nodes"].items()
    }
    graph = normalize_graph(build_graph(nodes, _edges(stored.get("edges"))))
    check_finite(graph)
    metadata.check_semantics(graph)
    inputs, outputs = metadata.ports_of_record(graph, record)
    steps, origin = record.get("steps"), content["origin"]
    if not (steps is None or (type(steps) is int and steps > 0)) or not isinstance(origin, str):
        raise ModelError("E1010", f"steps {steps!r:.20}, origin {origin!r:.60}")
    return Model(
        graph=graph,
        semantics=metadata.semantics_of_record("semantics", record.get("semantics")),
        inputs=inputs,
        outputs=outputs,
        steps=metadata.steps_of_record(record),
        notes=_notes(content["notes"]),
        origin=origin,
        original=metadata.original_of_record(record),
    )


def _edges(edges: Any) -> list[tuple[str, str]]:
    if not isinstance(edges, list):
        raise ModelError("E1010", "edges are not a list")
    for edge in edges:
        pair = isinstance(edge, list) and len(edge) == 2
        if not pair or not all(isinstance(end, str) for end in edge):
            raise ModelError("E1010", f"edge {edge!r:.60} is not a pair of names")
    return [(source, target) for source, target in edges]


def _notes(notes: Any) -> tuple[ImportNote, ...]:
    if not isinstance(notes, list):
        raise ModelError("E1010", "notes are not a list")
    records = [metadata.plain_record(note) for note in notes]
    for note in records:
        if set(note) != {"kind", "node", "text"} or note["kind"] not in get_args(NoteKind):
            raise ModelError("E1010", f"note {note!r:.60}")
    return tuple(ImportNote(**note) for note in records)


def record_at(where: str, value: Any) -> dict[str, Any]:
    """Return a value that must be a dict.

    Raises:
        ModelError: E1010, it is something else.
    """
    if not isinstance(value, dict):
        raise ModelError("E1010", f"{type(value).__name__:.20}, not a record", where=where)
    return value
