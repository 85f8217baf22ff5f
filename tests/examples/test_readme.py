"""What the README shows runs as it stands."""

import re
from pathlib import Path

import numpy as np
import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_python_tour_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    net = nn.Sequential(layer.Linear(6, 8, bias=False), neuron.IFNode(), layer.Linear(8, 3)).eval()
    x = np.random.default_rng(0).integers(0, 2, (8, 5, 6))
    names = {
        "net": net,
        "example_input": torch.from_numpy(x[0].astype(np.float32)),
        "x": x,
        "label": np.zeros(5, dtype=np.int64),
    }
    (tour,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    exec(compile(tour, "README.md", "exec"), names)
    assert (tmp_path / "model.loihi" / "certificate.json").exists()


def test_every_command_of_the_readme_exists():
    from snndeploy.cli.main import main

    named = set(re.findall(r"snndeploy ([a-z]+)", README)) - {"turns"}
    assert named <= {*main.commands}
