"""The certificate finds every change, names the first one, and says what it could not compare."""

import os
from dataclasses import replace

import numpy as np
import pytest
from deployed import STEPS, small_compiled, small_network, small_samples

from snndeploy import verification
from snndeploy.bundle import write_bundle
from snndeploy.divergence import compare_traces
from snndeploy.errors import ModelError, TargetError, UsageError
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.neurons import lif
from snndeploy.ir.trace import PopulationTrace
from snndeploy.registry import find_executor
from snndeploy.verification import verify


@pytest.fixture
def bundle(tmp_path):
    return write_bundle(small_compiled(), tmp_path / "net", samples=small_samples())


def other_threshold(network):
    hidden, out = network.populations
    changed = replace(hidden, params=lif(du=4095, dv=512, vth=70))
    return replace(network, populations=(changed, out))


def test_equal_executors_are_certified(bundle):
    certificate = verify(bundle, ("reference", "sim"))
    assert certificate.is_equal
    sim, stored = certificate.backends
    assert (sim.backend, stored.backend) == ("sim", "stored")
    assert sim.words == ("spikes", "u", "v")
    assert sim.compared == 10 * STEPS * (8 + 3) * 3
    assert (bundle.path / "certificate.json").exists()


def test_certificates_of_the_same_bundle_are_the_same_bytes(bundle):
    verify(bundle, ("sim",))
    first = (bundle.path / "certificate.json").read_bytes()
    verify(bundle, ("sim",))
    assert (bundle.path / "certificate.json").read_bytes() == first


def test_a_tampered_executor_is_caught_at_its_first_difference(bundle):
    def tamper(backend, network):
        return other_threshold(network) if backend == "sim" else network

    certificate = verify(bundle, ("sim",), given=tamper)
    assert not certificate.is_equal
    sim, stored = certificate.backends
    assert stored.different == 0
    first = sim.first
    assert first.population == "hidden"
    names = tuple(bundle.network.population)
    mine = run_reference(bundle.network, bundle.probes, record=names)
    theirs = run_reference(other_threshold(bundle.network), bundle.probes, record=names)
    value = mine["hidden"].states["v"][first.step, first.sample, first.neuron]
    assert first.word == "v"
    assert first.reference == value
    assert first.backend == theirs["hidden"].states["v"][first.step, first.sample, first.neuron]
    at = first.sample * STEPS + first.step
    differs = mine["hidden"].spikes != theirs["hidden"].spikes
    assert at == min(sample * STEPS + step for step, sample, _ in np.argwhere(differs))


def test_a_changed_stored_answer_is_caught(bundle):
    spikes = np.array(bundle.expected["hidden"].spikes)
    spikes[2, 3, 4] ^= 1
    expected = {**bundle.expected, "hidden": PopulationTrace(spikes=spikes)}
    certificate = verify(replace(bundle, expected=expected), ("reference",))
    first = certificate.backends[0].first
    assert (first.population, first.step, first.sample, first.neuron) == ("hidden", 2, 3, 4)
    assert first.word == "spikes"


def test_every_single_flip_is_found_where_it_is():
    network = small_network()
    inputs = {"in": small_samples(3).x["in"].astype(np.int64)}
    traces = run_reference(network, inputs, record=("hidden", "out"))
    rng = np.random.default_rng(0)
    for _ in range(50):
        name = str(rng.choice(["hidden", "out"]))
        word = str(rng.choice(["spikes", "u", "v"]))
        cell = tuple(int(rng.integers(n)) for n in traces[name].spikes.shape)
        trace = traces[name]
        spikes, states = np.array(trace.spikes), {k: np.array(v) for k, v in trace.states.items()}
        (spikes if word == "spikes" else states[word])[cell] += 1
        other = {**traces, name: PopulationTrace(spikes=spikes, states=states)}
        result = compare_traces(network, traces, other, backend="x", first_sample=10)
        first = result.first
        assert result.different == 1
        assert (first.population, first.word) == (name, word)
        assert (first.step, first.sample - 10, first.neuron) == cell
        assert first.backend - first.reference == 1


