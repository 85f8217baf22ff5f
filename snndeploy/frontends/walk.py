"""Walk a traced forward, operation by operation, reading each leaf module into a draft."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from math import prod
from typing import Any

from torch import fx, nn

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.borders import pad
from snndeploy.frontends.checks import check_in_place, check_state, check_time, compare_of
from snndeploy.frontends.draft import Draft, Reader, Signal
from snndeploy.frontends.frameworks import (
    CONTAINERS,
    RECURRENT,
    RESHAPES,
    framework_of,
    is_torch_layer,
    takes_state,
)
from snndeploy.frontends.joined import Joined, read_joined, split_neuron
from snndeploy.frontends.layers import LAYERS, append_flatten
from snndeploy.frontends.methods import State
from snndeploy.frontends.neurons import Neuron
from snndeploy.frontends.operations import apply_operation, resized
from snndeploy.frontends.own import is_own, read_own
from snndeploy.frontends.readers import FRAMEWORKS
from snndeploy.frontends.recurrent import (
    plain_source,
    read_container,
    recurrent_of,
    weighted_source,
    with_connection,
    with_recurrent,
)
from snndeploy.frontends.sums import Operand, add, is_operand
from snndeploy.frontends.tracing import Function, attribute, trace
from snndeploy.nirgraph.canonical import SPIKING
from snndeploy.nirgraph.metadata import with_semantics
from snndeploy.nirgraph.payload import REAL, Payload, payload_of

Sources = Mapping[int | str, Operand]


@dataclass(kw_only=True, slots=True)
class Walk:
    """Reads a traced graph into a draft.

    Attributes:
        root: module whose submodules the graph calls.
        dtype: numpy type of the network's numbers.
        prefix: of module paths, inside containers.
        framework: of the first neuron met.
        called: neurons met so far.
        is_fed_back: inside a cell that feeds back what it sends.
    """

    root: nn.Module
    draft: Draft
    dtype: Any
    prefix: str = ""
    framework: str | None = None
    called: set[nn.Module] = field(default_factory=set)
    is_fed_back: bool = False

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
        check_in_place(node, name)
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
        if framework == "norse" and kind == "SequentialState":
            return self._enter_sequence(path, leaf, source)
        if framework == "sinabs" and kind == "Merge" and len(args) == 2:
            return add(path, source, args[1])
        check_time(path, leaf, framework, source)
        if (framework, kind) in _CONTAINERS:
            return _CONTAINERS[framework, kind](self, path, leaf, source)
        if framework is not None and (is_own(leaf) or kind in FRAMEWORKS[framework]):
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
            value = self._inside(path, name, child, (value,))
        return resized(value, source.sizes)

    def _enter_sequence(self, path: str, sequence: Any, source: Operand) -> Any:
        """Read the children of a SequentialState of Norse; it returns its states too."""
        if sequence.return_hidden:
            raise UnsupportedError(
                "E2001", "SequentialState(…, return_hidden=True) is not supported", where=path,
                remedy="leave return_hidden out, and record layers by name",
            )  # fmt: skip
        value: Any = source
        for name, child in sequence._modules.items():
            value = self._inside(path, name, child, (value,))
            value = value[0] if isinstance(value, tuple) else value
        return value, State(path)

    def _lift(self, path: str, lift: Any, source: Operand) -> Any:
        """Read the module of a Lift of Norse for one step."""
        step = resized(source, source.sizes[-1:])
        value = self._inside(path, "lifted_module", lift.lifted_module, (step,))
        sent = value[0] if isinstance(value, tuple) else value
        sent = resized(sent, source.sizes)
        return (sent, State(path)) if takes_state(lift) else sent

    def _rearranged(self, path: str, leaf: Any, source: Operand) -> Operand:
        """Read a layer of sinabs that only brings time and batch into another form."""
        match type(leaf).__name__:
            case "FlattenTime":
                return resized(source, (prod(source.sizes),))
            case "UnflattenTime":
                batch = int(leaf.batch_size)
                return resized(source, (batch, source.sizes[0] // batch), time_axis=1)
        step = resized(source, (prod(source.sizes),))
        value = self._inside(path, "module", leaf.module, (step,))
        return resized(value, source.sizes, source.time_axis)

    def _enter_loop(self, path: str, container: nn.Module, source: Operand) -> Operand:
        """Read one step of a recurrent container."""
        step = plain_source(path, resized(source, source.sizes[-1:]))
        looping = replace(self, is_fed_back=True)
        sent = read_container(self.draft, path, container, step, partial(looping._inside, path))
        self.framework = looping.framework
        return resized(sent, source.sizes)

    def _inside(self, path: str, name: str, child: Any, sources: tuple[Operand, ...]) -> Any:
        """Read a child of a module for one step: a module, or a function of signals."""
        module = child if isinstance(child, nn.Module) else Function(child)
        root, graph = trace(module, name)
        prefix = f"{path}.{name}." if root is module else f"{path}."
        inner = replace(self, root=root, prefix=prefix)
        value = inner.run(graph, dict(enumerate(sources)))
        self.framework = inner.framework
        return value

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
            check_state(path, state)
        source = weighted_source(self.draft, path, leaf, source)
        node, semantics = self._read_neuron(path, leaf, framework, source)
        if self.is_fed_back:
            semantics = replace(semantics, feedback="spike")
        payload = payload_of(node, semantics) if isinstance(node, SPIKING) else REAL
        node = with_semantics(node, semantics)
        spikes: Operand
        if hasattr(leaf, "rec_connect") or recurrent_of(leaf) is not None:
            current = plain_source(path, source)
            spikes = self._append_recurrent(path, leaf, node, current, payload)
        else:
            spikes = self._append_neuron(path, node, source, payload)
        if takes_state(leaf):
            return spikes, State(path)
        n_states = 0
        if framework == "snntorch" and (leaf.output or not leaf.init_hidden):
            n_states = 2 if hasattr(leaf, "alpha") else 1
        return (spikes, *[State(path)] * n_states) if n_states else spikes

    def _read_neuron(self, path: str, leaf: Any, framework: str, source: Operand) -> Neuron:
        if is_own(leaf):
            if isinstance(source, Signal):
                return read_own(leaf)
            raise UnsupportedError(
                "E2017", "a neuron of your own right behind a concatenation", where=path,
                remedy="put a layer with weights in front of it",
            )  # fmt: skip
        read = FRAMEWORKS[framework][type(leaf).__name__]
        return read(path, leaf, source.shape, compare_of(path, leaf), self.dtype)

    def _append_recurrent(
        self, path: str, leaf: Any, node: Any, source: Signal, payload: Payload
    ) -> Signal:
        """Add a neuron and its recurrent map."""
        step = resized(source, source.sizes[-1:])
        assert isinstance(step, Signal)
        feedback = self.draft.open_feedback(path, source.shape, step.sizes, payload)
        if hasattr(leaf, "rec_connect"):
            inner = partial(self._inside, path)
            current = with_connection(path, leaf, step, feedback, inner)
        else:
            current = with_recurrent(self.draft, path, recurrent_of(leaf), step, feedback)
        spikes = self.draft.append(path, node, current, payload=payload)
        self.draft.close_feedback(path, feedback, spikes)
        return replace(spikes, sizes=source.sizes, time_axis=source.time_axis)

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


_CONTAINERS: dict[tuple[str | None, str], Callable[[Walk, str, Any, Operand], Any]] = {
    ("norse", "Lift"): Walk._lift,
    **{("sinabs", kind): Walk._rearranged for kind in (*RESHAPES, "Repeat")},
    **{("spikingjelly", kind): Walk._enter for kind in CONTAINERS},
    **{("spikingjelly", kind): Walk._enter_loop for kind in RECURRENT},
}
"""Modules that act on their children, by framework and class."""


def _reader(kind: str, *, leading: int) -> Reader | None:
    """Return the reader of a layer without state; `leading` dimensions are time and batch."""

    def flatten(draft: Draft, path: str, leaf: Any, source: Signal) -> Signal:
        return append_flatten(
            draft, path, source, start=leaf.start_dim, end=leaf.end_dim, leading=leading
        )

    def border(draft: Draft, path: str, leaf: Any, source: Signal) -> Signal:
        return pad(draft, path, source, leaf.padding, "constant", 0)

    return {**LAYERS, "Flatten": flatten, "ZeroPad2d": border}.get(kind)


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
