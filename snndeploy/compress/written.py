"""Write what was fitted back into a model: weights on their grid, biases on the chip's."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snndeploy.compress.fit import Fitted, Plan
from snndeploy.compress.plans import Structure, task_bias
from snndeploy.compress.rescaw import from_codes
from snndeploy.ir.arrays import FloatArray
from snndeploy.ir.neurons import ACT_SHIFT
from snndeploy.model import Model
from snndeploy.nirgraph.rebuild import copy_node, rebuild_graph
from snndeploy.nirgraph.weight_grid import grid_of_node, with_grid
from snndeploy.passes.layers import BIAS


def write_fitted(
    model: Model, structure: Structure, fitted: Mapping[str, tuple[Plan, Fitted]]
) -> Model:
    """Return the model that `compile` writes as the integers that were fitted.

    Args:
        model: whose weight nodes carry grids, and hold the biases that were fitted.
        structure: of that model.
        fitted: per population.
    """
    nodes: dict[str, Any] = {}
    for plan, found in fitted.values():
        for feed in reversed(plan.feeds):
            node = model.graph.nodes[feed.node]
            grid = grid_of_node(feed.node, node)
            assert grid is not None
            gamma = np.broadcast_to(found.gammas[feed.node], len(grid.gamma))
            unit = np.broadcast_to(found.units / np.abs(feed.factor), len(grid.gamma))
            weight = from_codes(found.codes[feed.node], gamma, feed.codes)
            gridded = with_grid(node, replace(grid, gamma=gamma, unit=unit))
            nodes[feed.node] = copy_node(gridded, weight=weight)
        for name, bias in _biases(model, plan, found, structure).items():
            nodes[name] = copy_node(nodes.get(name, model.graph.nodes[name]), bias=bias)
    return replace(model, graph=rebuild_graph(model.graph, nodes))


def _biases(model: Model, plan: Plan, found: Fitted, structure: Structure) -> dict[str, FloatArray]:
    """Return the bias of the layer's first biased node at which the sum lies on the chip's grid.

    A sum that no bias per channel brings there (a drive or a pool at the image's border that
    differs within one) is left as it is: it is rounded again, to the same integer.
    """
    name = plan.task.layer.name
    for node, gain in structure.gains[name].items():
        bias = np.asarray(model.graph.nodes[node].bias, dtype=np.float64)
        wanted = bias_in_integers(plan, found) - task_bias(plan.task)
        rows = (wanted / np.where(gain, gain, 1.0)).reshape(len(bias), -1)
        if gain.all() and np.all(np.ptp(rows, axis=1) <= 1e-12 * np.abs(rows).max(initial=1.0)):
            return {node: bias + rows[:, 0]}
    return {}


def bias_in_integers(plan: Plan, found: Fitted) -> FloatArray:
    """Return the bias that the integer population adds per step, in the model's units [n]."""
    task = plan.task
    units = task.by_neuron(found.units)
    for index, whole in found.constants.items():
        if task.layer.paths[index].source == BIAS:
            return np.asarray(whole[:, 0] * units)
    if "bias_mant" not in found.params:
        return task_bias(task)
    state = found.params["bias_mant"] << found.params["bias_exp"]
    return np.asarray(state / (1 << ACT_SHIFT) * units + np.zeros(len(task.layer.bias)))
