"""Model x Numerics -> Network: choose scales, round once, prove ranges from the weights.

Requires: a chain of layers the chip's `lif` program can run. Ensures: registers in range, weights
on the stored grid, no current that can wrap, no bias that saturates, no readout that clips,
whatever the data. A step that had to be enlarged for that, and all rounding, is reported.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.network import (
    Network,
    Output,
    Population,
    Projection,
    Source,
)
from snndeploy.ir.neurons import ACT_SHIFT, LIF, V_LIMIT, Params, gate, integrator, lif
from snndeploy.ir.ranges import Ranges, population_ranges
from snndeploy.ir.synapses import Conv, Dense, Pool, Synapse, sparse_from_dense
from snndeploy.ir.text import KIND_OF
from snndeploy.model import Model
from snndeploy.passes.layers import Layer
from snndeploy.passes.neuron import Recurrence
from snndeploy.passes.scale import (
    Rounded,
    best_unit,
    decay_bits_used,
    encode_bias,
    grid_unit,
    offset_of,
    round_weights,
    trailing_zeros,
    unit_of,
    vth_of,
)
from snndeploy.target import Numerics

SPARSE_BELOW = 0.4
"""A dense matrix with a smaller share of non-zero weights takes less memory as a list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerReport:
    """How one population's integers were chosen.

    Attributes:
        population: its name in the network.
        node: the NIR nodes it came from, joined by `+`.
        synapse: kind of its synapses (`dense`, `conv`, …).
        n_neurons: neurons.
        n_weights: stored weights.
        unit: real value of one weight unit; real = unit * integer.
        weight_exp: exponent of the projection.
        vth, du, dv: registers.
        rounded: weights that are not on the grid as they stand; `clipped`: beyond it.
        weight_rms: rms of (integer weight - real weight), relative to the rms of the real weights.
        bias_error: largest bias error, in units of the threshold.
        decay_error: |real decay factor - register's|, per step.
        headroom_bits: log2(limit / proven bound) of the tightest range; never negative.
        enlarged: factor by which a range proof made the weight step larger than the weights alone
            ask for (1.0: not at all).
        exact: the integer population equals the float one spike for spike, proven.
        why: reasons why it is not exact; empty if it is.
    """

    population: str
    node: str
    synapse: str
    n_neurons: int
    n_weights: int
    unit: float
    weight_exp: int
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


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Choice:
    """One way to write a layer in integers.

    Attributes:
        unit: real value of one unit arriving at the population (threshold units).
        exponent: the projection's; a stored weight w stands for unit * 2^exponent * w.
    """

    rounded: Rounded
    unit: float
    exponent: int
    params: Params
    exact: bool = False
    enlarged: float = 1.0


