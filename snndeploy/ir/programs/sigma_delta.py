"""Sigma-delta neurons: they send changes instead of levels, as integers. Lava's to the bit.

Symbols: a synaptic input, sigma the sum of all input, x the level to be told, act the level of the
step before, residue what was not told yet, d what is due, e its running sum (`cum_error`), out what
is sent. w32 wraps to 32 bits, as Lava's words do. Lava does not bound what it sends; here it is
clipped to [low, high], which must hold what Lava would send, so that a spike's width is known.
Source: lava-nc 0.10.0, lava/proc/sdn/models.py, the models tagged fixed_pt.
"""

from snndeploy.ir.arrays import IntArray
from snndeploy.ir.program import INT32, Params, Program, State, as_params, line

Value = IntArray | int
LOW, HIGH = -(1 << 23), (1 << 23) - 1
"""What a spike of Loihi 2 carries: 24 bits."""
MESSAGE = {"low": (INT32[0], 0), "high": (0, INT32[1])}
FLAG, EXPONENT = (0, 1), (0, 7)

SEND_CHANGE = (
    line("d", "sub", "x", "act"),
    line("d", "add", "d", "residue"),
    line("d", "wrap", "d", 32),
    line("e", "add", "error", "d"),
    line("e", "wrap", "e", 32),
    line("e", "select", "cum_error", "e", 0),
    line("m", "select", "cum_error", "e", "d"),
    line("minus", "sub", 0, "m"),
    line("m", "max", "m", "minus"),
    line("m", "wrap", "m", 32),  # |-2^31| is -2^31 in 32 bits
    line("due", "le", "vth", "m"),
    line("s", "mul", "due", "d"),
    line("error", "select", "s", 0, "e"),
    line("residue", "sub", "d", "s"),
    line("act", "wrap", "x", 32),
    line("right", "sub", 0, "state_exp"),
    line("out", "shift", "s", "right"),
    line("out", "clip", "out", "low", "high"),
)
"""d <- w32(x - act + residue), told where |d| >= vth (or |e| >= vth); act <- x"""
CHANGE_STATES = tuple(State(name=name, bits=32) for name in ("act", "residue", "error"))

SIGMA = Program(
    name="sigma",
    states=(State(name="sigma", bits=32),),
    params=("low", "high"),
    body=(
        line("sigma", "add", "sigma", "a"),
        line("sigma", "wrap", "sigma", 32),
        line("out", "clip", "sigma", "low", "high"),
    ),
    emits="out",
    payload=("low", "high"),
    registers=MESSAGE,
)
"""Adds up changes and sends the level.

    sigma <- w32(sigma + a);  out <- sigma
"""

DELTA = Program(
    name="delta",
    states=CHANGE_STATES,
    params=("vth", "spike_exp", "state_exp", "cum_error", "low", "high"),
    body=(
        line("left", "add", "spike_exp", "state_exp"),
        line("x", "shift", "a", "left"),
        line("x", "wrap", "x", 32),
        *SEND_CHANGE,
    ),
    emits="out",
    payload=("low", "high"),
    registers={
        "vth": (0, INT32[1]), "spike_exp": EXPONENT, "state_exp": EXPONENT, "cum_error": FLAG,
        **MESSAGE,
    },
)  # fmt: skip
"""Sends how its input changed, once the change reaches vth.

    x <- w32(a << (spike_exp + state_exp));  d <- w32(x - act + residue)
    e <- w32(error + d) where cum_error, else 0
    s <- d where |d| >= vth (cum_error: |e| >= vth), else 0
    error <- 0 where s, else e;  residue <- d - s;  act <- x;  out <- s >> state_exp (floor)
"""

SIGMA_DELTA = Program(
    name="sigma_delta",
    states=(State(name="sigma", bits=32), *CHANGE_STATES),
    params=("vth", "bias", "relu", "state_exp", "cum_error", "low", "high"),
    body=(
        line("sigma", "add", "sigma", "a"),
        line("sigma", "wrap", "sigma", 32),
        line("x", "add", "sigma", "bias"),
        line("x", "wrap", "x", 32),
        line("positive", "max", "x", 0),
        line("x", "select", "relu", "positive", "x"),
        *SEND_CHANGE,
    ),
    emits="out",
    payload=("low", "high"),
    registers={
        "vth": (0, INT32[1]), "bias": INT32, "relu": FLAG, "state_exp": EXPONENT,
        "cum_error": FLAG, **MESSAGE,
    },
)  # fmt: skip
"""Adds up changes, applies the activation, sends how it changed.

    sigma <- w32(sigma + a);  x <- w32(sigma + bias), max(x, 0) where relu;  then as `DELTA`

The input is not shifted: it comes scaled by 2^state_exp from the weights.
"""


def sigma(*, low: int = LOW, high: int = HIGH) -> Params:
    """Return parameters of `SIGMA`: the range of what it sends."""
    return as_params({"low": low, "high": high})


def delta(
    *,
    vth: Value,
    spike_exp: int = 0,
    state_exp: int = 0,
    cum_error: bool = False,
    low: int = LOW,
    high: int = HIGH,
) -> Params:
    """Return parameters of `DELTA`, with Lava's names and meanings.

    Args:
        vth: threshold in units of the message; held scaled by 2^(spike_exp + state_exp).
        spike_exp: fraction bits of the message, 0..7.
        state_exp: fraction bits of the state beyond the message's, 0..7.
        cum_error: compare the running sum of what is due with vth, instead of what is due.
        low: smallest value sent, at most 0.
        high: largest value sent, at least 0.
    """
    return as_params(
        {
            "vth": vth << (spike_exp + state_exp), "spike_exp": spike_exp,
            "state_exp": state_exp, "cum_error": int(cum_error), "low": low, "high": high,
        }
    )  # fmt: skip


def sigma_delta(
    *,
    vth: Value,
    bias: Value = 0,
    relu: bool = True,
    spike_exp: int = 0,
    state_exp: int = 0,
    cum_error: bool = False,
    low: int = LOW,
    high: int = HIGH,
) -> Params:
    """Return parameters of `SIGMA_DELTA`; see `delta`.

    `bias` is added to sigma, in units of the message and held scaled like vth; with `relu` levels
    below 0 count as 0.
    """
    scale = spike_exp + state_exp
    return as_params(
        {
            "vth": vth << scale, "bias": bias << scale, "relu": int(relu), "state_exp": state_exp,
            "cum_error": int(cum_error), "low": low, "high": high,
        }
    )  # fmt: skip
