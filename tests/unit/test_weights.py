"""state_dicts and the factories that build their networks; Brevitas' integers."""

import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import snntorch as snn
import torch
from safetensors.torch import save_file
from spikingjelly.activation_based import neuron
from torch import nn

import snndeploy
from snndeploy.errors import ModelError, UnsupportedError, UsageError
from snndeploy.frontends.examples import ImportOptions
from snndeploy.frontends.factory import find_function, load_weights
from snndeploy.frontends.torch_module import import_module
from snndeploy.nirgraph.interpret import run_float


def made():
    return nn.Sequential(
        nn.Linear(6, 5), nn.BatchNorm1d(5), snn.Leaky(beta=0.9, init_hidden=True), nn.Linear(5, 3),
        snn.Leaky(beta=0.8, init_hidden=True, output=True),
    )  # fmt: skip


@pytest.fixture
def factory(tmp_path, monkeypatch):
    """Return the name of a factory in a module that lies in the current folder."""
    (tmp_path / "my_net.py").write_text(
        "import snntorch as snn\nimport torch\nfrom torch import nn\n\n\ndef build():\n"
        "    return nn.Sequential(\n        nn.Linear(6, 5), nn.BatchNorm1d(5),\n"
        "        snn.Leaky(beta=0.9, init_hidden=True), nn.Linear(5, 3),\n"
        "        snn.Leaky(beta=0.8, init_hidden=True, output=True),\n    )\n\n\n"
        "def with_example():\n    return build(), torch.ones(1, 6)\n\n\n"
        "def fails():\n    raise RuntimeError('no such file')\n\n\ndef other():\n    return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    yield "my_net:build"
    sys.modules.pop("my_net", None)


def trained(seed=5):
    torch.manual_seed(seed)
    net = made()
    with torch.no_grad():
        net[0].weight.mul_(3)
    return net.eval()


def spikes_of(model):
    x = (np.random.default_rng(1).random((12, 4, 6)) < 0.5).astype(float)
    spikes = run_float(model, {"input": x}, record=("2",))["2"]
    assert 0.02 < spikes.mean() < 0.9
    return spikes


@pytest.mark.parametrize("form", ["pt", "safetensors", "wrapped", "parallel"])
def test_weights_and_their_factory_are_the_module_itself(form, factory, tmp_path):
    net = trained()
    want = spikes_of(import_module(net, torch.ones(1, 6), ImportOptions()))
    weights = net.state_dict()
    path = tmp_path / ("weights.safetensors" if form == "safetensors" else "weights.pt")
    if form == "safetensors":
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, path)
    elif form == "wrapped":
        torch.save({"epoch": 3, "state_dict": weights}, path)
    elif form == "parallel":
        torch.save({f"module.{name}": tensor for name, tensor in weights.items()}, path)
    else:
        torch.save(weights, path)
    model = snndeploy.load(path, factory=factory, input_shape=(6,), values="spikes")
    np.testing.assert_array_equal(spikes_of(model), want)
    kinds = {"wrapped": "assumed", "parallel": "repaired"}
    if form in kinds:
        assert model.notes[0].kind == kinds[form]
    assert snndeploy.load(path, factory="my_net:with_example").inputs == model.inputs


def test_every_name_that_does_not_fit_is_listed_with_the_nearest(factory, tmp_path):
    weights = dict(trained().state_dict())
    weights["0.wieght"] = weights.pop("0.weight")
    weights["3.weight"] = torch.zeros(4, 5)
    weights["9.extra"] = torch.zeros(1)
    torch.save(weights, tmp_path / "w.pt")
    with pytest.raises(ModelError) as caught:
        load_weights(tmp_path / "w.pt", factory, input_shape=(6,))
    assert caught.value.code == "E1430"
    for text in (
        "0.weight is missing (did you mean 0.wieght?)", "0.wieght is unknown", "9.extra is unknown",
        "3.weight is (4, 5), the network takes (3, 5)",
    ):  # fmt: skip
        assert text in caught.value.message


