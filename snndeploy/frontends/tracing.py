"""Trace a module's forward with torch.fx, neurons and SpikingJelly's layers as leaves.

No layer runs while a module is traced, and nothing of the module changes.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import fx, nn

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.frameworks import (
    framework_of,
    is_quantized,
    is_torch_layer,
    keeps_state,
    mark,
    state_of,
    step_mode,
)

Time = Literal["outer", "inner", "module", "batch-first", "flat"]
TIMES: dict[str, Time] = {"m": "module", "b": "batch-first", "f": "flat"}
"""Where time is, by the step mode of the first module that has one."""
Shapes = Mapping[int | str, tuple[int, ...]]
"""Shapes of the example inputs, by position or name of forward's arguments."""
RESET = "reset"
"""Key of a traced call's metadata: the neuron was reset before it."""


class _Value(fx.Proxy):
    """A traced value whose in-place operators stay in place: torch.fx would make them `x + y`."""


def _in_place(name: str) -> Any:
    def apply(self: _Value, other: Any) -> Any:
        function = getattr(operator, name)
        return self.tracer.create_proxy("call_function", function, (self, other), {})

    return apply


for _operator in ("iadd", "isub", "imul", "itruediv", "iand", "ior", "ixor"):
    setattr(_Value, f"__{_operator}__", _in_place(_operator))


class _Sized(_Value):
    """An argument of forward whose example is known: its sizes are numbers, its steps countable."""

    @property
    def shape(self) -> torch.Size:
        """Sizes of the example."""
        assert isinstance(self.tracer, _Tracer)
        return self.tracer.sizes[str(self.node.target)]

    def size(self, dim: int | None = None) -> Any:
        """Return all sizes, or one."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """Return the number of dimensions."""
        return len(self.shape)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Any]:
        return (self.__getitem__(index) for index in range(len(self)))


class _Tracer(fx.Tracer):
    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.shapes = shapes
        self.sizes: dict[str, torch.Size] = {}
        self.states: dict[nn.Module, Any] = {}

    def call_module(
        self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Trace a call; mark the call of a neuron whose state was reset since its last one."""
        value = super().call_module(m, forward, args, kwargs)
        if keeps_state(m) and isinstance(value, fx.Proxy):
            value.node.meta[RESET] = state_of(m) is not self.states[m]
            self.states[m] = state_of(m)
        return value

    def proxy(self, node: fx.Node) -> fx.Proxy:
        if node.op != "placeholder":
            return _Value(node, self)
        key = len(self.sizes) if len(self.sizes) in self.shapes else str(node.target)
        if key not in self.shapes:
            return _Value(node, self)
        self.sizes[str(node.target)] = torch.Size(self.shapes[key])
        return _Sized(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        is_known = framework_of(m) is not None or is_quantized(m)
        return is_known or super().is_leaf_module(m, module_qualified_name)


class Function(nn.Module):
    """A plain function as a module, so that it can be traced."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, first: Any, second: Any) -> Any:
        """Call the function."""
        return self.function(first, second)


def trace(
    module: nn.Module, name: str = "0", shapes: Shapes | None = None
) -> tuple[nn.Module, fx.Graph]:
    """Return a module and its traced forward; a module that is a leaf is wrapped under `name`.

    Requires: the caller is inside `untouched`, because neurons get marked states and forward may
    reset them.

    Args:
        module: the module.
        name: of a wrapped leaf.
        shapes: of example inputs, so that forward may loop over their first dimension.

    Raises:
        UnsupportedError: E2007, forward depends on values or loops over an unknown number.
    """
    is_leaf = framework_of(module) is not None or is_torch_layer(module)
    root: nn.Module = module
    if is_leaf and type(module) is not nn.Sequential:
        root = nn.Sequential()
        root.add_module(name, module)
    try:
        tracer = _Tracer(shapes or {})
        tracer.states = {part: mark(part) for part in root.modules() if keeps_state(part)}
        return root, tracer.trace(root)
    except Exception as error:
        text = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
        raise UnsupportedError(
            "E2007",
            f"forward cannot be traced: {text}",
            where=type(module).__name__,
            remedy="let forward depend on the shape of its input alone: no condition on values, no "
            "loop over a number that is not known",
        ) from error


def guess_time(root: nn.Module, graph: fx.Graph) -> Time:
    """Return where time is, from the step modes of the modules that forward calls.

    Raises:
        UnsupportedError: E2006, step modes are mixed.
    """
    found: dict[str, str] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            mode = step_mode(root.get_submodule(str(node.target)))
            if mode is not None:
                found.setdefault(mode, str(node.target))
    if {"s", "m"} <= set(found):
        raise UnsupportedError(
            "E2006",
            f"{found['s']} has step_mode 's', {found['m']} has 'm'",
            where=type(root).__name__,
            remedy="call functional.set_step_mode(module, 'm') or 's'; with Norse, use LIF for "
            "sequences and LIFCell for single steps throughout",
        )
    time = TIMES.get(next(iter(found), "s"), "outer")
    return "inner" if time == "module" and _repeats_input(graph) else time


def attribute(root: nn.Module, path: str) -> Any:
    """Return an attribute of a module by its dotted path."""
    owner, _, name = path.rpartition(".")
    return getattr(root.get_submodule(owner), name)


@contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """Switch to evaluation mode; afterwards put back every attribute of every submodule."""
    saved = [(part, dict(part.__dict__)) for part in module.modules()]
    inner = {
        id(value): (value, dict(value))
        for _, attributes in saved
        for value in attributes.values()
        if isinstance(value, dict)
    }
    try:
        for part, _ in saved:
            part.training = False
        with torch.no_grad():
            yield
    finally:
        for part, attributes in saved:
            part.__dict__.clear()
            part.__dict__.update(attributes)
        for value, content in inner.values():
            value.clear()
            value.update(content)


def _repeats_input(graph: fx.Graph) -> bool:
    """Return whether the first thing done to the input is to add a time dimension."""
    source = next(node for node in graph.nodes if node.op == "placeholder")
    names = {str(getattr(user.target, "__name__", user.target)) for user in source.users}
    return bool(names & {"unsqueeze", "repeat"})
