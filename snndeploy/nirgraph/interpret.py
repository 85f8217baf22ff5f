"""Float interpreter of a `Model`: the reference that every importer is judged by.

Node by node over all time steps (the graph has no loops), in float64, numpy alone. What each
neuron does in a step is written once, in `run_neuron`; frameworks differ only by `Semantics`.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

import nir
import numpy as np

from snndeploy.errors import ModelError
from snndeploy.ir.arrays import FloatArray
from snndeploy.model import InputPort, Model
from snndeploy.nirgraph import arithmetic
from snndeploy.nirgraph.dynamics import Dynamics, step_constants
from snndeploy.nirgraph.rebuild import sources_of, topological_order
from snndeploy.nirgraph.shapes import normalize_graph, shape_of
from snndeploy.semantics import Semantics

BLOCK_VALUES = 1 << 23
"""Values of the widest layer that are held at once; larger batches run in blocks (64 MiB)."""


def run_float(
    model: Model, inputs: Mapping[str, FloatArray], *, record: tuple[str, ...] = ()
) -> Mapping[str, FloatArray]:
    """Run a model in float64, every sample from its initial state.

    Args:
        model: graph without loops.
        inputs: [T, B, *shape] per input port; a port that repeats also takes one frame
            [1, B, *shape] if the model says how many steps it is shown.
        record: nodes whose outputs are wanted too; `NODE:v` is a neuron's membrane potential
            after the reset of each step.

    Returns:
        [T, B, *shape] per output port and per name in `record`.

    Raises:
        ModelError: E1040 (an input array that does not fit), E1041 (no such node to record).
        UnsupportedError: E2020 (node type), E2021 (a loop).
    """
    graph = normalize_graph(model.graph)
    order = topological_order(graph)
    wanted = (*(port.name for port in model.outputs), *record)
    _check_record(graph, wanted)
    arrays = {port.name: _input_array(port, inputs, model.steps) for port in model.inputs}
    n_steps, n_samples = _common_size(arrays)
    width = max(prod(shape_of(node)) for node in graph.nodes.values())
    block = max(1, BLOCK_VALUES // (n_steps * width))
    parts = [
        _run_block(model, graph, order, {k: a[:, i : i + block] for k, a in arrays.items()}, wanted)
        for i in range(0, n_samples, block)
    ]
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in wanted}


def run_neuron(
    constants: Dynamics, semantics: Semantics, x: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Run one layer of neurons over x [T, B, *shape].

    Returns:
        Output (spikes, or v of a neuron that never fires) and v after the reset, [T, B, *shape].
    """
    out, trace = np.empty(x.shape), np.empty(x.shape)
    v = np.broadcast_to(constants.v_init, x.shape[1:])
    i = np.zeros(x.shape[1:])
    spikes = np.zeros(x.shape[1:])
    for t, x_now in enumerate(x):
        i, current = _step_current(constants, semantics, i, x_now)
        v = constants.v_decay * v + constants.v_gain * current + constants.v_drive
        if constants.v_threshold is None:
            out[t] = trace[t] = v
            continue
        if semantics.reset == "subtract-delayed":
            v = v - spikes * constants.v_threshold
        spikes = _fire(v, constants.v_threshold, semantics)
        v = _reset(v, spikes, constants, semantics)
        out[t], trace[t] = spikes, v
    return out, trace


