"""NeuroBench's metrics of the integer network that is deployed, by NeuroBench's own rules.

Names and meanings are those of the package `neurobench` 2.3 (Yik et al., The neurobench framework,
Nature Communications 16, 2025), and so are the keys of `record`. What they are measured on is what
the chip executes: relays, gates and pools are populations and synapses there, folded pooling is in
the kernels. Read in torch's terms, `Dense` is a Linear, `Conv` a Conv2d, `Pool` a depthwise Conv2d,
listed synapses a Linear whose missing entries are zeros, a population that can fire an activation
layer. Populations that only integrate are read by the host: they are no activation layer, their
synapses count.

Counting rules, as the package has them:

- a synaptic operation is a nonzero input times a nonzero weight, biases left out, summed over the
  steps of a window, per sample; `Dense` takes all inputs and weights as nonzero;
- it is an accumulation (AC) if all inputs of that layer, step and batch are -1, 0 or 1, else a
  multiplication too (MAC). The batch is all samples;
- a membrane update is a neuron step after which the potential (after its reset) differs from the
  step before; the first step of a window always counts;
- neuron operations are membrane updates (dense: all neuron steps) times the package's operations
  per neuron model: 4 for a leaky neuron, 6 or 8 for one with a synaptic current. It has no numbers
  for other neurons; a network with one of them has no neuron operations.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from snndeploy.activity import Activity, membrane
from snndeploy.ir.connections import fan_out, n_possible, n_weights, n_zero
from snndeploy.ir.network import Network, Population, Projection
from snndeploy.ir.neurons import LIF, NEVER

NO_CURRENT = 4095
"""Decay register of a current that forgets at once: the neuron has none to speak of."""
PARAMETER_BYTES = 4
"""A neuron parameter is a 32-bit word."""
LEAKY = {"lif": "zero", "lif_subtract": "subtract", "lif_subtract_delayed": "subtract"}
"""Programs that NeuroBench has operations for, and their reset."""
OPERATIONS = {
    ("Leaky", "zero"): 4,
    ("Leaky", "subtract"): 4,
    ("Synaptic", "zero"): 8,
    ("Synaptic", "subtract"): 6,
}
"""Source: neurobench 2.3.0, metrics/workload/neuron_operations.py."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SynapticOperations:
    """Operations per sample, summed over the steps of its window."""

    effective_macs: float
    effective_acs: float
    dense: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """What the numbers were measured under.

    Attributes:
        steps: of a window (T).
        dt_s: seconds per step as the model has it; None where that is not kept.
        batch: samples that were looked at together.
        seed: of rate coding.
        zero_weights, bias: what is counted, in words.
    """

    steps: int
    dt_s: float | None
    batch: int
    seed: int
    zero_weights: str = (
        "not in Effective_MACs and Effective_ACs; in Dense, ParameterCount and Footprint"
    )
    bias: str = "in ParameterCount and Footprint; in no synaptic operation or sparsity"


@dataclass(frozen=True, kw_only=True, slots=True)
class NeuroBench:
    """NeuroBench's metrics of one network on samples; see the module for the rules.

    Attributes:
        footprint: bytes: weights packed at their bits, neuron parameters, states.
        connection_sparsity: zero weights over weights, four digits.
        parameter_count: weights as stored, and biases where there are any.
        accuracy: None without labels.
        activation_sparsity: zeros over all that activation layers sent; `by_layer`: each of them.
        membrane_updates: per sample.
        neuron_operations: (effective, dense) per sample, None where the package has no numbers.
    """

    conditions: Conditions
    footprint: int
    connection_sparsity: float
    parameter_count: int
    accuracy: float | None
    activation_sparsity: float
    by_layer: tuple[tuple[str, float], ...]
    synaptic_operations: SynapticOperations
    membrane_updates: float
    neuron_operations: tuple[float, float] | None

    def record(self) -> dict[str, Any]:
        """Return the metrics under the package's keys; what could not be measured is None."""
        operations, neurons = self.synaptic_operations, self.neuron_operations
        return {
            "Footprint": self.footprint,
            "ConnectionSparsity": self.connection_sparsity,
            "ParameterCount": self.parameter_count,
            "ClassificationAccuracy": self.accuracy,
            "ActivationSparsity": self.activation_sparsity,
            "ActivationSparsityByLayer": dict(self.by_layer),
            "SynapticOperations": {
                "Effective_MACs": operations.effective_macs,
                "Effective_ACs": operations.effective_acs,
                "Dense": operations.dense,
            },
            "MembraneUpdates": self.membrane_updates,
            "NeuronOperations": neurons
            and {"Effective Neuron Ops": neurons[0], "Neuron Dense Ops": neurons[1]},
        }


