"""The integer network: what the chip executes, and the only thing anything is measured on.

Sources inject integers, populations run a neuron program, projections carry weighted spikes from
one to the other, outputs say what the host reads. Time (architecture: the integer time step): at
chip step t = 0, 1, … every projection delivers

    a = shift(sum w * s_src[t - 1 - delay], weight_exp)   as int32, summed over projections,

then every population's program runs and decides s[t]. A population with wave offset w computes
model step k of sample n at chip step n * period + w + k and is reset at the start of each of its
windows (k = 0), so that samples stream every `period` chip steps: P of them, no gap, unless spikes
are still under way when a window ends. A projection with a lag (feedback, an explicit delay) brings
what its source sent `lag` model steps before; what it would carry from one sample into the next is
kept out by `guard` dead steps between windows, at the end of which its source provably sends
nothing, or by running samples alone, the host clearing states and spikes before each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from types import MappingProxyType
from typing import Literal

from snndeploy.ir.program import Params, Program
from snndeploy.ir.synapses import SignMode, Synapse

Encoding = Literal["spikes", "graded", "rate", "bias", "guard"]
Readout = Literal["spikes", "potential", "increment"]
Decode = Literal["sum", "mean", "max", "last"]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Source:
    """An input port: integers in [low, high] per neuron and step, injected by the host.

    Attributes:
        shape: without time and batch.
        encoding: how the host makes integers of the user's array: `spikes` takes 0/1 as they are;
            `graded` rounds x / scale and clips to [low, high]; `rate` draws a spike with
            probability x / scale, seeded. Two kinds take no array and repeat every period: `bias`
            sends 1 in a window's steps, `guard` in the network's `guard` steps before it.
        scale: real value of one integer unit (graded), or the value that fires always (rate).
        repeat: the user's array has one frame, shown at every model step.
    """

    name: str
    shape: tuple[int, ...]
    low: int = 0
    high: int = 1
    encoding: Encoding = "spikes"
    scale: float = 1.0
    repeat: bool = False
    wave: int = 0

    @property
    def n(self) -> int:
        return prod(self.shape)

    @property
    def is_graded(self) -> bool:
        return (self.low, self.high) != (0, 1)

    @property
    def is_given(self) -> bool:
        """Whether the user's arrays say what it sends."""
        return self.encoding not in ("bias", "guard")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Population:
    """Neurons that run one program with shared scalar parameters (arrays: [1] or [n])."""

    name: str
    shape: tuple[int, ...]
    program: Program
    params: Params
    wave: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", MappingProxyType(dict(self.params)))
        assert set(self.params) == set(self.program.params)
        assert all(len(value) in (1, self.n) for value in self.params.values())

    @property
    def n(self) -> int:
        return prod(self.shape)

    @property
    def low(self) -> int:
        """The smallest value a neuron sends."""
        end = self.program.payload[0]
        return end if isinstance(end, int) else int(self.params[end].min())

    @property
    def high(self) -> int:
        """The largest value a neuron sends."""
        end = self.program.payload[1]
        return end if isinstance(end, int) else int(self.params[end].max())

    @property
    def is_graded(self) -> bool:
        return (self.low, self.high) != (0, 1)

    def scalar(self, name: str) -> int:
        """Return a parameter that is one value for the population."""
        return int(self.params[name][0])


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Projection:
    """Synapses from a source or population to a population.

    Attributes:
        weight_exp: the summed input is shifted left by this much (right, flooring, if negative).
        weight_bits: 1..8, bits per stored weight; with mixed signs the grid has step 2.
        sign_mode: Loihi's sign mode: mixed -256..254 even, excitatory 0..255, inhibitory -255..0.
        delay: extra chip steps beyond the one every projection costs.
        lag: model steps between what the source sends and what the target takes: 0 in frameworks'
            feed-forward layers, 1 for feedback. With the waves it fixes the delay.
    """

    name: str
    source: str
    target: str
    synapse: Synapse
    sign_mode: SignMode = "mixed"
    weight_bits: int = 8
    weight_exp: int = 0
    delay: int = 0
    lag: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """What the host reads of one population, and how it becomes the model's answer.

    Attributes:
        readout: `spikes`; `potential` = scale * v after each step; `increment` = scale times the
            change of v in each step (what a non-firing integrator received).
        decode: reduction over the window that gives the answer; argmax over neurons decides.
    """

    name: str
    population: str
    shape: tuple[int, ...]
    readout: Readout
    decode: Decode
    scale: float = 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Network:
    """An integer network.

    Attributes:
        steps: model steps per sample (P); 0 for a network without end, which runs as long as its
            input does (`lasting`) and is never reset on the way.
        guard: dead chip steps before each window (0 without lags).
        alone: samples run one at a time: before each the host clears all states and spikes.
    """

    name: str
    steps: int
    sources: tuple[Source, ...]
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    outputs: tuple[Output, ...]
    guard: int = 0
    alone: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def nodes(self) -> Mapping[str, Source | Population]:
        """Sources and populations by name."""
        nodes: tuple[Source | Population, ...] = (*self.sources, *self.populations)
        return {node.name: node for node in nodes}

    @cached_property
    def population(self) -> Mapping[str, Population]:
        """Populations by name."""
        return {population.name: population for population in self.populations}

    def into(self, name: str) -> tuple[Projection, ...]:
        """Return the projections that end in a population."""
        return tuple(p for p in self.projections if p.target == name)

    def out_of(self, name: str) -> tuple[Projection, ...]:
        """Return the projections that start in a source or population."""
        return tuple(p for p in self.projections if p.source == name)

    @cached_property
    def depth(self) -> int:
        """The largest wave offset: chip steps between a sample's first input and last window."""
        return max((population.wave for population in self.populations), default=0)

    @cached_property
    def period(self) -> int:
        """Chip steps from one sample's start to the next one's."""
        return self.steps + (self.depth if self.alone else self.guard)

    @property
    def inputs(self) -> tuple[Source, ...]:
        """The sources that the user's arrays feed."""
        return tuple(source for source in self.sources if source.is_given)

    def lasting(self, steps: int) -> "Network":
        """Return the network that runs samples of so many steps; itself unless it has no end."""
        return self if self.steps else replace(self, steps=steps)

    def chip_steps(self, n_samples: int) -> int:
        """Return the chip steps that run `n_samples` samples, pipeline drain included."""
        return (n_samples - 1) * self.period + self.steps + self.depth
