"""Every executor answers what the reference answers, on random networks near all limits.

What differs is reduced and written to `--failures DIR`; `load_case` of tests/generator reads it.
"""

from collections import Counter
from itertools import count

import numpy as np
import pytest

from hwtargets.loihi.lower import judged_by_lava
from snndeploy.errors import UnsupportedError
from snndeploy.ir.neurons import LIF
from snndeploy.registry import find_target
from tests.generator.case import Case, simulate
from tests.generator.check import check
from tests.generator.constructs import CONSTRUCTS
from tests.generator.coverage import features, missing, table
from tests.generator.live_lava import check_lava, job
from tests.generator.mapped import check_mapping, tiny_chip
from tests.generator.networks import random_network
from tests.generator.neurons import ALL_PROGRAMS
from tests.generator.synapses import KINDS

N_NETWORKS, N_LAVA, N_FULL, N_FULL_PARTS = 450, 50, 5000, 10
LEAST, LEAST_LAVA = 20, 4
CHEAP_DEPTH = 12
"""Lava takes as long for a step in which nothing happens as for any other."""
WANTED = {
    "program": tuple(ALL_PROGRAMS),
    "construct": (
        *CONSTRUCTS, "readout", "several projections in", "fan-out", "several sources",
        "several outputs", "delay", "delay > 1", "longest delay",
    ),
    "synapse": (
        *KINDS, "conv stride", "conv padding", "conv dilation", "conv groups", "pool padding",
        "graded input", "spikes in",
    ),
    "numerics": (
        *(f"{bits} weight bits" for bits in range(1, 9)), "mixed", "excitatory", "inhibitory",
        "exponent < 0", "exponent > 0", "u wraps", "v clips", "v at the threshold",
        "registers per neuron", "24-bit payload", "vth 0", "vth 131071", "du -1", "du 4095",
        "dv 4096", "bias_mant -4096", "bias_mant 4095", "bias_exp 7",
    ),
    "size": ("one step", "one sample", "one neuron"),
    "mapping": ("split", "refused"),
}  # fmt: skip
WANTED_IN_LAVA = {group: names for group, names in WANTED.items() if group != "mapping"}
LOIHI2 = find_target("loihi2").chip


def random_case(seed):
    return Case(*random_network(np.random.default_rng(seed), programs=tuple(ALL_PROGRAMS)))


def check_seed(seed, failures, seen):
    """Compare a network's simulation, count what it exercised, map it to a chip or two."""
    case = random_case(seed)
    assert case.is_valid, seed
    check(case, simulate(case), simulate, name=f"network-{seed}", failures=failures)
    seen.update(features(case))
    totals = check_mapping(case, tiny_chip(seed), seen)
    if totals and seed % 4 == 0:
        assert totals == check_mapping(case, LOIHI2, seen)


def test_simulator_equals_reference(tell, failures):
    seen = Counter()
    for seed in range(N_NETWORKS):
        check_seed(seed, failures, seen)
    for line in table(seen):
        tell(f"{N_NETWORKS} networks, simulator = reference: {line}")
    assert not missing(seen, WANTED, LEAST)


@pytest.mark.full
@pytest.mark.parametrize("part", range(N_FULL_PARTS))
def test_simulator_equals_reference_on_many_more(part, failures):
    size = N_FULL // N_FULL_PARTS
    for seed in range(10_000 + part * size, 10_000 + (part + 1) * size):
        check_seed(seed, failures, Counter())


def lava_cases(n, first):
    """Return n cases that Lava's words can hold, rare features first, and what they exercise."""
    found, spare, seen = {}, {}, Counter()
    rare = {(group, name) for group, names in WANTED.items() for name in names}
    for seed in count(first):
        case = random_case(seed)
        try:
            job(case)
        except UnsupportedError:
            continue
        if any(seen[feature] < LEAST_LAVA for feature in features(case) & rare):
            found[f"lava-{seed}"] = case
            seen.update(features(case))
        elif case.network.depth < CHEAP_DEPTH:
            spare[f"lava-{seed}"] = case
        if len(found) + len(spare) >= n and not missing(seen, WANTED_IN_LAVA, LEAST_LAVA):
            break
    for name, case in list(spare.items())[: max(n - len(found), 0)]:
        found[name] = case
        seen.update(features(case))
    return found, seen


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
@pytest.mark.parametrize(
    ("n", "first"), [(N_LAVA, 0), pytest.param(250, 100_000, marks=pytest.mark.full)]
)
def test_lava_equals_reference(n, first, tell, failures):
    cases, seen = lava_cases(n, first)
    check_lava(cases, failures)
    for line in table(seen):
        tell(f"{len(cases)} networks, Lava = reference: {line}")
    assert len(cases) >= n


def test_lava_is_the_judge_of_its_own_neuron_alone():
    networks = (random_case(seed).network for seed in range(20))
    populations = [population for network in networks for population in network.populations]
    assert all(judged_by_lava(p) == (p.program == LIF) for p in populations)
