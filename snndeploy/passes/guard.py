"""Keep samples apart: dead steps between windows, and guards that silence loops in them.

Requires: a network without waves. Ensures: waves assigned; nothing that a projection with a lag
brings into a window was sent before it, proven (`snndeploy.ir.silence`). Reset neurons forget what
arrived, but not what is still under way: spikes of a loop would start the next sample. So every
population that feeds a lag gets an inhibitory synapse from one guard source, which the host fires
in the dead steps before each window. Where samples run alone the host clears spikes as well, and a
network that rests until its input arrives needs no guard.
"""

from dataclasses import replace

import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.silence import is_inhibited, is_quiescent
from snndeploy.ir.synapses import Dense
from snndeploy.passes.waves import assign_waves
from snndeploy.target import Numerics

GUARD = "host.guard"
WEIGHT = 255
"""Largest inhibitory weight; the guard's strength is its exponent."""
MOST_EXTRA = 8
"""Dead steps that may be spent on pulling a potential down to where it cannot fire."""


def schedule(network: Network, numerics: Numerics, *, alone: bool) -> Network:
    """Return the network with waves, delays, relays and what keeps its samples apart.

    Args:
        network: populations and projections, lags set, waves and delays not.
        numerics: the chip's integer rules.
        alone: the host clears the chip before every sample; otherwise samples stream if they can.

    Raises:
        UnsupportedError: E2133 a population that no guard silences, E2134 a chip without resets of
            its own and a bias that charges before the sample arrives, and those of `assign_waves`.
    """
    if numerics.reset == "host":
        return _cleared(network, numerics)
    alone = alone or not network.steps
    lags, most = _lags(network), max((p.lag for p in network.projections), default=0)
    if not most:
        return replace(assign_waves(network, numerics), alone=alone)
    resting = all(is_quiescent(network, name) for name in lags)
    if alone and resting:
        return replace(assign_waves(network, numerics), alone=True)
    for guard in range(most, most + MOST_EXTRA + 1):
        found = _guarded(network, numerics, lags, guard, alone=alone)
        if found is not None:
            return found
    if resting:
        return replace(assign_waves(network, numerics), alone=True)
    raise UnsupportedError(
        "E2133",
        "what it still sends after a sample would reach the next; no guard can silence it",
        where=", ".join(lags),
        remedy="train the loop without bias, then samples can run one at a time",
    )


def _cleared(network: Network, numerics: Numerics) -> Network:
    """Return a network whose samples run alone, on a chip whose neurons do not reset themselves."""
    restless = [p.name for p in network.populations if not is_quiescent(network, p.name)]
    if restless:
        raise UnsupportedError(
            "E2134",
            "a bias would charge it before the sample arrives, and this chip's neurons have no "
            "reset of their own",
            where=restless[0],
            remedy="report it: biases should arrive through synapses there",
        )
    return replace(assign_waves(network, numerics), alone=True)


def _lags(network: Network) -> dict[str, int]:
    """Return the largest lag of every population that feeds one."""
    lags: dict[str, int] = {}
    for projection in network.projections:
        if projection.lag and projection.source in network.population:
            lags[projection.source] = max(projection.lag, lags.get(projection.source, 0))
    return lags


def _guarded(
    network: Network, numerics: Numerics, lags: dict[str, int], guard: int, *, alone: bool
) -> Network | None:
    """Return the network with `guard` dead steps; None if they do not silence every loop."""
    if not lags:
        return replace(assign_waves(network, numerics), guard=guard, alone=alone)
    sources = (*network.sources, Source(name=GUARD, shape=(1,), encoding="guard"))
    guards = tuple(_projection(network.population[name]) for name in lags)
    led = replace(
        network,
        sources=tuple(replace(source, wave=guard) for source in sources),
        projections=(*network.projections, *guards),
        guard=guard,
        alone=alone,
    )
    found = assign_waves(led, numerics)
    for name in lags:
        for exponent in range(numerics.weight_exp[1] + 1):
            stronger = _with_exponent(found, f"{GUARD}->{name}", exponent)
            if is_inhibited(stronger, stronger.population[name], lags[name]):
                found = stronger
                break
        else:
            return None
    return found


def _projection(population: Population) -> Projection:
    """Return the guard's synapses into a population, at their weakest."""
    return Projection(
        name=f"{GUARD}->{population.name}",
        source=GUARD,
        target=population.name,
        synapse=Dense(weight=np.full((population.n, 1), -WEIGHT)),
        sign_mode="inhibitory",
    )


def _with_exponent(network: Network, name: str, exponent: int) -> Network:
    projections = tuple(
        replace(p, weight_exp=exponent) if p.name == name else p for p in network.projections
    )
    return replace(network, projections=projections)
