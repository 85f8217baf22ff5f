"""Split a chain behind a neuron: the first part for the host, the rest for the chip."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import nir
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.model import InputPort, Model, OutputPort
from snndeploy.nirgraph.canonical import SPIKING
from snndeploy.nirgraph.rebuild import build_graph, topological_order
from snndeploy.nirgraph.shapes import normalize_graph, shape_of

WEIGHTS = (nir.Linear, nir.Affine, nir.Conv1d, nir.Conv2d)


def split_after(model: Model, n_layers: int) -> tuple[Model, Model]:
    """Split a chain behind the neuron that follows its `n_layers`-th layer with weights.

    Requires: a chain with one input and one output. Ensures: the spikes of the first model are the
    input of the second, under the second model's input name; steps and decode stay.

    Returns:
        The host's model, whose output is spikes, and the chip's, whose input is spikes.

    Raises:
        UnsupportedError: E2023, the graph is not a chain or has too few layers.
    """
    graph = normalize_graph(model.graph)
    order = topological_order(graph)
    if len(graph.edges) != len(order) - 1 or len(model.inputs) + len(model.outputs) != 2:
        raise _refusal("only a chain of layers can be split")
    cut = _cut(graph.nodes, order, n_layers)
    spikes, port, out = order[cut], model.inputs[0], model.outputs[0]
    shape = shape_of(graph.nodes[spikes])
    host_end = nir.Output(output_type={"output": np.array(shape)})
    chip_start = nir.Input(input_type={"input": np.array(shape)})
    host = _part(model, {**_chosen(graph.nodes, order[: cut + 1]), out.name: host_end})
    chip = _part(model, {port.name: chip_start, **_chosen(graph.nodes, order[cut + 1 :])})
    return (
        replace(host, outputs=(OutputPort(name=out.name, shape=shape, decode="sum"),)),
        replace(chip, inputs=(_spike_port(port, shape),)),
    )


def _cut(nodes: dict[str, Any], order: tuple[str, ...], n_layers: int) -> int:
    """Return the position of the neuron behind the `n_layers`-th layer with weights."""
    seen = 0
    for position, name in enumerate(order):
        seen += isinstance(nodes[name], WEIGHTS)
        if seen == n_layers and isinstance(nodes[name], SPIKING):
            if not any(isinstance(nodes[later], WEIGHTS) for later in order[position:]):
                raise _refusal(f"nothing with weights follows layer {n_layers}")
            return position
        if seen > n_layers:
            raise _refusal(f"no neuron follows layer {n_layers} directly")
    raise _refusal(f"the model has {seen} layers with weights")


def _part(model: Model, nodes: dict[str, Any]) -> Model:
    """Return a model of nodes in the order of a chain."""
    names = tuple(nodes)
    graph = normalize_graph(build_graph(nodes, pairwise(names), model.graph.metadata))
    notes = tuple(note for note in model.notes if note.node in nodes)
    return replace(model, graph=graph, notes=notes)


def _chosen(nodes: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: nodes[name] for name in names}


def _spike_port(port: InputPort, shape: tuple[int, ...]) -> InputPort:
    return InputPort(name=port.name, shape=shape, values="spikes", low=0.0, high=1.0)


def _refusal(message: str) -> UnsupportedError:
    return UnsupportedError(
        "E2023", message, where="--host-layers", remedy="choose a smaller number of host layers"
    )
