"""The same network as an ordinary quantised one, on the same accelerator: when do spikes pay?

The ANN reading. A window of T steps carries a number of spikes 0..T per neuron, so the equal ANN
has activations of ceil(log2(T + 1)) bits (Yan et al., "Reconsidering the energy efficiency of
spiking neural networks", arXiv 2409.08290), the same weights at the same bits, and takes one pass.
Its activation of a neuron is what that neuron sent in its window, added up; it skips zeros, as the
spiking network does. So its density is measured on the same samples: the share of (sample, neuron)
whose sum is not 0. A static image is given to the ANN once.

The accelerator. Both run on one event-driven digital machine, input by input: an input that is not
0 reads its fan-out's packed weights, and for each of these synapses reads an accumulator, adds (AC)
or multiplies and adds (MAC, if the input carries more than 1 bit), and writes it back. Then:

    spiking, every step:  state read and written, 1 addition (threshold), 1 more with a bias,
                          1 MAC per leak; 1 bit per neuron written and read as the spike
    ANN, once:            accumulator read and cleared, 1 MAC (requantisation), 1 addition with a
                          bias; the activation's bits written and read

Words are 64 bits; packed weights, states and activations take whole words per input, population
and step. Accumulators are as wide as the potential, on both sides. Memory is what decides, as
Dampfhoffer, Mesquida, Valentian and Anghel, "Are SNNs really more energy-efficient than ANNs?",
IEEE TETCI 7(3), 731-741, 2023, found; hence their measure, spikes per synapse and inference, beside
spikes per neuron. Left out on both sides: static energy, control, the network on the chip, DRAM.

Break-even. The samples stay as they are and the spikes of all populations scale by one factor x:
E_snn(x) = fixed + x * spiking is linear, and x* = (E_ann - fixed) / spiking is where both cost the
same. The ANN's density is held at what was measured. Without feedback only: an ANN has no steps.
For orientation: Yan et al. find that T = 5 needs below 5.7 % spikes per neuron and step on typical
hardware, Dampfhoffer et al. 0.15 to 1.38 spikes per synapse and inference for neurons without leak.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np

from snndeploy.activity import Activity
from snndeploy.energy import Operation
from snndeploy.ir.arrays import AnyArray
from snndeploy.ir.connections import WORD_BITS, fan_out, words_per_spike
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.neurobench import NO_CURRENT, fires, synapses
from snndeploy.operations import OperationPrices, Range
from snndeploy.quantity import Grade

NO_LEAK = (0, 4096)
"""Decay registers that need no multiplication: keep all, forget all."""
Counts = dict[Operation, float]
SPIKING = "synapses of spikes"
"""The part of the spiking side that its rate scales."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """Operations per sample of one part of one side, and their energy."""

    part: str
    counts: Mapping[Operation, float]
    energy_j: Range


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """A spiking network and its ANN reading on one accelerator, per sample.

    Attributes:
        prices: name of the price table; `sources` by operation; `grade`: the weakest.
        activation_bits: of the ANN.
        density: share of the ANN's activations that are not 0, inputs left out.
        snn, ann: work by part; `snn_j` and `ann_j` are their sums.
        spikes_per_neuron: of populations that can fire, per inference.
        spikes_per_synapse: the same spikes times their fan-out, over their synapses.
        break_even: factor on all spikes at which both sides cost the same, at low, nominal and
            high prices; below 0: the spiking side costs more without any spike; None if there is
            no spike.
        break_even_per_neuron, break_even_per_synapse: that factor times the two measures above.
    """

    prices: str
    sources: Mapping[str, str]
    grade: Grade
    activation_bits: int
    density: float
    snn: tuple[Work, ...]
    ann: tuple[Work, ...]
    snn_j: Range
    ann_j: Range
    spikes_per_neuron: float
    spikes_per_synapse: float
    break_even: Range | None
    break_even_per_neuron: Range | None
    break_even_per_synapse: Range | None


def without_baseline(network: Network) -> str:
    """Return why a network has no ANN reading; empty if it has one."""
    for projection in network.projections:
        if projection.lag:
            return f"{projection.name} feeds back, an ANN has no steps"
    for population in network.populations:
        if population.program.bounds != "leaky" and population.program.states:
            return f"{population.name} is no integrate-and-fire neuron"
    return ""


def baseline(network: Network, activity: Activity, prices: OperationPrices) -> Baseline:
    """Price a spiking network and its ANN reading on one accelerator.

    Args:
        network: one that has an ANN reading (`without_baseline` is empty).
        activity: of its run.
        prices: of all four operations.
    """
    snn, ann = _snn(network, activity, prices), _ann(network, activity, prices)
    snn_j, ann_j = _sum(snn), _sum(ann)
    density, per_neuron, per_synapse = _rates(network, activity)
    factor = _break_even(snn, snn_j, ann_j)
    return Baseline(
        prices=prices.name,
        sources={kind: price.source for kind, price in prices.prices.items()},
        grade=prices.grade,
        activation_bits=network.steps.bit_length(),
        density=density,
        snn=snn,
        ann=ann,
        snn_j=snn_j,
        ann_j=ann_j,
        spikes_per_neuron=per_neuron,
        spikes_per_synapse=per_synapse,
        break_even=factor,
        break_even_per_neuron=_times(factor, per_neuron),
        break_even_per_synapse=_times(factor, per_synapse),
    )


def _snn(network: Network, activity: Activity, prices: OperationPrices) -> tuple[Work, ...]:
    """Return what the spiking network does, part by part."""
    steps, (inputs, spikes) = network.steps, _by_source(network)
    parts = {
        "synapses of the input": [_snn_synapses(p, network, activity) for p in inputs],
        SPIKING: [_snn_synapses(p, network, activity) for p in spikes],
        "neurons": [_snn_neurons(p, steps) for p in network.populations],
        "spikes stored": [_snn_outputs(p, steps) for p in network.populations],
    }
    return _works(parts, prices)


def _ann(network: Network, activity: Activity, prices: OperationPrices) -> tuple[Work, ...]:
    """Return what the ANN does, part by part."""
    steps, (inputs, activations) = network.steps, _by_source(network)
    parts = {
        "synapses of the input": [_ann_synapses(p, network, activity) for p in inputs],
        "synapses of activations": [_ann_synapses(p, network, activity) for p in activations],
        "neurons": [_ann_neurons(p) for p in network.populations],
        "activations stored": [_ann_outputs(p, steps) for p in network.populations],
    }
    return _works(parts, prices)


def _by_source(network: Network) -> tuple[list[Projection], list[Projection]]:
    """Return the projections that carry samples, and those that carry what populations send."""
    both = list(synapses(network))
    return (
        [p for p in both if p.source not in network.population],
        [p for p in both if p.source in network.population],
    )


def _works(parts: Mapping[str, Iterable[Counts]], prices: OperationPrices) -> tuple[Work, ...]:
    added = {part: _added(counts) for part, counts in parts.items()}
    return tuple(
        Work(part=part, counts=counts, energy_j=prices.energy(counts))
        for part, counts in added.items()
    )


def _rates(network: Network, activity: Activity) -> tuple[float, float, float]:
    """Return the ANN's density, spikes per neuron and spikes per synapse, per inference."""
    n, (_, spikes) = activity.n_samples, _by_source(network)
    active = [p for p in network.populations if fires(p)]
    n_neurons = n * sum(p.n for p in active)
    n_synapses = n * sum(int(fan_out(p.synapse).sum()) for p in spikes)
    used = sum(int(activity.nodes[p.name].used.sum()) for p in active)
    fired = sum(float(activity.nodes[p.name].sent.sum()) for p in active)
    touched = sum(float(activity.nodes[p.source].spikes @ fan_out(p.synapse)) for p in spikes)
    return (
        used / n_neurons if n_neurons else 0.0,
        fired / n_neurons if n_neurons else 0.0,
        touched / n_synapses if n_synapses else 0.0,
    )


