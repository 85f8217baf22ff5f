"""The user's data: arrays [T, B, …] per input and labels, from files or from memory.

A file's first bytes say what it is: an .npz of arrays or of events, an .npy of events, an AEDAT4
recording, data beside NIR graphs; a folder holds images, one folder per class.

What a library must parse is read in the reading process. Archives of arrays are not: `npz` checks
every length itself and unpickles nothing, and their arrays, the largest, would be copied twice.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from snndeploy.errors import ModelError, UsageError
from snndeploy.ir.arrays import AnyArray, FloatArray, IntArray, frozen_float, frozen_int
from snndeploy.npz import load_npy, load_npz, npy_dtype, read_bytes, read_head
from snndeploy.recordings import aedat4, images, nir_data
from snndeploy.recordings.events import Events, bin_events, fields_of, is_events, need_step

NPY_MAGIC = b"\x93NUMPY"
Shapes = Mapping[str, tuple[int, ...]]
"""Shape of every input, without time and batch."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Samples:
    """Samples to run.

    Attributes:
        x: [T, B, *shape] per input; a static image has T = 1.
        label: right class per sample [B], None if unknown.
    """

    x: Mapping[str, FloatArray]
    label: IntArray | None = None

    @property
    def n(self) -> int:
        return int(next(iter(self.x.values())).shape[1])

    def first(self, n: int) -> "Samples":
        """Return the first n samples."""
        return self.rows(slice(n))

    def rows(self, rows: slice | IntArray) -> "Samples":
        """Return some samples, in the order of their rows."""
        label = None if self.label is None else self.label[rows]
        return Samples(x={name: x[:, rows] for name, x in self.x.items()}, label=label)

    def digest(self) -> str:
        """Return 16 hexadecimal digits that only the same values and labels have."""
        state = hashlib.sha256()
        for name in sorted(self.x):
            state.update(repr((name, self.x[name].shape)).encode())
            state.update(self.x[name].tobytes())
        state.update(b"" if self.label is None else self.label.tobytes())
        return state.hexdigest()[:16]


Data = Samples | AnyArray | Mapping[str, AnyArray] | Path | str
"""Samples, an array [T, B, …], one array per input, or the path of an .npz file."""


def samples_of(
    data: Data, shapes: Shapes, label: Any = None, *, dt: float | None = None
) -> Samples:
    """Return samples as they are, or those of arrays or of a file once they are checked.

    Raises:
        ModelError: E1201-E1212, E1441-E1446; see `snndeploy explain`.
        UsageError: E5133, E5135, events without a step, or a step for data that has its own.
    """
    if isinstance(data, Samples):
        return data
    if isinstance(data, Path | str):
        return read_samples(Path(data), shapes, dt=dt)
    if not isinstance(data, Mapping):
        data = {next(iter(shapes)): np.asarray(data)}
    given = None if label is None else np.asarray(label)
    return check_samples(data, shapes, label=given)


def read_samples(path: Path, shapes: Shapes, *, dt: float | None = None) -> Samples:
    """Read `x` (one input) or `x.<input>` (several), and `label` if it is there.

    Args:
        path: an .npz file; or events (.npy, .npz with fields t, x, y, p or arrays `events…`,
            .aedat4), data of NIR nodes, a folder of images per class.
        shapes: the inputs that the model has.
        dt: seconds per model step, for events.

    Raises:
        ModelError: E1201–E1212, E1441–E1446; see `snndeploy explain`.
        UsageError: E5133, E5135, events without a step, or a step for data that has its own.
    """
    where = str(path)
    if path.is_dir():
        frames, classes = images.read_confined(path, _only_shape(shapes, where))
        _no_step(dt, where)
        return check_samples(_for_only_input(frames, shapes), shapes, label=classes, where=where)
    head = read_head(path)
    if head.startswith(nir_data.HDF5_MAGIC):
        return check_samples(nir_data.read_confined(path, shapes, dt), shapes, where=where)
    is_aedat4 = head.startswith(aedat4.MAGIC)
    arrays = aedat4.read_confined(path) if is_aedat4 else _arrays(read_bytes(path), where)
    label = arrays.get("label")
    if recordings := _recordings(arrays, where):
        shape = _only_shape(shapes, where)
        counts = bin_events(recordings, shape, need_step(dt, where), where)
        return check_samples(_for_only_input(counts, shapes), shapes, label=label, where=where)
    _no_step(dt, where)
    if len(shapes) == 1:
        only = next(iter(shapes))
        arrays = {f"x.{only}" if name == "x" else name: a for name, a in arrays.items()}
    given = {name.removeprefix("x."): a for name, a in arrays.items() if name.startswith("x.")}
    unknown = sorted({name for name in arrays if not name.startswith("x.")} - {"label"})
    if unknown or set(given) != set(shapes):
        raise _wrong_names(where, tuple(arrays), shapes)
    return check_samples(given, shapes, label=label, where=where)


