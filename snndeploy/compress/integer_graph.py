"""The integer network of a quantized model in torch: what `compile` writes, as weights move.

At every call the populations are fitted to the weights (`snndeploy.compress.fit`): clip points,
codes, thresholds, biases. `snndeploy.compress.integer_run` runs them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor

from snndeploy.compress.channels import has_weights, is_copy
from snndeploy.compress.codes import real_weight
from snndeploy.compress.fit import Fitted, Plan, fit
from snndeploy.compress.integer_neuron import TRAINED
from snndeploy.compress.plans import Structure, codes_of, given_plan, structure_of
from snndeploy.compress.records import Ste
from snndeploy.compress.rescaw import gamma_of
from snndeploy.compress.torch_graph import Weight, Weights
from snndeploy.compress.written import write_fitted
from snndeploy.errors import UnsupportedError
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.program import Params
from snndeploy.model import Model
from snndeploy.nirgraph.rebuild import copy_node, feedback_edges, rebuild_graph
from snndeploy.nirgraph.weight_grid import WeightGrid, grid_of_node
from snndeploy.passes.choose import choose
from snndeploy.passes.given import is_given
from snndeploy.passes.layers import BIAS, Path
from snndeploy.passes.neuron import Recurrence
from snndeploy.passes.task import Task
from snndeploy.pipeline import CompileOptions
from snndeploy.target import Numerics


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Reference:
    """A layer's clip point as it came, and the size of its weights by the rule, [1] or [rows].

    While weights move, the clip point follows their size, so that training starts from the
    network as it came.
    """

    grid: WeightGrid
    size: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Fixed:
    """A population without weights that move: integers by path, and what one unit is worth."""

    weights: tuple[IntArray, ...]
    params: Params
    unit: float


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class IntegerGraph:
    """A quantized model that is ready to run.

    Attributes:
        model: its weight nodes carry grids.
        structure: its layers.
        plans: of the populations whose weights move.
        fixed: the other populations.
        references: per layer.
        ste: slope of quantized weights.
    """

    model: Model
    structure: Structure
    plans: Mapping[str, Plan]
    fixed: Mapping[str, Fixed]
    references: Mapping[str, Reference]
    ste: Ste = "one"


def is_quantized(model: Model) -> bool:
    """Return whether a layer of a model says that its weights lie on a grid."""
    return any(grid_of_node(name, node) for name, node in model.graph.nodes.items())


def integer_graph(
    model: Model, numerics: Numerics, options: CompileOptions, *, steps: int, ste: Ste = "one"
) -> IntegerGraph:
    """Return a quantized model that is ready to run as its integer network.

    Raises:
        UnsupportedError: E2301 (a loop), E2315 (a layer that is not quantized), E2316 (what is
            deployed but not trained).
        ModelError: E1240 to E1243, its grids.
    """
    if loops := sorted(feedback_edges(model.graph)):
        source, target = loops[0]
        raise UnsupportedError(
            "E2301", f"a loop: its edge {source} -> {target} reads the step before; loops are not "
            "trained yet", where=target, remedy="fine-tune the network in its own framework",
        )  # fmt: skip
    structure = structure_of(model, numerics, options, steps=steps)
    plans: dict[str, Plan] = {}
    fixed: dict[str, Fixed] = {}
    for task in structure.tasks:
        _check(model, task, drive=structure.drives[task.layer.name])
        name = task.layer.name
        if is_given(task.layer):
            plans[name] = given_plan(task, structure.areas[name])
        elif task.layer.is_sum:
            whole = tuple(np.rint(p.weight).astype(np.int64) for p in task.layer.paths)
            fixed[name] = Fixed(weights=whole, params={}, unit=1.0)
        else:
            choice = choose(task)
            whole = tuple(
                r.weight << e for r, e in zip(choice.rounded, choice.exponents, strict=True)
            )
            fixed[name] = Fixed(weights=whole, params=choice.params, unit=float(choice.units[0]))
    grids = {name: grid_of_node(name, node) for name, node in model.graph.nodes.items()}
    return IntegerGraph(
        model=model,
        structure=structure,
        plans=plans,
        fixed=fixed,
        references={
            name: Reference(grid=grid, size=size_of(real_weight(model, name), grid))
            for name, grid in grids.items()
            if grid is not None
        },
        ste=ste,
    )


def _check(model: Model, task: Task, *, drive: FloatArray) -> None:
    """Refuse what the integer network holds but training does not run."""
    layer, neuron = task.layer, task.layer.neuron
    filtered = isinstance(neuron, Recurrence) and neuron.keep_u.any()
    if filtered and task.numerics.reset == "host" and drive.any():
        raise UnsupportedError(
            "E2316", "a leak toward another value than the reset's is not trained on a chip that "
            "the host resets", where=layer.name, remedy="choose --target loihi2",
        )  # fmt: skip
    if task.program not in TRAINED and not layer.is_sum:
        raise UnsupportedError(
            "E2316", f"neurons of the program {task.program.name!r} are not trained here",
            where=layer.name, remedy="fine-tune the network in its own framework",
        )  # fmt: skip
    for path in layer.paths:
        nodes = [(n, model.graph.nodes[n]) for n in path.nodes]
        weighs = [n for n, node in nodes if has_weights(node)]
        if weighs and path.grid is None:
            raise UnsupportedError(
                "E2315", "its weights are not quantized, so no integer network is trained",
                where=weighs[0], remedy="quantize all layers, this one with 8 bits for example",
            )  # fmt: skip
        delayed = path.lag or any(isinstance(model.graph.nodes[n], nir.Delay) for n in path.nodes)
        copies = any(is_copy(node) for _, node in nodes)
        uneven = path.grid is None and path.source != BIAS and not _is_uniform(path, task)
        uneven = uneven and not copies
        if delayed or uneven:
            what = "delays" if delayed else "pools that overlap without weights"
            raise UnsupportedError(
                "E2316", f"{what} on the way from {path.source} are not trained here",
                where=layer.name, remedy="fine-tune the network in its own framework",
            )  # fmt: skip


def _is_uniform(path: Path, task: Task) -> bool:
    """Whether a path without weights is one factor, or one per neuron, on a sum of spikes."""
    return path.weight.size == 1 or path.weight.shape == (len(task.layer.bias),)


def size_of(weight: FloatArray, grid: WeightGrid) -> FloatArray:
    """Return the size of weights that a grid's clip point follows, [1] or [rows].

    That of the rule; of `mse` the root mean square, with which its optimum scales.
    """
    if grid.rule != "mse":
        return gamma_of(
            weight,
            grid.rule,
            codes_of(grid),
            percentile=grid.percentile,
            by_channel=len(grid.gamma) > 1,
        )
    rows = weight.reshape(len(grid.gamma), -1)
    size = np.sqrt(np.square(rows).mean(axis=1))
    return np.asarray(np.where(size > 0, size, 1.0))


# ---- weights -----------------------------------------------------------------------------


def moving_weights(graph: IntegerGraph) -> dict[Weight, Tensor]:
    """Return copies of the weights and biases that training moves, as float64."""
    found: dict[Weight, Tensor] = {}
    for name, plan in graph.plans.items():
        nodes = dict.fromkeys(feed.node for feed in plan.feeds)
        for node in nodes:
            found[node, "weight"] = _tensor(graph, node, "weight")
        for node in graph.structure.gains[name]:
            found[node, "bias"] = _tensor(graph, node, "bias")
    return found


def _tensor(graph: IntegerGraph, node: str, field: str) -> Tensor:
    values = getattr(graph.model.graph.nodes[node], field)
    return torch.from_numpy(np.array(values, dtype=np.float64))


def fit_layer(graph: IntegerGraph, name: str, weights: Weights) -> tuple[Fitted, Tensor]:
    """Return one population in integers for weights as they are, and its real bias [n]."""
    plan = graph.plans[name]
    arrays, gammas = {}, {}
    for feed in plan.feeds:
        arrays[feed.node] = weights[feed.node, "weight"].detach().numpy()
        known = graph.references[feed.node]
        gammas[feed.node] = known.grid.gamma * size_of(arrays[feed.node], known.grid) / known.size
    bias = torch.from_numpy(np.array(graph.structure.drives[name]))
    for node, gain in graph.structure.gains[name].items():
        own = weights[node, "bias"]
        bias = bias + torch.from_numpy(gain) * own.repeat_interleave(len(gain) // len(own))
    return fit(plan, arrays, gammas, bias.detach().numpy()), bias


def write_weights(graph: IntegerGraph, weights: Weights) -> Model:
    """Return the model that `compile` writes as the integers of these weights."""
    nodes: dict[str, Any] = {}
    for (name, field), tensor in weights.items():
        node = nodes.get(name, graph.model.graph.nodes[name])
        nodes[name] = copy_node(node, **{field: tensor.detach().numpy().copy()})
    model = replace(graph.model, graph=rebuild_graph(graph.model.graph, nodes))
    fitted = {name: (plan, *fit_layer(graph, name, weights)) for name, plan in graph.plans.items()}
    return write_fitted(
        model,
        graph.structure,
        {
            name: (plan, found, bias.detach().numpy())
            for name, (plan, found, bias) in fitted.items()
        },
    )
