"""A side of a comparison: something that runs samples and tells what every spiking layer sent.

A float model and an integer network on any executor answer in the same form: [T, B, n] per layer
and input, in model steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Protocol

import numpy as np

from snndeploy.comparison.rule import Rule, rule_of_layer, rule_of_population, value_of_one
from snndeploy.errors import SnnDeployError
from snndeploy.frames import frames_of, longest
from snndeploy.inference import Deployed, encode_samples
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.network import Network
from snndeploy.ir.neurons import LIF, NEVER
from snndeploy.ir.readout import decide, read_output, reduce_steps
from snndeploy.model import Model
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.rebuild import topological_order
from snndeploy.nirgraph.shapes import normalize_graph, shape_of
from snndeploy.passes.layers import BIAS, Layer, layers_of
from snndeploy.passes.neuron import NEURONS
from snndeploy.registry import find_executor
from snndeploy.samples import Samples
from snndeploy.semantics import Compare


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Ran:
    """What some samples did.

    Attributes:
        sent: [T, B, n] per spiking layer and per input.
        decision: class per sample [B] by the first output.
    """

    sent: Mapping[str, FloatArray]
    decision: IntArray


class Side(Protocol):
    """A float model, or an integer network on an executor."""

    @property
    def label(self) -> str:
        """What reports call it."""
        ...

    @property
    def layers(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every spiking layer, in the order of data flow."""
        ...

    @property
    def values_of_one(self) -> Mapping[str, float]:
        """What one unit of each input is worth in the user's units."""
        ...

    def run(self, rows: slice) -> Ran:
        """Run some of the samples."""
        ...

    def compares(self, layer: str) -> Compare | None:
        """Return how a layer compares with its threshold; None where both readings are right."""
        ...

    def rule(self, layer: str, neuron: int, compare: Compare) -> Rule | None:
        """Return the rule of one neuron; None if it has no such form."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class FloatSide:
    """A float model."""

    label: str
    model: Model
    samples: Samples
    steps: int

    @cached_property
    def layers(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every spiking node."""
        graph = normalize_graph(self.model.graph)
        return {
            name: shape_of(graph.nodes[name])
            for name in topological_order(graph)
            if isinstance(graph.nodes[name], NEURONS)
        }

    @property
    def values_of_one(self) -> Mapping[str, float]:
        """Real inputs are taken as they are."""
        return {port.name: 1.0 for port in self.model.inputs}

    def run(self, rows: slice) -> Ran:
        """Run some of the samples in float64."""
        frames = frames_of(self.model, self.samples.rows(rows), self.steps)
        y = run_float(self.model, frames, record=tuple(self.layers))
        port = self.model.outputs[0]
        sent = {name: _flat(y[name]) for name in self.layers}
        sent |= {name: _flat(np.asarray(frame)) for name, frame in frames.items()}
        sent[BIAS] = np.ones((*_flat(y[port.name]).shape[:2], 1))
        answer = reduce_steps(port.decode, y[port.name])
        return Ran(sent=sent, decision=answer.reshape(len(answer), -1).argmax(axis=1))

    @cached_property
    def _by_name(self) -> Mapping[str, Layer]:
        try:
            return {layer.name: layer for layer in layers_of(self.model).layers}
        except SnnDeployError:  # it runs all the same; why it differs is then not looked into
            return {}

    def compares(self, layer: str) -> Compare | None:
        """Return the compare of the node's semantics."""
        return self.model.semantics_of(layer).compare if layer in self.layers else None

    def rule(self, layer: str, neuron: int, compare: Compare) -> Rule | None:  # noqa: ARG002
        """Return the rule of one neuron, with its own compare."""
        return rule_of_layer(self._by_name[layer], neuron) if layer in self._by_name else None


@dataclass(frozen=True, eq=False, kw_only=True)
class IntegerSide:
    """An integer network on an executor."""

    label: str
    deployed: Deployed
    samples: Samples
    backend: str

    @cached_property
    def network(self) -> Network:
        """The network, as long as the samples if it has no end."""
        return self.deployed.network.lasting(longest(self.samples.x))

    @cached_property
    def layers(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every population that fires."""
        firing = (
            p
            for p in self.network.populations
            if not (p.program == LIF and p.params["vth"].min() >= NEVER)
        )
        return {p.name: p.shape for p in firing}

    @cached_property
    def values_of_one(self) -> Mapping[str, float]:
        """One integer of a graded input is worth its scale."""
        return value_of_one(self.network)

    @cached_property
    def _inputs(self) -> Mapping[str, IntArray]:
        return encode_samples(self.deployed, self.samples)[0]

    def run(self, rows: slice) -> Ran:
        """Run some of the samples on the executor."""
        inputs = {name: x[:, rows] for name, x in self._inputs.items()}
        result = find_executor(self.backend).run(
            self.network,
            inputs,
            record=tuple(self.network.population),
            placement=self.deployed.placement,
            chip=self.deployed.target.chip,
        )
        sent = {name: trace.spikes.astype(np.float64) for name, trace in result.traces.items()}
        sent |= {name: _flat(x.astype(np.float64)) for name, x in inputs.items()}
        sent[BIAS] = np.ones((*next(iter(sent.values())).shape[:2], 1))
        output = self.network.outputs[0]
        y = read_output(output, result.traces[output.population])
        return Ran(sent=sent, decision=decide(output, y))

    def compares(self, layer: str) -> Compare | None:  # noqa: ARG002 - whole numbers: either
        """Return None: on whole numbers v > x is v >= x + 1."""
        return None

    def rule(self, layer: str, neuron: int, compare: Compare) -> Rule | None:
        """Return the rule of one neuron, in state units."""
        return rule_of_population(self.network, self.network.population[layer], neuron, compare)


def _flat(values: FloatArray) -> FloatArray:
    """Return [T, B, *shape] as [T, B, n]."""
    return values.reshape(*values.shape[:2], prod(values.shape[2:]))
