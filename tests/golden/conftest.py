"""Goldens are text files beside the tests; `--update-golden` writes them anew."""

from pathlib import Path

import pytest


@pytest.fixture
def golden(request):
    """Return a function that compares text with tests/golden/NAME.txt."""

    def check(name: str, text: str) -> None:
        path = Path(__file__).parent / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return check
