"""Networks trained at 8, 4 and 2 bits: what was evaluated in torch is what is deployed.

Every spike of every population on 500 test inputs, torch against the simulator; fewer against the
reference and live Lava.
"""

import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from digits import load_digits, saccade_events

import snndeploy
from hwtargets.loihi.executor import LavaJob, run_jobs
from hwtargets.loihi.lower import lower
from hwtargets.simulator import SIMULATOR
from snndeploy.compress.integer_graph import integer_graph, moving_weights
from snndeploy.compress.integer_run import run_integers
from snndeploy.compress.records import Tuned
from snndeploy.frames import model_shapes
from snndeploy.inference import encode_samples
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.neurons import NEVER
from snndeploy.model import Model
from snndeploy.nirgraph.rebuild import copy_node, rebuild_graph
from snndeploy.nirgraph.weight_grid import WEIGHTS, grid_of_node
from snndeploy.pipeline import Compiled, CompileOptions
from snndeploy.samples import Samples, samples_of

MODELS = Path(__file__).parents[2] / "examples" / "models"
N_TRAIN, N_TEST, N_REFERENCE, N_LAVA, N_FULL = 256, 500, 4, 10, 20
CASES = {
    "images 8 bit": ("mnist_images", 8, "chip", "tensor"),
    "images 4 bit": ("mnist_images", 4, "chip", "tensor"),
    "images 2 bit odd": ("mnist_images", 2, "odd", "tensor"),
    "events 2 bit odd": ("mnist_events", 2, "odd", "tensor"),
    "snntorch 4 bit odd, channels": ("mnist_snntorch", 4, "odd", "channel"),
}
PARAMETERS = [
    pytest.param(name, marks=pytest.mark.full) if "snntorch" in name else name for name in CASES
]


@dataclass(frozen=True, eq=False)
class Case:
    quantized: Model
    tuned: Tuned
    compiled: Compiled
    test: Samples


def shown(name, images):
    return saccade_events(images) if "events" in name else images[None]


def worsened(model):
    """Return the model with noise on its weights: there is something to learn in a few steps."""
    rng = np.random.default_rng(0)
    nodes = {
        name: copy_node(
            node, weight=node.weight + rng.normal(0, node.weight.std(), node.weight.shape)
        )
        for name, node in model.graph.nodes.items()
        if isinstance(node, WEIGHTS)
    }
    return replace(model, graph=rebuild_graph(model.graph, nodes))


@cache
def trained(case):
    """Quantize an example model, train it for an epoch, compile it."""
    torch.set_num_threads(1)
    name, bits, grid, granularity = CASES[case]
    digits = load_digits()
    model = worsened(snndeploy.load(MODELS / f"{name}.pt"))
    quantized = snndeploy.quantize(model, bits, grid=grid, granularity=granularity).model
    tuned = snndeploy.finetune(
        quantized, shown(name, digits.train_images[:N_TRAIN]), label=digits.train_labels[:N_TRAIN],
        epochs=1, learning_rate=0.1, batch=16, hold_out=0,
    )  # fmt: skip
    test = samples_of(
        shown(name, digits.test_images[:N_TEST]), model_shapes(model), digits.test_labels[:N_TEST]
    )
    return Case(quantized, tuned, snndeploy.compile(tuned.model), test)


def evaluated(case, inputs):
    """Return what the training forward does: spikes, u and v by population."""
    graph = integer_graph(
        case.tuned.model, case.compiled.target.chip.numerics, CompileOptions(),
        steps=case.compiled.network.steps,
    )  # fmt: skip
    tensors = {name: torch.from_numpy(x.astype(np.float32)) for name, x in inputs.items()}
    names = tuple(population.name for population in case.compiled.network.populations)
    with torch.no_grad():
        answers, traces = run_integers(graph, moving_weights(graph), tensors, record=names)
    found = {
        name: [torch.stack(words).flatten(2).numpy() for words in (t.sent, t.u, t.v)]
        for name, t in traces.items()
    }
    return answers, found


