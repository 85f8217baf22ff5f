"""Random networks that feed back: any generated network, and projections that lead back in it."""

from dataclasses import replace

from snndeploy.ir.network import Network, Projection
from snndeploy.passes.guard import schedule
from snndeploy.target import Numerics
from tests.generator.networks import random_network
from tests.generator.neurons import ALL_PROGRAMS
from tests.generator.synapses import random_dense_like, random_grid


def random_loops(rng, numerics: Numerics, *, alone: bool = False, **options):
    """Return a scheduled network with feedback, and its inputs [P, B, *shape] by source.

    Thresholds are those of the network without feedback, so that most populations fire. One loop
    at least leads from the last population to itself or to one that it depends on, with as much
    lag as a chip needs or more.
    """
    network, inputs = random_network(
        rng, programs=options.pop("programs", tuple(ALL_PROGRAMS)), extreme=False, silent=False,
        **options,
    )  # fmt: skip
    for frames in inputs.values():
        frames[-1] |= frames[-2:].any(axis=0)  # something is under way when a sample ends
    names = [population.name for population in network.populations]
    loops = {}
    for source in {names[-1], str(rng.choice(names))}:
        before = sorted(depends_on(network, source) & set(names))
        target = source if rng.random() < 0.5 else str(rng.choice(before))
        loops[source, target] = feedback(network, rng, source, target)
    looped = replace(network, projections=(*network.projections, *loops.values()))
    return schedule(looped, numerics, alone=alone), inputs


def depends_on(network: Network, name: str) -> set[str]:
    """Return a population and all that lead to it."""
    found, waiting = {name}, [name]
    while waiting:
        for projection in network.into(waiting.pop()):
            if projection.source in network.population and projection.source not in found:
                found.add(projection.source)
                waiting.append(projection.source)
    return found


def feedback(network: Network, rng, source: str, target: str) -> Projection:
    """Return a projection back; the lag is what the loop needs at least, or a little more."""
    sending, taking = network.population[source], network.population[target]
    grid = random_grid(rng, extreme=False, alone=False)
    return Projection(
        name=f"{source}~>{target}", source=source, target=target,
        synapse=random_dense_like(rng, sending.n, taking.n, grid),
        sign_mode=grid.sign_mode, weight_bits=grid.bits,
        lag=sending.wave - taking.wave + 1 + int(rng.choice([0, 0, 1, 3])),
    )  # fmt: skip
