"""Compare an executor with the reference; what differs is made small and written down."""

from pathlib import Path

import pytest

from tests.generator.case import Case, Run, Traces, difference, differs, save_case
from tests.generator.reduce import BUDGET, reduce_case


def check(
    case: Case,
    want: Traces,
    got: Traces,
    run: Run,
    *,
    name: str,
    failures: Path,
    budget: int = BUDGET,
) -> None:
    """Fail if two answers differ, with the smallest case that does, which is written down."""
    first = difference(case, want, got)
    if first is None:
        return
    small = reduce_case(case, differs(run), budget=budget)
    path = save_case(small, failures, name)
    pytest.fail(f"{name}: {first}\nreduced to {small.describe()}: {path}")
