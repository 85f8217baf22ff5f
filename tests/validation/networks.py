"""Published networks rebuilt: their architecture, made-up weights, activity that is told.

Weights of a layer are random and its threshold is the one at which it fires at the published rate;
`tuned` found it by bisection on the simulator, layer after layer, and the suite checks the rate.
What is measured are the simulator's own counts and times.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hwtargets.simulator import SIMULATOR
from snndeploy.energy import HOST, EventCounts, Level, Timing
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, lif
from snndeploy.ir.placement import CoreSlice, Placement
from snndeploy.ir.programs.graded import GRADED_SUM, graded_sum
from snndeploy.ir.synapses import Conv, Dense, Sparse, Synapse
from snndeploy.ir.verify_network import verify_network
from snndeploy.mapping.place import place
from snndeploy.target import ChipSpec

BISECTIONS = 17
"""Halvings of the 17-bit threshold register."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """Synapses into a layer of leaky integrate-and-fire neurons, and how often these fire.

    Attributes:
        rate: spikes per neuron and step, as published.
        vth: threshold at which it does so, from `tuned`.
    """

    synapse: Synapse
    rate: float
    vth: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Ran:
    """A rebuilt network on a chip, and what the simulator counted and timed."""

    network: Network
    placement: Placement
    counts: EventCounts
    timing: Timing
    rates: dict[str, float]

    @property
    def n_cores(self) -> int:
        return len({piece.core for piece in self.placement.slices})

    @property
    def _full(self) -> np.ndarray:
        """Whether every population is in a sample, by chip step."""
        on_chip = np.array(self.counts.cores) != HOST
        return (self.counts.phase[on_chip] == 0).all(axis=0)

    @property
    def step_s(self) -> float:
        """Mean time of a chip step in which every population is in a sample."""
        return float(self.timing.step_s[self._full].mean())

    @property
    def full(self) -> EventCounts:
        """The counts of these steps alone."""
        events = {kind: values[:, self._full] for kind, values in self.counts.events.items()}
        return replace(self.counts, events=events, phase=self.counts.phase[:, self._full])

    @property
    def n_full(self) -> int:
        return int(self._full.sum())


def dense(rng: np.random.Generator, n_out: int, n_in: int) -> Dense:
    """Return random 8-bit weights of both signs."""
    return Dense(weight=_weights(rng, (n_out, n_in)))


def conv(
    rng: np.random.Generator,
    c_out: int,
    in_shape: tuple[int, int, int],
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
) -> Conv:
    """Return random 3 x 3 kernels of both signs."""
    weight = _weights(rng, (c_out, in_shape[0], 3, 3))
    return Conv(weight=weight, in_shape=in_shape, stride=stride, padding=padding)


def _weights(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    weight = 2 * np.rint(rng.normal(0, 15, shape)).astype(np.int64).clip(-127, 127)
    weight[weight == 0] = 2
    return weight


@dataclass(frozen=True, eq=False, kw_only=True)
class Chain:
    """A chain of layers.

    Attributes:
        layers: from the input on.
        spikes: of the input [P, B, n]: what the host injects.
        dv: voltage decay of all layers.
        on_chip: the input is a layer of neurons with biases on the chip, which fires at the mean
            rate of `spikes`; the host injects nothing.
    """

    name: str
    layers: tuple[Layer, ...]
    spikes: np.ndarray
    dv: int
    on_chip: bool = False

    def network(self) -> tuple[Network, dict[str, np.ndarray]]:
        """Return the network and what the host injects."""
        source, inputs, populations, projections = self._input()
        before = populations[-1].name if populations else "x"
        for k, layer in enumerate(self.layers):
            here = f"layer{k + 1}"
            populations.append(_population(here, layer, self.dv, wave=len(populations) + 1))
            projections.append(
                Projection(name=f"to_{here}", source=before, target=here, synapse=layer.synapse)
            )
            before = here
        network = _network(self.name, len(self.spikes), source, populations, projections)
        verify_network(network)
        return network, inputs

    def _input(
        self,
    ) -> tuple[Source, dict[str, np.ndarray], list[Population], list[Projection]]:
        steps, n_samples, n = self.spikes.shape
        if not self.on_chip:
            return Source(name="x", shape=(n,)), {"x": self.spikes}, [], []
        nothing = {"x": np.zeros((steps, n_samples, 1), dtype=np.int64)}
        first = _bias_layer(n, float(self.spikes.mean()), self.dv)
        return Source(name="x", shape=(1,)), nothing, [first], [_unused_synapse(n)]


def _population(name: str, layer: Layer, dv: int, *, wave: int) -> Population:
    params = lif(du=4095, dv=dv, vth=layer.vth)
    return Population(
        name=name, shape=(layer.synapse.n_out,), program=LIF, params=params, wave=wave
    )


def tuned(chain: Chain) -> list[int]:
    """Return the thresholds at which the layers of a chain fire at their rates."""
    spikes, found = chain.spikes, []
    if chain.on_chip:
        source, inputs, populations, projections = chain._input()
        first = _network(chain.name, len(spikes), source, populations, projections)
        spikes = _spikes_of(first, inputs)
    for layer in chain.layers:
        found.append(_threshold(layer, spikes, chain.dv))
        spikes = _spikes_of(_single(layer.synapse, spikes, chain.dv, found[-1]), {"x": spikes})
    return found


def _network(name, steps, source, populations, projections):
    last = populations[-1]
    output = Output(name="y", population=last.name, shape=last.shape, readout="spikes",
                    decode="sum")  # fmt: skip
    return Network(
        name=name, steps=steps, sources=(source,), populations=tuple(populations),
        projections=tuple(projections), outputs=(output,),
    )  # fmt: skip


def _bias_layer(n: int, rate: float, dv: int) -> Population:
    """Return neurons driven by their biases alone, of which the share `rate` fires every step.

    A bias above the threshold fires in every step, one at zero never.
    """
    bias = np.zeros(n, dtype=np.int64)
    firing = np.linspace(0, n - 1, round(rate * n)).round().astype(np.int64)
    bias[firing] = 4095
    params = lif(du=4095, dv=dv, vth=10, bias_mant=bias)
    return Population(name="input", shape=(n,), program=LIF, params=params, wave=1)


def _unused_synapse(n: int) -> Projection:
    """Return the one synapse that the network's rules ask for; its source never fires."""
    indptr = np.zeros(n + 1, dtype=np.int64)
    indptr[1:] = 1
    synapse = Sparse(n_in=1, indptr=indptr, indices=np.array([0]), weight=np.array([2]))
    return Projection(name="unused", source="x", target="input", synapse=synapse)


