"""Walk a traced forward, operation by operation, reading each leaf module into a draft."""

import sys
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Literal

import torch
from torch import fx, nn

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.draft import Draft, Signal
from snndeploy.frontends.layers import LAYERS, TIME_SAFE, append_flatten
from snndeploy.frontends.neurons import FRAMEWORKS
from snndeploy.frontends.operations import State, apply_operation, time_inside
from snndeploy.nirgraph.metadata import with_semantics
from snndeploy.nirgraph.shapes import Shape
from snndeploy.semantics import Compare

CONTAINERS = ("SeqToANNContainer", "MultiStepContainer", "StepModeContainer")
"""SpikingJelly's containers: their single-step modules act at every step."""


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return framework_of(m) is not None or super().is_leaf_module(m, module_qualified_name)


def framework_of(module: nn.Module) -> str | None:
    """Return the framework whose neuron, container or step-aware layer this is, else None."""
    jelly = sys.modules.get("spikingjelly.activation_based.base")
    if jelly is not None and isinstance(module, jelly.StepModule):
        is_layer = type(module).__module__.startswith("spikingjelly.activation_based.layer")
        if is_layer or isinstance(module, jelly.MemoryModule):
            return "spikingjelly"
    snntorch = sys.modules.get("snntorch")
    if snntorch is not None and isinstance(module, snntorch.SpikingNeuron):
        return "snntorch"
    return None


def trace(module: nn.Module) -> tuple[nn.Module, fx.Graph]:
    """Return a module and its traced forward; a module that is a leaf itself is wrapped.

    Raises:
        UnsupportedError: E2007, forward depends on values or loops over an unknown number.
    """
    is_layer = type(module).__module__.startswith("torch.nn.modules")
    is_leaf = framework_of(module) is not None or is_layer
    root = nn.Sequential(module) if is_leaf and type(module) is not nn.Sequential else module
    try:
        return root, _Tracer().trace(root)
    except UnsupportedError:
        raise
    except Exception as error:
        text = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
        raise UnsupportedError(
            "E2007",
            f"forward cannot be traced: {text}",
            where=type(module).__name__,
            remedy="let forward take one step: no loop over time, no condition on values",
        ) from error


def guess_time(root: nn.Module, graph: fx.Graph) -> Literal["outer", "module"]:
    """Return where time is, from the step modes of the modules that are called.

    Raises:
        UnsupportedError: E2006, step modes are mixed.
    """
    found: dict[str, str] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            leaf = root.get_submodule(str(node.target))
            mode = _step_mode(leaf)
            if mode is not None:
                found.setdefault(mode, str(node.target))
    if len(found) > 1:
        raise UnsupportedError(
            "E2006",
            f"{found['s']} has step_mode 's', {found['m']} has 'm'",
            where=type(root).__name__,
            remedy="call functional.set_step_mode(module, 'm') or 's'",
        )
    return "module" if "m" in found else "outer"


