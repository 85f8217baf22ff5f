"""Elementwise arithmetic of an exported program: expressions of states, layers and constants.

A neuron in such a program is a handful of additions, products and a comparison. They are kept as
expressions, so that `cells` can ask what they compute instead of how they were written.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snndeploy.frontends.exported import Operation


@dataclass(frozen=True, slots=True)
class State:
    """What a neuron left in the step before, by the name of the program's input."""

    name: str


@dataclass(frozen=True, eq=False, slots=True)
class Source:
    """What a layer answers, or the program's input: a signal that is read when it is needed."""

    name: str
    operation: Operation | None = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class Expr:
    """An operation on expressions, states, sources, arrays and numbers."""

    op: str
    args: tuple[Any, ...]
    name: str
    path: str

    @property
    def is_comparison(self) -> bool:
        """Whether it gives 0 or 1."""
        return self.op in COMPARISONS


Leaf = State | Source
COMPARISONS = ("gt", "ge", "lt", "le")
SAME = ("to", "clone", "detach", "alias", "lift_fresh_copy", "contiguous", "_to_copy")
"""Operations that change no value of a float, or a comparison to 0.0 and 1.0."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b, alpha=1: a + alpha * b,
    "sub": lambda a, b, alpha=1: a - alpha * b,
    "rsub": lambda a, b, alpha=1: b - alpha * a,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "exp": np.exp,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "reciprocal": lambda a: 1 / a,
    "clamp": lambda a, low=None, high=None: np.clip(
        a, -np.inf if low is None else low, np.inf if high is None else high
    ),
    "clamp_min": np.maximum,
    "clamp_max": np.minimum,
    "relu": lambda a: np.maximum(a, 0.0),
    "where": lambda c, a, b: np.where(c != 0, a, b),
    "logical_not": lambda a: (a == 0).astype(np.float64),
    "zeros_like": np.zeros_like,
    "ones_like": np.ones_like,
    "gt": lambda a, b: (a > b).astype(np.float64),
    "ge": lambda a, b: (a >= b).astype(np.float64),
    "lt": lambda a, b: (a < b).astype(np.float64),
    "le": lambda a, b: (a <= b).astype(np.float64),
    **{name: lambda a, *_: a for name in SAME},
}


def is_known(op: str) -> bool:
    """Return whether an operation acts element by element, as far as we know it."""
    return op in FUNCTIONS


def calculate(op: str, args: tuple[Any, ...]) -> Any:
    """Return the value of an operation on arrays and numbers, in float64."""
    with np.errstate(all="ignore"):
        return FUNCTIONS[op](*(np.asarray(a, np.float64) if _is_number(a) else a for a in args))


def leaves(value: Any) -> Iterator[Leaf]:
    """Yield the states and sources of an expression."""
    if isinstance(value, State | Source):
        yield value
    elif isinstance(value, Expr):
        for arg in value.args:
            yield from leaves(arg)


def states_of(value: Any) -> frozenset[str]:
    """Return the names of the states that an expression reads."""
    return frozenset(leaf.name for leaf in leaves(value) if isinstance(leaf, State))


def own_states(value: Any) -> frozenset[str]:
    """Return the same without those that other neurons' spikes were made of.

    Such spikes are a comparison that reads a source; a neuron's own, one step old, reads none.
    """
    if isinstance(value, Expr) and not is_spikes(value):
        return frozenset(name for arg in value.args for name in own_states(arg))
    return states_of(value) if isinstance(value, State) else frozenset()


def is_spikes(value: Any) -> bool:
    """Return whether a value is what a neuron sends in this step."""
    is_comparison = isinstance(value, Expr) and value.is_comparison
    return is_comparison and any(isinstance(leaf, Source) for leaf in leaves(value))


def evaluate(value: Any, known: Mapping[Any, Any]) -> Any:
    """Return an expression's value where its leaves have these values.

    Args:
        value: expression.
        known: values of states by their `State`, and of sources and expressions by their id.

    Raises:
        KeyError: it reads a state or source whose value is not known.
    """
    found: dict[int, Any] = {}

    def walk(part: Any) -> Any:
        if isinstance(part, State):
            return known[part]
        if id(part) in known or isinstance(part, Source):
            return known[id(part)]
        if not isinstance(part, Expr):
            return part
        if id(part) not in found:
            found[id(part)] = calculate(part.op, tuple(walk(arg) for arg in part.args))
        return found[id(part)]

    return walk(value)


def unwrapped(value: Any) -> Any:
    """Return what is under operations that change nothing, a product with ones among them."""
    while isinstance(value, Expr):
        if value.op in SAME:
            value = value.args[0]
        elif value.op == "mul" and any(_is_one(arg) for arg in value.args):
            value = next(arg for arg in value.args if not _is_one(arg))
        else:
            break
    return value


def _is_one(value: Any) -> bool:
    return _is_number(value) and bool(np.all(np.asarray(value) == 1))


def _is_number(value: Any) -> bool:
    return isinstance(value, np.ndarray | int | float | np.generic) and not isinstance(value, bool)
