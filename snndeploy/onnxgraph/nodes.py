"""Writing ONNX nodes: safe fresh names, integer constants once each."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, helper, numpy_helper

LONGEST_NAME = 60


class Names:
    """Gives names that any tool can show: letters, digits, `_`, `.`, `/`, each once."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def fresh(self, wanted: str) -> str:
        """Return the wanted name made safe, with a number behind it if it is taken."""
        name = base = safe(wanted)
        number = 1
        while name in self.taken:
            number += 1
            name = f"{base}_{number}"
        self.taken.add(name)
        return name


def safe(wanted: str) -> str:
    """Return a name with everything that is no letter, digit, `_`, `.` or `/` replaced."""
    name = re.sub(r"[^A-Za-z0-9_./]", "_", wanted)[:LONGEST_NAME]
    return name if re.match(r"[A-Za-z_]", name) else f"_{name}"


class Nodes:
    """The nodes of one graph or function while it is written; values are known by name.

    Attributes:
        names: shared by a graph and the graph inside it.
        scope: what the names of new nodes and values begin with.
    """

    def __init__(self, names: Names | None = None) -> None:
        self.names = names or Names()
        self.scope = ""
        self.nodes: list[NodeProto] = []
        self._constants: dict[tuple[int, ...] | int, str] = {}

    def op(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Append a node with one output; return its name, fresh unless `out` says it."""
        (output,) = self.ops(kind, *inputs, outs=(out,), **attributes)
        return output

    def ops(
        self, kind: str, *inputs: str, outs: Sequence[str], domain: str = "", **attributes: Any
    ) -> tuple[str, ...]:
        """Append a node with several outputs; empty names become fresh ones."""
        outputs = tuple(name or self.names.fresh(f"{self.scope}{kind.lower()}") for name in outs)
        name = self.names.fresh(f"{self.scope}{kind}")
        node = helper.make_node(kind, inputs, outputs, name=name, domain=domain, **attributes)
        self.nodes.append(node)
        return outputs

    def constant(self, value: int | Sequence[int]) -> str:
        """Return an int64 scalar or vector as a value; equal ones are one node."""
        key = value if isinstance(value, int) else tuple(value)
        if key not in self._constants:
            array = np.array(value, dtype=np.int64)
            text = "_".join(map(str, array.reshape(-1)[:4])).replace("-", "minus")
            name = self.names.fresh(f"const/{text or 'empty'}")
            tensor = numpy_helper.from_array(array, name)
            node_name = self.names.fresh(f"{name}/Constant")
            self.nodes.append(
                helper.make_node("Constant", [], [name], name=node_name, value=tensor)
            )
            self._constants[key] = name
        return self._constants[key]
