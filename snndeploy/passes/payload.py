"""What every edge of a model carries: spikes, whole numbers in a range, or real values.

Interval arithmetic from the inputs and neurons on: a neuron's payload follows from its semantics
alone, a linear node's from its weights and what it gets, a sum's from its parts. Ranges are those
of a single step.
"""

from collections.abc import Mapping
from math import inf, prod
from typing import Any

import nir
import numpy as np

from snndeploy.model import Model
from snndeploy.nirgraph.payload import REAL, SPIKES, Payload, payload_of
from snndeploy.nirgraph.rebuild import Edge, feedback_edges, sources_of, topological_order
from snndeploy.nirgraph.shapes import normalize_graph
from snndeploy.passes.neuron import NEURONS


def edge_payloads(model: Model) -> Mapping[Edge, Payload]:
    """Return the payload of every edge, in the order of the graph's edges.

    Raises:
        ModelError, UnsupportedError: those of `normalize_graph`.
    """
    graph = normalize_graph(model.graph)
    sent: dict[str, Payload] = {}
    for port in model.inputs:
        whole = model.semantics.integer and port.low.is_integer() and port.high.is_integer()
        real = Payload(port.low, port.high, whole)
        sent[port.name] = SPIKES if port.values == "spikes" else real
    for name, node in graph.nodes.items():
        if isinstance(node, nir.Threshold):
            sent[name] = SPIKES
        elif isinstance(node, NEURONS):
            sent[name] = payload_of(node, model.semantics_of(name))
    lagging = feedback_edges(graph)
    for name in topological_order(graph):
        if name not in sent:
            parts = [
                _or_nothing(sent.get(source, REAL)) if (source, name) in lagging else sent[source]
                for source in sources_of(graph, name)
            ]
            sent[name] = after(graph.nodes[name], _sum(parts))
    return {(source, target): sent[source] for source, target in graph.edges}


def after(node: Any, payload: Payload) -> Payload:
    """Return the payload of a node that is no neuron, for what it gets."""
    match node:
        case nir.Linear() | nir.Affine() | nir.Conv1d() | nir.Conv2d():
            return _weighted(node, payload)
        case nir.SumPool2d() | nir.AvgPool2d():
            area = prod(int(size) for size in node.kernel_size)
            some = _or_nothing(payload) if np.any(node.padding) else payload
            total = some.times(float(area))
            return total if isinstance(node, nir.SumPool2d) else total.times(1.0 / area)
        case nir.Scale():
            return _union([payload.times(float(f)) for f in np.unique(node.scale)])
        case nir.Delay():
            return _or_nothing(payload)  # nothing arrives before it is over
        case nir.Flatten() | nir.Output():
            return payload
    return REAL


def _weighted(node: Any, payload: Payload) -> Payload:
    """Return the payload of weights; a convolution's border sees zeros, so 0 is always possible."""
    weight = np.asarray(node.weight, dtype=np.float64)
    bias = np.zeros(1) if getattr(node, "bias", None) is None else np.asarray(node.bias)
    whole = payload.is_whole and _all_whole(weight) and _all_whole(bias)
    if not np.isfinite([payload.low, payload.high]).all():
        return Payload(-inf, inf, whole)
    rows = weight.reshape(len(weight), -1)
    some = payload if weight.ndim == 2 else _or_nothing(payload)
    positive, negative = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    low = positive * some.low + negative * some.high + bias
    high = positive * some.high + negative * some.low + bias
    return Payload(float(low.min()), float(high.max()), whole)


def _all_whole(values: Any) -> bool:
    return bool(np.all(values == np.rint(values)))


def _or_nothing(payload: Payload) -> Payload:
    """Return the payload of what may be missing: 0 then."""
    return Payload(min(payload.low, 0.0), max(payload.high, 0.0), payload.is_whole)


def _sum(parts: list[Payload]) -> Payload:
    total, *rest = parts
    for part in rest:
        total = total.plus(part)
    return total


def _union(parts: list[Payload]) -> Payload:
    return Payload(
        min(part.low for part in parts),
        max(part.high for part in parts),
        all(part.is_whole for part in parts),
    )
