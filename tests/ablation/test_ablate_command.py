"""`snndeploy ablate` on a real model: compressed, trained, compiled, simulated, reported."""

import csv
import json
import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import nir
import numpy as np
import pytest
from chains import chain_model, lif

import snndeploy
from snndeploy.cli.main import run as run_command
from snndeploy.frontends.checkpoint import write_model

ROOT = Path(__file__).parents[2]
STEPS, N_IN, N_HIDDEN, N_OUT = 6, 12, 10, 3
STUDY = """
name = "small"
model = "model.pt"

[data]
train = "train.npz"
test = "test.npz"

[space]
bits = ["fp32", 3]
criterion = ["none", "l1", "random"]
ratio = [0.5]
seeds = [0, 1]

[training]
epochs = 2
batch = 16

[limits]
seconds = 60

[quick]
bits = [3]
seeds = [0]
samples = 8
epochs = 1
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a small model, labelled samples and a study."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    model = chain_model(
        nir.Affine(weight=rng.normal(0.2, 0.4, (N_HIDDEN, N_IN)), bias=np.zeros(N_HIDDEN)),
        lif((N_HIDDEN,), keep=0.75),
        nir.Linear(weight=rng.normal(0, 0.4, (N_OUT, N_HIDDEN))),
        shape=(N_IN,), out_shape=(N_OUT,), steps=STEPS,
    )  # fmt: skip
    write_model(model, tmp_path / "model.pt")
    centres = rng.random((N_OUT, N_IN)) * 0.7
    for name, n in (("train", 96), ("test", 60)):
        label = rng.integers(0, N_OUT, n)
        x = (rng.random((STEPS, n, N_IN)) < centres[label]).astype(np.uint8)
        np.savez_compressed(tmp_path / f"{name}.npz", x=x, label=label)
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


@pytest.fixture
def snn(folder, capsys):  # noqa: ARG001 - the working folder
    """Run the command line in the working folder; return exit code, stdout, stderr."""

    def call(*args):
        capsys.readouterr()
        code = run_command([str(arg) for arg in args])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return SimpleNamespace(code=code, out=out, err=err, json=lambda: json.loads(out))

    return call


class Page(HTMLParser):
    """Tags and the addresses they name."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.rows = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.rows += tag == "tr"
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "rect", "circle", "line", "polyline", "polygon", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()


