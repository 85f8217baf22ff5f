"""A sigma-delta `.net` file through the command line."""

import numpy as np
import pytest
import sdnn_files as made

from snndeploy import npz

STEPS = 8
SEED = 2


@pytest.fixture
def layers(files):
    layers = made.random_layers(SEED)
    (files / "sd.net").write_bytes(made.file_bytes(layers))
    np.savez(files / "x.npz", x=made.frames(layers, steps=STEPS, samples=5))
    return layers


def test_it_is_inspected_compiled_verified_and_priced(files, layers, snn):
    ran = snn("inspect", "sd.net", "--steps", STEPS)
    assert ran.code == 0, ran.err
    said = " ".join(ran.out.split())
    for text in ("real in [-64, 64]", "int(128 * x + -64) of x in 0..1", "spike_exp=6"):
        assert text in said
    assert "sigma_delta" in said
    ran = snn("compile", "sd.net", "--steps", STEPS, "-o", "bundle")
    assert ran.code == 0, ran.err
    assert "needs microcode" in ran.out
    ran = snn("verify", "bundle", "--backends", "reference,sim,onnx", "--input", "x.npz")
    assert ran.code == 0, ran.out + ran.err
    ran = snn("estimate", "bundle", "--data", "x.npz", "--json")
    assert ran.code == 0, ran.err
    assert len(layers) == 6
    assert (files / "bundle" / "run.py").exists()


@pytest.mark.parametrize("backend", ["float", "reference", "sim", "onnx"])
def test_it_runs_on(backend, files, layers, snn):
    args = ("--input", "x.npz", "--steps", STEPS, "--output", "y.npz")
    ran = snn("run", "sd.net", "--backend", backend, *args)
    assert ran.code == 0, ran.err
    x = np.load(files / "x.npz")["x"]
    (out, _) = made.by_hand(layers, x)[-1]
    answer = npz.load_npz((files / "y.npz").read_bytes(), "y")["y"]
    np.testing.assert_array_equal(answer, out)
    assert len(np.unique(answer)) > 5


def test_mixed_neurons_are_refused_in_one_line(files, layers, snn):
    layers[-1]["neuron"] = {"type": "CUBA", "iDecay": 4096, "vDecay": 0, "vThMant": 5}
    (files / "mixed.net").write_bytes(made.file_bytes(layers))
    ran = snn("compile", "mixed.net", "--steps", STEPS, "-o", "bundle")
    assert ran.code == 4
    assert "E2416" in ran.err
    assert "layer 5" in ran.err
    assert len(ran.err.strip().splitlines()) == 1
