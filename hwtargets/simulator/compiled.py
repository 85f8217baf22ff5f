"""Any neuron program on whole windows: statements become numpy calls on numbered slots.

Compiled once per population: every assignment gets a slot of its own, what depends on parameters
alone is computed there and then, the rest runs once per step over samples x neurons in 64-bit
integers. The operations are written here a second time, independent of the reference's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hwtargets.simulator.ran import Ran, count
from snndeploy.ir.arrays import AnyArray, BoolArray
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


def run_windows(a: AnyArray, code: Compiled, exists: BoolArray, *, states: bool) -> Ran:
    """Run windows from the reset state; steps that do not exist leave state and spikes at zero.

    Args:
        a: synaptic input, int32 [n_windows, P, n].
        code: the population's program.
        exists: [n_windows, P]; within a window the existing steps are contiguous.
        states: whether states are returned.
    """
    n_windows, steps, n = a.shape
    spikes = np.empty(a.shape, dtype=code.spike_dtype)
    log = {name: np.empty(a.shape, dtype=np.int64) for name in code.states if states}
    zero: AnyArray = np.zeros((n_windows, n), dtype=np.int64)
    now: dict[str, AnyArray] = dict.fromkeys(code.states, zero)
    overflows = {instruction.watched: 0 for instruction in code.instructions if instruction.watched}
    for k in range(steps):
        live = None if exists[:, k].all() else exists[:, k, None]
        slots = list(code.constants)
        slots[code.input_slot] = a[:, k].astype(np.int64)
        for name, (before, _) in code.states.items():
            slots[before] = now[name]
        for instruction in code.instructions:
            args = [slots[arg] for arg in instruction.args]
            result = slots[instruction.target] = instruction.run(*args)
            if instruction.watched:
                overflows[instruction.watched] += count(result != args[0], live, zero.shape)
        now = {name: _living(slots[after], live) for name, (_, after) in code.states.items()}
        spikes[:, k] = _living(slots[code.emits], live)
        for name, values in log.items():
            values[:, k] = now[name]
    return Ran(spikes=spikes, states=log, overflows=overflows)


def _living(values: AnyArray | None, live: BoolArray | None) -> AnyArray:
    assert values is not None
    return values if live is None else values * live
