"""Recordings beside NIR graphs (`nir.write_data`): values on a grid of time, or events.

    /node/<name>/observables/<observable>   attributes __type__, dt | n_neurons, t_max
        data [B, T, N]                      TimeGriddedData
        idx, time [B, E], value             EventData, ValuedEventData; idx -1 is no event

Read with h5py alone, bounded, without links, in the reading process.
"""

import io
from collections.abc import Mapping
from math import ceil, prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snndeploy.errors import ModelError, UsageError
from snndeploy.hdf5_heaps import check_heaps
from snndeploy.ir.arrays import AnyArray, FloatArray
from snndeploy.npz import read_bytes
from snndeploy.reading.confined import read_plain
from snndeploy.reading.transport import give_arrays, take_arrays
from snndeploy.recordings.events import MAX_VALUES, need_step

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_BYTES = 1 << 31
MAX_CHUNK = 1 << 28
FILTERS = (1, 2, 3)
"""gzip, shuffle, fletcher32: the filters that are part of HDF5 itself."""
ATTRIBUTES = {"dt": float, "n_neurons": int, "t_max": float}
KINDS = {
    "TimeGriddedData": ("dt", "data"),
    "EventData": ("n_neurons", "t_max", "idx", "time"),
    "ValuedEventData": ("n_neurons", "t_max", "idx", "time", "value"),
}
"""Types of data, with their attributes and arrays."""
BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError)
"""What h5py raises on damaged files."""


def read_confined(
    path: Path, shapes: Mapping[str, tuple[int, ...]], dt: float | None
) -> dict[str, AnyArray]:
    """Return [T, B, *shape] per input: the node of its name, or the only one.

    Raises:
        ModelError: E1003, E1444, damaged, or not the inputs' data; E1204, too large; E1470, E1471
            see `read_plain`.
        UsageError: E5133 (events without dt), E5135 (another dt than the data's).
    """
    reader = "snndeploy.recordings.nir_data:read_packed"
    content = give_arrays(*read_plain(reader, path, {"names": list(shapes)}, room=MAX_BYTES))
    return {
        name: _frames(content[name], shape, dt, f"{path}: {name}") for name, shape in shapes.items()
    }


def read_packed(path: str, names: list[str]) -> tuple[Any, list[AnyArray]]:
    """Read the inputs' data in the reading process: per name its type, attributes and arrays."""
    data = read_bytes(Path(path))
    check_heaps(data, path)
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            nodes = _groups(file, path)
            found = {}
            for name in names:
                if name not in nodes and (len(nodes) > 1 or len(names) > 1):
                    known = ", ".join(nodes)
                    raise _bad(path, f"holds data of {known}, the input is {name}")
                group = nodes.get(name, next(iter(nodes.values())))
                found[name] = _fields(group, f"{path}: {name}")
    except BROKEN as error:
        text = str(error).split("\n", maxsplit=1)[0]
        raise _bad(path, f"damaged: {text:.120}") from error
    arrays: list[AnyArray] = []
    return take_arrays(found, arrays), arrays


def _groups(file: h5py.File, where: str) -> dict[str, h5py.Group]:
    """Return the one observable of every node."""
    root = _child(file, "node", where) if "node" in file else file
    root = _child(root, "nodes", where) if "nodes" in root else root
    found: dict[str, h5py.Group] = {}
    for name in root:
        node = _child(root, name, where)
        if not isinstance(node, h5py.Group) or "observables" not in node:
            continue
        observables = _child(node, "observables", where)
        names = list(observables)
        if len(names) != 1:
            raise _bad(where, f"{name} has the observables {', '.join(names)}; one is needed")
        found[name] = _child(observables, names[0], where)
    if not found:
        raise _bad(where, "an HDF5 file, but no data of NIR nodes")
    return found


def _fields(group: h5py.Group, where: str) -> dict[str, Any]:
    kind = group.attrs.get("__type__")
    kind = kind.decode() if isinstance(kind, bytes) else kind
    if kind not in KINDS:
        raise _bad(where, f"data of type {kind!r:.40}")
    return {"kind": kind} | {
        field: ATTRIBUTES[field](group.attrs[field])
        if field in ATTRIBUTES
        else _array(group, field, where)
        for field in KINDS[kind]
    }