def _step_current(
    constants: Dynamics, semantics: Semantics, i: FloatArray, x: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the current after the step and the current that the membrane sees."""
    if constants.i_decay is None or constants.i_gain is None:
        return i, x
    if semantics.order == "synapse-first":
        i = constants.i_decay * i + constants.i_gain * x
        return i, i
    jumped = i + constants.i_gain * x
    return constants.i_decay * jumped, jumped


def _fire(v: FloatArray, threshold: FloatArray, semantics: Semantics) -> FloatArray:
    if semantics.multi_spike:
        return np.maximum(np.trunc(v / threshold), 0.0)
    fires = v >= threshold if semantics.compare == "ge" else v > threshold
    return fires.astype(np.float64)


def _reset(
    v: FloatArray, spikes: FloatArray, constants: Dynamics, semantics: Semantics
) -> FloatArray:
    assert constants.v_threshold is not None
    assert constants.v_reset is not None
    if semantics.reset == "zero":
        v = np.where(spikes > 0, constants.v_reset, v)
    elif semantics.reset == "subtract":
        v = v - spikes * constants.v_threshold
    if semantics.v_min is not None:
        v = np.maximum(v, semantics.v_min * constants.v_threshold)
    return v


def _run_block(
    model: Model,
    graph: nir.NIRGraph,
    order: tuple[str, ...],
    inputs: Mapping[str, FloatArray],
    wanted: tuple[str, ...],
) -> dict[str, FloatArray]:
    values: dict[str, FloatArray] = {}
    found: dict[str, FloatArray] = {}
    uses = {name: sum(source == name for source, _ in graph.edges) for name in graph.nodes}
    for name in order:
        sources = sources_of(graph, name)
        x = inputs[name] if not sources else _sum([values[source] for source in sources])
        values[name], trace = _run_node(model, name, graph.nodes[name], x)
        found |= {key: values[name] for key in wanted if key == name}
        if trace is not None:
            found |= {key: trace for key in wanted if key == f"{name}:v"}
        for source in sources:
            uses[source] -= 1
            if not uses[source]:
                del values[source]
    return found


def _run_node(
    model: Model, name: str, node: Any, x: FloatArray
) -> tuple[FloatArray, FloatArray | None]:
    match node:
        case nir.IF() | nir.LIF() | nir.CubaLIF() | nir.I() | nir.LI() | nir.CubaLI():
            semantics = model.semantics_of(name)
            return run_neuron(step_constants(node, semantics), semantics, x)
        case nir.Delay():
            steps = np.rint(node.delay / model.semantics_of(name).dt).astype(np.int64)
            return arithmetic.delay_steps(x, steps), None
    # A frame that is shown at every step is computed once.
    still = len(x) > 1 and x.strides[0] == 0
    frames = x[:1] if still else x
    flat = frames.reshape(-1, *x.shape[2:])
    out = _stateless(node, flat)
    out = out.reshape(*frames.shape[:2], *out.shape[1:])
    return np.broadcast_to(out, (len(x), *out.shape[1:])), None


def _stateless(node: Any, x: FloatArray) -> FloatArray:
    match node:
        case nir.Linear():
            return arithmetic.linear(x, node.weight, None)
        case nir.Affine():
            return arithmetic.linear(x, node.weight, node.bias)
        case nir.Conv1d() | nir.Conv2d():
            return arithmetic.convolve(x, node)
        case nir.SumPool2d() | nir.AvgPool2d():
            area = prod(node.kernel_size.tolist()) if isinstance(node, nir.AvgPool2d) else 1
            return (
                arithmetic.sum_pool(
                    x, kernel=node.kernel_size, stride=node.stride, padding=node.padding
                )
                / area
            )
        case nir.Scale():
            scaled: FloatArray = x * node.scale
            return scaled
        case nir.Threshold():
            spikes: FloatArray = (x > node.threshold).astype(np.float64)
            return spikes
        case nir.Flatten():
            return x.reshape(len(x), *shape_of(node))
    assert isinstance(node, nir.Input | nir.Output)
    return x


def _sum(values: list[FloatArray]) -> FloatArray:
    return values[0] if len(values) == 1 else np.sum(values, axis=0)


def _input_array(
    port: InputPort, inputs: Mapping[str, FloatArray], steps: int | None
) -> FloatArray:
    if port.name not in inputs:
        raise ModelError(
            "E1040", f"no array given; inputs are {', '.join(inputs) or 'none'}", where=port.name
        )
    array = np.asarray(inputs[port.name], dtype=np.float64)
    if array.shape[2:] != port.shape or array.ndim < 2 or 0 in array.shape:
        shape = ", ".join(map(str, port.shape))
        raise ModelError("E1040", f"array {array.shape}, takes (T, B, {shape})", where=port.name)
    if not np.isfinite(array).all():
        raise ModelError("E1040", "the array has NaN or infinite values", where=port.name)
    if port.repeat and len(array) == 1 and steps is not None:
        return np.broadcast_to(array, (steps, *array.shape[1:]))
    return array


def _common_size(arrays: Mapping[str, FloatArray]) -> tuple[int, int]:
    sizes = {array.shape[:2] for array in arrays.values()}
    if len(sizes) > 1:
        raise ModelError("E1040", f"inputs differ in steps or samples: {sorted(sizes)}")
    n_steps, n_samples = sizes.pop()
    return n_steps, n_samples


def _check_record(graph: nir.NIRGraph, names: tuple[str, ...]) -> None:
    for name in names:
        node = graph.nodes.get(name.removesuffix(":v"))
        known = node is not None and (not name.endswith(":v") or hasattr(node, "r"))
        if not known:
            raise ModelError("E1041", "no such node to record", where=name)
