"""Networks of the NIR paper: a single neuron everywhere, a trained one with sinabs' neurons."""

from pathlib import Path

import numpy as np
import pytest

from snndeploy.errors import UsageError
from snndeploy.frontends.nir_file import read
from snndeploy.nirgraph.interpret import run_float
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_executor, find_target
from snndeploy.semantics import parse_semantics

PAPER = Path(__file__).parents[1] / "data" / "nir_paper"
FIRES_AT = [460, 510, 710, 760]


def norse_neuron(**options):
    model = read(PAPER / "01_lif" / "lif_norse.nir", parse_semantics("nir,dt=1e-4"))
    return compile_model(model, find_target("loihi2"), CompileOptions(steps=1000, **options))


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
@pytest.mark.parametrize("executor", ["reference", "sim", "lava"])
def test_the_single_neuron_fires_at_the_published_steps(executor):
    network = norse_neuron(encode="spikes").network
    x = np.loadtxt(PAPER / "01_lif" / "lif_norse.csv", delimiter=",")[:, 0].astype(np.int64)
    (source,), (output,) = network.sources, network.outputs
    result = find_executor(executor).run(
        network, {source.name: x.reshape(1000, 1, 1)}, record=(output.population,)
    )
    assert np.flatnonzero(result.traces[output.population].spikes).tolist() == FIRES_AT


def test_an_input_of_unknown_range_is_asked_for():
    with pytest.raises(UsageError, match=r"^error\[E5016\] input: .*--input-range LOW HIGH"):
        norse_neuron()


def test_the_sinabs_network_keeps_its_semantics_in_integers():
    model = read(PAPER / "02_cnn" / "cnn_sinabs.nir", parse_semantics("sinabs"), values="spikes")
    compiled = compile_model(model, find_target("loihi2"), CompileOptions(steps=30))
    assert {layer.program for layer in compiled.layers} == {"lif_multi"}
    x = (np.random.default_rng(0).random((30, 8, 2, 34, 34)) < 0.01).astype(np.int64)
    (source,), (output,) = compiled.network.sources, compiled.network.outputs
    names = tuple(compiled.network.population)
    result = find_executor("sim").run(compiled.network, {source.name: x}, record=names)
    floats = run_float(model, {"input": x.astype(float)}, record=names)
    agree = {}
    for name, trace in result.traces.items():
        want = floats[name].reshape(trace.spikes.shape)
        agree[name] = np.mean(want == trace.spikes)
        assert want.any()
    # Without a leak a rounded weight shifts a spike in time, and every layer inherits the shifts.
    assert agree[names[0]] >= 0.999
    assert agree[output.population] >= 0.9
    assert max(trace.spikes.max() for trace in result.traces.values()) > 1
