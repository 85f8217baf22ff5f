"""A pruned network is the unpruned one with those channels silenced: in float and in integers."""

import numpy as np
import pytest
import torch
from pruning_networks import FORMS, IMAGES, RECURRENT
from test_branching_modules import calibrate
from test_float_interpreter import build, frames

from hwtargets.simulator import SIMULATOR
from snndeploy.compress.prune import prune
from snndeploy.frontends.torch_module import ImportOptions, import_module
from snndeploy.nirgraph.interpret import run_float
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target
from snndeploy.samples import Samples
from tests.pruned import firing, kept_of, muted, on_grid, silenced, staying

NETWORKS = {
    **{
        f"{name}, {form}": (lambda net=net, lif=lif: net(lif), (2, 8, 8))
        for name, net in IMAGES.items()
        for form, lif in FORMS.items()
    },
    **{name: (make, (10,)) for name, make in RECURRENT.items()},
}
RATIO = 0.4


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Let tiny operations run on one thread, where they are fastest."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def imported(name):
    """Return the trained network as a model, and frames [T, B, …]."""
    make, shape = NETWORKS[name]
    net = build(make, seed=5)
    x = frames(shape, "spikes", 6)
    calibrate(net, {"input": x}, "outer")
    model = import_module(net, x[0], ImportOptions(steps=len(x)))
    return model, x.numpy().astype(np.float64)


def pruned(model, x):
    return prune(model, Samples(x={model.inputs[0].name: x}), criterion="rate", ratio=RATIO)


@pytest.mark.parametrize("name", NETWORKS)
def test_float_answers_are_those_of_the_silenced_network(name):
    model, x = imported(name)
    model = on_grid(model)
    found = pruned(model, x)
    kept = kept_of(found.report)
    assert any(group.after < group.before for group in found.report.groups)
    names, stays = firing(model), staying(model, kept)
    inputs = {model.inputs[0].name: x}
    got = run_float(found.model, inputs, record=names)
    for other in (silenced(model, kept), muted(model, kept)):
        want = run_float(other, inputs, record=names)
        assert all(np.abs(got[p.name] - want[p.name]).max() == 0.0 for p in model.outputs)
        assert all(np.array_equal(got[n], want[n][:, :, stays[n]]) for n in names)
    assert all(0.01 < got[n].mean() < 0.9 for n in names)


@pytest.mark.parametrize("name", NETWORKS)
def test_spikes_of_weights_as_trained_are_those_of_the_silenced_network(name):
    """Sums of trained weights depend on their order in the last bits, spikes do not."""
    model, x = imported(name)
    found = pruned(model, x)
    kept = kept_of(found.report)
    names, stays = firing(model), staying(model, kept)
    inputs = {model.inputs[0].name: x}
    got = run_float(found.model, inputs, record=names)
    want = run_float(silenced(model, kept), inputs, record=names)
    assert all(np.array_equal(got[n], want[n][:, :, stays[n]]) for n in names)
    np.testing.assert_allclose(got["output"], want["output"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_integers_are_those_of_the_silenced_network(name, tell):
    """Silent channels' weights are zero, so both networks choose the same units."""
    model, x = imported(name)
    found = pruned(model, x)
    kept = kept_of(found.report)
    stays = staying(model, kept)
    options, target = CompileOptions(), find_target("loihi2")
    small, whole = (compile_model(m, target, options) for m in (found.model, silenced(model, kept)))
    assert [(layer.unit, layer.unit_largest, layer.weight_exp) for layer in small.layers] == [
        (layer.unit, layer.unit_largest, layer.weight_exp) for layer in whole.layers
    ]
    names = tuple(p.name for p in small.network.populations if p.name in model.graph.nodes)
    inputs = {model.inputs[0].name: x.astype(np.int64)}
    got, want = (SIMULATOR.run(c.network, inputs, record=names).traces for c in (small, whole))
    cells = 0
    for n in names:
        population = whole.network.population[n]
        spikes = want[n].spikes
        spikes = spikes.reshape(*spikes.shape[:2], *population.shape)[:, :, stays[n]]
        assert np.array_equal(got[n].spikes.reshape(spikes.shape), spikes), n
        cells += spikes.size
    assert any(0.01 < got[n].spikes.mean() < 0.9 for n in names)
    tell(f"pruned = silenced in {name}: 0 of {cells:,} integer spikes differ")
    assert small.network.populations[0].n < whole.network.populations[0].n


def test_a_form_changes_nothing():
    """The same weights in either framework give the same spikes, so the same channels stay."""
    kept = []
    for form in FORMS:
        model, x = imported(f"identity shortcut, {form}")
        kept.append([group.kept for group in pruned(model, x).report.groups])
    assert len(kept[0]) == 3
    assert kept[0] == kept[1]
