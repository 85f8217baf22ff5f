"""What a network exercises: read from the network and what it did, not from how it was made.

A population counts only if it fires in some of its cells and not in all; one that never can, if its
potential moves. Everything else about it (program, construct, synapses, registers) counts with it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from snndeploy.ir.network import Network, Population, Projection
from snndeploy.ir.neurons import LEAKY_REGISTERS, LIF, NEVER
from snndeploy.ir.synapses import Conv, Pool
from snndeploy.ir.text import KIND_OF
from tests.generator.case import Case
from tests.generator.networks import is_silent
from tests.generator.neurons import PAYLOAD_24

Feature = tuple[str, str]
GROUPS = ("program", "construct", "loops", "synapse", "numerics", "size", "mapping")


def is_telling(population: Population, trace) -> bool:
    """Whether a population fires in some of its cells and not in all."""
    if is_silent(population):
        return bool(trace.states["v"].any())
    return 0 < np.count_nonzero(trace.spikes) < trace.spikes.size


def features(case: Case) -> set[Feature]:
    """Return what a case exercises, as (group, name)."""
    network, (traces, overflows) = case.network, case.answer
    found: set[Feature] = set()
    telling = [p for p in network.populations if is_telling(p, traces[p.name])]
    for population in telling:
        found |= set(_of_population(network, population, traces[population.name], overflows))
        for projection in network.into(population.name):
            found |= set(_of_projection(network, projection))
    if telling:
        found |= set(_of_network(network, traces, {p.name for p in telling}))
    return found


def _of_population(network, population, trace, overflows) -> Iterator[Feature]:
    if not is_silent(population):
        yield "program", population.program.name
    yield "construct", population.name.split(".")[-1].rstrip("0123456789")  # x.relay1: a relay
    into = network.into(population.name)
    if len(into) > 1:
        yield "construct", "several projections in"
    for name, (low, high) in LEAKY_REGISTERS.items():
        values = population.params.get(name, np.zeros(0))
        for end in {low, high} - {0}:
            if (values == end).any():
                yield "numerics", f"{name} {end}"
    yield from _of_threshold(population, trace)
    if any(len(values) > 1 for values in population.params.values()):
        yield "numerics", "registers per neuron"
    if population.high == PAYLOAD_24["high"]:
        yield "numerics", "24-bit payload"
    for what, words in {"u wraps": ("x.select", "u.select"), "v clips": ("y.clip",)}.items():
        if any(overflows.get(f"{population.name}.{word}") for word in words):
            yield "numerics", what


def _of_threshold(population, trace) -> Iterator[Feature]:
    register = {"vth": 64, "vth_state": 1}
    for name, unit in register.items():
        if name in population.params and "v" in trace.states and not is_silent(population):
            values = population.params[name]
            if (trace.states["v"] == values * unit).any() and (values > 0).all():
                yield "numerics", "v at the threshold"
            if population.program == LIF and values[0] in (0, NEVER - 1):
                yield "numerics", f"vth {values[0]}"


def _of_projection(network: Network, projection: Projection) -> Iterator[Feature]:
    synapse = projection.synapse
    kind = KIND_OF[type(synapse)]
    yield "synapse", kind
    plain = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    if isinstance(synapse, Conv):
        yield from (("synapse", f"conv {k}") for k, v in plain.items() if getattr(synapse, k) != v)
    if isinstance(synapse, Pool) and synapse.padding != plain["padding"]:
        yield "synapse", "pool padding"
    yield "synapse", "graded input" if network.nodes[projection.source].is_graded else "spikes in"
    yield "numerics", projection.sign_mode
    yield "numerics", f"{projection.weight_bits} weight bits"
    if projection.weight_exp:
        yield "numerics", "exponent > 0" if projection.weight_exp > 0 else "exponent < 0"
    if projection.delay:
        yield "construct", "delay" if projection.delay == 1 else "delay > 1"
    if projection.delay >= 62:
        yield "construct", "longest delay"


def _of_network(network: Network, traces, telling: set[str]) -> Iterator[Feature]:
    for node in network.nodes.values():
        if len({p.target for p in network.out_of(node.name)} & telling) > 1:
            yield "construct", "fan-out"
    if len(network.sources) > 1:
        yield "construct", "several sources"
    if len({output.population for output in network.outputs} & telling) > 1:
        yield "construct", "several outputs"
    steps, samples, _ = next(iter(traces.values())).spikes.shape
    sizes = {"one step": steps, "one sample": samples}
    sizes["one neuron"] = min(network.population[name].n for name in telling)
    yield from (("size", name) for name, value in sizes.items() if value == 1)


def table(seen: Counter[Feature]) -> list[str]:
    """Return a line per group: how many cases exercised what."""
    lines = []
    for group in GROUPS:
        found = sorted((name, n) for (of, name), n in seen.items() if of == group)
        if found:
            lines.append(f"{group}: " + ", ".join(f"{name} {n}" for name, n in found))
    return lines


def missing(seen: Counter[Feature], wanted: Mapping[str, tuple[str, ...]], least: int) -> list[str]:
    """Return what was exercised less often than it must be."""
    return [
        f"{group} {name}: {seen[group, name]} of {least}"
        for group, names in wanted.items()
        for name in names
        if seen[group, name] < least
    ]
