"""Functions and tensor methods in a traced `forward`: reshapes, pools, sums, logic, sizes, states.

Names are those of torch; nothing of torch is imported. What is not in `OPERATIONS` is refused by
name.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from types import SimpleNamespace
from typing import Any

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.borders import pad, subsample
from snndeploy.frontends.draft import Draft, Signal
from snndeploy.frontends.joined import Joined, join
from snndeploy.frontends.layers import append_flatten, read_avg_pool, read_max_pool
from snndeploy.frontends.logic import LOGIC
from snndeploy.frontends.sums import SUMS, Operand, is_operand
from snndeploy.ir.network import Decode
from snndeploy.nirgraph.canonical import Shape


@dataclass(frozen=True, slots=True)
class State:
    """A neuron's state on its way into, through or out of forward; `value` if it is a tensor."""

    name: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """A signal of all steps that forward itself reduces over time: nothing may follow."""

    signal: Signal
    decode: Decode


@dataclass(frozen=True, slots=True)
class Call:
    """A function or method applied to a signal; `args` are those after the signal."""

    path: str
    name: str
    signal: Signal
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def values(self, **defaults: Any) -> list[Any]:
        """Return the arguments of these names, in the order in which torch takes them."""
        given = dict(zip(defaults, self.args, strict=False)) | self.kwargs
        return [given.get(name, default) for name, default in defaults.items()]


