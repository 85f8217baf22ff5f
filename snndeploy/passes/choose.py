"""How one layer is written in integers: its unit, weights, exponents and registers.

One unit per population, an exponent per projection: a stored weight w of projection i stands for
unit * 2^exponent_i * w. The unit is as fine as the weights ask for and the proven ranges allow.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, log2

import numpy as np

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.ir.arrays import FloatArray
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.neurons import ACT_SHIFT, LIF, V_LIMIT, gate, integrator
from snndeploy.ir.program import Params
from snndeploy.ir.ranges import Ranges, population_ranges
from snndeploy.ir.synapses import Conv, Pool
from snndeploy.passes.layers import Layer, Path
from snndeploy.passes.listing import smallest
from snndeploy.passes.neuron import Recurrence
from snndeploy.passes.program import (
    UNIT,
    exact_bits,
    largest_threshold,
    parameters,
    program_of,
    threshold_at_most,
)
from snndeploy.passes.scale import (
    Rounded,
    best_unit,
    decay_bits_used,
    encode_bias,
    exact_exponent,
    grid_unit,
    round_weights,
    trailing_zeros,
)
from snndeploy.target import Numerics

FORGOTTEN = 4096
"""A potential below this is 0 after one step of the largest decay, 4095 / 4096."""
MOST_COUNTED = 15
"""Largest multiple in which a gate counts a spike."""
GUARD_ROOM = 5
"""A guard must outweigh whatever arrives: a lagging population's current keeps that much room."""
ENLARGE = 0.99
"""Factor on the threshold from one try to the next when a range does not hold."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Choice:
    """One way to write a layer in integers.

    Attributes:
        rounded: integer weights per projection.
        exponents: weight exponent per projection.
        unit: real value of one unit arriving at the population.
    """

    rounded: tuple[Rounded, ...]
    exponents: tuple[int, ...]
    unit: float
    params: Params
    exact: bool = False
    enlarged: float = 1.0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Task:
    """One layer, what feeds each of its paths, and the rules it is written by.

    Attributes:
        sources: one per path of the layer.
        steps: model steps per sample (P).
        bits: stored bits per weight.
        lags: its spikes are taken with a lag: a guard may have to silence it between samples.
    """

    layer: Layer
    sources: tuple[Source | Population, ...]
    numerics: Numerics
    steps: int
    bits: int
    lags: bool = False

    @property
    def weights(self) -> tuple[FloatArray, ...]:
        """Real weights per path and integer unit of its source."""
        return tuple(
            path.weight * (source.scale if isinstance(source, Source) else 1.0)
            for path, source in zip(self.layer.paths, self.sources, strict=True)
        )

    @property
    def rounds_input(self) -> bool:
        """Whether the host rounds what it injects."""
        return any(isinstance(s, Source) and s.encoding == "graded" for s in self.sources)

    def choose(self) -> Choice:
        """Return the integers of this layer.

        Raises:
            ModelError: E1053, no step is large enough to prove a range.
            UnsupportedError: E2106, a gate beyond the memoryless range.
        """
        neuron = self.layer.neuron
        if neuron is None:
            return self._choose_integrator()
        if neuron.is_memoryless and self._counts():
            return self._choose_gate(neuron)
        return self._choose_exact(neuron) or self._choose_rounded(neuron)

    def _counts(self) -> float:
        """Return the step of which all weights are small whole multiples, 0 if there is none."""
        values = np.concatenate([weight.reshape(-1) for weight in self.weights])
        values = np.unique(np.abs(values[values != 0]))
        step = float(values[0]) if len(values) else 0.0
        whole = step > 0 and np.all(values / step == np.rint(values / step))
        return step if whole and values[-1] <= MOST_COUNTED * step else 0.0

    # ---- the three kinds -----------------------------------------------------------------

    def _choose_gate(self, neuron: Recurrence) -> Choice:
        """Counted spikes into a memoryless threshold: fires iff the count exceeds a number.

        What stays below the threshold must be forgotten within a step, so must what is negative.
        """
        step = self._counts()
        count = float(neuron.threshold[0]) / step
        between = np.floor(count) + 0.5 if neuron.compare == "gt" else np.ceil(count) - 0.5
        vth = int(2 * between)
        rounded = tuple(
            replace(round_weights(real, step / 2, 8), rounded=0) for real in self.weights
        )
        choice = Choice(
            rounded=rounded,
            exponents=(0,) * len(rounded),
            unit=step / 2,
            params=gate(vth=max(vth, 0)),
            exact=True,
        )
        lowest = -self.ranges(choice).arriving if any(np.any(w < 0) for w in self.weights) else 0
        held = all(-FORGOTTEN < value << ACT_SHIFT < FORGOTTEN for value in (vth, lowest))
        if vth < 0 or not held or np.any(self.layer.bias != 0):
            raise UnsupportedError(
                "E2106",
                f"a memoryless threshold at {count:g} spikes; the chip forgets within a step only "
                "up to 31 spikes, without bias",
                where=self.layer.name,
                remedy="use a smaller window or threshold",
            )
        return choice

    def _choose_integrator(self) -> Choice:
        """A readout: the finest unit at which a window's sum stays inside the state word."""
        first = unit = self._finest_unit()
        while True:
            rounded, exponents = self._rounded(unit)
            bias = encode_bias(self.layer.bias, unit, self.numerics)
            if self._vanishes(rounded):
                raise self._hopeless()
            if bias is None:
                unit *= 2.0
                continue
            params = integrator(bias_mant=bias[0], bias_exp=bias[1])
            choice = Choice(rounded=rounded, exponents=exponents, unit=unit, params=params)
            ranges = self.ranges(choice)
            if not ranges.u_wraps and not ranges.v_clips:
                errors = self.bias_error(choice) + sum(r.rounded for r in rounded)
                return replace(choice, exact=errors == 0, enlarged=unit / first)
            unit *= max(ranges.potential / V_LIMIT, ranges.current / V_LIMIT, 1.001)

    def _choose_exact(self, neuron: Recurrence) -> Choice | None:
        """Weights, bias and threshold that lie on one grid already, and a leak that loses no bit.

        After t steps of a decay m / 2^q a state that was a multiple of 2^F is one of 2^(F - q t)
        (`trailing_zeros`); as long as bits last, the chip computes what the model computes. A
        `>=` then becomes a strict compare with the register one lower, if 6 bits are left.
        """
        theta = float(neuron.threshold[0])
        lost, grid = self._lost_bits(neuron), self._grid(neuron)
        if grid is None or lost is None or self.rounds_input or not neuron.keep_v.all():
            return None
        for shift in range(self.numerics.vth_max.bit_length()):
            unit, threshold = theta / (grid << shift), (grid << shift) * UNIT
            bias = encode_bias(self.layer.bias, unit, self.numerics)
            exponents = self._exact_exponents(unit)
            if bias is None or exponents is None:
                return None
            if threshold > largest_threshold(neuron, self.numerics):
                return None
            rounded = self._rounded_with(unit, exponents)
            params = parameters(neuron, threshold, bias, self.numerics)
            choice = Choice(
                rounded=rounded, exponents=exponents, unit=unit, params=params, exact=True
            )
            ranges = self.ranges(choice)
            if ranges.u_wraps or ranges.v_clips:
                return None
            arriving = (
                r.weight << (ACT_SHIFT + e) for r, e in zip(rounded, exponents, strict=True)
            )
            left = trailing_zeros(*arriving, bias[0] << bias[1]) - lost
            if left >= exact_bits(neuron) and not self.bias_error(choice):
                return choice
        return None

    def _choose_rounded(self, neuron: Recurrence) -> Choice:
        """The finest unit whose ranges hold; a leak is given spare bits below it to round in."""
        theta = float(neuron.threshold[0]) * UNIT
        finest, most = self._finest_unit(), largest_threshold(neuron, self.numerics)
        for spare in reversed(range(self._spare_bits(neuron) + 1)):
            wanted = finest / (1 << spare)
            if theta / wanted > most:
                continue
            choice = self._rounded_at(neuron, threshold_at_most(neuron, theta / wanted), wanted)
            if choice is not None:
                return choice
        threshold = threshold_at_most(neuron, min(theta / finest, most))
        while True:
            choice = self._rounded_at(neuron, threshold, finest)
            if choice is not None:
                return choice
            lower = threshold_at_most(neuron, threshold * ENLARGE - 1)
            if lower >= threshold:
                raise self._hopeless()
            threshold = lower

    def _rounded_at(self, neuron: Recurrence, threshold: int, wanted: float) -> Choice | None:
        """Return the choice at one threshold [state units], None if a range does not hold."""
        unit = float(neuron.threshold[0]) * UNIT / threshold
        bias = encode_bias(self.layer.bias, unit, self.numerics)
        rounded, exponents = self._rounded(unit)
        if bias is None or self._vanishes(rounded):
            return None
        choice = Choice(
            rounded=rounded,
            exponents=exponents,
            unit=unit,
            params=parameters(neuron, threshold, bias, self.numerics),
            enlarged=max(unit / wanted, 1.0),
        )
        return None if self.ranges(choice).u_wraps else choice

    # ---- pieces --------------------------------------------------------------------------

    def _has_exponent(self, path: Path) -> bool:
        synapse = path.build(np.ones(path.weight.shape, dtype=np.int64))
        return self.numerics.conv_weight_exp or not isinstance(synapse, Conv | Pool)

    def _best_units(self) -> tuple[float, ...]:
        return tuple(best_unit(weight, self.bits) for weight in self.weights)

    def _finest_unit(self) -> float:
        """Return the unit the weights ask for: their own grid's if they have one.

        Projections without an exponent must hold their weights at the unit itself; the others
        follow it with theirs.
        """
        best = self._best_units()
        rigid = [
            b for b, p in zip(best, self.layer.paths, strict=True) if not self._has_exponent(p)
        ]
        finest = max(rigid) if rigid else min(best)
        neuron = self.layer.neuron
        grid = None if neuron is None else self._grid(neuron)
        if neuron is None or grid is None:
            return finest
        unit = float(neuron.threshold[0]) / grid
        return unit / (1 << max(int(log2(unit / finest)), 0))

    def _grid(self, neuron: Recurrence) -> int | None:
        theta = float(neuron.threshold[0])
        most = self.numerics.weight_exp[1]
        spare = [most if self._has_exponent(path) else 0 for path in self.layer.paths]
        return grid_unit(
            self.weights, self.layer.bias, theta, self.bits, self.numerics, spare_bits=spare
        )

    def _spare_bits(self, neuron: Recurrence) -> int:
        """Return how many bits below the finest unit are worth trying: a leak rounds there."""
        leaks = bool(np.any((neuron.keep_v > 0) & (neuron.keep_v < 1)))
        flexible = all(self._has_exponent(path) for path in self.layer.paths)
        return self.numerics.weight_exp[1] if leaks and flexible else 0

    def _rounded(self, unit: float) -> tuple[tuple[Rounded, ...], tuple[int, ...]]:
        """Round every path at the smallest exponent that holds its weights."""
        most = self.numerics.weight_exp[1]
        exponents = tuple(
            min(max(ceil(log2(best / unit) - 1e-9), 0), most) if self._has_exponent(path) else 0
            for best, path in zip(self._best_units(), self.layer.paths, strict=True)
        )
        return self._rounded_with(unit, exponents), exponents

    def _rounded_with(self, unit: float, exponents: tuple[int, ...]) -> tuple[Rounded, ...]:
        return tuple(
            round_weights(weight, unit * (1 << exponent), self.bits)
            for weight, exponent in zip(self.weights, exponents, strict=True)
        )

    def _exact_exponents(self, unit: float) -> tuple[int, ...] | None:
        most = self.numerics.weight_exp[1]
        found = [
            exact_exponent(weight / unit, self.bits, most if self._has_exponent(path) else 0)
            for weight, path in zip(self.weights, self.layer.paths, strict=True)
        ]
        exponents = tuple(e for e in found if e is not None)
        return exponents if len(exponents) == len(found) else None

    def _lost_bits(self, neuron: Recurrence) -> int | None:
        """Return the fraction bits a window's decays use up, None if a register rounds a decay."""
        bits = self.numerics.decay_bits
        used = [
            max((n for k in keeps if (n := decay_bits_used(float(k), bits)) is not None), default=0)
            for keeps in (neuron.keep_u, neuron.keep_v)
            if all(decay_bits_used(float(k), bits) is not None for k in np.unique(keeps))
        ]
        return sum(used) * (self.steps - 1) if len(used) == 2 else None

    def ranges(self, choice: Choice) -> Ranges:
        """Return the proven ranges of a choice."""
        population, projections = self.write(choice)
        nodes = {s.name: s for s in self.sources if s.name != self.layer.name}
        network = Network(
            name="",
            steps=self.steps,
            sources=tuple(s for s in nodes.values() if isinstance(s, Source)),
            populations=(*(p for p in nodes.values() if isinstance(p, Population)), population),
            projections=projections,
            outputs=(),
        )
        found = population_ranges(network, population)
        return replace(found, current=GUARD_ROOM * found.current) if self.lags else found

    def bias_error(self, choice: Choice) -> float:
        """Return the largest bias error in threshold units (readouts: in units)."""
        state = choice.params["bias_mant"] << choice.params["bias_exp"]
        real = state / (1 << ACT_SHIFT) * choice.unit
        neuron = self.layer.neuron
        reference = choice.unit if neuron is None else float(neuron.threshold[0])
        error = float(np.abs(real - self.layer.bias).max(initial=0.0)) / reference
        return 0.0 if error < 1e-9 else error

    def _vanishes(self, rounded: tuple[Rounded, ...]) -> bool:
        return any(
            bool(weight.any() and not integers.weight.any())
            for weight, integers in zip(self.weights, rounded, strict=True)
        )

    def _hopeless(self) -> ModelError:
        return ModelError(
            "E1053",
            "no weight step keeps this layer's sums inside the chip's words: all weights would "
            "round to 0",
            where=self.layer.name,
            remedy="lower --steps or --input-bits, prune inputs, or compute the layer on the host "
            "with --host-layers",
        )

    def write(self, choice: Choice) -> tuple[Population, tuple[Projection, ...]]:
        """Return the population and its projections, wave offsets still 0."""
        layer = self.layer
        bias = choice.params["bias_mant"]
        params = choice.params if np.ptp(bias) else {**choice.params, "bias_mant": bias[:1]}
        program = LIF if layer.neuron is None else program_of(layer.neuron)
        population = Population(
            name=layer.name, shape=layer.shape, program=program, params=params, wave=0
        )
        names = self._projection_names()
        projections = tuple(
            Projection(
                name=name,
                source=path.source,
                target=layer.name,
                synapse=smallest(path.build(rounded.weight)),
                sign_mode=rounded.sign_mode,
                weight_bits=self.bits,
                weight_exp=exponent,
                lag=path.lag,
            )
            for name, path, rounded, exponent in zip(
                names, layer.paths, choice.rounded, choice.exponents, strict=True
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
