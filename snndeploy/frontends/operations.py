"""Functions and tensor methods in a traced `forward`: reshapes, functional pools, sizes, states.

Names are those of torch; nothing of torch is imported. What is not here is refused by name.
"""

import operator
from dataclasses import dataclass, replace
from math import prod
from types import SimpleNamespace
from typing import Any

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.draft import Draft, Signal
from snndeploy.frontends.layers import append_flatten, read_avg_pool, read_max_pool
from snndeploy.ir.network import Decode


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


SAME = ("contiguous", "float", "detach", "clone", "dropout")
RESHAPES = ("view", "reshape")
REPEATS = ("unsqueeze", "repeat", "expand")
POOLS = {"max_pool2d": read_max_pool, "avg_pool2d": read_avg_pool}
DECODES: dict[str, Decode] = {"mean": "mean", "sum": "sum"}


def apply_operation(
    draft: Draft, path: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Apply a function or method by its name.

    Returns:
        A `Signal`, a `Decoded`, a `State`, a shape, a number or a tuple of these.

    Raises:
        UnsupportedError: E2001 (not in the table), E2004, E2006 (time), E2008 (an option).
    """
    value = args[0] if args else None
    if not isinstance(value, Signal):
        return _apply_plain(path, name, args, kwargs)
    leading = len(value.sizes)
    if name in SAME:
        return value
    if name in ("getattr", "size"):
        return _size(path, value, name, args)
    if name == "flatten":
        start, end = _arguments(args, kwargs, start_dim=0, end_dim=-1)
        return append_flatten(draft, path, value, start=start, end=end, leading=leading)
    if name in RESHAPES:
        return _reshape(draft, path, name, value, args[1:])
    if name in POOLS:
        return _pool(draft, path, name, value, args[1:], kwargs)
    if name in REPEATS:
        return _repeat(path, name, value, args[1:], kwargs)
    if name in DECODES and leading == 2 and _arguments(args, kwargs, dim=None) in ([0], [(0,)]):
        return Decoded(value, DECODES[name])
    if name == "getitem" and leading == 2:
        raise time_inside("one step is taken out of the sequence", path)
    raise refuse_operation(path, name)


def refuse_operation(path: str, name: str) -> UnsupportedError:
    """Return the error for an operation without a spiking form here."""
    what = "adds two values" if name in ("add", "iadd", "add_") else f"applies {name!r}"
    return UnsupportedError(
        "E2001",
        f"forward {what}, which is not supported",
        where=path,
        remedy="use a chain of convolutions, linear layers, pools, flatten and spiking neurons",
    )


def time_inside(what: str, path: str) -> UnsupportedError:
    """Return the error for a time loop inside forward."""
    return UnsupportedError(
        "E2006",
        f"{what}: a time loop inside forward is not supported yet",
        where=path,
        remedy="let forward take one step and loop outside (time='outer'), or use SpikingJelly's "
        "step_mode 'm' (time='module')",
    )


def _apply_plain(path: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Evaluate what is not a signal: items of tuples, states and shapes, arithmetic on sizes."""
    if name == "getitem" and isinstance(args[0], State) and args[0].value is None:
        return State(f"{args[0].name}[{args[1]}]")
    if any(isinstance(argument, Signal | State | Decoded) for argument in args):
        raise refuse_operation(path, name)
    function = getattr(operator, name, None)
    if function is None or kwargs:
        raise refuse_operation(path, name)
    return function(*args)


def _size(path: str, value: Signal, name: str, args: tuple[Any, ...]) -> Any:
    full = (*value.sizes, *value.shape)
    if name == "getattr" and args[1] != "shape":
        raise refuse_operation(path, str(args[1]))
    return full if name == "getattr" or len(args) == 1 else full[args[1]]


def _reshape(draft: Draft, path: str, name: str, value: Signal, dims: tuple[Any, ...]) -> Signal:
    wanted = dims[0] if dims and isinstance(dims[0], tuple | list) else dims
    full = (*value.sizes, *value.shape)
    known = prod(size for size in wanted if size != -1)
    target = tuple(prod(full) // known if size == -1 else size for size in wanted)
    if target == full:
        return value
    if target != (*value.sizes, prod(value.shape)):
        raise UnsupportedError(
            "E2008", f"{name}{tuple(wanted)} of shape {full} is not supported", where=path,
            remedy="only flattening all features is: x.flatten(1)",
        )  # fmt: skip
    leading = len(value.sizes)
    return append_flatten(draft, path, value, start=leading, end=-1, leading=leading)


def _repeat(
    path: str, name: str, value: Signal, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Signal:
    """Add a time dimension in front and repeat the frame along it; nothing else."""
    if name == "unsqueeze":
        if len(value.sizes) == 1 and _arguments((value, *args), kwargs, dim=None) == [0]:
            return replace(value, sizes=(1, *value.sizes))
        raise refuse_operation(path, name)
    counts = args[0] if args and isinstance(args[0], tuple | list) else args
    same = {1} if name == "repeat" else {-1}
    full = (*value.sizes, *value.shape)
    is_frame = len(value.sizes) == 1 or value.sizes[0] == 1
    n_dims = len(full) + (len(value.sizes) == 1)
    kept = zip(counts[1:], full[-(n_dims - 1) :], strict=False)
    if not is_frame or len(counts) != n_dims or counts[0] < 1:
        raise refuse_operation(path, name)
    if any(count not in same and (name == "repeat" or count != size) for count, size in kept):
        raise refuse_operation(path, name)
    return replace(value, sizes=(counts[0], value.sizes[-1]))


def _pool(
    draft: Draft,
    path: str,
    name: str,
    value: Signal,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Signal:
    if len(value.sizes) == 2:
        raise time_inside(f"{name} takes time for batch", path)
    options: dict[str, Any] = dict.fromkeys(("stride", "divisor_override")) | {
        "padding": 0, "dilation": 1, "ceil_mode": False, "count_include_pad": True,
        "return_indices": False,
    }  # fmt: skip
    order = {
        "max_pool2d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
        "avg_pool2d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    }[name]
    options |= dict(zip(order, args, strict=False)) | kwargs
    return POOLS[name](draft, path, SimpleNamespace(**options), value)


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any], **defaults: Any) -> list[Any]:
    """Return the values of named arguments that follow the first positional one."""
    given = dict(zip(defaults, args[1:], strict=False)) | kwargs
    return [given.get(name, default) for name, default in defaults.items()]
