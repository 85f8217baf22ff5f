"""Spiking logic in a traced forward: products, maxima, minima, clamps and comparisons of spikes.

Because spikes are 0 or 1, each is a threshold on a sum: AND = a + b > 1.5, OR = a + b > 0.5,
(1 - a) * b = b - a > 0.5. Anything but spikes is refused by name.
"""

from collections.abc import Callable
from dataclasses import replace
from math import ceil, floor, inf
from typing import Any

import nir
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.draft import Draft, Signal
from snndeploy.frontends.joined import Joined
from snndeploy.frontends.sums import Operand, add, is_operand, pairwise, times
from snndeploy.nirgraph.payload import SPIKES


def gate(draft: Draft, path: str, signal: Signal, threshold: float) -> Signal:
    """Return spikes where a sum of spikes exceeds a threshold.

    Raises:
        UnsupportedError: E2016, it would fire while nothing else does.
    """
    rest = threshold - signal.offset
    if rest < 0:
        raise UnsupportedError(
            "E2016",
            f"fires while {signal.origin} is silent; a gate needs a spike to fire",
            where=path,
            remedy="use AND (a * b), OR (torch.maximum) or b and not a ((1 - a) * b)",
        )
    node = nir.Threshold(threshold=np.full(signal.shape, rest))
    return draft.append(path, node, replace(signal, offset=0.0), payload=SPIKES)


def both(draft: Draft, path: str, x: Operand, y: Operand) -> Operand:
    """Return the AND of spikes."""
    return pairwise(path, x, y, lambda p, a, b: _gate_of_two(draft, p, a, b, 1.5))


def either(draft: Draft, path: str, x: Operand, y: Operand) -> Operand:
    """Return the OR of spikes."""
    return pairwise(path, x, y, lambda p, a, b: _gate_of_two(draft, p, a, b, 0.5))


def read_mul(draft: Draft, path: str, x: Any, y: Any) -> Operand:
    """Read a product: a factor, or an AND."""
    if is_operand(x) and is_operand(y):
        return both(draft, path, x, y)
    signal, factor = (x, y) if is_operand(x) else (y, x)
    return times(signal, float(factor))


def read_div(_draft: Draft, path: str, x: Any, y: Any) -> Operand:
    """Read a division by a number."""
    if is_operand(y) or not y:
        raise _not_spikes(path, "divides by", y if is_operand(y) else None)
    return times(x, 1.0 / float(y))


def read_clamp(draft: Draft, path: str, x: Operand, *args: Any, **kwargs: Any) -> Operand:
    """Read a clamp of whole numbers to 0 and 1, e.g. clamp(a + b, max=1)."""
    given = dict(zip(("min", "max"), args, strict=False)) | kwargs
    low, high = given.get("min"), given.get("max")
    low, high = -inf if low is None else float(low), inf if high is None else float(high)
    return _each(path, x, lambda p, signal: _clamp(draft, p, signal, low, high))


def read_greater(draft: Draft, path: str, x: Any, y: Any) -> Operand:
    """Read x > y of whole numbers and a number."""
    return _compare(draft, path, x, y, lambda number: floor(number) + 0.5)


def read_greater_equal(draft: Draft, path: str, x: Any, y: Any) -> Operand:
    """Read x >= y of whole numbers and a number."""
    return _compare(draft, path, x, y, lambda number: ceil(number) - 0.5)


def read_not(_draft: Draft, path: str, x: Operand) -> Operand:
    """Read 1 - x of spikes."""
    for part in x.parts if isinstance(x, Joined) else (x,):
        if not part.is_spikes:
            raise _not_spikes(path, "negates", part)
    return add(path, 1.0, x, -1.0)


def read_xor(draft: Draft, path: str, x: Operand, y: Operand) -> Operand:
    """Read a + b - 2 (a and b) of spikes."""

    def of_two(p: str, a: Signal, b: Signal) -> Signal:
        joint = _gate_of_two(draft, p, a, b, 1.5)
        found = add(p, add(p, a, b), joint, -2.0)
        assert isinstance(found, Signal)
        return replace(found, payload=SPIKES)

    return pairwise(path, x, y, of_two)


def _gate_of_two(draft: Draft, path: str, a: Signal, b: Signal, threshold: float) -> Signal:
    for signal in (a, b):
        if not signal.is_spikes:
            raise _not_spikes(path, "multiplies or joins", signal)
    total = add(path, a, b)
    assert isinstance(total, Signal)
    return gate(draft, path, total, threshold)


def _clamp(draft: Draft, path: str, signal: Signal, low: float, high: float) -> Signal:
    payload = signal.payload
    if low <= payload.low and payload.high <= high:
        return signal
    low, high = max(low, payload.low), min(high, payload.high)
    if not payload.is_whole or (low, high) != (0.0, 1.0):
        raise _not_spikes(path, f"clamps to [{low:g}, {high:g}]", signal)
    return gate(draft, path, signal, 0.5)


def _compare(
    draft: Draft, path: str, x: Any, y: Any, threshold: Callable[[float], float]
) -> Operand:
    if not is_operand(x) or is_operand(y):
        raise _not_spikes(path, "compares with", y if isinstance(y, Signal) else None)

    def of_one(p: str, signal: Signal) -> Signal:
        if not signal.payload.is_whole:
            raise _not_spikes(p, "compares", signal)
        return gate(draft, p, signal, threshold(float(y)))

    return _each(path, x, of_one)


def _each(path: str, x: Operand, function: Callable[[str, Signal], Signal]) -> Operand:
    if isinstance(x, Joined):
        return x.each(lambda part, suffix: function(path + suffix, part))
    return function(path, x)


def _not_spikes(path: str, what: str, signal: Any) -> UnsupportedError:
    found = f"{signal.payload.text} ({signal.origin})" if isinstance(signal, Signal) else "these"
    return UnsupportedError(
        "E2014",
        f"{what} {found}; between two values only spikes (0 or 1) have an exact gate",
        where=path,
        remedy="do it behind the neurons, where values are spikes, or add instead",
    )


LOGIC: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("mul", "imul", "mul_", "multiply"), read_mul),
    **dict.fromkeys(("truediv", "itruediv", "div", "div_", "divide", "true_divide"), read_div),
    **dict.fromkeys(("and_", "iand", "logical_and", "bitwise_and", "minimum"), both),
    **dict.fromkeys(("or_", "ior", "logical_or", "bitwise_or", "maximum"), either),
    **dict.fromkeys(("xor", "ixor", "logical_xor", "bitwise_xor"), read_xor),
    **dict.fromkeys(("clamp", "clamp_", "clip", "clip_"), read_clamp),
    **dict.fromkeys(("clamp_max", "clamp_max_"), lambda d, p, x, m: read_clamp(d, p, x, max=m)),
    **dict.fromkeys(("clamp_min", "clamp_min_"), lambda d, p, x, m: read_clamp(d, p, x, min=m)),
    **dict.fromkeys(("gt", "greater"), read_greater),
    **dict.fromkeys(("ge", "greater_equal"), read_greater_equal),
    **dict.fromkeys(("logical_not", "invert", "bitwise_not"), read_not),
}
"""Readers by torch's and Python's names: (draft, path, x, y)."""