def neurobench(
    network: Network,
    activity: Activity,
    *,
    accuracy: float | None = None,
    seed: int = 0,
    dt_s: float | None = None,
) -> NeuroBench:
    """Return NeuroBench's metrics of what a network did.

    Args:
        network: that ran.
        activity: of that run.
        accuracy: of its decisions.
        seed: of rate coding.
        dt_s: seconds per step of the model.
    """
    active = [p for p in network.populations if fires(p)]
    zeros = {p.name: _zeros(p, activity) for p in active}
    n_zeros, n_sent = (sum(counts[i] for counts in zeros.values()) for i in (0, 1))
    updates = sum(activity.nodes[p.name].updates for p in active)
    return NeuroBench(
        conditions=Conditions(steps=network.steps, dt_s=dt_s, batch=activity.n_samples, seed=seed),
        footprint=footprint(network),
        connection_sparsity=_connection_sparsity(network),
        parameter_count=_parameters(network),
        accuracy=accuracy,
        activation_sparsity=n_zeros / n_sent if n_sent else 0.0,
        by_layer=tuple((name, zero / sent) for name, (zero, sent) in zeros.items()),
        synaptic_operations=synaptic_operations(network, activity),
        membrane_updates=updates / activity.n_samples,
        neuron_operations=_neuron_operations(network, activity, active),
    )


def synapses(network: Network) -> Iterator[Projection]:
    """Yield the projections that carry samples or spikes, those of biases and guards left out."""
    given = {source.name for source in network.sources if source.is_given}
    for projection in network.projections:
        if projection.source in given or projection.source in network.population:
            yield projection


def fires(population: Population) -> bool:
    """Return whether a population can send anything: the host's integrators cannot."""
    program, params = population.program, population.params
    return program != LIF or bool(params["vth"].min() < NEVER)


def synaptic_operations(network: Network, activity: Activity) -> SynapticOperations:
    """Count nonzero inputs times nonzero weights, per sample."""
    macs = acs = dense = 0
    for projection in synapses(network):
        sent, is_binary = activity.arriving(projection)
        per_step = sent @ fan_out(projection.synapse, live=True)
        acs += int(per_step[is_binary].sum())
        macs += int(per_step[~is_binary].sum())
        dense += n_possible(projection.synapse) * network.steps * activity.n_samples
    n = activity.n_samples
    return SynapticOperations(effective_macs=macs / n, effective_acs=acs / n, dense=dense / n)


def footprint(network: Network) -> int:
    """Return the bytes of weights, packed at their bits, of neuron parameters and of states."""
    weights = sum(
        -(-n_weights(p.synapse) * p.weight_bits // 8) for p in network.projections
    )  # a bias that comes from a source is stored as weights
    neurons = sum(
        PARAMETER_BYTES * sum(value.size for value in p.params.values())
        + -(-p.n * sum(state.bits for state in p.program.states) // 8)
        for p in network.populations
    )
    return int(weights + neurons)


def _parameters(network: Network) -> int:
    guards = {source.name for source in network.sources if source.encoding == "guard"}
    weights = sum(n_weights(p.synapse) for p in network.projections if p.source not in guards)
    biases = [p.params["bias_mant"] for p in network.populations if "bias_mant" in p.params]
    return weights + sum(int(bias.size) for bias in biases if bias.any())


def _connection_sparsity(network: Network) -> float:
    counts = [n_zero(p.synapse) for p in synapses(network)]
    return round(sum(zeros for zeros, _ in counts) / sum(total for _, total in counts), 4)


def _zeros(population: Population, activity: Activity) -> tuple[int, int]:
    """Return (zeros, all values) of what a population sent."""
    sent = activity.nodes[population.name].sent
    total = int(sent.size) * activity.n_samples
    return total - int(sent.sum()), total


def _neuron_operations(
    network: Network, activity: Activity, active: list[Population]
) -> tuple[float, float] | None:
    effective = dense = 0
    for population in active:
        per_update = _per_update(population)
        if per_update is None:
            return None
        effective += per_update * activity.nodes[population.name].updates
        dense += per_update * population.n * network.steps * activity.n_samples
    return effective / activity.n_samples, dense / activity.n_samples


def _per_update(population: Population) -> int | None:
    """Return NeuroBench's operations of one update, None for a neuron that it does not know."""
    reset = LEAKY.get(population.program.name)
    if reset is None or membrane(population) is None:
        return None
    has_current = bool(np.any(population.params["du"] != NO_CURRENT))
    return OPERATIONS["Synaptic" if has_current else "Leaky", reset]
