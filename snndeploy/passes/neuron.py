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
from snndeploy.nirgraph.dynamics import step_constants
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
    step = step_constants(node, semantics)
    v_reset = np.zeros(1) if step.v_reset is None else _flat(step.v_reset)
    threshold = _flat(step.v_threshold) - v_reset
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
    keep_v = _keep(name, step.v_decay)
    gain = _flat(step.v_gain)
    keep_u = 0.0
    if step.i_decay is not None:
        keep_u, gain = _keep(name, step.i_decay), gain * _flat(step.i_gain)
    drive = _flat(step.v_drive) - (1 - keep_v) * v_reset
    n = max(map(len, (threshold, gain, drive)))
    return Recurrence(
        keep_u=keep_u,
        keep_v=keep_v,
        gain=np.broadcast_to(gain, n),
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


def _keep(name: str, decay: FloatArray) -> float:
    """Return the one share that all neurons keep per step."""
    keep = _flat(decay)
    if np.any(~((keep >= 0) & (keep <= 1))):
        raise ModelError(
            "E1051",
            f"keeps {keep.min():.4g} of its state per step: a time constant below the step",
            where=name,
            remedy="give the model's step with --semantics …,dt=SECONDS",
        )
    if np.ptp(keep) > 0:
        raise UnsupportedError(
            "E2124",
            f"decays differ between neurons (they keep {keep.min():.4g} to {keep.max():.4g}); the "
            "chip takes one per population",
            where=name,
            remedy="train with one time constant per layer",
        )
    return float(keep[0])


def _flat(value: Any) -> FloatArray:
    return np.asarray(value, dtype=np.float64).reshape(-1)
