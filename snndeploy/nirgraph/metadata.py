"""What snndeploy keeps in NIR metadata, under one key: semantics or grid per node, ports per graph.

Records are nested dicts of str, int, float and bool, because that is what survives HDF5; what
other programs have put there is left alone.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, get_args

import nir

from snndeploy.errors import ModelError, UsageError
from snndeploy.ir.network import Decode
from snndeploy.model import METADATA_KEY, InputPort, Model, Original, OutputPort
from snndeploy.nirgraph.rebuild import copy_node
from snndeploy.nirgraph.shapes import shape_of
from snndeploy.nirgraph.weight_grid import WEIGHTS, grid_of_node
from snndeploy.semantics import Semantics, from_record, to_record

MAX_DEPTH = 8


def with_semantics(node: Any, semantics: Semantics) -> Any:
    """Return a copy of a neuron node that carries its own semantics."""
    copied = copy_node(node)
    copied.metadata[METADATA_KEY] = to_record(semantics)
    return copied


def check_semantics(graph: nir.NIRGraph) -> None:
    """Check the semantics that nodes carry, and the grids that weights lie on.

    Raises:
        ModelError: E1010, a record is not one of ours; E1240, a grid is not.
    """
    for name, node in graph.nodes.items():
        record = (node.metadata or {}).get(METADATA_KEY)
        if record and isinstance(node, WEIGHTS):
            grid_of_node(name, node)
        elif record:
            semantics_of_record(name, record)


def semantics_of_record(where: str, record: Any) -> Semantics:
    """Return the semantics of a stored record.

    Raises:
        ModelError: E1010, it is not a record, or has unknown keys or values.
    """
    if not isinstance(record, Mapping):
        raise ModelError("E1010", "semantics are not a record of names and values", where=where)
    try:
        return from_record({str(key): _plain(value) for key, value in record.items()})
    except UsageError as error:
        raise ModelError(
            "E1010", f"its stored semantics: {error.message}", where=where, remedy=error.remedy
        ) from error


def model_record(model: Model) -> dict[str, Any]:
    """Return default semantics, steps and ports of a model; shapes are in the graph."""
    known = {} if model.steps is None else {"steps": model.steps}
    measured = {} if model.original is None else {"original": asdict(model.original)}
    return known | measured | {
        "semantics": to_record(model.semantics),
        "inputs": {
            port.name: {
                "values": port.values, "low": port.low, "high": port.high, "repeat": port.repeat
            }
            for port in model.inputs
        },
        "outputs": {port.name: {"decode": port.decode} for port in model.outputs},
    }  # fmt: skip


def ports_of_record(
    graph: nir.NIRGraph, record: Mapping[str, Any]
) -> tuple[tuple[InputPort, ...], tuple[OutputPort, ...]]:
    """Return the ports that a record describes, one per port node of a normalized graph.

    Raises:
        ModelError: E1010, ports are missing, unknown or malformed.
    """
    inputs, outputs = plain_record(record.get("inputs")), plain_record(record.get("outputs"))
    expected = (set(graph.inputs), set(graph.outputs))
    if (set(inputs), set(outputs)) != expected:
        raise ModelError("E1010", f"ports {sorted(inputs)}, {sorted(outputs)} are not the graph's")
    return (
        tuple(_input_port(name, graph.nodes[name], values) for name, values in inputs.items()),
        tuple(_output_port(name, graph.nodes[name], values) for name, values in outputs.items()),
    )


def steps_of_record(record: Mapping[str, Any]) -> int | None:
    """Return the model steps per sample of a record, None if it has none.

    Raises:
        ModelError: E1010, they are not a positive integer.
    """
    steps = record.get("steps")
    if steps is None or (type(steps) is int and steps > 0):
        return steps
    raise ModelError("E1010", f"{steps!r:.20} steps per sample")


def original_of_record(record: Mapping[str, Any]) -> Original | None:
    """Return what the module itself reached, None if it was not measured.

    Raises:
        ModelError: E1010, it is no such record.
    """
    if "original" not in record:
        return None
    fields = plain_record(record["original"])
    kinds = {name: type(value) for name, value in fields.items()}
    if kinds != {"accuracy": float, "n_samples": int, "digest": str}:
        raise ModelError("E1010", f"an original module with {sorted(kinds)}")
    original = Original(**fields)
    if not (0 <= original.accuracy <= 1 and original.n_samples > 0):
        raise ModelError("E1010", f"an accuracy of {original.accuracy} on {original.n_samples}")
    return original


def plain_record(record: Any, depth: int = 0) -> dict[str, Any]:
    """Return nested numpy scalars and bytes, as HDF5 gives them back, as plain Python values.

    Raises:
        ModelError: E1010, something else than names with scalars or records.
    """
    if not isinstance(record, Mapping) or depth > MAX_DEPTH or len(record) > 10_000:
        raise ModelError("E1010", f"metadata holds {type(record).__name__}, not a record")
    return {
        str(key): plain_record(value, depth + 1) if isinstance(value, Mapping) else _plain(value)
        for key, value in record.items()
    }


def _input_port(name: str, node: Any, record: Any) -> InputPort:
    fields = plain_record(record)
    if set(fields) != {"values", "low", "high", "repeat"}:
        raise ModelError("E1010", f"an input port with {sorted(fields)}", where=name)
    values, low, high = fields["values"], fields["low"], fields["high"]
    numbers = all(isinstance(value, int | float) for value in (low, high))
    if values not in ("spikes", "real") or not numbers or not low <= high:
        raise ModelError("E1010", f"input values {values!r} in [{low}, {high}]", where=name)
    return InputPort(
        name=name,
        shape=shape_of(node),
        values=values,
        low=float(low),
        high=float(high),
        repeat=bool(fields["repeat"]),
    )


def _output_port(name: str, node: Any, record: Any) -> OutputPort:
    decode: Any = plain_record(record).get("decode")
    if decode not in get_args(Decode):
        raise ModelError("E1010", f"decode {decode!r}", where=name)
    return OutputPort(name=name, shape=shape_of(node), decode=decode)


def _plain(value: Any) -> Any:
    value = value.decode() if isinstance(value, bytes) else value
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if not isinstance(value, str | bool | int | float):
        raise ModelError("E1010", f"metadata holds {type(value).__name__}, not a plain value")
    return value
