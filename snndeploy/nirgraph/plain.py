"""Nodes as plain records of arrays and integers, the form in which `model.pt` holds them."""

from collections.abc import Mapping
from typing import Any

import nir
import numpy as np

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.ir.text import parse_program, print_program
from snndeploy.nirgraph.canonical import PARAMETERS
from snndeploy.nirgraph.metadata import plain_record
from snndeploy.nirgraph.microcode import Microcode, Parameter

ARRAYS: dict[Any, tuple[str, ...]] = {
    nir.Linear: ("weight",),
    nir.Affine: ("weight", "bias"),
    nir.Conv1d: ("weight", "bias"),
    nir.Conv2d: ("weight", "bias"),
    **PARAMETERS,
}
INTEGERS: dict[Any, tuple[str, ...]] = {
    nir.Conv1d: ("input_shape", "stride", "padding", "dilation", "groups"),
    nir.Conv2d: ("input_shape", "stride", "padding", "dilation", "groups"),
    nir.SumPool2d: ("kernel_size", "stride", "padding"),
    nir.AvgPool2d: ("kernel_size", "stride", "padding"),
    nir.Flatten: ("start_dim", "end_dim", "shape"),
    nir.Input: ("shape",),
    nir.Output: ("shape",),
}
TYPES: dict[str, Any] = {kind.__name__: kind for kind in (*ARRAYS, *INTEGERS)}
OWN = "microcode"
"""Where the metadata of a record keeps the program of a neuron that NIR does not have."""
SHAPED = {nir.Input: "input_type", nir.Output: "output_type", nir.Flatten: "input_type"}


def to_record(node: Any) -> dict[str, Any]:
    """Return a node of a normalized graph as type, arrays, lists of integers and metadata."""
    kind = type(node)
    if isinstance(node, Microcode):
        return _microcode_record(node)
    return {
        "type": kind.__name__,
        "arrays": {field: getattr(node, field) for field in ARRAYS.get(kind, ())},
        "integers": {field: _integers(node, field) for field in INTEGERS.get(kind, ())},
        "metadata": plain_record(node.metadata or {}),
    }


def from_record(name: str, record: Mapping[str, Any]) -> Any:
    """Return the node of a record; its shapes are checked when the graph is normalized.

    Raises:
        ModelError: E1010, fields that are missing, unknown or of the wrong type; E1021, arrays
            that no node of the type takes.
        UnsupportedError: E2020, a node type that is not supported.
    """
    if set(record) != {"type", "arrays", "integers", "metadata"}:
        raise ModelError("E1010", f"a node with the fields {sorted(record)}", where=name)
    if record["type"] == Microcode.__name__:
        return _microcode(name, record)
    kind = TYPES.get(record["type"]) if isinstance(record["type"], str) else None
    if kind is None:
        raise UnsupportedError("E2020", f"unknown node type {record['type']!r:.60}", where=name)
    arrays, integers = record["arrays"], record["integers"]
    _check_fields(name, arrays, ARRAYS.get(kind, ()), np.ndarray)
    _check_fields(name, integers, INTEGERS.get(kind, ()), list)
    fields: dict[str, Any] = {**arrays, **{key: _numbers(name, v) for key, v in integers.items()}}
    if kind in SHAPED:
        port = SHAPED[kind]
        fields[port] = {port.removesuffix("_type"): np.array(fields.pop("shape"))}
    for field in ("start_dim", "end_dim", "groups"):
        if field in fields:
            (fields[field],) = fields[field]
    if kind is nir.Conv1d:
        fields |= {key: fields[key][0] for key in ("input_shape", "stride", "padding", "dilation")}
    try:
        return kind(**fields, metadata=plain_record(record["metadata"]))
    except (AssertionError, IndexError, TypeError, ValueError) as error:
        text = str(error).split("\n", maxsplit=1)[0]
        raise ModelError("E1021", f"no {kind.__name__}: {text:.120}", where=name) from error


def _microcode_record(node: Microcode) -> dict[str, Any]:
    """Return a neuron of a user's own: its program as text, the kinds of its parameters."""
    own = {
        "program": print_program(node.program),
        "kinds": {key: parameter.kind for key, parameter in node.parameters.items()},
    }
    return {
        "type": Microcode.__name__,
        "arrays": {key: parameter.value for key, parameter in node.parameters.items()},
        "integers": {"fraction_bits": [node.fraction_bits]},
        "metadata": {**plain_record(node.metadata or {}), OWN: own},
    }


def _microcode(name: str, record: Mapping[str, Any]) -> Microcode:
    metadata = dict(plain_record(record["metadata"]))
    own = metadata.pop(OWN, None)
    if not isinstance(own, dict) or not isinstance(own.get("program"), str):
        raise ModelError("E1010", "a neuron without its program", where=name)
    kinds, arrays = own.get("kinds"), record["arrays"]
    if not isinstance(kinds, dict) or not isinstance(arrays, dict) or set(kinds) != set(arrays):
        raise ModelError("E1010", "parameters without their kinds", where=name)
    _check_fields(name, arrays, tuple(kinds), np.ndarray)
    (bits,) = _numbers(name, record["integers"].get("fraction_bits", []))
    return Microcode(
        program=parse_program(own["program"]),
        parameters={k: Parameter(value=v, kind=kinds[k]) for k, v in arrays.items()},
        fraction_bits=bits,
        metadata=metadata,
    )


def _integers(node: Any, field: str) -> list[int]:
    if field == "shape":
        value = next(iter(getattr(node, SHAPED[type(node)]).values()))
    else:
        value = getattr(node, field)
    return [int(number) for number in np.atleast_1d(value)]


def _numbers(name: str, values: list[Any]) -> list[int]:
    if not values or not all(type(value) is int and abs(value) < 1 << 31 for value in values):
        raise ModelError("E1010", f"{values!r:.60} is not a list of integers", where=name)
    return values


def _check_fields(name: str, found: Any, wanted: tuple[str, ...], kind: type) -> None:
    if not isinstance(found, dict) or set(found) != set(wanted):
        raise ModelError("E1010", f"fields are not {', '.join(wanted) or 'none'}", where=name)
    for field, value in found.items():
        if not isinstance(value, kind):
            raise ModelError("E1010", f"{field} is {type(value).__name__}", where=name)
