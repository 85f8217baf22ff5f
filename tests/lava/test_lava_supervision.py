"""Nothing of Lava outlives its caller: no process, no file, no shared memory."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lava_cases import CASES

from hwtargets.loihi import LOIHI2
from hwtargets.loihi.executor import LavaJob, run_jobs
from hwtargets.loihi.interpreters import clean_environment
from hwtargets.loihi.lower import lower
from snndeploy.errors import TargetError
from snndeploy.ir.placement import Placement

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("lava_python")]
HERE = Path(__file__).parent
NETWORK, INPUTS = CASES["dense_with_delay_and_exponent"]
ENDLESS = {"in": np.zeros((NETWORK.steps, 200_000, 11), dtype=np.int64)}
END_S = 20.0
USUAL = Path(tempfile.gettempdir())
PARENT = """
import os, sys
sys.path[:0] = sys.argv[1:]
import test_lava_supervision as suite
def tell(done, total):
    print("running", flush=True)
suite.run_endless(tell)
"""


def run_endless(progress):
    """Run far longer than any test waits."""
    job = LavaJob(program=lower(NETWORK), inputs=ENDLESS, record=("p",))
    run_jobs([job], environ=os.environ, progress=progress)


@pytest.fixture
def folder():
    """Return an empty temporary folder with a short path; Unix sockets will be made in it."""
    with tempfile.TemporaryDirectory(prefix="t-") as name:
        yield Path(name)


@pytest.fixture
def at_home(folder, monkeypatch):
    """Let this process make its temporary files in the folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def processes_of(folder):
    """Return the processes whose command line names the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def youngest_of(folder):
    """Return the one that started last; the numbers of processes begin anew some time."""

    def started(process):
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])

    return max(processes_of(folder), key=started)


def lost_shared_memory():
    """Return shared memory whose run has no folder any more, here or beside us."""
    names = [path.name for path in Path("/dev/shm").glob("sd-*")]
    return [name for name in names if not (USUAL / name.rpartition("-")[0]).exists()]


def assert_clean(folder, *, within_s=1.0):
    """Assert that no process, file or shared memory of a run is left."""
    deadline = time.monotonic() + within_s
    while True:
        left = (processes_of(folder), list(folder.iterdir()), lost_shared_memory())
        if not any(left) or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    assert left == ([], [], [])


def broken(kind, **settings):
    """Return a job whose process of one kind has other settings than Lava takes."""
    program = lower(NETWORK)
    changed = tuple(
        replace(p, settings={**p.settings, **settings}) if p.kind == kind else p
        for p in program.processes
    )
    return LavaJob(program=replace(program, processes=changed), inputs=INPUTS, record=("p",))


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("delay_dense", {"delay": 70}, "expects values between 0 and 63"),
        ("lif", {"reset_interval": 0}, "Reset interval must be > 0"),
        ("lif", {"du": "fast"}, "TypeError|UFuncTypeError|ValueError"),
    ],
)
def test_error_inside_lava_is_reported_in_one_line(kind, settings, message, at_home):
    began = time.monotonic()
    with pytest.raises(TargetError, match=f"E4003.*({message})") as caught:
        run_jobs([broken(kind, **settings)], environ=os.environ)
    assert "\n" not in caught.value.line()
    assert time.monotonic() - began < END_S
    assert_clean(at_home)


def test_killed_actor_is_reported(at_home):
    killed = []

    def kill_one(*_):
        """Kill once: whoever lets the rest go on dying reaches the guard that cleans up."""
        if not killed:
            killed.append(youngest_of(at_home))
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(TargetError, match=r"E4003.*an actor ended with status -9"):
        run_endless(kill_one)
    assert_clean(at_home)


def test_time_out_ends_every_process(at_home):
    environ = {**os.environ, "SNNDEPLOY_LAVA_TIMEOUT": "3"}
    job = LavaJob(program=lower(NETWORK), inputs=ENDLESS, record=("p",))
    with pytest.raises(TargetError, match=r"E4004.*did not finish within 3 s"):
        run_jobs([job], environ=environ)
    assert_clean(at_home)


def test_error_of_the_caller_ends_every_process(at_home):
    def fail(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_endless(fail)
    assert_clean(at_home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signal_to_the_caller_ends_every_process(number, folder):
    command = [sys.executable, "-c", PARENT, str(HERE.parent), str(HERE)]
    parent = subprocess.Popen(
        command,
        env={**os.environ, "TMPDIR": str(folder)},
        cwd=HERE.parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert parent.stdout.readline() == b"running\n"
        assert len(processes_of(folder)) > 3
        parent.send_signal(number)
        parent.wait(END_S)
    finally:
        parent.kill()
        parent.communicate()
    assert parent.returncode != 0
    assert_clean(folder, within_s=END_S)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_to_a_bundle_script_ends_every_process(number, folder, lava_python):
    nowhere = Placement(chip="loihi2", slices=(), mesh=(1, 1), cores_per_tile=1)
    for name, data in LOIHI2.bundle_files(NETWORK, nowhere).items():
        (folder / name).write_bytes(data)
    np.savez(folder / "x.npz", x=ENDLESS["in"].astype(np.int8))
    (folder / "tmp").mkdir()
    command = [str(lava_python), "-I", str(folder / "run.py"), f"--program={folder}"]
    command += [f"--input={folder / 'x.npz'}", f"--output={folder / 'y.npz'}"]
    command += [f"--progress={folder / 'progress'}"]
    process = subprocess.Popen(
        command,
        env={**clean_environment(os.environ), "TMPDIR": str(folder / "tmp")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + END_S
        while not (folder / "progress").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        process.wait(END_S)
    finally:
        process.kill()
        process.wait()
    deadline = time.monotonic() + END_S
    while (processes_of(folder) or any((folder / "tmp").iterdir())) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.05)
    assert processes_of(folder) == []
    assert list((folder / "tmp").iterdir()) == []
    assert not (folder / "y.npz").exists()
