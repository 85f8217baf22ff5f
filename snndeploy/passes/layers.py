"""Model -> layers: each population to be, with every linear path that feeds it.

A graph is cut behind its spiking nodes. Every way from a spiking node or an input to the next one
(pools, flattening, scales and at most one weight node) becomes one linear map in float. Edges that
meet are sums: a residual add, a concatenation or a sum of spikes before weights is one path per
source, each with its own copy of the weights, so that spikes stay binary. A way over a feedback
edge lags a step.
"""

from dataclasses import dataclass, replace
from math import prod

import nir
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.ir.arrays import FloatArray
from snndeploy.ir.synapses import Dense
from snndeploy.model import Model
from snndeploy.nirgraph.rebuild import feedback_edges, sources_of, topological_order
from snndeploy.nirgraph.shapes import normalize_graph, shape_of
from snndeploy.passes.linear import Build, LinearMap, bad_shape, extend, identity, weights_of
from snndeploy.passes.neuron import NEURONS, Recurrence, recurrence

BIAS = "host.bias"
"""Name of the source that sends 1 in every step."""
MOST_PATHS = 64
"""Ways into one population beyond which replicated synapses are refused."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Path:
    """One way into a population.

    Attributes:
        source: spiking node or input port it starts at.
        nodes: the linear NIR nodes on it, in order.
        weight: real weights, first axis the target channel or neuron.
        build: makes the synapse of integer weights of the same shape.
        lag: steps between what the source sends and what is taken.
    """

    source: str
    nodes: tuple[str, ...]
    weight: FloatArray
    build: Build
    lag: int = 0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Layer:
    """One population to be: linear paths, a bias, a neuron.

    Attributes:
        name: name of its spiking node; of its last weight node for a readout.
        bias: real bias per neuron [n].
        shape: of the population.
        neuron: None for a readout without a neuron.
    """

    name: str
    paths: tuple[Path, ...]
    bias: FloatArray
    shape: tuple[int, ...]
    neuron: Recurrence | None

    @property
    def nodes(self) -> tuple[str, ...]:
        """The NIR nodes it came from, each once, in order."""
        own = () if self.neuron is None else (self.name,)
        return tuple(dict.fromkeys((*(n for path in self.paths for n in path.nodes), *own)))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LayerGraph:
    """All layers, sources before targets but for feedback, and the layer that each output reads."""

    layers: tuple[Layer, ...]
    outputs: dict[str, str]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Way:
    """A linear map on its way from a source; `late` is a bias that acts from step `lag` on."""

    source: str
    linear: LinearMap
    lag: int = 0
    late: FloatArray | None = None


def layers_of(model: Model) -> LayerGraph:
    """Cut a graph into layers.

    Raises:
        UnsupportedError: E2021 a loop without a spiking node, E2101 too many ways into one node,
            E2102 a node that has no lowering, E2103 weights after weights, E2104 a pool between
            weights and neuron, and those of `recurrence`.
        ModelError: E1052 shapes that do not follow from each other.
    """
    ways = _Ways(model)
    layers: list[Layer] = []
    outputs: dict[str, str] = {}
    for name in topological_order(model.graph):
        node = model.graph.nodes[name]
        if isinstance(node, nir.Output):
            outputs[name] = _output(name, ways.into(name), layers)
        elif isinstance(node, NEURONS):
            neuron = recurrence(name, node, model.semantics_of(name))
            layers.append(_close(ways.into(name), name, neuron))
    return LayerGraph(layers=tuple(layers), outputs=outputs)


class _Ways:
    """Every way from a spiking node or an input to a node, found from the node backwards."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.graph = normalize_graph(model.graph)
        self.lagging = feedback_edges(self.graph)
        self.known: dict[str, tuple[_Way, ...]] = {}

    def into(self, name: str) -> tuple[_Way, ...]:
        """Return the ways that arrive at a node."""
        arriving: list[_Way] = []
        for source in sources_of(self.graph, name):
            late = (source, name) in self.lagging
            arriving += [self._lagged(way, name) if late else way for way in self._out_of(source)]
        _check_ways(name, tuple(arriving))
        return tuple(arriving)

    def _out_of(self, name: str) -> tuple[_Way, ...]:
        node = self.graph.nodes[name]
        if isinstance(node, (nir.Input, *NEURONS)):
            return (_Way(source=name, linear=identity(shape_of(node))),)
        if name not in self.known:
            self.known[name] = _extended(self.into(name), name, node)
        return self.known[name]

    def _lagged(self, way: _Way, target: str) -> _Way:
        """Return the way with a step of lag.

        What a loop carries before the first step is nothing, or what its weights make of zeros
        (`Semantics.feedback`): their bias then acts in the first step too.
        """
        node = self.graph.nodes[target]
        bias, lag = way.linear.bias, way.lag + 1
        zeros_first = self.model.semantics_of(target).feedback == "spike"
        if zeros_first or bias is None or not bias.any():
            return replace(way, lag=lag)
        if not isinstance(node, NEURONS):
            raise UnsupportedError(
                "E2135",
                "a biased feedback that does not lead straight into a neuron",
                where=target,
                remedy="train the recurrent weights without a bias",
            )
        return replace(way, lag=lag, late=bias, linear=replace(way.linear, bias=None))


