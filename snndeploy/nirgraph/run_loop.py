"""Run a loop of a graph step by step, all samples at once.

Before the first step no neuron has fired. What a feedback edge carries then is said by the
`feedback` of the neuron it leads to: with `output` nothing; with `spike` what its source makes of
neurons that sent zeros, so that the bias of a recurrent map acts from the first step on. What a
`Delay` on the loop holds before the first step follows the same rule.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from snndeploy.ir.arrays import FloatArray
from snndeploy.model import Model
from snndeploy.nirgraph.arithmetic import add_up, apply_stateless
from snndeploy.nirgraph.canonical import NEURONS, SPIKING
from snndeploy.nirgraph.dynamics import delay_of, step_constants
from snndeploy.nirgraph.loops import Stage, order_among
from snndeploy.nirgraph.microcode import (
    Microcode,
    arithmetic_of,
    first_words,
    fixed_words,
    step_microcode,
)
from snndeploy.nirgraph.neuron_step import first_state, step_neuron
from snndeploy.nirgraph.rebuild import feedback_edges, sources_of, targets_of
from snndeploy.nirgraph.shapes import shape_of
from snndeploy.semantics import Feedback

Advance = Callable[[Any, FloatArray], tuple[FloatArray, Any]]
"""A node's step: its memory and its input [B, *shape] to its output and its memory after it."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Cell:
    """One node of a loop.

    Attributes:
        outside: sum of what comes from outside the loop, [T, B, *shape]; None if nothing does.
        within: sources in the loop, and whether their step before is read.
        before: what those sent before the first step, [B, *shape].
        memory: before the first step.
        advance: its step.
    """

    outside: FloatArray | None
    within: tuple[tuple[str, bool], ...]
    before: Mapping[str, FloatArray]
    memory: Any
    advance: Advance


def run_loop(
    model: Model,
    graph: nir.NIRGraph,
    loop: Stage,
    values: Mapping[str, FloatArray],
    wanted: Collection[str],
) -> dict[str, FloatArray]:
    """Run a loop over all steps.

    Requires: `check_loops` has passed; `values` holds every source outside the loop.

    Args:
        model: semantics of its nodes.
        graph: normalized.
        loop: nodes that depend on each other.
        values: outputs of nodes outside, [T, B, *shape] float64.
        wanted: members, or `MEMBER:v` for a neuron's membrane potential after the reset.

    Returns:
        [T, B, *shape] float64 per wanted name.
    """
    n_steps, n_samples = next(iter(values.values())).shape[:2]
    cells = _cells(model, graph, loop, values, n_samples)
    found = {
        name: np.empty((n_steps, n_samples, *shape_of(graph.nodes[name.removesuffix(":v")])))
        for name in wanted
    }
    memory = {name: cell.memory for name, cell in cells.items()}
    sent: dict[str, FloatArray] = {}
    for t in range(n_steps):
        last, sent = sent, {}
        for name, cell in cells.items():
            parts = [] if cell.outside is None else [cell.outside[t]]
            earlier = last if t else cell.before
            parts += [earlier[source] if lags else sent[source] for source, lags in cell.within]
            sent[name], memory[name] = cell.advance(memory[name], add_up(parts))
        for name, trace in found.items():
            trace[t] = sent[name] if name in sent else memory[name.removesuffix(":v")].v
    return found


def _cells(
    model: Model,
    graph: nir.NIRGraph,
    loop: Stage,
    values: Mapping[str, FloatArray],
    n_samples: int,
) -> dict[str, _Cell]:
    """Return the nodes of a loop in the order of a step."""
    lagging = feedback_edges(graph)
    rest = at_rest(graph, loop, n_samples)
    cells = {}
    for name in loop.members:
        sources = sources_of(graph, name)
        outside = [values[source] for source in sources if source not in loop.members]
        acts = feedback_rule(model, graph, loop, name) == "spike"
        before = {
            source: rest[source] if acts else np.zeros_like(rest[source])
            for source in sources
            if source in loop.members
        }
        held = add_up(list(before.values()))
        memory, advance = _step_of(model, graph, name, held)
        cells[name] = _Cell(
            outside=add_up(outside) if outside else None,
            within=tuple((source, (source, name) in lagging) for source in before),
            before=before,
            memory=memory,
            advance=advance,
        )
    return cells


def at_rest(graph: nir.NIRGraph, loop: Stage, n_samples: int) -> dict[str, FloatArray]:
    """Return what every node of a loop sends, [B, *shape], if neurons and inputs send zeros."""
    rest = {name: np.zeros((n_samples, *shape_of(graph.nodes[name]))) for name in loop.members}
    for name in order_among(graph, [n for n in loop.members if not _is_neuron(graph, n)]):
        node = graph.nodes[name]
        parts = [rest[source] for source in sources_of(graph, name) if source in rest]
        rest[name] = (
            add_up(parts) if isinstance(node, nir.Delay) else apply_stateless(node, add_up(parts))
        )
    return rest


def _is_neuron(graph: nir.NIRGraph, name: str) -> bool:
    return isinstance(graph.nodes[name], NEURONS)


def feedback_rule(model: Model, graph: nir.NIRGraph, loop: Stage, name: str) -> Feedback:
    """Return the rule of the first spiking neuron of a loop at or behind a node."""
    level, seen = [name], {name}
    while True:
        for found in level:
            if isinstance(graph.nodes[found], SPIKING):
                return model.semantics_of(found).feedback
        level = [
            target
            for source in level
            for target in targets_of(graph, source)
            if target in loop.members and target not in seen
        ]
        seen |= set(level)


def _step_of(model: Model, graph: nir.NIRGraph, name: str, held: FloatArray) -> tuple[Any, Advance]:
    """Return a node's memory before the first step, and its step.

    `held` is what reaches it from within the loop before the first step, [B, *shape].
    """
    node = graph.nodes[name]
    if isinstance(node, Microcode):
        shape, numbers = shape_of(node), arithmetic_of(model.semantics_of(name))
        words = fixed_words(node, shape, numbers)
        states = first_words(node, (len(held), *shape), numbers)
        return states, lambda now, x: step_microcode(node, words, now, x, numbers)
    if _is_neuron(graph, name):
        semantics = model.semantics_of(name)
        constants = step_constants(node, semantics)
        memory = first_state(constants, (len(held), *shape_of(node)))
        return memory, lambda state, x: step_neuron(constants, semantics, state, x)
    if isinstance(node, nir.Delay):
        steps = delay_of(node, model.semantics_of(name))
        return (held,) * int(steps.max()), lambda past, x: _delayed(steps, past, x)
    return None, lambda _, x: (apply_stateless(node, x), None)


def _delayed(
    steps: Any, past: tuple[FloatArray, ...], x: FloatArray
) -> tuple[FloatArray, tuple[FloatArray, ...]]:
    """Return x [B, *shape] of so many steps ago per element; `past` holds the steps before."""
    frames = (x, *past)
    out = np.empty_like(x)
    for count in np.unique(steps):
        chosen = steps == count
        out[:, chosen] = frames[count][:, chosen]
    return out, frames[:-1]
