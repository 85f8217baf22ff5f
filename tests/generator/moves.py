"""Simplifications of a case, one generator of simpler cases per kind, the simplest first.

What they yield need not be valid; `reduce_case` looks.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from snndeploy.ir.network import Network
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, sparse_from_dense
from tests.expanded import expanded
from tests.generator.case import Case
from tests.generator.draft import as_source
from tests.generator.resize import bound_to, keep_neurons, listed, smaller_images


def chunks(n: int) -> Iterator[np.ndarray]:
    """Yield runs of range(n): all, halves, quarters, … single ones."""
    size = n
    while size:
        yield from (np.arange(at, min(at + size, n)) for at in range(0, n, size))
        size //= 2


# ---- structure ----------------------------------------------------------------------------


def cut_below(case: Case) -> Iterator[Case]:
    """Keep one population and what it needs."""
    needed = [(name, ancestors(case.network, name)) for name in case.names]
    for _, kept in sorted(needed, key=lambda entry: len(entry[1])):
        if len(kept & set(case.names)) < len(case.names):
            yield only(case, kept)


def cut_above(case: Case) -> Iterator[Case]:
    """Replace a population, and what only it needed, by a source that replays it."""
    for population in reversed(case.network.populations):
        if not case.network.out_of(population.name):
            continue
        network = replace(
            case.network,
            sources=(*case.network.sources, as_source(population)),
            populations=tuple(p for p in case.network.populations if p is not population),
            projections=tuple(p for p in case.network.projections if p.target != population.name),
            outputs=tuple(o for o in case.network.outputs if o.population != population.name),
        )
        replayed = {**case.inputs, population.name: case.traces[population.name].spikes}
        yield needed_sources(Case(network, replayed))


def without_projection(case: Case) -> Iterator[Case]:
    """Drop one projection into a population that has another one."""
    for projection in case.network.projections:
        if len(case.network.into(projection.target)) > 1:
            kept = tuple(p for p in case.network.projections if p is not projection)
            yield needed_sources(Case(replace(case.network, projections=kept), case.inputs))


def earlier(case: Case) -> Iterator[Case]:
    """Let nodes run earlier: all by the first one's wave, a population by its inputs' delay."""
    network = case.network
    first = min((s.wave for s in network.sources), default=0)
    if first:
        yield moved(case, dict.fromkeys(network.nodes, -first))
    for name in case.names:
        moving = descendants(network, name)
        for by in range(1, 1 + min((p.delay for p in network.into(name)), default=0)):
            yield moved(case, dict.fromkeys(moving, -by))
    for source in network.sources:
        delay = min((p.delay for p in network.out_of(source.name)), default=0)
        if delay:
            yield moved(case, {source.name: delay})


def moved(case: Case, by: dict[str, int]) -> Case:
    """Return the case with other waves, and the delays that follow from them."""
    network = case.network
    sources = tuple(replace(s, wave=s.wave + by.get(s.name, 0)) for s in network.sources)
    populations = tuple(replace(p, wave=p.wave + by.get(p.name, 0)) for p in network.populations)
    projections = tuple(
        replace(p, delay=p.delay + by.get(p.target, 0) - by.get(p.source, 0))
        for p in network.projections
    )
    if any(p.delay < 0 for p in projections):
        return Case(replace(network, populations=()), case.inputs)  # not valid
    made = replace(network, sources=sources, populations=populations, projections=projections)
    return Case(made, case.inputs)


def only(case: Case, kept: set[str]) -> Case:
    network = replace(
        case.network,
        populations=tuple(p for p in case.network.populations if p.name in kept),
        projections=tuple(p for p in case.network.projections if p.target in kept),
        outputs=tuple(o for o in case.network.outputs if o.population in kept),
    )
    return needed_sources(Case(network, case.inputs))


def needed_sources(case: Case) -> Case:
    """Return the case without sources, and populations without input, that feed nothing."""
    used = {p.source for p in case.network.projections}
    sources = tuple(s for s in case.network.sources if s.name in used)
    network = replace(case.network, sources=sources)
    return Case(network, {s.name: case.inputs[s.name] for s in sources if s.is_given})


def ancestors(network: Network, name: str) -> set[str]:
    found, waiting = {name}, [name]
    while waiting:
        new = {p.source for p in network.into(waiting.pop())} - found
        found |= new
        waiting += new
    return found


def descendants(network: Network, name: str) -> set[str]:
    return {other for other in network.population if name in ancestors(network, other)}


# ---- sizes --------------------------------------------------------------------------------


def fewer_samples(case: Case) -> Iterator[Case]:
    n_samples = next(iter(case.inputs.values())).shape[1]
    for gone in chunks(n_samples):
        if len(gone) < n_samples:
            kept = np.setdiff1d(np.arange(n_samples), gone)
            yield Case(case.network, {k: v[:, kept] for k, v in case.inputs.items()})


def fewer_steps(case: Case) -> Iterator[Case]:
    steps = case.network.steps
    for kept in (slice(0, steps // 2), slice(steps // 2, None), slice(0, -1), slice(1, None)):
        n = len(range(steps)[kept])
        if 0 < n < steps:
            inputs = {name: values[kept] for name, values in case.inputs.items()}
            yield Case(replace(case.network, steps=n), inputs)


def fewer_neurons(case: Case) -> Iterator[Case]:
    """Drop neurons of one node and of those bound to it one to one."""
    for name, node in case.network.nodes.items():
        bound = bound_to(case.network, name)
        for gone in chunks(node.n) if node.n > 1 else ():
            kept = np.setdiff1d(np.arange(node.n), gone)
            if len(kept) and (found := keep_neurons(case, dict.fromkeys(bound, kept))):
                yield found


def smaller_image(case: Case) -> Iterator[Case]:
    """Make one convolution or pool smaller or plainer."""
    for projection in case.network.projections:
        if isinstance(projection.synapse, Conv | Pool):
            for synapse, inside, outside in smaller_images(projection.synapse):
                keeps = {projection.source: inside, projection.target: outside}
                if found := keep_neurons(case, keeps, {projection.name: synapse}):
                    yield found


# ---- values -------------------------------------------------------------------------------


def with_projection(case: Case, index: int, **changes) -> Case:
    projections = list(case.network.projections)
    projections[index] = replace(projections[index], **changes)
    return Case(replace(case.network, projections=tuple(projections)), case.inputs)


def plainer_synapses(case: Case) -> Iterator[Case]:
    """Write synapses in a plainer kind, drop exponents."""
    for index, projection in enumerate(case.network.projections):
        if projection.weight_exp:
            yield with_projection(case, index, weight_exp=0)
        if (synapse := listed(projection.synapse)) is not None:
            yield with_projection(case, index, synapse=synapse)


def fewer_weights(case: Case) -> Iterator[Case]:
    """Set weights to zero."""
    for index, projection in enumerate(case.network.projections):
        synapse = projection.synapse
        if isinstance(synapse, Pool):
            continue
        weight = expanded(synapse)[0] if isinstance(synapse, Sparse) else synapse.weight
        stored = np.flatnonzero(weight)
        for gone in chunks(len(stored)):
            fewer = weight.copy()
            fewer.reshape(-1)[stored[gone]] = 0
            if isinstance(synapse, Sparse):
                yield with_projection(case, index, synapse=sparse_from_dense(fewer))
            else:
                assert isinstance(synapse, Dense | Conv | OneToOne)
                yield with_projection(case, index, synapse=replace(synapse, weight=fewer))


def plainer_registers(case: Case) -> Iterator[Case]:
    """Make registers the same for all neurons, then 0; a current forgets at once."""
    for index, population in enumerate(case.network.populations):
        for name, values in population.params.items():
            plain = 4095 if name == "du" else 0
            options = [values[:1]] if len(values) > 1 else []
            options += [np.array([plain])] if (values != plain).any() else []
            for option in options:
                populations = list(case.network.populations)
                params = {**population.params, name: option}
                populations[index] = replace(population, params=params)
                yield Case(replace(case.network, populations=tuple(populations)), case.inputs)


def quieter_inputs(case: Case) -> Iterator[Case]:
    """Set inputs to zero, then the rest to one."""
    for name, values in case.inputs.items():
        active = np.flatnonzero(values)
        for gone in chunks(len(active)):
            fewer = values.copy()
            fewer.reshape(-1)[active[gone]] = 0
            yield Case(case.network, {**case.inputs, name: fewer})
        if (values > 1).any():
            yield Case(case.network, {**case.inputs, name: np.minimum(values, 1)})


def no_outputs(case: Case) -> Iterator[Case]:
    if case.network.outputs:
        yield Case(replace(case.network, outputs=()), case.inputs)


MOVES = (
    cut_below, cut_above, fewer_samples, fewer_steps, without_projection, earlier, no_outputs,
    fewer_neurons, smaller_image, plainer_synapses, plainer_registers, fewer_weights,
    quieter_inputs,
)  # fmt: skip
"""Those that save most come first."""
