"""What keeps samples apart, whole models through: chips that clear from the host, and no end."""

import numpy as np
import pytest
from digits import load_digits, saccade_events

import snndeploy
from hwtargets.simulator import SIMULATOR
from snndeploy.energy import price
from snndeploy.errors import UsageError
from snndeploy.frontends.nir_file import read
from snndeploy.inference import run_deployed
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.silence import is_quiescent
from snndeploy.nirgraph.interpret import run_float
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target
from snndeploy.samples import Samples
from tests.conformance.test_demo_models import MODELS
from tests.conformance.test_nir_paper import PAPER

N = 200


@pytest.fixture(scope="module")
def events():
    digits = load_digits()
    x = saccade_events(digits.test_images[:N]).astype(float)
    return Samples(x={"input": x}, label=digits.test_labels[:N])


def compiled_events(target, **options):
    model = snndeploy.load(MODELS / "mnist_events.pt")
    return compile_model(model, find_target(target), CompileOptions(**options))


def test_streamed_or_one_at_a_time_is_the_same_network(events):
    streamed, alone = (compiled_events("loihi2", one_at_a_time=one) for one in (False, True))
    assert (streamed.network.period, streamed.network.alone) == (12, False)
    assert (alone.network.period, alone.network.alone) == (12 + alone.network.depth, True)
    answers = [run_deployed(each, events, "sim") for each in (streamed, alone)]
    for name, trace in answers[0].result.traces.items():
        np.testing.assert_array_equal(trace.spikes, answers[1].result.traces[name].spikes)
        np.testing.assert_array_equal(trace.states["v"], answers[1].result.traces[name].states["v"])


def test_loihi1_is_cleared_by_the_host_and_that_is_priced(events):
    compiled = compiled_events("loihi1")
    network = compiled.network
    assert network.alone
    assert not any(p.params["bias_mant"].any() for p in network.populations)
    assert any(source.encoding == "bias" for source in network.sources)
    assert all(is_quiescent(network, p.name) for p in network.populations)
    answer = run_deployed(compiled, events, "sim")
    ledger = price(
        answer.result.counts,
        compiled.target.chip.prices["davies2018"],
        answer.result.timing,
    )
    (row,) = [row for row in ledger.rows if row.kind == "reset"]
    assert row.count == N
    assert float(row.energy.nominal) == pytest.approx(N * 5.94e-6)
    assert answer.accuracy >= run_deployed(compiled_events("loihi2"), events, "sim").accuracy - 0.01


def test_without_end_a_network_runs_as_long_as_its_input():
    model = read(PAPER / "01_lif" / "lif_norse.nir", values="spikes")
    compiled = compile_model(model, find_target("loihi2"), CompileOptions(steps=0))
    network = compiled.network
    (source,), (output,) = network.sources, network.outputs
    for steps in (7, 300):
        x = (np.random.default_rng(steps).random((steps, 2, 1)) < 0.7).astype(np.int64)
        running = network.lasting(steps)
        traces = run_reference(running, {source.name: x}, record=(output.population,))
        got = SIMULATOR.run(running, {source.name: x}, record=(output.population,)).traces
        trace = traces[output.population]
        assert trace.spikes.shape == (steps, 2, 1)
        np.testing.assert_array_equal(got[output.population].spikes, trace.spikes)
        np.testing.assert_array_equal(got[output.population].states["v"], trace.states["v"])
        answer = run_deployed(compiled, Samples(x={"input": x.astype(float)}, label=None), "sim")
        np.testing.assert_array_equal(answer.y["output"].reshape(trace.spikes.shape), trace.spikes)
    want = run_float(model, {"input": x.astype(float)})["output"]
    assert want.any()
    assert np.mean(want.reshape(trace.spikes.shape) != trace.spikes) < 0.02


def test_a_readout_without_end_says_that_it_may_clip():
    compiled = compiled_events("loihi2", steps=0)
    readout = compiled.layers[-1]
    assert "without resets the readout clips one day" in readout.why
    assert not readout.exact


def test_a_static_image_has_no_end():
    model = snndeploy.load(MODELS / "mnist_images.pt")
    with pytest.raises(UsageError, match=r"E5013.*shown for ever"):
        compile_model(model, find_target("loihi2"), CompileOptions(steps=0))
