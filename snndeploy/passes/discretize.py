"""Model x Numerics -> Network: choose scales, round once, prove ranges from the weights.

Requires: layers the chip's `lif` program can run. Ensures: registers in range, weights
on the stored grid, no current that can wrap, no bias that saturates, no readout that clips,
whatever the data. A step that had to be enlarged for that, and all rounding, is reported.
"""

from dataclasses import replace

from snndeploy.errors import UnsupportedError
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import ACT_SHIFT
from snndeploy.model import Model
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.passes.choose import choose
from snndeploy.passes.layer_report import LayerReport, report, sum_report
from snndeploy.passes.layers import BIAS, Layer, LayerGraph, with_bias_as_spikes
from snndeploy.passes.program import MOST_SPIKES
from snndeploy.passes.streams import write_sum
from snndeploy.passes.task import Task
from snndeploy.target import Numerics


def discretize(
    model: Model,
    graph: LayerGraph,
    sources: tuple[Source, ...],
    numerics: Numerics,
    *,
    steps: int,
    weight_bits: int,
) -> tuple[Network, tuple[LayerReport, ...]]:
    """Write layers as one integer network.

    Args:
        model: for its name and output ports.
        graph: what `layers_of` returned.
        sources: how the host encodes the inputs.
        numerics: the chip's integer rules.
        steps: model steps per sample (P), 0 without end.
        weight_bits: stored bits per weight, at most the chip's.

    Returns:
        The network, all wave offsets still 0, and one report per population.

    Raises:
        ModelError: E1053, no step is large enough to prove a range.
        UnsupportedError: E2106 a gate beyond the memoryless range, E2128 a chip without this
            `lif`, E2137 a drive that a chip with host resets cannot give.
    """
    sources, tasks = tasks_of(graph, sources, numerics, steps=steps, weight_bits=weight_bits)
    nodes: dict[str, Source | Population] = {source.name: source for source in sources}
    nodes |= {task.layer.name: to_come(task.layer) for task in tasks}
    projections: list[Projection] = []
    reports: dict[str, LayerReport] = {}
    for planned in tasks:
        layer = planned.layer
        feeding = tuple(nodes[path.source] for path in layer.paths)
        if layer.is_sum:
            nodes[layer.name], into = write_sum(layer, feeding)
            projections += into
            reports[layer.name] = sum_report(layer, into)
            continue
        task = replace(planned, sources=feeding)
        choice = choose(task)
        nodes[layer.name], into = task.write(choice)
        projections += into
        reports[layer.name] = report(task, choice)
    network = Network(
        name=model.origin,
        steps=steps,
        sources=sources,
        populations=tuple(node for node in nodes.values() if isinstance(node, Population)),
        projections=tuple(projections),
        outputs=_outputs(model, graph, reports),
    )
    return network, tuple(reports.values())


def tasks_of(
    graph: LayerGraph,
    sources: tuple[Source, ...],
    numerics: Numerics,
    *,
    steps: int,
    weight_bits: int,
) -> tuple[tuple[Source, ...], tuple[Task, ...]]:
    """Return the sources, with that of the biases if there is one, and one task per layer.

    Layers that feed others are stood for by their payloads.

    Raises:
        UnsupportedError: E2128, a chip without this `lif`; E2137, see `with_bias_as_spikes`.
    """
    if (numerics.act_shift, numerics.state_bits, numerics.decay_bits) != (ACT_SHIFT, 24, 12):
        raise UnsupportedError(
            "E2128",
            "the chip's state format is not that of the `lif` program",
            remedy="describe a chip with act_shift 6, state_bits 24 and decay_bits 12",
        )
    layers = graph.layers
    if numerics.reset == "host":  # its neurons would charge before a sample's wave arrives
        layers = tuple(map(with_bias_as_spikes, layers))
    if any(path.source == BIAS for layer in layers for path in layer.paths):
        sources = (*sources, Source(name=BIAS, shape=(1,), encoding="bias"))
    nodes: dict[str, Source | Population] = {
        node.name: node for node in (*sources, *map(to_come, layers))
    }
    for layer in layers:
        if layer.is_sum:  # its payloads follow from what it adds
            nodes[layer.name], _ = write_sum(layer, tuple(nodes[p.source] for p in layer.paths))
    lagging = {path.source for layer in layers for path in layer.paths if path.lag}
    read = {path.source for layer in layers for path in layer.paths}
    return sources, tuple(
        Task(
            layer=layer,
            sources=tuple(nodes[path.source] for path in layer.paths),
            numerics=numerics,
            steps=steps,
            bits=weight_bits,
            feeds_others=layer.name in read,
            lags=layer.name in lagging,
        )
        for layer in layers
    )


def to_come(layer: Layer) -> Source:
    """Return what stands for a layer before it is written: its payloads."""
    low, high = 0, 1
    if isinstance(layer.neuron, Microcode):
        low, high = layer.neuron.payload
    elif layer.neuron is not None and layer.neuron.multi_spike:
        high = MOST_SPIKES
    return Source(name=layer.name, shape=layer.shape, low=low, high=high)


def _outputs(
    model: Model, graph: LayerGraph, reports: dict[str, LayerReport]
) -> tuple[Output, ...]:
    layers = {layer.name: layer for layer in graph.layers}
    outputs = []
    for port in model.outputs:
        layer = layers[graph.outputs[port.name]]
        outputs.append(
            Output(
                name=port.name,
                population=layer.name,
                shape=layer.shape,
                readout="spikes" if layer.neuron else "increment",
                decode=port.decode,
                scale=1.0 if layer.neuron else reports[layer.name].unit,
            )
        )
    return tuple(outputs)
