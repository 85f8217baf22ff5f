"""Model -> layers: each spiking node with the one linear map that feeds it.

A chain of NIR nodes is cut behind its spiking nodes. What stands before each (pools, flattening,
scales and at most one weight node) becomes one linear map in float.
"""

from dataclasses import dataclass, replace
from math import prod

import nir
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.ir.arrays import FloatArray
from snndeploy.model import Model
from snndeploy.passes.linear import Build, LinearMap, bad_shape, extend, identity, weights_of
from snndeploy.passes.neuron import NEURONS, Recurrence, recurrence


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Layer:
    """One population to be: a linear map, a bias, a neuron.

    Attributes:
        name: name of its spiking node, or of its last weight node for a readout.
        nodes: the NIR nodes it came from, in order.
        weight: real weights, first axis the target channel or neuron.
        build: makes the synapse of integer weights of the same shape.
        bias: real bias per neuron [n].
        shape: of the population.
        neuron: None for a readout without a neuron.
    """

    name: str
    nodes: tuple[str, ...]
    weight: FloatArray
    build: Build
    bias: FloatArray
    shape: tuple[int, ...]
    neuron: Recurrence | None


def layers_of(model: Model) -> tuple[Layer, ...]:
    """Cut a chain into layers.

    Raises:
        UnsupportedError: E2101 the graph is not a chain, E2102 a node that has no lowering, E2103
            weights after weights, E2104 a pool between weights and neuron, and those of
            `recurrence`.
        ModelError: E1052 shapes that do not follow from each other.
    """
    layers: list[Layer] = []
    shape = model.inputs[0].shape
    pending = identity(shape)
    for name in chain(model):
        node = model.graph.nodes[name]
        if isinstance(node, NEURONS):
            neuron = recurrence(name, node, model.semantics_of(name))
            layers.append(_close(pending, name, neuron))
            pending = identity(layers[-1].shape)
        else:
            pending = extend(pending, name, node)
    if pending.nodes:
        layers.append(_close(pending, pending.weight_node or pending.nodes[-1], None))
    return tuple(layers)


def chain(model: Model) -> tuple[str, ...]:
    """Return the names of the nodes between the input and the output, in order."""
    following: dict[str, list[str]] = {name: [] for name in model.graph.nodes}
    for source, target in model.graph.edges:
        following[source].append(target)
    order: list[str] = []
    here = model.inputs[0].name
    while True:
        targets = following[here]
        if len(targets) != 1 or len(order) > len(following):
            raise _not_a_chain(here, len(targets))
        here = targets[0]
        if isinstance(model.graph.nodes[here], nir.Output):
            break
        order.append(here)
    if len(order) != len(following) - 2:
        raise _not_a_chain(next(iter(set(following) - set(order))), 0)
    return tuple(order)


def _not_a_chain(name: str, n: int) -> UnsupportedError:
    return UnsupportedError(
        "E2101",
        f"the graph is not a chain ({n} edges leave this node)",
        where=name,
        remedy="deploy the branch-free part; branches, loops and skips are not lowered yet",
    )


def _close(pending: LinearMap, name: str, neuron: Recurrence | None) -> Layer:
    """Make a layer of the collected map and a neuron, scales and gains folded into the weights."""
    n = prod(pending.shape)
    weight, build = weights_of(pending)
    bias = np.zeros(n) if pending.bias is None else pending.bias
    if neuron is None:
        return Layer(
            name=name, nodes=pending.nodes, weight=weight, build=build, bias=bias,
            shape=pending.shape, neuron=None,
        )  # fmt: skip
    if len(neuron.threshold) not in (1, n):
        raise bad_shape(name, neuron.threshold.shape, pending.shape)
    if neuron.keep_u and np.any(bias != 0):
        raise UnsupportedError(
            "E2127",
            "a bias that enters the synaptic current; the chip adds biases to the potential",
            where=name,
            remedy="train the layer before a current-based neuron with bias=False",
        )
    weight, bias, neuron = _normalise(name, weight, bias, neuron, n)
    return Layer(
        name=name, nodes=(*pending.nodes, name), weight=weight, build=build, bias=bias,
        shape=pending.shape, neuron=neuron,
    )  # fmt: skip


def _normalise(
    name: str, weight: FloatArray, bias: FloatArray, neuron: Recurrence, n: int
) -> tuple[FloatArray, FloatArray, Recurrence]:
    """Fold the gain into the weights; thresholds that differ become 1 by scaling their rows."""
    gain, threshold = (np.broadcast_to(v, n) for v in (neuron.gain, neuron.threshold))
    drive = np.broadcast_to(neuron.drive, n)
    common = np.ptp(threshold) == 0
    factor = gain if common else gain / threshold
    weight = _scale_rows(name, weight, factor)
    bias = bias * factor + (drive if common else drive / threshold)
    threshold = threshold[:1] if common else np.ones(1)
    one = np.ones(1)
    return weight, bias, replace(neuron, gain=one, drive=0 * one, threshold=threshold)


def _scale_rows(name: str, weight: FloatArray, factor: FloatArray) -> FloatArray:
    """Multiply the weights of every target channel or neuron by its factor [n]."""
    if np.ptp(factor) == 0:
        return weight * float(factor[0])
    shared = len(factor) % len(weight) != 0 or weight.ndim == 1
    rows = None if shared else factor.reshape(len(weight), -1)
    if rows is None or np.any(np.ptp(rows, axis=1) > 0):
        raise UnsupportedError(
            "E2124",
            "gain or threshold differ between neurons whose weights are shared",
            where=name,
            remedy="train with one threshold per channel or per layer",
        )
    return weight * rows[:, 0].reshape(-1, *[1] * (weight.ndim - 1))
