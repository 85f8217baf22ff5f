"""Quick training runs write models that load; seeds decide; the penalties mean what they say."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import train_mnist

from snndeploy.frontends import checkpoint

SCRIPT = Path(train_mnist.__file__)


def train(variant, out):
    command = [sys.executable, str(SCRIPT), "--quick", "--variant", variant, "--out", str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return done.stdout


@pytest.mark.parametrize(
    ("variant", "steps", "shape"),
    [("images", 8, (1, 28, 28)), ("events", 12, (2, 28, 28)), ("snntorch", 8, (1, 28, 28))],
)
def test_quick_run_writes_a_loadable_model(tmp_path, variant, steps, shape):
    out = tmp_path / "model.pt"
    said = train(variant, out)
    assert "epoch  1/1" in said
    assert "accuracy" in said
    model = checkpoint.load(out)
    assert model.steps == steps
    assert model.inputs[0].shape == shape
    assert model.inputs[0].repeat == (variant != "events")
    assert model.inputs[0].values == ("spikes" if variant == "events" else "real")
    assert out.stat().st_size < 250_000


@pytest.mark.parametrize("variant", train_mnist.VARIANTS)
def test_same_seed_gives_the_same_net(variant):
    images = torch.linspace(0, 1, 4 * 28 * 28).reshape(4, 1, 28, 28)

    def weights(seed):
        net = train_mnist.train(
            train_mnist.VARIANTS[variant], images, torch.arange(4), epochs=2, seed=seed
        )
        return torch.nn.utils.parameters_to_vector(net.parameters())

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_folding_keeps_the_answers():
    torch.manual_seed(0)
    conv, norm = torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3)
    norm(conv(torch.rand(5, 2, 6, 6)))
    norm.weight.data, norm.bias.data = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.1, 0.2, 0.3])
    net = torch.nn.Sequential(conv, norm).eval()
    ((weight, bias),) = train_mnist.folded_layers(net)
    x = torch.rand(4, 2, 6, 6)
    torch.testing.assert_close(torch.conv2d(x, weight, bias), net(x))


def test_graded_penalty_is_zero_exactly_when_sums_and_biases_fit():
    conv = torch.nn.Conv2d(1, 1, 3)
    net = torch.nn.Sequential(conv)
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[0, 0, 0] = 2.0
        conv.bias.fill_(0.4)
        assert train_mnist.graded_penalty(net) == 0  # a sum of 3, a bias of 0.2
        conv.weight[0, 0, 1] = 2.0
        assert train_mnist.graded_penalty(net).item() == pytest.approx(6 - 3.7)
        conv.weight[0, 0, 1] = 0.0
        conv.bias.fill_(2.0)
        assert train_mnist.graded_penalty(net).item() == pytest.approx(1 - 0.24)


def test_scale_penalty_counts_channels_below_half_the_range():
    first, readout = torch.nn.Conv2d(1, 2, 1, bias=False), torch.nn.Linear(2, 1)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([1.0, 0.1]).reshape(2, 1, 1, 1))
    penalty = train_mnist.scale_penalty(torch.nn.Sequential(first, readout))
    assert penalty.item() == pytest.approx((0.5 - 0.1) / 2)
