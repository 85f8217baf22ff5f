"""Ray: the same numbers, whatever is killed: the driver, a worker, a machine of the cluster."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ablation.conftest import measured
from ablation.test_kill import N_TRIALS, SEEDS, check_nothing_lost, wait_for_records

pytestmark = pytest.mark.full
DRIVER = """
import sys
from pathlib import Path
from snndeploy.ablation.ablate import Options, ablate
from snndeploy.ablation.study_file import read_study

out, address, bench, resume = sys.argv[1:]
results = ablate(read_study(Path("study.toml")), Path(out),
                 Options(engine="ray", workers=2, ray=address, resume=resume == "resume"),
                 bench=f"study_benches:{bench}")
print(results.count("done"), results.count("failed"))
"""
LISTENING, LOOPBACK = "0A", ("0100007F", "0000000000000000FFFF00000100007F")


def drive(out, *, address="", bench="slower", resume=""):
    """Run a study on Ray in a process of its own: Ray stays out of this one."""
    command = [sys.executable, "-c", DRIVER, out, address, bench, resume]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def descendants(pid):
    """Process numbers of a process and all below it."""
    found = [pid]
    for parent in found:
        try:
            text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        except FileNotFoundError:
            continue
        found += [int(child) for child in text.split()]
    return found


def at_work(pids):
    """Those that run a task: Ray names them after it."""
    found = []
    for pid in pids:
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
        except FileNotFoundError:
            continue
        if b"ray::run_task" in title:
            found.append(pid)
    return found


def listening(pids):
    """Addresses, in hexadecimal, on which some processes listen."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(link.readlink())
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and fields[9] in inodes:
                addresses.add(fields[1].partition(":")[0])
    return addresses


@pytest.fixture
def cluster(folder):  # noqa: ARG001 - its PYTHONPATH is what the nodes inherit
    """Two nodes of one core each, on this machine."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    made = cluster_utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def test_alone_ray_listens_on_loopback_and_keeps_its_noise_to_itself(study, run, folder):
    read = study(SEEDS)
    process = drive("out")
    wait_for_records(folder / "out", 4, process)
    addresses = listening(descendants(process.pid))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.split() == [str(N_TRIALS), "0"]
    assert err == ""
    assert addresses
    assert addresses <= set(LOOPBACK)
    results = run(read, bench="slower", engine="serial", resume=True)
    undisturbed = run(read, bench="slower", engine="process", name="undisturbed")
    assert measured(results) == measured(undisturbed)


def test_a_killed_worker_and_a_killed_driver_lose_nothing(study, run, folder):
    read = study(SEEDS)
    undisturbed = run(read, bench="slower", engine="process", name="undisturbed")
    process = drive("out")
    wait_for_records(folder / "out", 3, process)
    (victim, *_) = at_work(descendants(process.pid))
    os.kill(victim, signal.SIGKILL)
    wait_for_records(folder / "out", 6, process)
    process.kill()
    process.communicate()
    time.sleep(5)  # what Ray started here notices that its driver is gone
    process = drive("out", resume="resume")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.split() == [str(N_TRIALS), "0"]
    results = run(read, bench="slower", engine="serial", resume=True)
    check_nothing_lost(folder, undisturbed, results, in_flight=1 + 2 * 2)


def test_a_killed_node_loses_nothing(study, run, folder, cluster):
    """The second of two machines goes without a word, and another one comes."""
    read = study(SEEDS)
    undisturbed = run(read, bench="slower", engine="process", name="undisturbed")
    process = drive("out", address=cluster.address)
    wait_for_records(folder / "out", 4, process)
    second = next(node for node in cluster.list_all_nodes() if not node.is_head())
    cluster.remove_node(second, allow_graceful=False)
    cluster.add_node(num_cpus=1)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert out.split() == [str(N_TRIALS), "0"]
    results = run(read, bench="slower", engine="serial", resume=True)
    check_nothing_lost(folder, undisturbed, results, in_flight=4)


def test_trials_that_fail_on_ray_are_told_with_their_reasons(study, run):
    read = study(
        ("seeds = [0, 1, 2]", "seeds = [0, 1, 2, 3, 4, 6, 7]"),
        ('bits = ["fp32", 4, 2]', "bits = [4]"), ("seconds = 30", "seconds = 3"),
    )  # fmt: skip
    process = drive("out", bench="troubled")
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert out.split() == ["2", "4"]
    results = run(read, bench="troubled", engine="serial", resume=True, budget_s=0.0)
    rows = {row.trial.seed: row for row in results.rows}
    assert {seed: row.status for seed, row in rows.items()} == {
        0: "done", 1: "failed", 2: "failed", 3: "failed", 4: "failed", 6: "refused", 7: "done",
    }  # fmt: skip
    assert rows[1].reason == "RuntimeError: what a mistake"
    assert rows[2].reason == "not a finite number: accuracy"
    for seed in (3, 4):
        assert "lost 2 times; ended, or took longer than 3 s" in rows[seed].reason
    assert {rows[seed].attempts for seed in (1, 2, 3, 4)} == {2}


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "no.such.host.invalid:6379"])
def test_a_cluster_that_is_not_there_is_named_at_once(study, address):
    study(SEEDS)
    started = time.monotonic()
    process = drive("out", address=address)
    _, err = process.communicate(timeout=120)
    assert "error[E4033] --engine ray: Ray does not start" in err
    assert time.monotonic() - started < 60
