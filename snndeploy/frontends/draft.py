"""A NIR graph in the making: what a tracer has read of a module so far."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np

from snndeploy.model import ImportNote, NoteKind
from snndeploy.nirgraph.canonical import Shape, canonical_node
from snndeploy.nirgraph.rebuild import Edge
from snndeploy.nirgraph.shapes import output_shape


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """What a traced value is: the output of one node.

    Attributes:
        shape: without time and batch.
        sizes: leading sizes of the example where this is: (B,) or (T, B).
        is_spikes: every value is 0 or 1.
        is_shared: more than one operation reads it, so its node must not be changed.
    """

    node: str
    shape: Shape
    sizes: Shape
    is_spikes: bool
    is_shared: bool = False

    @property
    def text(self) -> str:
        """Layout and sizes for messages, e.g. `[B, …] (1, 2, 28, 28)`."""
        layout = "[T, B, …]" if len(self.sizes) == 2 else "[B, …]"
        return f"{layout} {(*self.sizes, *self.shape)}"


@dataclass(frozen=True, eq=False, slots=True)
class Draft:
    """Nodes, edges and import notes, in the order of the trace."""

    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    notes: list[ImportNote] = field(default_factory=list)

    def append(self, name: str, node: Any, source: Signal, *, is_spikes: bool) -> Signal:
        """Add a node behind a signal and return its output.

        Raises:
            ModelError: E1021, the node cannot take the signal's shape.
        """
        name = self.free_name(name)
        canonical = canonical_node(name, node)
        shape = output_shape(name, canonical, source.shape)
        self.nodes[name] = canonical
        self.edges.append((source.node, name))
        return Signal(node=name, shape=shape, sizes=source.sizes, is_spikes=is_spikes)

    def replace(self, signal: Signal, node: Any) -> Signal:
        """Replace the node that makes a signal by one of the same shape."""
        self.nodes[signal.node] = canonical_node(signal.node, node)
        return signal

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

    def append_output(self, signal: Signal) -> str:
        """Add an output node behind a signal and return its name (output, output1, …)."""
        count = sum(isinstance(node, nir.Output) for node in self.nodes.values())
        name = f"output{count or ''}"
        self.nodes[name] = nir.Output(output_type={"output": np.array(signal.shape)})
        self.edges.append((signal.node, name))
        return name


Reader = Callable[[Draft, str, Any, Signal], Signal]
"""Reads one module at a path, applied to a signal, into the draft."""
