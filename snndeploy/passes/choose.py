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
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.passes.exact import exact_choice, grid_of
from snndeploy.passes.given import given_choice, is_given
from snndeploy.passes.microcode import microcode_choice
from snndeploy.passes.neuron import Recurrence
from snndeploy.passes.program import (
    UNIT,
    largest_threshold,
    parameters,
    thresholds_at_most,
)
from snndeploy.passes.scale import encode_bias, round_weights, units_for_bias
from snndeploy.passes.task import Choice, Task
from snndeploy.passes.whole import whole_choice, whole_program, whole_readout

FORGOTTEN = 4096
"""A potential below this is 0 after one step of the largest decay, 4095 / 4096."""
MOST_COUNTED = 15
"""Largest multiple in which a gate counts a spike."""
ENLARGE = 0.99
"""Factor on the threshold from one try to the next when a range does not hold."""


def choose(task: Task) -> Choice:
    """Return the integers of a layer.

    Raises:
        ModelError: E1053, no step is large enough to prove a range; E1241 to E1243, a grid that
            is given does not hold.
        UnsupportedError: E2106, a gate beyond the memoryless range; E2415, an integer model whose
            numbers are not the chip's.
    """
    neuron = task.layer.neuron
    if isinstance(neuron, Microcode) and task.layer.integer:
        return whole_program(task, neuron)  # a grid given later has to be the chip's
    if is_given(task.layer):
        return given_choice(task)
    if neuron is None:
        return whole_readout(task) if task.layer.integer else _integrator(task)
    if isinstance(neuron, Microcode):
        return microcode_choice(task, neuron)
    if neuron.integer:
        return whole_choice(task, neuron)
    if neuron.is_memoryless and (step := _counted_step(task)):
        return _gate(task, neuron, step)
    return exact_choice(task, neuron) or _rounded(task, neuron)


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
        if not ranges.u_wraps and not (ranges.v_clips and task.steps):
            errors = task.bias_error(choice) + sum(r.rounded for r in rounded)
            exact = errors == 0 and not ranges.v_clips
            return replace(choice, exact=exact, enlarged=float((units / first)[0]))
        potential = ranges.potential if task.steps else 0
        units = units * max(potential / V_LIMIT, ranges.current / V_LIMIT, 1.001)


# ---- neurons ----------------------------------------------------------------------------


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
    finest, grid = _finest_unit(task), grid_of(task, neuron)
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
