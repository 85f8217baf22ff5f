"""A random integer network while it grows, one tuned population after the other.

A population is tuned when it is added: it runs alone, with what its sources sent replayed to it,
and gets parameters with which it fires now and then.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.program import Params, Program
from snndeploy.ir.synapses import Synapse
from tests.generator.neurons import ALL_PROGRAMS, Cell, random_params
from tests.generator.synapses import random_dense_like, random_grid, random_shape, random_synapse

Node = Source | Population
Neuron = Callable[[Cell], tuple[Program, Params]]


@dataclass(kw_only=True)
class Draft:
    """A network while it grows.

    Attributes:
        programs, kinds: neuron programs and synapse kinds to draw from.
        extreme: weights, exponents and registers at their limits: u wraps, v clips.
        sent: what every source and population sends in model time [P, B, n].
    """

    rng: np.random.Generator
    steps: int
    n_samples: int
    programs: tuple[str, ...]
    kinds: tuple[str, ...]
    extreme: bool
    sources: list[Source] = field(default_factory=list)
    populations: list[Population] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)
    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    sent: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def nodes(self) -> list[Node]:
        return [*self.sources, *self.populations]

    @property
    def top(self) -> Node:
        return self.nodes[-1]

    @property
    def binary(self) -> Node:
        """Return the newest node that sends plain spikes, a new one if there is none."""
        found = [node for node in self.nodes if not node.is_graded]
        if found:
            return found[-1]
        synapse, fields = self.synapse(self.top)
        shape = random_shape(self.rng, synapse)
        return self.grow("layer", shape, [(self.top, synapse, fields)], programs=("lif",))

    def earlier(self, wave: int) -> Node:
        """Return a node whose wave lies before `wave`, most often one far before."""
        found = [node for node in self.nodes if node.wave < wave]
        return found[int(self.rng.integers(len(found)) * self.rng.random())]

    def synapse(self, node: Node, *, n_out: int | None = None, alone: bool = True):
        """Return a random synapse from a node, and the fields of a projection that holds it."""
        grid = random_grid(self.rng, extreme=self.extreme, alone=alone)
        if n_out is None:
            synapse = random_synapse(self.rng, node.shape, str(self.rng.choice(self.kinds)), grid)
        else:
            synapse = random_dense_like(self.rng, node.n, n_out, grid)
        low, high = (4, 8) if self.extreme else (-3, 3)
        drawn = int(self.rng.integers(low, high)) if self.rng.random() < 0.6 else 0
        if self.rng.random() < 0.05:
            drawn = -7 if self.rng.random() < 0.5 else 7
        fields = {"sign_mode": grid.sign_mode, "weight_bits": grid.bits}
        return synapse, {**fields, "weight_exp": drawn}

    def source(self, shape, *, graded: bool) -> Source:
        """Add a source and its frames, mostly zeros."""
        rng = self.rng
        low, high = (int(rng.integers(-127, 1)), int(rng.integers(2, 128))) if graded else (0, 1)
        made = Source(
            name="in" if not self.sources else f"in{len(self.sources) + 1}", shape=shape,
            low=low, high=high, encoding="graded" if graded else "spikes",
        )  # fmt: skip
        self.sources.append(made)
        self.inputs[made.name] = random_frames(rng, made, self.steps, self.n_samples)
        self.sent[made.name] = self.inputs[made.name].reshape(self.steps, self.n_samples, -1)
        return made

    def grow(
        self,
        construct: str,
        shape: tuple[int, ...],
        into: list[tuple[Node, Synapse, dict]],
        *,
        wave: int | None = None,
        neuron: Neuron | None = None,
        programs: tuple[str, ...] = (),
    ) -> Population:
        """Add a population with its projections, its neuron drawn from `programs` or as given."""
        name = f"{construct}{len(self.populations)}"
        wave = max(node.wave for node, *_ in into) + 1 if wave is None else wave
        projections = [
            Projection(
                name=f"{node.name}_{name}_{index}", source=node.name, target=name, synapse=synapse,
                delay=wave - node.wave - 1, **fields,
            )
            for index, (node, synapse, fields) in enumerate(into)
        ]  # fmt: skip

        def run(program: Program, params: Params):
            made = Population(name=name, shape=shape, program=program, params=params, wave=wave)
            alone, replayed = self.alone(made, projections)
            trace = run_reference(alone, replayed, record=(name,))[name]
            return trace.spikes, trace.states

        cell = Cell(self.rng, int(np.prod(shape)), self.extreme, run)
        if neuron is None:
            chosen = str(self.rng.choice(programs or self.programs))
            program, params = ALL_PROGRAMS[chosen], random_params(cell, chosen)
        else:
            program, params = neuron(cell)
        self.sent[name] = run(program, params)[0]
        made = Population(name=name, shape=shape, program=program, params=params, wave=wave)
        self.populations.append(made)
        self.projections += projections
        return made

    def alone(self, population: Population, projections: list[Projection]):
        """Return a population with sources that replay what feeds it, and their frames."""
        names = dict.fromkeys(p.source for p in projections)
        feeding = [node for node in self.nodes if node.name in names]
        return Network(
            name="alone", steps=self.steps, sources=tuple(map(as_source, feeding)),
            populations=(population,), projections=tuple(projections), outputs=(),
        ), {node.name: self.sent[node.name] for node in feeding}  # fmt: skip


def as_source(node: Node) -> Source:
    """Return a source that sends what a node sends, when it sends it."""
    low, high = min(node.low, 0), max(node.high, 1)
    encoding = "spikes" if (low, high) == (0, 1) else "graded"
    return Source(
        name=node.name, shape=(node.n,), low=low, high=high, encoding=encoding, wave=node.wave
    )


def random_frames(rng, source, steps, n_samples):
    """Return integers [P, B, *shape] within the source's range, mostly zeros."""
    shape = (steps, n_samples, *source.shape)
    active = rng.random(shape) < rng.uniform(0.05, 0.6)
    return active * rng.integers(source.low, source.high, size=shape, endpoint=True)
