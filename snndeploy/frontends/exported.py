"""Read a `.pt2` (torch.export.save) as plain data: its graph and arrays, nothing deserialized.

The archive is a zip of stored entries: a JSON of the graph, a JSON that names every array, and the
arrays as raw bytes. torch is not asked; pickled entries (sample inputs) are never opened.
Source: torch 2.13, export/pt2_archive, _export/serde/schema.py.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from snndeploy.errors import ModelError
from snndeploy.frontends.guard import check_file, looks_like
from snndeploy.ir.arrays import AnyArray

Shape = tuple[int, ...]
DTYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f2", 7: "<f4", 8: "<f8", 12: "?"}
"""numpy types by the number of a ScalarType."""
MAX_JSON = 1 << 26
MAX_ENTRIES = 100_000
STRIDED = 7
EXPORT = "save it with torch.export.save(torch.export.export(net, (x, *states)), 'net.pt2')"


@dataclass(frozen=True, slots=True)
class Ref:
    """The value of a node or input, by name."""

    name: str


@dataclass(frozen=True, eq=False, slots=True)
class Operation:
    """One node of the graph.

    Attributes:
        name: of its first output.
        target: operator, e.g. `aten.linear.default`.
        args, kwargs: plain values, `Ref`s and lists of them.
        path: of the module that called it.
    """

    name: str
    target: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    path: str


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Program:
    """An exported program.

    Attributes:
        constants: parameters, buffers and constant tensors by their names in the graph.
        inputs: the user's, in order, by name, None where an argument is None.
        outputs: what forward returns, in order; None where it returns None.
        mutated: next value of a buffer that the program changes, by the buffer's name in the graph.
        shapes: of tensors by name.
        operations: in order.
    """

    constants: Mapping[str, AnyArray]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    mutated: Mapping[str, str]
    shapes: Mapping[str, Shape]
    operations: tuple[Operation, ...]


def read_program(path: Path) -> Program:
    """Return the program of a `.pt2`.

    Raises:
        ModelError: E1001 to E1005 (missing, empty, damaged, another kind, a bomb), E1432 (not laid
            out as an exported program).
    """
    where, head = str(path), check_file(path)
    if not head.startswith(b"PK"):
        raise ModelError(
            "E1004", f"not an exported program, it looks like {looks_like(head)}", where=where,
            remedy=EXPORT,
        )  # fmt: skip
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _entries(where, archive, path.stat().st_size)
            return _program(where, archive, entries)
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError) as error:
        raise ModelError(
            "E1003", f"the archive is truncated or damaged ({error})", where=where,
            remedy="copy or export the file again",
        ) from error  # fmt: skip
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        text = f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]
        raise ModelError(
            "E1432", f"not laid out as an exported program ({text:.100})", where=where,
            remedy=EXPORT,
        ) from error  # fmt: skip


def _entries(where: str, archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the entries by their path inside the archive's folder."""
    found = archive.infolist()
    total = sum(entry.file_size for entry in found)
    packed = [entry for entry in found if entry.compress_type != zipfile.ZIP_STORED]
    if packed or total > size or len(found) > MAX_ENTRIES:
        raise ModelError(
            "E1005", f"{len(found):,} entries claim {total:,} bytes in a file of {size:,}",
            where=where,
        )  # fmt: skip
    damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"checksum of {damaged[:60]!r}")
    entries = {entry.filename.partition("/")[2]: entry for entry in found}
    if "models/model.json" not in entries:
        raise ModelError(
            "E1432", "a zip archive, but not an exported program", where=where, remedy=EXPORT
        )
    return entries


