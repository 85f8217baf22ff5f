"""Model x Numerics -> Network: choose scales, round once, prove ranges from the weights.

Requires: layers the chip's `lif` program can run. Ensures: registers in range, weights
on the stored grid, no current that can wrap, no bias that saturates, no readout that clips,
whatever the data. A step that had to be enlarged for that, and all rounding, is reported.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import ACT_SHIFT, V_LIMIT
from snndeploy.ir.programs import GRADED_SUM
from snndeploy.ir.text import KIND_OF
from snndeploy.model import Model
from snndeploy.passes.choose import choose
from snndeploy.passes.layers import BIAS, Layer, LayerGraph, with_bias_as_spikes
from snndeploy.passes.program import MOST_SPIKES, decay_error, exact_bits
from snndeploy.passes.streams import write_sum
from snndeploy.passes.task import Choice, Task
from snndeploy.target import Numerics

NOTABLE = 1.2
"""A weight step enlarged by more than this is said in the report's reasons."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerReport:
    """How one population's integers were chosen.

    Attributes:
        population: its name in the network.
        node: the NIR nodes it came from, joined by `+`.
        synapse: kinds of its synapses (`dense`, `conv`, …), joined by `+`.
        n_neurons: neurons.
        n_weights: stored weights.
        unit: real value of one weight unit, real = unit * integer; the smallest where channels or
            neurons have their own, and `unit_largest` the largest.
        weight_exp: largest exponent of its projections.
        program: the neuron program; all but `lif` need microcode on the chip.
        vth, du, dv: registers, the largest where neurons differ; vth in weight units for `lif`, in
            state units (64 times finer) for the others.
        rounded: weights that are not on the grid as they stand; `clipped`: beyond it.
        weight_rms: rms of (integer weight - real weight), relative to the rms of the real weights.
        bias_error: largest bias error, in units of the threshold.
        decay_error: |real decay factor - register's|, per step.
        headroom_bits: log2(limit / proven bound) of the tightest range; never negative.
        enlarged: factor by which a range proof made the weight step larger than the weights alone
            ask for (1.0: not at all).
        exact: the integer population equals the float one spike for spike, proven.
        why: reasons why it is not exact; empty if it is.
        notes: what was composed or chosen on the way to it.
    """

    population: str
    node: str
    synapse: str
    n_neurons: int
    n_weights: int
    unit: float
    unit_largest: float
    weight_exp: int
    program: str
    vth: int
    du: int
    dv: int
    rounded: int
    clipped: int
    weight_rms: float
    bias_error: float
    decay_error: float
    headroom_bits: float
    enlarged: float
    exact: bool
    why: tuple[str, ...]
    notes: tuple[str, ...] = ()


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
        UnsupportedError: E2106 a gate beyond the memoryless range, E2128 a chip without this `lif`.
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
    nodes: dict[str, Source | Population] = {source.name: source for source in sources}
    nodes |= {layer.name: _to_come(layer) for layer in layers}
    lagging = {path.source for layer in layers for path in layer.paths if path.lag}
    projections: list[Projection] = []
    reports: dict[str, LayerReport] = {}
    read = {path.source for layer in layers for path in layer.paths}
    for layer in layers:
        feeding = tuple(nodes[path.source] for path in layer.paths)
        if layer.is_sum:
            nodes[layer.name], into = write_sum(layer, feeding)
            projections += into
            reports[layer.name] = sum_report(layer, into)
            continue
        task = Task(
            layer=layer,
            sources=feeding,
            numerics=numerics,
            steps=steps,
            bits=weight_bits,
            feeds_others=layer.name in read,
            lags=layer.name in lagging,
        )
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


def _to_come(layer: Layer) -> Source:
    """Return what stands for a layer that feeds back before it is written: its payloads."""
    multi = layer.neuron is not None and layer.neuron.multi_spike
    return Source(name=layer.name, shape=layer.shape, high=MOST_SPIKES if multi else 1)


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


