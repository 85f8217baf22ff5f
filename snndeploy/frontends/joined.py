"""A concatenation along channels or features, kept as its parts until a layer with weights.

Plain NIR has no concatenation. Weights behind one split into a block per part, and the blocks' sum
is the same number; a neuron behind one splits into a neuron per part, which stay parts.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.draft import Draft, Reader, Signal
from snndeploy.nirgraph.canonical import PARAMETERS, Shape
from snndeploy.nirgraph.rebuild import copy_node


@dataclass(frozen=True, slots=True)
class Joined:
    """Signals side by side along their first feature dimension."""

    parts: tuple[Signal, ...]
    is_shared: bool = False

    @property
    def shape(self) -> Shape:
        """Without time and batch."""
        return (sum(part.shape[0] for part in self.parts), *self.parts[0].shape[1:])

    @property
    def sizes(self) -> Shape:
        """Leading sizes of the example."""
        return self.parts[0].sizes

    @property
    def time_axis(self) -> int:
        """Which of two leading sizes is time."""
        return self.parts[0].time_axis

    @property
    def text(self) -> str:
        """Layout and sizes for messages."""
        return replace(self.parts[0], shape=self.shape).text

    @property
    def ranges(self) -> list[slice]:
        """Where the parts lie along the first dimension."""
        ends = np.cumsum([part.shape[0] for part in self.parts]).tolist()
        return [slice(end - part.shape[0], end) for part, end in zip(self.parts, ends, strict=True)]

    def each(self, function: Callable[[Signal, str], Signal]) -> "Joined":
        """Return the concatenation of a function of every part and its suffix for names."""
        return Joined(tuple(function(part, f".{i}") for i, part in enumerate(self._marked)))

    @property
    def _marked(self) -> tuple[Signal, ...]:
        if not self.is_shared:
            return self.parts
        return tuple(replace(part, is_shared=True) for part in self.parts)


def join(path: str, items: Any, dim: Any) -> Signal | Joined:
    """Concatenate signals.

    Raises:
        UnsupportedError: E2017, along another dimension than channels or features, or with
            something that is no signal of the same time and size.
    """
    parts: list[Signal] = []
    for item in items:
        if not isinstance(item, Signal | Joined):
            raise _refusal(path, "concatenates something else than signals", "join signals only")
        parts += item.parts if isinstance(item, Joined) else (item,)
    first = parts[0]
    full = len(first.sizes) + len(first.shape)
    if not isinstance(dim, int) or dim % full != len(first.sizes):
        raise _refusal(
            path, f"concatenates {first.text} along dimension {dim}",
            "concatenate channels or features: the first dimension behind time and batch",
        )  # fmt: skip
    if len({(part.sizes, part.shape[1:]) for part in parts}) > 1:
        shapes = " and ".join(part.text for part in parts)
        raise _refusal(path, f"concatenates {shapes}", "give the parts the same size")
    return Joined(tuple(parts)) if len(parts) > 1 else first


def read_joined(
    draft: Draft, path: str, module: Any, source: Joined, read: Reader
) -> Signal | Joined:
    """Read a layer behind a concatenation: weights in blocks, everything else part by part.

    Raises:
        UnsupportedError: E2017, a grouped convolution.
    """
    if getattr(module, "weight", None) is None or hasattr(module, "running_mean"):
        modules = _per_part(module, source)
        return source.each(
            lambda part, suffix: read(draft, path + suffix, modules[int(suffix[1:])], part)
        )
    if getattr(module, "groups", 1) != 1:
        raise _refusal(path, "a grouped convolution of a concatenation", "use groups=1")
    expected = module.weight.shape[1]
    if expected != source.shape[0]:
        raise _refusal(
            path, f"takes {expected} channels or features, gets {source.shape[0]}",
            "check the sizes of the parts",
        )  # fmt: skip
    terms: tuple[Any, ...] = ()
    for index, (part, where) in enumerate(zip(source.parts, source.ranges, strict=True)):
        block = SimpleNamespace(**_options(module), weight=module.weight[:, where])
        block.bias = module.bias if index == 0 else None
        out = read(draft, f"{path}.{index}", block, part)
        terms += out.terms
    return replace(out, terms=terms)


def split_neuron(node: Any, source: Joined) -> list[Any]:
    """Return one neuron node per part: the same parameters, cut along the first dimension."""
    return [
        copy_node(node, **{name: getattr(node, name)[where] for name in PARAMETERS[type(node)]})
        for where in source.ranges
    ]


def _per_part(module: Any, source: Joined) -> list[Any]:
    """Return the module once per part, a batch normalisation cut to the part's channels."""
    if not hasattr(module, "running_mean"):
        return [module] * len(source.parts)
    arrays = ("running_mean", "running_var", "weight", "bias")
    found = {name: getattr(module, name) for name in arrays}
    return [
        SimpleNamespace(
            eps=module.eps, affine=module.affine,
            **{name: None if v is None else v[where] for name, v in found.items()},
        )
        for where in source.ranges
    ]  # fmt: skip


def _options(module: Any) -> dict[str, Any]:
    names = ("padding_mode", "stride", "padding", "dilation", "groups")
    return {name: getattr(module, name) for name in names if hasattr(module, name)}


def _refusal(path: str, message: str, remedy: str) -> UnsupportedError:
    return UnsupportedError("E2017", message, where=path, remedy=remedy)
