"""The networks of QP-SNN: their neuron, their shortcuts, what is imported, and their sizes."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional
from test_float_interpreter import neurons_of
from torch import nn

from snndeploy.compress.channels import groups_of, is_copy
from snndeploy.compress.paper_counts import (
    PaperActivity,
    connections,
    paper_activity,
    paper_parameters,
)
from snndeploy.compress.prune import prune
from snndeploy.frontends.torch_module import ImportOptions, import_module
from snndeploy.nirgraph.interpret import run_float
from snndeploy.samples import Samples
from snndeploy.zoo.neuron import lif
from snndeploy.zoo.qp_snn import Block, digit_net, resnet20, vgg16, vggsnn
from snndeploy.zoo.qp_snn_ratios import RATIOS
from tests.pruned import firing, kept_of, on_grid, random_kept, removed, silenced, staying


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class PaperSpike(torch.autograd.Function):
    """The paper's neuron, transcribed: strict comparison, triangle of width 1."""

    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u - 1.0 > 0).float()

    @staticmethod
    def backward(ctx, gradient):
        (u,) = ctx.saved_tensors
        return gradient * torch.clamp(1.0 - (u - 1.0).abs(), min=0)


def paper_neuron(x):
    """Return the spikes [T, …] of the paper's equations, gradients through the reset included."""
    u, out = torch.zeros_like(x[0]), []
    for now in x:
        u = 0.5 * u + now
        s = PaperSpike.apply(u)
        out.append(s)
        u = u * (1 - s)
    return torch.stack(out)


def test_the_neuron_and_its_gradient_are_the_papers():
    torch.manual_seed(0)
    x = torch.randn(6, 3, 40) * 0.8 + 0.4
    x[:, 0, :8] = 1.0  # ties: 1, then 1.5, 1, …
    grads = []
    for neuron in (lif(), paper_neuron):
        mine = x.clone().requires_grad_()
        spikes = neuron(mine)
        (spikes * torch.linspace(0, 1, 40)).sum().backward()
        grads.append((spikes.detach(), mine.grad))
    assert torch.equal(grads[0][0], grads[1][0])
    assert torch.allclose(grads[0][1], grads[1][1], rtol=0, atol=1e-6)
    assert grads[0][0][:, 0, 0].tolist() == [0, 1, 0, 1, 0, 1]
    assert 0.1 < grads[0][0].mean() < 0.7


@pytest.mark.parametrize(("n_in", "n_out", "stride"), [(4, 4, 1), (4, 7, 1), (4, 8, 2)])
def test_a_block_is_the_papers(n_in, n_out, stride):
    """Steps are samples to convolutions; what is subsampled and padded is added before firing."""
    torch.manual_seed(1)
    block = Block(n_in, n_out, stride).eval()
    x = (torch.rand(3, 2, n_in, 6, 6) < 0.4).float()
    merged = x.flatten(0, 1)
    with torch.no_grad():
        for norm in (block.bn1, block.bn2):
            norm.running_mean.copy_(torch.randn(n_out) * 0.1)
            norm.weight.copy_(torch.rand(n_out) * 2)
        y = nn.functional.conv2d(merged, block.conv1.weight, stride=stride, padding=1)
        y = paper_neuron(normalised(block.bn1, y).unflatten(0, (3, 2))).flatten(0, 1)
        y = normalised(block.bn2, nn.functional.conv2d(y, block.conv2.weight, padding=1))
        short = torch.zeros(6, n_out, *y.shape[2:])
        before = (n_out - n_in) // 2
        short[:, before : before + n_in] = merged[:, :, ::stride, ::stride]
        want = paper_neuron((y + short).unflatten(0, (3, 2)))
        assert torch.equal(block(x), want)
    assert 0.02 < want.mean() < 0.9


def normalised(norm, y):
    return nn.functional.batch_norm(
        y, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
    )


