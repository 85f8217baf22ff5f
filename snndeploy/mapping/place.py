"""Network x chip -> placement: contiguous slices of populations, one per core.

Populations are cut from the outputs backwards, so that the cores a neuron's spikes must reach are
known when its own population is cut; every slice is the largest that breaks no rule. Cores are
then numbered in the order of the network.

Requires: a verified network. Ensures: every neuron on exactly one core, no rule broken.
"""

from dataclasses import dataclass

import numpy as np

from snndeploy.errors import Violation
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Network, Population, Projection
from snndeploy.ir.placement import CoreSlice, Placement
from snndeploy.mapping.constraints import CORE_RULES, CoreUse, Rule, broken, cores
from snndeploy.mapping.memory import n_sources, sources_of, synapse_bits
from snndeploy.target import ChipSpec

Cut = tuple[int, int]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Demand:
    """What slices of one population take.

    Attributes:
        into: projections that end in it.
        reach: destination cores of each of its neurons, summed from the first neuron on [n + 1].
    """

    population: Population
    into: tuple[Projection, ...]
    reach: IntArray

    def use(self, start: int, stop: int) -> CoreUse:
        """Return what neurons [start, stop) take of a core."""
        return CoreUse(
            place=self.population.name,
            neurons=stop - start,
            synapse_bits=sum(synapse_bits(p, start, stop) for p in self.into),
            in_axons=sum(n_sources(p.synapse, start, stop) for p in self.into),
            out_axons=int(self.reach[stop] - self.reach[start]),
        )


def place(network: Network, chip: ChipSpec) -> Placement | tuple[Violation, ...]:
    """Return where every neuron lives, or every rule that cannot be kept."""
    reach = {p.name: np.zeros(p.n, dtype=np.int64) for p in network.populations}
    cuts: dict[str, tuple[Cut, ...]] = {}
    found: list[Violation] = []
    for population in sorted(network.populations, key=lambda p: p.wave, reverse=True):
        demand = _demand(network, population, reach[population.name])
        cuts[population.name], violations = _split(demand, chip)
        found.extend(violations)
        for source in {p.source for p in demand.into} & reach.keys():
            reach[source] += _cores_reached(demand.into, source, cuts[population.name])
    slices = _slices(network, cuts, reach)
    found.extend(_recheck(slices, chip, found))
    if (too_many := cores(network.name, len(slices), chip)) is not None:
        found.append(too_many)
    if found:
        return tuple(found)
    return Placement(
        chip=chip.name, slices=slices, mesh=chip.mesh, cores_per_tile=chip.cores_per_tile
    )


def _demand(network: Network, population: Population, reach: IntArray) -> Demand:
    total = np.concatenate([[0], np.cumsum(reach)])
    return Demand(population=population, into=network.into(population.name), reach=total)


def _split(demand: Demand, chip: ChipSpec) -> tuple[tuple[Cut, ...], tuple[Violation, ...]]:
    """Cut a population; a rule that one neuron alone breaks is reported once, then left out."""
    cuts: list[Cut] = []
    found: dict[str, Violation] = {}
    start, size = 0, 1
    while start < demand.population.n:
        alone = {
            violation.rule: violation for violation in broken(demand.use(start, start + 1), chip)
        }
        found = {**alone, **found}
        rules = tuple(rule for rule in CORE_RULES if rule.__name__ not in alone)
        stop = _largest(demand, start, rules, chip, guess=size)
        cuts.append((start, stop))
        start, size = stop, stop - start
    return tuple(cuts), tuple(found.values())


def _largest(
    demand: Demand, start: int, rules: tuple[Rule, ...], chip: ChipSpec, *, guess: int
) -> int:
    """Return the end of the largest slice that keeps some rules; most are as large as `guess`."""

    def fits(stop: int) -> bool:
        use = demand.use(start, stop)
        return not any(rule(use, chip) for rule in rules)

    most = min(demand.population.n, start + (chip.limit("neurons_per_core") or demand.population.n))
    if fits(most):  # no bisection for the many populations that the neuron limit alone cuts
        return most
    good, bad = start + 1, most
    trials = [start + guess + 1, start + guess]
    while bad - good > 1:
        middle = trials.pop() if trials else (good + bad) // 2
        if good < middle < bad:
            good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good


def _cores_reached(into: tuple[Projection, ...], source: str, cuts: tuple[Cut, ...]) -> IntArray:
    """Return how many of a population's cores each neuron of a source reaches [n]."""
    synapses = [p.synapse for p in into if p.source == source]
    total = np.zeros(synapses[0].n_in, dtype=np.int64)
    for start, stop in cuts:
        total += np.any([sources_of(synapse, start, stop) for synapse in synapses], axis=0)
    return total


def _slices(
    network: Network, cuts: dict[str, tuple[Cut, ...]], reach: dict[str, IntArray]
) -> tuple[CoreSlice, ...]:
    """Number the cores and write down what each slice takes."""
    slices: list[CoreSlice] = []
    for population in network.populations:
        into = network.into(population.name)
        for start, stop in cuts[population.name]:
            slices.append(
                CoreSlice(
                    core=len(slices),
                    population=population.name,
                    start=start,
                    stop=stop,
                    synapse_bits={p.name: synapse_bits(p, start, stop) for p in into},
                    in_axons={p.name: n_sources(p.synapse, start, stop) for p in into},
                    out_axons=int(reach[population.name][start:stop].sum()),
                )
            )
    return tuple(slices)


def _recheck(
    slices: tuple[CoreSlice, ...], chip: ChipSpec, known: list[Violation]
) -> tuple[Violation, ...]:
    """Return rules broken only once all cuts are known (loops reach cores cut after their own)."""
    seen = {(violation.node, violation.rule) for violation in known}
    found: dict[tuple[str, str], Violation] = {}
    for piece in slices:
        use = CoreUse(
            place=piece.population,
            neurons=piece.n,
            synapse_bits=sum(piece.synapse_bits.values()),
            in_axons=sum(piece.in_axons.values()),
            out_axons=piece.out_axons,
        )
        for violation in broken(use, chip):
            found.setdefault((violation.node, violation.rule), violation)
    return tuple(violation for key, violation in found.items() if key not in seen)
