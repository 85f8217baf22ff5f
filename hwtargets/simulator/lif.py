"""The leaky integrate-and-fire neuron on whole windows, in 32-bit integers.

Written from Lava's equations (see `snndeploy.ir.neurons.LIF`), not from the program that the
reference interprets: 32-bit arithmetic wraps by itself, decays of 0 and 1 cost nothing, and range
checks run only where a range can be left.

    u <- fold24( trunc(u * (4095 - du) / 4096) + (a << 6) )
    v <- clip24( trunc(v * (4096 - dv) / 4096) + u + b ),   s <- v > vth << 6,   v <- 0 where s
"""

from dataclasses import dataclass

import numpy as np

from hwtargets.simulator.ran import Ran, count
from snndeploy.ir.arrays import AnyArray, BoolArray, IntArray
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


def run_windows(a: AnyArray, fixed: Constants, exists: BoolArray, *, states: bool) -> Ran:
    """Run windows from the reset state; steps that do not exist leave state and spikes at zero.

    Args:
        a: synaptic input, int32 [n_windows, P, n].
        fixed: constants of the population.
        exists: [n_windows, P]; within a window the existing steps are contiguous.
        states: whether u and v are returned.

    Returns:
        Spikes in float32, states in int32; overflows `u_wraps` (u left 24 bits and wrapped) and
        `v_clips` (v left them and was clipped).
    """
    n_windows, steps, n = a.shape
    spikes = np.empty(a.shape, dtype=np.float32)
    log = {name: np.empty(a.shape, dtype=np.int32) for name in ("u", "v") if states}
    u, v = np.zeros((2, n_windows, n), dtype=np.int32)
    u_wraps = v_clips = 0
    for k in range(steps):
        x = a[:, k] * np.int32(64)
        u = x if not fixed.keep_u.any() else decay(u, fixed.keep_u) + x
        live = None if exists[:, k].all() else exists[:, k, None]
        u, wraps = fold(u, live)
        y = decay(v, fixed.keep_v)
        y += u
        y += fixed.bias
        clips = clip(y, live)
        fired = y > fixed.threshold
        if live is not None:
            u, y, fired = u * live, y * live, fired & live
        y[fired] = 0
        v = y
        spikes[:, k] = fired
        if log:
            log["u"][:, k], log["v"][:, k] = u, v
        u_wraps, v_clips = u_wraps + wraps, v_clips + clips
    return Ran(spikes=spikes, states=log, overflows={"u_wraps": u_wraps, "v_clips": v_clips})


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


def fold(x: AnyArray, live: BoolArray | None) -> tuple[AnyArray, int]:
    """Return u in 24 bits, wrapped once, and how many live cells wrapped."""
    if x.min(initial=0) > -U_TOP and x.max(initial=0) <= U_TOP:
        return x, 0
    over, under = x > U_TOP, x <= -U_TOP
    turns = under.astype(np.int32) - over
    return x + turns * np.int32(2 * U_TOP), count(turns != 0, live, x.shape)


def clip(y: AnyArray, live: BoolArray | None) -> int:
    """Clip v in place to 24 bits; return how many live cells were outside."""
    if y.min(initial=0) >= -V_TOP and y.max(initial=0) <= V_TOP:
        return 0
    outside = count((y > V_TOP) | (y < -V_TOP), live, y.shape)
    np.clip(y, -V_TOP, V_TOP, out=y)
    return outside