def _check_ways(name: str, arriving: tuple[_Way, ...]) -> None:
    if not arriving:
        raise bad_shape(name, (), ())
    if len(arriving) > MOST_PATHS:
        raise UnsupportedError(
            "E2101",
            f"{len(arriving)} sums of spikes meet here; each would need its own copy of the "
            f"weights, {MOST_PATHS} at most",
            where=name,
            remedy="put a spiking layer into the residual stream",
        )
    sizes = {prod(way.linear.shape) for way in arriving}
    if len(sizes) > 1:
        first, second = (way.linear.shape for way in arriving[:2])
        raise bad_shape(name, first, second)


def _extended(arriving: tuple[_Way, ...], name: str, node: object) -> tuple[_Way, ...]:
    """Append a linear node to every way; its bias acts once, on the first."""
    found = []
    for index, way in enumerate(arriving):
        linear = extend(way.linear, name, node)
        if index and linear.weight_node == name:
            linear = replace(linear, bias=None)
        found.append(replace(way, linear=linear))
    return tuple(found)


def _output(name: str, arriving: tuple[_Way, ...], layers: list[Layer]) -> str:
    """Return the layer an output reads: a spiking one, or a readout made for it."""
    (first, *rest) = arriving
    map_ = first.linear
    untouched = not (map_.weight_node or map_.pool or first.lag) and map_.scale == 1.0
    if not rest and untouched and any(layer.name == first.source for layer in layers):
        return first.source
    label = next((w.linear.weight_node for w in reversed(arriving) if w.linear.weight_node), name)
    label = label if all(layer.name != label for layer in layers) else name
    layers.append(_close(arriving, label, None))
    return label


def _close(arriving: tuple[_Way, ...], name: str, neuron: Recurrence | None) -> Layer:
    """Make a layer of the maps that arrive and a neuron, scales and gains folded into weights."""
    shape = arriving[0].linear.shape
    n = prod(shape)
    paths = tuple(_path(way) for way in arriving)
    bias = np.zeros(n)
    for way in arriving:
        bias = bias if way.linear.bias is None else bias + way.linear.bias
    if neuron is None:
        return Layer(name=name, paths=paths, bias=bias, shape=shape, neuron=None)
    for values in (neuron.threshold, neuron.gain, neuron.drive, neuron.keep_u, neuron.keep_v):
        if len(values) not in (1, n):
            raise bad_shape(name, values.shape, shape)
    factor, threshold = _normalised(neuron, n)
    scaled = [replace(path, weight=_scale_rows(name, path.weight, factor)) for path in paths]
    if neuron.keep_u.any() and bias.any():
        scaled.append(_bias_path(bias * factor, 0))
        bias = 0 * bias
    scaled += [_bias_path(way.late * factor, way.lag) for way in arriving if way.late is not None]
    drive = np.broadcast_to(neuron.drive, n)
    common = np.ptp(neuron.threshold) == 0
    bias = bias * factor + (drive if common else drive / neuron.threshold)
    one = np.ones(1)
    neuron = replace(neuron, gain=one, drive=0 * one, threshold=threshold)
    return Layer(name=name, paths=tuple(scaled), bias=bias, shape=shape, neuron=neuron)


def with_bias_as_spikes(layer: Layer) -> Layer:
    """Return a layer whose bias arrives through synapses, in the steps of its window alone."""
    if not layer.bias.any():
        return layer
    return replace(layer, paths=(*layer.paths, _bias_path(layer.bias, 0)), bias=0 * layer.bias)


def _bias_path(bias: FloatArray, lag: int) -> Path:
    """Return a bias as synapses of a source that sends 1 in every step.

    For a bias into the synaptic current (the chip's biases enter the potential), and for one that
    a feedback brings from its first step on.
    """
    column = bias[:, None]
    return Path(
        source=BIAS, nodes=(), weight=column, build=lambda whole: Dense(weight=whole), lag=lag
    )


def _path(way: _Way) -> Path:
    weight, build = weights_of(way.linear)
    return Path(source=way.source, nodes=way.linear.nodes, weight=weight, build=build, lag=way.lag)


def _normalised(neuron: Recurrence, n: int) -> tuple[FloatArray, FloatArray]:
    """Return the factor on every neuron's input and the common threshold.

    Thresholds that differ become 1 by scaling what arrives.
    """
    gain = np.broadcast_to(neuron.gain, n)
    if np.ptp(neuron.threshold) == 0:
        return gain, neuron.threshold[:1]
    return gain / neuron.threshold, np.ones(1)


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
