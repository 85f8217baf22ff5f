"""Write a sum of spikes as a population that sends integers, and what the report says of it."""

import numpy as np

from snndeploy.ir.grid import natural_sign_mode
from snndeploy.ir.network import Population, Projection, Source
from snndeploy.ir.programs import GRADED_SUM, graded_sum
from snndeploy.ir.ranges import arriving_bounds
from snndeploy.passes.layers import Layer


def write_sum(
    layer: Layer, sources: tuple[Source | Population, ...]
) -> tuple[Population, tuple[Projection, ...]]:
    """Return a population that adds spikes up and sends the sum, wave offset still 0.

    The range of what it sends is that of the sum, so that nothing is clipped.

    Args:
        layer: paths of whole weights, one each.
        sources: what feeds each path.
    """
    low = high = 0
    projections = []
    names = [path.source for path in layer.paths]
    for path, source in zip(layer.paths, sources, strict=True):
        weight = np.rint(path.weight).astype(np.int64)
        synapse = path.build(weight)
        floor, ceiling = arriving_bounds(synapse, source.low, source.high)
        low, high = low + int(floor.min(initial=0)), high + int(ceiling.max(initial=0))
        several = names.count(path.source) > 1 and path.nodes
        way = f" via {'+'.join(path.nodes)}" if several else ""
        projections.append(
            Projection(
                name=f"{path.source}->{layer.name}{way}",
                source=path.source,
                target=layer.name,
                synapse=synapse,
                sign_mode=natural_sign_mode(weight),
            )
        )
    population = Population(
        name=layer.name,
        shape=layer.shape,
        program=GRADED_SUM,
        params=graded_sum(low=low, high=high),
        wave=0,
    )
    return population, tuple(projections)
