"""Training of the zoo's small networks runs, goes on where it stopped, and says what it needs."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch
import train_qp_snn
from click.testing import CliRunner

from snndeploy.frontends import checkpoint

SCRIPT = Path(train_qp_snn.__file__)


@pytest.mark.parametrize(
    ("net", "steps"), [pytest.param("digits", 4, marks=pytest.mark.full), ("digit-events", 12)]
)
def test_a_quick_run_writes_a_loadable_model(net, steps, tmp_path):
    out = tmp_path / "model.pt"
    command = [sys.executable, str(SCRIPT), "--quick", "--net", net, "--out", str(out)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    assert "epoch   1/1" in said
    assert "of 160 samples" in said
    model = checkpoint.load(out)
    assert model.steps == steps
    assert model.inputs[0].repeat == (net == "digits")
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def trained(epochs, path, *, seed=3, images_seed=0):
    """Train on a few random images and return the weights."""
    torch.manual_seed(seed)
    net = train_qp_snn.CHOICES["digits"].build(10)
    images = torch.rand(1, 12, 1, 28, 28, generator=torch.Generator().manual_seed(images_seed))
    samples = train_qp_snn.Labelled(x=images, label=torch.arange(12) % 10)
    train_qp_snn.train(
        net, samples, events=False, epochs=epochs, batch=6, seed=seed, checkpoint=path
    )
    return torch.nn.utils.parameters_to_vector(net.parameters())


def test_an_interrupted_training_ends_where_the_other_does(tmp_path, monkeypatch):
    whole = trained(3, tmp_path / "a")
    keep = train_qp_snn._keep

    def interrupted(*args, **facts):
        keep(*args, **facts)
        raise KeyboardInterrupt

    monkeypatch.setattr(train_qp_snn, "_keep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(3, tmp_path / "b")
    monkeypatch.undo()
    assert torch.load(tmp_path / "b", weights_only=True)["epoch"] == 1
    assert torch.equal(trained(3, tmp_path / "b"), whole)
    assert not torch.equal(trained(3, None, seed=4), whole)
    with pytest.raises(click.UsageError, match="is of epochs 3; remove it"):
        trained(5, tmp_path / "b")
    with pytest.raises(click.UsageError, match=r"is of data \w{16}; remove it"):
        trained(3, tmp_path / "b", images_seed=1)


@pytest.mark.parametrize("net", ["vgg16", "resnet20", "vggsnn"])
def test_the_papers_networks_ask_for_their_data(net):
    ran = CliRunner().invoke(train_qp_snn.main, ["--net", net])
    assert ran.exit_code == 2
    assert f"{net} is for a data set that is not here" in ran.output
