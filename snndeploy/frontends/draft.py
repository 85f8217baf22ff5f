"""A NIR graph in the making: what a tracer has read of a module so far."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import nir
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.model import ImportNote, NoteKind
from snndeploy.nirgraph.canonical import Shape, canonical_node
from snndeploy.nirgraph.payload import SPIKES, Payload
from snndeploy.nirgraph.rebuild import Edge
from snndeploy.nirgraph.shapes import output_shape

Term = tuple[str, float]
"""A node and the factor on its output."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """What a traced value is: a weighted sum of outputs of nodes, plus a number.

    Attributes:
        terms: nodes, each once, and the factors on their outputs.
        shape: without time and batch.
        sizes: leading sizes of the example where this is: (B,), (T, B) or (B, T).
        payload: what its values can be.
        offset: number that was added to every value.
        padding: rows and columns of zeros around it (counted in `shape`) that the next
            convolution takes over.
        is_shared: more than one operation reads it, so its nodes must not be changed.
        time_axis: of two leading sizes, the one that is time: 1 for (B, T).
    """

    terms: tuple[Term, ...]
    shape: Shape
    sizes: Shape
    payload: Payload
    offset: float = 0.0
    padding: tuple[int, int] = (0, 0)
    is_shared: bool = False
    time_axis: int = 0

    @property
    def is_spikes(self) -> bool:
        """Every value is 0 or 1."""
        return self.payload.is_spikes

    @property
    def origin(self) -> str:
        """Its nodes, for messages."""
        return " + ".join(name for name, _ in self.terms) or "a constant"

    @property
    def text(self) -> str:
        """Layout and sizes for messages, e.g. `[B, …] (1, 2, 28, 28)`."""
        leading = ("[T, B, …]", "[B, T, …]")[self.time_axis]
        layout = leading if len(self.sizes) == 2 else "[B, …]"
        return f"{layout} {(*self.sizes, *self.shape)}"

    @property
    def unpadded(self) -> "Signal":
        """The same without its border of zeros."""
        if not any(self.padding):
            return self
        channels, height, width = self.shape
        inner = (channels, height - 2 * self.padding[0], width - 2 * self.padding[1])
        return replace(self, shape=inner, padding=(0, 0))


@dataclass(frozen=True, eq=False, slots=True)
class Draft:
    """Nodes, edges and import notes, in the order of the trace."""

    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    notes: list[ImportNote] = field(default_factory=list)

    def append(self, name: str, node: Any, source: Signal, *, payload: Payload) -> Signal:
        """Add a node behind a signal and return its output; a sum arrives over several edges.

        Raises:
            ModelError: E1021, the node cannot take the signal's shape.
            UnsupportedError: E2015, a number was added to the signal; E2019, a border of zeros
                that the node cannot take over.
        """
        _check_plain(name, source)
        name = self.free_name(name)
        canonical = canonical_node(name, node)
        shape = output_shape(name, canonical, source.shape)
        self.nodes[name] = canonical
        self._connect(source, name)
        return Signal(
            terms=((name, 1.0),),
            shape=shape,
            sizes=source.sizes,
            payload=payload,
            time_axis=source.time_axis,
        )

    def open_feedback(
        self, path: str, shape: Shape, sizes: Shape, payload: Payload = SPIKES
    ) -> Signal:
        """Return the spikes that a cell at `path` sent in the step before.

        A node of its own stands for the neuron that is not read yet, until `close_feedback`.
        """
        name = self.free_name(f"{path}.feedback")
        self.nodes[name] = nir.Input(input_type={"input": np.array(shape)})
        return Signal(
            terms=((name, 1.0),), shape=shape, sizes=sizes, payload=payload, is_shared=True
        )

    def close_feedback(self, path: str, feedback: Signal, sent: Any) -> None:
        """Let what reads the spikes of the step before read them from the node that sends them.

        Raises:
            UnsupportedError: E2029, what is sent is not spikes of one node, of the same shape.
        """
        if not isinstance(sent, Signal) or not _is_plain_spikes(sent, feedback):
            had = f"{sent.payload.text} {sent.shape}" if isinstance(sent, Signal) else "no signal"
            raise UnsupportedError(
                "E2029",
                f"feeds back {had} of {getattr(sent, 'origin', 'its module')}; a loop carries the "
                f"spikes {feedback.shape} of one neuron layer",
                where=path,
                remedy="let the module inside end in its neuron, with as many outputs as are fed "
                "back",
            )
        (hole, _), (neuron, _) = *feedback.terms, *sent.terms
        del self.nodes[hole]
        readers = [target for source, target in self.edges if source == hole]
        self.edges[:] = [edge for edge in self.edges if edge[0] != hole]
        for target in readers:
            start = neuron
            if target == neuron:
                start = hole
                self.nodes[start] = nir.Scale(scale=np.ones(feedback.shape))
                self.edges.append((neuron, start))
            self.edges.append((start, target))

    def note(self, kind: NoteKind, node: str, text: str) -> None:
        """Keep what the import changed or assumed."""
        self.notes.append(ImportNote(kind=kind, node=node, text=text))

    def free_name(self, name: str) -> str:
        """Return `name`, numbered if a node has it already; the ports keep their names."""
        count, free = 1, name
        while free in self.nodes or free == "output":
            count += 1
            free = f"{name}.{count}"
        return free

    def append_output(self, signal: Signal, name: str = "output") -> str:
        """Add an output node behind a signal and return its name.

        Raises:
            UnsupportedError: E2015, E2019, as `append`.
        """
        _check_plain(name, signal)
        name = name if name not in self.nodes else self.free_name(name)
        self.nodes[name] = nir.Output(output_type={"output": np.array(signal.shape)})
        self._connect(signal, name)
        return name

    def drop_unread(self) -> None:
        """Remove the nodes from which no output is reached; inputs stay."""
        ports = [name for name, node in self.nodes.items() if isinstance(node, nir.Output)]
        reached = set(ports)
        while ports:
            target = ports.pop()
            before = {source for source, end in self.edges if end == target} - reached
            reached |= before
            ports += before
        for name, node in list(self.nodes.items()):
            if name not in reached and not isinstance(node, nir.Input):
                del self.nodes[name]
                self.note("dropped", name, "no output depends on it")
        self.edges[:] = [edge for edge in self.edges if edge[1] in reached]

    def _connect(self, source: Signal, target: str) -> None:
        """Add an edge per term, over a `Scale` where its factor is not 1."""
        for name, factor in source.terms:
            start = name
            if factor != 1.0:
                start = self.free_name(f"{target}.{name}.scale")
                self.nodes[start] = nir.Scale(scale=np.full(source.shape, factor))
                self.edges.append((name, start))
            self.edges.append((start, target))


Reader = Callable[[Draft, str, Any, Signal], Signal]
"""Reads one module at a path, applied to a signal, into the draft."""


def _is_plain_spikes(signal: Signal, feedback: Signal) -> bool:
    is_one = [factor for _, factor in signal.terms] == [1.0] and not signal.offset
    kept = (signal.shape, signal.payload) == (feedback.shape, feedback.payload)
    return is_one and kept and not any(signal.padding)


def _check_plain(where: str, source: Signal) -> None:
    if source.offset or not source.terms:
        raise UnsupportedError(
            "E2015",
            f"gets {source.origin} plus the number {source.offset:g}; a constant is no spike",
            where=where,
            remedy="put constants into the bias of the layer before the neuron; 1 - spikes only "
            "in products: (1 - a) * b",
        )
    if any(source.padding):
        raise UnsupportedError(
            "E2019",
            f"gets {source.origin} with a border of zeros, which only a convolution right "
            "behind it takes over",
            where=where,
            remedy="give the padding to the convolution: Conv2d(…, padding=…)",
        )
