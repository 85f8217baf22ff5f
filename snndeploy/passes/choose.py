"""How one layer is written in integers: its units, weights, exponents and registers.

A stored weight w of projection i stands for unit * 2^exponent_i * w. The unit is as fine as the
weights ask for and the proven ranges allow: one per population where the chip holds one threshold,
one per row of weights (channel or neuron) where the neuron's program holds a threshold each.
"""

from dataclasses import replace
from math import log2

import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.neurons import ACT_SHIFT, V_LIMIT, gate, integrator
from snndeploy.passes.neuron import Recurrence
from snndeploy.passes.program import (
    UNIT,
    exact_bits,
    largest_threshold,
    parameters,
    thresholds_at_most,
)
from snndeploy.passes.scale import (
    decay_bits_used,
    encode_bias,
    exact_exponent,
    grid_unit,
    round_weights,
    trailing_zeros,
    units_for_bias,
)
from snndeploy.passes.task import Choice, Task

FORGOTTEN = 4096
"""A potential below this is 0 after one step of the largest decay, 4095 / 4096."""
MOST_COUNTED = 15
"""Largest multiple in which a gate counts a spike."""
ENLARGE = 0.99
"""Factor on the threshold from one try to the next when a range does not hold."""


def choose(task: Task) -> Choice:
    """Return the integers of a layer.

    Raises:
        ModelError: E1053, no step is large enough to prove a range.
        UnsupportedError: E2106, a gate beyond the memoryless range.
    """
    neuron = task.layer.neuron
    if neuron is None:
        return _integrator(task)
    if neuron.is_memoryless and (step := _counted_step(task)):
        return _gate(task, neuron, step)
    return _exact(task, neuron) or _rounded(task, neuron)


# ---- gates and readouts ------------------------------------------------------------------


def _counted_step(task: Task) -> float:
    """Return the step of which all weights are small whole multiples, 0 if there is none."""
    values = np.concatenate([weight.reshape(-1) for weight in task.weights])
    values = np.unique(np.abs(values[values != 0]))
    step = float(values[0]) if len(values) else 0.0
    whole = step > 0 and np.all(values / step == np.rint(values / step))
    return step if whole and values[-1] <= MOST_COUNTED * step else 0.0


def _gate(task: Task, neuron: Recurrence, step: float) -> Choice:
    """Counted spikes into a memoryless threshold: fires iff the count exceeds a number.

    What stays below the threshold must be forgotten within a step, so must what is negative.
    """
    count, units = float(neuron.threshold[0]) / step, np.full(1, step / 2)
    between = np.floor(count) + 0.5 if neuron.compare == "gt" else np.ceil(count) - 0.5
    vth = int(2 * between)
    rounded = tuple(replace(round_weights(real, units, 8), rounded=0) for real in task.weights)
    choice = Choice(
        rounded=rounded,
        exponents=(0,) * len(rounded),
        units=units,
        params=gate(vth=max(vth, 0)),
        exact=True,
    )
    lowest = -task.ranges(choice).arriving if any(np.any(w < 0) for w in task.weights) else 0
    held = all(-FORGOTTEN < value << ACT_SHIFT < FORGOTTEN for value in (vth, lowest))
    if vth < 0 or not held or np.any(task.layer.bias != 0):
        raise UnsupportedError(
            "E2106",
            f"a memoryless threshold at {count:g} spikes; the chip forgets within a step only "
            "up to 31 spikes, without bias",
            where=task.layer.name,
            remedy="use a smaller window or threshold",
        )
    return choice


def _integrator(task: Task) -> Choice:
    """A readout: the finest unit at which a window's sum stays inside the state word."""
    first = _finest_unit(task)
    units = np.maximum(first, units_for_bias(task.layer.bias, 1, task.numerics))
    while True:
        rounded, exponents = task.rounded(units)
        if task.vanishes(rounded):
            raise task.hopeless()
        bias = encode_bias(task.layer.bias, units, task.numerics)
        assert bias is not None
        params = integrator(bias_mant=bias[0], bias_exp=int(bias[1][0]))
        choice = Choice(rounded=rounded, exponents=exponents, units=units, params=params)
        ranges = task.ranges(choice)
        if not ranges.u_wraps and not ranges.v_clips:
            errors = task.bias_error(choice) + sum(r.rounded for r in rounded)
            return replace(choice, exact=errors == 0, enlarged=float((units / first)[0]))
        units = units * max(ranges.potential / V_LIMIT, ranges.current / V_LIMIT, 1.001)


# ---- neurons whose numbers lie on a grid -------------------------------------------------


def _exact(task: Task, neuron: Recurrence) -> Choice | None:
    """Weights, bias and threshold that lie on one grid already, and a leak that loses no bit.

    After t steps of a decay m / 2^q a state that was a multiple of 2^F is one of 2^(F - q t)
    (`trailing_zeros`); as long as bits last, the chip computes what the model computes. A
    `>=` then becomes a strict compare with the register one lower, if 6 bits are left.
    """
    lost, grid = _lost_bits(task, neuron), _grid(task, neuron)
    if grid is None or lost is None or task.rounds_input or not neuron.keep_v.all():
        return None
    for shift in range(task.numerics.vth_max.bit_length()):
        units, threshold = neuron.threshold / (grid << shift), (grid << shift) * UNIT
        bias = encode_bias(task.layer.bias, units, task.numerics)
        exponents = _exact_exponents(task, units)
        if bias is None or exponents is None:
            return None
        if threshold > largest_threshold(neuron, task.numerics):
            return None
        rounded = task.rounded_with(units, exponents)
        params = parameters(
            neuron, np.full(1, threshold), bias, task.numerics, most=task.most_spikes
        )
        choice = Choice(
            rounded=rounded, exponents=exponents, units=units, params=params, exact=True
        )
        ranges = task.ranges(choice)
        if ranges.u_wraps or ranges.v_clips:
            return None
        arriving = (r.weight << (ACT_SHIFT + e) for r, e in zip(rounded, exponents, strict=True))
        left = trailing_zeros(*arriving, bias[0] << bias[1]) - lost
        if left >= exact_bits(neuron) and not task.bias_error(choice):
            return choice
    return None


