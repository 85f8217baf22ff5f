"""What a traced forward returns, as outputs with names."""

from collections.abc import Iterator, Mapping
from typing import Any

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.draft import Draft, Signal
from snndeploy.frontends.joined import Joined
from snndeploy.frontends.methods import Decoded
from snndeploy.nirgraph.loops import loop_through

Named = tuple[str, Signal | Decoded]


def outputs_of(value: Any, draft: Draft) -> list[Named]:
    """Return the returned signals that nothing else reads but loops back to them, and their names.

    One output is called `output`; several have the keys of the returned dict, or are called
    `out0`, `out1`, … in their order.

    Raises:
        UnsupportedError: E2012, there is none; E2017, a concatenation is returned.
    """
    found: list[tuple[str, Any]] = []
    for key, item in _leaves(value, ""):
        signal = signal_of(item)
        inner = [name for name, _ in signal.terms if _is_read(draft, name)]
        if inner and len(signal.terms) == 1:
            draft.note("dropped", inner[0], "returned too, but not an output: record it")
        elif all(item != other for _, other in found):
            found.append((key, item))
    if not found:
        raise UnsupportedError(
            "E2012",
            "forward returns no spikes or values, only states or its input",
            remedy="return the spikes of the last neuron, or end in a layer without a neuron",
        )
    if len(found) == 1:
        return [("output", found[0][1])]
    return [(key or f"out{index}", item) for index, (key, item) in enumerate(found)]


def _is_read(draft: Draft, name: str) -> bool:
    loop = loop_through(draft.edges, name)
    return any(source == name and target not in loop for source, target in draft.edges)


def signal_of(item: Signal | Decoded) -> Signal:
    """Return the signal of an output."""
    return item.signal if isinstance(item, Decoded) else item


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Yield the signals of a returned value with their keys, in order; states are left out."""
    if isinstance(value, Signal | Decoded):
        yield key, value
    elif isinstance(value, Joined):
        raise UnsupportedError(
            "E2017",
            "a concatenation is returned",
            where="forward",
            remedy="return its parts as a tuple, or put a layer with weights behind it",
        )
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, str(name))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _leaves(item, key if len(value) == 1 else "")
