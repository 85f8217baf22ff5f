"""Random small networks with feedback: self-loops, loops through several populations, delays.

A chain of two to four populations; each may feed back on itself or on one before it, with as much
lag as a chip needs or more. Thresholds are tuned without the feedback, so that most fire.
"""

from dataclasses import replace

import networks
import neurons
import numpy as np

from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, lif
from snndeploy.ir.programs import PROGRAMS
from snndeploy.ir.synapses import Dense
from snndeploy.passes.guard import schedule

LEAKY = tuple(name for name, program in PROGRAMS.items() if program.bounds == "leaky")


def random_loops(rng, numerics, *, programs=LEAKY, bias=True, alone=False):
    """Return a scheduled network with feedback and inputs {"in": [P, B, n]} for it."""
    steps, n_samples = int(rng.integers(2, 9)), int(rng.integers(2, 5))
    source = Source(name="in", shape=(int(rng.integers(1, 7)),))
    inputs = {"in": networks.random_frames(rng, source, steps, n_samples)}
    inputs["in"][-1] |= 1  # what is under way when a sample ends is what this is about
    network = Network(
        name="loops", steps=steps, sources=(source,), populations=(), projections=(), outputs=()
    )
    for index in range(int(rng.integers(1, 4))):
        network = _grown(network, inputs, rng, index, str(rng.choice(programs)), bias=bias)
    names = [population.name for population in network.populations]
    first = int(rng.integers(len(names)))
    loops = [_feedback(network, rng, first, int(rng.integers(first + 1)))]
    loops += [_feedback(network, rng, k, k) for k in range(len(names)) if rng.random() < 0.3]
    loops = {loop.name: loop for loop in loops}.values()
    top = network.populations[-1]
    network = replace(
        network,
        projections=(*network.projections, *loops),
        outputs=(
            Output(name="out", population=top.name, shape=top.shape, readout="spikes",
                   decode="sum"),
        ),
    )  # fmt: skip
    return schedule(network, numerics, alone=alone), inputs


def _grown(network, inputs, rng, index, name, *, bias):
    """Return the network with one more population, tuned on what arrives without feedback."""
    below = [*network.sources, *network.populations][-1]
    n = int(rng.integers(1, 9))
    population = Population(
        name=f"p{index}", shape=(n,), program=LIF, params=lif(du=4095, dv=0, vth=1), wave=index + 1
    )
    projection = Projection(
        name=f"{below.name}->p{index}", source=below.name, target=f"p{index}",
        synapse=Dense(weight=_weights(rng, n, below.n)),
    )  # fmt: skip
    grown = replace(
        network,
        populations=(*network.populations, population),
        projections=(*network.projections, projection),
    )
    if name == "lif":
        grown = networks.tune(grown, inputs, rng, wild=False, silent=False)
    else:
        grown = neurons.tune(grown, inputs, rng, PROGRAMS[name], wild=False)
    top = grown.populations[-1]
    if "bias_mant" in top.params and not bias:
        still = {**top.params, "bias_mant": np.zeros(1, dtype=np.int64)}
        grown = neurons.with_neuron(grown, top.program, still)
    return grown


def _weights(rng, n_out, n_in):
    weight = 2 * rng.integers(-40, 40, size=(n_out, n_in), endpoint=True)
    return weight + np.where(rng.random(weight.shape) < 0.3, 60, 0)


def _feedback(network, rng, source, target):
    """Return a projection back, with the lag that the loop needs at least."""
    names = [population.name for population in network.populations]
    shapes = [population.n for population in network.populations]
    return Projection(
        name=f"{names[source]}~>{names[target]}", source=names[source], target=names[target],
        synapse=Dense(weight=_weights(rng, shapes[target], shapes[source])),
        lag=source - target + 1 + int(rng.choice([0, 0, 1, 3])),
    )  # fmt: skip