def state_bits(population: Population) -> int:
    """Return the bits of a neuron's states that live on; a current that forgets at once does not.

    A neuron without states accumulates in a word of 24 bits.
    """
    has_current = _has_current(population)
    states = [s for s in population.program.states if s.name != "u" or has_current]
    return sum(state.bits for state in states) or 24


def accumulator_bits(population: Population) -> int:
    """Return the bits of what synapses add to: as wide as the potential, 24 without one."""
    return max((s.bits for s in population.program.states if s.name == "v"), default=24)


def _has_current(population: Population) -> bool:
    du = population.params.get("du")
    return du is not None and bool(np.any(du != NO_CURRENT))


def _snn_synapses(projection: Projection, network: Network, activity: Activity) -> Counts:
    """Return what the spikes of one projection cost, per sample."""
    events = activity.nodes[projection.source].spikes / activity.n_samples
    is_graded = network.nodes[projection.source].is_graded
    return _synapses(projection, network, events, "mac" if is_graded else "ac")


def _ann_synapses(projection: Projection, network: Network, activity: Activity) -> Counts:
    """Return what activations that are not 0 cost, per sample; of one bit they are only added."""
    events = activity.nodes[projection.source].used / activity.n_samples
    bits = activation_bits(network.nodes[projection.source], network.steps)
    return _synapses(projection, network, events, "mac" if bits > 1 else "ac")


