"""The integer network of a quantized model in torch: what `compile` writes, as weights move.

At every call the populations are fitted to the weights (`snndeploy.compress.fit`): clip points,
codes, thresholds, biases. Spikes then go through the layers' own nodes as integers, which is what
the composed synapses of the network compute.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor

from snndeploy.compress.fit import Feed, Fitted, Plan, fit
from snndeploy.compress.integer_neuron import TRAINED, Trace, run_program
from snndeploy.compress.plans import Structure, codes_of, given_plan, structure_of
from snndeploy.compress.records import Ste
from snndeploy.compress.rescaw import by_row, gamma_of
from snndeploy.compress.straight import straight
from snndeploy.compress.torch_graph import Weight, Weights, apply_node, sum_pool
from snndeploy.compress.written import write_fitted
from snndeploy.errors import UnsupportedError
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.neurons import ACT_SHIFT
from snndeploy.ir.program import Params
from snndeploy.model import Model
from snndeploy.nirgraph.rebuild import copy_node, feedback_edges, rebuild_graph
from snndeploy.nirgraph.weight_grid import WEIGHTS, WeightGrid, grid_of_node
from snndeploy.passes.choose import choose
from snndeploy.passes.given import is_given
from snndeploy.passes.layers import BIAS, Path
from snndeploy.passes.neuron import Recurrence
from snndeploy.passes.program import UNIT
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
class IntegerGraph:
    """A quantized model that is ready to run.

    Attributes:
        model: its weight nodes carry grids.
        structure: its layers.
        plans: of the populations whose weights move.
        fixed: the other populations in integers, weights by path.
        references: per layer.
        ste: slope of quantized weights.
    """

    model: Model
    structure: Structure
    plans: Mapping[str, Plan]
    fixed: Mapping[str, tuple[tuple[IntArray, ...], Params]]
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
    fixed: dict[str, tuple[tuple[IntArray, ...], Params]] = {}
    for task in structure.tasks:
        _check(model, task, drive=structure.drives[task.layer.name])
        name = task.layer.name
        if is_given(task.layer):
            plans[name] = given_plan(task, structure.areas[name])
        elif task.layer.is_sum:
            whole = tuple(np.rint(p.weight).astype(np.int64) for p in task.layer.paths)
            fixed[name] = (whole, {})
        else:
            choice = choose(task)
            whole = tuple(
                r.weight << e for r, e in zip(choice.rounded, choice.exponents, strict=True)
            )
            fixed[name] = (whole, choice.params)
    grids = {name: grid_of_node(name, node) for name, node in model.graph.nodes.items()}
    return IntegerGraph(
        model=model,
        structure=structure,
        plans=plans,
        fixed=fixed,
        references={
            name: Reference(grid=grid, size=size_of(_weight(model, name), grid))
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
        weighs = [n for n in path.nodes if isinstance(model.graph.nodes[n], WEIGHTS)]
        if weighs and path.grid is None:
            raise UnsupportedError(
                "E2315", "its weights are not quantized, so no integer network is trained",
                where=weighs[0], remedy="quantize all layers, this one with 8 bits for example",
            )  # fmt: skip
        delayed = path.lag or any(isinstance(model.graph.nodes[n], nir.Delay) for n in path.nodes)
        uneven = path.grid is None and path.source != BIAS and not _is_uniform(path, task)
        if delayed or uneven:
            what = "delays" if delayed else "pools that overlap without weights"
            raise UnsupportedError(
                "E2316", f"{what} on the way from {path.source} are not trained here",
                where=layer.name, remedy="fine-tune the network in its own framework",
            )  # fmt: skip


def _is_uniform(path: Path, task: Task) -> bool:
    """Whether a path without weights is one factor, or one per neuron, on a sum of spikes."""
    return path.weight.size == 1 or path.weight.shape == (len(task.layer.bias),)


def _weight(model: Model, name: str) -> FloatArray:
    return np.asarray(model.graph.nodes[name].weight, dtype=np.float64)


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


# ---- running -----------------------------------------------------------------------------


def run_integers(
    graph: IntegerGraph,
    weights: Weights,
    inputs: Mapping[str, Tensor],
    *,
    record: tuple[str, ...] = (),
) -> tuple[dict[str, Tensor], dict[str, Trace]]:
    """Run samples, every one from its initial state.

    Args:
        graph: what to run.
        weights: what moves, as `moving_weights` names it; gradients flow to them.
        inputs: integers [T, B, *shape] per source, as the host injects them, float32.
        record: populations whose traces are wanted.

    Returns:
        [T, B, *shape] per output port in the model's units, and the traces.
    """
    sent: dict[str, Tensor] = dict(inputs)
    scales: dict[str, float] = {}
    traces: dict[str, Trace] = {}
    for task in graph.structure.tasks:
        name = task.layer.name
        if name in graph.plans:
            fitted, bias = fit_layer(graph, name, weights)
            arriving, state = _weighted(graph, name, weights, fitted, bias, sent)
            params, scales[name] = fitted.params, float(fitted.units[0])
            theta = _theta(task, fitted.units)
        else:
            whole, params = graph.fixed[name]
            arriving = _summed(graph, task, whole, sent)
            if task.layer.is_sum:
                sent[name] = arriving
                continue
            state = _shaped(params["bias_mant"] << params["bias_exp"], task.layer.shape)
            theta = torch.ones(1)
            if isinstance(task.layer.neuron, Recurrence):
                theta = _shaped(_threshold(params), task.layer.shape)
        trace = run_program(task.program, params, arriving, state, theta=theta)
        sent[name] = torch.stack(trace.sent if task.layer.neuron else trace.v)
        if name in record:
            traces[name] = trace
    return _outputs(graph, sent, scales), traces


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


def _outputs(
    graph: IntegerGraph, sent: Mapping[str, Tensor], scales: Mapping[str, float]
) -> dict[str, Tensor]:
    found = {}
    layers = {task.layer.name: task.layer for task in graph.structure.tasks}
    for port, name in graph.structure.outputs.items():
        y = sent[name]
        if layers[name].neuron is None:
            y = torch.diff(y, dim=0, prepend=torch.zeros_like(y[:1]))
            y = y * (scales[name] / (1 << ACT_SHIFT))
        found[port] = y
    return found


def _weighted(
    graph: IntegerGraph,
    name: str,
    weights: Weights,
    fitted: Fitted,
    bias: Tensor,
    sent: Mapping[str, Tensor],
) -> tuple[Tensor, Tensor]:
    """Return what arrives [T, B, *shape] and the bias in states."""
    plan = graph.plans[name]
    task, shape = plan.task, plan.task.layer.shape
    codes = {node: _codes(graph, weights, fitted, node) for node in fitted.codes}
    units = torch.from_numpy(np.array(task.by_neuron(fitted.units)))
    parts = []
    for feed in plan.feeds:
        path = task.layer.paths[feed.index]
        x = _through(graph, path, sent[path.source], codes[feed.node])
        parts.append(x * _multiplier(feed, x.shape[2:]))
    for index, whole in fitted.constants.items():
        path = task.layer.paths[index]
        x = _through(graph, path, sent[path.source], None)
        parts.append(x * _shaped(whole, x.shape[2:]))
    arriving = parts[0]
    for part in parts[1:]:
        arriving = arriving + part
    arriving = arriving.reshape(*arriving.shape[:2], *shape)
    state = fitted.params["bias_mant"] << fitted.params["bias_exp"]
    if fitted.late is not None:
        late = straight(bias, _float(fitted.late), 1 / units)
        return arriving + late.reshape(shape), _shaped(state, shape)
    every = _float(np.broadcast_to(state, len(bias)))
    return arriving, straight(bias, every, (1 << ACT_SHIFT) / units).reshape(shape)


def _summed(
    graph: IntegerGraph, task: Task, whole: tuple[IntArray, ...], sent: Mapping[str, Tensor]
) -> Tensor:
    """Return what arrives at a population without weights of its own."""
    total: Tensor | None = None
    for path, integers in zip(task.layer.paths, whole, strict=True):
        x = _through(graph, path, sent[path.source], None)
        part = x * _shaped(integers, tuple(x.shape[2:]))
        total = part if total is None else total + part
    assert total is not None
    return total.reshape(*total.shape[:2], *task.layer.shape)


def _codes(graph: IntegerGraph, weights: Weights, fitted: Fitted, node: str) -> Tensor:
    """Return a layer's codes; their slope in the weights is that of the quantized weight / step."""
    real, reference = weights[node, "weight"], graph.references[node]
    gamma = fitted.gammas[node]
    slope = reference.grid.largest / gamma
    if graph.ste == "rescaled":
        slope = slope / gamma
    steep = torch.from_numpy(by_row(slope, fitted.codes[node]))
    if graph.ste == "masked":
        inside = real.detach().abs() <= torch.from_numpy(by_row(gamma, fitted.codes[node]))
        steep = steep * inside
    return straight(real, _float(fitted.codes[node]), steep)


