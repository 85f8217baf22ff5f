"""What the host does after the chip: the model's answer from the recorded output population."""

from typing import assert_never

import numpy as np

from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.network import Decode, Output
from snndeploy.ir.neurons import ACT_SHIFT
from snndeploy.ir.trace import PopulationTrace


def read_output(output: Output, trace: PopulationTrace) -> FloatArray:
    """Return the answer per step [P, B, *shape] in the model's units."""
    steps, samples = trace.spikes.shape[:2]
    match output.readout:
        case "spikes":
            values = output.scale * trace.spikes
        case "potential":
            values = output.scale * trace.states["v"] / 2**ACT_SHIFT
        case "increment":
            change = np.diff(trace.states["v"], axis=0, prepend=0)
            values = output.scale * change / 2**ACT_SHIFT
        case _:
            assert_never(output.readout)
    return np.asarray(values, dtype=np.float64).reshape(steps, samples, *output.shape)


def reduce_steps(decode: Decode, y: FloatArray) -> FloatArray:
    """Reduce [P, B, …] over the window: [B, …]."""
    match decode:
        case "sum":
            return np.asarray(y.sum(axis=0))
        case "mean":
            return np.asarray(y.mean(axis=0))
        case "max":
            return np.asarray(y.max(axis=0))
        case "last":
            return np.asarray(y[-1])
        case _:
            assert_never(decode)


def decide(output: Output, y: FloatArray) -> IntArray:
    """Return the index of the largest reduced value per sample [B]; the first of equals."""
    reduced = reduce_steps(output.decode, y)
    return np.asarray(reduced.reshape(len(reduced), -1).argmax(axis=1))
