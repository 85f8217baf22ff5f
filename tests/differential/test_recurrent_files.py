"""Recurrent `.nir` files: what a loop carries before its first step differs by framework.

SpikingJelly's importer (like Norse's, both through nirtorch) feeds back the last output of the
recurrent map, which is nothing at first; snnTorch sends its spikes of the step before, zeros at
first, through the map, whose bias then acts. Everything else is the same, and both are exact.
"""

from collections import defaultdict
from pathlib import Path

import nir
import numpy as np
import pytest
import snntorch as snn
import torch
from snntorch.export_nir import export_to_nir
from spikingjelly.activation_based.nir_exchange import import_from_nir
from torch import nn

from snndeploy.frontends import nir_file
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.loops import stages_of
from snndeploy.semantics import parse_semantics

BRAILLE = Path(__file__).parents[1] / "data" / "nir_paper" / "03_rnn"
BIAS, NO_BIAS = "braille_noDelay_bias_zero.nir", "braille_noDelay_noBias_subtract.nir"
LAYERS = ("lif1.lif", "lif2")


def spikes_like(shape, density, seed):
    return (np.random.default_rng(seed).random(shape) < density).astype(np.float64)


def run_spikingjelly(path, x):
    """Return the spikes of SpikingJelly's own import, by node, [T, B, n]."""
    module = import_from_nir(path, dtype=torch.float64)
    seen = defaultdict(list)
    for name in LAYERS:
        module.get_submodule(name.replace(".", "_")).register_forward_hook(
            lambda _m, _i, out, name=name: seen[name].append(out[0].numpy().copy())
        )
    state = None
    with torch.no_grad():
        for frame in torch.as_tensor(x):
            _, state = module(frame, state)
    return {name: np.stack(steps) for name, steps in seen.items()}


def differing(path, semantics, x, expected):
    """Return the fraction of differing cells per layer."""
    model = nir_file.read(path, parse_semantics(semantics))
    answers = run_float(model, {"input": x}, record=tuple(expected))
    return [float(np.mean(answers[name] != want)) for name, want in expected.items()]


@pytest.mark.parametrize("file", [BIAS, NO_BIAS])
@pytest.mark.parametrize("density", [0.02, 0.2])
def test_the_papers_recurrent_networks_are_spikingjellys_in_every_cell(file, density):
    x = spikes_like((80, 16, 12), density, 5)
    expected = run_spikingjelly(BRAILLE / file, x)
    for name, spikes in expected.items():
        assert 0.002 < spikes.mean() < 0.6, name
    for semantics in ("spikingjelly", "nir"):
        assert differing(BRAILLE / file, semantics, x, expected) == [0.0, 0.0]


def test_the_other_feedback_moves_spikes_where_the_recurrent_map_has_a_bias():
    x = spikes_like((80, 16, 12), 0.02, 5)
    for file, moves in ((BIAS, True), (NO_BIAS, False)):
        expected = run_spikingjelly(BRAILLE / file, x)
        found = differing(BRAILLE / file, "spikingjelly,feedback=spike", x, expected)
        assert [fraction > 0.01 for fraction in found] == [moves, moves]


def snntorch_cell(kind, n):
    """Return a recurrent network with a parameter per neuron, which the export asks for."""
    values = {"beta": 0.85, "threshold": 0.6} | ({"alpha": 0.7} if kind is snn.RSynaptic else {})
    options = {name: torch.full((n,), value) for name, value in values.items()}
    net = nn.Sequential(nn.Linear(6, n), kind(**options, linear_features=n, init_hidden=True))
    with torch.no_grad():
        net[1].recurrent.bias.mul_(2)
    return net


@pytest.mark.filterwarnings("ignore:nirtorch.extract_nir_graph:DeprecationWarning")
@pytest.mark.parametrize("kind", [snn.RLeaky, snn.RSynaptic])
def test_files_of_snntorch_are_run_as_snntorch_does(kind, tmp_path):
    """Its files leave out the delayed subtraction, so the user names it; the preset the rest."""
    torch.manual_seed(3)
    net = snntorch_cell(kind, 20)
    nir.write(tmp_path / "net.nir", export_to_nir(net, torch.rand(1, 6), ignore_dims=[0]))
    x = spikes_like((40, 8, 6), 0.3, 1)
    with torch.no_grad():
        net[1].reset_mem()
        out = torch.stack([net(frame) for frame in torch.as_tensor(x).float()]).numpy()
    assert 0.05 < out.mean() < 0.6
    exact = "snntorch,reset=subtract-delayed"
    assert differing(tmp_path / "net.nir", exact, x, {"1.lif": out}) == [0.0]
    (other,) = differing(tmp_path / "net.nir", f"{exact},feedback=output", x, {"1.lif": out})
    assert other > 0.01


def test_a_loop_is_one_stage():
    model = nir_file.read(BRAILLE / BIAS)
    loops = [stage.members for stage in stages_of(model.graph) if stage.is_loop]
    assert loops == [("lif1.lif", "lif1.w_rec")]
