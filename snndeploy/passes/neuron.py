"""One spiking NIR node and its semantics, as the recurrence a chip can hold.

    u[t] = keep_u * u[t-1] + gain * x[t]
    v[t] = keep_v * v[t-1] + u[t] + drive
    spike where v[t] > threshold (or >=); then v = 0

in coordinates where the reset value is 0. Everything is per neuron and real.
"""

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.ir.arrays import FloatArray
from snndeploy.semantics import Compare, Semantics

NEURONS = (nir.IF, nir.LIF, nir.CubaLIF, nir.Threshold)
READOUTS = (nir.I, nir.LI, nir.CubaLI)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Recurrence:
    """A neuron's step; arrays are [n] in C, H, W order.

    Attributes:
        keep_u: what the current keeps per step; 0 means there is no synaptic current.
        keep_v: what the potential keeps per step; 0 for a memoryless threshold.
        gain: factor on the synaptic input.
        drive: constant added to v every step (leak toward v_leak != v_reset).
        threshold: distance from the reset value, > 0.
        compare: strict (`gt`) or not (`ge`).
    """

    keep_u: float
    keep_v: float
    gain: FloatArray
    drive: FloatArray
    threshold: FloatArray
    compare: Compare


def recurrence(name: str, node: Any, semantics: Semantics) -> Recurrence:
    """Return the recurrence of a spiking NIR node.

    Raises:
        UnsupportedError: E2121 a reset, E2122 several spikes per step, E2123 a lower clamp, E2124
            decays that differ between neurons, E2125 an initial state the chip cannot start from,
            E2126 the jump-use-decay order.
        ModelError: E1051 a time constant or threshold out of range.
    """
    if isinstance(node, nir.Threshold):
        threshold = np.asarray(node.threshold, dtype=np.float64).reshape(-1)
        one, zero = np.ones_like(threshold), np.zeros_like(threshold)
        return Recurrence(
            keep_u=0.0, keep_v=0.0, gain=one, drive=zero, threshold=threshold, compare="gt"
        )
    _refuse_semantics(name, semantics)
    v_reset = _flat(node.v_reset) if node.v_reset is not None else np.zeros(1)
    threshold = _flat(node.v_threshold) - v_reset
    if np.any(threshold <= 0):
        raise ModelError(
            "E1051", "v_threshold must lie above v_reset", where=name, remedy="check the thresholds"
        )
    if semantics.v0 == "zero" and np.any(v_reset != 0):
        raise UnsupportedError(
            "E2125",
            "starts at v = 0 but resets to another value; the chip starts where it resets",
            where=name,
            remedy="use --semantics …,v0=reset if the framework starts at v_reset",
        )
    keep_v, gain_v = _membrane(name, node, semantics)
    keep_u, gain_u = _synapse(name, node, semantics)
    leak = _flat(node.v_leak) if hasattr(node, "v_leak") else v_reset
    drive = (1 - keep_v) * (leak - v_reset)
    n = max(map(len, (threshold, gain_v, gain_u, drive)))
    return Recurrence(
        keep_u=keep_u,
        keep_v=keep_v,
        gain=np.broadcast_to(gain_v * gain_u, n),
        drive=np.broadcast_to(drive, n),
        threshold=np.broadcast_to(threshold, n),
        compare=semantics.compare,
    )


def _refuse_semantics(name: str, semantics: Semantics) -> None:
    """Refuse what the chip's neuron does not do, everything at once, by name."""
    wrong = [
        (code, what, remedy)
        for holds, code, what, remedy in (
            (
                semantics.reset != "zero",
                "E2121",
                f"reset {semantics.reset!r}",
                "a reset to a value in the spike's step (snnTorch: reset_mechanism='zero'; "
                "SpikingJelly: v_reset=0.0)",
            ),
            (
                semantics.multi_spike,
                "E2122",
                "several spikes per step",
                "one spike per step (sinabs: spike_fn=SingleSpike)",
            ),
            (
                semantics.v_min is not None,
                "E2123",
                "a lower clamp of the potential",
                "no lower clamp (sinabs: min_v_mem=None)",
            ),
            (
                semantics.order != "synapse-first",
                "E2126",
                f"order {semantics.order!r}",
                "a neuron that uses the updated current",
            ),
        )
        if holds
    ]
    if wrong:
        raise UnsupportedError(
            wrong[0][0],
            f"the chip's neuron cannot do this: {', '.join(what for _, what, _ in wrong)}",
            where=name,
            remedy=f"train with {'; '.join(remedy for *_, remedy in wrong)}",
        )


def _membrane(name: str, node: Any, semantics: Semantics) -> tuple[float, FloatArray]:
    if isinstance(node, nir.IF):
        unit = semantics.gain == "unit"
        return 1.0, np.ones(1) if unit else _flat(node.r) * semantics.dt
    tau = _flat(node.tau_mem if isinstance(node, nir.CubaLIF) else node.tau)
    keep, share = _decay(name, tau, semantics)
    gain = np.ones(1) if semantics.gain == "unit" else _flat(node.r) * share
    return keep, gain


def _synapse(name: str, node: Any, semantics: Semantics) -> tuple[float, FloatArray]:
    if not isinstance(node, nir.CubaLIF):
        return 0.0, np.ones(1)
    keep, share = _decay(name, _flat(node.tau_syn), semantics)
    gain = np.ones(1) if semantics.gain == "unit" else _flat(node.w_in) * share
    return keep, gain


def _decay(name: str, tau: FloatArray, semantics: Semantics) -> tuple[float, float]:
    """Return what is kept per step and the share of the input that enters (Euler or exact)."""
    if np.any(~(tau > 0)):
        raise ModelError("E1051", "a time constant is not > 0", where=name, remedy="check tau")
    if np.ptp(tau) > 0:
        raise UnsupportedError(
            "E2124",
            f"decays differ between neurons (tau from {tau.min():.4g} to {tau.max():.4g} s); the "
            "chip takes one per population",
            where=name,
            remedy="train with one time constant per layer",
        )
    ratio = semantics.dt / float(tau[0])
    keep = float(np.exp(-ratio)) if semantics.leak == "exp" else 1.0 - ratio
    if not 0 <= keep < 1:
        raise ModelError(
            "E1051",
            f"time constant {tau[0]:.4g} s is below the step of {semantics.dt:.4g} s",
            where=name,
            remedy="give the model's step with --semantics …,dt=SECONDS",
        )
    return keep, 1.0 - keep


def _flat(value: Any) -> FloatArray:
    return np.asarray(value, dtype=np.float64).reshape(-1)
