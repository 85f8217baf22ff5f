"""Samples as a float model takes them: the same number of frames for every step it runs."""

from collections.abc import Mapping

import numpy as np

from snndeploy.errors import ModelError, UsageError
from snndeploy.ir.arrays import AnyArray, FloatArray
from snndeploy.model import Model
from snndeploy.samples import Samples, Shapes


def model_shapes(model: Model) -> Shapes:
    """Return the shape of every input of a model."""
    return {port.name: port.shape for port in model.inputs}


def longest(arrays: Mapping[str, AnyArray]) -> int:
    """Return the most steps of arrays [T, B, *shape]."""
    return max(len(array) for array in arrays.values())


def steps_of(model: Model, samples: Samples, steps: int | None = None) -> int:
    """Return the steps per sample: the ones asked for, else the model's own, else the data's.

    Asked for 0 (without end), always the data's.

    Raises:
        UsageError: E5022, a static image, and nothing says for how many steps.
    """
    steps = longest(samples.x) if steps == 0 else steps or model.steps or longest(samples.x)
    if steps == 1 and any(port.repeat for port in model.inputs):
        raise UsageError(
            "E5022",
            "a static image, and neither the model nor the data says for how many steps",
            where=model.origin,
            remedy="give --steps P",
        )
    return steps


def frames_of(model: Model, samples: Samples, steps: int) -> dict[str, FloatArray]:
    """Return [steps, B, *shape] per input: a static image at every step, a short recording padded.

    Raises:
        ModelError: E1211, a recording is longer.
    """
    frames = {}
    for port in model.inputs:
        x = samples.x[port.name]
        if len(x) > steps:
            raise ModelError(
                "E1211",
                f"{len(x)} frames, the model runs {steps} steps per sample",
                where=port.name,
                remedy=f"give --steps {len(x)} or cut the array",
            )
        if len(x) == 1 and port.repeat:
            frames[port.name] = np.broadcast_to(x, (steps, *x.shape[1:]))
        else:
            padding = np.zeros((steps - len(x), *x.shape[1:]))
            frames[port.name] = np.concatenate([x, padding])
    return frames
