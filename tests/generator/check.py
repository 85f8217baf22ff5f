"""Compare an executor with the reference; what differs is made small and written down."""

from pathlib import Path

import numpy as np
import pytest

from tests.generator.case import Case, Run, Traces, difference, differs, save_case
from tests.generator.model_case import ModelCase, network_differs, save_model_case
from tests.generator.model_moves import MODEL_MOVES
from tests.generator.reduce import BUDGET, reduce_case

MODEL_BUDGET = 400
"""Compilations of a model that fails."""


def check(
    case: Case,
    got: Traces,
    run: Run,
    *,
    name: str,
    failures: Path,
    budget: int = BUDGET,
) -> None:
    """Fail if an answer differs from the reference; the smallest case that does is written."""
    first = difference(case, got)
    if first is None:
        return
    small = reduce_case(case, differs(run), budget=budget)
    path = save_case(small, failures, name)
    pytest.fail(f"{name}: {first}\nreduced to {small.describe()}: {path}")


def check_model(model_case: ModelCase, run: Run, *, name: str, failures: Path) -> None:
    """Fail as `check` does, and where an exact population fires unlike the float model."""
    case = model_case.case
    first = difference(case, run(case))
    fails = network_differs(run) if first else lambda smaller: smaller.unlike_float() is not None
    first = first or model_case.unlike_float()
    if first is None:
        return
    small = reduce_case(model_case, fails, budget=MODEL_BUDGET, moves=MODEL_MOVES)
    path = save_model_case(small, failures, name)
    save_case(small.case, failures, f"{name}.compiled")
    pytest.fail(f"{name}: {first}\nreduced to {small.case.describe()}: {path}")


def names(network) -> tuple[str, ...]:
    """Return the names of a network's populations."""
    return tuple(network.population)


def assert_equal(got: Traces, want: Traces) -> None:
    """Fail where spikes or states differ from those wanted."""
    for name, trace in want.items():
        np.testing.assert_array_equal(got[name].spikes, trace.spikes, name)
        assert set(got[name].states) == set(trace.states)
        for word, values in trace.states.items():
            np.testing.assert_array_equal(got[name].states[word], values, f"{name}.{word}")
