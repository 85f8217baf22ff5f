"""NeuroBench's own package counts the same on the same network as a snnTorch module."""

import numpy as np
import pytest
import snntorch as snn
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.static import ConnectionSparsity, Footprint, ParameterCount
from neurobench.metrics.workload import (
    ActivationSparsity,
    ActivationSparsityByLayer,
    ClassificationAccuracy,
    MembraneUpdates,
    NeuronOperations,
    SynapticOperations,
)
from neurobench.models import SNNTorchModel
from neurobench_twin import Twin
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import snndeploy
from snndeploy.activity import measure_activity
from snndeploy.ir.connections import n_weights
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, integrator, lif
from snndeploy.ir.readout import decide, read_output
from snndeploy.ir.synapses import Conv, Dense, Pool, sparse_from_dense
from snndeploy.neurobench import neurobench
from snndeploy.reference import REFERENCE

STATIC = [ConnectionSparsity, ParameterCount]
WORKLOAD = [
    ClassificationAccuracy, ActivationSparsity, ActivationSparsityByLayer, SynapticOperations,
    MembraneUpdates, NeuronOperations,
]  # fmt: skip
STEPS, SAMPLES = 6, 5


def chain(*layers, shape, graded=False, readout=True):
    """Return a network of (synapse, parameters) layers; the last integrates if `readout`."""
    populations, projections, source = [], [], "in"
    for i, (synapse, params) in enumerate(layers):
        name = f"layer{i}"
        out = synapse.out_shape if isinstance(synapse, Conv | Pool) else (synapse.n_out,)
        populations.append(Population(name=name, shape=out, program=LIF, params=params, wave=i + 1))
        projections.append(
            Projection(name=f"into {name}", source=source, target=name, synapse=synapse)
        )
        source = name
    last = populations[-1]
    return Network(
        name="chain", steps=STEPS,
        sources=(Source(name="in", shape=shape, low=0, high=127 if graded else 1,
                        encoding="graded" if graded else "spikes"),),
        populations=tuple(populations), projections=tuple(projections),
        outputs=(Output(name="y", population=last.name, shape=(last.n,),
                        readout="increment" if readout else "spikes", decode="sum"),),
    )  # fmt: skip