def _grid(task: Task, neuron: Recurrence) -> int | None:
    """Return how many units of the weights' own grid make the threshold, None without a grid."""
    most = task.numerics.weight_exp[1]
    spare = [most if shifts else 0 for shifts in task.has_exponent]
    theta = float(neuron.threshold[0])
    return grid_unit(
        task.weights, task.layer.bias, theta, task.bits, task.numerics, spare_bits=spare
    )


def _exact_exponents(task: Task, units: FloatArray) -> tuple[int, ...] | None:
    most = task.numerics.weight_exp[1]
    found = [
        exact_exponent(weight / float(units[0]), task.bits, most if shifts else 0)
        for weight, shifts in zip(task.weights, task.has_exponent, strict=True)
    ]
    exponents = tuple(e for e in found if e is not None)
    return exponents if len(exponents) == len(found) else None


def _lost_bits(task: Task, neuron: Recurrence) -> int | None:
    """Return the fraction bits a window's decays use up, None if a register rounds a decay."""
    bits = task.numerics.decay_bits
    used = [
        max((n for k in keeps if (n := decay_bits_used(float(k), bits)) is not None), default=0)
        for keeps in (neuron.keep_u, neuron.keep_v)
        if all(decay_bits_used(float(k), bits) is not None for k in np.unique(keeps))
    ]
    return sum(used) * (task.steps - 1) if len(used) == 2 else None


# ---- all others --------------------------------------------------------------------------


def _rounded(task: Task, neuron: Recurrence) -> Choice:
    """The finest units whose ranges hold; a leak is given spare bits below them to round in."""
    wanted, most = _finest_units(task, neuron), largest_threshold(neuron, task.numerics)
    units = np.maximum(wanted, units_for_bias(task.layer.bias, len(wanted), task.numerics))
    theta: FloatArray = neuron.threshold * UNIT
    for spare in reversed(range(_spare_bits(task, neuron) + 1)):
        finer = wanted / (1 << spare)
        if np.all(theta / finer > most):
            continue
        thresholds = thresholds_at_most(neuron, np.minimum(theta / finer, most))
        choice = _rounded_at(task, neuron, thresholds, finer)
        if choice is not None and not task.ranges(choice).u_wraps:
            return choice
    thresholds = thresholds_at_most(neuron, np.minimum(theta / units, most))
    while True:
        choice = _rounded_at(task, neuron, thresholds, wanted)
        if choice is None:
            raise task.hopeless()
        wraps = task.rows_that_wrap(choice)
        if not wraps.any():
            return choice
        lower = thresholds_at_most(neuron, np.asarray(thresholds * ENLARGE - 1))
        if np.all(lower[wraps] >= thresholds[wraps]):
            raise task.hopeless()
        thresholds = np.where(wraps, lower, thresholds)


def _rounded_at(
    task: Task, neuron: Recurrence, thresholds: IntArray, wanted: FloatArray
) -> Choice | None:
    """Return the choice at thresholds [state units], None if biases do not fit or weights go."""
    units = neuron.threshold * UNIT / thresholds
    bias = encode_bias(task.layer.bias, task.by_neuron(units), task.numerics)
    rounded, exponents = task.rounded(units)
    if bias is None or task.vanishes(rounded):
        return None
    return Choice(
        rounded=rounded,
        exponents=exponents,
        units=units,
        params=parameters(
            neuron, task.by_neuron(thresholds), bias, task.numerics, most=task.most_spikes
        ),
        enlarged=max(float((units / wanted).max()), 1.0),
    )


def _finest_units(task: Task, neuron: Recurrence) -> FloatArray:
    """Return the units the weights ask for, [1] or [rows]: their own grid's if they have one."""
    finest, grid = _finest_unit(task), _grid(task, neuron)
    if grid is not None:
        unit: FloatArray = neuron.threshold / grid
        return np.asarray(unit / (1 << max(int(log2(unit[0] / finest[0])), 0)))
    if task.rows == 1:
        return finest
    _, exponents = task.rounded(finest)
    rows = [units / (1 << e) for units, e in zip(task.row_units, exponents, strict=True)]
    return np.asarray(np.max(rows, axis=0))


def _finest_unit(task: Task) -> FloatArray:
    """Return the population's unit, [1], without regard to a grid.

    Projections without an exponent must hold their weights at the unit itself; the others
    follow it with theirs.
    """
    best = task.layer_units
    rigid = [units for units, shifts in zip(best, task.has_exponent, strict=True) if not shifts]
    return np.asarray(np.max(rigid, axis=0) if rigid else np.min(best, axis=0))


def _spare_bits(task: Task, neuron: Recurrence) -> int:
    """Return how many bits below the finest unit are worth trying: a leak rounds there."""
    leaks = bool(np.any((neuron.keep_v > 0) & (neuron.keep_v < 1)))
    return task.numerics.weight_exp[1] if leaks and all(task.has_exponent) else 0
