"""A user's own neuron in integers: its unit, and its parameters by their kinds."""

from dataclasses import replace

import numpy as np

from snndeploy.ir.arrays import IntArray
from snndeploy.ir.program import Params, as_params
from snndeploy.ir.ranges import INPUT_LIMIT
from snndeploy.nirgraph.microcode import SHARE, Microcode
from snndeploy.passes.task import Choice, Task

COARSER = 2.0 ** (1 / 8)
"""Factor on the unit from one try to the next while a register or a range does not hold."""


def microcode_choice(task: Task, neuron: Microcode) -> Choice:
    """Return the finest unit at which every register holds its value and no word wraps.

    Raises:
        ModelError: E1053, there is none.
    """
    units = np.asarray(np.max(task.layer_units, axis=0))
    first = float(units[0])
    while True:
        params = registers(neuron, float(units[0]))
        rounded, exponents = task.rounded(units)
        if task.vanishes(rounded):
            raise task.hopeless()
        choice = Choice(rounded=rounded, exponents=exponents, units=units, params=params)
        if _fits(neuron, params) and task.arriving(choice) <= INPUT_LIMIT:
            return replace(choice, enlarged=float(units[0]) / first)
        units = units * COARSER


def registers(neuron: Microcode, unit: float) -> Params:
    """Return a neuron's parameters as integers for a unit: the real value of 1 at its input."""
    scale = {"level": 2.0**neuron.fraction_bits / unit, "share": float(SHARE), "count": 1.0}
    return as_params(
        {
            name: _whole(parameter.value * scale[parameter.kind])
            for name, parameter in neuron.parameters.items()
        }
    )


def parameter_error(neuron: Microcode, params: Params, unit: float) -> float:
    """Return the largest error of a level in units of the input, or of a share."""
    errors = [0.0]
    for name, parameter in neuron.parameters.items():
        scale = {"level": 2.0**neuron.fraction_bits / unit, "share": float(SHARE), "count": 1.0}
        real = np.asarray(parameter.value, dtype=np.float64).reshape(-1) * scale[parameter.kind]
        off = np.abs(real - params[name]) / scale[parameter.kind]
        errors.append(float(off.max()))
    return max(errors)


def _fits(neuron: Microcode, params: Params) -> bool:
    return all(
        low <= int(params[name].min()) and int(params[name].max()) <= high
        for name, (low, high) in neuron.program.registers.items()
    )


def _whole(values: object) -> IntArray:
    return np.rint(np.asarray(values, dtype=np.float64).reshape(-1)).astype(np.int64)
