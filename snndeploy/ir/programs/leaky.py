"""Leaky integrate-and-fire neurons that reset, clamp or count otherwise than Loihi's own.

All keep `lif`'s current and leak, its one-fold wrap of u, its clip of v and its bias:

    u <- fold24( trunc(u * (4095 - du) / 4096) + (a << 6) )
    y <- trunc(v * (4096 - dv) / 4096) + u + (bias_mant << bias_exp)

and differ in what happens to y. Symbols: u current, v potential, a synaptic input, s spike, `trunc`
rounds toward zero, du and dv decays in 1/4096, `vth_state` threshold in state units, 6 bits finer
than `lif`'s register, so that v >= x is v > x - 1 exactly. Every parameter may differ from neuron
to neuron. A jump of the current before its use and its decay after it (Norse) needs no program of
its own: the current that is used is `lif`'s u.
"""

from collections.abc import Mapping

import numpy as np

from snndeploy.ir.arrays import IntArray
from snndeploy.ir.neurons import CLIP, CURRENT, LEAK, LEAKY_REGISTERS, LEAKY_STATES, V_LIMIT
from snndeploy.ir.program import Params, Program, State, Statement, as_params, line

Value = IntArray | int
LEAKY_PARAMS = ("du", "dv", "bias_mant", "bias_exp", "vth_state")
REGISTERS: Mapping[str, tuple[int, int]] = {
    **LEAKY_REGISTERS,
    "vth_state": (0, V_LIMIT),
    "drop": (0, V_LIMIT),
    "v_min": (-V_LIMIT, 0),
    "most": (1, 31),
    "refractory": (0, 63),
}
COUNT_BITS = 5
"""`lif_multi` counts up to 31 spikes per step."""


def _leaky(
    name: str,
    body: tuple[Statement, ...],
    *,
    extra: tuple[str, ...] = (),
    states: tuple[State, ...] = (),
    emits: str = "s",
    most: str | int = 1,
    registers: Mapping[str, tuple[int, int]] | None = None,
) -> Program:
    """Return a program with lif's current, states and registers, and `extra` parameters."""
    params = (*LEAKY_PARAMS, *extra)
    return Program(
        name=name,
        states=(*LEAKY_STATES, *states),
        params=params,
        body=(*CURRENT, *body),
        emits=emits,
        payload=(0, most),
        registers={key: REGISTERS[key] for key in params} | dict(registers or {}),
        bounds="leaky",
    )


LIF_SUBTRACT = _leaky(
    "lif_subtract",
    (
        *LEAK,
        *CLIP,
        line("y", "max", "y", "v_min"),
        line("s", "gt", "y", "vth_state"),
        line("d", "mul", "s", "drop"),
        line("v", "sub", "y", "d"),
    ),
    extra=("drop", "v_min"),
)
"""Loses the threshold in the step of the spike.

    y <- max( clip24(y), v_min )
    s <- y > vth_state;  v <- y - s * drop

Source: SpikingJelly 2.0, neuron/base_node.py, BaseNode.apply_soft_reset (v_reset=None).
"""

LIF_SUBTRACT_DELAYED = _leaky(
    "lif_subtract_delayed",
    (
        *LEAK,
        line("r", "gt", "v", "vth_state"),
        line("d", "mul", "r", "drop"),
        line("y", "sub", "y", "d"),
        line("y", "wrap", "y", 32),
        line("v", "clip", "y", -V_LIMIT, V_LIMIT),
        line("s", "gt", "v", "vth_state"),
    ),
    extra=("drop",),
)
"""Loses the threshold one step after the spike, and keeps it until then.

    v <- clip24( y - (v > vth_state) * drop )        (v on the right: of the step before)
    s <- v > vth_state

The spike of the step before is v > vth_state of that step, so it needs no state of its own.
Source: snnTorch 1.0, Leaky._base_sub, the default reset.
"""

LIF_CLAMPED = _leaky(
    "lif_clamped",
    (
        *LEAK,
        *CLIP,
        line("y", "max", "y", "v_min"),
        line("s", "gt", "y", "vth_state"),
        line("v", "select", "s", 0, "y"),
    ),
    extra=("v_min",),
)
"""Loihi's neuron with a fine threshold, and a floor below which v does not fall.

    y <- max( clip24(y), v_min )
    s <- y > vth_state;  v <- 0 where s, else y

Source: SpikingJelly 2.0, neuron/base_node.py, BaseNode.apply_hard_reset with its `>=`; the floor
is sinabs's `min_v_mem`.
"""


def _count_body() -> tuple[Statement, ...]:
    """Return n = min(floor(y / vth_state), 31) by restoring division, one bit at a time."""
    body = [line("r", "max", "y", 0), line("n", "add", 0, 0)]
    for bit in reversed(range(COUNT_BITS)):
        body += [
            line("t", "shift", "vth_state", bit),
            line("q", "le", "t", "r"),
            line("d", "mul", "q", "t"),
            line("r", "sub", "r", "d"),
            line("q", "shift", "q", bit),
            line("n", "add", "n", "q"),
        ]
    return tuple(body)


