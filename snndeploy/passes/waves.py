"""Wave offsets and delays: the pipeline made exact.

Requires: a network without cycles. Ensures: every population's wave is one more than the largest of
its inputs', every projection's delay makes all branches of a population arrive in the same step.
"""

from collections.abc import Mapping
from dataclasses import replace

from snndeploy.errors import UnsupportedError
from snndeploy.ir.network import Network, Projection
from snndeploy.ir.synapses import Conv, Pool, Sparse
from snndeploy.target import Numerics


def assign_waves(network: Network, numerics: Numerics) -> Network:
    """Return the network with wave offsets and delays.

    Raises:
        UnsupportedError: E2131 a cycle, E2132 a delay beyond what the synapse format holds.
    """
    waves = _waves(network)
    projections = tuple(
        replace(p, delay=waves[p.target] - waves[p.source] - 1) for p in network.projections
    )
    for projection in projections:
        _check_delay(projection, numerics)
    return Network(
        name=network.name,
        steps=network.steps,
        sources=network.sources,
        populations=tuple(replace(p, wave=waves[p.name]) for p in network.populations),
        projections=projections,
        outputs=network.outputs,
        facts=network.facts,
    )


def _waves(network: Network) -> Mapping[str, int]:
    waves = {source.name: source.wave for source in network.sources}
    waiting = {p.name: {q.source for q in network.into(p.name)} for p in network.populations}
    while waiting:
        ready = [name for name, sources in waiting.items() if sources <= set(waves)]
        if not ready:
            raise UnsupportedError(
                "E2131",
                "feedback between populations is not lowered yet",
                where=", ".join(sorted(waiting)),
                remedy="deploy the feed-forward part",
            )
        for name in ready:
            waves[name] = 1 + max((waves[source] for source in waiting.pop(name)), default=-1)
    return waves


def _check_delay(projection: Projection, numerics: Numerics) -> None:
    match projection.synapse:
        case Conv() | Pool():
            kind = "conv"
        case Sparse():
            kind = "sparse"
        case _:
            kind = "dense"
    most = numerics.delay_max[kind]
    if projection.delay > most:
        raise UnsupportedError(
            "E2132",
            f"this branch must wait {projection.delay} steps; a {kind} synapse holds {most}",
            where=projection.name,
            remedy="make the branches' depths more alike",
        )
