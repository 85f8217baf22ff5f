"""Additions, subtractions and factors in a traced forward: signals are sums of nodes' outputs.

A sum becomes several edges into the node that reads it; a factor becomes a `Scale` on its edge, so
that the same spikes added twice arrive with weight 2.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.draft import Draft, Signal
from snndeploy.frontends.joined import Joined

Operand = Signal | Joined
Elementwise = Callable[[str, Signal, Signal], Signal]


def is_operand(value: Any) -> bool:
    """Return whether a value is a signal or a concatenation of signals."""
    return isinstance(value, Signal | Joined)


def pairwise(path: str, x: Operand, y: Operand, function: Elementwise) -> Operand:
    """Apply a function to two signals of the same shape, or to the parts of two concatenations.

    Raises:
        UnsupportedError: E2013, they differ in shape, time or parts.
    """
    if isinstance(x, Joined) and isinstance(y, Joined):
        shapes = [tuple(part.shape for part in value.parts) for value in (x, y)]
        if shapes[0] == shapes[1]:
            other = y.parts
            return x.each(
                lambda part, suffix: function(path + suffix, part, other[int(suffix[1:])])
            )
    elif (
        isinstance(x, Signal)
        and isinstance(y, Signal)
        and (x.shape, x.sizes, x.padding) == (y.shape, y.sizes, y.padding)
    ):
        return function(path, x, y)
    raise UnsupportedError(
        "E2013",
        f"combines {x.text} with {y.text}; only values of one shape can be",
        where=path,
        remedy="bring both to one shape, with layers of their own, before they meet",
    )


def add(path: str, x: Any, y: Any, factor: float = 1.0) -> Operand:
    """Return x + factor * y; x or y may be a number."""
    if is_operand(x) and is_operand(y):
        return pairwise(path, x, y, lambda _, a, b: _sum(a, scaled(b, factor)))
    if is_operand(x):
        return _mapped(x, lambda signal: shifted(signal, factor * y))
    return _mapped(y, lambda signal: shifted(scaled(signal, factor), x))


def times(x: Operand, factor: float) -> Operand:
    """Return a multiple."""
    return _mapped(x, lambda signal: scaled(signal, factor))


def scaled(signal: Signal, factor: float) -> Signal:
    """Return a signal times a number."""
    if factor == 1.0:
        return signal
    terms = tuple((name, own * factor) for name, own in signal.terms if own * factor)
    payload = signal.payload.times(factor)
    return replace(signal, terms=terms, offset=signal.offset * factor, payload=payload)


def shifted(signal: Signal, offset: float) -> Signal:
    """Return a signal plus a number."""
    payload = signal.payload.shifted(offset)
    return replace(signal, offset=signal.offset + offset, payload=payload)


def _sum(x: Signal, y: Signal) -> Signal:
    factors = dict(x.terms)
    for name, factor in y.terms:
        factors[name] = factors.get(name, 0.0) + factor
    return replace(
        x,
        terms=tuple((name, factor) for name, factor in factors.items() if factor),
        payload=x.payload.plus(y.payload),
        offset=x.offset + y.offset,
        is_shared=x.is_shared or y.is_shared,
    )


def _mapped(value: Operand, function: Callable[[Signal], Signal]) -> Operand:
    if isinstance(value, Joined):
        return value.each(lambda part, _: function(part))
    return function(value)


def read_add(_draft: Draft, path: str, x: Any, y: Any, *, alpha: float = 1.0) -> Operand:
    """Read x + alpha * y."""
    return add(path, x, y, float(alpha))


def read_sub(_draft: Draft, path: str, x: Any, y: Any, *, alpha: float = 1.0) -> Operand:
    """Read x - alpha * y."""
    return add(path, x, y, -float(alpha))


def read_rsub(_draft: Draft, path: str, x: Any, y: Any) -> Operand:
    """Read y - x."""
    return add(path, y, x, -1.0)


def read_neg(_draft: Draft, _path: str, x: Operand) -> Operand:
    """Read -x."""
    return times(x, -1.0)


SUMS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("add", "iadd", "add_"), read_add),
    **dict.fromkeys(("sub", "isub", "sub_", "subtract"), read_sub),
    "rsub": read_rsub,
    **dict.fromkeys(("neg", "negative"), read_neg),
}
"""Readers by torch's and Python's names: (draft, path, x, y)."""