def report(task: Task, choice: Choice) -> LayerReport:
    """Say how a population's integers were chosen."""
    neuron, params = task.layer.neuron, choice.params
    population, projections = task.write(choice)
    error, size = (
        float(np.linalg.norm(np.concatenate([a.reshape(-1) for a in arrays])))
        for arrays in (task.weight_errors(choice), task.weights)
    )
    ranges = task.ranges(choice)
    limits = [V_LIMIT / max(ranges.current, 1)]
    if neuron is None and task.steps:
        limits.append(V_LIMIT / max(ranges.potential, 1))
    decay = 0.0 if neuron is None else decay_error(neuron, params)
    kinds = dict.fromkeys(KIND_OF[type(p.synapse)] for p in projections)
    return LayerReport(
        population=population.name,
        node="+".join(task.layer.nodes),
        synapse="+".join(kinds),
        n_neurons=population.n,
        n_weights=sum(int(weight.size) for weight in task.weights),
        unit=float(choice.units.min()),
        unit_largest=float(choice.units.max()),
        weight_exp=max(choice.exponents),
        program=population.program.name,
        vth=int(params["vth" if "vth" in params else "vth_state"].max()),
        du=int(params["du"].max()),
        dv=int(params["dv"].max()),
        rounded=sum(rounded.rounded for rounded in choice.rounded),
        clipped=sum(rounded.clipped for rounded in choice.rounded),
        weight_rms=error / size if size else 0.0,
        bias_error=task.bias_error(choice),
        decay_error=decay,
        headroom_bits=float(np.log2(min(limits))),
        enlarged=choice.enlarged,
        exact=choice.exact and not task.rounds_input,
        why=() if choice.exact and not task.rounds_input else _reasons(task, choice, decay),
        notes=task.layer.notes,
    )


def sum_report(layer: Layer, projections: tuple[Projection, ...]) -> LayerReport:
    """Say that a population adds spikes up; it rounds nothing."""
    return LayerReport(
        population=layer.name,
        node="+".join(layer.nodes or (path.source for path in layer.paths)),
        synapse="+".join(dict.fromkeys(KIND_OF[type(p.synapse)] for p in projections)),
        n_neurons=prod(layer.shape),
        n_weights=sum(int(path.weight.size) for path in layer.paths),
        unit=1.0,
        unit_largest=1.0,
        weight_exp=0,
        program=GRADED_SUM.name,
        vth=0,
        du=0,
        dv=0,
        rounded=0,
        clipped=0,
        weight_rms=0.0,
        bias_error=0.0,
        decay_error=0.0,
        headroom_bits=0.0,
        enlarged=1.0,
        exact=True,
        why=(),
        notes=(f"adds {' + '.join(path.source for path in layer.paths)} once, sends integers",),
    )


def _reasons(task: Task, choice: Choice, decay: float) -> tuple[str, ...]:
    neuron = task.layer.neuron
    n_rounded = sum(rounded.rounded for rounded in choice.rounded)
    reasons = []
    if task.rounds_input:
        reasons.append("the input is rounded to integers")
    if n_rounded:
        reasons.append(f"{n_rounded:,} weights are rounded")
    if choice.enlarged > NOTABLE:
        fewer = ", fewer --input-bits would help" if task.rounds_input else ""
        reasons.append(
            f"their step is {choice.enlarged:.1f} times what they ask for, so that no sum leaves "
            f"its word{fewer}"
        )
    if task.bias_error(choice):
        reasons.append("biases are rounded")
    if neuron is not None and decay > 1e-9:
        reasons.append(f"a decay is off by {decay:.2e} per step")
    elif neuron is not None and np.any((neuron.keep_v > 0) & (neuron.keep_v < 1)):
        reasons.append("the leak drops fraction bits within the window")
    if neuron is None and not task.steps:
        reasons.append("without resets the readout clips one day")
    if neuron is not None and neuron.multi_spike:
        reasons.append(f"at most {task.most_spikes} spikes per step")
    if not reasons and neuron is not None and exact_bits(neuron):
        reasons.append("weights lie on a grid that touches the threshold, compared with >=")
    return tuple(reasons or ["the range proof needs a larger step than the grid's"])
