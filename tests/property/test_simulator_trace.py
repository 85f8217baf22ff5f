"""A trace holds what the reference says of every neuron, and what was counted on the chip."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from test_simulator_counts import CHIP, placed_network, seeds

from hwtargets.simulator import SIMULATOR, tracing
from snndeploy.errors import ModelError
from snndeploy.ir.interpret import run_reference
from snndeploy.npz import dump_npz


def traced(network, inputs, neurons, **options):
    """Run with a trace, write it, and read it back as anybody would."""
    simulator = SIMULATOR.with_options(threads=1, trace=neurons)
    result = simulator.run(network, inputs, record=(), **options)
    with np.load(io.BytesIO(dump_npz(result.trace)), allow_pickle=False) as archive:
        return result, dict(archive)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_spikes_and_states_are_those_of_the_reference(seed):
    network, inputs, _ = placed_network(seed)
    rng = np.random.default_rng(seed)
    neurons = {p.name: tuple(rng.integers(0, p.n, 3).tolist()) for p in network.populations}
    _, trace = traced(network, inputs, neurons)
    want = run_reference(network, inputs, record=tuple(network.population))
    for population in network.populations:
        name, spikes = population.name, want[population.name].spikes.swapaxes(0, 1)
        assert trace[f"shape.{name}"].tolist() == list(population.shape)
        if population.is_graded:
            assert np.array_equal(trace[f"payload.{name}"], spikes)
        else:
            bits = np.unpackbits(trace[f"spikes.{name}"], axis=-1, count=population.n)
            assert np.array_equal(bits, spikes)
        assert trace[f"neurons.{name}"].tolist() == list(neurons[name])
        for word, states in want[name].states.items():
            kept = states.swapaxes(0, 1)[:, :, neurons[name]]
            assert np.array_equal(trace[f"state.{name}.{word}"], kept), (name, word)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_loads_are_what_was_counted_and_timed(seed):
    network, inputs, placement = placed_network(seed)
    result, trace = traced(network, inputs, {}, placement=placement, chip=CHIP)
    counts, timing = result.counts, result.timing
    assert trace["rows.core"].tolist() == list(counts.cores)
    assert trace["rows.population"].tolist() == list(counts.populations)
    assert np.array_equal(trace["core.synaptic_ops"], counts.events["synaptic_op"])
    assert np.array_equal(trace["core.messages"], counts.events["message"])
    assert np.array_equal(trace["core.seconds"], timing.core_s)
    assert np.array_equal(trace["step.seconds"], timing.step_s)
    assert trace["links"].tolist() == list(timing.links)
    hops = counts.events["hop_x"] + counts.events["hop_y"]
    assert trace["link.messages"].sum(axis=0).tolist() == hops.sum(axis=0).tolist()


def test_an_unplaced_network_has_no_loads():
    network, inputs, _ = placed_network(0)
    _, trace = traced(network, inputs, {})
    assert not [key for key in trace if key.startswith(("core.", "link", "step.", "rows."))]


def test_a_trace_beyond_the_limit_is_refused_before_anything_runs(monkeypatch):
    network, inputs, _ = placed_network(0)
    monkeypatch.setattr(tracing, "MAX_BYTES", 10)
    with pytest.raises(ModelError, match=r"--trace: .* limit is 10"):
        traced(network, inputs, {})


def test_a_neuron_that_does_not_exist_is_refused():
    network, inputs, _ = placed_network(0)
    name, n = network.populations[0].name, network.populations[0].n
    for neurons in ({"nobody": (0,)}, {name: (n,)}):
        with pytest.raises(ModelError) as caught:
            traced(network, inputs, neurons)
        assert caught.value.code == "E3020"
