"""Random sequences of `lif` layers with biases that lava-dl can hold, for the exporters' suites."""

from dataclasses import replace

import numpy as np

from snndeploy.ir.neurons import NEVER
from snndeploy.ir.verify_network import network_problems
from tests.generator.networks import random_network


def random_sequence(seed, *, exponents=False):
    """Return a chain of layers and its inputs; without `exponents` weights stand for themselves."""
    rng = np.random.default_rng(seed)
    network, inputs = random_network(
        rng, constructs=("layer",), programs=("lif",), extreme=False, most=4
    )
    populations = []
    for population in network.populations:
        params = population.params
        bias = (params["bias_mant"] << params["bias_exp"]) >> 6  # netx counts in 64ths
        whole = {"bias_mant": bias, "bias_exp": np.full(1, 6)}
        populations.append(replace(population, params={**params, **whole}))
    projections = network.projections
    if not exponents:
        projections = tuple(replace(p, weight_exp=0) for p in projections)
    last = populations[-1]
    (output, *_) = network.outputs
    never = int(last.params["vth"][0]) == NEVER
    read = replace(
        output, population=last.name, shape=last.shape,
        readout="increment" if never else "spikes",
    )  # fmt: skip
    made = replace(
        network, populations=tuple(populations), projections=projections, outputs=(read,)
    )
    assert not list(network_problems(made))
    return made, inputs
