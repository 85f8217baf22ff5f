"""What users really train: the tutorials' networks, spike for spike or refused with a way out."""

import numpy as np
import pytest
import torch
from test_float_interpreter import RATES, build, calibrate, run_framework
from tutorials import NETWORKS, POOL_FIRST, STEPS

from hwtargets.simulator import SIMULATOR
from snndeploy.errors import UnsupportedError
from snndeploy.frontends import checkpoint, nir_file
from snndeploy.frontends.rewrite import pool_after_neuron
from snndeploy.inference import encode_samples
from snndeploy.ir.interpret import run_reference
from snndeploy.nirgraph.interpret import run_float
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target
from snndeploy.samples import Samples

SAMPLES = 5


def example(case, seed):
    torch.manual_seed(seed)
    leading = (SAMPLES,) if case.time == "frames" else (STEPS, SAMPLES)
    x = torch.rand(*leading, *case.shape)
    return x if case.time == "frames" else (x < 0.3).float()


def run_time(case):
    return "outer" if case.time == "outer" else "module"


def imported(net, case, x, path):
    """Return the model, its input and the names of the nodes of every neuron layer."""
    model = checkpoint.save(net, path / "model.pt", x[0] if case.time == "outer" else x)
    given = x.numpy()[None] if case.time == "frames" else x.numpy()
    return model, {"input": given}


def check(net, case, x, path):
    """Compare the spikes of every neuron layer and the answer in every cell."""
    expected, spikes = run_framework(net, x, run_time(case))
    model, inputs = imported(net, case, x, path)
    names = tuple(spikes)
    answers = run_float(model, inputs, record=names)
    for name in names:
        rate = answers[name].mean()
        assert RATES[0] <= rate <= RATES[1], f"{name} fires in {rate:.1%} of cells: not a test"
        assert np.array_equal(answers[name], spikes[name].astype(float)), name
    port = model.outputs[0]
    answer = answers[port.name]
    if expected.ndim < answer.ndim:
        answer = {"sum": answer.sum(0), "mean": answer.mean(0), "last": answer[-1]}[port.decode]
    np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)
    nir_file.write(model, path / "model.nir")
    for copy in (checkpoint.load(path / "model.pt"), nir_file.read(path / "model.nir")):
        again = run_float(copy, inputs, record=names)
        assert all(np.array_equal(again[name], answers[name]) for name in answers)
        assert (copy.inputs, copy.outputs, copy.steps) == (model.inputs, model.outputs, model.steps)
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_a_tutorials_spikes_are_reproduced_in_every_cell(name, tmp_path):
    case = NETWORKS[name]
    net = build(case.make, seed=len(name))
    x = example(case, 7)
    calibrate(net, x, run_time(case))
    model = check(net, case, x, tmp_path)
    assert model.steps == (None if case.time == "outer" else STEPS)
    assert model.inputs[0].repeat == (case.time == "frames")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_tutorial_compiles_as_it_is(name, tmp_path, tell):
    """No change to the module; what the chip sends differs from the float model by rounding."""
    case = NETWORKS[name]
    net = build(case.make, seed=len(name))
    x = example(case, 7)
    calibrate(net, x, run_time(case))
    model, inputs = imported(net, case, x, tmp_path)
    compiled = compile_model(model, find_target("loihi2"), CompileOptions(steps=STEPS))
    assert not compiled.violations
    names = tuple(compiled.network.population)
    samples = Samples(x=inputs, label=None)
    given, _ = encode_samples(compiled, samples)
    traces = run_reference(compiled.network, given, record=names)
    simulated = SIMULATOR.run(compiled.network, given, record=names).traces
    floats = run_float(model, inputs, record=tuple(n for n in names if n in model.graph.nodes))
    differ = []
    for layer in names:
        np.testing.assert_array_equal(simulated[layer].spikes, traces[layer].spikes)
        if layer in floats and traces[layer].spikes.any():
            want = floats[layer].reshape(traces[layer].spikes.shape)
            differ.append(float(np.mean(want != traces[layer].spikes)))
    programs = "+".join(dict.fromkeys(report.program for report in compiled.layers))
    shares = ", ".join(f"{share:.1%}" for share in differ)
    tell(f"{name}: {programs}; spikes that differ from the float model, per layer: {shares}")


@pytest.mark.parametrize("name", POOL_FIRST)
def test_a_pool_before_the_neuron_is_refused_and_the_remedy_works(name, tmp_path):
    case = POOL_FIRST[name]
    net = build(case.make, seed=len(name))
    x = example(case, 7)
    with pytest.raises(UnsupportedError, match=r"rewrite=.pool-after-neuron") as caught:
        imported(net, case, x, tmp_path)
    assert caught.value.code == "E2004"
    weights = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    moved = pool_after_neuron(net)
    assert all(torch.equal(net.state_dict()[name], value) for name, value in weights.items())
    calibrate(moved, x, run_time(case))
    model = check(moved, case, x, tmp_path)
    assert sum(node.endswith(".any") for node in model.graph.nodes) == 2


def test_nothing_to_move_is_refused():
    with pytest.raises(UnsupportedError, match=r"E2004.*no max pool is followed by a neuron"):
        pool_after_neuron(NETWORKS["snntorch population"].make())
