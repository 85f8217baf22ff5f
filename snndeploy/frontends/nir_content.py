"""Read the HDF5 of a `.nir` file ourselves, where nir itself cannot though the content is sound.

Names, types and arrays become nir's node objects without nir's own type pass. What that needs to
overlook is noted: parameters without a dimension, fields of another version, names with a slash.
"""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.model import ImportNote
from snndeploy.nirgraph.canonical import PARAMETERS, SUPPORTED
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.nirgraph.rebuild import Edge, build_graph

KINDS: dict[str, Any] = {kind.__name__: kind for kind in SUPPORTED if kind is not Microcode}
PORTS = {"Input": "input", "Output": "output"}
MAX_NESTING = 8
UNBUILDABLE = (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What nir's constructors raise on fields that do not fit each other."""


def read_content(path: Path) -> tuple[nir.NIRGraph, tuple[ImportNote, ...]]:
    """Return the graph of a file that the guard has passed, and what was overlooked.

    Raises:
        ModelError: E1425, the file has no graph, or a node lacks a field or does not fit itself.
        UnsupportedError: E2020, a node type that is not supported, by name.
    """
    notes: list[ImportNote] = []
    with h5py.File(path, "r") as file:
        root = file.get("node")
        if not isinstance(root, h5py.Group):
            raise ModelError("E1425", "the file holds no NIR graph", where=str(path))
        return _graph("", root, notes, 0), tuple(notes)


def _graph(where: str, group: h5py.Group, notes: list[ImportNote], depth: int) -> nir.NIRGraph:
    inner, edges = group.get("nodes"), group.get("edges")
    if not isinstance(inner, h5py.Group) or not isinstance(edges, h5py.Dataset):
        raise ModelError("E1425", "a graph without nodes and edges", where=where or "graph")
    if depth > MAX_NESTING:
        raise ModelError("E1425", "graphs are nested too deeply", where=where)
    nodes: dict[str, Any] = {}
    renamed: dict[str, str] = {}
    for name, found in _named(inner):
        plain = name.replace("/", ".")
        if plain != name:
            renamed[name] = plain
            notes.append(_note(where, plain, f"it was named {name!r}; a slash splits names"))
        nodes[plain] = _node(f"{where}.{plain}" if where else plain, found, notes, depth)
    pairs = [(renamed.get(a, a), renamed.get(b, b)) for a, b in _edges(where, edges)]
    return build_graph(nodes, pairs, _metadata(group))


def _named(group: h5py.Group, prefix: str = "") -> list[tuple[str, h5py.Group]]:
    """Return the nodes of a graph; a slash in a name has made groups of its parts."""
    found = []
    for key in group:
        child = group[key]
        if not isinstance(child, h5py.Group) or not len(child):
            raise ModelError("E1425", "a node without a type", where=f"{prefix}{key}")
        if "type" in child:
            found.append((f"{prefix}{key}", child))
        else:
            inside = _named(child, f"{prefix}{key}/")
            if not inside:
                raise ModelError("E1425", "a node without a type", where=f"{prefix}{key}")
            found += inside
    return found


def _edges(where: str, dataset: h5py.Dataset) -> list[Edge]:
    rows = np.asarray(dataset[()])
    if rows.size and (rows.ndim != 2 or rows.shape[1] != 2):
        raise ModelError("E1425", f"edges of shape {rows.shape}", where=where or "graph")
    return [(_text(a), _text(b)) for a, b in rows.reshape(-1, 2)]


def _node(name: str, group: h5py.Group, notes: list[ImportNote], depth: int) -> Any:
    kind = _text(group["type"][()])
    if kind == "NIRGraph":
        return _graph(name, group, notes, depth + 1)
    if kind not in KINDS:
        raise UnsupportedError(
            "E2020", f"NIR node type {kind} is not supported", where=name,
            remedy="export a plain graph",
        )  # fmt: skip
    given = {
        key: _plain(group[key][()])
        for key in group
        if key not in ("type", "metadata") and isinstance(group[key], h5py.Dataset)
    }
    if kind in PORTS:
        port = PORTS[kind]
        shape = np.atleast_1d(given.pop("shape", given.pop(f"{port}_type", ())))
        given = {f"{port}_type": {port: shape}}
    return _build(name, KINDS[kind], given, _metadata(group), notes)


def _build(
    name: str, kind: Any, given: dict[str, Any], metadata: dict[str, Any], notes: list[ImportNote]
) -> Any:
    known = {field.name: field for field in fields(kind) if field.init}
    for field in sorted(set(given) - set(known)):
        notes.append(_note("", name, f"field {field!r} is unknown to nir {nir.version}; left out"))
        del given[field]
    wanted = [
        field.name
        for field in known.values()
        if field.default is MISSING and field.default_factory is MISSING
    ]
    missing = [field for field in wanted if field not in given]
    missing = [field for field in missing if field not in ("input_shape", "input_type")]
    if missing:
        raise ModelError("E1425", f"{kind.__name__} without {', '.join(missing)}", where=name)
    for field in ("input_shape", "input_type"):
        if field in wanted:
            given.setdefault(field, None)
    if kind is nir.Flatten and given["input_type"] is not None:
        given["input_type"] = {"input": np.atleast_1d(given["input_type"])}
    if kind in PARAMETERS:
        given = _widened(name, kind, given, notes)
    try:
        node = kind(**given)
    except UNBUILDABLE as error:
        text = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
        raise ModelError("E1425", f"{kind.__name__}: {text:.120}", where=name) from error
    node.metadata = metadata
    return node


def _widened(
    name: str, kind: Any, given: dict[str, Any], notes: list[ImportNote]
) -> dict[str, Any]:
    """Return parameters of one shape; one value stands for all neurons."""
    arrays = {key: np.asarray(given[key]) for key in PARAMETERS[kind] if key in given}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) > 1:
        try:
            wide = np.broadcast_shapes(*shapes)
        except ValueError:
            return given
        notes.append(_note("", name, "parameters of one value stand for all neurons"))
        arrays = {key: np.array(np.broadcast_to(array, wide)) for key, array in arrays.items()}
    return {**given, **arrays}


def _metadata(group: h5py.Group) -> dict[str, Any]:
    found = group.get("metadata")
    return _record(found) if isinstance(found, h5py.Group) else {}


def _record(group: h5py.Group) -> dict[str, Any]:
    return {
        key: _record(child) if isinstance(child, h5py.Group) else _plain(child[()])
        for key, child in group.items()
    }


def _plain(value: Any) -> Any:
    return value.decode("utf8", "replace") if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    return value.decode("utf8", "replace") if isinstance(value, bytes) else str(value)


def _note(where: str, name: str, text: str) -> ImportNote:
    return ImportNote(kind="repaired", node=f"{where}.{name}" if where else name, text=text)
