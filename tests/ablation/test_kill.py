"""SIGKILL in the middle of a study: it ends as if nothing had happened, each trial counted once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ablation.conftest import measured

N_TRIALS = 18
DRIVER = """
import sys
from pathlib import Path
from snndeploy.ablation.ablate import Options, ablate
from snndeploy.ablation.study_file import read_study

results = ablate(read_study(Path("study.toml")), Path(sys.argv[1]),
                 Options(engine=sys.argv[2], workers=2), bench="study_benches:slow")
"""
SEEDS = ("seeds = [0, 1, 2]", "seeds = [0, 1, 2, 3, 4, 5]")


def start(name, engine):
    return subprocess.Popen([sys.executable, "-c", DRIVER, name, engine], stderr=subprocess.DEVNULL)


def wait_for_records(folder, least, process):
    """Wait until so many records are there, and return how many."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        n = len(list((folder / "trials").glob("[!.]*.json"))) if folder.is_dir() else 0
        if n >= least:
            return n
        assert process.poll() is None, "it ended too soon to be killed"
        time.sleep(0.01)
    raise AssertionError("no records appear")


def children(pid):
    """Process numbers of the children of a process."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def check_nothing_lost(folder, undisturbed, resumed, *, in_flight):
    assert measured(resumed) == measured(undisturbed)
    assert resumed.is_complete
    assert resumed.count("done") == N_TRIALS
    assert len(list((folder / "out/trials").glob("*.json"))) == N_TRIALS
    tried = (folder / "tried.txt").read_text().split()
    keys = {row.trial.key for row in resumed.rows}
    assert set(tried) == keys
    again = [key for key in keys if tried.count(key) > 2]  # one try is the undisturbed run's
    assert len(again) <= in_flight, "more than what was in flight was run again"
    assert len(tried) <= 2 * N_TRIALS + in_flight


def test_a_killed_run_is_resumed_with_the_same_results(study, run, folder):
    read = study(SEEDS)
    undisturbed = run(read, bench="slow", engine="process", name="undisturbed")
    process = start("out", "process")
    done = wait_for_records(folder / "out", 4, process)
    workers = children(process.pid)
    process.kill()
    process.wait()
    assert done < N_TRIALS
    until = time.monotonic() + 10
    while not all(map(is_gone, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert workers
    assert all(map(is_gone, workers)), "workers outlive the run that was killed"
    resumed = run(read, bench="slow", engine="process", resume=True)
    check_nothing_lost(folder, undisturbed, resumed, in_flight=2)


def test_killed_workers_are_replaced(study, run, folder):
    read = study(SEEDS)
    undisturbed = run(read, bench="slow", engine="process", name="undisturbed")
    process = start("out", "process")
    for least in (3, 7):
        wait_for_records(folder / "out", least, process)
        os.kill(children(process.pid)[0], signal.SIGKILL)
    assert process.wait(60) == 0
    results = run(read, bench="slow", engine="serial", resume=True)
    check_nothing_lost(folder, undisturbed, results, in_flight=2)


def test_a_killed_serial_run_is_resumed_by_another_engine(study, run, folder):
    read = study(SEEDS)
    undisturbed = run(read, bench="slow", engine="serial", name="undisturbed")
    process = start("out", "serial")
    wait_for_records(folder / "out", 2, process)
    process.kill()
    process.wait()
    resumed = run(read, bench="slow", engine="process", resume=True)
    check_nothing_lost(folder, undisturbed, resumed, in_flight=1)
