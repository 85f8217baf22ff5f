"""Branching networks: the imported graph fires where the framework fires, in every cell."""

from collections import defaultdict

import nir
import numpy as np
import pytest
import snntorch as snn
import torch
from graph_networks import JOINS, NETWORKS
from spikingjelly.activation_based import functional
from test_float_interpreter import RATES, build, neurons_of

from hwtargets.simulator import SIMULATOR
from snndeploy.frontends import checkpoint, nir_file
from snndeploy.frontends.torch_module import ImportOptions, import_module
from snndeploy.ir.interpret import run_reference
from snndeploy.nirgraph.interpret import run_float
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target

STEPS, SAMPLES = 10, 5
FIRING = (nir.IF, nir.LIF, nir.Threshold)


def example(shapes, kind, seed):
    torch.manual_seed(seed)
    found = {}
    for name, shape in shapes.items():
        x = torch.rand(STEPS, SAMPLES, *shape)
        found[name] = (x < 0.3).float() if kind == "spikes" else x
    return found


def run(net, inputs, time):
    """Return the outputs by name, None over all steps, and every neuron layer's spikes."""
    functional.reset_net(net)
    for module in net.modules():
        if isinstance(module, snn.SpikingNeuron):
            module.reset_mem()
    seen = defaultdict(list)
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, n=name: seen[n].append(out.clone()))
        for name, module in neurons_of(net).items()
    ]
    frames = [[x[t] for x in inputs.values()] for t in range(STEPS)]
    with torch.no_grad():
        outs = [net(*frame) for frame in frames] if time == "outer" else net(*inputs.values())
    for hook in hooks:
        hook.remove()
    spikes = {k: (v[0] if len(v) == 1 else torch.stack(v)).numpy() for k, v in seen.items()}
    if time != "outer":
        return {"output": outs.numpy()}, spikes
    if isinstance(outs[0], dict):
        return {key: torch.stack([out[key] for out in outs]).numpy() for key in outs[0]}, spikes
    return {"output": torch.stack(outs).numpy()}, spikes


def calibrate(net, inputs, time):
    """Scale the thresholds until every layer fires in about a sixth of its cells."""
    for name, node in neurons_of(net).items():
        for _ in range(30):
            rate = run(net, inputs, time)[1][name].mean()
            if 0.08 < rate < 0.3:
                break
            factor = 0.8 if rate < 0.15 else 1.3
            if isinstance(node, snn.SpikingNeuron):
                node.threshold *= factor
            else:
                node.v_threshold *= factor


def first_of(inputs, time):
    first = {name: x if time == "module" else x[0] for name, x in inputs.items()}
    return tuple(first.values()) if len(first) > 1 else first["input"]


def spikes_at(answers, name):
    """Return the spikes of a layer; behind a concatenation there is one node per part."""
    if name in answers:
        return answers[name]
    parts = [answers[key] for key in sorted(answers) if key.rpartition(".")[0] == name]
    return np.concatenate(parts, axis=2)


@pytest.mark.parametrize("kind", ["spikes", "real"])
@pytest.mark.parametrize("name", NETWORKS)
def test_spikes_of_a_graph_are_reproduced_in_every_cell(name, kind, tmp_path):
    make, shapes, time = NETWORKS[name]
    net = build(make, seed=len(name) + 1)
    inputs = example(shapes, kind, 7)
    calibrate(net, inputs, time)
    expected, spikes = run(net, inputs, time)
    model = checkpoint.save(net, tmp_path / "model.pt", first_of(inputs, time))
    arrays = {key: x.numpy() for key, x in inputs.items()}
    layers = tuple(
        node for node in model.graph.nodes
        if node in spikes or node.rpartition(".")[0] in spikes
    )  # fmt: skip
    answers = run_float(model, arrays, record=layers)
    for layer in spikes:
        found = spikes_at(answers, layer)
        assert RATES[0] <= found.mean() <= RATES[1], f"{layer} fires in {found.mean():.1%}"
        assert np.array_equal(found, spikes[layer]), layer
    for port in model.outputs:
        answer = answers[port.name]
        answer = answer.mean(0) if port.decode == "mean" else answer
        np.testing.assert_allclose(answer, expected[port.name], rtol=1e-5, atol=1e-5)
    nir_file.write(model, tmp_path / "model.nir")
    for copy in (checkpoint.load(tmp_path / "model.pt"), nir_file.read(tmp_path / "model.nir")):
        again = run_float(copy, arrays, record=layers)
        assert all(np.array_equal(again[key], answers[key]) for key in answers)
        assert (copy.inputs, copy.outputs, copy.steps) == (model.inputs, model.outputs, model.steps)


def test_joins_differ():
    """The joins are not the same function by accident."""
    outs = set()
    for name in JOINS:
        net = build(NETWORKS[f"join: {name}"][0], seed=1)
        inputs = example({"input": (2, 8, 8)}, "spikes", 3)
        outs.add(run(net, inputs, "outer")[0]["output"].tobytes())
    assert len(outs) >= 8


COMPILED = (
    "join: twice the same", "join: difference", "join: iand", "join: or by clamp",
    "join: or by maximum", "cat of sums", "current add", "inception", "subsampled", "multi-step",
)  # fmt: skip


@pytest.mark.parametrize("name", COMPILED)
def test_what_is_imported_is_deployed(name):
    """With hard resets the graph lowers; 8-bit weights change few spikes, the simulator none."""
    make, shapes, time = NETWORKS[name]
    net = build(make, seed=3)
    for node in neurons_of(net).values():
        node.v_reset = 0.0
    inputs = example(shapes, "spikes", 7)
    calibrate(net, inputs, time)
    model = import_module(net, first_of(inputs, time), ImportOptions(steps=STEPS))
    network = compile_model(model, find_target("loihi2"), CompileOptions()).network
    x = {key: value.numpy() for key, value in inputs.items()}
    integers = {key: value.astype(np.int64) for key, value in x.items()}
    wanted = tuple(p.name for p in network.populations if p.name in model.graph.nodes)
    traces = run_reference(network, integers, record=wanted)
    simulated = SIMULATOR.run(network, integers, record=wanted).traces
    assert all(np.array_equal(simulated[k].spikes, traces[k].spikes) for k in wanted)
    spiking = tuple(k for k in wanted if isinstance(model.graph.nodes[k], FIRING))
    floats = run_float(model, x, record=spiking)
    for key in spiking:
        found = traces[key].spikes
        assert np.mean(floats[key].reshape(found.shape) != found) < 0.05, key
        assert 0.005 < found.mean() < 0.7, key
