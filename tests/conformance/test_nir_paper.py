"""Networks of the NIR paper: one that runs everywhere, one that is refused by name."""

from pathlib import Path

import numpy as np
import pytest

from snndeploy.errors import UnsupportedError, UsageError
from snndeploy.frontends.nir_file import read
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


def test_subtractive_multi_spike_semantics_is_refused_by_name():
    model = read(PAPER / "02_cnn" / "cnn_sinabs.nir", parse_semantics("sinabs"))
    expected = r"reset 'subtract', several spikes per step, a lower clamp of the potential"
    with pytest.raises(UnsupportedError, match=expected):
        compile_model(model, find_target("loihi2"), CompileOptions(steps=10, encode="spikes"))