def spikes(population):
    return population.params.get("vth", np.zeros(1))[0] != NEVER


def assert_same(network, want, got):
    for name, trace in want.items():
        sent, u, v = got[name]
        assert np.array_equal(u, trace.states["u"]), name
        assert np.array_equal(v, trace.states["v"]), name
        if spikes(network.population[name]):
            assert np.array_equal(sent, trace.spikes), name


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_spike_of_every_population_on_500_inputs(name, tell):
    case = trained(name)
    network = case.compiled.network
    inputs, _ = encode_samples(case.compiled, case.test)
    record = tuple(population.name for population in network.populations)
    want = SIMULATOR.run(network, inputs, record=record).traces
    answers, got = evaluated(case, inputs)
    assert set(got) == set(record)
    assert_same(network, want, got)
    cells, rates = 0, []
    for population in filter(spikes, network.populations):
        rate = float(want[population.name].spikes.mean())
        assert 0.01 <= rate <= 0.6, population.name
        rates.append(f"{rate:.1%}")
        cells += want[population.name].spikes.size
    (y,) = answers.values()
    right = float((y.sum(0).argmax(1).numpy() == case.test.label).mean())
    assert right == snndeploy.run(case.compiled, case.test).accuracy
    tell(f"trained = deployed, {name}: {cells:,} neuron-steps, rates {' '.join(rates)}")


@pytest.mark.parametrize("name", PARAMETERS)
def test_training_moved_codes_and_stayed_on_the_grid(name):
    case = trained(name)
    assert case.tuned.report.trained == "integer network"
    assert case.tuned.report.best == 1
    assert case.tuned.report.target == "loihi2"
    moved = 0
    for node, before in case.quantized.graph.nodes.items():
        grid, after = grid_of_node(node, before), case.tuned.model.graph.nodes[node]
        if grid is None:
            continue
        new = grid_of_node(node, after)
        rows = (-1, *[1] * (before.weight.ndim - 1))
        codes, own = (
            np.rint(n.weight / g.step.reshape(rows)) for n, g in ((after, new), (before, grid))
        )
        np.testing.assert_allclose(codes * new.step.reshape(rows), after.weight, rtol=1e-12)
        assert np.abs(codes).max() <= new.largest
        moved += np.count_nonzero(codes != own)
    assert moved > 20
    assert all(report.rounded == 0 for report in case.compiled.layers)


def test_the_judged_accuracy_is_the_deployed_one():
    name = "images 4 bit"
    case = trained(name)
    data, report = load_digits(), case.tuned.report
    given = shown(CASES[name][0], data.train_images[:N_TRAIN])
    deployed = snndeploy.run(case.compiled, given, label=data.train_labels[:N_TRAIN])
    assert report.after == deployed.accuracy
    as_quantized = snndeploy.run(
        snndeploy.compile(case.quantized), given, label=data.train_labels[:N_TRAIN]
    )
    assert report.before == as_quantized.accuracy


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
@pytest.mark.parametrize("n", [N_LAVA, pytest.param(N_FULL, marks=pytest.mark.full)])
def test_live_lava_and_the_reference_fire_as_training_did(n):
    names = ("images 8 bit", "images 4 bit", "images 2 bit odd", "events 2 bit odd")
    jobs, held = [], []
    for name in names:
        case = trained(name)
        inputs, _ = encode_samples(case.compiled, case.test.first(n))
        record = tuple(population.name for population in case.compiled.network.populations)
        jobs.append(LavaJob(program=lower(case.compiled.network), inputs=inputs, record=record))
        held.append((case, inputs, record))
    for (case, inputs, record), judged in zip(
        held, run_jobs(jobs, environ=os.environ), strict=True
    ):
        network = case.compiled.network
        _, got = evaluated(case, inputs)
        assert_same(network, judged, got)
        fewer = {key: values[:, :N_REFERENCE] for key, values in inputs.items()}
        want = run_reference(network, fewer, record=record)
        assert_same(network, want, {n: [w[:, :N_REFERENCE] for w in ws] for n, ws in got.items()})
