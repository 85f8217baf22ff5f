"""Walk a traced forward, operation by operation, reading each leaf module into a draft."""

from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

import torch
from torch import fx, nn

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.draft import Draft, Signal
from snndeploy.frontends.layers import LAYERS, TIME_SAFE, append_flatten
from snndeploy.frontends.neurons import FRAMEWORKS
from snndeploy.frontends.operations import State, apply_operation, time_inside
from snndeploy.frontends.tracing import (
    CONTAINERS,
    attribute,
    framework_of,
    is_torch_layer,
    step_mode,
    trace,
)
from snndeploy.nirgraph.metadata import with_semantics
from snndeploy.semantics import Compare


@dataclass(kw_only=True, slots=True)
class Walk:
    """Reads a traced graph into a draft.

    Attributes:
        root: module whose submodules the graph calls.
        dtype: numpy type of the network's numbers.
        prefix: of module paths, inside containers.
        framework: of the first neuron met.
        called: neurons met so far.
    """

    root: nn.Module
    draft: Draft
    dtype: Any
    prefix: str = ""
    framework: str | None = None
    called: set[nn.Module] = field(default_factory=set)

    def run(self, graph: fx.Graph, source: Signal) -> Any:
        """Return what forward returns for `source` as its first argument: signals and states."""
        values: dict[fx.Node, Any] = {}
        for node in graph.nodes:
            if node.op == "output":
                return fx.node.map_arg(node.args[0], values.__getitem__)
            if node.op == "placeholder":
                value: Any = State(str(node.target)) if values else source
            else:
                value = self._evaluate(node, values)
            if isinstance(value, Signal) and len(node.users) > 1:
                value = replace(value, is_shared=True)
            values[node] = value
        raise AssertionError("a traced graph ends in its output")

    def _evaluate(self, node: fx.Node, values: dict[fx.Node, Any]) -> Any:
        target = str(node.target)
        if node.op == "get_attr":
            return State(target, attribute(self.root, target))
        args = fx.node.map_arg(node.args, values.__getitem__)
        kwargs = fx.node.map_arg(node.kwargs, values.__getitem__)
        if node.op == "call_module":
            leaf = self.root.get_submodule(target)
            return self._call(self.prefix + target, leaf, (*args, *kwargs.values()))
        name = target if node.op == "call_method" else getattr(node.target, "__name__", target)
        return apply_operation(self.draft, self.prefix + node.name, name, args, dict(kwargs))

    def _call(self, path: str, leaf: Any, args: tuple[Any, ...]) -> Any:
        source = args[0]
        if not isinstance(source, Signal):
            raise UnsupportedError(
                "E2011",
                "takes something else than the first argument of forward or what follows from it",
                where=path,
                remedy="give forward one input and the neurons' states",
            )
        framework = framework_of(leaf)
        kind = type(leaf).__name__
        _check_time(path, leaf, framework, source)
        if framework == "spikingjelly" and kind in CONTAINERS:
            return self._enter(path, leaf, source)
        if framework is not None and kind in FRAMEWORKS[framework]:
            return self._neuron(path, leaf, framework, source, args[1:])
        is_known = framework is not None or is_torch_layer(leaf)
        if is_known and kind == "Flatten":
            leading = 1 if framework else len(source.sizes)
            return append_flatten(
                self.draft, path, source, start=leaf.start_dim, end=leaf.end_dim, leading=leading
            )
        if is_known and kind in LAYERS:
            return LAYERS[kind](self.draft, path, leaf, source)
        raise _unknown_module(path, leaf, framework)

    def _enter(self, path: str, container: nn.Module, source: Signal) -> Signal:
        """Read the children of a container one after the other, each for one step."""
        value = replace(source, sizes=source.sizes[-1:])
        for name, child in container.named_children():
            root, graph = trace(child, name)
            prefix = f"{path}.{name}." if root is child else f"{path}."
            inner = replace(self, root=root, prefix=prefix)
            value = inner.run(graph, value)
            self.framework = inner.framework
        return replace(value, sizes=source.sizes)

    def _neuron(
        self, path: str, leaf: Any, framework: str, source: Signal, states: tuple[Any, ...]
    ) -> Any:
        if leaf in self.called:
            raise time_inside("the neuron is called more than once", path)
        self.called.add(leaf)
        self.framework = self.framework or framework
        for state in states:
            _check_state(path, state)
        read = FRAMEWORKS[framework][type(leaf).__name__]
        node, semantics = read(path, leaf, source.shape, _compare(path, leaf), self.dtype)
        spikes = self.draft.append(path, with_semantics(node, semantics), source, is_spikes=True)
        n_states = 0
        if framework == "snntorch" and (leaf.output or not leaf.init_hidden):
            n_states = 2 if hasattr(leaf, "alpha") else 1
        return (spikes, *[State(path)] * n_states) if n_states else spikes


def _check_time(path: str, leaf: nn.Module, framework: str | None, source: Signal) -> None:
    """Refuse a module that would take time for batch, or batch for time."""
    many = len(source.sizes) == 2
    mode = step_mode(leaf)
    kind = type(leaf).__name__
    if mode is None:
        mode = "m" if many and framework is None and kind in TIME_SAFE else "s"
    if mode == ("m" if many else "s"):
        return
    takes = "one step" if mode == "s" else "a sequence of steps"
    remedy = (
        "call functional.set_step_mode(module, 'm') and use spikingjelly's layers, or "
        "SeqToANNContainer around torch's"
        if many
        else "call functional.set_step_mode(module, 's'), or say time='module' and give an example "
        "of shape [T, B, …]"
    )
    raise UnsupportedError("E2006", f"{kind} takes {takes}, but gets {source.text}", where=path,
                           remedy=remedy)  # fmt: skip


def _compare(path: str, leaf: Any) -> Compare:
    """Ask the neuron's own spike function whether a tie fires."""
    function = getattr(leaf, "surrogate_function", None) or leaf.spike_grad
    answer = function(torch.tensor([-1.0, -1e-3, 0.0, 1e-3, 1.0])).tolist()
    found: dict[tuple[float, ...], Compare] = {(0, 0, 1, 1, 1): "ge", (0, 0, 0, 1, 1): "gt"}
    if tuple(answer) not in found:
        values = ", ".join(f"{value:g}" for value in answer)
        raise UnsupportedError(
            "E2009",
            f"its surrogate function gives {values} around the threshold, not 0 or 1",
            where=path,
            remedy="use a spiking surrogate function",
        )
    return found[tuple(answer)]


def _check_state(path: str, state: Any) -> None:
    tensor = state.value if isinstance(state, State) else state
    if isinstance(state, State | None) and (tensor is None or not tensor.any()):
        return
    raise UnsupportedError(
        "E2011",
        "its initial state is neither zero nor an argument of forward",
        where=path,
        remedy="take the state as an argument of forward, or use init_hidden=True",
    )


def _unknown_module(path: str, leaf: nn.Module, framework: str | None) -> UnsupportedError:
    kind = type(leaf).__name__
    known = (*LAYERS, "Flatten") if framework is None else tuple(FRAMEWORKS[framework])
    near = get_close_matches(kind, known, n=1)
    what = "layer" if framework is None else f"{framework} module"
    return UnsupportedError(
        "E2001" if framework is None else "E2002",
        f"{what} {kind} is not supported",
        where=path,
        remedy=f"use {near[0]}" if near else f"use one of {', '.join(known)}",
    )
