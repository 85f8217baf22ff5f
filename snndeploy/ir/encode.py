"""What the host does to the user's arrays before they reach the chip: integers per source."""

from dataclasses import dataclass

import numpy as np

from snndeploy.errors import ModelError
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.network import Source


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Encoded:
    """Integers [P, B, *shape] for one source, and how many values did not fit its range."""

    values: IntArray
    clipped: int


def encode(source: Source, x: FloatArray, *, steps: int, rng: np.random.Generator) -> Encoded:
    """Turn the user's array into what the host injects.

    Args:
        source: encoding, scale and range.
        x: values [T, B, *shape]; T = 1 is shown at every step if the source repeats, otherwise
            T <= steps and missing steps are zero (the window is padded).
        steps: model steps per sample (P).
        rng: generator for rate coding; unused by the other encodings.

    Raises:
        ModelError: E1061 wrong shape, E1062 more frames than steps, E1063 not spikes.
    """
    if x.shape[2:] != source.shape:
        raise ModelError(
            "E1061",
            f"array is [T, B, {_dims(x.shape[2:])}], input takes [T, B, {_dims(source.shape)}]",
            where=source.name,
            remedy="reshape the array; time is the first axis, samples the second",
        )
    if len(x) > steps:
        raise ModelError(
            "E1062",
            f"array has {len(x)} frames, the network was compiled for {steps} steps per sample",
            where=source.name,
            remedy=f"compile with --steps {len(x)} or cut the array",
        )
    if source.repeat and len(x) == 1:
        frames = np.broadcast_to(x, (steps, *x.shape[1:]))
    else:
        frames = np.concatenate([x, np.zeros((steps - len(x), *x.shape[1:]))])
    if source.encoding == "spikes":
        return _as_spikes(source, frames)
    if source.encoding == "rate":
        probability = np.clip(frames / source.scale, 0, 1)
        drawn = rng.random(frames.shape) < probability
        clipped = int(np.count_nonzero(probability * source.scale != frames))
        return Encoded(values=drawn.astype(np.int64), clipped=clipped)
    rounded = np.rint(frames / source.scale)
    values = np.clip(rounded, source.low, source.high)
    return Encoded(values=values.astype(np.int64), clipped=int(np.count_nonzero(values != rounded)))


def _as_spikes(source: Source, frames: FloatArray) -> Encoded:
    values = frames.astype(np.int64)
    if np.any(values != frames) or values.min(initial=0) < 0 or values.max(initial=0) > 1:
        raise ModelError(
            "E1063",
            "input takes spikes (0 or 1 per step), the array holds other values",
            where=source.name,
            remedy="compile with --encode graded or --encode rate",
        )
    return Encoded(values=values, clipped=0)


def _dims(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