LIF_MULTI = _leaky(
    "lif_multi",
    (
        *LEAK,
        *CLIP,
        line("y", "max", "y", "v_min"),
        *_count_body(),
        line("n", "clip", "n", 0, "most"),
        line("d", "mul", "n", "vth_state"),
        line("v", "sub", "y", "d"),
    ),
    extra=("v_min", "most"),
    emits="n",
    most="most",
    registers={"vth_state": (1, V_LIMIT)},
)
"""Sends as many spikes per step as thresholds fit into v, in one message.

    y <- max( clip24(y), v_min )
    n <- min( floor(max(y, 0) / vth_state), most );  v <- y - n * vth_state

No chip of ours divides, so the quotient is made bit by bit (five comparisons) and the statement
count, which prices the update, is honest. This is how sinabs (`MultiSpike`) and Rockpool count:
the float model of this rule fires as sinabs' does, Rockpool has not been run against it.
"""

LIF_REFRACTORY = _leaky(
    "lif_refractory",
    (
        *LEAK,
        *CLIP,
        line("hold", "gt", "wait", 0),
        line("y", "select", "hold", "v", "y"),
        line("s", "gt", "y", "vth_state"),
        line("v", "select", "s", 0, "y"),
        line("wait", "sub", "wait", "hold"),
        line("wait", "select", "s", "refractory", "wait"),
    ),
    extra=("refractory",),
    states=(State(name="wait", bits=7),),
)
"""Resets to zero, then holds v for `refractory` steps; u goes on.

    y <- v where wait > 0, else clip24(y)
    s <- y > vth_state;  v <- 0 where s, else y
    wait <- refractory where s, else max(wait - 1, 0)

Source: lava-nc 0.10.0, lava/proc/lif/models.py, PyLifRefractoryModelFloat, which exists in
floating point only.
"""


def _values(
    du: Value, dv: Value, bias_mant: Value, bias_exp: Value, threshold: Value, *, strict: bool
) -> dict[str, Value]:
    vth = np.asarray(threshold) - (not strict)
    return {"du": du, "dv": dv, "bias_mant": bias_mant, "bias_exp": bias_exp, "vth_state": vth}


def lif_subtract(
    *,
    du: Value,
    dv: Value,
    threshold: Value,
    strict: bool = True,
    v_min: Value = -V_LIMIT,
    bias_mant: Value = 0,
    bias_exp: Value = 0,
) -> Params:
    """Return parameters of `LIF_SUBTRACT`, each one value or one per neuron.

    Args:
        du: current decay, -1..4095; 4095 forgets the current at once, -1 never decays.
        dv: voltage decay, 0..4096.
        threshold: in state units (64 per unit of the weight grid); also what a spike costs.
        strict: whether v must exceed the threshold to fire, or may equal it.
        v_min: lower clamp of v, -2^23 + 1..0.
        bias_mant: 13-bit signed mantissa, added to v every step.
        bias_exp: 0..7, the bias is bias_mant << bias_exp in state units.
    """
    values = _values(du, dv, bias_mant, bias_exp, threshold, strict=strict)
    return as_params({**values, "drop": threshold, "v_min": v_min})


def lif_subtract_delayed(
    *,
    du: Value,
    dv: Value,
    threshold: Value,
    strict: bool = True,
    bias_mant: Value = 0,
    bias_exp: Value = 0,
) -> Params:
    """Return parameters of `LIF_SUBTRACT_DELAYED`; see `lif_subtract`."""
    values = _values(du, dv, bias_mant, bias_exp, threshold, strict=strict)
    return as_params({**values, "drop": threshold})


def lif_clamped(
    *,
    du: Value,
    dv: Value,
    threshold: Value,
    strict: bool = True,
    v_min: Value = -V_LIMIT,
    bias_mant: Value = 0,
    bias_exp: Value = 0,
) -> Params:
    """Return parameters of `LIF_CLAMPED`; see `lif_subtract`."""
    values = _values(du, dv, bias_mant, bias_exp, threshold, strict=strict)
    return as_params({**values, "v_min": v_min})


def lif_multi(
    *,
    du: Value,
    dv: Value,
    threshold: Value,
    most: Value = 31,
    v_min: Value = -V_LIMIT,
    bias_mant: Value = 0,
    bias_exp: Value = 0,
) -> Params:
    """Return parameters of `LIF_MULTI`; see `lif_subtract`.

    It fires at its threshold, which is at least 1, up to `most` (1..31) times per step.
    """
    values = _values(du, dv, bias_mant, bias_exp, threshold, strict=True)
    return as_params({**values, "v_min": v_min, "most": most})


def lif_refractory(
    *,
    du: Value,
    dv: Value,
    threshold: Value,
    refractory: Value,
    strict: bool = True,
    bias_mant: Value = 0,
    bias_exp: Value = 0,
) -> Params:
    """Return parameters of `LIF_REFRACTORY`; see `lif_subtract`.

    After a spike v is held at 0 for `refractory` (0..63) steps.
    """
    values = _values(du, dv, bias_mant, bias_exp, threshold, strict=strict)
    return as_params({**values, "refractory": refractory})
