"""Random float models, compiled: every executor agrees, the mapper keeps the limits, and what is
called exact fires as the float model does.

What differs is reduced and written to `--failures DIR` as `.nir`, inputs and compiled network.
"""

from collections import Counter

import numpy as np
import pytest

from snndeploy.errors import UnsupportedError
from snndeploy.mapping import check_placement
from snndeploy.registry import find_target
from tests.generator.case import Case, simulate
from tests.generator.check import check_model
from tests.generator.coverage import features, is_telling, missing, table
from tests.generator.live_lava import check_lava
from tests.generator.mapped import check_mapping, tiny_chip
from tests.generator.model_case import ModelCase, random_inputs
from tests.generator.models import CONSTRUCTS, random_model
from tests.generator.networks import is_silent

LEAST = 20
N_MODELS, N_LAVA, N_FULL, N_FULL_PARTS, N_SAMPLES = 240, 14, 1000, 4, 4
WANTED = {
    "program": ("lif", "lif_subtract", "lif_subtract_delayed", "lif_clamped", "lif_multi"),
    "construct": (*CONSTRUCTS, "readout", "relay", "delay", "several sources", "several outputs"),
    "synapse": ("dense", "conv", "pool", "one_to_one", "graded input"),
    "numerics": ("v at the threshold", "registers per neuron"),
    "mapping": ("split", "refused"),
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
    seen.update(features(case))
    totals = check_mapping(case, tiny_chip(seed), seen)
    if totals and seed % 4 == 0:
        assert totals == check_mapping(case, LOIHI2, seen)
    fires = firing(case.network) & set(model_case.model.graph.nodes)  # sums are no nodes
    spiking = [r.population for r in result.layers if r.population in fires]
    exact = [
        n for n in model_case.exact() if is_telling(case.network.population[n], case.traces[n])
    ]
    seen["models", "exact populations"] += len(exact)
    floats = model_case.floats(tuple(spiking))
    return [np.mean(floats[name] != case.traces[name].spikes) for name in spiking]


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
    assert np.mean(differing) < 0.02


@pytest.mark.full
@pytest.mark.parametrize("part", range(N_FULL_PARTS))
def test_many_more_models(part, failures):
    size = N_FULL // N_FULL_PARTS
    for seed in range(10_000 + part * size, 10_000 + (part + 1) * size):
        check_compiled(seed, failures, Counter())


def test_no_input_wraps_a_compiled_current_or_clips_a_readout():
    n_silent = 0
    for seed in range(40):
        if (model_case := compiled(seed)) is None:
            continue
        given, rng = model_case.case, np.random.default_rng(seed)
        extreme = {
            s.name: rng.choice([s.low, s.high], given.inputs[s.name].shape)
            for s in given.network.sources
        }
        case = Case(given.network, extreme)
        for name, population in case.network.population.items():
            if population.program.bounds == "leaky":
                assert case.overflows[f"{name}.x.select"] == case.overflows[f"{name}.u.select"] == 0
            assert not is_silent(population) or case.overflows[f"{name}.y.clip"] == 0
            n_silent += is_silent(population)
    assert n_silent >= 8


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
@pytest.mark.parametrize(
    ("n", "first"), [(N_LAVA, 0), pytest.param(100, 100_000, marks=pytest.mark.full)]
)
def test_lava_equals_reference(n, first, tell, failures):
    cases, seen = {}, Counter()
    for seed in range(first, first + 2 * n):
        if len(cases) < n and (model_case := compiled(seed)) is not None:
            cases[f"lava-model-{seed}"] = model_case.case
            seen.update(features(model_case.case))
    check_lava(cases, failures)
    for line in table(seen):
        tell(f"{len(cases)} models, Lava = reference: {line}")
    assert len(cases) >= n
