"""The neuron of the contributor's guide: the lines of its diff, and nothing else of ours."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate

import snndeploy
from hwtargets.loihi.executor import LavaJob, run_jobs
from hwtargets.loihi.lower import lower
from hwtargets.simulator import SIMULATOR
from snndeploy.ir.interpret import run_reference
from snndeploy.nirgraph.interpret import run_float

STEPS, SAMPLES, N_IN = 24, 5, 10
GUIDE = Path(__file__).parents[2] / "CONTRIBUTING.md"


@pytest.fixture(scope="module")
def guide():
    """Return the names that the diff of the guide defines."""
    section = GUIDE.read_text().split("## Adding a neuron")[1].split("\n## ")[0]
    (diff,) = re.findall(r"```diff\n(.*?)```", section, re.S)
    assert all(line.startswith("+") for line in diff.splitlines())
    names = {}
    exec("\n".join(line[1:] for line in diff.splitlines()), names)
    return names


@pytest.fixture(scope="module")
def network(guide):
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        layer.Linear(N_IN, 16, bias=False),
        guide["Adaptive"](keep=0.875, recover=0.75, cost=0.5),
        layer.Linear(16, 4, bias=False),
        neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan()),
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.15
    return net.eval().double()


@pytest.fixture(scope="module")
def frames():
    return (np.random.default_rng(0).random((STEPS, SAMPLES, N_IN)) < 0.3).astype(float)


@pytest.fixture(scope="module")
def model(network, frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "model.pt"
    snndeploy.save(network, path, torch.tensor(frames[0]), steps=STEPS)
    return snndeploy.load(path)


def run_module(net, frames):
    functional.reset_net(net)
    with torch.no_grad():
        return np.stack([net(frame).numpy() for frame in torch.tensor(frames)])


def test_its_float_model_is_the_module(network, model, frames):
    names = tuple(name for name in model.graph.nodes if "1" in name)
    want = run_module(network, frames)
    got = run_float(model, {model.inputs[0].name: frames}, record=names)
    np.testing.assert_array_equal(got[model.outputs[0].name], want)
    assert 0.02 < want.mean() < 0.7


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_it_compiles_and_every_executor_gives_the_same_spikes(model, frames):
    compiled = snndeploy.compile(model, "loihi")
    assert not compiled.violations
    assert [report.program for report in compiled.layers] == ["adaptive", "lif"]
    net = compiled.network
    names = tuple(net.population)
    inputs = {net.inputs[0].name: frames.astype(np.int64)}
    want = run_reference(net, inputs, record=names)
    (lava,) = run_jobs(
        [LavaJob(program=lower(net), inputs=inputs, record=names)], environ=os.environ
    )
    simulated = SIMULATOR.run(net, inputs, record=names).traces
    floats = run_float(model, {net.inputs[0].name: frames}, record=names)
    for name, trace in want.items():
        assert 0.02 < trace.spikes.mean() < 0.7
        for got in (lava[name], simulated[name]):
            np.testing.assert_array_equal(got.spikes, trace.spikes)
            for word, values in trace.states.items():
                np.testing.assert_array_equal(got.states[word], values)
        assert np.mean(floats[name].reshape(trace.spikes.shape) != trace.spikes) < 0.05


def test_loihi1_refuses_it(model):
    violations = snndeploy.compile(model, "loihi1").violations
    assert any("microcode" in violation.rule for violation in violations)
