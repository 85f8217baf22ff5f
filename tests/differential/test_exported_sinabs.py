"""Our `.nir` files in sinabs: which fire there as they do here, in every cell, and which cannot.

sinabs reads IF as a neuron that subtracts its threshold, never falls below minus it and may fire
several times per step. Where that is the neuron, all spikes are the same. What it cannot is
recorded: Linear and AvgPool2d are left out without a word, tau is a number of steps.
"""

from dataclasses import replace

import nir
import numpy as np
import pytest
import sinabs
import sinabs.layers as sl
import torch
from test_exported_nir import network_of
from torch import nn

import snndeploy
from snndeploy.exporters.nir import model_file, network_file
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Population
from snndeploy.ir.neurons import ACT_SHIFT
from snndeploy.ir.programs import LIF_SUBTRACT, lif_subtract
from snndeploy.ir.synapses import Dense, Pool

pytestmark = pytest.mark.filterwarnings("ignore")
STEPS = 40
SHARES = {"c": 0.75, "p": 1.0, "o": 0.5}


def subtracting(network, *, floor):
    """Return a network of IFs that subtract, above a floor of minus their threshold or none.

    A threshold is a share of what a step can bring: so large that no neuron fires twice in it.
    """

    def params(name):
        (into,) = network.into(name)
        at_most = np.maximum(densified(into.synapse), 0).sum(axis=1).max()
        threshold = int(at_most * SHARES[name]) << ACT_SHIFT
        lowest = {"v_min": -threshold} if floor else {}
        return lif_subtract(du=4095, dv=0, threshold=threshold, strict=False, **lowest)

    populations = tuple(
        replace(p, program=LIF_SUBTRACT, params=params(p.name)) for p in network.populations
    )
    return replace(network, populations=populations)


def densified(synapse):
    """Return weights [targets or channels, inputs]."""
    if isinstance(synapse, Pool):
        return np.full((1, synapse.kernel[0] * synapse.kernel[1]), synapse.weight)
    return synapse.weight.reshape(len(synapse.weight), -1)


def pooled(network):
    """Put a sum pool with neurons of its own between the two layers."""
    c, o = network.populations
    into, out = network.projections
    pool = Pool(in_shape=(4, 5, 5), kernel=(2, 2), stride=(2, 2), weight=1)
    after = Population(name="p", shape=(4, 2, 2), program=o.program, params=o.params, wave=2)
    weight = np.ascontiguousarray(out.synapse.weight[:, :16])
    return replace(
        network,
        populations=(c, after, replace(o, wave=3)),
        projections=(
            into,
            replace(out, name="to p", target="p", synapse=pool, sign_mode="excitatory"),
            replace(out, source="p", synapse=Dense(weight=weight)),
        ),
    )


def in_sinabs(path, x):
    """Return the spikes of every neuron layer, [T, B, …], one sample after the other."""
    seen = {}
    for sample in range(x.shape[1]):
        net = sinabs.from_nir(nir.read(path), batch_size=1).eval()
        for name, part in net.named_modules():
            if isinstance(part, sl.StatefulLayer):
                part.register_forward_hook(
                    lambda _m, _i, y, name=name: seen.setdefault(name, []).append(y.numpy())
                )
        with torch.no_grad():
            net(torch.tensor(x[:, sample], dtype=torch.float32))
    return {name: np.stack(samples, axis=1) for name, samples in seen.items()}


@pytest.mark.parametrize(("form", "down"), [("dense", 20), ("image", 10), ("pooled", 10)])
def test_sinabs_fires_as_the_network_does(tmp_path, form, down):
    network, x = network_of(0, image=form != "dense", steps=STEPS)
    into, out = network.projections  # moved down, so that neurons reach their floor
    lower = replace(into.synapse, weight=into.synapse.weight - down)
    network = replace(network, projections=(replace(into, synapse=lower), out))
    network = subtracting(pooled(network) if form == "pooled" else network, floor=True)
    path = tmp_path / "a.nir"
    path.write_bytes(network_file(network)[0])
    want = run_reference(network, {"in": x}, record=tuple(network.population))
    got = in_sinabs(path, x)
    assert set(got) == set(want)
    for name, spikes in got.items():
        np.testing.assert_array_equal(spikes.reshape(want[name].spikes.shape), want[name].spikes)
        assert 0.01 < want[name].spikes.mean() < 0.9
    free = run_reference(subtracting(network, floor=False), {"in": x}, record=tuple(want))
    assert any(np.any(free[name].spikes != want[name].spikes) for name in want)  # it is reached


# ---- modules of sinabs, there and back ----------------------------------------------------------


def floored():
    return sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0)


def image():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3), floored(), sl.SumPool2d(2), nn.Flatten(), nn.Linear(54, 10), floored()
    )


def behind(neuron, **options):
    return nn.Sequential(nn.Linear(20, 12, **options), neuron)


def there_and_back(net, shape, tmp_path):
    """Return what a module answers, and what sinabs makes of our file of it, in every layer."""
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.Linear | nn.Conv2d):
                part.weight *= 3
    x = torch.tensor(np.random.default_rng(1).random((STEPS, *shape)) < 0.4, dtype=torch.float32)
    want = {}
    hooks = [
        part.register_forward_hook(lambda _m, _i, y, name=name: want.update({name: y.numpy()}))
        for name, part in net.named_modules()
        if isinstance(part, sl.StatefulLayer)
    ]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    sinabs.reset_states(net)
    model = snndeploy.save(net, tmp_path / "m.pt", x, steps=STEPS)
    path = tmp_path / "m.nir"
    path.write_bytes(model_file(model)[0])
    got = in_sinabs(path, x[:, None].numpy())
    return want, {name: y[:, 0] for name, y in got.items()}


@pytest.mark.parametrize(
    ("make", "shape"), [(image, (2, 8, 8)), (lambda: behind(floored()), (20,))],
    ids=["image", "dense"],
)  # fmt: skip
def test_a_module_of_sinabs_comes_back_as_itself(tmp_path, make, shape):
    torch.manual_seed(1)
    want, got = there_and_back(make(), shape, tmp_path)
    assert set(got) == set(want)
    for name, spikes in want.items():
        np.testing.assert_array_equal(got[name], spikes)
        assert 0.02 < np.mean(spikes > 0) < 0.9
    assert max(spikes.max() for spikes in want.values()) > 1


def test_sinabs_drops_a_linear_without_a_word(tmp_path):
    torch.manual_seed(1)
    with pytest.raises(RuntimeError, match="size of tensor"):
        there_and_back(behind(floored(), bias=False), (20,), tmp_path)


def test_sinabs_takes_seconds_for_steps(tmp_path):
    torch.manual_seed(1)
    leaky = sl.LIFSqueeze(tau_mem=8.0, batch_size=1, norm_input=False)
    want, got = there_and_back(behind(leaky), (20,), tmp_path)
    tau = nir.read(tmp_path / "m.nir").nodes["1"].tau
    assert np.all(tau < 1e-2)  # seconds, at 1e-4 per step
    assert np.any(got["1"] != want["1"])
