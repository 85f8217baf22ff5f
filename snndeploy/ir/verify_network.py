"""What makes an integer network well formed; checked after every pass and on every read.

Shares no code with the passes: it recomputes sizes, grids, registers and ranges from the network.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from snndeploy.errors import ModelError
from snndeploy.ir.grid import stored_weight
from snndeploy.ir.network import Network, Output, Population, Projection
from snndeploy.ir.program import INT32, Program
from snndeploy.ir.ranges import INPUT_LIMIT, arriving_bound, prove_ranges
from snndeploy.ir.silence import silence_problems
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse
from snndeploy.ir.text import array_names


def verify_network(network: Network) -> None:
    """Check a network.

    Raises:
        ModelError: E1065, with the first problem and how many there are.
    """
    problems = list(network_problems(network)) or list(silence_problems(network))
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        where, _, what = problems[0].partition(": ")
        raise ModelError(
            "E1065",
            f"the integer network is not well formed: {what}{more}",
            where=where,
            remedy="compile the model again; if this comes from a compilation, report it",
        )


def network_problems(network: Network) -> Iterator[str]:
    """Yield every problem as `place: what`."""
    names = Counter([n.name for n in network.sources] + [n.name for n in network.populations])
    yield from (f"{name}: name used {n} times" for name, n in names.items() if n > 1)
    projections = Counter(projection.name for projection in network.projections)
    yield from (f"{name}: name used {n} times" for name, n in projections.items() if n > 1)
    arrays = Counter(array_names(network))
    yield from (f"{name}: two arrays of one name" for name, n in arrays.items() if n > 1)
    if network.steps < 0:
        yield f"network: {network.steps} steps"
    if not network.steps and not network.alone:
        yield "network: without end, and samples follow each other"
    for projection in network.projections:
        yield from _projection_problems(network, projection)
    for population in network.populations:
        yield from _population_problems(network, population)
    programs: dict[str, Program] = {}
    for program in (population.program for population in network.populations):
        if programs.setdefault(program.name, program) != program:
            yield f"{program.name}: two programs of one name"
    for output in network.outputs:
        yield from _output_problems(network, output)


def range_problems(network: Network) -> Iterator[str]:
    """Yield what the weights do not prove: words that may wrap, readouts that may clip."""
    readouts = {o.population for o in network.outputs if o.readout != "spikes"}
    for population in network.populations:
        arriving = arriving_bound(network, population)
        if arriving > INPUT_LIMIT:
            yield f"{population.name}: input may reach {arriving:,} and wraps at {1 << 31:,}"
    for name, ranges in prove_ranges(network).items():
        if ranges.u_wraps:
            yield f"{name}: u may reach {ranges.current:,} and wraps at {1 << 23:,}"
        if name in readouts and ranges.v_clips:
            yield f"{name}: v may reach {ranges.potential:,} and clips at {(1 << 23) - 1:,}"


def _projection_problems(network: Network, projection: Projection) -> Iterator[str]:
    place, synapse = projection.name, projection.synapse
    if projection.source not in network.nodes or projection.target not in network.population:
        yield f"{place}: an end of it does not exist"
        return
    source, target = network.nodes[projection.source], network.population[projection.target]
    if (synapse.n_in, synapse.n_out) != (source.n, target.n):
        yield f"{place}: synapses {synapse.n_in}->{synapse.n_out} between {source.n} and {target.n}"
    if projection.delay < 0 or projection.lag < 0:
        yield f"{place}: delay {projection.delay}, lag {projection.lag}; neither is negative"
    if target.wave - source.wave - 1 + projection.lag != projection.delay:
        yield (
            f"{place}: delay {projection.delay} between waves {source.wave} and {target.wave} "
            f"for lag {projection.lag}"
        )
    if not 1 <= projection.weight_bits <= 8:
        yield f"{place}: {projection.weight_bits} weight bits"
        return
    match synapse:
        case Dense(weight=weight) | Conv(weight=weight) | Sparse(weight=weight):
            weights = weight
        case OneToOne(weight=weight):
            weights = weight
        case Pool(weight=one):
            weights = np.array([one])
    kept = stored_weight(weights, projection.weight_bits, projection.sign_mode)
    off = int(np.count_nonzero(kept != weights))
    if off:
        yield f"{place}: {off} weights are not on the {projection.sign_mode} grid"


def _population_problems(network: Network, population: Population) -> Iterator[str]:
    place = population.name
    if not network.into(place):
        yield f"{place}: nothing feeds it"
    for name, (low, high) in population.program.registers.items():
        values = population.params[name]
        if values.min() < low or values.max() > high:
            yield f"{place}: {name} outside {low}..{high}"
    low, high = population.low, population.high
    if not INT32[0] <= low <= 0 <= high <= INT32[1]:
        yield f"{place}: payloads {low}..{high} do not hold 0, or are no 32-bit words"


def _output_problems(network: Network, output: Output) -> Iterator[str]:
    if output.population not in network.population:
        yield f"{output.name}: reads {output.population}, which is no population"
        return
    population = network.population[output.population]
    if population.n != int(np.prod(output.shape)):
        yield f"{output.name}: shape {output.shape} is not that of its population"
    if output.readout != "spikes" and all(s.name != "v" for s in population.program.states):
        yield f"{output.name}: reads v, which {population.program.name} neurons do not have"
