"""Walk a traced forward, operation by operation, reading each leaf module into a draft."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

import torch
from torch import fx, nn

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.borders import pad
from snndeploy.frontends.draft import Draft, Reader, Signal
from snndeploy.frontends.joined import Joined, read_joined, split_neuron
from snndeploy.frontends.layers import LAYERS, TIME_SAFE, append_flatten
from snndeploy.frontends.methods import State
from snndeploy.frontends.neurons import FRAMEWORKS
from snndeploy.frontends.operations import apply_operation, resized
from snndeploy.frontends.sums import Operand, is_operand
from snndeploy.frontends.tracing import (
    CONTAINERS,
    attribute,
    framework_of,
    is_torch_layer,
    step_mode,
    trace,
)
from snndeploy.nirgraph.metadata import with_semantics
from snndeploy.nirgraph.payload import Payload, payload_of
from snndeploy.semantics import Compare

Sources = Mapping[int | str, Operand]
IN_PLACE = (
    *("iadd", "isub", "imul", "itruediv", "iand", "ior", "ixor"),
    *("add_", "sub_", "mul_", "div_", "clamp_", "clip_", "clamp_max_", "clamp_min_"),
)


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

    def run(self, graph: fx.Graph, sources: Sources) -> Any:
        """Return what forward returns: signals, states and what contains them.

        Args:
            graph: traced forward.
            sources: inputs by position or name of forward's arguments; the others are states.

        Raises:
            UnsupportedError: by module path, operation or option.
        """
        values: dict[fx.Node, Any] = {}
        for node in graph.nodes:
            if node.op == "output":
                return fx.node.map_arg(node.args[0], values.__getitem__)
            if node.op == "placeholder":
                name, position = str(node.target), len(values)
                value = sources.get(position, sources.get(name, State(name)))
            else:
                value = self._evaluate(node, values)
            if isinstance(value, Signal | Joined) and len(node.users) > 1:
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
        _check_in_place(node, name)
        return apply_operation(self.draft, self.prefix + node.name, name, args, dict(kwargs))

    def _call(self, path: str, leaf: Any, args: tuple[Any, ...]) -> Any:
        source = args[0]
        if not is_operand(source):
            raise UnsupportedError(
                "E2011",
                "takes something else than an input of forward or what follows from one",
                where=path,
                remedy="give an example of every input, as a tuple or by name, and let the other "
                "arguments be the neurons' states",
            )
        framework = framework_of(leaf)
        kind = type(leaf).__name__
        _check_time(path, leaf, framework, source)
        if framework == "spikingjelly" and kind in CONTAINERS:
            return self._enter(path, leaf, source)
        if framework is not None and kind in FRAMEWORKS[framework]:
            return self._neuron(path, leaf, framework, source, args[1:])
        if framework is not None or is_torch_layer(leaf):
            read = _reader(kind, leading=1 if framework else len(source.sizes))
            if read is not None:
                if isinstance(source, Joined):
                    return read_joined(self.draft, path, leaf, source, read)
                return read(self.draft, path, leaf, source)
        raise _unknown_module(path, leaf, framework)

    def _enter(self, path: str, container: nn.Module, source: Operand) -> Operand:
        """Read the children of a container one after the other, each for one step."""
        value = resized(source, source.sizes[-1:])
        for name, child in container._modules.items():  # named_children leaves out repetitions
            assert child is not None
            root, graph = trace(child, name)
            prefix = f"{path}.{name}." if root is child else f"{path}."
            inner = replace(self, root=root, prefix=prefix)
            value = inner.run(graph, {0: value})
            self.framework = inner.framework
        return resized(value, source.sizes)

    def _neuron(
        self, path: str, leaf: Any, framework: str, source: Operand, states: tuple[Any, ...]
    ) -> Any:
        if leaf in self.called:
            raise UnsupportedError(
                "E2027",
                "the neuron is called more than once in a step, so its calls share one state",
                where=path,
                remedy="use one neuron module per layer",
            )
        self.called.add(leaf)
        self.framework = self.framework or framework
        for state in states:
            _check_state(path, state)
        read = FRAMEWORKS[framework][type(leaf).__name__]
        node, semantics = read(path, leaf, source.shape, _compare(path, leaf), self.dtype)
        payload = payload_of(semantics)
        spikes = self._append_neuron(path, with_semantics(node, semantics), source, payload)
        n_states = 0
        if framework == "snntorch" and (leaf.output or not leaf.init_hidden):
            n_states = 2 if hasattr(leaf, "alpha") else 1
        return (spikes, *[State(path)] * n_states) if n_states else spikes

    def _append_neuron(self, path: str, node: Any, source: Operand, payload: Payload) -> Operand:
        """Add a neuron; behind a concatenation, one per part."""
        if isinstance(source, Signal):
            return self.draft.append(path, node, source, payload=payload)
        nodes = split_neuron(node, source)
        return source.each(
            lambda part, suffix: self.draft.append(
                path + suffix, nodes[int(suffix[1:])], part, payload=payload
            )
        )


def _reader(kind: str, *, leading: int) -> Reader | None:
    """Return the reader of a layer without state; `leading` dimensions are time and batch."""

    def flatten(draft: Draft, path: str, leaf: Any, source: Signal) -> Signal:
        return append_flatten(
            draft, path, source, start=leaf.start_dim, end=leaf.end_dim, leading=leading
        )

    def border(draft: Draft, path: str, leaf: Any, source: Signal) -> Signal:
        return pad(draft, path, source, leaf.padding, "constant", 0)

    return {**LAYERS, "Flatten": flatten, "ZeroPad2d": border}.get(kind)


def _check_in_place(node: fx.Node, name: str) -> None:
    """Refuse an operation that changes a value which something reads later."""
    if name not in IN_PLACE or not node.args or not isinstance(node.args[0], fx.Node):
        return
    changed = node.args[0]
    later = [user for user in changed.users if user is not node and node < user]
    if later:
        raise UnsupportedError(
            "E2011",
            f"{changed.name} is changed in place, and {later[0].name} reads it afterwards",
            where=node.name,
            remedy="write x = x + y",
        )


def _check_time(path: str, leaf: nn.Module, framework: str | None, source: Operand) -> None:
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
