"""The command line reads weights with a factory, exported programs, events, images; it draws."""

import sys

import nir
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn


@pytest.fixture
def net(files):
    """Write a factory, its weights and its exported step; return the module."""
    (files / "cli_net.py").write_text(
        "import torch\nfrom spikingjelly.activation_based import neuron\nfrom torch import nn\n\n\n"
        "def build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(40, 3), neuron.IFNode())\n"
    )
    torch.manual_seed(2)
    linear = nn.Linear(40, 3)
    with torch.no_grad():
        linear.weight.mul_(6)
    save_file({"1.weight": linear.weight.data, "1.bias": linear.bias.data}, files / "w.safetensors")
    yield linear
    sys.modules.pop("cli_net", None)


def make_events(path):
    rng = np.random.default_rng(1)
    found = np.zeros(300, [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")])
    found["t"] = np.sort(rng.integers(0, 8000, 300))
    found["x"], found["y"], found["p"] = (rng.integers(0, size, 300) for size in (5, 4, 2))
    np.save(path, found)
    return path


WEIGHTS = ("w.safetensors", "--factory", "cli_net:build", "--input-shape", "2,4,5")


@pytest.mark.usefixtures("net")
def test_weights_with_a_factory_run_on_events(snn, files):
    make_events(files / "e.npy")
    args = ("--backend", "float", "--input", "e.npy", "--steps", "8", "--input-range", "0", "9")
    ran = snn("run", *WEIGHTS, *args, "--dt", "1e-3", "--output", "y.npz")
    assert ran.code == 0, ran.err
    y = np.load(files / "y.npz")["y"]
    assert y.shape == (8, 1, 3)
    assert 0 < y.mean() < 1
    missing = snn("run", *WEIGHTS, *args, "--output", "z.npz")
    assert (missing.code, "E5133" in missing.err) == (2, True)


@pytest.fixture
def deep(files):
    """A factory of a network with a hidden layer, its weights, and data."""
    (files / "cli_deep.py").write_text(
        "from spikingjelly.activation_based import neuron\nfrom torch import nn\n\n\n"
        "def build():\n    return nn.Sequential(\n        nn.Linear(12, 6), neuron.IFNode(),"
        " nn.Linear(6, 3), neuron.IFNode()\n    )\n"
    )
    torch.manual_seed(2)
    weights = nn.Sequential(nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3)).state_dict()
    save_file(weights, files / "deep.safetensors")
    yield ("deep.safetensors", "--factory", "cli_deep:build", "--input-shape", "12")
    sys.modules.pop("cli_deep", None)


CHANGES = (
    ("prune", "--ratio", "0=0.5"),
    ("quantize", "--bits", "4"),
    ("finetune", "--epochs", "1"),
)


@pytest.mark.parametrize("command", CHANGES, ids=lambda command: command[0])
def test_weights_with_a_factory_are_changed_into_a_model(snn, deep, command):
    options = ("--data", "data.npz", "--steps", "8", "--values", "spikes", "-o", "out.pt")
    ran = snn(*command, *deep, *options)
    assert ran.code == 0, ran.err
    compiled = snn("compile", "out.pt", "-o", "net")
    assert compiled.code == 0, compiled.err
    without = snn(*command, "deep.safetensors", "--data", "data.npz", "-o", "other.pt")
    assert (without.code, "E5132" in without.err) == (2, True)


@pytest.mark.parametrize("command", CHANGES, ids=lambda command: command[0])
def test_events_need_a_step_for_training_too(snn, files, deep, command):
    make_events(files / "e.npy")
    options = ("--data", "e.npy", "--steps", "8", "--values", "spikes")
    ran = snn(*command, *deep, *options)
    assert (ran.code, "E5133" in ran.err) == (2, True), ran.err
    ran = snn(*command, *deep, *options, "--dt", "1e-3")
    assert "E5133" not in ran.err


@pytest.mark.usefixtures("net")
def test_events_are_compared(snn, files):
    make_events(files / "e.npy")
    said = ("--encode", "spikes", "--steps", "8", "--data", "e.npy")
    ran = snn("compare", "w.safetensors", *WEIGHTS, *said, "--dt", "1e-3")
    assert ran.code in (0, 7), ran.err
    assert "1 sample" in ran.out


@pytest.mark.usefixtures("net")
def test_a_factory_is_not_for_other_files(snn):
    ran = snn("inspect", "model.nir", "--factory", "cli_net:build")
    assert (ran.code, "E5132" in ran.err) == (2, True)


@pytest.mark.usefixtures("net")
def test_inspect_draws_and_says_what_layers_became(snn, files):
    ran = snn("inspect", *WEIGHTS, "--encode", "spikes", "--steps", "8", "--svg", "g.svg")
    assert ran.code == 0, ran.err
    assert "said by" in ran.out
    assert "on loihi" in ran.out
    assert (files / "g.svg").read_text().startswith("<svg xmlns")
    again = snn("inspect", *WEIGHTS, "--encode", "spikes", "--svg", "g.svg")
    assert (again.code, "E5003" in again.err) == (2, True)
    record = snn("inspect", *WEIGHTS, "--encode", "spikes", "--steps", "8", "--json").json()
    assert {layer["node"] for layer in record["import"]["layers"]} == {"0", "1", "2"}


def test_inspect_reports_a_refusal_with_the_model(snn, files):
    ones = np.ones(3)
    nodes = {
        "input": nir.Input({"input": np.array([3])}),
        "cell": nir.LIF(tau=ones * 3e-3, r=ones, v_leak=ones * 0, v_threshold=ones),
        "output": nir.Output({"output": np.array([3])}),
    }
    edges = [("input", "cell"), ("cell", "output")]
    nir.write(files / "plain.nir", nir.NIRGraph(nodes, edges, type_check=False))
    ran = snn(
        "inspect",
        "plain.nir",
        "--semantics",
        "nir,multi_spike=true",
        "--encode",
        "spikes",
        "--steps",
        "4",
    )
    assert ran.code == 0
    assert "does not compile for loihi as it is: error[E2122]" in ran.out


@pytest.mark.usefixtures("net")
def test_images_are_data(snn, files):
    rng = np.random.default_rng(0)
    for name in ("cat/a", "dog/b"):
        (files / "images" / name).parent.mkdir(parents=True)
        Image.fromarray(rng.integers(0, 256, (4, 10), dtype=np.uint8)).save(
            files / "images" / f"{name}.png"
        )
    ran = snn(
        "run", "w.safetensors", "--factory", "cli_net:build", "--input-shape", "1,4,10",
        "--input-range", "0", "1", "--backend", "float", "--input", "images", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "accuracy" in ran.json()


def test_an_exported_program_is_a_model(snn, files):
    class Step(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(12, 4)

        def forward(self, x, v):
            v = 0.5 * v + self.fc(x)
            s = (v > 1).to(x)
            return s, v * (1 - s)

    program = torch.export.export(Step(), (torch.zeros(1, 12), torch.zeros(1, 4)))
    torch.export.save(program, files / "net.pt2")
    ran = snn("run", "net.pt2", "--encode", "spikes", "--backend", "float", "--input", "data.npz")
    assert ran.code == 0, ran.err
    refused = snn("inspect", "net.pt2")
    assert (refused.code, "E5132" in refused.err) == (2, True)
