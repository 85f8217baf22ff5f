"""What the simulator is timed on: dense, convolutional and recurrent networks at 10 % spikes."""

from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

import numpy as np

from hwtargets.simulator import engine
from hwtargets.simulator.fanout import class_fan_out, classes
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.neurons import LIF, lif
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Sparse

RATE = 0.1
LEAK = 410
"""dv: v keeps 3686 / 4096 of itself."""


@dataclass(frozen=True)
class Workload:
    """A network, its input, and the same network for float frameworks: layers in order.

    `layers` are ("conv", weight, pool before it) and ("dense", weight); none if recurrent.
    """

    name: str
    title: str
    network: Network
    inputs: dict[str, np.ndarray]
    layers: tuple = ()

    @property
    def updates(self) -> int:
        """Neuron updates of the samples, pipeline fill and drain left out."""
        steps, n_samples = self.inputs["in"].shape[:2]
        return steps * n_samples * sum(p.n for p in self.network.populations)

    def operations(self) -> int:
        """Return synaptic operations: spikes times their fan-out."""
        total = 0
        for chunk in engine.simulate(self.network, self.inputs, record=(), kernels=True):
            for p in self.network.projections:
                spikes = chunk.sent[p.source].per_class(*classes(p.synapse)).sum(axis=0)
                total += int(spikes @ class_fan_out(p.synapse, 0, p.synapse.n_out))
        return total


def weights(rng, shape):
    """Return even weights with a standard deviation of 30 grid steps."""
    return 2 * np.clip(np.round(rng.normal(0, 30, size=shape)), -127, 127).astype(int)


def frames(rng, steps, n_samples, shape):
    return {"in": (rng.random((steps, n_samples, *shape)) < RATE).astype(np.int64)}


def layered(name, title, layers, shape, *, steps, n_samples, rng):
    """Return a feed-forward network, thresholds tuned on a few steps of a few samples."""
    populations, projections, last, here = [], [], "in", shape
    for index, (kind, weight, *pool) in enumerate(layers):
        if kind == "conv":
            folded = np.repeat(np.repeat(weight, pool[0], axis=2), pool[0], axis=3)
            synapse = Conv(
                weight=folded, in_shape=here, stride=(pool[0],) * 2, padding=(pool[0],) * 2
            )
            here = synapse.out_shape
        else:
            synapse = Dense(weight=weight)
            here = (len(weight),)
        params = lif(du=4095, dv=LEAK, vth=1)
        population = Population(
            name=f"p{index}", shape=here, program=LIF, params=params, wave=index + 1
        )
        projections.append(
            Projection(name=f"w{index}", source=last, target=population.name, synapse=synapse)
        )
        populations.append(population)
        last = population.name
    network = Network(
        name=name, steps=steps, sources=(Source(name="in", shape=shape),),
        populations=tuple(populations), projections=tuple(projections), outputs=(),
    )  # fmt: skip
    inputs = frames(rng, steps, n_samples, shape)
    few = {"in": inputs["in"][:16, :2]}
    tuned = tune(replace(network, steps=len(few["in"])), few)
    return Workload(name, title, replace(tuned, steps=steps), inputs, tuple(layers))


def tune(network, inputs, skip=0):
    """Return the network with thresholds at which a tenth of the cells fire, layer by layer."""
    for index in range(skip, len(network.populations)):
        low, high = 0, 1 << 17
        while high - low > 8:
            vth = (low + high) // 2
            network = with_threshold(network, index, vth)
            low, high = (vth, high) if rate(network, inputs, index) > RATE else (low, vth)
    return network


def with_threshold(network, index, vth):
    populations = list(network.populations)
    params = {**populations[index].params, "vth": np.array([vth])}
    populations[index] = replace(populations[index], params=params)
    return replace(network, populations=tuple(populations))


def rate(network, inputs, index):
    part = replace(
        network,
        populations=network.populations[: index + 1],
        projections=network.projections[: index + 1],
    )
    name, n = part.populations[-1].name, part.populations[-1].n
    chunks = engine.simulate(part, inputs, record=(), kernels=True)
    spikes = sum(int(chunk.sent[name].per_class(1, 1).sum()) for chunk in chunks)
    return spikes / (prod(inputs["in"].shape[:2]) * n)


def dense(rng, *, n_samples=32, steps=64):
    sizes = (784, 512, 256, 10)
    layers = [("dense", weights(rng, (b, a))) for a, b in pairwise(sizes)]
    title = f"784-512-256-10, {n_samples} samples x {steps} steps"
    return layered("A", title, layers, (784,), steps=steps, n_samples=n_samples, rng=rng)


def vgg(rng, *, side=32, steps=64):
    layers = [
        ("conv", weights(rng, (64, 3, 3, 3)), 1),
        ("conv", weights(rng, (128, 64, 3, 3)), 1),
        ("conv", weights(rng, (256, 128, 3, 3)), 2),
        ("conv", weights(rng, (512, 256, 3, 3)), 2),
        ("dense", weights(rng, (10, 512 * (side // 4) ** 2))),
    ]
    title = f"64C3-128C3-P2-256C3-P2-512C3-10 on {side}x{side}, {steps} steps"
    return layered("B", title, layers, (3, side, side), steps=steps, n_samples=1, rng=rng)


def large(rng, *, side=64, steps=16):
    layers = [
        ("conv", weights(rng, (64, 2, 3, 3)), 1),
        ("conv", weights(rng, (128, 64, 3, 3)), 1),
        ("conv", weights(rng, (192, 128, 3, 3)), 2),
        ("dense", weights(rng, (10, 192 * (side // 2) ** 2))),
    ]
    title = f"64C3-128C3-P2-192C3-10 on {side}x{side}, {steps} steps"
    return layered("C", title, layers, (2, side, side), steps=steps, n_samples=1, rng=rng)


def recurrent(rng, *, n=20_000, fan_in=200, steps=64):
    """Return neurons with random recurrent synapses, driven by an input of their own."""
    indices = np.concatenate([np.sort(rng.choice(n, fan_in, replace=False)) for _ in range(n)])
    weight = weights(rng, n * fan_in)
    weight[weight == 0] = 2
    loop = Sparse(n_in=n, indptr=np.arange(n + 1) * fan_in, indices=indices, weight=weight)
    population = Population(
        name="p0", shape=(n,), program=LIF, params=lif(du=4095, dv=LEAK, vth=520), wave=1
    )
    projections = (
        Projection(name="drive", source="in", target="p0",
                   synapse=OneToOne(weight=np.full(n, 254)), weight_exp=2),
        Projection(name="loop", source="p0", target="p0", synapse=loop, lag=1),
    )  # fmt: skip
    network = Network(
        name="D", steps=steps, sources=(Source(name="in", shape=(n,)),),
        populations=(population,), projections=projections, outputs=(), alone=True,
    )  # fmt: skip
    inputs = {"in": (rng.random((steps, 1, n)) < 0.05).astype(np.int64)}
    return Workload("D", f"{n:,} neurons, 1 % random recurrent, {steps} steps", network, inputs)
