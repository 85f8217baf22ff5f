"""Model -> layers: each population to be, with every linear path that feeds it.

A graph is cut behind its spiking nodes. Every way from a spiking node or an input to the next one
becomes one linear map in float. Edges that meet are sums: a residual add, a concatenation or a sum
of spikes before weights is one path per source, each with its own copy of the weights, so that
spikes stay binary. A way over a feedback edge or a delay lags.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

import nir
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.ir.arrays import FloatArray
from snndeploy.model import Model
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.nirgraph.rebuild import topological_order
from snndeploy.nirgraph.weight_grid import WeightGrid, grid_of_node
from snndeploy.passes.compose import with_rows
from snndeploy.passes.forms import Build, Matrix, weights_of
from snndeploy.passes.linear import bad_shape, times
from snndeploy.passes.listing import settled
from snndeploy.passes.neuron import NEURONS, Recurrence, recurrence
from snndeploy.passes.sums import Stream, SumRule
from snndeploy.passes.ways import Way, Ways

Grids = Mapping[str, WeightGrid | None]
BIAS = "host.bias"
"""Name of the source that sends 1 in every step."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Path:
    """One way into a population.

    Attributes:
        source: spiking node or input port it starts at.
        nodes: the linear NIR nodes on it, in order.
        weight: real weights, first axis the target channel or neuron.
        build: makes the synapse of integer weights of the same shape.
        lag: steps between what the source sends and what is taken.
        weight_node: the one node with weights on it, empty if there is none or several.
        factor: real weights are this times the node's own (times 1 without one), [1] or [n].
        grid: on which the node's weights lie; None without one.
        notes: what the compile report says of it.
    """

    source: str
    nodes: tuple[str, ...]
    weight: FloatArray
    build: Build
    lag: int = 0
    weight_node: str = ""
    factor: FloatArray | None = None
    grid: WeightGrid | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Layer:
    """One population to be: linear paths, a bias, a neuron.

    Attributes:
        name: name of its spiking node; of its last weight node for a readout.
        bias: real bias per neuron [n].
        shape: of the population.
        neuron: None for a readout without a neuron, and for a sum.
        is_sum: it adds whole weights up and sends the sum as integers.
        integer: a readout, or a neuron of a program, whose numbers are the chip's already.
    """

    name: str
    paths: tuple[Path, ...]
    bias: FloatArray
    shape: tuple[int, ...]
    neuron: Recurrence | Microcode | None
    is_sum: bool = False
    integer: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What the compile report says of its paths, each once."""
        return tuple(dict.fromkeys(note for path in self.paths for note in path.notes))

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


def layers_of(model: Model, sums: SumRule | None = None) -> LayerGraph:
    """Cut a graph into layers.

    Args:
        model: any graph whose loops go through spiking nodes.
        sums: decides where a population adds spikes up in front of weights; None is nowhere.

    Raises:
        UnsupportedError: E2101 too many ways into one node, E2102 a node that has no lowering,
            E2103 a composed map with too many connections, E2135 a biased feedback into a sum,
            E2136 a delay between two steps, E2311 or E2312 a grid that is lost on the way, and
            those of `recurrence`.
        ModelError: E1052 shapes that do not follow from each other, E1240 a malformed grid.
    """
    grids = {name: grid_of_node(name, node) for name, node in model.graph.nodes.items()}
    ways = Ways(model, sums)
    layers: list[Layer] = []
    outputs: dict[str, str] = {}
    for name in topological_order(model.graph):
        node = model.graph.nodes[name]
        if isinstance(node, nir.Output):
            arriving = ways.into(name)
            layers += _new_sums(ways, layers)
            integer = model.semantics.integer
            outputs[name] = _output(name, arriving, layers, grids, integer=integer)
        elif isinstance(node, NEURONS):
            own, semantics = isinstance(node, Microcode), model.semantics_of(name)
            neuron = node if own else recurrence(name, node, semantics)
            layer = _close(ways.into(name), name, neuron, grids)
            integer = own and semantics.integer
            layers += [*_new_sums(ways, layers), replace(layer, integer=integer)]
    return LayerGraph(layers=tuple(layers), outputs=outputs)


def _new_sums(ways: Ways, layers: list[Layer]) -> list[Layer]:
    """Return the sums that a way starts at and that are no layers yet."""
    known = {layer.name for layer in layers}
    return [_sum_layer(s) for s in ways.streams.values() if s.name not in known]


def _sum_layer(stream: Stream) -> Layer:
    paths = []
    for source, nodes, form in zip(stream.sources, stream.nodes, stream.forms, strict=True):
        weight, build = weights_of(form)
        paths.append(Path(source=source, nodes=nodes, weight=weight, build=build))
    bias = np.zeros(prod(stream.shape))
    return Layer(
        name=stream.name,
        paths=tuple(paths),
        bias=bias,
        shape=stream.shape,
        neuron=None,
        is_sum=True,
    )


def _output(
    name: str, arriving: tuple[Way, ...], layers: list[Layer], grids: Grids, *, integer: bool
) -> str:
    """Return the layer an output reads: a spiking one, or a readout made for it."""
    (first, *rest) = arriving
    untouched = first.linear.is_untouched and not first.lag
    if not rest and untouched and any(layer.name == first.source for layer in layers):
        return first.source
    label = next((w.linear.weight_node for w in reversed(arriving) if w.linear.weight_node), name)
    label = label if all(layer.name != label for layer in layers) else name
    layers.append(replace(_close(arriving, label, None, grids), integer=integer))
    return label


def _close(
    arriving: tuple[Way, ...], name: str, neuron: Recurrence | Microcode | None, grids: Grids
) -> Layer:
    """Make a layer of the maps that arrive and a neuron, scales and gains folded into weights."""
    shape = arriving[0].linear.shape
    n = prod(shape)
    factor, drive, biased = np.ones(1), np.zeros(1), neuron is None
    if isinstance(neuron, Recurrence):
        for values in (neuron.threshold, neuron.gain, neuron.drive, neuron.keep_u, neuron.keep_v):
            if len(values) not in (1, n):
                raise bad_shape(name, values.shape, shape)
        factor, normal, drive = _normalised(neuron, n)
        biased = not normal.keep_u.any()
        neuron = normal
    paths = [_path(way, factor, name, grids) for way in arriving]
    if isinstance(neuron, Recurrence) and any(map(_differs_by_row, paths)):
        neuron = neuron.with_own_thresholds()
    bias = np.zeros(n)
    for lag, late in _biases(arriving):
        if lag or (late.any() and not biased):
            paths.append(_bias_path(late * factor, lag))
        else:
            bias = bias + late * factor
    return Layer(name=name, paths=tuple(paths), bias=bias + drive, shape=shape, neuron=neuron)


def _biases(arriving: tuple[Way, ...]) -> Iterator[tuple[int, FloatArray]]:
    """Yield the step from which on a bias acts, and the sum of what all ways bring."""
    lags = sorted({lag for way in arriving for lag in way.linear.biases})
    for lag in lags:
        parts = [way.linear.biases[lag] for way in arriving if lag in way.linear.biases]
        yield lag, np.sum(parts, axis=0)


def with_bias_as_spikes(layer: Layer) -> Layer:
    """Return a layer whose bias arrives through synapses, in the steps of its window alone.

    Raises:
        UnsupportedError: E2137, it drives a potential behind a current; synapses do not reach it.
    """
    if not layer.bias.any():
        return layer
    if isinstance(layer.neuron, Recurrence) and layer.neuron.keep_u.any():
        raise UnsupportedError(
            "E2137",
            "v_leak drives the potential behind a synaptic current; neurons that the host resets "
            "take a bias through their current alone",
            where=layer.name,
            remedy="compile for a chip whose neurons reset themselves, or train with v_leak = "
            "v_reset",
        )
    return replace(layer, paths=(*layer.paths, _bias_path(layer.bias, 0)), bias=0 * layer.bias)


def _bias_path(bias: FloatArray, lag: int) -> Path:
    """Return a bias as synapses of a source that sends 1 in every step.

    For a bias into the synaptic current or into a neuron of the user's own (the chip's biases
    enter the potential), and for one that a feedback or a delay brings from a later step on.
    """
    weight, build = weights_of(Matrix(weight=bias[:, None]))
    return Path(source=BIAS, nodes=(), weight=weight, build=build, lag=lag)


def _path(way: Way, gain: FloatArray, where: str, grids: Grids) -> Path:
    form = with_rows(way.linear.form, gain, where=where)
    weight, build = weights_of(settled(form))
    return Path(
        source=way.source,
        nodes=way.linear.nodes,
        weight=weight,
        build=build,
        lag=way.lag,
        weight_node=way.linear.weight_node if len(way.linear.weight_nodes) == 1 else "",
        factor=times(way.linear.factor, gain[:1] if np.ptp(gain) == 0 else gain),
        grid=_grid(way, grids),
        notes=way.linear.notes,
    )


def _grid(way: Way, grids: Grids) -> WeightGrid | None:
    """Return the grid of a way's weights, None where nothing says that they lie on one.

    Raises:
        UnsupportedError: E2311, two layers are one map; E2312, their scale differs on the way.
    """
    linear = way.linear
    named = [name for name in linear.weight_nodes if grids[name] is not None]
    if not named:
        return None
    if len(linear.weight_nodes) > 1:
        raise UnsupportedError(
            "E2311",
            f"{' and '.join(linear.weight_nodes)} are one map: the products of their weights lie "
            "on neither grid",
            where=named[0],
            remedy="put a neuron between them, or merge them before quantization",
        )
    if linear.factor is None:
        raise UnsupportedError(
            "E2312",
            "scales that differ between inputs stand in front of quantized weights",
            where=named[0],
            remedy="fold them into the weights before quantization",
        )
    return grids[named[0]]


def _differs_by_row(path: Path) -> bool:
    return path.grid is not None and (
        len(path.grid.gamma) > 1 or (path.factor is not None and len(path.factor) > 1)
    )


def _normalised(neuron: Recurrence, n: int) -> tuple[FloatArray, Recurrence, FloatArray]:
    """Return the factor on every neuron's input [n], the neuron without gain, and its drive [n].

    Thresholds that differ become 1 by scaling what arrives.
    """
    gain, drive = np.broadcast_to(neuron.gain, n), np.broadcast_to(neuron.drive, n)
    one = np.ones(1)
    plain = replace(neuron, gain=one, drive=0 * one, threshold=neuron.threshold[:1])
    if np.ptp(neuron.threshold) == 0:
        return gain, plain, drive
    return gain / neuron.threshold, replace(plain, threshold=one), drive / neuron.threshold