def _multiplier(feed: Feed, shape: tuple[int, ...]) -> Tensor:
    """Return units per code with the sign of the factor, [1] or per channel."""
    signs = np.sign(feed.factor) * feed.multiplier
    return _shaped(signs if len(signs) == 1 else np.repeat(signs, prod(shape) // len(signs)), shape)


def _through(graph: IntegerGraph, path: Path, x: Tensor, codes: Tensor | None) -> Tensor:
    """Take integers [T, B, *shape] through the nodes of a path, factors left to the unit."""
    # A frame that is shown at every step is computed once.
    frames = x[:1] if len(x) > 1 and x.stride(0) == 0 else x
    out = frames.flatten(0, 1)
    for name in path.nodes:
        out = _apply(graph.model.graph.nodes[name], out, codes)
    steps = out.reshape(*frames.shape[:2], *out.shape[1:])
    return steps.expand(len(x), *steps.shape[1:])


def _apply(node: Any, x: Tensor, codes: Tensor | None) -> Tensor:
    match node:
        case nir.SumPool2d() | nir.AvgPool2d():
            return sum_pool(x, node)
        case nir.Scale():
            return x
        case _ if isinstance(node, WEIGHTS):
            assert codes is not None
            none = torch.zeros(len(codes), dtype=x.dtype)
            return apply_node(node, {"weight": codes, "bias": none}, x)
    return apply_node(node, {}, x)


def _theta(task: Task, units: FloatArray) -> Tensor:
    """Return the threshold in states, the unit of a spike's slope; 1 for a readout."""
    neuron = task.layer.neuron
    if not isinstance(neuron, Recurrence):
        return torch.ones(1)
    return _shaped(neuron.threshold * UNIT / task.by_neuron(units), task.layer.shape)


def _threshold(params: Params) -> IntArray:
    """Return the threshold in states, at least 1, of a population that is not fitted."""
    states = params["vth"] * UNIT if "vth" in params else params["vth_state"]
    return np.maximum(states, 1)


def _shaped(values: Any, shape: tuple[int, ...]) -> Tensor:
    held = _float(np.asarray(values).reshape(-1))
    return held if len(held) == 1 else held.reshape(shape)


def _float(values: Any) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32))
