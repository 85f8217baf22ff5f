"""The leaky integrate-and-fire neuron in many windows at once, in 32-bit integers.

Written from Lava's equations (see `snndeploy.ir.neurons.LIF`), not from the program that the
reference interprets: 32-bit arithmetic wraps by itself, decays of 0 and 1 cost nothing, and range
checks run only where a range can be left.

    u <- fold24( trunc(u * (4095 - du) / 4096) + (a << 6) )
    v <- clip24( trunc(v * (4096 - dv) / 4096) + u + b ),   s <- v > vth << 6,   v <- 0 where s
"""

from dataclasses import dataclass

import numpy as np

from hwtargets.simulator.ran import Kernel, Left, Words
from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.program import Params

U_TOP, V_TOP = 1 << 23, (1 << 23) - 1
INT32_MAX = (1 << 31) - 1


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Constants:
    """Parameters as the update uses them; arrays [1] or [n].

    Attributes:
        keep_u, keep_v: decay factors in 1/4096, int64.
        threshold, bias: in state units, int32.
    """

    keep_u: IntArray
    keep_v: IntArray
    threshold: AnyArray
    bias: AnyArray


def constants(params: Params) -> Constants:
    """Return the constants of a population's parameters."""
    mant, exp = params["bias_mant"], params["bias_exp"]
    bias = np.where(exp >= 0, mant << np.maximum(exp, 0), mant >> np.maximum(-exp, 0))
    return Constants(
        keep_u=4095 - params["du"],
        keep_v=4096 - params["dv"],
        threshold=np.clip(params["vth"] << 6, -INT32_MAX, INT32_MAX).astype(np.int32),
        bias=bias.astype(np.int32),
    )


def kernel(params: Params) -> Kernel:
    """Return the kernel of a population; overflows `u_wraps` (u left 24 bits), `v_clips`."""
    fixed = constants(params)
    return Kernel(
        update=lambda a, states: update(a, states, fixed),
        states=("u", "v"),
        watched=("u_wraps", "v_clips"),
        state_dtype=np.int32,
        spike_dtype=np.float32,
    )


def update(a: AnyArray, states: Words, fixed: Constants) -> tuple[AnyArray, Words, Left]:
    """Take one step; see `snndeploy.ir.neurons.LIF`."""
    x = a * np.int32(64)
    u = x if not fixed.keep_u.any() else decay(states["u"], fixed.keep_u) + x
    u, wraps = fold(u)
    y = decay(states["v"], fixed.keep_v)
    y += u
    y += fixed.bias
    clips = clip(y)
    fired = y > fixed.threshold
    y[fired] = 0
    return fired, {"u": u, "v": y}, wraps + clips


def decay(state: AnyArray, keep: IntArray) -> AnyArray:
    """Return trunc(state * keep / 4096), rounded toward zero, as a new int32 array."""
    if (keep == 4096).all():
        return state.copy()
    if not keep.any():
        return np.zeros_like(state)
    product = state * keep
    product += (product >> 63) & 4095
    product >>= 12
    return product.astype(np.int32)


def fold(x: AnyArray) -> tuple[AnyArray, Left]:
    """Return u in 24 bits, wrapped once, and which cells wrapped, if any."""
    if x.min(initial=0) > -U_TOP and x.max(initial=0) <= U_TOP:
        return x, []
    over, under = x > U_TOP, x <= -U_TOP
    turns = under.astype(np.int32) - over
    return x + turns * np.int32(2 * U_TOP), [("u_wraps", turns != 0)]


def clip(y: AnyArray) -> Left:
    """Clip v in place to 24 bits; return which cells were outside, if any."""
    if y.min(initial=0) >= -V_TOP and y.max(initial=0) <= V_TOP:
        return []
    outside = (y > V_TOP) | (y < -V_TOP)
    np.clip(y, -V_TOP, V_TOP, out=y)
    return [("v_clips", outside)]
