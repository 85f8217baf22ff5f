"""Every executor answers what the reference answers, on random networks near all limits.

What differs is reduced and written to `--failures DIR`; `load_case` of tests/generator reads it.
"""

import os
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from itertools import count

import numpy as np
import pytest

from hwtargets.loihi.executor import LavaJob, run_jobs
from hwtargets.loihi.lower import judged_by_lava, lower
from hwtargets.simulator import SIMULATOR
from snndeploy.errors import UnsupportedError
from snndeploy.ir.neurons import LIF
from snndeploy.ir.placement import Placement
from snndeploy.mapping import check_placement, place
from snndeploy.registry import find_target
from tests.generator.case import Case, simulate
from tests.generator.check import check
from tests.generator.constructs import CONSTRUCTS
from tests.generator.coverage import features, missing, table
from tests.generator.networks import random_network
from tests.generator.neurons import ALL_PROGRAMS
from tests.generator.synapses import KINDS

N_NETWORKS, N_LAVA, N_FULL, N_FULL_PARTS = 500, 64, 5000, 10
LEAST, LEAST_LAVA = 20, 5
LAVA_BUDGET = 60
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
}  # fmt: skip
LOIHI2 = find_target("loihi2").chip


def random_case(seed):
    return Case(*random_network(np.random.default_rng(seed), programs=tuple(ALL_PROGRAMS)))


def tiny_chip(rng):
    """Return a chip that few networks fit on without being split."""
    limits = {
        "cores": 400,
        "neurons_per_core": int(rng.integers(1, 20)),
        "synapse_bits_per_core": int(rng.integers(1000, 20000)),
        "in_axons_per_core": int(rng.integers(30, 200)),
        "out_axons_per_core": int(rng.integers(20, 200)),
    }
    chip = find_target("loihi1").chip
    changed = {key: replace(chip.limits[key], value=Decimal(n)) for key, n in limits.items()}
    return replace(chip, limits={**chip.limits, **changed})


def check_simulator(seed, failures, seen):
    """Compare a network's simulation, count what it exercised, map it, recount its overflows."""
    case, overflows = random_case(seed), {}
    assert case.is_valid, seed
    want = case.reference(overflows)
    check(case, want, simulate(case), simulate, name=f"network-{seed}", failures=failures)
    seen.update(features(case.network, want, overflows))
    totals = {
        counted(case, overflows, chip, seen)
        for chip in (LOIHI2, tiny_chip(np.random.default_rng(seed)))
    }
    assert len(totals - {None}) <= 1, seed


def counted(case, overflows, chip, seen):
    """Return what a run on a chip counts whatever the placement; None if it does not fit."""
    placed = place(case.network, chip)
    if not isinstance(placed, Placement):
        assert all(violation.have > violation.limit for violation in placed)
        seen["mapping", "refused"] += 1
        return None
    assert check_placement(case.network, placed, chip) == ()
    seen["mapping", "split"] += len(placed.slices) > len(case.names)
    result = SIMULATOR.run(case.network, case.inputs, record=(), placement=placed)
    for key, n in result.overflows.items():
        if key.endswith("u_wraps"):
            name = key.removesuffix("u_wraps")
            assert n == overflows[f"{name}x.select"] + overflows[f"{name}u.select"]
        else:
            assert n == overflows[key.replace("v_clips", "y.clip")], key
    samples = next(iter(case.inputs.values())).shape[1]
    updates = result.counts.total("neuron_idle") + result.counts.total("neuron_active")
    assert updates == sum(p.n for p in case.network.populations) * case.network.chip_steps(samples)
    return tuple(result.counts.total(kind) for kind in ("synaptic_op", "neuron_active", "spike"))


def test_simulator_equals_reference(tell, failures):
    seen = Counter()
    for seed in range(N_NETWORKS):
        check_simulator(seed, failures, seen)
    for line in table(seen):
        tell(f"{N_NETWORKS} networks, simulator = reference: {line}")
    assert not missing(seen, WANTED, LEAST)
    assert min(seen["mapping", what] for what in ("split", "refused")) >= LEAST


@pytest.mark.full
@pytest.mark.parametrize("part", range(N_FULL_PARTS))
def test_simulator_equals_reference_on_many_more(part, failures):
    size = N_FULL // N_FULL_PARTS
    for seed in range(10_000 + part * size, 10_000 + (part + 1) * size):
        check_simulator(seed, failures, Counter())


def lava_cases(n, first=0):
    """Return n cases that Lava's words can hold, rare features first, and what they exercise."""
    found, spare, seen = [], [], Counter()
    rare = {(group, name) for group, names in WANTED.items() for name in names}
    for seed in count(first):
        case, overflows = random_case(seed), {}
        try:
            job = LavaJob(program=lower(case.network), inputs=case.inputs, record=case.names)
        except UnsupportedError:
            continue
        want = case.reference(overflows)
        of_case = features(case.network, want, overflows)
        if any(seen[feature] < LEAST_LAVA for feature in of_case & rare):
            found.append((seed, case, job, want))
            seen.update(of_case)
        else:
            spare.append(((seed, case, job, want), of_case))
        if len(found) + len(spare) >= n and not missing(seen, WANTED, LEAST_LAVA):
            break
    for entry, of_case in spare[: max(n - len(found), 0)]:
        found.append(entry)
        seen.update(of_case)
    return found, seen


def run_lava(case):
    job = LavaJob(program=lower(case.network), inputs=case.inputs, record=case.names)
    return run_jobs([job], environ=os.environ)[0]


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
@pytest.mark.parametrize(
    ("n", "first"), [(N_LAVA, 0), pytest.param(250, 100_000, marks=pytest.mark.full)]
)
def test_lava_equals_reference(n, first, tell, failures):
    cases, seen = lava_cases(n, first)
    answers = run_jobs([job for _, _, job, _ in cases], environ=os.environ)
    for (seed, case, _, want), got in zip(cases, answers, strict=True):
        name = f"lava-{seed}"
        check(case, want, got, run_lava, name=name, failures=failures, budget=LAVA_BUDGET)
    for line in table(seen):
        tell(f"{len(cases)} networks, Lava = reference: {line}")
    assert len(cases) >= n


def test_lava_is_the_judge_of_its_own_neuron_alone():
    networks = (random_case(seed).network for seed in range(20))
    populations = [population for network in networks for population in network.populations]
    assert all(judged_by_lava(p) == (p.program == LIF) for p in populations)
