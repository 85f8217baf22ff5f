"""One time step of a layer of neurons, and many: what each neuron does is written here, once.

Frameworks differ only by `Semantics`; the constants of a step are in `snndeploy.nirgraph.dynamics`.
"""

from dataclasses import dataclass

import numpy as np

from snndeploy.ir.arrays import FloatArray
from snndeploy.nirgraph.dynamics import Dynamics
from snndeploy.semantics import Semantics

FULL_DECAY, UNIT = 4096, 64
"""Of an integer model: decays are in 4096ths, states in 64ths of a unit of the input."""


@dataclass(frozen=True, eq=False, slots=True)
class NeuronState:
    """What a layer carries from step to step, [B, *shape] float64 each.

    Attributes:
        v: membrane potential after the reset.
        i: synaptic current; zeros of neurons without one.
        spikes: of the step before.
    """

    v: FloatArray
    i: FloatArray
    spikes: FloatArray


def first_state(constants: Dynamics, shape: tuple[int, ...]) -> NeuronState:
    """Return the state before the first step of a layer of [B, *shape] neurons."""
    zeros = np.zeros(shape)
    return NeuronState(np.broadcast_to(constants.v_init, shape), zeros, zeros)


def step_neuron(
    constants: Dynamics, semantics: Semantics, state: NeuronState, x: FloatArray
) -> tuple[FloatArray, NeuronState]:
    """Take one step with the input x [B, *shape].

    Returns:
        Output [B, *shape] (spikes, or v of a neuron that never fires) and the state after it.
    """
    i, current = _step_current(constants, semantics, state.i, x)
    v_kept = _kept(constants.v_decay, state.v, semantics)
    drive = constants.v_drive
    if semantics.integer:
        drive = np.rint(drive * UNIT) / UNIT
    v = v_kept + constants.v_gain * current + drive
    if constants.v_threshold is None:
        return v, NeuronState(v, i, state.spikes)
    if semantics.reset == "subtract-delayed":
        v = v - state.spikes * constants.v_threshold
    spikes = _fire(v, constants.v_threshold, semantics)
    return spikes, NeuronState(_reset(v, spikes, constants, semantics), i, spikes)


def run_neuron(
    constants: Dynamics, semantics: Semantics, x: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Run one layer of neurons over x [T, B, *shape].

    Returns:
        Output (spikes, or v of a neuron that never fires) and v after the reset, [T, B, *shape].
    """
    out, trace = np.empty(x.shape), np.empty(x.shape)
    state = first_state(constants, x.shape[1:])
    for t, x_now in enumerate(x):
        out[t], state = step_neuron(constants, semantics, state, x_now)
        trace[t] = state.v
    return out, trace


def _kept(decay: FloatArray, state: FloatArray, semantics: Semantics) -> FloatArray:
    """Return what a state keeps; of an integer model a multiple of 1/64, rounded toward zero."""
    if not semantics.integer:
        return decay * state
    product = np.rint(decay * FULL_DECAY) * (state * UNIT)  # of whole numbers, far below 2^53
    kept: FloatArray = np.trunc(product / FULL_DECAY) / UNIT
    return kept


def _step_current(
    constants: Dynamics, semantics: Semantics, i: FloatArray, x: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the current after the step and the current that the membrane sees."""
    if constants.i_decay is None or constants.i_gain is None:
        return i, x
    if semantics.order == "synapse-first":
        i = _kept(constants.i_decay, i, semantics) + constants.i_gain * x
        return i, i
    jumped = i + constants.i_gain * x
    return constants.i_decay * jumped, jumped


def _fire(v: FloatArray, threshold: FloatArray, semantics: Semantics) -> FloatArray:
    if semantics.multi_spike:
        return np.maximum(np.trunc(v / threshold), 0.0)
    fires = v >= threshold if semantics.compare == "ge" else v > threshold
    return fires.astype(np.float64)


def _reset(
    v: FloatArray, spikes: FloatArray, constants: Dynamics, semantics: Semantics
) -> FloatArray:
    assert constants.v_threshold is not None
    assert constants.v_reset is not None
    if semantics.reset == "zero":
        v = np.where(spikes > 0, constants.v_reset, v)
    elif semantics.reset == "subtract":
        v = v - spikes * constants.v_threshold
    if semantics.v_min is not None:
        v = np.maximum(v, semantics.v_min * constants.v_threshold)
    return v
