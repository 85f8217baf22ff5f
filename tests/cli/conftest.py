"""Model files, data and a bundle for the command line, and a way to run it in this process."""

import json
import sys
from types import SimpleNamespace

import nir
import numpy as np
import pytest
from chains import chain_model, lif

from snndeploy.cli.main import run
from snndeploy.frontends.checkpoint import write_model
from snndeploy.frontends.nir_file import write

STEPS, N_IN, N_OUT = 8, 12, 4


@pytest.fixture
def snn(files, capsys):  # noqa: ARG001 - the working folder
    """Run the command line in the working folder; return exit code, stdout, stderr."""

    def call(*args):
        capsys.readouterr()
        code = run([str(arg) for arg in args])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return SimpleNamespace(code=code, out=out, err=err, json=lambda: json.loads(out))

    return call


@pytest.fixture(scope="session")
def float_model():
    rng = np.random.default_rng(5)
    return chain_model(
        nir.Affine(weight=rng.normal(0.2, 0.4, (10, N_IN)), bias=np.zeros(10)),
        lif((10,), keep=0.75),
        nir.Linear(weight=rng.normal(0, 0.4, (N_OUT, 10))),
        shape=(N_IN,), out_shape=(N_OUT,), steps=STEPS,
    )  # fmt: skip


@pytest.fixture(scope="session")
def arrays():
    rng = np.random.default_rng(6)
    x = (rng.random((STEPS, 6, N_IN)) < 0.3).astype(np.uint8)
    return {"x": x, "label": rng.integers(0, N_OUT, 6)}


@pytest.fixture
def files(tmp_path, monkeypatch, float_model, arrays):
    """A working folder with model.pt, model.nir and data.npz."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    write_model(float_model, tmp_path / "model.pt")
    write(float_model, tmp_path / "model.nir")
    np.savez_compressed(tmp_path / "data.npz", **arrays)
    return tmp_path


@pytest.fixture
def opened_here():
    """Names of the files that this process opens from now on."""
    seen, armed = [], [True]

    def watch(event, args):
        if armed[0] and event == "open":
            seen.append(str(args[0]))

    sys.addaudithook(watch)  # it cannot be removed again
    yield seen
    armed[0] = False


@pytest.fixture
def bundle(files, snn):
    """A compiled bundle, with data."""
    ran = snn("compile", "model.pt", "--data", "data.npz", "-o", "net")
    assert ran.code == 0, ran.err
    return files / "net"
