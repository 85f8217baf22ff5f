"""The leaky integrate-and-fire neuron that Loihi runs natively, and the settings it is used with.

`LIF` is Lava's fixed-point model to the bit; `gate` and `integrator` are two settings of its
parameters. Its parts (current, leak, clip) are what the leaky programs of `snndeploy.ir.programs`
are made of.
"""

from collections.abc import Mapping

from snndeploy.ir.arrays import IntArray
from snndeploy.ir.program import Params as Params
from snndeploy.ir.program import Program as Program
from snndeploy.ir.program import State, as_params, line

U_LIMIT = 1 << 23
V_LIMIT = (1 << 23) - 1
ACT_SHIFT = 6
"""Synaptic input and threshold are shifted left by this to the state grid (Lava: act_shift)."""
NEVER = 1 << 17
"""A threshold register no clipped voltage can exceed: the population never fires."""


CURRENT = (
    line("ku", "sub", 4095, "du"),  # the current's decay factor carries an offset of 1
    line("pu", "mul", "u", "ku"),
    line("fu", "shz", "pu", 12),
    line("x", "shift", "a", ACT_SHIFT),
    line("x", "wrap", "x", 32),
    line("x", "add", "fu", "x"),
    line("x", "wrap", "x", 32),
    line("over", "gt", "x", U_LIMIT),  # u wraps once, not modulo
    line("under", "le", "x", -U_LIMIT),
    line("down", "sub", "x", 2 * U_LIMIT),
    line("up", "add", "x", 2 * U_LIMIT),
    line("x", "select", "over", "down", "x"),
    line("u", "select", "under", "up", "x"),
)
"""u <- fold24( trunc(u * (4095 - du) / 4096) + (a << 6) )"""
LEAK = (
    line("b", "shift", "bias_mant", "bias_exp"),
    line("b", "wrap", "b", 32),
    line("kv", "sub", 4096, "dv"),
    line("pv", "mul", "v", "kv"),
    line("fv", "shz", "pv", 12),
    line("y", "add", "fv", "u"),
    line("y", "add", "y", "b"),
)
"""y <- trunc(v * (4096 - dv) / 4096) + u + (bias_mant << bias_exp)"""
CLIP = (
    line("y", "wrap", "y", 32),
    line("y", "clip", "y", -V_LIMIT, V_LIMIT),
)
"""y <- clip24( y )"""
LEAKY_STATES = (State(name="u", bits=24), State(name="v", bits=24))
LEAKY_REGISTERS: Mapping[str, tuple[int, int]] = {
    "du": (-1, 4095),
    "dv": (0, 4096),
    "bias_mant": (-4096, 4095),
    "bias_exp": (0, 7),
}
"""Documented ranges of Loihi's registers, inclusive; du -1 and dv 4096 are Lava's own ends."""

LIF = Program(
    name="lif",
    states=LEAKY_STATES,
    params=("du", "dv", "vth", "bias_mant", "bias_exp"),
    body=(
        *CURRENT,
        *LEAK,
        *CLIP,
        line("th", "shift", "vth", ACT_SHIFT),
        line("s", "gt", "y", "th"),
        line("v", "select", "s", 0, "y"),
    ),
    emits="s",
    native=True,
    registers={**LEAKY_REGISTERS, "vth": (0, NEVER)},
    bounds="leaky",
)
"""Current-based leaky integrate-and-fire, Lava's `LIF` fixed_pt to the bit.

    u <- fold24( trunc(u * (4095 - du) / 4096) + (a << 6) )
    v <- clip24( trunc(v * (4096 - dv) / 4096) + u + (bias_mant << bias_exp) )
    s <- v > (vth << 6);  v <- 0 where s

`trunc` rounds toward zero; u keeps its value at a spike. Source: lava-nc 0.10.0,
lava/proc/lif/models.py, AbstractPyLifModelFixed.subthr_dynamics.
"""


def lif(*, du: int, dv: int, vth: int, bias_mant: IntArray | int = 0, bias_exp: int = 0) -> Params:
    """Return parameters of `LIF`; du, dv, vth are one value per population.

    Args:
        du: current decay, -1..4095; 4095 forgets the current at once, -1 never decays.
        dv: voltage decay, 0..4096; 0 is an integrator, 4096 forgets at once.
        vth: threshold register; fires on v > vth << 6.
        bias_mant: 13-bit signed mantissa, [1] or [n], added to v every step.
        bias_exp: 0..7, the bias is bias_mant << bias_exp in state units.
    """
    values = {"du": du, "dv": dv, "vth": vth, "bias_mant": bias_mant, "bias_exp": bias_exp}
    return as_params(values)


def gate(*, vth: int) -> Params:
    """Return parameters of a memoryless gate: fires iff this step's input exceeds vth.

    What is left below the threshold decays to 0 in one step while |v| < 4096 (dv = 4095, the
    largest 12-bit decay); a spike resets v, so OR gates hold for any fan-in.
    """
    return lif(du=4095, dv=4095, vth=vth)


def integrator(*, bias_mant: IntArray | int = 0, bias_exp: int = 0, dv: int = 0) -> Params:
    """Return parameters of a population that sums its input and never fires."""
    return lif(du=4095, dv=dv, vth=NEVER, bias_mant=bias_mant, bias_exp=bias_exp)
