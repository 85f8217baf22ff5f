"""One spiking NIR node and its semantics, as the recurrence a chip can hold.

    u[t] = keep_u * u[t-1] + gain * x[t]
    v[t] = keep_v * v[t-1] + u[t] + drive
    spike where v[t] > threshold (or >=), or as many as thresholds fit; then the reset

in coordinates where a reset to a value is one to 0. Everything is per neuron and real. A current
that jumps, is used and then decays (Norse) is this u as well: what is used obeys the same equation.
"""

from dataclasses import dataclass, replace
from typing import Any

import nir
import numpy as np

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.ir.arrays import FloatArray
from snndeploy.nirgraph.dynamics import step_constants
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.semantics import Compare, Reset, Semantics

NEURONS = (nir.IF, nir.LIF, nir.CubaLIF, nir.Threshold, Microcode)
READOUTS = (nir.I, nir.LI, nir.CubaLI)
CLOSE = 1e-9
"""Clamps that differ by less, in thresholds, are one clamp."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Recurrence:
    """A neuron's step; arrays are [1] or [n] in C, H, W order.

    Attributes:
        keep_u: what the current keeps per step; 0 means there is no synaptic current.
        keep_v: what the potential keeps per step; 0 for a memoryless threshold.
        gain: factor on the synaptic input.
        drive: constant added to v every step (leak toward v_leak != v_reset).
        threshold: distance from the reset value, > 0.
        compare: strict (`gt`) or not (`ge`).
        reset: see `Semantics`.
        multi_spike: as many spikes per step as thresholds fit into v.
        v_min: lower clamp of v in thresholds, 0 or less; None for no clamp.
        by_row: weights on grids of their own per row ask for a threshold per neuron.
        integer: its numbers are the chip's already.
    """

    keep_u: FloatArray
    keep_v: FloatArray
    gain: FloatArray
    drive: FloatArray
    threshold: FloatArray
    compare: Compare
    reset: Reset = "zero"
    multi_spike: bool = False
    v_min: float | None = None
    by_row: bool = False
    integer: bool = False

    @property
    def is_native(self) -> bool:
        """Whether Loihi's own `lif` runs it: one decay and threshold, reset to zero, one spike."""
        one_decay = np.ptp(self.keep_u) == np.ptp(self.keep_v) == 0
        plain = self.reset == "zero" and not self.multi_spike and self.v_min is None
        return bool(one_decay and plain and not self.by_row)

    def with_own_thresholds(self) -> "Recurrence":
        """Return the neuron with a threshold per row of its weights, in microcode."""
        return replace(self, by_row=True)

    @property
    def is_memoryless(self) -> bool:
        """Whether nothing of a step reaches the next."""
        return not self.keep_u.any() and not self.keep_v.any() and self.is_native


def recurrence(name: str, node: Any, semantics: Semantics) -> Recurrence:
    """Return the recurrence of a spiking NIR node.

    Raises:
        UnsupportedError: E2122 several spikes per step without subtraction, E2123 a clamp together
            with a delayed reset, E2125 an initial state the chip cannot start from, E2138 a clamp
            above the reset value, or not one for all neurons.
        ModelError: E1051 a time constant or threshold out of range.
    """
    if isinstance(node, nir.Threshold):
        threshold = _flat(node.threshold)
        zero = np.zeros(1)
        return Recurrence(
            keep_u=zero, keep_v=zero, gain=np.ones(1), drive=zero, threshold=threshold, compare="gt"
        )
    _check_semantics(name, semantics)
    step = step_constants(node, semantics)
    v_reset = np.zeros(1)
    if semantics.reset == "zero" and step.v_reset is not None:
        v_reset = _flat(step.v_reset)
    threshold = _flat(step.v_threshold) - v_reset
    if np.any(threshold <= 0):
        raise ModelError(
            "E1051", "v_threshold must lie above v_reset", where=name, remedy="check the thresholds"
        )
    if np.any(_flat(step.v_init) != v_reset):
        raise UnsupportedError(
            "E2125",
            "does not start where it resets; the chip's neuron does",
            where=name,
            remedy="use --semantics …,v0=reset if the framework starts at v_reset",
        )
    keep_v, gain = _keep(name, step.v_decay), _flat(step.v_gain)
    keep_u = np.zeros(1)
    if step.i_decay is not None:
        keep_u, gain = _keep(name, step.i_decay), gain * _flat(step.i_gain)
    return Recurrence(
        keep_u=keep_u,
        keep_v=keep_v,
        gain=gain,
        drive=_flat(step.v_drive) - (1 - keep_v) * v_reset,
        threshold=threshold,
        compare=semantics.compare,
        reset=semantics.reset,
        multi_spike=semantics.multi_spike,
        v_min=_clamp(name, semantics, threshold, v_reset),
        integer=semantics.integer,
    )


def _check_semantics(name: str, semantics: Semantics) -> None:
    """Refuse combinations that no program of ours computes."""
    if semantics.multi_spike and semantics.reset != "subtract":
        raise UnsupportedError(
            "E2122",
            f"several spikes per step with reset {semantics.reset!r}",
            where=name,
            remedy="train with a subtractive reset, or with one spike per step",
        )
    if semantics.v_min is not None and semantics.reset not in ("zero", "subtract"):
        raise UnsupportedError(
            "E2123",
            f"a lower clamp of the potential with reset {semantics.reset!r}",
            where=name,
            remedy="train without a lower clamp, or with a reset in the spike's step",
        )


def _clamp(
    name: str, semantics: Semantics, threshold: FloatArray, v_reset: FloatArray
) -> float | None:
    """Return the lower clamp as a share of the way from the reset value to the threshold."""
    if semantics.v_min is None:
        return None
    clamp = np.array([semantics.v_min])
    if v_reset.any():
        clamp = (semantics.v_min * (threshold + v_reset) - v_reset) / threshold
    if clamp.max() > 0 or np.ptp(clamp) > CLOSE:
        raise UnsupportedError(
            "E2138",
            "its potential is clamped above the reset value, or not alike in all neurons",
            where=name,
            remedy="give --semantics …,v_min=none if the network was trained without a clamp",
        )
    return float(clamp[0])


def _keep(name: str, decay: FloatArray) -> FloatArray:
    """Return the share that is kept per step, [1] where all neurons keep the same."""
    keep = _flat(decay)
    if np.any(~((keep >= 0) & (keep <= 1))):
        raise ModelError(
            "E1051",
            f"keeps {keep.min():.4g} of its state per step: a time constant below the step",
            where=name,
            remedy="give the model's step with --semantics …,dt=SECONDS",
        )
    return keep[:1] if np.ptp(keep) == 0 else keep


def _flat(value: Any) -> FloatArray:
    return np.asarray(value, dtype=np.float64).reshape(-1)
