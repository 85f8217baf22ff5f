"""The leaky programs of the chip in torch: the same integers, with slopes that gradients follow.

    u <- trunc(u * (4095 - du) / 4096) + (a << 6)
    y <- clip24( trunc(v * (4096 - dv) / 4096) + u + bias )

then what each program of `snndeploy.ir.programs.leaky` does with y. u never wraps: a population is
only fitted with weights that prove it (|u| < 2^23), so nothing is clamped where the chip would
wrap. Numbers below 2^24 are exact in float32; a leak whose numerator would leave it is computed in
float64. The leak's truncation has slope 1, a spike that of an arctan, the reset none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd

import numpy as np
import torch
from torch import Tensor

from snndeploy.compress.straight import truncate
from snndeploy.compress.surrogate import count, fire
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.neurons import ACT_SHIFT, LIF, V_LIMIT
from snndeploy.ir.program import Params, Program
from snndeploy.ir.programs import LIF_CLAMPED, LIF_MULTI, LIF_SUBTRACT, LIF_SUBTRACT_DELAYED

TRAINED = (LIF, LIF_CLAMPED, LIF_SUBTRACT, LIF_SUBTRACT_DELAYED, LIF_MULTI)
"""Programs that this module runs."""
STATE = float(1 << ACT_SHIFT)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Trace:
    """What a population did, T times [B, *shape] each: what it sent, u and v after the step."""

    sent: list[Tensor]
    u: list[Tensor]
    v: list[Tensor]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Leak:
    """trunc(x * keep / 4096), keep / 4096 in lowest terms; [*shape] or [1]."""

    numerator: Tensor
    denominator: Tensor
    keeps_nothing: bool
    keeps_all: bool

    def __call__(self, x: Tensor) -> Tensor:
        """Return what is left of a state."""
        if self.keeps_nothing:
            return torch.zeros_like(x)
        if self.keeps_all:
            return x
        wide = x.double() if float(self.numerator.max()) > 1 else x
        kept = wide * self.numerator.to(wide.dtype) / self.denominator.to(wide.dtype)
        return truncate(kept).to(x.dtype)


def leak_of(keep: IntArray, shape: tuple[int, ...]) -> Leak:
    """Return the leak that keeps `keep` / 4096, [1] or [n]."""
    common = np.array([gcd(int(k), 4096) for k in keep])
    return Leak(
        numerator=shaped(keep // common, shape),
        denominator=shaped(4096 // common, shape),
        keeps_nothing=not keep.any(),
        keeps_all=bool(np.all(keep == 4096)),
    )


def run_program(
    program: Program, params: Params, arriving: Tensor, bias: Tensor, *, theta: Tensor
) -> Trace:
    """Run a population over what arrives.

    Args:
        program: one of `TRAINED`.
        params: its parameters, [1] or [n].
        arriving: integers in weight units [T, B, *shape].
        bias: integers in states, [*shape] or [1], in place of the program's mantissa and exponent.
        theta: distance from reset to threshold in states, the unit of a spike's slope.
    """
    shape = tuple(arriving.shape[2:])
    leak_u, leak_v = leak_of(4095 - params["du"], shape), leak_of(4096 - params["dv"], shape)
    words = {name: shaped(values, shape) for name, values in params.items()}
    u = v = torch.zeros_like(arriving[0])
    sent = torch.zeros_like(u)
    trace = Trace(sent=[], u=[], v=[])
    for now in arriving * STATE:
        u = leak_u(u) + now
        y = leak_v(v) + u + bias
        if program is LIF_SUBTRACT_DELAYED:
            y = y - sent.detach() * words["drop"]
        y = torch.clamp(y, -V_LIMIT, V_LIMIT)
        sent, v = _fire(program, words, y, theta)
        trace.sent.append(sent)
        trace.u.append(u)
        trace.v.append(v)
    return trace


def _fire(
    program: Program, words: Mapping[str, Tensor], y: Tensor, theta: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what is sent and the potential after the reset."""
    if "v_min" in words:
        y = torch.maximum(y, words["v_min"])
    if program is LIF_MULTI:
        counted = count(y.double(), words["vth_state"].double()).to(y.dtype)
        sent = torch.minimum(counted, words["most"])
        return sent, y - sent.detach() * words["vth_state"]
    threshold = words["vth"] * STATE if program is LIF else words["vth_state"]
    sent = fire(y, threshold, theta, strict=True)
    if program is LIF_SUBTRACT:
        return sent, y - sent.detach() * words["drop"]
    if program is LIF_SUBTRACT_DELAYED:
        return sent, y
    return sent, torch.where(sent > 0, torch.zeros_like(y), y)


def shaped(values: IntArray, shape: tuple[int, ...]) -> Tensor:
    """Return integers [1] or [n] as float32 [1] or [*shape]."""
    held = torch.from_numpy(np.array(values, dtype=np.float32))
    return held if len(values) == 1 else held.reshape(shape)
