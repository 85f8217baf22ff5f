"""The worker as a program of its own: what it reads, refuses, writes, and how it stands alone."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from lava_cases import CASES

from hwtargets.loihi import LOIHI2
from hwtargets.loihi.executor import WORKER, LavaExecutor
from hwtargets.loihi.interpreters import clean_environment
from hwtargets.loihi.lower import lower
from hwtargets.loihi.program import node_name, program_files
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.placement import Placement

pytestmark = pytest.mark.lava
TIMEOUT_S = 120
NOWHERE = Placement(chip="loihi2", slices=(), mesh=(1, 1), cores_per_tile=1)


def run_script(python, script, *arguments, cwd):
    """Run a script in Lava's interpreter in a session of its own; return status and stderr."""
    with (cwd / "log").open("wb") as log:
        process = subprocess.run(
            [str(python), "-I", str(script), *map(str, arguments)],
            env=clean_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=cwd,
            timeout=TIMEOUT_S,
            start_new_session=True,
            check=False,
        )
    return process.returncode, (cwd / "log").read_text()


def test_recording_equals_an_unmodified_lif_and_sink(lava_python, tmp_path):
    network, inputs = CASES["u_wraps_and_v_clips"]
    trace = LavaExecutor().run(network, inputs, record=("p",)).traces["p"]
    settings = lower(network).process(node_name("p")).settings
    frames = inputs["in"].swapaxes(0, 1).reshape(-1, network.sources[0].n)
    population, link = network.populations[0], network.projections[0]
    np.savez(
        tmp_path / "given.npz",
        x=np.concatenate([frames, np.zeros((1, frames.shape[1]), dtype=np.int64)]),
        weights=link.synapse.weight,
        weight_exp=link.weight_exp,
        bias_mant=population.params["bias_mant"],
        bias_exp=np.broadcast_to(population.params["bias_exp"], population.n),
        **{k: settings[k] for k in ("du", "dv", "vth", "reset_interval", "reset_offset")},
    )
    script = Path(__file__).with_name("plain_lava.py")
    status, log = run_script(lava_python, script, "given.npz", "answer.npz", cwd=tmp_path)
    assert status == 0, log
    with np.load(tmp_path / "answer.npz") as answer:
        for word, ours in (("spikes", trace.spikes), *trace.states.items()):
            rows = answer[word][population.wave :]
            expected = rows.reshape(-1, network.steps, population.n).swapaxes(0, 1)
            np.testing.assert_array_equal(ours, expected, word)
            assert ours.any()


def write_bundle(folder, network):
    for name, data in LOIHI2.bundle_files(network, NOWHERE).items():
        (folder / name).write_bytes(data)


def test_bundle_runs_on_its_own(lava_python, tmp_path):
    network, inputs = CASES["conv_then_conv_then_dense_keeps_chw_order"]
    write_bundle(tmp_path, network)
    np.savez(tmp_path / "x.npz", x=inputs["in"])
    (tmp_path / "neighbour.py").write_text("open('executed', 'w').close()\n")
    arguments = ("--input=x.npz", "--output=y.npz", "--record=a,c")
    status, log = run_script(lava_python, tmp_path / "run.py", *arguments, cwd=tmp_path)
    assert status == 0, log
    assert not (tmp_path / "executed").exists()
    expected = run_reference(network, inputs, record=("a", "c"))
    with np.load(tmp_path / "y.npz") as answer:
        assert set(answer.files) == {f"{p}.{w}" for p in "ac" for w in ("spikes", "u", "v")}
        for name, trace in expected.items():
            np.testing.assert_array_equal(answer[f"{name}.spikes"], trace.spikes)
            np.testing.assert_array_equal(answer[f"{name}.v"], trace.states["v"])


def test_bundle_records_its_outputs_by_default(lava_python, tmp_path):
    network, inputs = CASES["two_parts_that_are_not_connected"]
    write_bundle(tmp_path, network)
    np.savez(tmp_path / "x.npz", **{f"x.{name}": x for name, x in inputs.items()})
    arguments = ("--input=x.npz", "--output=y.npz")
    status, log = run_script(lava_python, tmp_path / "run.py", *arguments, cwd=tmp_path)
    assert status == 0, log
    with np.load(tmp_path / "y.npz") as answer:
        assert set(answer.files) == {"alone.spikes", "alone.u", "alone.v"}


@pytest.mark.parametrize(("tamper", "status"), [(0, 0), (1, 7)])
def test_bundle_checks_itself_against_expected_arrays(tamper, status, lava_python, tmp_path):
    network, inputs = CASES["gate_and_integrator"]
    write_bundle(tmp_path, network)
    np.savez(tmp_path / "probes.npz", x=inputs["in"])
    traces = run_reference(network, inputs, record=("or", "sum"))
    total = traces["sum"].states["v"].copy()
    total[2, 1, 0] += tamper
    np.savez(tmp_path / "expected.npz", **{"or.spikes": traces["or"].spikes, "sum.v": total})
    arguments = ("--input=probes.npz", "--output=y.npz", "--expect=expected.npz")
    found, log = run_script(lava_python, tmp_path / "run.py", *arguments, cwd=tmp_path)
    assert found == status, log
    if tamper:
        assert "sum.v: 1 values differ, first at step 2, sample 1, neuron 0" in log
    else:
        assert "every value is as expected" in log


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.astype(float), "does not hold integers"),
        (lambda x: x[:-1], "has shape"),
        (lambda x: x[:, :, :-1], "has shape"),
    ],
)
def test_worker_refuses_inputs_it_would_misread(change, message, lava_python, tmp_path):
    network, inputs = CASES["one_to_one_of_both_signs"]
    for name, data in program_files(lower(network)).items():
        (tmp_path / name).write_bytes(data)
    np.savez(tmp_path / "x.npz", x=change(inputs["in"]))
    arguments = (f"--program={tmp_path}", "--input=x.npz", "--output=y.npz")
    status, log = run_script(lava_python, WORKER, *arguments, cwd=tmp_path)
    assert status == 1
    assert message in log
    assert not (tmp_path / "y.npz").exists()


def test_environment_holds_the_pinned_packages_and_no_torch(lava_python, tmp_path):
    names = (
        "import importlib.metadata as m; print(*sorted(d.name.lower() for d in m.distributions()))"
    )
    (tmp_path / "names.py").write_text(names)
    status, log = run_script(lava_python, tmp_path / "names.py", cwd=tmp_path)
    assert status == 0
    assert {"lava-nc", "numpy"} <= set(log.split())
    assert "torch" not in log.split()


def test_executor_reports_progress_to_the_end(lava_python):
    network, inputs = CASES["dense_two_layers_with_biases_and_resets"]
    many = {name: np.tile(values, (1, 25, 1)) for name, values in inputs.items()}
    seen = []
    executor = LavaExecutor()
    executor.run(network, many, record=("b",), progress=lambda *counts: seen.append(counts))
    assert lava_python.exists()
    assert executor.missing() is None
    assert seen == sorted(seen)
    assert seen[-1] == (100, 100)
