"""Functions and tensor methods in a traced `forward`: which reader an operation goes to.

Names are those of torch; nothing of torch is imported. What no table has is refused by name.
"""

import operator
from dataclasses import replace
from math import prod
from typing import Any

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.draft import Draft, Signal
from snndeploy.frontends.joined import Joined, join
from snndeploy.frontends.logic import LOGIC
from snndeploy.frontends.methods import OPERATIONS, Call, Decoded, State, refusal, unpacked
from snndeploy.frontends.sums import SUMS, Operand, is_operand
from snndeploy.nirgraph.canonical import Shape

COLLECTED = ("stacked", "accumulated", "last")
"""Functions that `reroll` puts where a loop collects its steps."""
JOINS = ("cat", "concat", "concatenate")


def apply_operation(
    draft: Draft, path: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Apply a function or method by its name.

    Returns:
        A `Signal`, a `Decoded`, a `State`, a shape, a number or a tuple of these.

    Raises:
        UnsupportedError: E2001 (not in the table), E2004, E2006 (time), E2008 (an option).
    """
    operands = [argument for argument in args if is_operand(argument)]
    args = tuple(_number(argument, operands) for argument in args)
    first: Any = args[0] if args else None
    if name in COLLECTED:
        return _of_all_steps(name, *args)
    if isinstance(first, Decoded):
        return _rescale(path, name, first, args[1:])
    if name in JOINS and isinstance(first, tuple | list) and any(map(is_operand, first)):
        return join(path, first, kwargs.get("dim", args[1] if len(args) > 1 else 0))
    name = _two_valued(name, args)
    if name in LOGIC | SUMS and operands:
        return _combine(draft, path, name, args, kwargs)
    if not is_operand(first):
        return _apply_plain(path, name, args, kwargs)
    if name not in OPERATIONS:
        raise refusal(path, name)
    if isinstance(first, Joined):
        return _apply_joined(draft, path, name, first, args[1:], kwargs)
    call = Call(path=path, name=name, signal=first, args=args[1:], kwargs=kwargs)
    return OPERATIONS[name](draft, call)


def resized(value: Operand, sizes: Shape, time_axis: int = 0) -> Operand:
    """Return a signal or concatenation with other sizes of time and batch."""
    if isinstance(value, Joined):
        return value.each(lambda part, _: replace(part, sizes=sizes, time_axis=time_axis))
    return replace(value, sizes=sizes, time_axis=time_axis)


def _of_all_steps(name: str, value: Any, steps: int) -> Any:
    """Return what a rolled-up loop collects: all steps of a signal, or one of its reductions."""
    if not is_operand(value):
        return value
    whole = resized(value, (steps, *value.sizes[-1:]))
    if name == "stacked":
        return whole
    if isinstance(whole, Joined):
        raise UnsupportedError(
            "E2017", "a concatenation is summed over time or returned", where=name,
            remedy="collect its parts, or put a layer with weights behind it",
        )  # fmt: skip
    return Decoded(whole, "sum" if name == "accumulated" else "last")


def _number(value: Any, operands: list[Operand]) -> Any:
    """Return a constant tensor of one value that does not widen a signal as a number."""
    tensor = value.value if isinstance(value, State) else None
    if (
        tensor is None
        or not operands
        or not tensor.numel()
        or (tensor != tensor.flatten()[0]).any()
    ):
        return value
    full = (*operands[0].sizes, *operands[0].shape)
    pairs = zip(reversed(tensor.shape), reversed(full), strict=False)
    fits = tensor.ndim <= len(full) and all(size in (1, other) for size, other in pairs)
    return float(tensor.flatten()[0]) if fits else value


def _two_valued(name: str, args: tuple[Any, ...]) -> str:
    """Return `maximum` for max(x, y), which torch has under one name with max(x, dim)."""
    is_pair = name in ("max", "min") and len(args) > 1 and is_operand(args[1])
    return f"{name}imum" if is_pair else name


def _combine(
    draft: Draft, path: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Apply a sum or a gate; other operands than signals must be numbers."""
    others = [argument for argument in (*args, *kwargs.values()) if not is_operand(argument)]
    if not all(isinstance(other, int | float | None) for other in others):
        raise UnsupportedError(
            "E2013",
            f"{name!r} combines a signal with something that is neither a signal nor a number",
            where=path,
            remedy="put constants of more than one value into a layer's weights or bias",
        )
    try:
        return (LOGIC | SUMS)[name](draft, path, *args, **kwargs)
    except TypeError as error:
        raise refusal(path, name) from error


def _apply_joined(
    draft: Draft,
    path: str,
    name: str,
    joined: Joined,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Apply a function to every part of a concatenation, as long as channels stay in order."""
    if name in ("size", "getattr"):
        whole = replace(joined.parts[0], shape=joined.shape)
        return OPERATIONS[name](draft, Call(path, name, whole, args, kwargs))
    if name in ("view", "reshape"):
        leading = len(joined.sizes)
        wanted = tuple(unpacked(args))
        if wanted not in [(*joined.sizes, size) for size in (-1, prod(joined.shape))]:
            raise refusal(path, name)
        name, args, kwargs = "flatten", (leading,), {}
    return joined.each(
        lambda part, suffix: OPERATIONS[name](draft, Call(path + suffix, name, part, args, kwargs))
    )


def _rescale(path: str, name: str, value: Decoded, args: tuple[Any, ...]) -> Decoded:
    """Read a sum over all steps, divided by their number, as the mean."""
    steps = value.signal.sizes[value.signal.time_axis]
    if value.decode == "sum" and name in ("truediv", "div") and args == (steps,):
        return replace(value, decode="mean")
    raise refusal(path, name)


def _apply_plain(path: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Evaluate what is not a signal: items of tuples, states and shapes, arithmetic on sizes."""
    if name == "getitem" and isinstance(args[0], State) and args[0].value is None:
        return State(f"{args[0].name}[{args[1]}]")
    function = getattr(operator, name, None)
    is_plain = not any(isinstance(argument, Signal | State | Decoded) for argument in args)
    if function is None or kwargs or not is_plain:
        raise refusal(path, name)
    return function(*args)
