"""Which program runs a neuron, and how its threshold, decays and reset become parameters.

A threshold lies at an integer number of state units (64 per unit of the weight grid). Loihi's own
`lif` holds it in a register of whole units and fires above it: a `>=` model's threshold is put one
state unit above the register. Programs in microcode hold it in state units, one per neuron.
"""

import numpy as np

from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.neurons import ACT_SHIFT, LIF, V_LIMIT, lif
from snndeploy.ir.program import Params, Program
from snndeploy.ir.programs import (
    LIF_CLAMPED,
    LIF_MULTI,
    LIF_SUBTRACT,
    LIF_SUBTRACT_DELAYED,
    lif_clamped,
    lif_multi,
    lif_subtract,
    lif_subtract_delayed,
)
from snndeploy.passes.neuron import Recurrence
from snndeploy.target import Numerics

UNIT = 1 << ACT_SHIFT
MOST_SPIKES = 15
"""Spikes per step that a multi-spike neuron sends at most to others: each widens their ranges."""
MOST_READ = 31
"""Spikes per step that a multi-spike neuron sends at most if only the host reads them."""


def program_of(neuron: Recurrence) -> Program:
    """Return the program that computes a recurrence, Loihi's own where it can."""
    if neuron.is_native:
        return LIF
    if neuron.multi_spike:
        return LIF_MULTI
    return {
        "zero": LIF_CLAMPED,
        "subtract": LIF_SUBTRACT,
        "subtract-delayed": LIF_SUBTRACT_DELAYED,
        "none": LIF_SUBTRACT,
    }[neuron.reset]


def largest_threshold(neuron: Recurrence, numerics: Numerics) -> int:
    """Return the largest threshold in state units that the neuron's program holds."""
    if neuron.is_native:
        return numerics.vth_max * UNIT + (neuron.compare == "ge")
    return V_LIMIT >> 1  # as much again for what arrives in a step


def thresholds_at_most(neuron: Recurrence, states: FloatArray) -> IntArray:
    """Return the largest thresholds up to `states` that decide as the model does, at least 1."""
    whole = np.floor(states + 1e-9).astype(np.int64)
    if not neuron.is_native:
        return np.maximum(whole, 1)
    above = int(neuron.compare == "ge")
    return np.maximum((whole - above) // UNIT, 1) * UNIT + above


def exact_bits(neuron: Recurrence) -> int:
    """Return the low bits that all states must have free for a threshold on their own grid."""
    return ACT_SHIFT if neuron.is_native and neuron.compare == "ge" else 0


def parameters(
    neuron: Recurrence,
    threshold: IntArray,
    bias: tuple[IntArray, IntArray],
    numerics: Numerics,
    *,
    most: int,
) -> Params:
    """Return the parameters of a neuron's program for thresholds [1] or [n] in state units.

    A neuron that counts sends at most `most` spikes per step.
    """
    du, dv = decays(neuron, numerics)
    mant, exp = bias
    if neuron.is_native:
        vth = (int(threshold[0]) - (neuron.compare == "ge")) // UNIT
        return lif(du=int(du[0]), dv=int(dv[0]), vth=vth, bias_mant=mant, bias_exp=int(exp[0]))
    shared: dict[str, IntArray] = {"du": du, "dv": dv, "bias_mant": mant, "bias_exp": exp}
    clamp = None if neuron.v_min is None else np.rint(neuron.v_min * threshold).astype(np.int64)
    floor = -V_LIMIT if clamp is None else clamp
    if neuron.multi_spike:
        return lif_multi(threshold=threshold, most=most, v_min=floor, **shared)
    strict = neuron.compare == "gt"
    if neuron.reset == "zero":
        return lif_clamped(threshold=threshold, strict=strict, v_min=floor, **shared)
    if neuron.reset == "subtract-delayed":
        return lif_subtract_delayed(threshold=threshold, strict=strict, **shared)
    params = lif_subtract(threshold=threshold, strict=strict, v_min=floor, **shared)
    never = np.zeros(1, dtype=np.int64)
    return {**params, "drop": never} if neuron.reset == "none" else params


def decays(neuron: Recurrence, numerics: Numerics) -> tuple[IntArray, IntArray]:
    """Return du and dv, rounded to the register; du carries Loihi's offset of 1."""
    full = 1 << numerics.decay_bits
    dv = np.minimum(np.rint((1 - neuron.keep_v) * full), full - 1)
    du = np.where(
        neuron.keep_u == 0, full - 1, np.maximum(np.rint((1 - neuron.keep_u) * full) - 1, 0)
    )
    return du.astype(np.int64), dv.astype(np.int64)


def decay_error(neuron: Recurrence, params: Params) -> float:
    """Return the largest difference between a share kept in the model and on the chip."""
    keep_u, keep_v = (4095 - params["du"]) / 4096, (4096 - params["dv"]) / 4096
    if neuron.is_memoryless:
        return 0.0 if int(params["dv"][0]) == 4095 else float(keep_v[0])
    errors = (np.abs(neuron.keep_u - keep_u), np.abs(neuron.keep_v - keep_v))
    return max(float(error.max()) for error in errors)
