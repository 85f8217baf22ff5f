"""Engines: the same numbers from each, whatever fails, hangs, dies or runs out of time."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from ablation.conftest import measured

from snndeploy.ablation.ablate import Options, ablate
from snndeploy.ablation.job import arrays_digest, check_unchanged, prepare
from snndeploy.errors import ModelError, TargetError, UsageError

TROUBLE = ("seeds = [0, 1, 2]", "seeds = [0, 1, 2, 3, 4, 5, 6, 7]")
ONE = ('bits = ["fp32", 4, 2]', "bits = [4]")
SHORT = ("seconds = 30", "seconds = 2")
NO_SOCKETS = """
import sys
def hook(event, args):
    if event.startswith("socket."):
        sys.stderr.write(f"opened a socket: {event}\\n")
        sys.stderr.flush()
        import os
        os._exit(77)
sys.addaudithook(hook)
"""


def test_engines_give_the_same_numbers(study, run):
    found = [run(study(), engine=name, name=name) for name in ("serial", "process")]
    assert measured(found[0]) == measured(found[1])
    assert found[0].is_complete
    assert found[0].count("done") == 9
    assert [r.trial.key for r in found[0].rows] == [r.trial.key for r in found[1].rows]


def test_trials_that_fail_are_retried_and_told_with_their_reasons(study, run, folder):
    results = run(study(TROUBLE, ONE, SHORT), bench="troubled")
    rows = {row.trial.seed: row for row in results.rows}
    assert {seed: row.status for seed, row in rows.items()} == {
        0: "done", 1: "failed", 2: "failed", 3: "failed", 4: "failed", 5: "failed",
        6: "refused", 7: "done",
    }  # fmt: skip
    assert rows[1].reason == "RuntimeError: what a mistake"
    assert rows[2].reason == "not a finite number: accuracy"
    assert rows[3].reason == "took longer than 2 s"
    assert rows[4].reason == "worker process killed by SIGKILL"
    assert rows[5].reason == "out of memory: more than 8 GB"
    assert rows[6].reason.startswith("error[E3001] fc: does not fit loihi2")
    assert [rows[seed].attempts for seed in range(8)] == [1, 2, 2, 2, 2, 2, 1, 2]
    tried = (folder / "tried.txt").read_text().split()
    assert {seed: tried.count(row.trial.key) for seed, row in rows.items()} == {
        0: 1, 1: 2, 2: 2, 3: 2, 4: 2, 5: 2, 6: 1, 7: 2,
    }  # fmt: skip
    assert not results.is_complete
    assert results.count("failed") == 5
    assert "RuntimeError: what a mistake" in (folder / "out/report.html").read_text()
    record = json.loads((folder / "out/results.json").read_text())
    assert record["counts"] == {"done": 2, "failed": 5, "missing": 0, "refused": 1}
    assert not record["complete"]


def test_a_network_whose_sums_no_unit_proves_is_refused_at_once(study, run, folder):
    results = run(study(ONE), bench="unproven", engine="serial")
    assert {row.status for row in results.rows} == {"refused"}
    assert {row.attempts for row in results.rows} == {1}
    assert results.rows[0].reason == "error[E1053] fc: no step keeps its sums in 24 bits"
    assert len((folder / "tried.txt").read_text().split()) == len(results.rows)


def test_failed_trials_are_tried_again_on_resume_and_finished_ones_are_not(study, run, folder):
    some = ("seeds = [0, 1, 2]", "seeds = [0, 1, 6]")
    run(study(some, ONE), bench="troubled", engine="serial")
    run(study(some, ONE), bench="troubled", engine="serial", resume=True)
    results = run(study(some, ONE), bench="troubled", engine="serial", resume=True)
    tried = (folder / "tried.txt").read_text().split()
    assert [tried.count(row.trial.key) for row in results.rows] == [1, 6, 1]
    assert len(list((folder / "out/failures").iterdir())) == 3


@pytest.mark.parametrize("engine", ["serial", "process"])
def test_a_budget_stops_in_time_and_the_rest_is_missing(study, run, engine):
    many = ("seeds = [0, 1, 2]", f"seeds = {list(range(40))}")
    started = time.monotonic()
    results = run(study(many), bench="slow", engine=engine, budget_s=2.0)
    assert time.monotonic() - started < 6
    assert 0 < results.count("done") < 120
    assert results.count("missing") == 120 - results.count("done")
    assert not results.is_complete
    rest = run(study(many), engine="serial", bench="slow", resume=True, budget_s=0.0)
    assert rest.count("done") == results.count("done")


def test_progress_counts_what_is_done_running_and_failed(study, run):
    seen = []
    some = ("seeds = [0, 1, 2]", "seeds = [0, 1]")
    run(study(some, ONE), bench="troubled", engine="serial", watch=seen.append)
    assert [(p.done, p.running, p.failed) for p in seen] == [
        (0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0), (1, 0, 1),
    ]  # fmt: skip
    assert {p.total for p in seen} == {2}
    assert seen[0].eta_s is None
    assert seen[3].eta_s > 0
    run(study(some, ONE), bench="troubled", engine="serial", resume=True, watch=seen.append)
    assert (seen[5].done, seen[5].total) == (1, 2)


@pytest.mark.parametrize("engine", ["serial", "process"])
def test_no_socket_is_opened(study, folder, monkeypatch, engine):
    """Every process of a run, workers included, ends at the first socket it makes."""
    study(ONE)
    (folder / "sitecustomize.py").write_text(NO_SOCKETS)
    path = os.environ["PYTHONPATH"]
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{path}")
    code = (
        "from pathlib import Path\n"
        "from snndeploy.ablation.ablate import Options, ablate\n"
        "from snndeploy.ablation.study_file import read_study\n"
        f"results = ablate(read_study(Path('study.toml')), Path('out'), Options(engine={engine!r},"
        " workers=2), bench='study_benches:steady')\n"
        "assert results.is_complete, [row.reason for row in results.rows]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    control = "import socket; socket.socket()"
    assert subprocess.run([sys.executable, "-c", control], check=False).returncode == 77


def test_what_a_trial_prints_is_no_answer(study, folder, monkeypatch):
    (folder / "loud.py").write_text(
        "import study_benches\n"
        "def bench(job):\n"
        "    def measure(trial):\n"
        "        print('null')\n"
        "        return study_benches.numbers(trial)\n"
        "    return measure\n"
    )
    path = os.environ["PYTHONPATH"]
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{path}")
    monkeypatch.syspath_prepend(folder)
    results = ablate(study(ONE), folder / "out", Options(workers=1), bench="loud:bench")
    assert results.is_complete


def test_a_worker_that_cannot_start_says_why(study, folder, monkeypatch):
    """The bench opens in the parent, but not in workers."""
    (folder / "fragile.py").write_text(
        "import os, study_benches\n"
        "def bench(job):\n"
        f"    assert os.getpid() == {os.getpid()}, 'not here'\n"
        "    return study_benches.steady(job)\n"
    )
    path = os.environ["PYTHONPATH"]
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{path}")
    monkeypatch.syspath_prepend(folder)
    one_seed = ("seeds = [0, 1, 2]", "seeds = [0]")
    results = ablate(study(ONE, one_seed), folder / "out", Options(), bench="fragile:bench")
    assert results.rows[0].reason == "worker process ended with code 1: AssertionError: not here"
    assert results.rows[0].attempts == 2


def test_options_that_contradict_each_other_are_refused(study, run):
    for options, message in (
        ({"engine": "threads"}, "unknown engine 'threads'"),
        ({"workers": 0}, "0 workers"),
        ({"ray": "1.2.3.4:5"}, "a cluster, but another engine"),
        ({"storage": "sqlite:///x"}, "a storage, but no search"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            run(study(), **options)
        assert caught.value.code == "E5105"


def test_an_engine_that_is_not_installed_is_named_before_anything_is_written(
    study, run, folder, monkeypatch
):
    for package, code, options, lines in (
        ("ray", "E4030", {"engine": "ray"}, ()),
        ("optuna", "E4031", {}, (("[limits]", "[search]\npoints = 2\n[limits]"),)),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(TargetError) as caught:
            run(study(*lines), **options)
        assert caught.value.code == code
        assert f"snndeploy[{'ray' if package == 'ray' else 'search'}]" in caught.value.remedy
    assert not (folder / "out").exists()


def test_a_system_that_starts_no_process_is_named(study, run, monkeypatch):
    def refuse(*_, **__):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(TargetError, match="Resource temporarily unavailable") as caught:
        run(study())
    assert caught.value.code == "E4032"
    monkeypatch.undo()


def test_data_that_change_during_a_study_are_noticed(study, folder):
    """Trials after the change fail with the reason; none is measured on other data."""
    job = prepare(study(), folder / "out")
    path = folder / "test.npz"
    check_unchanged(path, arrays_digest(path), job)
    np.savez(path, x=np.arange(4), label=np.arange(4))  # other bytes, same arrays
    check_unchanged(path, arrays_digest(path), job)
    np.savez_compressed(path, x=np.arange(4) + 1, label=np.arange(4))
    with pytest.raises(ModelError, match="has changed since the study began") as caught:
        check_unchanged(path, arrays_digest(path), job)
    assert caught.value.code == "E1314"
