"""Layers of a model that computes in the chip's integers: taken over, not chosen.

Such models come from networks: read from a `.net` file, or written as `.nir` by us. One unit
arriving is 1, so weights, thresholds, decays and parameters are the registers' own values.
"""

from dataclasses import replace

import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.grid import natural_sign_mode, stored_weight
from snndeploy.ir.neurons import integrator, lif
from snndeploy.ir.program import Params
from snndeploy.ir.ranges import INPUT_LIMIT
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.passes.microcode import parameter_error, registers, unfit
from snndeploy.passes.neuron import Recurrence
from snndeploy.passes.program import UNIT, parameters
from snndeploy.passes.scale import STATE, Rounded, encode_bias
from snndeploy.passes.task import Choice, Task

FULL_DECAY = 4096
BIAS_EXP = 6
"""The exponent at which a bias in units of the input is its own mantissa."""
MOST = 1 << 40
CLOSE = 1e-6
"""Whole numbers come back from a file's floats this close."""


def whole_choice(task: Task, neuron: Recurrence) -> Choice:
    """Return an integer model's layer as it is.

    Raises:
        UnsupportedError: E2415, a number is not whole, off the chip's grid, or its current may
            wrap, which the model does not.
    """
    strict = neuron.compare == "gt"
    threshold = np.floor(neuron.threshold * UNIT + CLOSE)  # what lies between two states is above
    if not strict:
        threshold = np.ceil(neuron.threshold * UNIT - CLOSE)
    if neuron.is_native and np.any(_whole(threshold) % UNIT):
        raise _refusal(task, "its threshold is not the chip's")
    if neuron.is_native and not strict:
        raise _refusal(task, "it fires at its threshold, the chip's neuron above it")
    du = _whole((1 - neuron.keep_u) * FULL_DECAY) - 1
    dv = _whole((1 - neuron.keep_v) * FULL_DECAY)
    bias = _bias(task)
    params: Params
    if neuron.is_native:
        vth = int(_whole(threshold)[0]) // UNIT
        params = lif(
            du=int(du[0]), dv=int(dv[0]), vth=vth, bias_mant=bias[0], bias_exp=int(bias[1][0])
        )
    else:
        params = parameters(neuron, _whole(threshold), bias, task.numerics, most=task.most_spikes)
        params = {**params, "du": du, "dv": dv}
    choice = _choice(task, params)
    ranges = task.ranges(choice)
    if ranges.u_wraps:
        raise _refusal(task, f"its current may reach {ranges.current:,} and wraps at {1 << 23:,}")
    return replace(choice, exact=not ranges.v_clips)


def whole_readout(task: Task) -> Choice:
    """Return an integer model's readout as it is.

    Raises:
        UnsupportedError: E2415, see `whole_choice`; or its sum may leave the state word.
    """
    bias = _bias(task)
    params = integrator(bias_mant=bias[0], bias_exp=int(bias[1][0]))
    choice = _choice(task, params)
    ranges = task.ranges(choice)
    if ranges.u_wraps or (ranges.v_clips and task.steps):
        raise _refusal(task, f"its sum may reach {ranges.potential:,} and clips at {1 << 23:,}")
    return replace(choice, exact=not ranges.v_clips)


def whole_program(task: Task, neuron: Microcode) -> Choice:
    """Return an integer model's layer of a neuron with a program of its own as it is.

    Raises:
        UnsupportedError: E2415, see `whole_choice`; a parameter outside its register; sums that
            may leave 32 bits.
    """
    params = registers(neuron, 1.0)
    if names := unfit(neuron, params):
        raise _refusal(task, f"{', '.join(names)} beyond the registers of {neuron.program.name}")
    if parameter_error(neuron, params, 1.0) > CLOSE:
        raise _refusal(task, "its parameters are not whole")
    choice = replace(_choice(task, params), exact=True)
    if (most := task.arriving(choice)) > INPUT_LIMIT:
        raise _refusal(task, f"its sums may reach {most:,} and wrap at {INPUT_LIMIT + 1:,}")
    return choice


def _choice(task: Task, params: Params) -> Choice:
    """Return the weights as they are; sign modes and exponents follow from them."""
    most = task.numerics.weight_exp[1]
    exponents, rounded = [], []
    for real, shifts in zip(task.weights, task.has_exponent, strict=True):
        weight = _whole(np.where(_off(real), 0, real))
        exponent = None if np.any(_off(real)) else _exponent(weight, task.bits, most * shifts)
        if exponent is None:
            even = "even, if of both signs"
            raise _refusal(task, f"weights are not on the grid of {task.bits} bits ({even})")
        mode = natural_sign_mode(weight)
        exponents.append(exponent)
        rounded.append(Rounded(weight=weight >> exponent, sign_mode=mode, clipped=0, rounded=0))
    return Choice(
        rounded=tuple(rounded), exponents=tuple(exponents), units=np.ones(1), params=params
    )


def _exponent(weight: IntArray, bits: int, most: int) -> int | None:
    """Return the smallest exponent at which the chip stores weights as they are."""
    mode = natural_sign_mode(weight)
    for exponent in range(most + 1):
        smaller = weight >> exponent
        is_whole = np.array_equal(smaller << exponent, weight)
        if is_whole and np.array_equal(stored_weight(smaller, bits, mode), smaller):
            return exponent
    return None


def _bias(task: Task) -> tuple[IntArray, IntArray]:
    """Return the bias as mantissas and an exponent."""
    bias = task.layer.bias
    limit = 1 << (task.numerics.bias_mant_bits - 1)
    fits = bool(np.all((bias >= -limit) & (bias < limit)))
    if bias.any() and fits and not np.any(_off(bias)):
        return _whole(bias), np.full(1, BIAS_EXP)
    found = encode_bias(bias, np.ones(1), task.numerics)
    if found is None or np.any(np.abs((found[0] << found[1]) - bias * STATE) > CLOSE):
        raise _refusal(task, "its bias does not fit the chip's registers")
    return found


def _off(values: FloatArray | IntArray) -> FloatArray:
    """Return where values are not whole, or beyond any register."""
    far = np.abs(values) > MOST
    return np.asarray((np.abs(values - np.rint(values)) > CLOSE) | far)


def _whole(values: FloatArray) -> IntArray:
    return np.rint(values).astype(np.int64)


def _refusal(task: Task, why: str) -> UnsupportedError:
    return UnsupportedError(
        "E2415",
        f"an integer model, and {why}",
        where=task.layer.name,
        remedy="compile the float model, or run the network's file itself",
    )