def test_an_input_that_differs_is_reported_before_what_it_causes():
    network = small_network()
    shape = (STEPS, 2, 8)
    zero = {
        "hidden": PopulationTrace(spikes=np.zeros(shape, int)),
        "out": PopulationTrace(spikes=np.zeros((STEPS, 2, 3), int)),
    }
    hidden, out = np.zeros(shape, int), np.zeros((STEPS, 2, 3), int)
    hidden[3, 1, 5] = 1  # chip step 1 * 5 + 1 + 3 = 9
    out[0, 1, 0] = 1  # chip step 1 * 5 + 2 + 0 = 7
    other = {"hidden": PopulationTrace(spikes=hidden), "out": PopulationTrace(spikes=out)}
    assert compare_traces(network, zero, other, backend="x").first.population == "out"
    out[:], out[2, 1, 0] = 0, 1  # chip step 9 too: the earlier layer wins
    assert compare_traces(network, zero, other, backend="x").first.population == "hidden"


def test_batches_change_nothing_but_memory(bundle, monkeypatch):
    whole = verify(bundle, ("sim",))
    monkeypatch.setattr(verification, "CHUNK_BYTES", 1)
    assert verify(bundle, ("sim",)) == whole


def test_given_inputs_replace_the_probes(bundle):
    certificate = verify(bundle, ("sim",), small_samples(3, seed=9))
    assert certificate.inputs == ("input 0", "input 1", "input 2")
    assert [result.backend for result in certificate.backends] == ["sim"]


def test_silence_is_named_as_proving_nothing(tmp_path):
    compiled = small_compiled()
    hidden, out = compiled.network.populations
    deaf = replace(hidden, params=lif(du=4095, dv=512, vth=131000))
    network = replace(compiled.network, populations=(deaf, out))
    bundle = write_bundle(replace(compiled, network=network), tmp_path / "net")
    by_name = {a.population: a for a in verify(bundle, ("sim",)).activity}
    assert by_name["hidden"].warning == "never fires"
    assert by_name["out"].warning == ""  # an integrator is silent by design


class Absent:
    name = "absent"

    def missing(self):
        return "no such tool: install it"


def with_absent(monkeypatch):
    def find(name):
        return Absent() if name == "lava" else find_executor(name)

    monkeypatch.setattr(verification, "find_executor", find)


def test_a_missing_backend_is_one_line_of_the_certificate(bundle, monkeypatch):
    with_absent(monkeypatch)
    certificate = verify(bundle, ("sim", "lava"))
    assert certificate.is_equal
    by_name = {result.backend: result for result in certificate.backends}
    assert by_name["lava"].missing == "no such tool: install it"
    assert by_name["lava"].compared == 0


def test_a_run_of_the_reference_alone_certifies_nothing(bundle, monkeypatch):
    samples = small_samples(3, seed=9)
    for backends in ((), ("reference",)):
        with pytest.raises(UsageError, match=r"^error\[E5064\] --backends: nothing to compare"):
            verify(bundle, backends, samples)
    with_absent(monkeypatch)
    with pytest.raises(TargetError, match=r"^error\[E4022\] lava: backend cannot run here"):
        verify(bundle, ("lava",), samples)
    assert not (bundle.path / "certificate.json").exists()


def test_a_missing_backend_is_an_error_where_all_are_required(bundle, monkeypatch):
    with_absent(monkeypatch)
    with pytest.raises(TargetError, match=r"E4022.*install it"):
        verify(bundle, ("sim", "lava"), require_all=True)
    assert not (bundle.path / "certificate.json").exists()


def test_an_unknown_backend_is_refused(bundle):
    with pytest.raises(UsageError, match=r"E5001.*did you mean 'sim'"):
        verify(bundle, ("simm",))


def test_a_backend_with_wrong_shapes_is_refused():
    network = small_network()
    good = {"hidden": PopulationTrace(spikes=np.zeros((5, 2, 8), int))}
    bad = {"hidden": PopulationTrace(spikes=np.zeros((5, 1, 8), int))}
    with pytest.raises(TargetError, match="E4023"):
        compare_traces(network, good, bad, backend="x")


def test_inputs_of_another_shape_are_refused(bundle):
    from snndeploy.samples import Samples

    with pytest.raises(ModelError, match="E1061"):
        verify(bundle, ("sim",), Samples(x={"in": np.zeros((5, 1, 7))}))


@pytest.mark.lava
def test_lava_is_equal_to_the_reference(bundle):
    if find_executor("lava").missing():
        without = pytest.fail if os.environ.get("CI") else pytest.skip
        without("Lava is not here")
    certificate = verify(bundle, ("lava",))
    assert certificate.is_equal
    assert certificate.backends[0].compared == 10 * STEPS * 11 * 3
