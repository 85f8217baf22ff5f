"""Write what was fitted back into a model: weights on their grid, biases on the chip's."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snndeploy.compress.fit import Fitted, Plan
from snndeploy.compress.plans import Structure
from snndeploy.compress.rescaw import from_codes
from snndeploy.ir.arrays import FloatArray
from snndeploy.ir.neurons import ACT_SHIFT
from snndeploy.model import Model
from snndeploy.nirgraph.rebuild import copy_node, rebuild_graph
from snndeploy.nirgraph.weight_grid import grid_of_node, with_grid


def write_fitted(
    model: Model, structure: Structure, fitted: Mapping[str, tuple[Plan, Fitted, FloatArray]]
) -> Model:
    """Return the model that `compile` writes as the integers that were fitted.

    Args:
        model: whose weight nodes carry grids, and hold the biases that were fitted.
        structure: of that model.
        fitted: per population, with the real bias [n] that was.
    """
    nodes: dict[str, Any] = {}
    for plan, found, bias in fitted.values():
        for feed in reversed(plan.feeds):
            node = model.graph.nodes[feed.node]
            grid = grid_of_node(feed.node, node)
            assert grid is not None
            gamma = np.broadcast_to(found.gammas[feed.node], len(grid.gamma))
            unit = np.broadcast_to(found.units / np.abs(feed.factor), len(grid.gamma))
            weight = from_codes(found.codes[feed.node], gamma, feed.codes)
            gridded = with_grid(node, replace(grid, gamma=gamma, unit=unit))
            nodes[feed.node] = copy_node(gridded, weight=weight)
        missing = bias_in_integers(plan, found, bias) - bias
        for name, values in _biases(model, structure.gains[plan.task.layer.name], missing).items():
            nodes[name] = copy_node(nodes.get(name, model.graph.nodes[name]), bias=values)
    return replace(model, graph=rebuild_graph(model.graph, nodes))


def _biases(
    model: Model, gains: Mapping[str, FloatArray], missing: FloatArray
) -> dict[str, FloatArray]:
    """Return the bias of a layer's first node that brings the sum onto the chip's grid.

    Where no bias per channel does (a drive differs within one), the sum is left as it is: it is
    rounded again, to the same integer.
    """
    for node, gain in gains.items():
        bias = np.asarray(model.graph.nodes[node].bias, dtype=np.float64)
        rows = (missing / np.where(gain, gain, 1.0)).reshape(len(bias), -1)
        if gain.all() and np.all(np.ptp(rows, axis=1) <= 1e-9 * np.abs(rows).max(initial=0.0)):
            return {node: bias + rows[:, 0]}
    return {}


def bias_in_integers(plan: Plan, found: Fitted, bias: FloatArray) -> FloatArray:
    """Return the bias that the integer population adds per step, in the model's units [n]."""
    task = plan.task
    units = task.by_neuron(found.units)
    if found.late is not None:
        return np.asarray(found.late * units)
    if "bias_mant" not in found.params:
        return bias
    state = found.params["bias_mant"] << found.params["bias_exp"]
    return np.asarray(state / (1 << ACT_SHIFT) * units + np.zeros(len(bias)))