def _synapses(
    projection: Projection, network: Network, events: AnyArray, operation: Operation
) -> Counts:
    """Return what inputs that are not 0, `events` [n] per sample, cost at one projection."""
    synapse = projection.synapse
    reach = fan_out(synapse)
    bits = accumulator_bits(network.population[projection.target])
    accumulators = float(events @ -(-reach * bits // WORD_BITS))
    weights = float(events @ words_per_spike(synapse, projection.weight_bits))
    return {
        operation: float(events @ reach),
        "word_read": weights + accumulators,
        "word_write": accumulators,
    }


def activation_bits(node: Source | Population, steps: int) -> int:
    """Return the bits of a node's ANN activation: of all it can send in a window, added up.

    A source that shows one frame at every step gives it to the ANN once.
    """
    times = 1 if isinstance(node, Source) and node.repeat and node.encoding == "graded" else steps
    largest = max(abs(node.low), abs(node.high)) * times
    return largest.bit_length() + (node.low < 0)


def _snn_neurons(population: Population, steps: int) -> Counts:
    words = steps * ceil(population.n * state_bits(population) / WORD_BITS)
    updates = steps * population.n
    return {
        "ac": updates * float(1 + _has_bias(population)),
        "mac": updates * float(_n_leaks(population)),
        "word_read": float(words),
        "word_write": float(words),
    }


def _ann_neurons(population: Population) -> Counts:
    words = float(ceil(population.n * accumulator_bits(population) / WORD_BITS))
    return {
        "ac": float(population.n * _has_bias(population)),
        "mac": float(population.n),
        "word_read": words,
        "word_write": words,
    }


def _snn_outputs(population: Population, steps: int) -> Counts:
    if not fires(population):
        return {}
    bits = max(abs(population.low), abs(population.high)).bit_length() + (population.low < 0)
    words = float(steps * ceil(population.n * bits / WORD_BITS))
    return {"word_read": words, "word_write": words}


def _ann_outputs(population: Population, steps: int) -> Counts:
    if not fires(population):
        return {}
    words = float(ceil(population.n * activation_bits(population, steps) / WORD_BITS))
    return {"word_read": words, "word_write": words}


def _has_bias(population: Population) -> bool:
    bias = population.params.get("bias_mant")
    return bias is not None and bool(bias.any())


def _n_leaks(population: Population) -> int:
    dv = population.params.get("dv")
    leaks = dv is not None and not np.isin(dv, NO_LEAK).all()
    return int(leaks) + int(_has_current(population))


def _added(parts: Iterable[Counts]) -> Counts:
    total: Counts = {}
    for counts in parts:
        for kind, count in counts.items():
            total[kind] = total.get(kind, 0.0) + count
    return total


def _sum(works: tuple[Work, ...]) -> Range:
    low, nominal, high = (sum(work.energy_j[i] for work in works) for i in range(3))
    return low, nominal, high


def _break_even(snn: tuple[Work, ...], snn_j: Range, ann_j: Range) -> Range | None:
    """Return (E_ann - fixed) / spiking at each of the three prices."""
    spiking = next(work for work in snn if work.part == SPIKING).energy_j
    if not all(spiking):
        return None
    low, nominal, high = ((ann_j[i] - (snn_j[i] - spiking[i])) / spiking[i] for i in range(3))
    return low, nominal, high


def _times(factor: Range | None, value: float) -> Range | None:
    if factor is None:
        return None
    return factor[0] * value, factor[1] * value, factor[2] * value