def apply_operation(
    draft: Draft, path: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Apply a function or method by its name.

    Returns:
        A `Signal`, a `Decoded`, a `State`, a shape, a number or a tuple of these.

    Raises:
        UnsupportedError: E2001 (not in the table), E2004, E2006 (time), E2008 (an option).
    """
    args = tuple(_number(argument) for argument in args)
    first: Any = args[0] if args else None
    if name in COLLECTED:
        return _of_all_steps(name, *args)
    if isinstance(first, Decoded):
        return _rescale(path, name, first, args[1:])
    if name in JOINS and isinstance(first, tuple | list) and any(map(is_operand, first)):
        return join(path, first, kwargs.get("dim", args[1] if len(args) > 1 else 0))
    name = _two_valued(name, args)
    if name in LOGIC | SUMS and any(map(is_operand, args)):
        return _combine(draft, path, name, args, kwargs)
    if not is_operand(first):
        return _apply_plain(path, name, args, kwargs)
    if name not in OPERATIONS:
        raise _refusal(path, name)
    if isinstance(first, Joined):
        return _apply_joined(draft, path, name, first, args[1:], kwargs)
    call = Call(path=path, name=name, signal=first, args=args[1:], kwargs=kwargs)
    return OPERATIONS[name](draft, call)


def resized(value: Operand, sizes: Shape) -> Operand:
    """Return a signal or concatenation with other sizes of time and batch."""
    if isinstance(value, Joined):
        return value.each(lambda part, _: replace(part, sizes=sizes))
    return replace(value, sizes=sizes)


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


def _number(value: Any) -> Any:
    """Return a parameter of one value as a number; anything else as it is."""
    tensor = value.value if isinstance(value, State) else None
    return value if tensor is None or tensor.numel() != 1 or tensor.ndim else float(tensor)


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
        raise _refusal(path, name) from error


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
        wanted = tuple(_unpacked(args))
        if wanted not in [(*joined.sizes, size) for size in (-1, prod(joined.shape))]:
            raise _refusal(path, name)
        name, args, kwargs = "flatten", (leading,), {}
    return joined.each(
        lambda part, suffix: OPERATIONS[name](draft, Call(path + suffix, name, part, args, kwargs))
    )


def _rescale(path: str, name: str, value: Decoded, args: tuple[Any, ...]) -> Decoded:
    """Read a sum over all steps, divided by their number, as the mean."""
    steps = value.signal.sizes[0]
    if value.decode == "sum" and name in ("truediv", "div") and args == (steps,):
        return replace(value, decode="mean")
    raise _refusal(path, name)


def _refusal(path: str, name: str) -> UnsupportedError:
    return UnsupportedError(
        "E2001",
        f"forward applies {name!r}, which is not supported",
        where=path,
        remedy="use convolutions, linear layers, pools, flatten, spiking neurons, sums and "
        "products of spikes",
    )


def _apply_plain(path: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Evaluate what is not a signal: items of tuples, states and shapes, arithmetic on sizes."""
    if name == "getitem" and isinstance(args[0], State) and args[0].value is None:
        return State(f"{args[0].name}[{args[1]}]")
    function = getattr(operator, name, None)
    is_plain = not any(isinstance(argument, Signal | State | Decoded) for argument in args)
    if function is None or kwargs or not is_plain:
        raise _refusal(path, name)
    return function(*args)


def _same(_draft: Draft, call: Call) -> Signal:
    return call.signal


def _size(_draft: Draft, call: Call) -> Any:
    full = (*call.signal.sizes, *call.signal.shape)
    return full[call.args[0]] if call.args else full


def _getattr(_draft: Draft, call: Call) -> Any:
    if call.args[0] != "shape":
        raise _refusal(call.path, str(call.args[0]))
    return (*call.signal.sizes, *call.signal.shape)


def _getitem(draft: Draft, call: Call) -> Any:
    return subsample(draft, call.path, call.signal, call.args[0])


def _pad(draft: Draft, call: Call) -> Signal:
    widths, mode, value = call.values(pad=(), mode="constant", value=None)
    return pad(draft, call.path, call.signal, widths, mode, value)


def _dropout(draft: Draft, call: Call) -> Signal:
    _, training = call.values(p=0.5, training=True)
    if training:
        raise UnsupportedError(
            "E2008", "dropout that acts after the training too", where=call.path,
            remedy="call dropout(x, p, self.training), or use nn.Dropout",
        )  # fmt: skip
    draft.note("dropped", call.path, "dropout acts in training only")
    return call.signal


def _flatten(draft: Draft, call: Call) -> Signal:
    start, end = call.values(start_dim=0, end_dim=-1)
    leading = len(call.signal.sizes)
    return append_flatten(draft, call.path, call.signal, start=start, end=end, leading=leading)


def _reshape(draft: Draft, call: Call) -> Signal:
    """Flatten all features, or change nothing."""
    signal, wanted = call.signal, _unpacked(call.args)
    full = (*signal.sizes, *signal.shape)
    known = prod(size for size in wanted if size != -1)
    target = tuple(prod(full) // known if size == -1 else size for size in wanted)
    if target == full:
        return signal
    if target != (*signal.sizes, prod(signal.shape)):
        raise UnsupportedError(
            "E2008", f"{call.name}{wanted} of shape {full} is not supported", where=call.path,
            remedy="only flattening all features is: x.flatten(1)",
        )  # fmt: skip
    leading = len(signal.sizes)
    return append_flatten(draft, call.path, signal, start=leading, end=-1, leading=leading)


def _pool(draft: Draft, call: Call) -> Signal:
    """Apply a functional 2-D pool as if it were a module with these options."""
    if len(call.signal.sizes) == 2:
        raise UnsupportedError(
            "E2006", f"{call.name} takes time for batch", where=call.path,
            remedy="use spikingjelly's layer of this name, or one step per call of forward",
        )  # fmt: skip
    options: dict[str, Any] = dict.fromkeys(("stride", "divisor_override")) | {
        "padding": 0, "dilation": 1, "ceil_mode": False, "count_include_pad": True,
        "return_indices": False,
    }  # fmt: skip
    read, order = POOLS[call.name]
    options |= dict(zip(order, call.args, strict=False)) | call.kwargs
    return read(draft, call.path, SimpleNamespace(**options), call.signal)


def _unsqueeze(_draft: Draft, call: Call) -> Signal:
    if len(call.signal.sizes) != 1 or call.values(dim=None) != [0]:
        raise _refusal(call.path, call.name)
    return replace(call.signal, sizes=(1, *call.signal.sizes))


def _repeat(_draft: Draft, call: Call) -> Signal:
    """Show a frame at every step of a new time dimension in front; nothing else is repeated."""
    signal, counts = call.signal, _unpacked(call.args)
    frame = signal if len(signal.sizes) == 2 else replace(signal, sizes=(1, *signal.sizes))
    rest = (frame.sizes[-1], *frame.shape)
    kept = [(1,) * len(rest)] if call.name == "repeat" else [(-1,) * len(rest), rest]
    if frame.sizes[0] != 1 or counts[0] < 1 or counts[1:] not in kept:
        raise _refusal(call.path, call.name)
    return replace(frame, sizes=(counts[0], frame.sizes[-1]))


def _decode(_draft: Draft, call: Call) -> Decoded:
    dim, keepdim = call.values(dim=None, keepdim=False)
    if len(call.signal.sizes) != 2 or dim not in (0, (0,)) or keepdim:
        raise _refusal(call.path, call.name)
    return Decoded(call.signal, "mean" if call.name == "mean" else "sum")


def _unpacked(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(args[0]) if args and isinstance(args[0], tuple | list) else args


COLLECTED = ("stacked", "accumulated", "last")
"""Functions that `reroll` puts where a loop collects its steps."""
JOINS = ("cat", "concat", "concatenate")
POOLS = {
    "max_pool2d": (
        read_max_pool,
        ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    ),
    "avg_pool2d": (
        read_avg_pool,
        ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    ),
}
"""Functional pools: their reader and the order of their positional arguments."""

OPERATIONS: dict[str, Callable[[Draft, Call], Any]] = {
    **dict.fromkeys(("contiguous", "float", "detach", "clone"), _same),
    **dict.fromkeys(("view", "reshape"), _reshape),
    **dict.fromkeys(("repeat", "expand"), _repeat),
    **dict.fromkeys(("mean", "sum"), _decode),
    **dict.fromkeys(POOLS, _pool),
    "dropout": _dropout,
    "flatten": _flatten,
    "getattr": _getattr,
    "getitem": _getitem,
    "pad": _pad,
    "size": _size,
    "unsqueeze": _unsqueeze,
}
"""What forward may do to a signal, by torch's names of functions and methods."""
