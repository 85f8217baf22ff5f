"""Any neuron program in many windows at once: statements become numpy calls on numbered slots.

Compiled once per population: every assignment gets a slot of its own, what depends on parameters
alone is computed there and then, the rest runs once per step over samples x neurons in 64-bit
integers. The operations are written here a second time, independent of the reference's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hwtargets.simulator.ran import Kernel, Left, Words
from snndeploy.ir.arrays import AnyArray
from snndeploy.ir.network import Population
from snndeploy.ir.program import Op, Params, Program, Statement

Function = Callable[..., AnyArray]


def shift(a: AnyArray, b: AnyArray) -> AnyArray:
    """Return a << b, or a >> -b rounded down where b is negative."""
    left: AnyArray = np.left_shift(a, np.maximum(b, 0))
    right: AnyArray = np.right_shift(left, np.maximum(-b, 0))
    return right


def shift_to_zero(a: AnyArray, b: AnyArray) -> AnyArray:
    """Return a / 2^b without its fraction: a negative a is lifted before it is rounded down."""
    one = np.int64(1)
    lifted: AnyArray = a + ((a >> 63) & ((one << b) - 1))
    whole: AnyArray = lifted >> b
    return whole


def wrap(a: AnyArray, bits: AnyArray) -> AnyArray:
    """Return the low bits of a as a signed word: the sign bit is moved to the top and back."""
    spare = 64 - bits
    low: AnyArray = np.left_shift(a, spare) >> spare
    return low


def select(a: AnyArray, b: AnyArray, c: AnyArray) -> AnyArray:
    """Return b where a is not 0, else c."""
    return np.where(np.not_equal(a, 0), b, c)


FUNCTIONS: Mapping[Op, Function] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "shift": shift,
    "shz": shift_to_zero,
    "gt": lambda a, b: np.greater(a, b).astype(np.int64),
    "le": lambda a, b: np.less_equal(a, b).astype(np.int64),
    "max": np.maximum,
    "select": select,
    "clip": lambda a, low, high: np.minimum(np.maximum(a, low), high),
    "wrap": wrap,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    """slots[target] = run(*slots[args]); `watched` names a clip or wrap whose effect is counted."""

    run: Function
    target: int
    args: tuple[int, ...]
    watched: str


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Compiled:
    """A population's program with its parameters.

    Attributes:
        constants: a value per slot, None where a step sets it; arrays [1] or [n].
        instructions: in order.
        input_slot: of `a`; `emits`: of the spike.
        states: slots of each state's value before and after the step, by name.
        spike_dtype: float32 for 0 and 1 (the next layer multiplies them), else int64.
    """

    constants: tuple[AnyArray | None, ...]
    instructions: tuple[Instruction, ...]
    input_slot: int
    emits: int
    states: Mapping[str, tuple[int, int]]
    spike_dtype: type[np.float32] | type[np.int64]


def compile_population(population: Population) -> Compiled:
    """Compile a population's program for its parameters."""
    program = population.program
    builder = _Builder(program, population.params)
    for statement in program.body:
        builder.add(statement)
    return Compiled(
        constants=tuple(builder.constants),
        instructions=tuple(builder.instructions),
        input_slot=builder.before["a"],
        emits=builder.slot_of[program.emits],
        states={
            state.name: (builder.before[state.name], builder.slot_of[state.name])
            for state in program.states
        },
        spike_dtype=np.int64 if population.is_graded else np.float32,
    )


class _Builder:
    """Numbers the slots of one program."""

    def __init__(self, program: Program, params: Params) -> None:
        self.constants: list[AnyArray | None] = []
        self.instructions: list[Instruction] = []
        self.slot_of: dict[str, int] = {}
        for name in ("a", *(state.name for state in program.states)):
            self.slot_of[name] = self.slot(None)
        self.before = dict(self.slot_of)
        for name, values in params.items():
            self.slot_of[name] = self.slot(values)

    def slot(self, value: AnyArray | None) -> int:
        self.constants.append(value)
        return len(self.constants) - 1

    def operand(self, arg: str | int) -> int:
        return self.slot(np.array([arg])) if isinstance(arg, int) else self.slot_of[arg]

    def add(self, statement: Statement) -> None:
        run = FUNCTIONS[statement.op]
        args = tuple(map(self.operand, statement.args))
        values = [self.constants[arg] for arg in args]
        if all(value is not None for value in values):
            self.slot_of[statement.target] = self.slot(run(*values))
            return
        watched = f"{statement.target}.{statement.op}" if statement.op in ("clip", "wrap") else ""
        target = self.slot(None)
        self.slot_of[statement.target] = target
        self.instructions.append(Instruction(run=run, target=target, args=args, watched=watched))


def kernel(population: Population) -> Kernel:
    """Return the kernel of a population; overflows are those of its clips and wraps."""
    code = compile_population(population)
    return Kernel(
        update=lambda a, states: update(a, states, code),
        states=tuple(code.states),
        watched=tuple(dict.fromkeys(i.watched for i in code.instructions if i.watched)),
        state_dtype=np.int64,
        spike_dtype=code.spike_dtype,
    )


def update(a: AnyArray, states: Words, code: Compiled) -> tuple[AnyArray, Words, Left]:
    """Run the statements once."""
    slots = list(code.constants)
    slots[code.input_slot] = a.astype(np.int64)
    for name, (before, _) in code.states.items():
        slots[before] = states[name]
    left: Left = []
    for instruction in code.instructions:
        args = [_set(slots[arg]) for arg in instruction.args]
        result = slots[instruction.target] = instruction.run(*args)
        if instruction.watched:
            left.append((instruction.watched, np.not_equal(result, args[0])))
    now = {
        name: np.broadcast_to(_set(slots[after]), a.shape)
        for name, (_, after) in code.states.items()
    }
    return np.broadcast_to(_set(slots[code.emits]), a.shape), now, left


def _set(values: AnyArray | None) -> AnyArray:
    assert values is not None
    return values
