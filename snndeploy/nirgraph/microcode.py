"""A neuron that NIR has no node for: an integer program of its user's, and its real parameters.

Its float model is the program itself over the reals: the same statements without rounding, wraps
left out; in a model of integers it is the program as the chip runs it. Its integers follow from the
kind of each parameter and the unit that its layer is given, so a program and a line per parameter
are all that a neuron takes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import nir
import numpy as np

from snndeploy.errors import ModelError
from snndeploy.ir.arrays import AnyArray, FloatArray
from snndeploy.ir.interpret import OPS
from snndeploy.ir.program import Op, Program
from snndeploy.semantics import Semantics

Kind = Literal["level", "share", "count"]
KINDS: tuple[str, ...] = get_args(Kind)
SHARE = 4096
"""A share of 1 as an integer: Loihi's decays have 12 bits."""
Words = dict[str, AnyArray]


@dataclass(frozen=True, eq=False, slots=True)
class Parameter:
    """A real parameter of a neuron and how it becomes an integer.

    Attributes:
        value: one value, or one per neuron; whatever makes an array.
        kind: `level`: in units of the neuron's input, scaled like it; `share`: of 1, in 1/4096;
            `count`: an integer as it is.
    """

    value: FloatArray
    kind: Kind

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", np.array(self.value, dtype=np.float64))


@dataclass(eq=False, kw_only=True)
class Microcode(nir.NIRNode):  # type: ignore[misc]  # nir has no types
    """A neuron node that runs a program.

    Attributes:
        program: what it does in a step; it reads its input as `a`.
        parameters: the program's, by name.
        fraction_bits: bits of its states below a unit of the input (its shift of `a`).
    """

    program: Program
    parameters: Mapping[str, Parameter]
    fraction_bits: int = 6
    input_type: Any = field(default_factory=dict)
    output_type: Any = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing is inferred here; `snndeploy.nirgraph.shapes` sets the types."""

    @property
    def payload(self) -> tuple[int, int]:
        """The smallest and largest value that a neuron sends."""
        low, high = self.program.payload
        return (
            low if isinstance(low, int) else int(self.parameters[low].value.min()),
            high if isinstance(high, int) else int(self.parameters[high].value.max()),
        )

    def words(self, shape: tuple[int, ...]) -> Words:
        """Return the parameters over the reals, in the states' unit, [*shape] or [1] each."""
        return {
            name: _shaped(parameter.value, shape) * self.scale_of(name)
            for name, parameter in self.parameters.items()
        }

    def scale_of(self, name: str, unit: float = 1.0) -> float:
        """Return register / real value of a parameter; `unit` is the real value of 1 arriving."""
        match self.parameters[name].kind:
            case "level":
                return 2.0**self.fraction_bits / unit
            case "share":
                return float(SHARE)
            case "count":
                return 1.0


def check_microcode(name: str, node: Microcode, n: int) -> None:
    """Check that a node's parameters are those of its program.

    Raises:
        ModelError: E1023, others, not finite, not [1] or [n], or a share outside 0..1.
    """
    if set(node.parameters) != set(node.program.params):
        raise ModelError(
            "E1023",
            f"parameters {', '.join(node.parameters)}; program {node.program.name} takes "
            f"{', '.join(node.program.params)}",
            where=name,
        )
    for key, parameter in node.parameters.items():
        value = np.asarray(parameter.value, dtype=np.float64)
        fits = value.size in (1, n) and np.isfinite(value).all() and parameter.kind in KINDS
        if not fits or (parameter.kind == "share" and np.any((value < 0) | (value > 1))):
            raise ModelError(
                "E1023", f"{key} does not fit: {parameter.kind} {value.shape}", where=name
            )


@dataclass(frozen=True, eq=False, slots=True)
class Arithmetic:
    """Numbers that a program runs on, and what each of its operations means."""

    number: type[np.generic]
    operations: Mapping[Op, Callable[..., Any]]


def arithmetic_of(semantics: Semantics) -> Arithmetic:
    """Return the chip's integers for a model that computes in them, else the reals."""
    return INTEGERS if semantics.integer else REALS


def first_words(node: Microcode, shape: tuple[int, ...], numbers: Arithmetic) -> Words:
    """Return the states before the first step of [B, *shape] neurons: zeros."""
    return {state.name: np.zeros(shape, numbers.number) for state in node.program.states}


def fixed_words(node: Microcode, shape: tuple[int, ...], numbers: Arithmetic) -> Words:
    """Return the parameters, [*shape] or [1] each."""
    return {name: _as(numbers, value) for name, value in node.words(shape).items()}


def step_microcode(
    node: Microcode, parameters: Words, states: Words, x: FloatArray, numbers: Arithmetic
) -> tuple[FloatArray, Words]:
    """Take one step of the program with the input x [B, *shape]."""
    words = {**parameters, **states, "a": _as(numbers, x)}
    for statement in node.program.body:
        args = [words[a] if isinstance(a, str) else numbers.number(a) for a in statement.args]
        words[statement.target] = np.asarray(numbers.operations[statement.op](*args))
    after = {name: np.broadcast_to(words[name], x.shape) for name in states}
    return np.broadcast_to(words[node.program.emits], x.shape).astype(np.float64), after


def run_microcode(node: Microcode, x: FloatArray, numbers: Arithmetic) -> FloatArray:
    """Run a layer over x [T, B, *shape]; return what it sends, of the same shape."""
    out, states = np.empty(x.shape), first_words(node, x.shape[1:], numbers)
    parameters = fixed_words(node, x.shape[2:], numbers)
    for t, x_now in enumerate(x):
        out[t], states = step_microcode(node, parameters, states, x_now, numbers)
    return out


def _as(numbers: Arithmetic, values: FloatArray) -> AnyArray:
    """Return values as such numbers; integers are the nearest ones."""
    whole = numbers is INTEGERS
    return np.asarray(np.rint(values) if whole else values).astype(numbers.number)


def _shaped(value: Any, shape: tuple[int, ...]) -> FloatArray:
    array = np.asarray(value, dtype=np.float64)
    return array.reshape(1) if array.size == 1 else array.reshape(shape)


OVER_THE_REALS: Mapping[Op, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "shift": lambda a, b: a * np.exp2(b),
    "shz": lambda a, b: a / np.exp2(b),
    "gt": np.greater,
    "le": np.less_equal,
    "max": np.maximum,
    "select": lambda a, b, c: np.where(a != 0, b, c),
    "clip": np.clip,
    "wrap": lambda a, _: a,
}
"""What an operation of `snndeploy.ir.program` means without rounding."""
REALS = Arithmetic(np.float64, OVER_THE_REALS)
INTEGERS = Arithmetic(np.int64, OPS)
