"""One layer of neurons in torch: the float interpreter's `run_neuron`, operation by operation.

The order of the operations is the interpreter's, so that float64 gives its spikes bit for bit. No
gradient flows through the reset, only through what it acts on (Zenke and Vogels, "The Remarkable
Robustness of Surrogate Gradient Learning", Neural Computation 2021, section on the reset term).
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snndeploy.compress.surrogate import count, fire
from snndeploy.nirgraph.dynamics import Dynamics
from snndeploy.semantics import Semantics


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Constants:
    """`Dynamics` as tensors, each [*shape] or [1], and the unit of the surrogate's slope."""

    v_decay: Tensor
    v_gain: Tensor
    v_drive: Tensor
    i_decay: Tensor | None
    i_gain: Tensor | None
    v_threshold: Tensor | None
    v_reset: Tensor | None
    v_init: Tensor
    unit: Tensor | None

    def to(self, dtype: torch.dtype) -> "Constants":
        """Return the constants in another precision."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {k: None if v is None else v.to(dtype) for k, v in values.items()}
        return Constants(**moved)


def constants_of(dynamics: Dynamics) -> Constants:
    """Return a neuron's constants as float64 tensors.

    The slope's unit is the distance from reset to threshold, so that a network in volts learns as
    one in thresholds does.
    """
    unit = None
    if dynamics.v_threshold is not None and dynamics.v_reset is not None:
        distance = np.abs(dynamics.v_threshold - dynamics.v_reset)
        unit = torch.from_numpy(np.where(distance > 0, distance, 1.0))
    values = {field.name: getattr(dynamics, field.name) for field in fields(dynamics)}
    tensors: dict[str, Any] = {
        k: None if v is None else torch.from_numpy(np.array(v)) for k, v in values.items()
    }
    return Constants(**tensors, unit=unit)


def run_neuron(
    constants: Constants, semantics: Semantics, x: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Run one layer of neurons over x [T, B, *shape], in the precision of the constants.

    Returns:
        Output (spikes, or v of a neuron that never fires) and v after the reset, T times
        [B, *shape].
    """
    out, trace = [], []
    v = constants.v_init.expand(x.shape[1:])
    i = torch.zeros_like(x[0])
    spikes = torch.zeros_like(x[0])
    for x_now in x:
        i, current = _step_current(constants, semantics, i, x_now)
        v = constants.v_decay * v + constants.v_gain * current + constants.v_drive
        if constants.v_threshold is not None:
            if semantics.reset == "subtract-delayed":
                v = v - spikes.detach() * constants.v_threshold
            spikes = _fire(v, constants, semantics)
            v = _reset(v, spikes.detach(), constants, semantics)
        out.append(v if constants.v_threshold is None else spikes)
        trace.append(v)
    return out, trace


def _step_current(
    constants: Constants, semantics: Semantics, i: Tensor, x: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the current after the step and the current that the membrane sees."""
    if constants.i_decay is None or constants.i_gain is None:
        return i, x
    if semantics.order == "synapse-first":
        i = constants.i_decay * i + constants.i_gain * x
        return i, i
    jumped = i + constants.i_gain * x
    return constants.i_decay * jumped, jumped


def _fire(v: Tensor, constants: Constants, semantics: Semantics) -> Tensor:
    assert constants.v_threshold is not None
    assert constants.unit is not None
    if semantics.multi_spike:
        return count(v, constants.v_threshold)
    return fire(v, constants.v_threshold, constants.unit, strict=semantics.compare == "gt")


def _reset(v: Tensor, spikes: Tensor, constants: Constants, semantics: Semantics) -> Tensor:
    assert constants.v_threshold is not None
    assert constants.v_reset is not None
    if semantics.reset == "zero":
        v = torch.where(spikes > 0, constants.v_reset, v)
    elif semantics.reset == "subtract":
        v = v - spikes * constants.v_threshold
    if semantics.v_min is not None:
        v = torch.maximum(v, semantics.v_min * constants.v_threshold)
    return v
