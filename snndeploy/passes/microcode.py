"""A user's own neuron in integers: its unit, and its parameters by their kinds."""

from dataclasses import replace

import numpy as np

from snndeploy.errors import ModelError
from snndeploy.ir.program import Params, as_params
from snndeploy.ir.ranges import INPUT_LIMIT
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.passes.task import Choice, Task

COARSER = 2.0 ** (1 / 8)
"""Factor on the unit from one try to the next while a register or a range does not hold."""
MOST_TRIES = 400
"""A unit 2^50 times coarser than the weights ask for will not help any more."""


def microcode_choice(task: Task, neuron: Microcode) -> Choice:
    """Return the finest unit at which every register holds its value and no word wraps.

    Raises:
        ModelError: E1023, registers that no unit makes fit; E1053, sums that none keeps in a word.
    """
    units = np.asarray(np.max(task.layer_units, axis=0))
    first = float(units[0])
    for _ in range(MOST_TRIES):
        params = registers(neuron, float(units[0]))
        rounded, exponents = task.rounded(units)
        if task.vanishes(rounded):
            break
        choice = Choice(rounded=rounded, exponents=exponents, units=units, params=params)
        if not unfit(neuron, params) and task.arriving(choice) <= INPUT_LIMIT:
            return replace(choice, enlarged=float(units[0]) / first)
        units = units * COARSER
    if names := unfit(neuron, params):
        raise ModelError(
            "E1023",
            f"no weight step brings {', '.join(names)} into the registers of {neuron.program.name}",
            where=task.layer.name,
            remedy="widen the program's registers, or check the parameters' kinds",
        )
    raise task.hopeless()


def registers(neuron: Microcode, unit: float) -> Params:
    """Return a neuron's parameters as integers for a unit: the real value of 1 at its input."""
    ideal = {
        name: parameter.value * neuron.scale_of(name, unit)
        for name, parameter in neuron.parameters.items()
    }
    return as_params({name: np.rint(real).astype(np.int64) for name, real in ideal.items()})


def parameter_error(neuron: Microcode, params: Params, unit: float) -> float:
    """Return the largest error of a level in units of the input, or of a share."""
    return max(
        (
            float(np.abs(params[name] / neuron.scale_of(name, unit) - p.value.reshape(-1)).max())
            for name, p in neuron.parameters.items()
        ),
        default=0.0,
    )


def unfit(neuron: Microcode, params: Params) -> tuple[str, ...]:
    """Return the parameters that lie outside their registers."""
    return tuple(
        name
        for name, (low, high) in neuron.program.registers.items()
        if params[name].min() < low or params[name].max() > high
    )
