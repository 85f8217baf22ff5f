"""What makes an integer network well formed; checked after every pass and on every read.

Shares no code with the passes: it recomputes sizes, grids, registers and ranges from the network.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from snndeploy.errors import ModelError
from snndeploy.ir.grid import stored_weight
from snndeploy.ir.network import Network, Population, Projection
from snndeploy.ir.neurons import NEVER
from snndeploy.ir.ranges import BIAS_EXP_LIMIT, MANT_LIMIT, prove_ranges
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse

REGISTERS = {
    "du": (-1, 4095),
    "dv": (0, 4096),
    "vth": (0, NEVER),
    "bias_mant": (-MANT_LIMIT - 1, MANT_LIMIT),
    "bias_exp": (0, BIAS_EXP_LIMIT),
}
"""Documented ranges of the `lif` registers, inclusive; NEVER is the non-firing threshold."""


def verify_network(network: Network) -> None:
    """Check a network.

    Raises:
        ModelError: E1065, with the first problem and how many there are.
    """
    problems = list(network_problems(network))
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
    if network.steps < 1:
        yield "network: no steps"
    for projection in network.projections:
        yield from _projection_problems(network, projection)
    for population in network.populations:
        yield from _population_problems(network, population)
    for output in network.outputs:
        if output.population not in network.population:
            yield f"{output.name}: reads {output.population}, which is no population"
        elif network.population[output.population].n != int(np.prod(output.shape)):
            yield f"{output.name}: shape {output.shape} is not that of its population"


def range_problems(network: Network) -> Iterator[str]:
    """Yield what the weights do not prove: currents that may wrap, readouts that may clip."""
    readouts = {o.population for o in network.outputs if o.readout != "spikes"}
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
    if target.wave - source.wave - 1 != projection.delay:
        yield f"{place}: delay {projection.delay} between waves {source.wave} and {target.wave}"
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
    for name, (low, high) in REGISTERS.items():
        values = population.params.get(name)
        if values is not None and not (low <= values.min() and values.max() <= high):
            yield f"{place}: {name} outside {low}..{high}"