def _arrays(data: bytes, where: str) -> Mapping[str, AnyArray]:
    """Return the arrays of an archive, or the events of a file that holds nothing else."""
    if data.startswith(NPY_MAGIC) and is_events(npy_dtype(data)):
        return {"events": load_npy(data, where)}
    return load_npz(data, where)


def _recordings(arrays: Mapping[str, AnyArray], where: str) -> list[Events]:
    """Return the recordings among the arrays of a file of events; none of another file."""
    lists = {name: array for name, array in arrays.items() if name != "label"}
    if set(lists) in ({"t", "x", "y", "p"}, {"t", "x", "p"}, {"t", "x", "y"}, {"t", "x"}):
        return [lists]
    if not all(is_events(array.dtype) for array in lists.values()):
        return []
    names = sorted(lists, key=lambda name: (len(name), name))
    return [fields_of(lists[name], f"{where}: {name}") for name in names]


def _only_shape(shapes: Shapes, where: str) -> tuple[int, ...]:
    if len(shapes) > 1:
        raise ModelError(
            "E1205", f"is one recording, the model has the inputs {', '.join(shapes)}", where=where,
            remedy="save an .npz with an array per input: x.<input>",
        )  # fmt: skip
    return next(iter(shapes.values()))


def _for_only_input(frames: FloatArray, shapes: Shapes) -> dict[str, AnyArray]:
    return {next(iter(shapes)): frames}


def _no_step(dt: float | None, where: str) -> None:
    if dt is not None:
        raise UsageError(
            "E5135", "these are steps already, not events", where=where, remedy="drop --dt"
        )


def check_samples(
    x: Mapping[str, AnyArray], shapes: Shapes, *, label: AnyArray | None = None, where: str = "data"
) -> Samples:
    """Return arrays as samples once their kind, shape and values are what the model takes.

    Raises:
        ModelError: E1205 an input is missing, E1206 wrong shape, E1207 not numbers, E1208 not
            finite, E1209 empty, E1210 labels do not match.
    """
    if set(x) != set(shapes):
        raise _wrong_names(where, tuple(f"x.{name}" for name in x), shapes)
    checked = {
        name: _checked(x[name], shape, f"{where}: x ({name})") for name, shape in shapes.items()
    }
    sizes = {name: array.shape[1] for name, array in checked.items()}
    if len(set(sizes.values())) > 1:
        raise ModelError(
            "E1206",
            f"inputs have different numbers of samples: {sizes}",
            where=where,
            remedy="give the same samples to every input",
        )
    n_samples = next(iter(sizes.values()))
    return Samples(x=checked, label=None if label is None else _labels(label, n_samples, where))


def _checked(x: AnyArray, shape: tuple[int, ...], where: str) -> FloatArray:
    if x.dtype.kind not in "biuf":
        raise ModelError(
            "E1207",
            f"dtype {x.dtype} is not a kind of real number",
            where=where,
            remedy="save uint8 spikes, integers or floats",
        )
    if x.ndim != 2 + len(shape) or x.shape[2:] != shape:
        want = ", ".join(["T", "B", *map(str, shape)])
        raise ModelError(
            "E1206",
            f"shape {list(x.shape)}, the input takes [{want}]",
            where=where,
            remedy="put time first and samples second; a static image has T = 1",
        )
    if not x.size:
        raise ModelError(
            "E1209", f"shape {list(x.shape)} is empty", where=where, remedy="add samples"
        )
    n_bad = int(x.size - np.count_nonzero(np.isfinite(x)))
    if n_bad:
        raise ModelError(
            "E1208",
            f"{n_bad:,} of {x.size:,} values are NaN or infinite",
            where=where,
            remedy="remove them before saving",
        )
    return frozen_float(x)


def _labels(label: AnyArray, n_samples: int, where: str) -> IntArray:
    if label.dtype.kind not in "iu" or label.shape != (n_samples,) or label.min() < 0:
        raise ModelError(
            "E1210",
            f"label has dtype {label.dtype} and shape {list(label.shape)}",
            where=where,
            remedy=f"give one class number per sample: integers of shape [{n_samples}], 0 and up",
        )
    return frozen_int(label)


def _wrong_names(where: str, had: tuple[str, ...], shapes: Shapes) -> ModelError:
    allowed = ["x"] if len(shapes) == 1 else [f"x.{name}" for name in shapes]
    near = [
        near for name in had if name not in allowed for near in get_close_matches(name, allowed)
    ]
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return ModelError(
        "E1205",
        f"holds {', '.join(map(repr, sorted(had))) or 'nothing'}{hint}",
        where=where,
        remedy=f"save {', '.join(map(repr, allowed))} and, if you like, 'label'",
    )
