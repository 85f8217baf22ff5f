"""Simplifications of a model case, one generator of simpler cases per kind, the simplest first."""

from collections.abc import Iterator
from dataclasses import replace

import nir
import numpy as np

from snndeploy.errors import SnnDeployError
from snndeploy.model import InputPort, OutputPort
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.rebuild import build_graph, copy_node
from snndeploy.nirgraph.shapes import normalize_graph, shape_of
from snndeploy.passes.neuron import NEURONS
from tests.generator.model_case import ModelCase


def built(model_case: ModelCase, nodes: dict, edges, inputs=None) -> Iterator[ModelCase]:
    """Yield the case with another graph, without what no output needs; nothing if it is none."""
    needed = {name for name, node in nodes.items() if isinstance(node, nir.Output)}
    while new := {a for a, b in edges if b in needed} - needed:
        needed |= new
    kept = {name: copy_node(node) for name, node in nodes.items() if name in needed}
    inputs = {**model_case.inputs, **(inputs or {})}
    ports = {port.name: port for port in model_case.model.inputs}
    try:
        edges = [edge for edge in edges if needed.issuperset(edge)]
        graph = normalize_graph(build_graph(kept, edges))
    except (SnnDeployError, ValueError):
        return
    types = {kind: [n for n, node in graph.nodes.items() if isinstance(node, kind)]
             for kind in (nir.Input, nir.Output)}  # fmt: skip
    shapes = {name: shape_of(node) for name, node in graph.nodes.items()}
    model = replace(
        model_case.model,
        graph=graph,
        inputs=tuple(
            ports.get(n, InputPort(name=n, shape=shapes[n], values="spikes", low=0.0, high=1.0))
            for n in types[nir.Input]
        ),
        outputs=tuple(OutputPort(name=n, shape=shapes[n], decode="sum") for n in types[nir.Output]),
    )
    yield ModelCase(model, {name: inputs[name] for name in types[nir.Input]})


def spiking(model_case: ModelCase) -> list[str]:
    nodes = model_case.model.graph.nodes
    return [name for name, node in nodes.items() if isinstance(node, NEURONS)]


def cut_below(model_case: ModelCase) -> Iterator[ModelCase]:
    """Make one spiking node the only output."""
    graph = model_case.model.graph
    inner = {n: v for n, v in graph.nodes.items() if not isinstance(v, nir.Output)}
    if len(inner) + 1 == len(graph.nodes) and len(spiking(model_case)) == 1:
        return
    for name in spiking(model_case):
        end = nir.Output(output_type={"output": np.array(shape_of(graph.nodes[name]))})
        edges = [(a, b) for a, b in graph.edges if b in inner] + [(name, "out")]
        for found in built(model_case, {**inner, "out": end}, edges):
            if len(found.model.graph.nodes) < len(graph.nodes):
                yield found


def cut_above(model_case: ModelCase) -> Iterator[ModelCase]:
    """Replace a spiking node by an input that replays it."""
    graph = model_case.model.graph
    for name in reversed(spiking(model_case)):
        if any(isinstance(graph.nodes[b], nir.Output) for a, b in graph.edges if a == name):
            continue
        spikes = run_float(model_case.model, model_case.inputs, record=(name,))[name]
        if spikes.max(initial=0) > 1:
            continue
        start = nir.Input(input_type={"input": np.array(spikes.shape[2:])})
        edges = [(a, b) for a, b in graph.edges if b != name]
        yield from built(model_case, {**graph.nodes, name: start}, edges, {name: spikes})


def without_edge(model_case: ModelCase) -> Iterator[ModelCase]:
    graph = model_case.model.graph
    for edge in graph.edges:
        if sum(b == edge[1] for _, b in graph.edges) > 1:
            yield from built(model_case, graph.nodes, [e for e in graph.edges if e != edge])


def without_node(model_case: ModelCase) -> Iterator[ModelCase]:
    """Leave out a node through which shapes do not change."""
    graph = model_case.model.graph
    for name, node in graph.nodes.items():
        before = [a for a, b in graph.edges if b == name]
        if isinstance(node, nir.Input | nir.Output) or len(before) != 1:
            continue
        edges = [(before[0] if a == name else a, b) for a, b in graph.edges if b != name]
        nodes = {n: v for n, v in graph.nodes.items() if n != name}
        yield from built(model_case, nodes, edges)


def shorter(model_case: ModelCase) -> Iterator[ModelCase]:
    """Halve the samples, then the steps, then leave out single steps."""
    model, inputs = model_case.model, model_case.inputs
    steps, n_samples = next(iter(inputs.values())).shape[:2]
    for kept in (slice(0, n_samples // 2), slice(n_samples // 2, None)) if n_samples > 1 else ():
        yield ModelCase(model, {name: values[:, kept] for name, values in inputs.items()})
    halves = (slice(0, steps // 2), slice(steps // 2, None))
    for kept in (*halves, slice(0, -1), slice(1, None)) if steps > 1 else ():
        n = len(range(steps)[kept])
        cut = {name: values[kept] for name, values in inputs.items()}
        yield ModelCase(replace(model, steps=n), cut)


def plainer_values(model_case: ModelCase) -> Iterator[ModelCase]:
    """Set biases, then halves of the weights, then halves of the inputs to zero."""
    graph = model_case.model.graph
    for name, node in graph.nodes.items():
        for field in ("bias", "weight"):
            values = np.asarray(getattr(node, field, np.zeros(0)))
            active = np.flatnonzero(values)
            for gone in np.array_split(active, 2) if len(active) > 1 else [active]:
                if len(gone):
                    fewer = values.copy()
                    fewer.reshape(-1)[gone] = 0
                    changed = {**graph.nodes, name: copy_node(node, **{field: fewer})}
                    yield from built(model_case, changed, graph.edges)
    for name, values in model_case.inputs.items():
        active = np.flatnonzero(values)
        for gone in np.array_split(active, 2) if len(active) > 1 else []:
            fewer = values.copy()
            fewer.reshape(-1)[gone] = 0
            yield ModelCase(model_case.model, {**model_case.inputs, name: fewer})


MODEL_MOVES = (cut_below, cut_above, shorter, without_edge, without_node, plainer_values)
