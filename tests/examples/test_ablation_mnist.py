"""The example study runs from digits to its page, and its study file says what it claims."""

import json
import subprocess
import sys
from pathlib import Path

from snndeploy.ablation.space import points_of
from snndeploy.ablation.study_file import read_study

FOLDER = Path(__file__).parents[2] / "examples" / "ablation_mnist"


def test_the_study_has_the_points_that_it_claims():
    study = read_study(FOLDER / "study.toml")
    assert len(points_of(study.space)) == 4 * (1 + 4 * 2)
    assert len(study.space.seeds) == 5
    assert set(study.space.bits) == {"fp32", 8, 4, 2}
    assert {"svs", "random", "l1", "sca"} < set(study.space.criterion)


def test_quick_run_ends_in_a_page(tmp_path):
    out = tmp_path / "out"
    command = [
        sys.executable,
        str(FOLDER / "run.py"),
        "--quick",
        "--workers",
        "1",
        "--out",
        str(out),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    assert "COMPLETE: 6 of 6 trials done" in done.stdout
    assert "svs - random:" in done.stdout
    record = json.loads((out / "mnist.study/results.json").read_text())
    assert {trial["status"] for trial in record["trials"]} == {"done"}
    assert (out / "mnist.study/report.html").read_text().startswith("<!doctype html>")
