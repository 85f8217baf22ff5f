"""Random sequences of `lif` layers with biases that lava-dl can hold, for the exporters' suites."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, NEVER, lif
from snndeploy.ir.synapses import Conv, Dense, Pool, sparse_from_dense
from snndeploy.ir.verify_network import network_problems
from tests.generator.networks import random_network

IMAGES, VECTORS = ("conv", "pool"), ("dense", "sparse", "one_to_one")


def random_sequence(seed):
    """Return a chain of layers and its inputs: images for even seeds, vectors for odd ones."""
    rng = np.random.default_rng(seed)
    kinds = VECTORS if seed % 2 else IMAGES
    network, inputs = random_network(
        rng, constructs=("layer",), kinds=kinds, programs=("lif",), extreme=False, most=4
    )
    populations = []
    for population in network.populations:
        params = population.params
        bias = (params["bias_mant"] << params["bias_exp"]) >> 6  # netx counts in 64ths
        if kinds is IMAGES:
            channels, *size = population.shape
            bias = np.repeat(np.resize(bias, channels), int(np.prod(size)))
        if params["du"][0] < 4095 and not params["dv"][0]:
            bias = 0 * bias  # NIR has no place for one that charges without end
        whole = {"bias_mant": bias, "bias_exp": np.full(1, 6)}
        populations.append(replace(population, params={**params, **whole}))
    projections = tuple(replace(p, weight_exp=0) for p in network.projections)
    last = populations[-1]
    never = int(last.params["vth"][0]) == NEVER
    read = replace(
        network.outputs[0],
        population=last.name,
        shape=last.shape,
        readout="increment" if never else "spikes",
    )
    made = replace(
        network, populations=tuple(populations), projections=projections, outputs=(read,)
    )
    assert not list(network_problems(made))
    return made, inputs


def mixed_sequence(*, width=2):
    """Return convolution, pool, matrix and list, with currents and biases, and spikes for it.

    The kernel is 3 high and `width` wide: nir's own type check takes square ones only.
    """
    rng = np.random.default_rng(3)

    def even(*shape):
        return rng.integers(-60, 90, shape) // 2 * 2

    conv = Conv(weight=even(6, 2, 3, width), in_shape=(2, 9, 7), stride=(2, 1))
    pool = Pool(in_shape=conv.out_shape, kernel=(2, 2), stride=(2, 2), weight=2)
    by_channel = np.repeat(rng.integers(-3, 9, 6), conv.n_out // 6)
    shapes = {"c": conv.out_shape, "p": pool.out_shape, "d": (11,), "o": (5,)}
    params = {
        "c": lif(du=3000, dv=700, vth=200, bias_mant=by_channel, bias_exp=6),
        "p": lif(du=4095, dv=4095, vth=1),
        "d": lif(du=4095, dv=500, vth=150, bias_mant=rng.integers(-5, 9, 11), bias_exp=6),
        "o": lif(du=4095, dv=0, vth=300),
    }
    listed = np.where(rng.random((5, 11)) < 0.6, even(5, 11), 0)
    synapses = {
        "c": conv,
        "p": pool,
        "d": Dense(weight=even(11, pool.n_out)),
        "o": sparse_from_dense(listed),
    }
    path = ["in", *shapes]
    network = Network(
        name="mixed",
        steps=12,
        sources=(Source(name="in", shape=(2, 9, 7)),),
        populations=tuple(
            Population(name=n, shape=shapes[n], program=LIF, params=params[n], wave=i + 1)
            for i, n in enumerate(shapes)
        ),
        projections=tuple(
            Projection(name=f"{a}->{b}", source=a, target=b, synapse=synapses[b])
            for a, b in pairwise(path)
        ),
        outputs=(
            Output(name="y", population="o", shape=(5,), readout="spikes", decode="sum"),
        ),
    )  # fmt: skip
    assert not list(network_problems(network))
    return network, {"in": (rng.random((12, 4, 2, 9, 7)) < 0.3).astype(np.int64)}
