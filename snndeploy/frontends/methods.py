"""What forward may do to one signal, by torch's names: reshapes, pools, sizes, means."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from types import SimpleNamespace
from typing import Any

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.borders import pad, subsample
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


def refusal(path: str, name: str) -> UnsupportedError:
    """Return the error for an operation that is not supported."""
    return UnsupportedError(
        "E2001",
        f"forward applies {name!r}, which is not supported",
        where=path,
        remedy="use convolutions, linear layers, pools, flatten, spiking neurons, sums and "
        "products of spikes",
    )


def _same(_draft: Draft, call: Call) -> Signal:
    return call.signal


def _size(_draft: Draft, call: Call) -> Any:
    full = (*call.signal.sizes, *call.signal.shape)
    return full[call.args[0]] if call.args else full


def _getattr(_draft: Draft, call: Call) -> Any:
    if call.args[0] != "shape":
        raise refusal(call.path, str(call.args[0]))
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
    signal, wanted = call.signal, unpacked(call.args)
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
        raise refusal(call.path, call.name)
    return replace(call.signal, sizes=(1, *call.signal.sizes))


def _repeat(_draft: Draft, call: Call) -> Signal:
    """Show a frame at every step of a new time dimension in front; nothing else is repeated."""
    signal, counts = call.signal, unpacked(call.args)
    frame = signal if len(signal.sizes) == 2 else replace(signal, sizes=(1, *signal.sizes))
    rest = (frame.sizes[-1], *frame.shape)
    kept = [(1,) * len(rest)] if call.name == "repeat" else [(-1,) * len(rest), rest]
    if frame.sizes[0] != 1 or counts[0] < 1 or counts[1:] not in kept:
        raise refusal(call.path, call.name)
    return replace(frame, sizes=(counts[0], frame.sizes[-1]))


def _decode(_draft: Draft, call: Call) -> Decoded:
    dim, keepdim = call.values(dim=None, keepdim=False)
    time = call.signal.time_axis
    if len(call.signal.sizes) != 2 or dim not in (time, (time,)) or keepdim:
        raise refusal(call.path, call.name)
    return Decoded(call.signal, "mean" if call.name == "mean" else "sum")


def unpacked(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return sizes that are given one by one or as a tuple."""
    return tuple(args[0]) if args and isinstance(args[0], tuple | list) else args


POOLS = {
    "max_pool2d": (
        read_max_pool,
        ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    ),
    "avg_pool2d": (
        read_avg_pool,
        (
            "kernel_size",
            "stride",
            "padding",
            "ceil_mode",
            "count_include_pad",
            "divisor_override",
        ),
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
