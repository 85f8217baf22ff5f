"""Errors read as one line, and every code has an explanation."""

import re
from pathlib import Path

import pytest

from snndeploy import errors
from snndeploy.cli.catalogue import CATALOGUE
from snndeploy.errors import CapacityError, ModelError, Violation
from snndeploy.report.plain import plain

ROOT = Path(__file__).parents[2]
CODE = re.compile(r'"(E\d{4})"')


def codes_in_use():
    """Codes in the packages' own files, the catalogue left out."""
    found = set()
    for folder in ("snndeploy", "hwtargets"):
        for file in (ROOT / folder).rglob("*.py"):
            if file.name != "catalogue.py":
                found |= set(CODE.findall(file.read_text()))
    return found


def test_the_catalogue_explains_exactly_the_codes_in_use():
    assert set(CATALOGUE) == codes_in_use()


def test_every_entry_says_what_it_is_and_what_to_do():
    for code, entry in CATALOGUE.items():
        assert CODE.match(f'"{code}"')
        assert all(text and text[0].isupper() and "\n" not in text for text in entry), code
        assert entry.meaning.endswith("."), code
        assert entry.remedy.endswith("."), code


def test_an_error_is_one_line_with_place_and_remedy():
    error = ModelError("E1206", "shape [3]", where="x.npz", remedy="reshape it")
    assert error.line() == "error[E1206] x.npz: shape [3]; help: reshape it"


def test_a_capacity_error_shows_the_first_violation_and_counts_the_rest():
    one = Violation(node="fc", rule="r", have=5120, limit=4096, unit="axons", hint="split it")
    error = CapacityError("loihi2", (one, one, one))
    fits_not = "does not fit loihi2: 5,120 axons, limit 4,096 (and 2 more)"
    assert error.line() == f"error[E3001] fc: {fits_not}; help: split it"


def test_exit_codes_are_the_documented_ones():
    codes = {
        errors.SnnDeployError: 1,
        errors.UsageError: 2,
        errors.ModelError: 3,
        errors.UnsupportedError: 4,
        errors.CapacityError: 5,
        errors.TargetError: 8,
    }
    assert {kind: kind.exit_code for kind in codes} == codes


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("conv1", "conv1"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("two\nlines\t", r"two\nlines\t"),
        ("\u202egnp", r"\u202egnp"),
        ("\ud800", r"\ud800"),
        ("Größe µ", "Größe µ"),
        ("a" * 300, "a" * 200 + "…"),
    ],
)
def test_plain_writes_out_what_a_terminal_would_act_on(text, shown):
    assert plain(text) == shown