def awake(net, x):
    """Let batch normalisation take the statistics of an input, so that all layers fire."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
    with torch.no_grad():
        net.train()(x)
    functional.reset_net(net)
    return net.eval()


def cifar(n, size):
    return torch.rand(n, 3, size, size)


NETWORKS = {
    "digits": (lambda: digit_net(steps=4), lambda: torch.rand(6, 1, 28, 28)),
    "digit events": (
        lambda: digit_net(steps=None, channels=2),
        lambda: (torch.rand(5, 4, 2, 28, 28) < 0.2).float(),
    ),
    "resnet20": (lambda: resnet20(size=8), lambda: cifar(2, 8)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_imported_fires_where_the_module_fires(name):
    make, example = NETWORKS[name]
    torch.manual_seed(3)
    net, x = make(), example()
    awake(net, x)
    seen = {}
    for path, module in neurons_of(net).items():
        module.register_forward_hook(lambda _m, _i, out, p=path: seen.update({p: out.numpy()}))
    with torch.no_grad():
        answer = net(x).numpy()
    model = import_module(net, x, ImportOptions())
    assert model.steps == (5 if name == "digit events" else net.steps)
    frames = x.numpy()[None] if model.inputs[0].repeat else x.numpy()
    found = run_float(model, {model.inputs[0].name: frames}, record=tuple(seen))
    # The module sums in float32, the interpreter in float64: a potential at the threshold may fall
    # on either side.
    cells = sum(spikes.size for spikes in seen.values())
    different = sum(int((found[path] != spikes).sum()) for path, spikes in seen.items())
    assert different <= 1e-4 * cells
    assert all(0.005 < spikes.mean() < 0.8 for spikes in seen.values())
    assert model.semantics_of(next(iter(seen))).compare == "gt"
    np.testing.assert_allclose(found["output"].mean(0), answer, atol=0.1)


def test_the_pruned_resnet_is_the_silenced_one(tell):
    torch.manual_seed(4)
    x = cifar(2, 8)
    net = awake(resnet20(size=8), x)
    model = on_grid(import_module(net, x, ImportOptions()))
    kept = random_kept(groups_of(model.graph), np.random.default_rng(0), share=0.5)
    inputs = {model.inputs[0].name: np.rint(x.numpy()[None] * 256) / 256}
    names, stays = firing(model), staying(model, kept)
    got = run_float(removed(model, kept), inputs, record=names)
    want = run_float(silenced(model, kept), inputs, record=names)
    assert np.abs(got["output"] - want["output"]).max() == 0.0
    assert all(np.array_equal(got[n], want[n][:, :, stays[n]]) for n in names)
    tell(f"pruned = silenced in resnet20: 0 of {sum(got[n].size for n in names):,} spikes differ")
    assert all(0.001 < got[n].mean() < 0.9 for n in names)


BUILT = {
    "vgg16 10": (lambda: vgg16(10), (1, 3, 32, 32)),
    "vgg16 100": (lambda: vgg16(100), (1, 3, 32, 32)),
    "vgg16 200": (lambda: vgg16(200, size=64), (1, 3, 64, 64)),
    "resnet20 10": (lambda: resnet20(10), (1, 3, 32, 32)),
    "resnet20 100": (lambda: resnet20(100), (1, 3, 32, 32)),
    "vggsnn 10": (lambda: vggsnn(10), (2, 1, 2, 48, 48)),
}


@lru_cache(maxsize=2)
def built(name):
    make, shape = BUILT[name]
    return import_module(make(), torch.ones(shape) if len(shape) == 5 else torch.rand(shape),
                         ImportOptions())  # fmt: skip


TABLE = [
    ("vgg16 10", "vgg16 CIFAR-10", (4.28, 2.16, 1.10)),
    ("vgg16 10", "vgg16 CIFAR-10 small", (1.45, 0.74, 0.39)),
    ("vgg16 100", "vgg16 CIFAR-100", (2.48, 1.35, 0.79)),
    ("vgg16 100", "vgg16 CIFAR-100 small", (1.85, 1.04, 0.63)),
    ("vgg16 200", "vgg16 TinyImageNet", (5.90, 3.78, 2.72)),
    ("vgg16 200", "vgg16 TinyImageNet small", (4.67, 3.17, 2.41)),
    ("resnet20 10", "resnet20", (6.27, 3.16, 1.61)),
    ("resnet20 10", "resnet20 small", (3.92, 1.98, 1.02)),
    ("resnet20 100", "resnet20", (6.45, 3.35, 1.79)),
    ("resnet20 100", "resnet20 small", (4.10, 2.17, 1.20)),
    ("vggsnn 10", "vggsnn", (1.61, 0.90, 0.55)),
    ("vggsnn 10", "vggsnn small", (1.05, 0.62, 0.41)),
    ("vggsnn 10", "vggsnn smallest", (0.40, 0.29, 0.24)),
]
"""Table 1 of the paper: MB at 8, 4 and 2 bits."""


@pytest.mark.parametrize(("network", "ratios", "sizes"), TABLE)
def test_sizes_are_those_of_the_papers_table(network, ratios, sizes, tell):
    found = prune(built(network), None, criterion="random", ratio=RATIOS[ratios])
    counted = paper_parameters(found.model, first_bias="vgg" in network)
    own = tuple(counted.size_mb(bits) for bits in (8, 4, 2))
    assert np.round(own, 2).tolist() == list(sizes)
    tell(f"MB as QP-SNN counts, {network} {ratios}: {own[0]:.3f} {own[1]:.3f} {own[2]:.3f}")


def test_widths_of_the_resnet_are_the_papers():
    model = built("resnet20 100")
    found = prune(model, None, criterion="random", ratio=RATIOS["resnet20"])
    widths = {layer.name: layer.channels_after for layer in found.report.layers}
    assert widths["features.conv0"] == 57
    assert [widths[f"features.stage1_{b}.conv1"] for b in range(3)] == [89, 51, 51]
    assert [widths[f"features.stage{s}_0.conv2"] for s in (1, 2, 3)] == [89, 179, 512]
    assert [widths[f"features.stage{s}_1.conv1"] for s in (2, 3)] == [102, 204]
    assert sum(is_copy(node) for node in found.model.graph.nodes.values()) == 3
    assert kept_of(found.report)["features.conv0"].size == 57


def test_connections_are_those_of_the_papers_table():
    for network, ratios, share in (
        ("vgg16 10", "vgg16 CIFAR-10 small", 9.61), ("resnet20 100", "resnet20 small", 22.69),
    ):  # fmt: skip
        found = prune(built(network), None, criterion="random", ratio=RATIOS[ratios])
        assert 100 * connections(found.model, built(network)) == pytest.approx(share, abs=0.03)


def test_whole_networks_have_the_papers_sizes():
    assert paper_parameters(built("vgg16 10")).size_mb(32) == pytest.approx(58.88, abs=0.03)
    assert paper_parameters(built("resnet20 100")).size_mb(32) == pytest.approx(68.4, abs=0.05)


def test_energy_is_the_papers_of_its_operations():
    """Table of efficiency: SOPs per step, steps, and the first layer's operations, in mJ."""
    macs = 64 * 32 * 32 * 27
    vgg = PaperActivity(sops=54.60e6, macs=macs, steps=4)
    assert vgg.energy_j * 1e3 == pytest.approx(0.204, abs=1e-3)
    resnet = PaperActivity(sops=415.64e6, macs=macs, steps=2)
    assert resnet.energy_j * 1e3 == pytest.approx(0.756, abs=1e-3)


def test_operations_are_inputs_that_are_not_zero_times_operations():
    torch.manual_seed(5)
    x = torch.rand(6, 1, 28, 28)
    net = awake(digit_net(steps=4), x)
    model = import_module(net, x, ImportOptions())
    counted = paper_activity(model, Samples(x={model.inputs[0].name: x.numpy()[None] * 1.0}))
    names = {
        path: path.replace("sn", "conv") for path in ("features.pool0.any", "features.pool1.any")
    }
    frames = {model.inputs[0].name: x.numpy()[None]}
    found = run_float(model, frames, record=(*names, "features.pool2"))
    sops = (found["features.pool0.any"] != 0).mean() * 32 * 14 * 14 * 16 * 9
    sops += (found["features.pool1.any"] != 0).mean() * 64 * 7 * 7 * 32 * 9
    sops += (found["features.pool2"] != 0).mean() * 64 * 9 * 10
    assert counted.macs == 16 * 28 * 28 * 9
    assert counted.sops == pytest.approx(sops, rel=1e-3)
    assert replace(counted, steps=1).energy_j < counted.energy_j
