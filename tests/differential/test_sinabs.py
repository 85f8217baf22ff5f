"""The NIR paper's N-MNIST network fires where sinabs' own import of it fires, in every layer."""

import os
import warnings
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from saccades import recordings

from snndeploy.frontends.nir_file import read
from snndeploy.nirgraph.interpret import run_float
from snndeploy.semantics import parse_semantics

NETWORK = Path(__file__).parents[1] / "data" / "nir_paper" / "02_cnn" / "cnn_sinabs.nir"
N_RECORDINGS = 10


@pytest.fixture(scope="module")
def sinabs():
    """Return the framework (`make` installs it); without it fail in CI, else skip."""
    try:
        import sinabs
    except ImportError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    return sinabs


def run_sinabs(sinabs, x):
    """Return the spikes of every layer of sinabs' import, [T, B, …], and of its output.

    All in double precision as our interpreter is, and nothing else changed: sinabs makes its spikes
    single floats whatever the weights are, so they are widened on their way to the next layer. In
    single precision 1 of 120,000 output cells differs in 40 recordings, for rounding alone.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "nirtorch.load is being deprecated")
        net = sinabs.from_nir(nir.read(NETWORK), batch_size=1).double().eval()
    seen = {}

    def widen(name):
        def hook(_module, _inputs, spikes):
            seen.setdefault(name, []).append(spikes.numpy())
            return spikes.double()

        return hook

    for name, module in net.named_modules():
        if isinstance(module, sinabs.layers.IAFSqueeze):
            module.register_forward_hook(widen(name))
    for sample in range(x.shape[1]):
        sinabs.reset_states(net)
        with torch.no_grad():
            net(torch.tensor(x[:, sample]).double())
    return {name: np.stack(spikes, axis=1) for name, spikes in seen.items()}


def test_every_spike_is_that_of_sinabs_own_import(sinabs, tell):
    x, labels = recordings(N_RECORDINGS)
    want = run_sinabs(sinabs, x)
    model = read(NETWORK, parse_semantics("sinabs"), values="spikes")
    got = run_float(model, {"input": x}, record=tuple(want))
    assert set(want) == {name for name, node in model.graph.nodes.items() if type(node) is nir.IF}
    for name, spikes in want.items():
        assert np.count_nonzero(got[name].reshape(spikes.shape) != spikes) == 0
        assert 0.001 < np.mean(spikes > 0) < 0.5
        assert spikes.max() > 1
    assert np.array_equal(got["output"], got["12"])
    right = np.mean(got["output"].sum(axis=0).argmax(axis=1) == labels)
    tell(
        f"sinabs: {sum(spikes.size for spikes in want.values()):,} cells equal, "
        f"{right:.0%} of {N_RECORDINGS} recordings recognised"
    )
