"""Random float models, compiled: every executor agrees, the mapper keeps the limits, and what is
called exact fires as the float model does.

What differs is reduced and written to `--failures DIR` as `.nir`, inputs and compiled network.
"""

import os
from collections import Counter

import numpy as np
import pytest

from hwtargets.loihi.executor import LavaJob, run_jobs
from hwtargets.loihi.lower import lower
from snndeploy.errors import UnsupportedError
from snndeploy.mapping import check_placement
from snndeploy.registry import find_target
from tests.conformance.test_generated_networks import (
    LAVA_BUDGET,
    LEAST,
    counted,
    run_lava,
    tiny_chip,
)
from tests.generator.case import simulate
from tests.generator.check import check, check_model
from tests.generator.coverage import features, is_telling, missing, table
from tests.generator.model_case import ModelCase, random_inputs
from tests.generator.models import CONSTRUCTS, random_model
from tests.generator.networks import is_silent

N_MODELS, N_LAVA, N_FULL, N_FULL_PARTS, N_SAMPLES = 260, 30, 1000, 4, 4
WANTED = {
    "program": ("lif", "lif_subtract", "lif_subtract_delayed", "lif_clamped", "lif_multi"),
    "construct": (*CONSTRUCTS, "readout", "relay", "delay", "several sources", "several outputs"),
    "synapse": ("dense", "conv", "pool", "one_to_one", "graded input"),
    "numerics": ("v at the threshold", "registers per neuron"),
}
LOIHI2 = find_target("loihi2").chip


def compiled(seed):
    """Return a random model with inputs, compiled; None if it is refused with a code."""
    rng = np.random.default_rng(seed)
    model = random_model(rng)
    model_case = ModelCase(model, random_inputs(rng, model, N_SAMPLES))
    try:
        assert model_case.compiled
    except UnsupportedError:
        return None
    return model_case


def check_compiled(seed, failures, seen):
    """Compare, count and place one model; return which share of spikes is not the float model's."""
    model_case = compiled(seed)
    if model_case is None:
        seen["models", "refused"] += 1
        return []
    case, result = model_case.case, model_case.compiled
    check_model(model_case, simulate, name=f"model-{seed}", failures=failures)
    assert not result.violations
    assert check_placement(case.network, result.placement, LOIHI2) == ()
    overflows = {}
    want = case.reference(overflows)
    seen.update(features(case.network, want, overflows))
    chips = (LOIHI2, tiny_chip(np.random.default_rng(seed)))
    assert len({counted(case, overflows, chip, seen) for chip in chips} - {None}) == 1
    spiking = [r.population for r in result.layers if r.population in firing(case.network)]
    exact = [n for n in model_case.exact() if is_telling(case.network.population[n], want[n])]
    seen["models", "exact populations"] += len(exact)
    floats = model_case.floats(tuple(spiking))
    return [np.mean(floats[name] != want[name].spikes) for name in spiking]


def firing(network):
    return {p.name for p in network.populations if not is_silent(p)}


def test_simulator_equals_reference_and_exact_populations_the_float_model(tell, failures):
    seen, differing = Counter(), []
    for seed in range(N_MODELS):
        differing += check_compiled(seed, failures, seen)
    for line in table(seen):
        tell(f"{N_MODELS} models, simulator = reference: {line}")
    tell(
        f"{N_MODELS} models: {seen['models', 'refused']} refused, "
        f"{seen['models', 'exact populations']} exact populations equal the float model, "
        f"{np.mean(differing):.2%} of all spikes differ from it"
    )
    assert not missing(seen, WANTED, LEAST)
    assert seen["models", "refused"] < 0.05 * N_MODELS
    assert seen["models", "exact populations"] >= LEAST
    assert min(seen["mapping", what] for what in ("split", "refused")) >= LEAST
    assert np.mean(differing) < 0.02


@pytest.mark.full
@pytest.mark.parametrize("part", range(N_FULL_PARTS))
def test_many_more_models(part, failures):
    size = N_FULL // N_FULL_PARTS
    for seed in range(10_000 + part * size, 10_000 + (part + 1) * size):
        check_compiled(seed, failures, Counter())


def test_no_input_wraps_a_compiled_current_or_clips_a_readout():
    n_silent = 0
    for seed in range(60):
        if (model_case := compiled(seed)) is None:
            continue
        case, rng = model_case.case, np.random.default_rng(seed)
        for source in case.network.sources:
            shape = case.inputs[source.name].shape
            case.inputs[source.name] = rng.choice([source.low, source.high], shape)
        overflows = {}
        case.reference(overflows)
        for name, population in case.network.population.items():
            assert overflows[f"{name}.x.select"] == overflows[f"{name}.u.select"] == 0
            assert not is_silent(population) or overflows[f"{name}.y.clip"] == 0
            n_silent += is_silent(population)
    assert n_silent >= 10


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
@pytest.mark.parametrize(
    ("n", "first"), [(N_LAVA, 0), pytest.param(100, 100_000, marks=pytest.mark.full)]
)
def test_lava_equals_reference(n, first, tell, failures):
    cases, seen = [], Counter()
    for seed in range(first, first + 2 * n):
        if len(cases) < n and (model_case := compiled(seed)) is not None:
            case, overflows = model_case.case, {}
            want = case.reference(overflows)
            seen.update(features(case.network, want, overflows))
            cases.append((seed, case, want))
    jobs = [LavaJob(program=lower(c.network), inputs=c.inputs, record=c.names) for _, c, _ in cases]
    answers = run_jobs(jobs, environ=os.environ)
    for (seed, case, want), got in zip(cases, answers, strict=True):
        name = f"lava-model-{seed}"
        check(case, want, got, run_lava, name=name, failures=failures, budget=LAVA_BUDGET)
    for line in table(seen):
        tell(f"{len(cases)} models, Lava = reference: {line}")
    assert len(cases) >= n
