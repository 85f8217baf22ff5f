"""The program as a process: what it imports, how it dies, what it leaves behind."""

import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from snndeploy import load
from snndeploy.reading import confined

pytestmark = pytest.mark.usefixtures("files")
HEAVY = ("numpy", "torch", "nir", "h5py", "rich", "numba", "onnx", "lava", "snndeploy.ir")
HELP = "import sys; from snndeploy.cli.main import run; run(['--help']); print(*sys.modules)"
SLOW = """
import sys, time
from snndeploy.bundle import publish
write = publish._write
def slow(path, data):
    write(path, data)
    print("writing", flush=True)
    time.sleep(60)
publish._write = slow
from snndeploy.cli import entry
sys.argv = ["snndeploy", "compile", "model.pt", "-o", "net", *sys.argv[1:]]
entry()
"""
STARTING = """
import os, signal, sys
from snndeploy.cli import entry
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        os.kill(os.getpid(), signal.Signals(int(number)))
number = sys.argv.pop()
sys.argv = ["snndeploy", "doctor"]
sys.meta_path.insert(0, Interrupt())
entry()
"""
ENDING = """
import atexit, os, signal, sys
from snndeploy.cli import entry
atexit.register(os.kill, os.getpid(), signal.Signals(int(sys.argv.pop())))
sys.argv = ["snndeploy", "explain", "E1206"]
entry()
"""
SLEEPER = "import time\n\n\ndef read(path):\n    time.sleep(60)\n"
LIMIT_S = 0.3


def run_python(code, *args):
    command = [sys.executable, "-c", code, *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_help_imports_nothing_heavy():
    loaded = run_python(HELP).stdout.splitlines()[-1].split()
    assert not [name for name in HEAVY if name in loaded]


def test_help_takes_little_cpu():
    spent = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run_python(HELP).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < LIMIT_S


def test_importing_the_package_imports_nothing_heavy():
    loaded = run_python("import sys, snndeploy; print(*sys.modules)").stdout.split()
    assert not [name for name in HEAVY if name in loaded]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_writing_leaves_nothing_and_exits_130(files, number):
    before = sorted(files.iterdir())
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.strip() == "interrupted; nothing was written"
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_program_is_imported_is_one_line_too(number):
    ran = run_python(STARTING, str(int(number)))
    assert ran.returncode == 130
    assert ran.stderr == "interrupted; nothing was written\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_all_is_said_just_ends_the_process(number):
    done = run_python(ENDING, str(int(number)))
    assert (done.returncode, done.stderr) == (-number, "")
    assert "E1206" in done.stdout


def test_a_signal_while_a_file_is_read_ends_its_reader(files, monkeypatch, capfd):
    (files / "sleeper.py").write_text(SLEEPER)
    monkeypatch.setenv("PYTHONPATH", str(files))
    confined._process.end()  # the next one finds the sleeper
    here = threading.main_thread().ident
    timer = threading.Timer(2.0, signal.pthread_kill, [here, signal.SIGINT])
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        confined.read_plain("sleeper:read", files / "model.pt", {})
    timer.join()
    assert time.monotonic() - began < 6.0
    assert confined._process.running is None
    assert capfd.readouterr().err == ""
    assert load("model.pt").steps == 8  # by a new one


def test_a_signal_while_replacing_keeps_the_old_bundle(bundle):
    old = {path.name: path.read_bytes() for path in bundle.iterdir()}
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, "--force"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == old


def test_the_installed_program_runs():
    program = Path(sys.executable).with_name("snndeploy")
    ran = subprocess.run(
        [program, "targets"], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0
    assert "loihi2" in ran.stdout


def test_a_closed_pipe_is_no_error():
    program = Path(sys.executable).with_name("snndeploy")
    process = subprocess.Popen(
        [program, "explain", "E3001"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait(timeout=30)


def test_no_command_opens_a_socket():
    code = (
        "import sys, socket\n"
        "def refuse(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo'): raise SystemExit('socket')\n"
        "sys.addaudithook(refuse)\n"
        "from snndeploy.cli.main import run\n"
        "sys.exit(run(['compile', 'model.pt', '--data', 'data.npz', '-o', 'net']))\n"
    )
    ran = run_python(code)
    assert ran.returncode == 0, ran.stderr


def test_debug_prints_the_traceback_and_keeps_the_exit_code():
    ran = run_python(
        "import sys; from snndeploy.cli.main import run; sys.exit(run(sys.argv[1:]))",
        "compile", "nothing.pt", "--debug",
    )  # fmt: skip
    assert ran.returncode == 3
    assert "Traceback" in ran.stderr