def discretize(
    model: Model,
    layers: tuple[Layer, ...],
    source: Source,
    numerics: Numerics,
    *,
    steps: int,
    weight_bits: int,
) -> tuple[Network, tuple[LayerReport, ...]]:
    """Write a chain of layers as one integer network.

    Args:
        model: for its name and output ports.
        layers: what `layers_of` returned.
        source: how the host encodes the input.
        numerics: the chip's integer rules.
        steps: model steps per sample (P).
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
    populations: list[Population] = []
    projections: list[Projection] = []
    reports: list[LayerReport] = []
    feeding: Source | Population = source
    for layer in layers:
        task = _Task(layer=layer, source=feeding, numerics=numerics, steps=steps, bits=weight_bits)
        choice = task.choose()
        population, projection = task.write(choice)
        populations.append(population)
        projections.append(projection)
        reports.append(task.report(choice))
        feeding = population
    last = layers[-1]
    output = Output(
        name=model.outputs[0].name,
        population=last.name,
        shape=last.shape,
        readout="spikes" if last.neuron else "increment",
        decode=model.outputs[0].decode,
        scale=1.0 if last.neuron else reports[-1].unit,
    )
    network = Network(
        name=model.origin,
        steps=steps,
        sources=(source,),
        populations=tuple(populations),
        projections=tuple(projections),
        outputs=(output,),
    )
    return network, tuple(reports)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Task:
    """One layer, what feeds it, and the rules it is written by."""

    layer: Layer
    source: Source | Population
    numerics: Numerics
    steps: int
    bits: int

    @property
    def weight(self) -> FloatArray:
        """Real weights per integer unit of the source."""
        scale = self.source.scale if isinstance(self.source, Source) else 1.0
        return self.layer.weight * scale

    @property
    def is_conv(self) -> bool:
        zeros = np.zeros(self.weight.shape, dtype=np.int64)
        return isinstance(self.layer.build(zeros), Conv | Pool)

    def choose(self) -> Choice:
        neuron = self.layer.neuron
        if neuron is None:
            return self._choose_integrator()
        if neuron.keep_v == 0 and neuron.keep_u == 0 and np.ptp(self.weight) == 0:
            return self._choose_gate(neuron)
        return self._choose_exact(neuron) or self._choose_rounded(neuron)

    # ---- the three kinds -----------------------------------------------------------------

    def _choose_gate(self, neuron: Recurrence) -> Choice:
        """Equal weights into a memoryless threshold: fires iff the count exceeds a number."""
        weight = float(self.weight.reshape(-1)[0])
        count = float(neuron.threshold[0]) / weight
        between = np.floor(count) + 0.5 if neuron.compare == "gt" else np.ceil(count) - 0.5
        vth = int(2 * between)
        if weight <= 0 or np.any(self.layer.bias != 0) or not 0 <= vth << ACT_SHIFT < 4096:
            raise UnsupportedError(
                "E2106",
                f"a memoryless threshold at {count:g} spikes; below it the chip forgets within a "
                "step only up to 31 spikes, without bias",
                where=self.layer.name,
                remedy="use a smaller window or threshold",
            )
        two = np.full(self.weight.shape, 2, dtype=np.int64)
        rounded = Rounded(weight=two, sign_mode="excitatory", clipped=0, rounded=0)
        return Choice(
            rounded=rounded, unit=weight / 2, exponent=0, params=gate(vth=vth), exact=True
        )

    def _choose_integrator(self) -> Choice:
        """A readout: the finest unit at which a window's sum stays inside the state word."""
        first = unit = best_unit(self.weight, self.bits)
        while True:
            rounded = round_weights(self.weight, unit, self.bits)
            bias = encode_bias(self.layer.bias, unit, self.numerics)
            if self._vanishes(rounded):
                raise self._hopeless()
            if bias is None:
                unit *= 2.0
                continue
            params = integrator(bias_mant=bias[0], bias_exp=bias[1])
            choice = Choice(rounded=rounded, unit=unit, exponent=0, params=params)
            ranges = self._ranges(choice)
            if not ranges.u_wraps and not ranges.v_clips:
                errors = self._bias_error(choice) + rounded.rounded
                return replace(choice, exact=errors == 0, enlarged=unit / first)
            unit *= max(ranges.potential / V_LIMIT, ranges.current / V_LIMIT, 1.001)

    def _choose_exact(self, neuron: Recurrence) -> Choice | None:
        """Weights, bias and threshold that lie on one grid already, and a leak that loses no bit.

        After t steps of a decay m / 2^q a state that was a multiple of 2^F is one of 2^(F - q t)
        (`trailing_zeros`); as long as bits last, the chip computes what the model computes. A
        `>=` then becomes a strict compare with the register one lower, if 6 bits are left.
        """
        theta = float(neuron.threshold[0])
        lost = self._lost_bits(neuron)
        grid = grid_unit(self.weight, self.layer.bias, theta, self.bits, self.numerics)
        if grid is None or lost is None or self._rounds_input or neuron.keep_v == 0:
            return None
        for shift, exponent in self._spare_bits():
            unit = theta / (grid << shift + exponent)
            rounded = round_weights(self.weight, theta / (grid << shift), self.bits)
            bias = encode_bias(self.layer.bias, unit, self.numerics)
            vth = (grid << shift + exponent) - (neuron.compare == "ge")
            if bias is None or vth > self.numerics.vth_max or rounded.rounded:
                return None
            params = self._lif(neuron, vth, bias)
            choice = Choice(
                rounded=rounded, unit=unit, exponent=exponent, params=params, exact=True
            )
            state_weight = rounded.weight << (ACT_SHIFT + exponent)
            left = trailing_zeros(state_weight, bias[0] << bias[1]) - lost
            enough = left >= (ACT_SHIFT if neuron.compare == "ge" else 0)
            ranges = self._ranges(choice)
            if ranges.u_wraps or ranges.v_clips:
                return None
            if enough and not self._bias_error(choice):
                return choice
        return None

    def _lost_bits(self, neuron: Recurrence) -> int | None:
        """Return the fraction bits a window's decays use up, None if a register rounds a decay."""
        bits = self.numerics.decay_bits
        used_u, used_v = (decay_bits_used(k, bits) for k in (neuron.keep_u, neuron.keep_v))
        return None if used_u is None or used_v is None else (used_u + used_v) * (self.steps - 1)

    def _spare_bits(self) -> Iterator[tuple[int, int]]:
        """Yield (left shift of the weights, exponent), each with one more fraction bit."""
        exponents = list(self._exponents())
        yield from ((shift, 0) for shift in range(self.bits) if shift == 0 or len(exponents) == 1)
        yield from ((0, exponent) for exponent in exponents[1:])

    def _choose_rounded(self, neuron: Recurrence) -> Choice:
        """The finest unit whose ranges hold; a leak is given spare exponent bits to round in."""
        theta = float(neuron.threshold[0])
        best = self._finest_unit(neuron)
        for exponent in reversed(self._exponents()):
            if theta / best * (1 << exponent) > self.numerics.vth_max:
                continue
            vth = vth_of(theta, best / (1 << exponent), neuron.compare, self.numerics)
            choice = self._rounded_at(neuron, vth, exponent, best)
            if choice is not None:
                return choice
        vth = vth_of(theta, best, neuron.compare, self.numerics)
        while vth > 1:
            choice = self._rounded_at(neuron, vth, 0, best)
            if choice is not None:
                return choice
            vth = min(vth - 1, int(vth * 0.99))
        raise self._hopeless()

    def _finest_unit(self, neuron: Recurrence) -> float:
        """Return the unit the weights ask for: their own grid's if they have one."""
        theta = float(neuron.threshold[0])
        best = best_unit(self.weight, self.bits)
        grid = grid_unit(self.weight, self.layer.bias, theta, self.bits, self.numerics)
        if grid is None:
            return best
        spare_bits = max(int(np.log2(theta / grid / best)), 0)
        return theta / (grid << spare_bits)

    def _rounded_at(
        self, neuron: Recurrence, vth: int, exponent: int, best: float
    ) -> Choice | None:
        """Return the choice at one register, None if a range does not hold there."""
        unit = unit_of(float(neuron.threshold[0]), vth, neuron.compare)
        bias = encode_bias(self.layer.bias, unit, self.numerics)
        rounded = round_weights(self.weight, unit * (1 << exponent), self.bits)
        if bias is None or self._vanishes(rounded):
            return None
        choice = Choice(
            rounded=rounded,
            unit=unit,
            exponent=exponent,
            params=self._lif(neuron, vth, bias),
            enlarged=max(unit * (1 << exponent) / best, 1.0),
        )
        return None if self._ranges(choice).u_wraps else choice

    def _vanishes(self, rounded: Rounded) -> bool:
        return bool(self.weight.any() and not rounded.weight.any())

    # ---- pieces --------------------------------------------------------------------------

    @property
    def _rounds_input(self) -> bool:
        return isinstance(self.source, Source) and self.source.encoding == "graded"

    def _exponents(self) -> range:
        """Exponents worth trying: a leak rounds less with more fraction bits below the weights."""
        neuron = self.layer.neuron
        leaks = neuron is not None and neuron.keep_v not in (0.0, 1.0)
        has_exponent = self.numerics.conv_weight_exp or not self.is_conv
        return range(self.numerics.weight_exp[1] + 1 if leaks and has_exponent else 1)

    def _lif(self, neuron: Recurrence, vth: int, bias: tuple[IntArray, int]) -> Params:
        full = 1 << self.numerics.decay_bits
        dv = min(round((1 - neuron.keep_v) * full), full - 1)
        du = full - 1 if neuron.keep_u == 0 else max(round((1 - neuron.keep_u) * full) - 1, 0)
        return lif(du=du, dv=dv, vth=vth, bias_mant=bias[0], bias_exp=bias[1])

    def _ranges(self, choice: Choice) -> Ranges:
        population, projection = self.write(choice)
        sources = (self.source,) if isinstance(self.source, Source) else ()
        before = (self.source,) if isinstance(self.source, Population) else ()
        network = Network(
            name="", steps=self.steps, sources=sources, populations=(*before, population),
            projections=(projection,), outputs=(),
        )  # fmt: skip
        return population_ranges(network, population)

    def _bias_error(self, choice: Choice) -> float:
        """Return the largest bias error in threshold units (readouts: in units)."""
        state = choice.params["bias_mant"] << choice.params["bias_exp"]
        real = state / (1 << ACT_SHIFT) * choice.unit
        neuron = self.layer.neuron
        reference = choice.unit if neuron is None else float(neuron.threshold[0])
        error = float(np.abs(real - self.layer.bias).max(initial=0.0)) / reference
        return 0.0 if error < 1e-9 else error

    def _hopeless(self) -> ModelError:
        return ModelError(
            "E1053",
            "no weight step keeps this layer's sums inside the chip's words: all weights would "
            "round to 0",
            where=self.layer.name,
            remedy="lower --steps or --input-bits, prune inputs, or compute the layer on the host "
            "with --host-layers",
        )

    # ---- results -------------------------------------------------------------------------

    def write(self, choice: Choice) -> tuple[Population, Projection]:
        layer = self.layer
        bias = choice.params["bias_mant"]
        params = choice.params if np.ptp(bias) else {**choice.params, "bias_mant": bias[:1]}
        population = Population(
            name=layer.name, shape=layer.shape, program=LIF, params=params, wave=0
        )
        projection = Projection(
            name=f"{self.source.name}->{layer.name}",
            source=self.source.name,
            target=layer.name,
            synapse=_smallest(layer.build(choice.rounded.weight)),
            sign_mode=choice.rounded.sign_mode,
            weight_bits=self.bits,
            weight_exp=choice.exponent,
        )
        return population, projection

    def report(self, choice: Choice) -> LayerReport:
        neuron, params = self.layer.neuron, choice.params
        population, projection = self.write(choice)
        step = choice.unit * 2.0**choice.exponent
        error = choice.rounded.weight * step - self.weight
        size = float(np.sqrt(np.mean(self.weight**2))) if self.weight.size else 0.0
        ranges = self._ranges(choice)
        limits = [V_LIMIT / max(ranges.current, 1)]
        if neuron is None:
            limits.append(V_LIMIT / max(ranges.potential, 1))
        decay_error = 0.0 if neuron is None else _decay_error(neuron, params)
        return LayerReport(
            population=population.name,
            node="+".join(self.layer.nodes),
            synapse=KIND_OF[type(projection.synapse)],
            n_neurons=population.n,
            n_weights=int(self.weight.size),
            unit=choice.unit,
            weight_exp=choice.exponent,
            vth=population.scalar("vth"),
            du=population.scalar("du"),
            dv=population.scalar("dv"),
            rounded=choice.rounded.rounded,
            clipped=choice.rounded.clipped,
            weight_rms=float(np.sqrt(np.mean(error**2))) / size if size else 0.0,
            bias_error=self._bias_error(choice),
            decay_error=decay_error,
            headroom_bits=float(np.log2(min(limits))),
            enlarged=choice.enlarged,
            exact=choice.exact and not self._rounds_input,
            why=() if choice.exact else self._reasons(choice, decay_error),
        )

    def _reasons(self, choice: Choice, decay_error: float) -> tuple[str, ...]:
        neuron = self.layer.neuron
        reasons = []
        if self._rounds_input:
            reasons.append("the input is rounded to integers")
        if choice.rounded.rounded:
            reasons.append(f"{choice.rounded.rounded:,} weights are rounded")
        if self._bias_error(choice):
            reasons.append("biases are rounded")
        if neuron is not None and decay_error > 1e-9:
            reasons.append(f"a decay is off by {decay_error:.2e} per step")
        elif neuron is not None and neuron.keep_v not in (0.0, 1.0):
            reasons.append("the leak drops fraction bits within the window")
        if not reasons and neuron is not None and offset_of(neuron.compare):
            reasons.append("weights lie on a grid that touches the threshold, compared with >=")
        return tuple(reasons or ["the range proof needs a larger step than the grid's"])


def _smallest(synapse: Synapse) -> Synapse:
    """Return a dense matrix of few weights as a list."""
    if not isinstance(synapse, Dense):
        return synapse
    share = np.count_nonzero(synapse.weight) / max(synapse.weight.size, 1)
    return sparse_from_dense(synapse.weight) if 0 < share < SPARSE_BELOW else synapse


def _decay_error(neuron: Recurrence, params: Params) -> float:
    keep_u = (4095 - int(params["du"][0])) / 4096
    keep_v = (4096 - int(params["dv"][0])) / 4096
    if neuron.keep_u == neuron.keep_v == 0:
        return 0.0 if int(params["dv"][0]) == 4095 else keep_v
    return max(abs(neuron.keep_u - keep_u), abs(neuron.keep_v - keep_v))
