"""The guide's example target installs, is found, compiles, and enforces its own rules."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from chains import chain_model, lif
from nir import Affine, Linear

from snndeploy.frontends.nir_file import write

EXAMPLE = Path(__file__).parents[2] / "examples" / "custom_target"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install the example into a folder of its own; return that folder."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for path in EXAMPLE.rglob("*"):  # a build writes beside its sources
        if path.is_file() and "__pycache__" not in path.parts:
            copy = source / path.relative_to(EXAMPLE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--target", str(target), str(source)]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    return target


def run(installed, folder, *args):
    code = "import sys; from snndeploy.cli.main import run; sys.exit(run(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        env={**os.environ, "PYTHONPATH": str(installed)},
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def write_model(path, *, n_layers):
    rng = np.random.default_rng(0)
    nodes = []
    for _ in range(n_layers):
        nodes += [
            Affine(weight=rng.normal(0.2, 0.3, (6, 6)), bias=np.zeros(6)),
            lif((6,), keep=0.5),
        ]
    nodes.append(Linear(weight=rng.normal(0, 0.4, (3, 6))))
    write(chain_model(*nodes, shape=(6,), out_shape=(3,)), path)


def test_the_example_is_found_and_says_what_it_is(installed, tmp_path):
    ran = run(installed, tmp_path, "targets", "tiny")
    assert ran.returncode == 0, ran.stderr
    assert "invented for this example" in ran.stdout


def test_the_example_compiles_and_adds_its_files(installed, tmp_path):
    write_model(tmp_path / "model.nir", n_layers=1)
    ran = run(installed, tmp_path, "compile", "model.nir", "--target", "tiny", "-o", "net")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("FITS tiny: 2 of 4 cores")
    assert (tmp_path / "net" / "tiny" / "cores.txt").read_text().startswith("0 ")
    assert run(installed, tmp_path, "verify", "net", "--backends", "sim").returncode == 0


def test_the_example_enforces_its_own_rule(installed, tmp_path):
    write_model(tmp_path / "deep.nir", n_layers=9)
    ran = run(installed, tmp_path, "compile", "deep.nir", "--target", "tiny", "-o", "net")
    assert ran.returncode == 5
    assert "pipeline_depth" in ran.stdout
    assert not (tmp_path / "net").exists()


def test_two_packages_with_one_name_are_refused_by_name(installed, tmp_path):
    other = tmp_path / "other"
    info = other / "rival_chip-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rival-chip\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[snndeploy.targets]\ntiny = rival:CHIP\n")
    both = os.pathsep.join([str(installed), str(other)])
    ran = run(both, tmp_path, "targets", "tiny")
    assert ran.returncode == 8
    assert "E4020" in ran.stderr
    assert "rival-chip" in ran.stderr
    assert "snndeploy-tiny-chip" in ran.stderr
