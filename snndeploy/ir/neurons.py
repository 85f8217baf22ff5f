"""Neurons as small integer programs: data that every executor reads and none owns.

A `Program` is a list of integer statements over named words. The reference interprets it, the
text format prints it, the price of an update is its statement count. `LIF` is Lava's fixed-point
leaky integrate-and-fire to the bit; `gate` and `integrator` are two settings of its parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from snndeploy.ir.arrays import IntArray, frozen_int

Op = Literal[
    "add",  # a + b
    "sub",  # a - b
    "mul",  # a * b
    "shift",  # a << b for b >= 0, else a >> -b (floor)
    "shz",  # sign(a) * (|a| >> b): shift right toward zero
    "gt",  # 1 if a > b else 0
    "le",  # 1 if a <= b else 0
    "select",  # b if a else c
    "clip",  # min(max(a, b), c)
    "wrap",  # a as a signed word of b bits
]
ARITY: Mapping[str, int] = {
    "add": 2, "sub": 2, "mul": 2, "shift": 2, "shz": 2,
    "gt": 2, "le": 2, "select": 3, "clip": 3, "wrap": 2,
}  # fmt: skip
Operand = str | int

assert set(ARITY) == set(get_args(Op))


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """One state word of a neuron: its name and its width in bits, sign included."""

    name: str
    bits: int


@dataclass(frozen=True, slots=True)
class Statement:
    """`target = op(*args)`; an argument is a word's name or an integer literal."""

    target: str
    op: Op
    args: tuple[Operand, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """One neuron model, executed once per neuron and chip step.

    Words: the states, the parameters, `a` (the step's synaptic input) and the statements' targets.

    Attributes:
        name: the field's name of the neuron.
        states: words kept between steps, 0 at reset.
        params: words fixed at compile time, one value per population or one per neuron.
        body: statements in order.
        emits: the word sent as the spike.
        native: executed by public Loihi tools without microcode, so that Lava is its judge.
    """

    name: str
    states: tuple[State, ...]
    params: tuple[str, ...]
    body: tuple[Statement, ...]
    emits: str
    native: bool

    def __post_init__(self) -> None:
        known = {"a", *self.params, *(state.name for state in self.states)}
        for statement in self.body:
            assert len(statement.args) == ARITY[statement.op], statement
            for arg in statement.args:
                assert isinstance(arg, int) or arg in known, f"{arg} used before it is set"
            known.add(statement.target)
        assert self.emits in known

    @property
    def cost(self) -> int:
        """Statements per update."""
        return len(self.body)


U_LIMIT = 1 << 23
V_LIMIT = (1 << 23) - 1
ACT_SHIFT = 6
"""Synaptic input and threshold are shifted left by this to the state grid (Lava: act_shift)."""
NEVER = 1 << 17
"""A threshold register no clipped voltage can exceed: the population never fires."""


def _line(target: str, op: Op, *args: Operand) -> Statement:
    return Statement(target, op, args)


LIF = Program(
    name="lif",
    states=(State(name="u", bits=24), State(name="v", bits=24)),
    params=("du", "dv", "vth", "bias_mant", "bias_exp"),
    body=(
        _line("ku", "sub", 4095, "du"),  # the current's decay factor carries an offset of 1
        _line("pu", "mul", "u", "ku"),
        _line("fu", "shz", "pu", 12),
        _line("x", "shift", "a", ACT_SHIFT),
        _line("x", "wrap", "x", 32),
        _line("x", "add", "fu", "x"),
        _line("x", "wrap", "x", 32),
        _line("over", "gt", "x", U_LIMIT),  # u wraps once, not modulo
        _line("under", "le", "x", -U_LIMIT),
        _line("down", "sub", "x", 2 * U_LIMIT),
        _line("up", "add", "x", 2 * U_LIMIT),
        _line("x", "select", "over", "down", "x"),
        _line("u", "select", "under", "up", "x"),
        _line("b", "shift", "bias_mant", "bias_exp"),
        _line("b", "wrap", "b", 32),
        _line("kv", "sub", 4096, "dv"),
        _line("pv", "mul", "v", "kv"),
        _line("fv", "shz", "pv", 12),
        _line("y", "add", "fv", "u"),
        _line("y", "add", "y", "b"),
        _line("y", "wrap", "y", 32),
        _line("y", "clip", "y", -V_LIMIT, V_LIMIT),
        _line("th", "shift", "vth", ACT_SHIFT),
        _line("s", "gt", "y", "th"),
        _line("v", "select", "s", 0, "y"),
    ),
    emits="s",
    native=True,
)
"""Current-based leaky integrate-and-fire, Lava's `LIF` fixed_pt to the bit.

    u <- fold24( trunc(u * (4095 - du) / 4096) + (a << 6) )
    v <- clip24( trunc(v * (4096 - dv) / 4096) + u + (bias_mant << bias_exp) )
    s <- v > (vth << 6);  v <- 0 where s

`trunc` rounds toward zero; u keeps its value at a spike. Source: lava-nc 0.10.0,
lava/proc/lif/models.py, AbstractPyLifModelFixed.subthr_dynamics.
"""

PROGRAMS: Mapping[str, Program] = {LIF.name: LIF}

Params = Mapping[str, IntArray]


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
    return {name: frozen_int(value).reshape(-1) for name, value in values.items()}


def gate(*, vth: int) -> Params:
    """Return parameters of a memoryless gate: fires iff this step's input exceeds vth.

    What is left below the threshold decays to 0 in one step while |v| < 4096 (dv = 4095, the
    largest 12-bit decay); a spike resets v, so OR gates hold for any fan-in.
    """
    return lif(du=4095, dv=4095, vth=vth)


def integrator(*, bias_mant: IntArray | int = 0, bias_exp: int = 0, dv: int = 0) -> Params:
    """Return parameters of a population that sums its input and never fires."""
    return lif(du=4095, dv=dv, vth=NEVER, bias_mant=bias_mant, bias_exp=bias_exp)
