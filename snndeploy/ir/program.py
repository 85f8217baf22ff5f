"""What a neuron is: a small integer program, data that every executor reads and none owns.

A `Program` is a list of integer statements over named words. The reference interprets it, the
simulator compiles it, one Lava process model runs it, the text format prints it, the price of an
update is its statement count. `snndeploy.ir.neurons` holds the one that Loihi has in hardware,
`snndeploy.ir.programs` all others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

from snndeploy.errors import ModelError
from snndeploy.ir.arrays import IntArray, frozen_int

Op = Literal[
    "add",  # a + b
    "sub",  # a - b
    "mul",  # a * b
    "shift",  # a << b for b >= 0, else a >> -b (floor)
    "shz",  # sign(a) * (|a| >> b): shift right toward zero
    "gt",  # 1 if a > b else 0
    "le",  # 1 if a <= b else 0
    "max",  # the larger of a and b
    "select",  # b if a else c
    "clip",  # min(max(a, b), c)
    "wrap",  # a as a signed word of b bits
]
ARITY: Mapping[str, int] = {
    "add": 2, "sub": 2, "mul": 2, "shift": 2, "shz": 2,
    "gt": 2, "le": 2, "max": 2, "select": 3, "clip": 3, "wrap": 2,
}  # fmt: skip
Operand = str | int
Bounds = Literal["leaky", "none"]
Params = Mapping[str, IntArray]
"""A population's parameters by name, arrays [1] or [n]."""
TAKEN = "spikes"
"""What traces call the word that is sent, so that no state can be called so."""
INT32 = (-(1 << 31), (1 << 31) - 1)

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

    Words: the states, the parameters, `a` (the step's synaptic input, int32) and the statements'
    targets. All are 64-bit integers while a program runs; a statement that must not grow says so
    with `clip` or `wrap`.

    Attributes:
        name: the field's name of the neuron; one network holds one program of a name.
        states: words kept between steps, 0 at reset.
        params: words fixed at compile time, one value per population or one per neuron.
        body: statements in order.
        emits: the word sent as the spike; 0 is silence. The last statement that sets it is a
            comparison, or a clip to the payload, so that no executor needs to look at values.
        native: executed by public Loihi tools without microcode, so that Lava is its judge.
        payload: smallest and largest value sent, each a number or the name of a parameter;
            (0, 1) is a plain spike.
        registers: smallest and largest value of a parameter, inclusive, by its name.
        bounds: `leaky`: states u and v obey `snndeploy.ir.ranges.leaky_ranges`; `none`: nothing
            but the input is bounded.
    """

    name: str
    states: tuple[State, ...]
    params: tuple[str, ...]
    body: tuple[Statement, ...]
    emits: str
    native: bool = False
    payload: tuple[Operand, Operand] = (0, 1)
    registers: Mapping[str, tuple[int, int]] = field(default_factory=dict, hash=False)
    bounds: Bounds = "none"

    def __post_init__(self) -> None:
        """Raise ModelError E1066 if a statement or a declaration makes no sense."""
        object.__setattr__(self, "registers", MappingProxyType(dict(self.registers)))
        for problem in _problems(self):
            raise ModelError(
                "E1066", problem, where=self.name, remedy="see CONTRIBUTING.md, Adding a neuron"
            )

    @property
    def cost(self) -> int:
        """Statements per update."""
        return len(self.body)

    @property
    def is_graded(self) -> bool:
        """Whether a spike carries more than that it happened."""
        return self.payload != (0, 1)


def _problems(program: Program) -> Iterator[str]:
    """Yield what is wrong with a program, the first thing first."""
    names = ["a", *program.params, *(state.name for state in program.states)]
    known = set(names)
    if len(known) < len(names) or TAKEN in names:
        yield f"names {', '.join(names)}: each once, and none may be {TAKEN}"
    for statement in program.body:
        if ARITY.get(statement.op) != len(statement.args):
            yield f"{statement.op} with {len(statement.args)} arguments"
        for arg in statement.args:
            if not isinstance(arg, int) and arg not in known:
                yield f"{arg} is used before it is set"
        if statement.target in ("a", *program.params):
            yield f"{statement.target} is given, not set"
        known.add(statement.target)
    for name in (*program.registers, *(end for end in program.payload if isinstance(end, str))):
        if name not in program.params:
            yield f"{name} is no parameter"
    last = next((s for s in reversed(program.body) if s.target == program.emits), None)
    is_spike = last is not None and last.op in ("gt", "le") and not program.is_graded
    is_clip = last is not None and last.op == "clip" and last.args[1:] == program.payload
    if not (is_spike or is_clip):
        low, high = program.payload
        yield f"{program.emits} is not set by a comparison or by clip to {low}..{high}"


def line(target: str, op: Op, *args: Operand) -> Statement:
    """Return one statement."""
    return Statement(target, op, args)


def as_params(values: Mapping[str, IntArray | int]) -> Params:
    """Return parameters as arrays, [1] or [n]; raise ValueError for what is no integer."""
    return {name: frozen_int(value).reshape(-1) for name, value in values.items()}
