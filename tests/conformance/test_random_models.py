"""Random float chains, compiled, run by every executor: the same spikes and the same states."""

import contextlib
import os
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwtargets.loihi.executor import LavaJob, run_jobs
from hwtargets.loihi.lower import lower
from hwtargets.simulator import SIMULATOR
from snndeploy.errors import SnnDeployError
from snndeploy.ir.encode import encode
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.neurons import NEVER
from snndeploy.ir.verify_network import range_problems, verify_network
from snndeploy.nirgraph.interpret import run_float
from snndeploy.passes.discretize import discretize
from snndeploy.passes.layers import layers_of
from snndeploy.passes.waves import assign_waves
from snndeploy.pipeline import CompileOptions, choose_source
from snndeploy.registry import find_target
from tests.chains import random_chain
from tests.generator.networks import random_network

N_LAVA_MODELS, N_LAVA_WILD, N_SAMPLES = 30, 12, 4
NUMERICS = find_target("loihi2").chip.numerics


def compiled(seed):
    """Return a random model, its network, layer reports and encoded input."""
    rng = np.random.default_rng(seed)
    model = random_chain(rng)
    source = choose_source(model.inputs[0], CompileOptions(), NUMERICS)
    network, reports = discretize(
        model, layers_of(model), (source,), NUMERICS, steps=model.steps, weight_bits=8
    )
    network = assign_waves(network, NUMERICS)
    verify_network(network)
    assert not list(range_problems(network))
    shape = (model.steps, N_SAMPLES, *source.shape)
    x = rng.random(shape) < 0.3 if source.encoding == "spikes" else rng.uniform(-1, 1, shape)
    encoded = encode(source, x.astype(float), steps=model.steps, rng=rng).values
    return model, network, reports, x.astype(float), encoded


def names(network):
    return tuple(population.name for population in network.populations)


def assert_equal(got, want):
    for name, trace in want.items():
        np.testing.assert_array_equal(got[name].spikes, trace.spikes, name)
        for word, values in trace.states.items():
            np.testing.assert_array_equal(got[name].states[word], values, f"{name}.{word}")


def is_telling(network, traces):
    """Whether every firing population fires in 1 to 60 % of its cells."""
    return all(
        0.01 <= traces[p.name].spikes.mean() <= 0.6
        for p in network.populations
        if p.scalar("vth") != NEVER
    )


def telling_models(n):
    """Return the first n compiled random models without a silent or saturated population."""
    found, seed = [], 0
    while len(found) < n:
        _, network, reports, _, encoded = compiled(seed)
        traces = run_reference(network, {"input": encoded}, record=names(network))
        if is_telling(network, traces):
            found.append((network, {"input": encoded}, reports))
        seed += 1
        assert seed < 20 * n, "the generator makes too few telling networks"
    return found


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_simulator_equals_reference(seed):
    _, network, _, _, encoded = compiled(seed)
    record = names(network)
    want = run_reference(network, {"input": encoded}, record=record)
    assert_equal(SIMULATOR.run(network, {"input": encoded}, record=record).traces, want)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_populations_called_exact_fire_like_the_float_model(seed):
    model, network, reports, x, encoded = compiled(seed)
    exact = []
    for report in reports:  # a population is comparable while all before it are exact
        if not report.exact:
            break
        exact.append(report.population)
    spiking = [n for n in exact if network.population[n].scalar("vth") != NEVER]
    if not spiking:
        return
    floats = run_float(model, {"input": x}, record=tuple(spiking))
    for name, trace in run_reference(network, {"input": encoded}, record=tuple(spiking)).items():
        np.testing.assert_array_equal(floats[name].reshape(trace.spikes.shape), trace.spikes)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_no_input_wraps_a_compiled_current_or_clips_a_readout(seed):
    _, network, _, _, encoded = compiled(seed)
    (source,) = network.sources
    extreme = np.random.default_rng(seed).choice([source.low, source.high], encoded.shape)
    for frames in (extreme, np.full_like(encoded, source.high)):
        overflows = {}
        run_reference(network, {"input": frames}, record=(), overflows=overflows)
        for name, population in network.population.items():
            assert overflows[f"{name}.x.select"] == overflows[f"{name}.u.select"] == 0
            assert population.scalar("vth") != NEVER or overflows[f"{name}.y.clip"] == 0


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_lava_equals_reference_on_random_chains(tell):
    models = telling_models(N_LAVA_MODELS)
    cases = [(network, inputs) for network, inputs, _ in models]
    rounded = sum(report.rounded for *_, reports in models for report in reports)
    cases += [
        random_network(np.random.default_rng(seed), extreme=True) for seed in range(N_LAVA_WILD)
    ]
    jobs = [
        LavaJob(program=lower(network), inputs=inputs, record=names(network))
        for network, inputs in cases
    ]
    seen = Counter({"weights rounded": rounded})
    for (network, inputs), traces in zip(cases, run_jobs(jobs, environ=os.environ), strict=True):
        overflows = {}
        want = run_reference(network, inputs, record=names(network), overflows=overflows)
        assert_equal(traces, want)
        seen["cells compared"] += sum(trace.spikes.size for trace in want.values())
        seen["u wrapped"] += sum(n for k, n in overflows.items() if k.endswith(".u.select"))
        seen["u wrapped"] += sum(n for k, n in overflows.items() if k.endswith(".x.select"))
        seen["v clipped"] += sum(n for k, n in overflows.items() if k.endswith(".y.clip"))
        seen[f"{len(network.populations)} populations"] += 1
    tell(f"Lava = reference on {len(cases)} random chains: {dict(seen)}")
    assert min(seen[k] for k in ("weights rounded", "u wrapped", "v clipped")) > 0


def test_refusals_of_random_chains_are_errors_of_ours():
    """Every random chain compiles or is refused with a code; none breaks."""
    for seed in range(2000, 2060):
        with contextlib.suppress(SnnDeployError):
            compiled(seed)


@pytest.mark.full
def test_simulator_equals_reference_on_many_seeds():
    for seed in range(10_000, 12_500):
        _, network, _, _, encoded = compiled(seed)
        record = names(network)
        want = run_reference(network, {"input": encoded}, record=record)
        assert_equal(SIMULATOR.run(network, {"input": encoded}, record=record).traces, want)


@pytest.mark.full
@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_lava_equals_reference_on_many_random_networks():
    cases = [random_network(np.random.default_rng(seed)) for seed in range(1000, 1250)]
    jobs = [
        LavaJob(program=lower(network), inputs=inputs, record=names(network))
        for network, inputs in cases
    ]
    for (network, inputs), traces in zip(cases, run_jobs(jobs, environ=os.environ), strict=True):
        assert_equal(traces, run_reference(network, inputs, record=names(network)))