def sparse_weights(rng, shape, zeros=0.3, scale=60):
    return 2 * rng.integers(-scale // 3, scale, shape) * (rng.random(shape) > zeros)


def dense_chain(rng, **options):
    return chain(
        (Dense(weight=sparse_weights(rng, (9, 12))), lif(du=4095, dv=2048, vth=40)),
        (Dense(weight=sparse_weights(rng, (7, 9))), lif(du=4095, dv=0, vth=60)),
        (Dense(weight=sparse_weights(rng, (3, 7))), integrator()),
        shape=(12,), **options,
    )  # fmt: skip


def biased_chain(rng):
    bias = rng.integers(-3, 30, 9) * 64
    return chain(
        (Dense(weight=sparse_weights(rng, (9, 12))), lif(du=4095, dv=0, vth=90, bias_mant=bias)),
        (Dense(weight=sparse_weights(rng, (3, 9))), integrator()),
        shape=(12,),
    )


def conv_chain(rng, **options):
    first = Conv(weight=sparse_weights(rng, (4, 2, 3, 3)), in_shape=(2, 6, 5), padding=(1, 1))
    second = Conv(
        weight=sparse_weights(rng, (6, 2, 3, 2)), in_shape=first.out_shape, stride=(2, 1),
        dilation=(1, 2), groups=2,
    )  # fmt: skip
    return chain(
        (first, lif(du=4095, dv=2048, vth=90)),
        (second, lif(du=4095, dv=0, vth=50)),
        (Dense(weight=sparse_weights(rng, (3, second.n_out))), integrator()),
        shape=first.in_shape, **options,
    )  # fmt: skip


def pooled_chain(rng):
    first = Conv(weight=sparse_weights(rng, (3, 1, 3, 3)), in_shape=(1, 8, 7), padding=(1, 1))
    pool = Pool(in_shape=first.out_shape, kernel=(2, 2), stride=(2, 2), padding=(0, 1), weight=2)
    return chain(
        (first, lif(du=4095, dv=0, vth=60)),
        (pool, lif(du=4095, dv=0, vth=3)),
        (Dense(weight=sparse_weights(rng, (3, pool.n_out))), lif(du=4095, dv=0, vth=50)),
        shape=first.in_shape, readout=False,
    )  # fmt: skip


CASES = {
    "dense": dense_chain,
    "dense, graded input": lambda rng: dense_chain(rng, graded=True),
    "bias": biased_chain,
    "conv": conv_chain,
    "conv, graded input": lambda rng: conv_chain(rng, graded=True),
    "pooled": pooled_chain,
}


def inputs_of(network, rng):
    source = network.sources[0]
    shape = (STEPS, SAMPLES, *source.shape)
    x = (rng.random(shape) < 0.3).astype(np.int64)
    return {"in": x * rng.integers(1, 100, shape) if source.is_graded else x}


def ours(network, inputs, label):
    traces = REFERENCE.run(network, inputs, record=(network.outputs[0].population,)).traces
    output = network.outputs[0]
    decision = decide(output, read_output(output, traces[output.population]))
    activity = measure_activity(network, inputs, REFERENCE)
    return neurobench(network, activity, accuracy=float(np.mean(decision == label)))


def theirs(module, inputs, label):
    """Return what the package says of a module on inputs [T, B, n], all samples in one batch."""
    data = torch.from_numpy(np.swapaxes(inputs["in"], 0, 1).copy()).float()
    loader = DataLoader(TensorDataset(data, torch.from_numpy(label)), batch_size=SAMPLES)
    torch.set_num_threads(1)
    with torch.no_grad():
        benchmark = Benchmark(
            SNNTorchModel(module), loader, [], [lambda y: y.sum(dim=1).argmax(dim=1)],
            [STATIC, WORKLOAD],
        )  # fmt: skip
        return benchmark.run(quiet=True)


class TwoLayers(nn.Module):
    """A user's network, weights on a grid that the chip holds exactly; in its own child names."""

    def __init__(self, rng):
        super().__init__()
        now = {"beta": 0.5, "init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}
        self.fc1, self.lif1 = nn.Linear(12, 9, bias=False), snn.Leaky(**now)
        self.fc2, self.lif2 = nn.Linear(9, 3, bias=False), snn.Leaky(**now, output=True)
        for layer in (self.fc1, self.fc2):
            values = sparse_weights(rng, tuple(layer.weight.shape)) / 64
            layer.weight.data = torch.from_numpy(values).float()

    def forward(self, x):
        return self.lif2(self.fc2(self.lif1(self.fc1(x))))


def test_a_users_own_module_and_its_deployed_network_have_the_same_metrics(tmp_path):
    rng = np.random.default_rng(21)
    module = TwoLayers(rng)
    x = (rng.random((STEPS, SAMPLES, 12)) < 0.4).astype(np.uint8)
    label = rng.integers(0, 3, SAMPLES)
    model = snndeploy.save(
        module, tmp_path / "m.pt", torch.from_numpy(x[0]).float(), time="outer", steps=STEPS
    )
    compiled = snndeploy.compile(model, "loihi2")
    measured = snndeploy.estimate(compiled, x, label=label)
    record = measured.neurobench.record()
    names = {p.name: f"lif{i + 1}" for i, p in enumerate(compiled.network.populations)}
    by_layer = record["ActivationSparsityByLayer"]
    record["ActivationSparsityByLayer"] = {names[k]: value for k, value in by_layer.items()}
    for metric, value in theirs(module, {"in": x}, label).items():
        assert record[metric] == pytest.approx(value, rel=1e-6), metric
    assert 0 < record["ActivationSparsity"] < 1
    assert measured.neurobench.conditions.steps == STEPS


@pytest.mark.parametrize("name", CASES)
def test_every_metric_equals_the_packages(name):
    rng = np.random.default_rng(sum(map(ord, name)))
    network = CASES[name](rng)
    inputs, label = inputs_of(network, rng), rng.integers(0, 3, SAMPLES)
    record = ours(network, inputs, label).record()
    judged = theirs(Twin(network), inputs, label)
    assert set(record) == {*judged, "Footprint"}
    for metric, value in judged.items():
        assert record[metric] == pytest.approx(value, rel=1e-6), metric
    operations = record["SynapticOperations"]
    assert (operations["Effective_MACs"] > 0) == network.sources[0].is_graded
    assert 0 < operations["Effective_ACs"] < operations["Dense"]
    assert 0 < record["ActivationSparsity"] < 1
    assert 0 < record["ConnectionSparsity"] < 1
    assert 0 < record["MembraneUpdates"] < STEPS * sum(p.n for p in network.populations)


def test_a_list_of_synapses_is_a_matrix_with_zeros():
    rng = np.random.default_rng(4)
    network = dense_chain(rng)
    listed = Network(
        **{
            **{name: getattr(network, name) for name in network.__dataclass_fields__},
            "projections": tuple(
                Projection(
                    name=p.name, source=p.source, target=p.target,
                    synapse=sparse_from_dense(p.synapse.weight),
                )
                for p in network.projections
            ),
        }
    )  # fmt: skip
    inputs, label = inputs_of(network, rng), rng.integers(0, 3, SAMPLES)
    record, judged = ours(listed, inputs, label).record(), theirs(Twin(listed), inputs, label)
    stored = sum(int(np.count_nonzero(p.synapse.weight)) for p in network.projections)
    assert record.pop("ParameterCount") == stored < judged.pop("ParameterCount")
    for metric, value in judged.items():
        assert record[metric] == pytest.approx(value, rel=1e-6), metric


def test_footprint_is_the_packages_for_the_words_that_are_deployed():
    """Weights in a byte, parameters in four, states of 24 bits, as a module of such tensors."""
    network = conv_chain(np.random.default_rng(8))
    module = torch.nn.Module()
    module.child = torch.nn.Linear(1, 1)
    del module.child.weight, module.child.bias
    for p in network.projections:
        words = torch.zeros(n_weights(p.synapse), dtype=torch.int8)
        module.child.register_parameter(
            p.name.replace(" ", "_"), torch.nn.Parameter(words, requires_grad=False)
        )
    for p in network.populations:
        for name, value in p.params.items():
            module.child.register_buffer(f"{p.name}_{name}", torch.zeros(value.size).int())
        states = torch.zeros(p.n, len(p.program.states), 3, dtype=torch.uint8)
        module.child.register_buffer(f"{p.name}_states", states)
    inputs = inputs_of(network, np.random.default_rng(1))
    activity = measure_activity(network, inputs, REFERENCE)
    assert neurobench(network, activity).footprint == Footprint()(SNNTorchModel(module))
