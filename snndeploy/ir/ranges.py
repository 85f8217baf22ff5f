"""Ranges proven from the weights alone: what can arrive, accumulate, wrap or clip."""

from dataclasses import dataclass
from typing import TypeVar, assert_never

import numpy as np

from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.network import Network, Population, Source
from snndeploy.ir.neurons import ACT_SHIFT, U_LIMIT, V_LIMIT
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse

Bound = TypeVar("Bound", int, IntArray)
INPUT_LIMIT = (1 << 31) - 1
UNBOUNDED = 1 << 62


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranges:
    """Proven bounds of one population over one window, in state units unless said otherwise.

    Attributes:
        arriving: largest sum over projections of |sum w * s| << weight_exp, in weight units.
        current: largest |u|; wraps beyond 2^23.
        potential: largest |v| that leak and window length allow; clips beyond 2^23 - 1.
    """

    arriving: int
    current: int
    potential: int

    @property
    def u_wraps(self) -> bool:
        return self.current >= U_LIMIT

    @property
    def v_clips(self) -> bool:
        return self.potential > V_LIMIT


def arriving_bounds(synapse: Synapse, low: int, high: int) -> tuple[IntArray, IntArray]:
    """Return per target the smallest and largest sum for sources in [low, high].

    A convolution's border pixels take the bound of its full kernel. Arrays are [n_out], or one
    per output channel for convolutions.
    """
    match synapse:
        case Dense(weight=weight):
            return _interval(weight, low, high)
        case Conv(weight=weight):
            return _interval(weight.reshape(len(weight), -1), low, high)
        case Pool(kernel=kernel, weight=one):
            return _interval(np.full((1, kernel[0] * kernel[1]), one), low, high)
        case OneToOne(weight=weight):
            return _interval(weight[:, None], low, high)
        case Sparse(weight=weight):
            floor, ceiling = (
                np.minimum(weight * low, weight * high),
                np.maximum(weight * low, weight * high),
            )
            sums = np.zeros((2, synapse.n_out), dtype=np.int64)
            np.add.at(sums[0], synapse.rows, np.minimum(floor, 0))
            np.add.at(sums[1], synapse.rows, np.maximum(ceiling, 0))
            return sums[0], sums[1]
        case _:
            assert_never(synapse)


def _interval(weight: IntArray, low: int, high: int) -> tuple[IntArray, IntArray]:
    ends = np.stack([weight * low, weight * high])
    floor = np.minimum(ends.min(axis=0), 0).sum(axis=1)
    ceiling = np.maximum(ends.max(axis=0), 0).sum(axis=1)
    return floor, ceiling


def prove_ranges(network: Network) -> dict[str, Ranges]:
    """Bound input, current and potential over one window, for populations that have such a rule."""
    return {
        p.name: population_ranges(network, p)
        for p in network.populations
        if p.program.bounds == "leaky"
    }


def population_ranges(network: Network, population: Population) -> Ranges:
    """Bound one population of a leaky program; interval arithmetic over the weights, no data."""
    assert population.program.bounds == "leaky", population.program.name
    return leaky_ranges(population, arriving_bound(network, population), network.steps)


def arriving_bound(network: Network, population: Population) -> int:
    """Bound what arrives in a step of a window, where guards are silent; over 2^31 - 1 it wraps."""
    return int(arriving_by_neuron(network, population).max(initial=0))


def arriving_by_neuron(network: Network, population: Population) -> IntArray:
    """Bound what arrives at each neuron in one step, [n]."""
    arriving = np.zeros(population.n, dtype=np.int64)
    for projection in network.into(population.name):
        source = network.nodes[projection.source]
        if isinstance(source, Source) and source.encoding == "guard":
            continue
        floor, ceiling = arriving_bounds(projection.synapse, source.low, source.high)
        largest = shifted(np.maximum(-floor, ceiling), projection.weight_exp)
        arriving += np.repeat(largest, population.n // len(largest))
    return arriving


def shifted(largest: Bound, exponent: int) -> Bound:
    """Bound |sum| after the exponent; a right shift floors, so one is added."""
    return largest << exponent if exponent >= 0 else (largest >> -exponent) + 1


def leaky_ranges(population: Population, arriving: int, steps: int) -> Ranges:
    """Bound u and v of a leaky population over `steps` steps from a reset, for ever if 0.

    Where a spike subtracts `drop`, v stays above -drop - bound: a neuron whose v exceeds its
    threshold, which is not negative, falls at most to -drop, from where it leaks like any other.
    """
    params = population.params
    bias = np.abs(params["bias_mant"]) << params["bias_exp"]
    keep_u = np.abs(4095 - params["du"]) / 4096
    keep_v = np.abs(4096 - params["dv"]) / 4096
    current = (arriving << ACT_SHIFT) * geometric(keep_u, steps)
    potential = (current + int(bias.max())) * geometric(keep_v, steps)
    drop = int(params["drop"].max()) if "drop" in params else 0
    return Ranges(arriving=arriving, current=_whole(current), potential=_whole(potential) + drop)


def _whole(bound: float) -> int:
    return int(np.ceil(min(bound, UNBOUNDED)))


def geometric(factors: FloatArray, steps: int) -> float:
    """Return 1 + factor + … + factor^(steps - 1) of the largest factor; the limit for 0 steps."""
    if not steps:
        return 1 / (1 - float(factors.max())) if factors.max() < 1 else np.inf
    return float(np.sum(np.power(factors.max(), np.arange(steps))))
