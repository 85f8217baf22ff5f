"""Proof that nothing is carried from one sample into the next.

What a projection with a lag brings in the first steps of a window was sent before the window: it
must be nothing. Either the source's population is inhibited by a guard until it provably cannot
fire, or all samples run alone and nothing stirs before a wave arrives.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from snndeploy.ir.arrays import IntArray
from snndeploy.ir.interpret import step, triples, zero_state
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.neurons import ACT_SHIFT, LIF, U_LIMIT, V_LIMIT
from snndeploy.ir.programs import PROGRAMS
from snndeploy.ir.ranges import arriving_bound, leaky_ranges

RESETS_TO_ZERO = ("lif", "lif_clamped", "lif_refractory")
"""Programs whose potential is never above the threshold after a step."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Bounds:
    """Largest u and v, smallest u, in state units [n] or [1]."""

    u_low: IntArray
    u_high: IntArray
    v_high: IntArray


def silence_problems(network: Network) -> Iterator[str]:
    """Yield what may reach one sample from another, or from before its window."""
    for projection in network.projections:
        source, lag = network.nodes[projection.source], projection.lag
        if not lag:
            continue
        if not network.alone and network.guard < lag:
            yield f"{projection.name}: lag {lag}, only {network.guard} dead steps between samples"
        elif isinstance(source, Population) and not is_silent(network, source, lag):
            yield f"{projection.name}: {source.name} may send before its window"


def is_silent(network: Network, population: Population, steps: int) -> bool:
    """Whether a population provably sends nothing in the last `steps` steps before its windows."""
    return (network.alone and is_quiescent(network, population.name)) or is_inhibited(
        network, population, steps
    )


def is_quiescent(network: Network, name: str) -> bool:
    """Whether a population at rest stays there, silent, until an input reaches it."""
    seen, waiting = set[str](), [name]
    while waiting:
        population = network.population[waiting.pop()]
        seen.add(population.name)
        rest, zero = zero_state(population), np.zeros(population.n, dtype=np.int64)
        words = step(population.program, rest, population.params, zero)
        if any(np.any(words[word]) for word in (population.program.emits, *rest)):
            return False
        sources = {projection.source for projection in network.into(population.name)}
        waiting += [s for s in sources if s in network.population and s not in seen]
    return True


def is_inhibited(network: Network, population: Population, steps: int) -> bool:
    """Whether guards keep a population from firing in the last `steps` of the dead steps.

    Interval arithmetic: whatever u and v are when the guard sets in, their largest values follow
    the program (decays round toward zero and are monotone), and must not exceed the threshold.
    """
    guards = [p for p in network.into(population.name) if _is_guard(network, p)]
    known = population.program in (LIF, *PROGRAMS.values())
    if not guards or not known or population.program.bounds != "leaky":
        return False
    if any(p.lag or network.nodes[p.source].wave < network.guard for p in guards):
        return False
    threshold = _threshold(population)
    arriving = arriving_bound(network, population)
    since_reset = population.wave if network.alone else network.period
    ranges = leaky_ranges(population, arriving, since_reset)
    zeroed = population.program.name in RESETS_TO_ZERO
    current, top = np.array([ranges.current]), min(ranges.potential, V_LIMIT)
    v_high = np.minimum(threshold, top) if zeroed else np.array([top])
    now = Bounds(u_low=-current, u_high=current, v_high=v_high)
    inhibition = np.sum([_inhibition(p, population.n) for p in guards], axis=0)
    for left in reversed(range(network.guard)):
        if np.any(now.u_low <= -U_LIMIT) or np.any(now.u_high >= U_LIMIT):
            return False
        now = _after(population, now, arriving << ACT_SHIFT, inhibition)
        if left < steps and np.any(now.v_high > threshold):
            return False
        v_high = np.maximum(np.minimum(now.v_high, threshold) if zeroed else now.v_high, 0)
        now = replace(now, v_high=v_high)
    return network.guard >= steps and bool(np.all(now.u_low > -U_LIMIT))


def _is_guard(network: Network, projection: Projection) -> bool:
    source = network.nodes[projection.source]
    return isinstance(source, Source) and source.encoding == "guard"


def _inhibition(projection: Projection, n: int) -> IntArray:
    """Return how much a guard takes from every neuron's input [n], in state units."""
    targets, _, weights = triples(projection.synapse)
    total = np.bincount(targets, weights=weights, minlength=n).astype(np.int64)
    exponent = projection.weight_exp
    arriving: IntArray = total << exponent if exponent >= 0 else total >> -exponent
    return -arriving << ACT_SHIFT


def _threshold(population: Population) -> IntArray:
    """Return the largest potential at which no neuron fires; `lif_multi` fires at its threshold."""
    if "vth" in population.params:
        return population.params["vth"] << ACT_SHIFT
    return population.params["vth_state"] - (population.program.name == "lif_multi")


def _after(population: Population, now: Bounds, arriving: int, inhibition: IntArray) -> Bounds:
    params = population.params
    bias = params["bias_mant"] << params["bias_exp"]
    u_low = _decay(now.u_low, 4095 - params["du"]) - arriving - inhibition
    u_high = _decay(now.u_high, 4095 - params["du"]) + arriving - inhibition
    v_high = _decay(now.v_high, 4096 - params["dv"]) + u_high + bias
    floor = params.get("v_min", np.array([-V_LIMIT]))
    return Bounds(u_low=u_low, u_high=u_high, v_high=np.clip(v_high, floor, V_LIMIT))


def _decay(state: IntArray, keep: IntArray) -> IntArray:
    product: IntArray = state * keep
    rounded: IntArray = np.sign(product) * (np.abs(product) >> 12)
    return rounded
