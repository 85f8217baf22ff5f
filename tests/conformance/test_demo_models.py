"""The trained example models on held-out digits: accuracy, equal decisions, and every executor."""

import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from digits import load_digits, saccade_events

import snndeploy
from hwtargets.loihi.executor import LavaJob, run_jobs
from hwtargets.loihi.lower import lower
from hwtargets.simulator import SIMULATOR
from snndeploy.ir.encode import encode
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Source
from snndeploy.ir.neurons import NEVER
from snndeploy.ir.readout import decide, read_output
from snndeploy.ir.verify_network import range_problems
from snndeploy.nirgraph.interpret import run_float
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target

MODELS = Path(__file__).parents[2] / "examples" / "models"
DEMO = ("mnist_images", "mnist_events", "mnist_snntorch")
SEEDS = {name: tuple(sorted(path.stem for path in MODELS.glob(f"{name}*.pt"))) for name in DEMO}
N_LAVA, N_FULL = 40, 100


@cache
def held_out(kind):
    """Return the test inputs [T, 1000, C, 28, 28] and labels for images or events."""
    digits = load_digits()
    if kind == "events":
        return saccade_events(digits.test_images).astype(float), digits.test_labels
    return digits.test_images[None].astype(float), digits.test_labels


def data_of(name):
    return held_out("events" if "events" in name else "images")


@cache
def deployed(stem, host_layers=0):
    """Return a compiled model, its float answers and the integers its network is given."""
    model = snndeploy.load(MODELS / f"{stem}.pt")
    options = CompileOptions(host_layers=host_layers)
    compiled = compile_model(model, find_target("loihi2"), options)
    x, _ = data_of(stem)
    frames = np.broadcast_to(x, (model.steps, *x.shape[1:])) if len(x) == 1 else x
    port = model.inputs[0].name
    answers = run_float(model, {port: frames})[model.outputs[0].name]
    on_chip = frames
    if compiled.host is not None:
        on_chip = run_float(compiled.host, {port: frames})[compiled.host.outputs[0].name]
    (source,) = compiled.network.sources
    encoded = encode(source, on_chip, steps=model.steps, rng=np.random.default_rng(0))
    return compiled, answers, {source.name: encoded.values}


def decisions(stem, host_layers=0):
    """Return the decisions [1000] of the float model and of the integer network."""
    compiled, answers, inputs = deployed(stem, host_layers)
    (output,) = compiled.network.outputs
    result = SIMULATOR.run(compiled.network, inputs, record=(output.population,))
    y = read_output(output, result.traces[output.population])
    return decide(output, answers), decide(output, y)


def differing(stem, n=200):
    """Return per spiking layer the share of spikes that the integers change, on n test inputs."""
    compiled, _, inputs = deployed(stem)
    network = compiled.network
    names = tuple(p.name for p in network.populations if p.scalar("vth") != NEVER)
    (source,) = network.sources
    x = data_of(stem)[0][:, :n]
    frames = np.broadcast_to(x, (network.steps, *x.shape[1:])) if len(x) == 1 else x
    floats = run_float(compiled.model, {source.name: frames}, record=names)
    given = {source.name: inputs[source.name][:, :n]}
    traces = SIMULATOR.run(network, given, record=names).traces
    return {
        name: float(np.mean(floats[name].reshape(traces[name].spikes.shape) != traces[name].spikes))
        for name in names
    }


@pytest.mark.parametrize("name", DEMO)
def test_accuracy_survives_the_integers(name, tell):
    labels = data_of(name)[1]
    rows = []
    for stem in SEEDS[name]:
        real, whole = decisions(stem)
        rows.append((np.mean(real == labels), np.mean(whole == labels), np.mean(real == whole)))
    real, whole, equal = np.mean(rows, axis=0)
    tell(
        f"{name}: {len(rows)} seeds, float {real:.2%}, integer {whole:.2%}, "
        f"equal decisions {equal:.2%}; spikes that differ, per layer: "
        + ", ".join(f"{layer} {share:.2%}" for layer, share in differing(name).items())
    )
    assert len(rows) == 3
    assert real >= 0.955
    assert whole >= real - 0.005
    assert equal >= 0.99


@pytest.mark.parametrize("name", ["mnist_images", "mnist_snntorch"])
def test_accuracy_with_the_first_layer_on_the_host(name):
    labels = data_of(name)[1]
    rows = [decisions(stem, host_layers=1) for stem in SEEDS[name]]
    real = np.mean([np.mean(r == labels) for r, _ in rows])
    whole = np.mean([np.mean(w == labels) for _, w in rows])
    assert whole >= real - 0.003
    assert np.mean([np.mean(r == w) for r, w in rows]) >= 0.99


@pytest.mark.lava
@pytest.mark.parametrize("name", DEMO)
@pytest.mark.parametrize("n", [N_LAVA, pytest.param(N_FULL, marks=pytest.mark.full)])
@pytest.mark.usefixtures("lava_python")
def test_lava_equals_reference_and_simulator_on_test_images(n, name):
    compiled, _, inputs = deployed(name)
    network = compiled.network
    inputs = {key: values[:, :n] for key, values in inputs.items()}
    record = tuple(population.name for population in network.populations)
    want = run_reference(network, inputs, record=record)
    simulated = SIMULATOR.run(network, inputs, record=record).traces
    job = LavaJob(program=lower(network), inputs=inputs, record=record)
    (judged,) = run_jobs([job], environ=os.environ)
    for name_, trace in want.items():
        if network.population[name_].scalar("vth") != NEVER:
            assert 0.01 <= trace.spikes.mean() <= 0.6, name_
        for got in (simulated[name_], judged[name_]):
            assert np.array_equal(got.spikes, trace.spikes)
            assert all(np.array_equal(got.states[w], trace.states[w]) for w in ("u", "v"))


def readout_alone(network):
    """Return the readout of a network with its sources as host spikes, and the worst input."""
    (projection,) = network.into(network.outputs[0].population)
    before = network.population[projection.source]
    alone = replace(
        network,
        sources=(Source(name=before.name, shape=before.shape),),
        populations=(replace(network.population[projection.target], wave=1),),
        projections=(projection,),
    )
    positive = np.maximum(projection.synapse.weight, 0).sum(axis=1)
    worst = projection.synapse.weight[np.argmax(positive)] > 0
    frames = np.broadcast_to(worst.reshape(before.shape), (network.steps, 1, *before.shape))
    return alone, {before.name: frames.astype(np.int64)}


def clipped(network, inputs):
    """Return how often the readout clips, in the reference."""
    overflows = {}
    name = network.outputs[0].population
    run_reference(network, inputs, record=(name,), overflows=overflows)
    return overflows[f"{name}.y.clip"]


def test_the_unguarded_demo_readout_is_caught():
    compiled, _, _ = deployed("mnist_images")
    report = compiled.layers[-1]
    assert report.enlarged > 1.01
    guarded, worst = readout_alone(compiled.network)
    assert not list(range_problems(guarded))
    assert clipped(guarded, worst) == 0
    (projection,) = guarded.projections
    finer = np.clip(np.rint(projection.synapse.weight * report.enlarged / 2) * 2, -254, 254)
    synapse = replace(projection.synapse, weight=finer.astype(np.int64))
    unguarded = replace(guarded, projections=(replace(projection, synapse=synapse),))
    assert any("clips" in problem for problem in range_problems(unguarded))
    assert clipped(unguarded, worst) > 0