def test_a_study_from_file_to_page(snn, folder):
    ran = snn("ablate", "study.toml", "--json", "--workers", "1")
    assert ran.code == 0, ran.err
    record = ran.json()
    assert record["schema_version"] == 1
    assert record["counts"] == {"done": 12, "refused": 0, "failed": 0, "missing": 0}
    trials = {(t["bits"], t["criterion"], t["seed"]): t["measures"] for t in record["trials"]}
    whole, half = trials[3, "none", 0], trials[3, "l1", 0]
    assert whole["weights"] == N_IN * N_HIDDEN + N_HIDDEN * N_OUT
    assert half["weights"] == (N_IN + N_OUT) * N_HIDDEN // 2
    assert half["synaptic_ops"] < whole["synaptic_ops"]
    low, nominal, high = whole["energy_j"]
    assert 0 < low <= nominal <= high
    assert half["energy_j"][1] < nominal
    assert len({t["control_accuracy"] for key, t in trials.items() if key[2] == 0}) == 1
    with (folder / "small.study/results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert {row["status"] for row in rows} == {"done"}
    assert float(rows[0]["energy_nominal_j"]) == record["trials"][0]["measures"]["energy_j"][1]
    assert json.loads((folder / "small.study/results.json").read_text()) == record
    text = (folder / "small.study/report.html").read_text()
    page = Page(text)
    assert not page.open
    assert not page.addresses
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp", text)
    assert "criterion" in text
    assert "COMPLETE: 12 of 12 trials done" in text


def test_the_accuracy_is_that_of_the_deployed_network(snn, folder):
    """A trial by hand: prune, quantize, fine-tune as integers, compile, run on the simulator."""
    (folder / "study.toml").write_text(
        STUDY.replace('bits = ["fp32", 3]', "bits = [3]").replace('"none", "l1", "random"', '"l1"')
    )
    record = snn("ablate", "study.toml", "--engine", "serial", "--json").json()
    (found,) = (t["measures"] for t in record["trials"] if t["seed"] == 1)
    model, options = snndeploy.load("model.pt"), {"epochs": 2, "batch": 16, "seed": 1}
    control = snndeploy.finetune(model, "train.npz", **options).model
    assert found["control_accuracy"] == snndeploy.run(control, "test.npz").accuracy
    pruned = snndeploy.prune(model, "train.npz", criterion="l1", ratio=0.5).model
    quantized = snndeploy.quantize(pruned, 3, target="loihi2").model
    tuned = snndeploy.finetune(quantized, "train.npz", target="loihi2", **options).model
    compiled = snndeploy.compile(tuned, "loihi2")
    estimate = snndeploy.estimate(compiled, "test.npz")
    assert found["accuracy"] == snndeploy.run(compiled, "test.npz").accuracy
    assert found["energy_j"] == list(estimate.dynamic_j)
    assert found["cores"] == estimate.verdict.cores
    assert found["n_test"] == 60


def test_resumed_is_undisturbed_and_stages_are_shared(snn, folder):
    first = snn("ablate", "study.toml", "-o", "a", "--engine", "serial", "--json").json()
    late = snn("ablate", "study.toml", "-o", "b", "--budget", "0.001s")
    assert late.code == 6
    assert "12 missing" in late.out
    again = snn("ablate", "study.toml", "-o", "b", "--resume", "--json", "--workers", "1")
    assert again.code == 0
    for record in (first, second := again.json()):
        for trial in record["trials"]:
            del trial["seconds"]
    assert first == second
    models = list((folder / "a/shelf").glob("*.pt"))
    # of both seeds: the model at 3 bits, pruned by l1, and both; per seed: the control, 3 bits
    # tuned, l1 tuned twice, and pruned at random, tuned, at 3 bits, and tuned again
    assert len(models) == 3 + 2 * (1 + 1 + 2 + 4)


def test_quick_is_another_study(snn):
    ran = snn("ablate", "study.toml", "--quick", "--engine", "serial")
    assert ran.code == 0, ran.err
    assert "COMPLETE: 3 of 3 trials done" in ran.out
    refused = snn("ablate", "study.toml", "--resume")
    assert refused.code == 3
    assert "error[E1312]" in refused.err
    assert "samples is 8 there, null here" in refused.err


@pytest.mark.parametrize(
    ("spoil", "code", "error"),
    [
        (lambda f: (f / "model.pt").unlink(), 3, "E1212"),
        (lambda f: (f / "test.npz").write_bytes(b"PK not an archive"), 3, "E1202"),
        (lambda f: np.savez(f / "test.npz", x=np.zeros((STEPS, 4, 5))), 3, "E1206"),
        (lambda f: np.savez(f / "test.npz", x=np.zeros((STEPS, 4, N_IN))), 3, "E1214"),
        (lambda f: _replace(f, "bits =", "bit ="), 3, "E1301"),
        (lambda f: _replace(f, "seeds = [0, 1]", "target = ['loihi9']"), 2, "E5001"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(snn, folder, spoil, code, error):
    spoil(folder)
    ran = snn("ablate", "study.toml")
    assert (ran.code, f"error[{error}]" in ran.err) == (code, True), ran.err
    assert not (folder / "small.study").exists()


def _replace(folder, old, new):
    path = folder / "study.toml"
    path.write_text(path.read_text().replace(old, new, 1))


def test_a_network_that_does_not_fit_is_an_answer(snn, folder):
    _replace(folder, "seeds = [0, 1]", "target = ['loihi1']\nseeds = [0]")
    _replace(folder, 'bits = ["fp32", 3]', "bits = [8]")
    n = 5000  # the output neurons' core would take an axon from each
    model = chain_model(
        nir.Linear(weight=np.ones((n, N_IN))), lif((n,), keep=0.5),
        nir.Linear(weight=np.ones((N_OUT, n)) / n),
        shape=(N_IN,), out_shape=(N_OUT,), steps=STEPS,
    )  # fmt: skip
    write_model(model, folder / "model.pt")
    _replace(folder, 'criterion = ["none", "l1", "random"]\nratio = [0.5]\n', "")
    _replace(folder, "epochs = 2", "epochs = 0")
    ran = snn("ablate", "study.toml", "--engine", "serial")
    assert ran.code == 0, ran.err
    assert "refused: 8 bit" in ran.out
    assert "error[E3001]" in ran.out
    assert "1 do not fit" in ran.out


PROGRAM = "import sys; from snndeploy.cli import entry; sys.argv[0] = 'snndeploy'; entry()"


def trials_of(path):
    """Trials of a results.json without what differs from run to run."""
    trials = json.loads(path.read_text())["trials"]
    return [{k: v for k, v in t.items() if k not in ("seconds", "attempts")} for t in trials]


@pytest.mark.full
def test_a_killed_real_study_is_resumed_with_the_same_results(snn, folder):
    assert snn("ablate", "study.toml", "-o", "undisturbed").code == 0
    command = [sys.executable, "-c", PROGRAM, "ablate", "study.toml", "-o", "killed"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(list(folder.glob("killed/trials/[!.]*.json"))) < 3:
        assert process.poll() is None, "it ended too soon to be killed"
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (folder / "killed/results.json").exists()
    assert snn("ablate", "study.toml", "-o", "killed", "--resume").code == 0
    names = ("killed/results.json", "undisturbed/results.json")
    killed, undisturbed = (trials_of(folder / name) for name in names)
    assert killed == undisturbed


@pytest.mark.full
def test_ray_measures_what_the_serial_engine_does(snn, folder, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert snn("ablate", "study.toml", "-o", "serial", "--engine", "serial").code == 0
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        "ablate",
        "study.toml",
        "-o",
        "ray",
        "--engine",
        "ray",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert trials_of(folder / "ray/results.json") == trials_of(folder / "serial/results.json")


@pytest.mark.full
def test_no_socket_is_opened_by_real_trials(folder):
    hook = folder / "hooked"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def hook(event, args):\n"
        "    if event.startswith('socket.'):\n"
        "        os._exit(77)\n"
        "sys.addaudithook(hook)\n"
    )
    environ = {**os.environ, "PYTHONPATH": f"{hook}:{ROOT}"}
    command = [sys.executable, "-c", PROGRAM, "ablate", "study.toml", "--quick"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_budgets_are_durations(snn):
    ran = snn("ablate", "study.toml", "--budget", "20")
    assert ran.code == 2
    assert "error[E5104] --budget: '20' is no duration" in ran.err
