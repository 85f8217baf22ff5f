"""Residual nets with zero-padded, strided shortcuts, quantized and trained: copies stay copies.

The trained forward, the compiled network on the reference, and the untouched copy weights.
"""

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer
from torch import nn

import snndeploy
from snndeploy.compress.channels import is_copy
from snndeploy.compress.integer_graph import integer_graph, moving_weights
from snndeploy.compress.integer_run import run_integers
from snndeploy.frontends.examples import ImportOptions
from snndeploy.frontends.torch_module import import_module
from snndeploy.inference import encode_samples
from snndeploy.ir.interpret import run_reference
from snndeploy.pipeline import CompileOptions
from snndeploy.samples import check_samples
from snndeploy.zoo.neuron import lif
from snndeploy.zoo.qp_snn import Block

STEPS, N = 3, 24


class Residual(nn.Module):
    """A stem, a block that widens and strides over its padded shortcut, a classifier."""

    def __init__(self):
        super().__init__()
        self.stem = layer.Conv2d(1, 4, 3, padding=1, bias=False, step_mode="m")
        self.norm = layer.BatchNorm2d(4, step_mode="m")
        self.sn = lif()
        self.block = Block(4, 8, 2)
        self.flat = layer.Flatten(step_mode="m")
        self.fc = layer.Linear(8 * 16, 5, step_mode="m")

    def forward(self, x):
        return self.fc(self.flat(self.block(self.sn(self.norm(self.stem(x))))))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = Residual().train()
    functional.set_step_mode(net, "m")
    for norm in net.modules():  # scales at which neurons fire
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.constant_(norm.weight, 1.5)
            nn.init.constant_(norm.bias, 0.4)
    x = torch.rand(STEPS, 16, 1, 8, 8)
    for _ in range(8):
        functional.reset_net(net)
        net(x)
    functional.reset_net(net)
    return import_module(net.eval(), x[:, :1], ImportOptions(input_range=(0.0, 1.0)))


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(1)
    x = rng.random((STEPS, N, 1, 8, 8))
    return check_samples(
        {"input": x}, {"input": (1, 8, 8)}, label=rng.integers(0, 5, N)
    )  # fmt: skip


def copies(model):
    return {name: node.weight for name, node in model.graph.nodes.items() if is_copy(node)}


@pytest.mark.parametrize("options", [{"bits": 4}, {"bits": 2, "grid": "odd"}])
def test_training_runs_what_is_compiled_and_leaves_copies_alone(model, samples, options):
    assert copies(model)
    quantized = snndeploy.quantize(model, **options).model
    tuned = snndeploy.finetune(
        quantized, samples, validation=samples, epochs=2, batch=8, learning_rate=0.02
    ).model
    for name, weight in copies(model).items():
        assert np.array_equal(tuned.graph.nodes[name].weight, weight)
    compiled = snndeploy.compile(tuned, "loihi2")
    inputs, _ = encode_samples(compiled, samples)
    names = tuple(n for n in compiled.network.population if ".relay" not in n)
    expected = run_reference(compiled.network, inputs, record=names)
    graph = integer_graph(tuned, compiled.target.chip.numerics, CompileOptions(), steps=STEPS)
    tensors = {name: torch.from_numpy(x.astype(np.float32)) for name, x in inputs.items()}
    with torch.no_grad():
        _, traces = run_integers(graph, moving_weights(graph), tensors, record=names)
    for name in names:
        sent = torch.stack(traces[name].sent).numpy().reshape(expected[name].spikes.shape)
        assert np.array_equal(sent, expected[name].spikes), name
        v = torch.stack(traces[name].v).numpy().reshape(sent.shape)
        assert np.array_equal(v, expected[name].states["v"]), name
    fired = {n: float(expected[n].spikes.mean()) for n in names if n != "fc"}
    assert all(0 < rate < 1 for rate in fired.values()), fired


def test_float_training_leaves_copies_alone(model, samples):
    tuned = snndeploy.finetune(model, samples, validation=samples, epochs=2, batch=8).model
    for name, weight in copies(model).items():
        assert np.array_equal(tuned.graph.nodes[name].weight, weight)
