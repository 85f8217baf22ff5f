"""A neuron node and its semantics as the constants of one time step.

    i[t] = i_decay * i[t-1] + i_gain * x[t]                 (current-based neurons only)
    v[t] = v_decay * v[t-1] + v_gain * (i[t] or x[t]) + v_drive
    fire, then reset

With `leak = euler` a first-order equation tau y' = y_inf - y keeps 1 - dt / tau and takes dt / tau
of y_inf; with `exp` it keeps exp(-dt / tau) and takes the rest (the exact solution for an input
that is constant over the step).
"""

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from snndeploy.ir.arrays import FloatArray
from snndeploy.nirgraph.canonical import SPIKING
from snndeploy.semantics import Semantics


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Dynamics:
    """Constants of one step, each [*shape] or [1].

    Attributes:
        i_decay, i_gain: None for neurons without a synaptic current.
        v_threshold, v_reset: None for neurons that never fire.
        v_init: state before the first step.
    """

    v_decay: FloatArray
    v_gain: FloatArray
    v_drive: FloatArray
    i_decay: FloatArray | None
    i_gain: FloatArray | None
    v_threshold: FloatArray | None
    v_reset: FloatArray | None
    v_init: FloatArray


def step_constants(node: Any, semantics: Semantics) -> Dynamics:
    """Return the constants of a step of a neuron node (IF, LIF, CubaLIF, I, LI, CubaLI)."""
    spiking = isinstance(node, SPIKING)
    v_decay, v_gain, v_drive = _membrane(node, semantics)
    i_decay, i_gain = _current(node, semantics)
    return Dynamics(
        v_decay=v_decay,
        v_gain=v_gain,
        v_drive=v_drive,
        i_decay=i_decay,
        i_gain=i_gain,
        v_threshold=node.v_threshold if spiking else None,
        v_reset=node.v_reset if spiking else None,
        v_init=_first_potential(node, semantics),
    )


def _first_potential(node: Any, semantics: Semantics) -> FloatArray:
    """Return v before the first step; a neuron without leak starts where it resets."""
    if semantics.v0 == "leak" and hasattr(node, "v_leak"):
        return np.asarray(node.v_leak)
    starts_reset = semantics.v0 in ("reset", "leak") and isinstance(node, SPIKING)
    return np.asarray(node.v_reset) if starts_reset else np.zeros(1)


def delay_of(node: nir.Delay, semantics: Semantics) -> Any:
    """Return the delay of a `Delay` node in steps, an integer per element."""
    return np.rint(node.delay / semantics.dt).astype(np.int64)


def _membrane(node: Any, semantics: Semantics) -> tuple[FloatArray, FloatArray, FloatArray]:
    one = np.ones(1)
    if isinstance(node, nir.I | nir.IF):
        return one, _integrator_gain(node.r, semantics), np.zeros(1)
    tau = node.tau if isinstance(node, nir.LI | nir.LIF) else node.tau_mem
    decay, taken = _first_order(tau, semantics)
    return decay, _gain(node.r, tau, taken, semantics), taken * node.v_leak


def _integrator_gain(r: FloatArray, semantics: Semantics) -> FloatArray:
    if semantics.if_gain == "r":
        return r
    return np.ones(1) if semantics.gain == "unit" else r * semantics.dt


def _current(node: Any, semantics: Semantics) -> tuple[FloatArray | None, FloatArray | None]:
    if not isinstance(node, nir.CubaLI | nir.CubaLIF):
        return None, None
    decay, taken = _first_order(node.tau_syn, semantics)
    if semantics.current_gain == "unit":
        return decay, np.ones(1)
    if semantics.current_gain == "decay":
        return decay, decay
    return decay, _gain(node.w_in, node.tau_syn, taken, semantics)


def _first_order(tau: FloatArray, semantics: Semantics) -> tuple[FloatArray, FloatArray]:
    if semantics.leak == "exp":
        decay = np.exp(-semantics.dt / tau)
        return decay, 1.0 - decay
    taken = semantics.dt / tau
    return 1.0 - taken, taken


def _gain(
    factor: FloatArray, tau: FloatArray, taken: FloatArray, semantics: Semantics
) -> FloatArray:
    if semantics.gain == "unit":
        return np.ones(1)
    # (r * dt) / tau in this order: r = tau / dt then gives exactly 1, and ties stay ties.
    return factor * semantics.dt / tau if semantics.leak == "euler" else factor * taken
