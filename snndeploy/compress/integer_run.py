"""Run samples through the integer network of a quantized model, in torch.

Spikes go through the layers' own nodes as integers, weights as codes, factors left to the unit;
that is what the composed synapses of the network compute.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor

from snndeploy.compress.channels import is_copy
from snndeploy.compress.fit import Feed, Fitted
from snndeploy.compress.integer_graph import IntegerGraph, fit_layer
from snndeploy.compress.integer_neuron import Trace, run_program
from snndeploy.compress.rescaw import by_row
from snndeploy.compress.straight import straight
from snndeploy.compress.torch_graph import Weights, apply_node, sum_pool
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.neurons import ACT_SHIFT
from snndeploy.ir.program import Params
from snndeploy.nirgraph.weight_grid import WEIGHTS
from snndeploy.passes.layers import Path
from snndeploy.passes.neuron import Recurrence
from snndeploy.passes.program import UNIT
from snndeploy.passes.task import Task


def run_integers(
    graph: IntegerGraph,
    weights: Weights,
    inputs: Mapping[str, Tensor],
    *,
    record: tuple[str, ...] = (),
    dtype: torch.dtype = torch.float32,
) -> tuple[dict[str, Tensor], dict[str, Trace]]:
    """Run samples, every one from its initial state.

    Args:
        graph: what to run.
        weights: what moves, as `moving_weights` names it; gradients flow to them.
        inputs: integers [T, B, *shape] per source, as the host injects them, float32.
        record: populations whose traces are wanted.
        dtype: of the outputs; in float64 they are those that the host reads, to the bit.

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
            fixed = graph.fixed[name]
            params, scales[name] = fixed.params, fixed.unit
            arriving = _summed(graph, task, fixed.weights, sent)
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
    return _outputs(graph, sent, scales, dtype), traces


def _outputs(
    graph: IntegerGraph,
    sent: Mapping[str, Tensor],
    scales: Mapping[str, float],
    dtype: torch.dtype,
) -> dict[str, Tensor]:
    found = {}
    layers = {task.layer.name: task.layer for task in graph.structure.tasks}
    for port, name in graph.structure.outputs.items():
        y = sent[name]
        if layers[name].neuron is None:
            y = torch.diff(y, dim=0, prepend=torch.zeros_like(y[:1]))
            y = y.to(dtype) * scales[name] / (1 << ACT_SHIFT)
        found[port] = y.to(dtype)
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
        parts.append(x * _constant(whole, tuple(x.shape[2:])))
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
        part = x * _constant(integers, tuple(x.shape[2:]))
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


def _constant(whole: IntArray, shape: tuple[int, ...]) -> Tensor:
    """Return what every neuron's input is multiplied by, on a path without weights of its own.

    The weights of a copy of channels have one entry per row at most.
    """
    if whole.ndim < 2:
        return _shaped(whole, shape)
    rows = whole.reshape(len(whole), -1).sum(axis=1)
    return _shaped(np.repeat(rows, prod(shape) // len(rows)), shape)


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
        case _ if is_copy(node):
            return apply_node(node, {f: _float(getattr(node, f)) for f in ("weight", "bias")}, x)
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