@dataclass(kw_only=True, slots=True)
class Walk:
    """Reads a traced graph into a draft.

    Attributes:
        root: module whose submodules the graph calls.
        sizes: leading sizes of the example, ([T,] B).
        prefix: of module paths, inside containers.
        framework: of the first neuron met.
    """

    root: nn.Module
    draft: Draft
    sizes: Shape
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
            return State(target, operator_get(self.root, target))
        args = fx.node.map_arg(node.args, values.__getitem__)
        kwargs = fx.node.map_arg(node.kwargs, values.__getitem__)
        if node.op == "call_module":
            leaf = self.root.get_submodule(target)
            return self._call(self.prefix + target, leaf, (*args, *kwargs.values()))
        name = target if node.op == "call_method" else getattr(node.target, "__name__", target)
        path = self.prefix + node.name
        return apply_operation(self.draft, path, name, args, dict(kwargs), self.sizes)

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
        self._check_time(path, leaf, framework)
        if framework == "spikingjelly" and kind in CONTAINERS:
            return self._enter(path, leaf, source)
        if framework is not None and kind in FRAMEWORKS[framework]:
            return self._neuron(path, leaf, framework, source, args[1:])
        is_known = framework is not None or type(leaf).__module__.startswith("torch.nn.modules")
        if is_known and kind == "Flatten":
            leading = 1 if framework else len(self.sizes)
            return append_flatten(
                self.draft, path, source, start=leaf.start_dim, end=leaf.end_dim, leading=leading
            )
        if is_known and kind in LAYERS:
            return LAYERS[kind](self.draft, path, leaf, source)
        raise _unknown_module(path, leaf, framework)

    def _enter(self, path: str, container: nn.Module, source: Signal) -> Any:
        """Read the children of a container one after the other, each for one step."""
        value: Any = source
        for name, child in container.named_children():
            root, graph = trace(child)
            prefix = f"{path}.{name}."
            if root is not child:
                root = nn.ModuleDict({name: child})
                graph = _renamed(graph, name)
                prefix = f"{path}."
            inner = Walk(
                root=root,
                draft=self.draft,
                sizes=self.sizes[-1:],
                prefix=prefix,
                called=self.called,
                framework=self.framework,
            )
            value = inner.run(graph, value)
            self.framework = inner.framework
        return value

    def _neuron(
        self, path: str, leaf: nn.Module, framework: str, source: Signal, states: tuple[Any, ...]
    ) -> Any:
        if leaf in self.called:
            raise time_inside("the neuron is called more than once", path)
        self.called.add(leaf)
        self.framework = self.framework or framework
        for state in states:
            _check_state(path, state)
        read = FRAMEWORKS[framework][type(leaf).__name__]
        node, semantics = read(path, leaf, source.shape, _compare(path, leaf), _dtype(path, leaf))
        spikes = self.draft.append(path, with_semantics(node, semantics), source, is_spikes=True)
        n_states = 0
        if framework == "snntorch" and (leaf.output or not leaf.init_hidden):
            n_states = 2 if hasattr(leaf, "alpha") else 1
        return (spikes, *[State(path)] * n_states) if n_states else spikes

    def _check_time(self, path: str, leaf: nn.Module, framework: str | None) -> None:
        """Refuse a module that would take time for batch, or batch for time."""
        many = len(self.sizes) == 2
        mode = _step_mode(leaf)
        kind = type(leaf).__name__
        if mode is None:
            mode = "m" if many and framework is None and kind in (*TIME_SAFE, "Flatten") else "s"
        if mode == ("m" if many else "s"):
            return
        text = "one step" if mode == "s" else "a sequence of steps"
        raise UnsupportedError(
            "E2006",
            f"{kind} takes {text}, but time is {'in' if many else 'outside'} the module",
            where=path,
            remedy="call functional.set_step_mode(module, 'm') and use spikingjelly's layers, or "
            "SeqToANNContainer" if many else "call functional.set_step_mode(module, 's')",
        )  # fmt: skip


def operator_get(root: nn.Module, path: str) -> Any:
    """Return an attribute of a module by its dotted path."""
    owner, _, name = path.rpartition(".")
    return getattr(root.get_submodule(owner), name)


def _renamed(graph: fx.Graph, name: str) -> fx.Graph:
    for node in graph.nodes:
        if node.op == "call_module":
            node.target = name
    return graph


def _step_mode(leaf: nn.Module) -> str | None:
    if type(leaf).__name__ in CONTAINERS[:2]:
        return "m"
    mode = getattr(leaf, "step_mode", None)
    return mode if isinstance(mode, str) else None


def _compare(path: str, leaf: Any) -> Compare:
    """Ask the neuron's own spike function whether a tie fires."""
    function = getattr(leaf, "surrogate_function", None) or leaf.spike_grad
    answer = function(torch.tensor([-1.0, -1e-3, 0.0, 1e-3, 1.0])).tolist()
    found: dict[tuple[float, ...], Compare] = {(0, 0, 1, 1, 1): "ge", (0, 0, 0, 1, 1): "gt"}
    if tuple(answer) not in found:
        raise UnsupportedError(
            "E2009",
            f"its surrogate function does not emit 0 or 1: {answer} around the threshold",
            where=path,
            remedy="use a spiking surrogate function",
        )
    return found[tuple(answer)]


def _dtype(path: str, leaf: nn.Module) -> Any:
    dtypes = {tensor.dtype for tensor in (*leaf.parameters(), *leaf.buffers())}
    floats = {dtype for dtype in dtypes if dtype.is_floating_point} or {torch.get_default_dtype()}
    if not floats <= {torch.float32, torch.float64}:
        raise UnsupportedError(
            "E2008", f"parameters of type {floats}", where=path, remedy="call module.float()"
        )
    return torch.empty(0, dtype=floats.pop()).numpy().dtype


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
