"""Layers whose weights, biases and threshold lie on one grid already: integers without rounding."""

from dataclasses import replace

import numpy as np

from snndeploy.ir.arrays import FloatArray
from snndeploy.ir.neurons import ACT_SHIFT
from snndeploy.passes.neuron import Recurrence
from snndeploy.passes.program import UNIT, exact_bits, largest_threshold, parameters
from snndeploy.passes.scale import (
    decay_bits_used,
    encode_bias,
    exact_exponent,
    grid_unit,
    trailing_zeros,
)
from snndeploy.passes.task import Choice, Task


def exact_choice(task: Task, neuron: Recurrence) -> Choice | None:
    """Weights, bias and threshold that lie on one grid already, and a leak that loses no bit.

    After t steps of a decay m / 2^q a state that was a multiple of 2^F is one of 2^(F - q t)
    (`trailing_zeros`); as long as bits last, the chip computes what the model computes. A
    `>=` then becomes a strict compare with the register one lower, if 6 bits are left.
    """
    lost, grid = lost_bits(task, neuron), grid_of(task, neuron)
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
            return replace(choice, exact=_sends_all(task, neuron, threshold, choice))
    return None


def _sends_all(task: Task, neuron: Recurrence, threshold: int, choice: Choice) -> bool:
    """Whether no step can owe more spikes than one message counts, from what a step can add.

    What a step leaves is below the threshold, as long as all before it sent what they owed.
    """
    bias = np.abs(choice.params["bias_mant"]) << choice.params["bias_exp"]
    added = task.ranges(choice).current + int(bias.max())
    return not neuron.multi_spike or added <= task.most_spikes * threshold


def grid_of(task: Task, neuron: Recurrence) -> int | None:
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


def lost_bits(task: Task, neuron: Recurrence) -> int | None:
    """Return the fraction bits a window's decays use up, None if a register rounds a decay."""
    bits = task.numerics.decay_bits
    used: list[int] = [
        max((n for k in keeps if (n := decay_bits_used(float(k), bits)) is not None), default=0)
        for keeps in (neuron.keep_u, neuron.keep_v)
        if all(decay_bits_used(float(k), bits) is not None for k in np.unique(keeps))
    ]
    lost = sum(used)
    if len(used) < 2 or (lost and not task.steps):
        return None
    return lost * (task.steps - 1) if lost else 0
