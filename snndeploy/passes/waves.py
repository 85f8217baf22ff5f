"""Wave offsets, delays and relays: the pipeline made exact.

Ensures: every population's wave is one more than the largest of its inputs' (less their lag), and
what reaches a population over branches of different depth arrives in the same step: each projection
waits for the deepest one, in its synapses while their format holds the delay, else behind a chain
of relays that all projections of a source share. Relays carry no lag, so a convolution that lags
and has no delays is written as the list of its synapses, the same integers.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.neurons import LIF, gate
from snndeploy.ir.programs import GRADED_SUM, graded_sum
from snndeploy.ir.synapses import Conv, OneToOne, Pool, Sparse
from snndeploy.passes.compose import MOST_CONNECTIONS
from snndeploy.passes.listing import listed_synapse
from snndeploy.target import Numerics

RELAY_WEIGHT, RELAY_VTH = 2, 1
"""A spike through a relay arrives as 2 and exceeds 1: one spike in, one spike out."""


def assign_waves(network: Network, numerics: Numerics) -> Network:
    """Return the network with wave offsets, delays and the relays they need.

    Raises:
        UnsupportedError: E2131 a loop with fewer steps of lag than the chip needs, E2132 a delay
            that neither synapses nor relays can hold.
    """
    waves = _waves(network)
    relays: dict[str, Population] = {}
    links: dict[str, Projection] = {}
    projections = []
    for projection in network.projections:
        lag = projection.lag
        delay = lag + waves[projection.target] - waves[projection.source] - 1
        if lag and delay > numerics.delay_max[_format(projection)]:
            projection = as_list(projection)
        held = min(delay, numerics.delay_max[_format(projection)])
        if held < delay and lag:
            raise UnsupportedError(
                "E2132",
                f"{delay} steps of delay, its synapses hold {held}; relays carry no lag",
                where=projection.name,
                remedy="train with a shorter delay",
            )
        source = _relayed(network, projection, waves, delay - held, relays, links)
        projections.append(replace(projection, source=source, delay=held))
    populations = tuple(replace(p, wave=waves[p.name]) for p in network.populations)
    return replace(
        network,
        populations=tuple(sorted((*populations, *relays.values()), key=lambda p: p.wave)),
        projections=(*links.values(), *projections),
    )


def _waves(network: Network) -> Mapping[str, int]:
    """Return the smallest waves at which no delay is negative: w >= w(source) + 1 - lag.

    In a loop the lags must add up to its populations, one step each: otherwise waves grow for ever.
    """
    waves = {source.name: source.wave for source in network.sources}
    waves |= {population.name: 0 for population in network.populations}
    late: tuple[Projection, ...] = network.projections
    for _ in range(len(network.populations) + 2):
        late = tuple(
            p for p in network.projections if waves[p.target] < waves[p.source] + 1 - p.lag
        )
        if not late:
            return waves
        for projection in late:
            waves[projection.target] = max(
                waves[projection.target], waves[projection.source] + 1 - projection.lag
            )
    names = ", ".join(dict.fromkeys(projection.target for projection in late))
    raise UnsupportedError(
        "E2131",
        "a loop needs one step of lag per population in it, and the model has fewer",
        where=names,
        remedy="train with a delay of a step in every connection of the loop, or let each "
        "population feed back on itself alone",
    )


def _relayed(
    network: Network,
    projection: Projection,
    waves: Mapping[str, int],
    n_relays: int,
    relays: dict[str, Population],
    links: dict[str, Projection],
) -> str:
    """Return where a projection starts: its source, or the relay so many steps behind it."""
    node = network.nodes[projection.source]
    if n_relays and isinstance(node, Source) and node.is_graded:
        raise UnsupportedError(
            "E2132",
            f"graded input would have to wait {n_relays} steps; relays carry spikes only",
            where=projection.name,
            remedy="compute the first layer on the host with --host-layers 1",
        )
    before = node.name
    for index in range(1, n_relays + 1):
        name = f"{node.name}.relay{index}"
        if name not in relays:
            relays[name] = _relay(node, name, waves[node.name] + index)
            links[name] = Projection(
                name=f"{before}->{name}",
                source=before,
                target=name,
                synapse=OneToOne(weight=np.full(node.n, 1 if node.is_graded else RELAY_WEIGHT)),
                sign_mode="excitatory",
            )
        before = name
    return before


def _relay(node: Source | Population, name: str, wave: int) -> Population:
    """Return a population that sends what it gets: spikes, or integers of a graded population."""
    if node.is_graded:
        program, params = GRADED_SUM, graded_sum(low=node.low, high=node.high)
    else:
        program, params = LIF, gate(vth=RELAY_VTH)
    return Population(name=name, shape=node.shape, program=program, params=params, wave=wave)


def as_list(projection: Projection) -> Projection:
    """Return a convolution or pool with its synapses listed, others as they are.

    Raises:
        UnsupportedError: E2132, the list is too long.
    """
    synapse = projection.synapse
    if not isinstance(synapse, Conv | Pool):
        return projection
    taps = synapse.weight[0].size if isinstance(synapse, Conv) else prod(synapse.kernel)
    if taps * synapse.n_out > MOST_CONNECTIONS:
        raise UnsupportedError(
            "E2132",
            f"a delay in front of a convolution: its {taps * synapse.n_out:,} synapses would be "
            f"listed, {MOST_CONNECTIONS:,} at most",
            where=projection.name,
            remedy="train with the delay on a smaller layer",
        )
    return replace(projection, synapse=listed_synapse(synapse))


def _format(projection: Projection) -> str:
    match projection.synapse:
        case Conv() | Pool():
            return "conv"
        case Sparse():
            return "sparse"
        case _:
            return "dense"
