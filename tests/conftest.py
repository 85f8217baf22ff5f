"""Shared by all suites; its place makes the modules beside it (networks, chains) importable."""

import signal


def pytest_configure():
    """Hear Ctrl-C even where the shell that started us ignores it, so that our children do too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="write tests/golden/*.txt anew; read the diff"
    )