def _single(synapse: Synapse, spikes: np.ndarray, dv: int, vth: int) -> Network:
    population = _population("layer", Layer(synapse=synapse, rate=0, vth=vth), dv, wave=1)
    projection = Projection(name="w", source="x", target="layer", synapse=synapse)
    source = Source(name="x", shape=(spikes.shape[2],))
    return _network("single", len(spikes), source, [population], [projection])


def _spikes_of(network: Network, inputs: dict[str, np.ndarray]) -> np.ndarray:
    last = network.populations[-1].name
    return SIMULATOR.run(network, inputs, record=(last,)).traces[last].spikes


def _threshold(layer: Layer, spikes: np.ndarray, dv: int) -> int:
    """Return the threshold at which a layer's rate is nearest to the one asked for."""
    low, high = 0, (1 << 17) - 1
    found: dict[int, float] = {}
    for _ in range(BISECTIONS):
        vth = (low + high) // 2
        fired = _spikes_of(_single(layer.synapse, spikes, dv, vth), {"x": spikes})
        found[vth] = float((fired != 0).mean())
        low, high = (vth, high) if found[vth] > layer.rate else (low, vth)
    return min(found, key=lambda vth: abs(found[vth] - layer.rate))


def placed(network: Network, chip: ChipSpec) -> Placement:
    """Return where our mapper puts a network."""
    found = place(network, chip)
    assert isinstance(found, Placement), found
    return found