def _program(
    where: str, archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo]
) -> Program:
    if "byteorder" in entries and archive.read(entries["byteorder"]) != b"little":
        raise ModelError("E1432", "its numbers are big endian", where=where)
    module = _json(where, archive, entries["models/model.json"])["graph_module"]
    graph, signature = module["graph"], module["signature"]
    arrays: dict[str, AnyArray] = {}
    for folder, config in (("weights", "model_weights"), ("constants", "model_constants")):
        entry = entries.get(f"data/{folder}/{config}_config.json")
        named = _json(where, archive, entry)["config"] if entry is not None else {}
        for name, record in named.items():
            stored = entries.get(f"data/{folder}/{record['path_name']}")
            if stored is not None and not record["use_pickle"]:
                arrays[name] = _array(where, name, archive.read(stored), record["tensor_meta"])
    specs = [next(iter(spec.items())) for spec in signature["input_specs"]]
    constants = {
        spec["arg"]["name"]: arrays[name]
        for kind, spec in specs
        if kind != "user_input"
        and (name := spec.get(f"{kind}_name", spec.get("tensor_constant_name"))) in arrays
    }
    buffers = {spec["buffer_name"]: spec["arg"]["name"] for kind, spec in specs if kind == "buffer"}
    outputs = [next(iter(spec.items())) for spec in signature["output_specs"]]
    return Program(
        constants=constants,
        inputs=tuple(_named(spec["arg"]) for kind, spec in specs if kind == "user_input"),
        outputs=tuple(_named(spec["arg"]) for kind, spec in outputs if kind == "user_output"),
        mutated={
            buffers[spec["buffer_name"]]: spec["arg"]["name"]
            for kind, spec in outputs
            if kind == "buffer_mutation"
        },
        shapes={name: _shape(meta) for name, meta in graph["tensor_values"].items()},
        operations=tuple(_operation(node) for node in graph["nodes"]),
    )


def _json(where: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Any:
    if entry.file_size > MAX_JSON:
        raise ModelError("E1005", f"a description of {entry.file_size:,} bytes", where=where)
    try:
        return json.loads(archive.read(entry))
    except RecursionError as error:
        raise ValueError("JSON is nested too deeply") from error


def _array(where: str, name: str, data: bytes, meta: Mapping[str, Any]) -> AnyArray:
    shape, dtype = _shape(meta), np.dtype(DTYPES[meta["dtype"]])
    strides = tuple(int(stride["as_int"]) for stride in meta["strides"])
    offset = int(meta["storage_offset"]["as_int"])
    reach = sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + 1 if prod(shape) else 0
    held = len(data) // dtype.itemsize
    bad = min((*shape, *strides, offset), default=0) < 0 or meta["layout"] != STRIDED
    if bad or offset + reach > held:
        raise ModelError("E1432", f"array {name} {shape} lies outside its bytes", where=where)
    flat = np.frombuffer(data, dtype, held * (prod(shape) > 0))
    view = np.lib.stride_tricks.as_strided(
        flat[offset:], shape, tuple(s * dtype.itemsize for s in strides), writeable=False
    )
    return np.array(view)


def _shape(meta: Mapping[str, Any]) -> Shape:
    """Return sizes; a size that may vary (the batch) is its hint."""
    return tuple(
        int(size["as_int"]) if "as_int" in size else int(size["as_expr"]["hint"]["as_int"])
        for size in meta["sizes"]
    )


def _named(arg: Mapping[str, Any]) -> str:
    """Return the name of a tensor argument, empty for None and numbers."""
    tensor = arg.get("as_tensor")
    return str(tensor["name"]) if tensor else ""


def _operation(node: Mapping[str, Any]) -> Operation:
    positional = [_value(i["arg"]) for i in node["inputs"] if i["kind"] == 1]
    by_name = {i["name"]: _value(i["arg"]) for i in node["inputs"] if i["kind"] == 2}
    first = node["outputs"][0] if node["outputs"] else {}
    one = first.get("as_tensor")
    tensors: list[Any] = [one] if one else first.get("as_tensors", [])
    stack = str(node["metadata"].get("nn_module_stack", "")).split(";")[-1].split(",")
    return Operation(
        name=tensors[0]["name"] if tensors else str(node.get("name", "")),
        target=str(node["target"]).removeprefix("torch.ops."),
        args=tuple(positional),
        kwargs=by_name,
        path=stack[1] if len(stack) > 1 else "",
    )


def _value(arg: Mapping[str, Any]) -> Any:
    kind, value = next(iter(arg.items()))
    match kind:
        case "as_tensor":
            return Ref(value["name"])
        case "as_tensors":
            return [Ref(item["name"]) for item in value]
        case "as_none":
            return None
    return value