def _child(group: Any, name: str, where: str) -> Any:
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise _bad(where, f"{name} is a link that points elsewhere")
    return group[name]


def _array(group: h5py.Group, name: str, where: str) -> AnyArray:
    dataset = _child(group, name, where) if name in group else None
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise _bad(where, f"no array {name!r}")
    filters = dataset.id.get_create_plist()
    numbers = [filters.get_filter(index)[0] for index in range(filters.get_nfilters())]
    size = dataset.size * dataset.dtype.itemsize
    chunk = prod(dataset.chunks or (0,)) * dataset.dtype.itemsize
    if dataset.external or dataset.is_virtual or dataset.dtype.kind not in "iufb":
        raise _bad(where, f"array {name!r} lies elsewhere, or holds no numbers")
    if any(number not in FILTERS for number in numbers):
        raise _bad(where, f"array {name!r} needs a filter that is not part of HDF5")
    if size > MAX_BYTES or chunk > MAX_CHUNK:
        raise ModelError("E1204", f"array {name!r} of {size:,} bytes", where=where)
    values: AnyArray = np.asarray(dataset[()])
    return values


def _frames(
    fields: Mapping[str, Any], shape: tuple[int, ...], dt: float | None, where: str
) -> AnyArray:
    """Return the steps [T, B, *shape] of what `read_packed` found."""
    if fields["kind"] != "TimeGriddedData":
        return _binned(fields, shape, need_step(dt, where), where)
    if dt is not None and not np.isclose(dt, fields["dt"]):
        raise UsageError(
            "E5135", f"the data's step is {fields['dt']:g} s, not {dt:g}", where=where,
            remedy="drop --dt",
        )  # fmt: skip
    values: AnyArray = fields["data"]
    if values.ndim != 3 or values.shape[2] != prod(shape):
        raise _bad(where, f"data {values.shape}, the input takes (samples, steps, {prod(shape)})")
    frames = values.swapaxes(0, 1)
    return frames.reshape(*frames.shape[:2], *shape)


def _binned(fields: Mapping[str, Any], shape: tuple[int, ...], dt: float, where: str) -> FloatArray:
    index, time = fields["idx"], fields["time"]
    value = fields.get("value", np.ones(index.shape))
    t_max, size = fields["t_max"], prod(shape)
    if index.shape != time.shape or index.shape != value.shape or index.ndim != 2:
        raise _bad(where, f"events {index.shape} at times {time.shape}")
    if index.dtype.kind not in "iu":
        raise _bad(where, f"events of neurons that are {index.dtype}, not integers")
    if fields["n_neurons"] != size:
        raise _bad(where, f"{fields['n_neurons']} neurons, the input has {size}")
    is_event = index != -1
    times, neurons = time[is_event], index[is_event]
    inside = np.isfinite(times) & (times >= 0) & (times <= t_max)
    if not np.isfinite(t_max) or not inside.all() or np.any((neurons < 0) | (neurons >= size)):
        raise _bad(where, f"events outside {size} neurons or 0 to {t_max:g} s")
    lasts = max(1.0, t_max / dt)
    if not lasts * len(index) * size <= MAX_VALUES:
        raise ModelError("E1204", f"{lasts:,.0f} steps", where=where, remedy="give a larger --dt")
    n_steps = max(1, ceil(lasts - 1e-9))
    frames = np.zeros((n_steps, len(index), size))
    steps = np.minimum(np.floor(times / dt + 1e-9).astype(np.int64), n_steps - 1)
    np.add.at(frames, (steps, np.nonzero(is_event)[0], neurons), value[is_event])
    return frames.reshape(n_steps, len(index), *shape)


def _bad(where: str, message: str) -> ModelError:
    return ModelError(
        "E1444", message, where=where, remedy="write it with nir.write_data, a node per input"
    )
