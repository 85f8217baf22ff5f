"""Float interpreter of a `Model`: the reference that every importer is judged by.

Node by node over all time steps, loops step by step (`run_loop`), in float64, numpy alone. What
each neuron does in a step is written once (`neuron_step`); frameworks differ only by `Semantics`.
"""

from collections import Counter
from collections.abc import Mapping
from math import prod
from typing import Any

import nir
import numpy as np

from snndeploy.errors import ModelError
from snndeploy.ir.arrays import FloatArray
from snndeploy.model import InputPort, Model
from snndeploy.nirgraph.arithmetic import add_up, apply_stateless, delay_steps
from snndeploy.nirgraph.canonical import NEURONS
from snndeploy.nirgraph.dynamics import delay_of, step_constants
from snndeploy.nirgraph.loops import Stage, check_loops, stages_of
from snndeploy.nirgraph.microcode import Microcode, arithmetic_of, run_microcode
from snndeploy.nirgraph.neuron_step import run_neuron
from snndeploy.nirgraph.rebuild import sources_of
from snndeploy.nirgraph.run_loop import run_loop
from snndeploy.nirgraph.shapes import normalize_graph, shape_of

BLOCK_VALUES = 1 << 23
"""Values of the widest layer that are held at once; larger batches run in blocks (64 MiB)."""


def run_float(
    model: Model, inputs: Mapping[str, FloatArray], *, record: tuple[str, ...] = ()
) -> Mapping[str, FloatArray]:
    """Run a model in float64, every sample from its initial state.

    Args:
        model: a loop reads the step before over its feedback edge (`rebuild.feedback_edges`).
        inputs: [T, B, *shape] per input port; a port that repeats also takes one frame
            [1, B, *shape] if the model says how many steps it is shown.
        record: nodes whose outputs are wanted too; `NODE:v` is a neuron's membrane potential
            after the reset of each step.

    Returns:
        [T, B, *shape] per output port and per name in `record`.

    Raises:
        ModelError: E1040 (an input array that does not fit), E1041 (no such node to record).
        UnsupportedError: E2020 (node type), E2021 (a loop without a spiking neuron).
    """
    graph = normalize_graph(model.graph)
    check_loops(graph)
    stages = stages_of(graph)
    wanted = (*(port.name for port in model.outputs), *record)
    _check_record(graph, wanted)
    arrays = {port.name: _input_array(port, inputs, model.steps) for port in model.inputs}
    n_steps, n_samples = _common_size(arrays)
    width = max(prod(shape_of(node)) for node in graph.nodes.values())
    block = max(1, BLOCK_VALUES // (n_steps * width))
    parts = [
        _run_block(
            model, graph, stages, {k: a[:, i : i + block] for k, a in arrays.items()}, wanted
        )
        for i in range(0, n_samples, block)
    ]
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in wanted}


def _run_block(
    model: Model,
    graph: nir.NIRGraph,
    stages: tuple[Stage, ...],
    inputs: Mapping[str, FloatArray],
    wanted: tuple[str, ...],
) -> dict[str, FloatArray]:
    values: dict[str, FloatArray] = {}
    found: dict[str, FloatArray] = {}
    uses = Counter(source for source, _ in graph.edges)
    for stage in stages:
        traces = _run_stage(model, graph, stage, inputs, values, wanted)
        found |= {key: traces[key] for key in wanted if key in traces}
        values |= {name: traces[name] for name in stage.members if name in traces}
        read = Counter(source for source, target in graph.edges if target in stage.members)
        uses -= read
        for name in set(read) - set(uses):
            values.pop(name, None)
    return found


def _run_stage(
    model: Model,
    graph: nir.NIRGraph,
    stage: Stage,
    inputs: Mapping[str, FloatArray],
    values: Mapping[str, FloatArray],
    wanted: tuple[str, ...],
) -> dict[str, FloatArray]:
    """Return the outputs of a stage, and the potentials `NAME:v` of its neurons."""
    if stage.is_loop:
        read = {source for source, target in graph.edges if target not in stage.members}
        names = {name for name in stage.members if name in read}
        names |= {key for key in wanted if key.removesuffix(":v") in stage.members}
        return run_loop(model, graph, stage, values, names)
    (name,) = stage.members
    sources = sources_of(graph, name)
    x = add_up([values[source] for source in sources]) if sources else inputs[name]
    out, trace = _run_node(model, name, graph.nodes[name], x)
    return {name: out} if trace is None else {name: out, f"{name}:v": trace}


def _run_node(
    model: Model, name: str, node: Any, x: FloatArray
) -> tuple[FloatArray, FloatArray | None]:
    if isinstance(node, Microcode):
        return run_microcode(node, x, arithmetic_of(model.semantics_of(name))), None
    if isinstance(node, NEURONS):
        semantics = model.semantics_of(name)
        return run_neuron(step_constants(node, semantics), semantics, x)
    if isinstance(node, nir.Delay):
        return delay_steps(x, delay_of(node, model.semantics_of(name))), None
    # A frame that is shown at every step is computed once.
    still = len(x) > 1 and x.strides[0] == 0
    frames = x[:1] if still else x
    out = apply_stateless(node, frames.reshape(-1, *x.shape[2:]))
    out = out.reshape(*frames.shape[:2], *out.shape[1:])
    return np.broadcast_to(out, (len(x), *out.shape[1:])), None


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
