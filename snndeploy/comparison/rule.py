"""One neuron's step as numbers, read off a float layer or off an integer population.

    u[t] = keep_u * u[t-1] + sum of weights * what arrives
    v[t] = keep_v * v[t-1] + u[t] + bias
    out[t] = v[t] > threshold (or >=, or how often it fits), then the reset

An integer population is this as well, on whole state units: decays truncate toward zero, u wraps
once, v is clipped. Both sides in one form make it possible to give one side's rounding, compare,
decay … to the other, and to see whether that is why they differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import assert_never

import numpy as np

from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.neurons import ACT_SHIFT, LIF, NEVER, U_LIMIT, V_LIMIT
from snndeploy.ir.programs import LIF_CLAMPED, LIF_MULTI, LIF_SUBTRACT, LIF_SUBTRACT_DELAYED
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse
from snndeploy.passes.layers import BIAS, Layer, Path
from snndeploy.passes.neuron import Recurrence
from snndeploy.semantics import Compare, Reset


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Arrival:
    """What one projection brings to the neuron: the synapses that end in it.

    Attributes:
        lag: model steps between what the source sends and what arrives.
        indices: neurons of the source [k].
        weights: [k], in the rule's units, per unit that the source sends.
    """

    source: str
    lag: int
    indices: IntArray
    weights: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Rule:
    """A neuron; `threshold`, `drop`, `bias`, limits and weights are in one unit, any.

    Attributes:
        threshold: distance from the reset value.
        drop: what a spike costs where the reset subtracts.
        most: spikes that one step sends at most.
        v_min: lower clamp; -inf for none.
        whole: states are whole numbers, and decays truncate them toward zero.
        u_limit: beyond it the current wraps once; inf for never.
        v_limit: the potential is clipped there.
    """

    arrivals: tuple[Arrival, ...]
    bias: float
    keep_u: float
    keep_v: float
    threshold: float
    drop: float
    compare: Compare
    reset: Reset
    multi_spike: bool = False
    most: float = inf
    v_min: float = -inf
    whole: bool = False
    u_limit: float = inf
    v_limit: float = inf

    def scaled(self, factor: float) -> "Rule":
        """Return the same neuron in a unit `factor` times finer."""
        return replace(
            self,
            arrivals=tuple(replace(a, weights=a.weights * factor) for a in self.arrivals),
            bias=self.bias * factor,
            threshold=self.threshold * factor,
            drop=self.drop * factor,
            v_min=self.v_min * factor,
            u_limit=self.u_limit * factor,
            v_limit=self.v_limit * factor,
        )


def rule_of_layer(layer: Layer, neuron: int) -> Rule | None:
    """Return the rule of one neuron of a float layer; None for a readout or a microcode neuron."""
    step = layer.neuron
    if not isinstance(step, Recurrence):
        return None
    threshold = _of(step.threshold, neuron)
    return Rule(
        arrivals=tuple(_float_arrival(path, neuron) for path in layer.paths),
        bias=_of(layer.bias, neuron),
        keep_u=_of(step.keep_u, neuron),
        keep_v=_of(step.keep_v, neuron),
        threshold=threshold,
        drop=threshold,
        compare=step.compare,
        reset=step.reset,
        multi_spike=step.multi_spike,
        v_min=-inf if step.v_min is None else step.v_min * threshold,
    )


def rule_of_population(
    network: Network, population: Population, neuron: int, compare: Compare
) -> Rule | None:
    """Return the rule of one neuron of a population, in state units.

    Args:
        network: what feeds it.
        population: runs one of the leaky programs.
        neuron: index in it.
        compare: how the threshold is said: on whole numbers v > x is v >= x + 1.

    Returns:
        None for a population that never fires, or whose program has no such form.
    """
    if population.program not in RESETS:
        return None
    value = {name: int(_of(values, neuron)) for name, values in population.params.items()}
    strict = value["vth"] << ACT_SHIFT if population.program == LIF else value["vth_state"]
    if strict >= NEVER << ACT_SHIFT:
        return None
    multi = population.program == LIF_MULTI
    threshold = strict + (compare == "ge" and not multi)
    drop = value.get("drop", threshold)
    return Rule(
        arrivals=tuple(
            _integer_arrival(network, projection, neuron)
            for projection in network.into(population.name)
        ),
        bias=float(value["bias_mant"] << value["bias_exp"]),
        keep_u=(4095 - value["du"]) / 4096,
        keep_v=(4096 - value["dv"]) / 4096,
        threshold=float(threshold),
        drop=float(drop),
        compare=compare,
        reset=RESETS[population.program] if drop else "none",
        multi_spike=multi,
        most=float(value.get("most", inf)),
        v_min=float(value.get("v_min", -inf)),
        whole=True,
        u_limit=float(U_LIMIT),
        v_limit=float(V_LIMIT),
    )


RESETS: Mapping[object, Reset] = {
    LIF: "zero",
    LIF_CLAMPED: "zero",
    LIF_SUBTRACT: "subtract",
    LIF_SUBTRACT_DELAYED: "subtract-delayed",
    LIF_MULTI: "subtract",
}
"""What a spike of each leaky program does to v."""


def arriving(rule: Rule, sent: Mapping[str, FloatArray]) -> FloatArray:
    """Return what arrives in each step [T], in the rule's units.

    Args:
        rule: its arrivals.
        sent: what each source sends in one sample, [T, n].
    """
    total = np.zeros(len(next(iter(sent.values()))))
    for arrival in rule.arrivals:
        values = sent[arrival.source][:, arrival.indices] @ arrival.weights
        total += _later(values, arrival.lag)
    return total


def run_rule(rule: Rule, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Run the neuron over what arrives [T]; return what it sends and v at the compare, [T] each."""
    out, at_compare = np.zeros(len(x)), np.zeros(len(x))
    u = v = sent = 0.0
    for t, now in enumerate(x):
        u = _folded(_kept(rule, rule.keep_u, u) + now, rule.u_limit)
        owed = sent * rule.drop if rule.reset == "subtract-delayed" else 0.0
        v = _kept(rule, rule.keep_v, v) + u + rule.bias - owed
        v = max(min(v, rule.v_limit), -rule.v_limit, rule.v_min)
        sent = _fired(rule, v)
        out[t], at_compare[t] = sent, v
        if rule.reset == "zero" and sent:
            v = 0.0
        elif rule.reset == "subtract":
            v -= sent * rule.drop
    return out, at_compare


