"""Shared by all suites; its place makes the modules beside it (networks, chains) importable."""

import os
import signal
import sys
from pathlib import Path

import pytest

TOLD = "told"
for _library in ("OMP", "MKL", "OPENBLAS"):
    # One thread each, in us and all that we start: sums are the same however many cores there are,
    # and no thread of one worker spins on the core of the other.
    os.environ[f"{_library}_NUM_THREADS"] = "1"
# The package is compiled once, not by every process that a test starts.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure():
    """Hear Ctrl-C even where the shell that started us ignores it, so that our children do too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="write tests/golden/*.txt anew; read the diff"
    )
    parser.addoption("--failures", metavar="DIR", help="where reduced failing cases are written")


@pytest.fixture
def tell(record_property):
    """Return a function that adds a line to the run's summary, from any worker process."""
    return lambda line: record_property(TOLD, line)


@pytest.fixture
def failures(request, tmp_path):
    """Return the folder for reduced failing cases."""
    chosen = request.config.getoption("--failures")
    return Path(chosen) if chosen else tmp_path / "failures"


def pytest_terminal_summary(terminalreporter):
    """Print what the suites exercised: passed comparisons that compared nothing would show here."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    lines = [v for r in reports for name, v in r.user_properties if name == TOLD]
    if lines:
        terminalreporter.section("what was exercised")
        for line in sorted(set(lines)):
            terminalreporter.line(line)