def test_what_a_file_or_a_factory_lacks_is_said(factory, tmp_path):
    path = tmp_path / "w.pt"
    torch.save(trained().state_dict(), path)
    cases = {
        "E5130": ("my_net", "nowhere:f", "my_net:biuld", "os.system('x'):f"),
        "E5131": ("my_net:fails", "my_net:other"),
    }
    for code, names in cases.items():
        for name in names:
            with pytest.raises(UsageError) as caught:
                snndeploy.load(path, factory=name, input_shape=(6,), values="spikes")
            assert caught.value.code == code, name
    (tmp_path / "wrong_net.py").write_text("def f(:\n")
    with pytest.raises(UsageError, match=r"E5131.*SyntaxError"):
        snndeploy.load(path, factory="wrong_net:f", input_shape=(6,), values="spikes")
    for given in ({}, {"input_shape": (6,)}):
        with pytest.raises(UsageError, match="E5132"):
            snndeploy.load(path, factory=factory, **given)
    with pytest.raises(UsageError, match=r"E5132.*weights alone"):
        snndeploy.load(tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"E1007.*--factory"):
        snndeploy.load(path)
    for name, content in (("a.pt", {"epoch": 3}), ("b.pt", [1, 2])):
        torch.save(content, tmp_path / name)
        with pytest.raises(ModelError, match="E1431"):
            snndeploy.load(tmp_path / name, factory=factory)
    (tmp_path / "c.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(ModelError, match="E1431"):
        snndeploy.load(tmp_path / "c.safetensors", factory=factory)
    torch.save(nn.Sequential(nn.Linear(6, 5)), tmp_path / "whole.pt")
    with pytest.raises(ModelError, match="E1006"):
        snndeploy.load(tmp_path / "whole.pt", factory=factory)


def test_a_factory_of_all_steps_needs_to_know_how_many(tmp_path, monkeypatch):
    (tmp_path / "multi_net.py").write_text(
        "from spikingjelly.activation_based import layer, neuron\nfrom torch import nn\n\n\n"
        "def build():\n    return nn.Sequential(layer.Linear(6, 5, step_mode='m'), "
        "neuron.IFNode(step_mode='m'))\n"
    )
    monkeypatch.chdir(tmp_path)
    torch.save({"0.weight": torch.ones(5, 6), "0.bias": torch.zeros(5)}, tmp_path / "w.pt")
    given = {"factory": "multi_net:build", "input_shape": (6,), "values": "spikes"}
    with pytest.raises(UsageError, match=r"E5132.*how many"):
        snndeploy.load(tmp_path / "w.pt", **given)
    assert snndeploy.load(tmp_path / "w.pt", steps=7, **given).steps == 7
    sys.modules.pop("multi_net", None)


def test_functions_are_found_in_the_current_folder_only_while_they_are_imported(factory):
    before = list(sys.path)
    assert find_function(factory)()
    assert sys.path == before


# ---- Brevitas ------------------------------------------------------------------------------


class StandIn(nn.Linear):
    """What of Brevitas' QuantLinear is read: integers, a scale, no quantizer but the weights'."""

    def __init__(self, n_in, n_out, *, scales=1, zero_point=0.0, quantizes=()):
        super().__init__(n_in, n_out, bias=False)
        self.scale = torch.full((scales, 1) if scales > 1 else (), 2.0**-5)
        self.zero = torch.tensor(zero_point)
        for part in ("input", "output", "bias"):
            setattr(self, f"{part}_quant", SimpleNamespace(is_quant_enabled=part in quantizes))

    def quant_weight(self):
        integers = (self.weight.detach() / self.scale).round().clamp(-7, 7).to(torch.int8)
        return SimpleNamespace(
            int=lambda: integers,
            scale=self.scale,
            zero_point=self.zero,
            bit_width=torch.tensor(4.0),
        )


StandIn.__module__ = "brevitas.nn.quant_linear"
StandIn.__name__ = "QuantLinear"


def quantized(**options):
    return import_module(
        nn.Sequential(StandIn(6, 5, **options), neuron.IFNode()), torch.ones(1, 6), ImportOptions()
    )


@pytest.mark.parametrize("scales", [1, 5])
def test_integers_of_brevitas_are_taken_as_they_are(scales):
    torch.manual_seed(3)
    model = quantized(scales=scales)
    integers = model.graph.nodes["0"].weight * 32
    assert np.array_equal(integers, np.rint(integers))
    assert 1 < np.abs(integers).max() <= 7
    assert any("4-bit integers of 30 weights" in note.text for note in model.notes)
    compiled = snndeploy.compile(model, steps=8, weight_bits=8)
    assert compiled.layers[0].exact


@pytest.mark.parametrize(
    ("options", "text"),
    [({"quantizes": ("input",)}, "its input"), ({"quantizes": ("output",)}, "its output"),
     ({"quantizes": ("bias",)}, "its bias"), ({"zero_point": 3.0}, "zero point")],
)  # fmt: skip
def test_other_quantizers_of_brevitas_are_refused(options, text):
    with pytest.raises(UnsupportedError, match=f"E2420.*{text}"):
        quantized(**options)


@pytest.mark.skipif(find_spec("brevitas") is None, reason="brevitas is not installed")
@pytest.mark.filterwarnings("ignore")
def test_brevitas_itself_is_read_and_computes_the_same():
    import brevitas.nn as qnn
    from brevitas.quant import Int8WeightPerChannelFloat

    torch.manual_seed(3)
    net = nn.Sequential(
        qnn.QuantConv2d(1, 4, 3, bias=True, weight_quant=Int8WeightPerChannelFloat),
        neuron.IFNode(v_threshold=0.2), nn.Flatten(),
        qnn.QuantLinear(64, 5, bias=True, weight_bit_width=4), neuron.IFNode(v_threshold=0.2),
    ).eval()  # fmt: skip
    model = import_module(net, torch.ones(1, 1, 6, 6), ImportOptions())
    for name, bits in (("0", 8), ("3", 4)):
        quant = net[int(name)].quant_weight()
        scale = quant.scale.detach().double().numpy()
        integers = model.graph.nodes[name].weight / scale
        np.testing.assert_allclose(integers, quant.int().numpy(), atol=1e-12)
        assert np.abs(np.rint(integers)).max() > (1 << (bits - 1)) / 2
    x = (torch.rand(12, 4, 1, 6, 6, generator=torch.Generator().manual_seed(2)) < 0.3).float()
    with torch.no_grad():
        spikes = torch.stack([net(frame) for frame in x]).numpy()
    assert 0.02 < spikes.mean() < 0.9
    np.testing.assert_array_equal(run_float(model, {"input": x.numpy()})["output"], spikes)
