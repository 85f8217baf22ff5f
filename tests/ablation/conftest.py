"""A study of nothing but numbers, and the environment in which worker processes find its bench."""

import os
from pathlib import Path

import numpy as np
import pytest

from snndeploy.ablation.ablate import Options, ablate
from snndeploy.ablation.study_file import read_study

ROOT = Path(__file__).parents[2]
STUDY = """
name = "numbers"
model = "model.pt"

[data]
train = "train.npz"
test = "test.npz"

[space]
bits = ["fp32", 4, 2]
seeds = [0, 1, 2]

[limits]
seconds = 30
retries = 1
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with files for a study; no bench here reads what is in them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    (tmp_path / "model.pt").write_bytes(b"a model")
    for name in ("train", "test"):
        np.savez_compressed(tmp_path / f"{name}.npz", x=np.arange(4), label=np.arange(4))
    return tmp_path


@pytest.fixture
def study(folder):
    """Read a study with some lines replaced."""

    def make(*changes, quick=False):
        text = STUDY
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (folder / "study.toml").write_text(text)
        return read_study(folder / "study.toml", quick=quick)

    return make


@pytest.fixture
def run(folder):
    """Run a study with a bench of `study_benches`."""

    def call(study, bench="steady", name="out", watch=None, **options):
        options.setdefault("workers", 2)
        more = {"watch": watch} if watch else {}
        return ablate(
            study, folder / name, Options(**options), bench=f"study_benches:{bench}", **more
        )

    return call


def measured(results):
    """What every trial measured, by its label."""
    return {row.trial.label(): row.measures for row in results.rows}