def _kept(rule: Rule, keep: float, value: float) -> float:
    return float(np.trunc(value * keep)) if rule.whole else value * keep


def _folded(u: float, limit: float) -> float:
    """Wrap once, as the chip's current does; u above the limit comes back from below."""
    if u > limit:
        return u - 2 * limit
    return u + 2 * limit if u <= -limit else u


def _fired(rule: Rule, v: float) -> float:
    if rule.multi_spike:
        return min(max(float(np.trunc(v / rule.threshold)), 0.0), rule.most)
    return float(v >= rule.threshold if rule.compare == "ge" else v > rule.threshold)


def _later(values: FloatArray, lag: int) -> FloatArray:
    """Shift [T] by a lag (back in time if negative); nothing comes from beyond the sample."""
    out = np.zeros_like(values)
    n = max(len(values) - abs(lag), 0)
    if lag >= 0:
        out[lag:] = values[:n]
    else:
        out[:n] = values[-lag:]
    return out


def _of(values: FloatArray | IntArray, neuron: int) -> float:
    return float(values[neuron if len(values) > 1 else 0])


def _float_arrival(path: Path, neuron: int) -> Arrival:
    """List a path's synapses by building it with each weight's own number in its place."""
    numbers = np.arange(1, path.weight.size + 1).reshape(path.weight.shape)
    indices, which = incoming(path.build(numbers), neuron)
    weights = path.weight.reshape(-1)[which - 1].astype(np.float64)
    return Arrival(source=path.source, lag=path.lag, indices=indices, weights=weights)


def _integer_arrival(network: Network, projection: Projection, neuron: int) -> Arrival:
    """Return a projection's synapses in state units; the lag is what waves and delay make it."""
    indices, weights = incoming(projection.synapse, neuron)
    nodes = network.nodes
    between = nodes[projection.target].wave - nodes[projection.source].wave
    return Arrival(
        source=projection.source,
        lag=projection.delay + 1 - between,
        indices=indices,
        weights=weights.astype(np.float64) * 2.0 ** (projection.weight_exp + ACT_SHIFT),
    )


def incoming(synapse: Synapse, neuron: int) -> tuple[IntArray, IntArray]:
    """Return sources and weights [k] of the synapses that end in one neuron."""
    match synapse:
        case Dense(weight=weight):
            return np.arange(synapse.n_in), weight[neuron]
        case Sparse(indptr=indptr, indices=indices, weight=weight):
            row = slice(int(indptr[neuron]), int(indptr[neuron + 1]))
            return indices[row], weight[row]
        case OneToOne(weight=weight):
            return np.array([neuron]), weight[neuron : neuron + 1]
        case Conv():
            return _window(synapse, neuron)
        case Pool():
            channels = synapse.in_shape[0]
            ones = np.full((channels, 1, *synapse.kernel), synapse.weight, dtype=np.int64)
            conv = Conv(
                weight=ones, in_shape=synapse.in_shape, stride=synapse.stride,
                padding=synapse.padding, groups=channels,
            )  # fmt: skip
            return _window(conv, neuron)
        case _:
            assert_never(synapse)


def _window(conv: Conv, neuron: int) -> tuple[IntArray, IntArray]:
    channel, y, x = np.unravel_index(neuron, conv.out_shape)
    group = channel // (conv.weight.shape[0] // conv.groups)
    kernel = conv.weight[channel]
    i, kh, kw = np.indices(kernel.shape)
    in_y = y * conv.stride[0] - conv.padding[0] + kh * conv.dilation[0]
    in_x = x * conv.stride[1] - conv.padding[1] + kw * conv.dilation[1]
    _, height, width = conv.in_shape
    real = (in_y >= 0) & (in_y < height) & (in_x >= 0) & (in_x < width)
    source = ((group * kernel.shape[0] + i) * height + in_y) * width + in_x
    return source[real], kernel[real]


def without_bias_source(rule: Rule, other: Rule) -> Rule:
    """Return the rule with a bias that arrives as spikes added to its bias, as `other` has it."""
    if rule.keep_u or any(arrival.source == BIAS for arrival in other.arrivals):
        return rule
    extra = [a for a in rule.arrivals if a.source == BIAS and a.lag == 0]
    kept = tuple(a for a in rule.arrivals if a not in extra)
    return replace(rule, arrivals=kept, bias=rule.bias + float(sum(a.weights.sum() for a in extra)))


def value_of_one(network: Network) -> dict[str, float]:
    """Return what one integer unit of each input is worth in the user's units."""
    return {s.name: s.scale for s in network.sources if isinstance(s, Source) and s.is_given}