def spread(network: Network, chip: ChipSpec, n_cores: dict[str, int]) -> Placement:
    """Return populations spread evenly over so many cores each, as a publication says."""
    slices: list[CoreSlice] = []
    for population in network.populations:
        ends = np.linspace(0, population.n, n_cores[population.name] + 1).round().astype(int)
        for start, stop in pairwise(ends.tolist()):
            slices.append(
                CoreSlice(
                    core=len(slices), population=population.name, start=start, stop=stop,
                    synapse_bits={}, in_axons={}, out_axons=0,
                )
            )  # fmt: skip
    return Placement(
        chip=chip.name, slices=tuple(slices), mesh=chip.mesh, cores_per_tile=chip.cores_per_tile
    )


def run_on(
    network: Network,
    inputs: dict[str, np.ndarray],
    chip: ChipSpec,
    *,
    level: Level = "bound",
    placement: Placement | None = None,
) -> Ran:
    """Run a network as our mapper places it, unless told; count and time."""
    placement = placement or placed(network, chip)
    record = tuple(population.name for population in network.populations)
    result = SIMULATOR.run(
        network, inputs, record=record, placement=placement, chip=chip, timing=level
    )
    rates = {name: float((trace.spikes != 0).mean()) for name, trace in result.traces.items()}
    return Ran(
        network=network, placement=placement, counts=result.counts, timing=result.timing,
        rates=rates,
    )  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class Node:
    """A layer of a network without time: its synapses, by the layer they come from."""

    name: str
    into: tuple[tuple[str, Synapse], ...]


def active_graph(name: str, n_in: int, nodes: Sequence[Node]) -> tuple[Network, dict]:
    """Return an 8-bit network of one step in which every value is positive, and its input.

    A dense kernel multiplies zeros too, so no value may be one. All weights are 1 and excitatory;
    sums are clipped to 127, as quantized rectifiers clip them.
    """
    waves, populations, projections = {"x": 0}, [], []
    for node in nodes:
        waves[node.name] = 1 + max(waves[source] for source, _ in node.into)
        n = node.into[0][1].n_out
        populations.append(
            Population(name=node.name, shape=(n,), program=GRADED_SUM,
                       params=graded_sum(low=0, high=127), wave=waves[node.name])
        )  # fmt: skip
        projections += [
            Projection(
                name=f"{source}_{node.name}", source=source, target=node.name, synapse=synapse,
                sign_mode="excitatory", delay=waves[node.name] - waves[source] - 1,
            )
            for source, synapse in node.into
        ]  # fmt: skip
    source = Source(name="x", shape=(n_in,), low=0, high=127, encoding="graded")
    network = replace(
        _network(name, 1, source, populations, projections), facts={"activity": "all"}
    )
    verify_network(network)
    return network, {"x": np.ones((1, 1, n_in), dtype=np.int64)}


def ones_conv(
    c_out: int,
    in_shape: tuple[int, int, int],
    kernel: tuple[int, int] = (3, 3),
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] | None = None,
    groups: int = 1,
) -> Conv:
    """Return a convolution whose weights are 1; padded to `same` unless told."""
    pad = (kernel[0] // 2, kernel[1] // 2) if padding is None else padding
    weight = np.ones((c_out, in_shape[0] // groups, *kernel), dtype=np.int64)
    return Conv(weight=weight, in_shape=in_shape, stride=stride, padding=pad, groups=groups)


def ones_dense(n_out: int, n_in: int) -> Dense:
    """Return a fully connected layer whose weights are 1."""
    return Dense(weight=np.ones((n_out, n_in), dtype=np.int64))
