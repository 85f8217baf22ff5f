"""Quick training runs write models that load, and do so the same way every time."""

import subprocess
import sys
from pathlib import Path

import pytest

from snndeploy.frontends import checkpoint

SCRIPT = Path(__file__).parents[2] / "examples" / "train_mnist.py"


def train(variant: str, out: Path, seed: int = 0) -> str:
    command = [sys.executable, str(SCRIPT), "--quick", "--variant", variant, "--out", str(out)]
    done = subprocess.run(
        [*command, "--seed", str(seed)], check=True, capture_output=True, text=True, timeout=120
    )
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


def test_same_seed_gives_the_same_model(tmp_path):
    paths = [tmp_path / f"{run}.pt" for run in range(2)]
    said = [train("snntorch", path, seed=7) for path in paths]
    assert said[0].split("penalty")[0] == said[1].split("penalty")[0]
    assert paths[0].read_bytes() == paths[1].read_bytes()
