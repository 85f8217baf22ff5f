"""Undo an unrolled time loop: a traced forward of T steps becomes the graph of one step.

torch.fx unrolls `for step in range(T)`. Every neuron is then called T times, in the order of the
steps. Each value gets the step it belongs to and a key, its expression with the step left out; the
loop is rolled up only if all steps have the same keys and every state goes from one call of a
neuron to its next. What collects the steps (`torch.stack`, a running sum, the last one) becomes one
call of `stacked`, `accumulated` or `last`.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.frameworks import is_stateful, state_items, takes_state
from snndeploy.frontends.tracing import RESET, attribute

AFTER = -1
"""The step of what is computed from all steps together."""
PARTIAL = -2
"""The step of a running sum that is not complete."""
ADDITIONS = ("add", "iadd", "add_")


@dataclass(frozen=True, slots=True)
class Loop:
    """A rolled-up loop.

    Attributes:
        steps: how often it ran.
        takes_steps: it takes one step of its input at a time, `x[step]`.
    """

    steps: int
    takes_steps: bool


def stacked(value: Any, steps: int) -> Any:
    """Stand for torch.stack of a value of every step."""
    return value, steps


def accumulated(value: Any, steps: int) -> Any:
    """Stand for the sum of a value of every step."""
    return value, steps


def last(value: Any, steps: int) -> Any:
    """Stand for a value of the last step."""
    return value, steps


def reroll(root: nn.Module, graph: fx.Graph) -> tuple[fx.Graph, Loop | None]:
    """Return the graph of one step and its loop; a graph without a loop as it is.

    Raises:
        UnsupportedError: E2024, the steps differ; E2025, a value of one step is used in another;
            E2026, the input or the answer has time elsewhere than in front.
    """
    steps = _call_counts(root, graph)
    collects = any(_name(node) == "stack" for node in graph.nodes)
    if not steps or (max(steps.values()) == 1 and not collects):
        return graph, None
    if len(set(steps.values())) > 1:
        few, many = (pick(steps, key=lambda name: steps[name]) for pick in (min, max))
        raise _differs(few, f"is called {steps[few]} times, {many} {steps[many]} times")
    return _Roll(root=root, steps=max(steps.values())).run(graph)


def _call_counts(root: nn.Module, graph: fx.Graph) -> Counter[str]:
    return Counter(
        str(node.target)
        for node in graph.nodes
        if node.op == "call_module" and is_stateful(root.get_submodule(str(node.target)))
    )


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Roll:
    """The analysis of one graph.

    Attributes:
        calls: calls of each neuron so far.
        step: of each node: None if it is the same in all steps.
        key: of each node, the number of its expression without the step.
        numbers: of the expressions.
        sums: running sums: the key of what is added and the steps it has.
        first: first node with a key, of step 0 or of all steps.
        copies: nodes of the one-step graph.
    """

    root: nn.Module
    steps: int
    calls: dict[str, list[fx.Node]] = field(default_factory=dict)
    step: dict[fx.Node, int | None] = field(default_factory=dict)
    key: dict[fx.Node, int] = field(default_factory=dict)
    numbers: dict[Any, int] = field(default_factory=dict)
    sums: dict[fx.Node, tuple[int, int]] = field(default_factory=dict)
    first: dict[int, fx.Node] = field(default_factory=dict)
    copies: dict[fx.Node, fx.Node] = field(default_factory=dict)

    def run(self, graph: fx.Graph) -> tuple[fx.Graph, Loop]:
        rolled = fx.Graph()
        takes_steps = False
        for node in graph.nodes:
            if node.op == "output":
                rolled.output(fx.node.map_arg(node.args[0], lambda n: self._result(rolled, n)))
                break
            takes_steps |= self._classify(node)
            self._copy(rolled, node)
        return rolled, Loop(self.steps, takes_steps)

    def _classify(self, node: fx.Node) -> bool:
        """Set the step and the key of a node; return whether it takes a step of the input."""
        if node.op in ("placeholder", "get_attr"):
            self._set(node, None, (node.op, str(node.target)))
            return False
        if node.op == "call_module" and is_stateful(self.root.get_submodule(str(node.target))):
            self._classify_neuron(node)
            return False
        index = self._input_index(node)
        if index is not None:
            self._set(node, index, ("step of", node.args[0]))
            return True
        steps = {self.step[part] for part in node.all_input_nodes} - {None}
        if _name(node) == "stack" and steps and AFTER not in steps:
            self._classify_stack(node)
        elif len(steps) <= 1:
            self._set(node, next(iter(steps), None), self._expression(node))
        elif not self._is_sum(node):
            raise UnsupportedError(
                "E2025",
                "combines values of different steps of the loop over time",
                where=node.name,
                remedy="let a step take only its input and its neurons' states; sum or stack the "
                "answers",
            )
        return False

    def _classify_neuron(self, node: fx.Node) -> None:
        name = str(node.target)
        earlier = self.calls.setdefault(name, [])
        count, (source, *states) = len(earlier), node.args
        step = self.step[source] if isinstance(source, fx.Node) else None
        if count and node.meta.get(RESET):
            raise _differs(name, "is reset within the loop")
        if step not in (None, count):
            raise _differs(name, f"call {count + 1} takes a value {_when(step)}")
        items = state_items(self.root.get_submodule(name))
        given = dict(zip(items, states, strict=False)) | node.kwargs
        if count and not given and takes_state(self.root.get_submodule(name)):
            raise _differs(name, "is called without its state, so it starts anew in every step")
        for key, state in given.items():
            if count and not _is_state_of(state, earlier[-1], items.get(key)):
                raise _differs(name, "does not take its own state of the step before")
            if not count and isinstance(state, fx.Node) and self.step[state] is not None:
                raise _differs(name, "starts from a value of the loop")
        self._set(node, count, (name, self.key[source] if isinstance(source, fx.Node) else source))
        if earlier and self.key[earlier[0]] != self.key[node]:
            raise _differs(name, f"takes something else in step {count} than in step 0")
        earlier.append(node)

    def _classify_stack(self, node: fx.Node) -> None:
        items = node.args[0]
        dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
        if dim != 0:
            raise UnsupportedError(
                "E2026", f"stacks the steps along dimension {dim}", where=node.name,
                remedy="stack them along dimension 0: torch.stack(spikes)",
            )  # fmt: skip
        assert isinstance(items, list | tuple)
        steps = [self.step[item] if isinstance(item, fx.Node) else None for item in items]
        keys = {self.key[item] for item in items if isinstance(item, fx.Node)}
        if steps != list(range(self.steps)) or len(keys) > 1:
            raise _differs(node.name, "stacks something else than one value per step, in order")
        self._set(node, AFTER, ("stack", keys.pop()))

    def _is_sum(self, node: fx.Node) -> bool:
        """Recognise total + value, where total is the sum of that value over all steps before."""
        if _name(node) not in ADDITIONS or len(node.args) != 2 or node.kwargs:
            return False
        total, value = node.args
        if not isinstance(total, fx.Node) or not isinstance(value, fx.Node):
            return False
        key, count = self.sums.get(total, (self._addend(total, value), 1))
        begins = self.step[total] == 0 or total in self.sums
        if not begins or key != self.key[value] or self.step[value] != count:
            return False
        self.sums[node] = (key, count + 1)
        self._set(node, AFTER if count + 1 == self.steps else PARTIAL, ("sum", count + 1, key))
        return True

    def _addend(self, total: fx.Node, value: fx.Node) -> int | None:
        """Return the key of what a sum of one step holds: the value, or 0 + the value."""
        if self.key[total] == self.key[value] or _name(total) not in ADDITIONS:
            return self.key[total]
        parts = [part for part in total.args if not self._is_zero(part)]
        is_one = len(parts) == 1 and isinstance(parts[0], fx.Node)
        return self.key[parts[0]] if is_one else None  # type: ignore[index]  # is_one says Node

    def _is_zero(self, value: Any) -> bool:
        if isinstance(value, fx.Node) and value.op == "get_attr":
            value = attribute(self.root, str(value.target))
        if isinstance(value, torch.Tensor):
            return not bool(value.any())
        return isinstance(value, int | float) and value == 0

    def _input_index(self, node: fx.Node) -> int | None:
        """Return t of `x[t]`, where x is an argument of forward."""
        source = node.args[0] if node.args else None
        if not isinstance(source, fx.Node) or source.op != "placeholder":
            return None
        if _name(node) == "getitem" and isinstance(node.args[1], tuple):
            if any(isinstance(item, int) for item in node.args[1]):
                raise UnsupportedError(
                    "E2026", f"takes the part {node.args[1]} of its input", where=node.name,
                    remedy="give the input time first, [T, B, …], and take x[step]",
                )  # fmt: skip
            return None
        is_step = _name(node) == "getitem" and isinstance(node.args[1], int)
        return int(node.args[1]) if is_step else None  # type: ignore[arg-type]  # an int, see above

    def _expression(self, node: fx.Node) -> Any:
        args = fx.node.map_arg((node.args, node.kwargs), lambda part: f"%{self.key[part]}")
        return (node.op, str(node.target), repr(args))

    def _set(self, node: fx.Node, step: int | None, expression: Any) -> None:
        number = self.numbers.setdefault(expression, len(self.numbers))
        self.step[node], self.key[node] = step, number
        if step in (None, 0):
            self.first.setdefault(number, node)

    def _copy(self, graph: fx.Graph, node: fx.Node) -> None:
        """Copy what one step needs: its own nodes and those that are the same in all steps."""
        if node in self.sums:
            key, count = self.sums[node]
            if count == self.steps:
                value = self.copies[self.first[key]]
                self.copies[node] = graph.call_function(accumulated, (value, count))
        elif self.step[node] == AFTER and _name(node) == "stack":
            items: Any = node.args[0]
            self.copies[node] = graph.call_function(stacked, (self.copies[items[0]], self.steps))
        elif self.step[node] == 0 and self._input_index(node) is not None:
            self.copies[node] = self.copies[node.all_input_nodes[0]]
        elif self.step[node] is None and self.first[self.key[node]] is not node:
            self.copies[node] = self.copies[self.first[self.key[node]]]
        elif self.step[node] in (None, 0, AFTER):
            self.copies[node] = graph.node_copy(node, self.copies.__getitem__)

    def _result(self, graph: fx.Graph, node: fx.Node) -> fx.Node:
        """Return the copy of a returned value: of all steps, or of the last."""
        if self.step[node] in (None, AFTER) and node in self.copies:
            return self.copies[node]
        if self.step[node] != self.steps - 1 or self.key[node] not in self.first:
            raise _differs(node.name, "is returned, but not computed in the same way in every step")
        return graph.call_function(last, (self.copies[self.first[self.key[node]]], self.steps))


def _is_state_of(value: Any, call: fx.Node, position: int | None) -> bool:
    """Return whether a value is the state that a neuron's call returned at this position."""
    is_item = isinstance(value, fx.Node) and _name(value) == "getitem"
    return is_item and value.args == (call, position)


def _name(node: fx.Node) -> str:
    target: Any = node.target
    return target if isinstance(target, str) else str(getattr(target, "__name__", target))


def _when(step: int | None) -> str:
    return {AFTER: "after the loop", PARTIAL: "of several steps"}.get(step or 0, f"of step {step}")


def _differs(where: str, what: str) -> UnsupportedError:
    return UnsupportedError(
        "E2024",
        f"{what}; a time loop in forward must do the same in every step",
        where=where,
        remedy="call every neuron once per step, in one order, with its own state; or let forward "
        "take one step and loop outside (time='outer')",
    )
