"""The membrane potential that a neuron compares with its threshold, from what was recorded.

`NODE:v` is the potential after the reset; this is the one before it:

    u[t] = v_decay * v[t-1] + v_gain * (i[t] or x[t]) + v_drive

with x the sum of what the node's sources send, and i its synaptic current where it has one.
"""

from collections.abc import Mapping

import nir
import numpy as np

from snndeploy.ir.arrays import FloatArray
from snndeploy.model import Model
from snndeploy.nirgraph.arithmetic import add_up
from snndeploy.nirgraph.dynamics import Dynamics, step_constants
from snndeploy.nirgraph.loops import stages_of
from snndeploy.nirgraph.rebuild import feedback_edges, sources_of
from snndeploy.nirgraph.run_loop import at_rest, feedback_rule
from snndeploy.semantics import Semantics


def recorded_for(graph: nir.NIRGraph, name: str) -> tuple[str, ...]:
    """Return what has to be recorded for the potential of a neuron."""
    return (name, f"{name}:v", *sources_of(graph, name))


def potential_before_spikes(
    model: Model, graph: nir.NIRGraph, name: str, recorded: Mapping[str, FloatArray]
) -> FloatArray:
    """Return the potential before the reset of each step, [T, B, *shape].

    Args:
        model: semantics of its nodes.
        graph: its normalized graph.
        name: a neuron that is not one of the user's own.
        recorded: what `recorded_for` names, [T, B, *shape] each.
    """
    semantics = model.semantics_of(name)
    constants = step_constants(graph.nodes[name], semantics)
    x = _arriving(model, graph, name, recorded)
    v, spikes = recorded[f"{name}:v"], recorded[name]
    earlier = np.concatenate([np.broadcast_to(constants.v_init, (1, *v.shape[1:])), v[:-1]])
    current = _currents(constants, semantics, x)
    u: FloatArray = constants.v_decay * earlier + constants.v_gain * current + constants.v_drive
    if semantics.reset == "subtract-delayed" and constants.v_threshold is not None:
        u[1:] -= spikes[:-1] * constants.v_threshold
    return u


def _arriving(
    model: Model, graph: nir.NIRGraph, name: str, recorded: Mapping[str, FloatArray]
) -> FloatArray:
    """Return the sum of what arrives in each step, that of a feedback edge from the step before."""
    lagging = feedback_edges(graph)
    parts = []
    for source in sources_of(graph, name):
        sent = recorded[source]
        if (source, name) in lagging:
            loop = next(stage for stage in stages_of(graph) if name in stage.members)
            first = at_rest(graph, loop, sent.shape[1])[source]
            acts = feedback_rule(model, graph, loop, name) == "spike"
            sent = np.concatenate([(first if acts else 0 * first)[None], sent[:-1]])
        parts.append(sent)
    return add_up(parts)


def _currents(constants: Dynamics, semantics: Semantics, x: FloatArray) -> FloatArray:
    """Return what the membrane sees in each step."""
    if constants.i_decay is None or constants.i_gain is None:
        return x
    seen = np.empty_like(x)
    i = np.zeros_like(x[0])
    for t, x_now in enumerate(x):
        if semantics.order == "synapse-first":
            i = seen[t] = constants.i_decay * i + constants.i_gain * x_now
        else:
            seen[t] = i + constants.i_gain * x_now
            i = constants.i_decay * seen[t]
    return seen
