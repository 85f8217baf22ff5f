"""A supervised worker: time limits, errors, and the end of its whole process group."""

import os
import sys
import time

import pytest

from hwtargets.loihi.supervise import last_error, supervised, time_limit_s, wait
from snndeploy.errors import TargetError

CHILD_THAT_FORKS = """
import os, sys, time
child = os.fork()
if child:
    open(sys.argv[1], "w").write(str(child))
time.sleep(600)
"""


def start(code, folder, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return supervised(command, folder=folder, environ=os.environ)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def ends(pid, within_s=10.0):
    """Whether a process ends: one that was killed closes its files before it stops being listed."""
    deadline = time.monotonic() + within_s
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_running(pid)


def nothing():
    pass


def run(code, folder, *, timeout_s=30.0, poll=nothing):
    with start(code, folder) as process:
        wait(process, folder=folder, timeout_s=timeout_s, poll=poll)


def test_worker_that_ends_well(tmp_path):
    seen = []
    run("print('hello')", tmp_path, poll=lambda: seen.append(1))
    assert (tmp_path / "stdout").read_text() == "hello\n"
    assert seen


def test_exception_of_the_worker_is_the_message(tmp_path):
    with pytest.raises(TargetError, match=r"^error\[E4003\]: Lava failed: ValueError: no sums;"):
        run("raise ValueError('no sums')", tmp_path)


def test_status_is_the_message_when_there_is_no_other(tmp_path):
    with pytest.raises(TargetError, match="Lava failed: it ended with status 7"):
        run("import sys; sys.exit(7)", tmp_path)


def test_time_out_stops_the_worker(tmp_path):
    began = time.monotonic()
    with pytest.raises(TargetError, match=r"E4004.*within 0\.3 s.*SNNDEPLOY_LAVA_TIMEOUT"):
        run("import time; time.sleep(600)", tmp_path, timeout_s=0.3)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_grandchildren_end_with_the_block(error, tmp_path):
    note = tmp_path / "pid"
    with pytest.raises(error), start(CHILD_THAT_FORKS, tmp_path, note) as process:  # noqa: PT012
        while not (note.exists() and note.read_text()):
            time.sleep(0.01)
        raise error
    assert process.returncode is not None
    assert ends(int(note.read_text()))


def test_worker_that_ignores_signals_is_ended(tmp_path):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    with start(code, tmp_path) as process:
        time.sleep(0.1)
    assert process.returncode == -9


def test_descriptors_do_not_leak(tmp_path):
    run("", tmp_path)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(5):
        run("", tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("one\n\ntwo\n\n", "two"),
        ("Traceback:\n  File x\nKeyError: 'a'\nwarning: leaked objects\n", "KeyError: 'a'"),
        ("ValueError: a\nnumpy.core._exceptions.UFuncTypeError: b\nx", None),
        ("lava.x.NoProcessModelFound: y\n", "lava.x.NoProcessModelFound: y"),
        ("RuntimeError: " + "x" * 1000, "RuntimeError: " + "x" * 286),
    ],
)
def test_last_error_is_the_last_line_that_names_one(text, expected, tmp_path):
    if expected is None:
        expected = text.splitlines()[1]
    (tmp_path / "stderr").write_text(text)
    assert last_error(tmp_path / "stderr") == expected


def test_time_limit_is_the_users_or_the_estimate():
    assert time_limit_s({}, 12.5) == 12.5
    assert time_limit_s({"SNNDEPLOY_LAVA_TIMEOUT": "600"}, 12.5) == 600


@pytest.mark.parametrize("text", ["", "soon", "0", "-3", "nan"])
def test_time_limit_that_is_no_number_is_refused(text):
    with pytest.raises(TargetError, match=r"E4005.*not a positive number"):
        time_limit_s({"SNNDEPLOY_LAVA_TIMEOUT": text}, 1.0)
