"""Events (time, pixel, polarity) as frames of counts.

An event lies in step floor((t - t0) / dt), t0 being the first event's time. Frames count events per
pixel and polarity, channels first: p = 0 and 1 are channels 0 and 1 of an input (2, H, W); an input
(1, H, W) counts both together; an input (N,) counts addresses x, as of a silicon cochlea.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from snndeploy.errors import ModelError, UsageError
from snndeploy.ir.arrays import AnyArray, FloatArray, IntArray

FIELDS = ("t", "x", "y", "p")
NAMES = {"t": ("t", "ts", "timestamp"), "x": ("x",), "y": ("y",), "p": ("p", "polarity", "on")}
"""Names of the same field in Tonic's, AEDAT4's and other arrays."""
MAX_VALUES = 1 << 29
"""Values of all frames together, 4 GiB of float64: a step that is too fine is refused."""
LONGEST = 1 << 50
"""Microseconds, 35 years: no recording lasts so long."""
FREE_VALUES, VALUES_PER_EVENT = 1 << 24, 100_000
"""Beyond 128 MiB, frames as empty as that are those of a damaged time, not of a recording."""
MICROSECONDS = 1e-6

Events = Mapping[str, AnyArray]


def need_step(dt: float | None, where: str) -> float:
    """Return the step in seconds.

    Raises:
        UsageError: E5133, it is not given or not positive.
    """
    if dt is None or not 0 < dt < np.inf:
        raise UsageError(
            "E5133", "events have times, not steps", where=where,
            remedy="give --dt SECONDS, the time of one model step, e.g. --dt 1e-3",
        )  # fmt: skip
    return dt


def is_events(dtype: "np.dtype[np.generic] | None") -> bool:
    """Return whether arrays of a type are structured, with times and addresses."""
    names = (dtype.names if dtype is not None else None) or ()
    return all(any(n in names for n in NAMES[field]) for field in ("t", "x"))


def fields_of(array: AnyArray, where: str) -> Events:
    """Return the fields of a structured array of events by their short names.

    Raises:
        ModelError: E1442, it is not one list of events.
    """
    if array.ndim != 1:
        raise ModelError("E1442", f"events of shape {list(array.shape)}, not a list", where=where)
    names = array.dtype.names or ()
    found = {field: next((n for n in NAMES[field] if n in names), None) for field in FIELDS}
    return {field: array[name] for field, name in found.items() if name is not None}


def bin_events(
    recordings: Sequence[Events], shape: tuple[int, ...], dt: float, where: str
) -> FloatArray:
    """Return frames [T, B, *shape] of counts; short recordings end in empty frames.

    Args:
        recordings: one mapping per sample, equally long arrays t (microseconds), x, y, p.
        shape: of the input.
        dt: seconds per step.
        where: for errors.

    Raises:
        ModelError: E1442 events that are no integers, empty, not of one length or of one recording;
            E1443 events outside the input; E1204 more frames than fit in memory.
    """
    binned = [_placed(events, shape, dt, where) for events in recordings]
    n_steps = max(int(step.max()) + 1 for step, _ in binned)
    n_values, n_events = n_steps * len(binned) * prod(shape), sum(len(step) for step, _ in binned)
    if n_values > MAX_VALUES or n_values > max(FREE_VALUES, VALUES_PER_EVENT * n_events):
        raise _too_many(f"{n_steps:,} steps of {len(binned)} samples of shape {shape}", where)
    frames = np.zeros((n_steps, len(binned), *shape))
    for sample, (step, place) in enumerate(binned):
        cells: Any = (step, sample, *place)
        np.add.at(frames, cells, 1.0)
    return frames


def _placed(
    events: Events, shape: tuple[int, ...], dt: float, where: str
) -> tuple[IntArray, tuple[IntArray, ...]]:
    """Return the step of every event, and its place in a frame."""
    needed = ("t", "x") if len(shape) == 1 else FIELDS if shape[0] == 2 else ("t", "x", "y")
    missing = [field for field in needed if field not in events]
    sizes = {len(values) for values in events.values()}
    if missing or len(sizes) != 1 or not sizes.pop():
        text = f"no field {missing[0]}" if missing else "no events, or fields of unequal length"
        raise ModelError("E1442", text, where=where, remedy="give fields t, x, y, p, one per event")
    whole = {field: _whole(field, events[field], where) for field in needed}
    lasts = int(whole["t"].max()) - int(whole["t"].min())
    if lasts > LONGEST:
        raise ModelError(
            "E1442", f"events {lasts:,} microseconds apart", where=where,
            remedy="give times in microseconds, of one recording",
        )  # fmt: skip
    if not lasts * (MICROSECONDS / dt) < MAX_VALUES:  # NaN where the division overflows
        raise _too_many(f"{lasts:,} microseconds in steps of {dt:g} s", where)
    step = np.floor((whole["t"] - whole["t"].min()) * (MICROSECONDS / dt) + 1e-9).astype(np.int64)
    place: tuple[IntArray, ...]
    if len(shape) == 1:
        place = (whole["x"],)
    elif len(shape) == 3 and shape[0] in (1, 2):
        channel = whole["p"] if shape[0] == 2 else np.zeros_like(whole["x"])
        place = (channel, whole["y"], whole["x"])
    else:
        raise ModelError(
            "E1443", f"events are pixels of two polarities; the input is {shape}", where=where,
            remedy="let the model take (2, H, W), (1, H, W) or, for addresses, (N,)",
        )  # fmt: skip
    for name, values, size in zip("pyx" if len(place) == 3 else "x", place, shape, strict=True):
        low, high = int(values.min()), int(values.max())
        if low < 0 or high >= size:
            raise ModelError(
                "E1443", f"{name} goes from {low} to {high}, the input has {size}", where=where,
                remedy="crop or downsample the events to the input that the model was trained on",
            )  # fmt: skip
    return step, place


def _whole(field: str, values: AnyArray, where: str) -> IntArray:
    if values.dtype.kind not in "biu":
        raise ModelError(
            "E1442", f"field {field} is {values.dtype}, not integers", where=where,
            remedy="times are in microseconds, addresses are pixels",
        )  # fmt: skip
    return values.astype(np.int64)


def _too_many(what: str, where: str) -> ModelError:
    return ModelError("E1204", what, where=where, remedy="give a larger --dt, or fewer samples")
