"""The demo's bundle as its owner would check it: equal, tampered, rebuilt."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from digits import load_digits

from hwtargets.simulator.executor import SimulatorExecutor
from snndeploy.cli.main import run

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "examples" / "models" / "mnist_images.pt"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    digits = load_digits()
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    np.savez(path, x=digits.test_images[None, :16], label=digits.test_labels[:16])
    return path


@pytest.fixture
def bundle(data, tmp_path):
    out = tmp_path / "bundle"
    assert run(["compile", str(MODEL), "--data", str(data), "-o", str(out)]) == 0
    return out


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_reference_simulator_and_lava_are_equal(bundle, capsys):
    assert run(["verify", str(bundle)]) == 0
    said = capsys.readouterr().out
    assert "EQUAL: sim, lava, onnx, stored against the reference on 22 samples" in said


def test_a_changed_byte_is_refused(bundle, capsys):
    weights = bundle / "weights.npz"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(bytes(content))
    assert run(["verify", str(bundle), "--backends", "sim"]) == 3
    error = capsys.readouterr().err
    assert error.startswith("error[E12")
    assert "weights.npz" in error


def one_step_off(network):
    """Return the network with one weight into the second population one grid step off."""
    first, second = network.populations[:2]
    (projection,) = network.into(second.name)
    assert projection.source == first.name
    weight = projection.synapse.weight.copy()
    place = np.unravel_index(np.argmax(np.abs(weight)), weight.shape)
    weight[place] -= 2 * np.sign(weight[place])
    changed = replace(projection, synapse=replace(projection.synapse, weight=weight))
    return replace(
        network,
        projections=tuple(changed if p is projection else p for p in network.projections),
    ), second.name


def test_one_weight_one_step_off_in_one_executor_is_named(bundle, capsys, monkeypatch):
    honest, seen = SimulatorExecutor.run, []

    def tampered(self, network, inputs, **options):
        changed, name = one_step_off(network)
        seen.append(name)
        return honest(self, changed, inputs, **options)

    monkeypatch.setattr(SimulatorExecutor, "run", tampered)
    capsys.readouterr()
    assert run(["verify", str(bundle), "--backends", "sim"]) == 7
    said = "".join(capsys.readouterr())
    assert f"{seen[0]}: step " in said.replace("\n", " ")
    assert "neuron " in said
    assert "DIFFERENT" in said.upper()


def digests(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_two_builds_are_the_same_bytes(data, tmp_path):
    found = []
    for hash_seed in ("1", "2"):
        out = tmp_path / hash_seed / "bundle"
        out.parent.mkdir()
        words = ["compile", str(MODEL), "--data", str(data), "-o", str(out)]
        subprocess.run(
            [sys.executable, "-c", "from snndeploy.cli import entry; entry()", *words],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        found.append(digests(out))
    assert found[0] == found[1]
    assert {"manifest.json", "network.txt", "weights.npz", "run.py"} <= set(found[0])
