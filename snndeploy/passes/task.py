"""One layer to be written in integers, one way to write it, and what that proves."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

import numpy as np

from snndeploy.errors import ModelError
from snndeploy.ir.arrays import AnyArray, BoolArray, FloatArray
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.neurons import ACT_SHIFT, LIF, U_LIMIT
from snndeploy.ir.program import Params, Program
from snndeploy.ir.ranges import (
    Ranges,
    arriving_bound,
    arriving_by_neuron,
    population_ranges,
)
from snndeploy.ir.synapses import Conv, Pool
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.passes.layers import Layer, Path
from snndeploy.passes.listing import smallest
from snndeploy.passes.neuron import Recurrence
from snndeploy.passes.program import MOST_READ, MOST_SPIKES, program_of
from snndeploy.passes.scale import Rounded, best_units, by_row, round_weights
from snndeploy.target import Numerics

GUARD_ROOM = 5
"""A guard must outweigh whatever arrives: a lagging population's current keeps that much room."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Choice:
    """One way to write a layer in integers.

    Attributes:
        rounded: integer weights per projection.
        exponents: weight exponent per projection.
        units: real value of one unit arriving, [1], or [rows] where thresholds differ.
        enlarged: largest factor by which a unit is coarser than its weights ask for.
        weight_bits: stored bits per projection; empty where all have the task's.
    """

    rounded: tuple[Rounded, ...]
    exponents: tuple[int, ...]
    units: FloatArray
    params: Params
    exact: bool = False
    enlarged: float = 1.0
    weight_bits: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """One layer, what feeds each of its paths, and the rules it is written by.

    Attributes:
        sources: one per path of the layer.
        steps: model steps per sample (P), 0 without end.
        bits: stored bits per weight.
        feeds_others: whether other populations receive its spikes, not the host alone.
        lags: whether its spikes are taken with a lag: a guard may have to silence it between
            samples.
    """

    layer: Layer
    sources: tuple[Source | Population, ...]
    numerics: Numerics
    steps: int
    bits: int
    feeds_others: bool
    lags: bool = False

    @cached_property
    def weights(self) -> tuple[FloatArray, ...]:
        """Real weights per path and integer unit of its source."""
        return tuple(
            path.weight * (source.scale if isinstance(source, Source) else 1.0)
            for path, source in zip(self.layer.paths, self.sources, strict=True)
        )

    @property
    def program(self) -> Program:
        """The program of its neuron, an integrator's for a readout."""
        neuron = self.layer.neuron
        if neuron is None:
            return LIF
        return neuron.program if isinstance(neuron, Microcode) else program_of(neuron)

    @property
    def most_spikes(self) -> int:
        """Spikes that one of its neurons may send per step, if it counts them."""
        return MOST_SPIKES if self.feeds_others else MOST_READ

    @property
    def rounds_input(self) -> bool:
        """Whether the host rounds what it injects; an integer model's input is whole."""
        if self.layer.integer or getattr(self.layer.neuron, "integer", False):
            return False
        return any(isinstance(s, Source) and s.encoding == "graded" for s in self.sources)

    @cached_property
    def has_exponent(self) -> tuple[bool, ...]:
        """Whether the chip shifts what arrives, per path."""
        return tuple(self._shifts(path) for path in self.layer.paths)

    def _shifts(self, path: Path) -> bool:
        synapse = path.build(np.ones(path.weight.shape, dtype=np.int64))
        return self.numerics.conv_weight_exp or not isinstance(synapse, Conv | Pool)

    @cached_property
    def rows(self) -> int:
        """How many units the population may have: one per row of its weights.

        Loihi's own neuron has one threshold per population, a readout one scale.
        """
        neuron = self.layer.neuron
        rows = {len(weight) if weight.ndim > 1 else 1 for weight in self.weights}
        own = isinstance(neuron, Recurrence) and not neuron.is_native and len(rows) == 1
        return rows.pop() if own else 1

    @cached_property
    def layer_units(self) -> tuple[FloatArray, ...]:
        """The unit of least weight error per path, [1]."""
        return tuple(best_units(weight, self.bits, 1) for weight in self.weights)

    @cached_property
    def row_units(self) -> tuple[FloatArray, ...]:
        """The units of least weight error per path and row, [rows]."""
        return tuple(best_units(weight, self.bits, self.rows) for weight in self.weights)

    def by_neuron(self, values: AnyArray) -> AnyArray:
        """Repeat what the neurons of a row have in common, [rows] -> [n]; [1] stays."""
        n = len(self.layer.bias)
        return values if len(values) == 1 else np.repeat(values, n // len(values))

    def rounded(self, units: FloatArray) -> tuple[tuple[Rounded, ...], tuple[int, ...]]:
        """Round every path at the smallest exponent that holds its weights."""
        most = self.numerics.weight_exp[1]
        best = self.layer_units if len(units) == 1 else self.row_units
        exponents = tuple(
            min(max(ceil(np.log2(wanted / units).max() - 1e-9), 0), most) if shifts else 0
            for wanted, shifts in zip(best, self.has_exponent, strict=True)
        )
        return self.rounded_with(units, exponents), exponents

    def rounded_with(self, units: FloatArray, exponents: tuple[int, ...]) -> tuple[Rounded, ...]:
        """Round every path at its exponent."""
        return tuple(
            round_weights(weight, units * (1 << exponent), self.bits)
            for weight, exponent in zip(self.weights, exponents, strict=True)
        )

    def vanishes(self, rounded: tuple[Rounded, ...]) -> bool:
        """Whether all weights of a path were rounded to 0."""
        return any(
            bool(weight.any() and not integers.weight.any())
            for weight, integers in zip(self.weights, rounded, strict=True)
        )

    def hopeless(self) -> ModelError:
        """Return the error of a layer whose ranges no unit proves."""
        return ModelError(
            "E1053",
            "no weight step keeps this layer's sums inside the chip's words: all weights would "
            "round to 0",
            where=self.layer.name,
            remedy="lower --steps or --input-bits, prune inputs, or compute the layer on the host "
            "with --host-layers",
        )

    # ---- what a choice means -------------------------------------------------------------

    def ranges(self, choice: Choice) -> Ranges:
        """Return the proven ranges of a choice."""
        network = self._network(choice)
        return self._with_room(population_ranges(network, network.population[self.layer.name]))

    def _with_room(self, ranges: Ranges) -> Ranges:
        return replace(ranges, current=GUARD_ROOM * ranges.current) if self.lags else ranges

    def arriving(self, choice: Choice) -> int:
        """Return the proven bound of what arrives in a step, whatever the program."""
        network = self._network(choice)
        return arriving_bound(network, network.population[self.layer.name])

    def rows_that_wrap(self, choice: Choice) -> BoolArray:
        """Return per unit of a choice whether a current with it could wrap."""
        network = self._network(choice)
        population = network.population[self.layer.name]
        ranges = self._with_room(population_ranges(network, population))
        arriving = arriving_by_neuron(network, population).reshape(len(choice.units), -1)
        share = arriving.max(axis=1).astype(np.float64)  # of ranges.arriving, and of the current
        return np.asarray(ranges.u_wraps & (share * ranges.current >= U_LIMIT * ranges.arriving))

    def weight_errors(self, choice: Choice) -> tuple[FloatArray, ...]:
        """Return real value of stored weight - real weight, per path."""
        return tuple(
            rounded.weight * by_row(choice.units, weight) * 2.0**exponent - weight
            for rounded, exponent, weight in zip(
                choice.rounded, choice.exponents, self.weights, strict=True
            )
        )

    def bias_error(self, choice: Choice) -> float:
        """Return the largest bias error in threshold units (readouts: in units)."""
        neuron = self.layer.neuron
        if isinstance(neuron, Microcode):  # its bias arrives through synapses
            return 0.0
        state = choice.params["bias_mant"] << choice.params["bias_exp"]
        real = state / (1 << ACT_SHIFT) * self.by_neuron(choice.units)
        reference = float(choice.units[0] if neuron is None else neuron.threshold[0])
        error = float(np.abs(real - self.layer.bias).max(initial=0.0)) / reference
        return 0.0 if error < 1e-9 else error

    def _network(self, choice: Choice) -> Network:
        """Return the population alone with what feeds it."""
        population, projections = self.write(choice)
        nodes = {s.name: s for s in self.sources if s.name != self.layer.name}
        return Network(
            name="",
            steps=self.steps,
            sources=tuple(s for s in nodes.values() if isinstance(s, Source)),
            populations=(*(p for p in nodes.values() if isinstance(p, Population)), population),
            projections=projections,
            outputs=(),
        )

    def write(self, choice: Choice) -> tuple[Population, tuple[Projection, ...]]:
        """Return the population and its projections, wave offsets still 0."""
        layer = self.layer
        params = {
            name: values if np.ptp(values) else values[:1] for name, values in choice.params.items()
        }
        population = Population(
            name=layer.name, shape=layer.shape, program=self.program, params=params, wave=0
        )
        names = self._projection_names()
        bits = choice.weight_bits or (self.bits,) * len(layer.paths)
        projections = tuple(
            Projection(
                name=name,
                source=path.source,
                target=layer.name,
                synapse=smallest(path.build(rounded.weight)),
                sign_mode=rounded.sign_mode,
                weight_bits=path_bits,
                weight_exp=exponent,
                lag=path.lag,
            )
            for name, path, rounded, exponent, path_bits in zip(
                names, layer.paths, choice.rounded, choice.exponents, bits, strict=True
            )
        )
        return population, projections

    def _projection_names(self) -> Iterator[str]:
        """Yield `source->target`, with a way's last nodes and lag where there are several ways."""
        sources = [path.source for path in self.layer.paths]
        ends = [(path.source, path.nodes[-1:], path.lag) for path in self.layer.paths]
        for path, end in zip(self.layer.paths, ends, strict=True):
            several = sources.count(path.source) > 1
            nodes = path.nodes if ends.count(end) > 1 else path.nodes[-1:]
            way = f" via {'+'.join(nodes)}" if several and nodes else ""
            lag = f" lag {path.lag}" if several and path.lag else ""
            yield f"{path.source}->{self.layer.name}{way}{lag}"
