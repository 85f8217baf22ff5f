"""Cases on the real Lava, all of a list in one worker."""

import os
from pathlib import Path

from hwtargets.loihi.executor import LavaJob, run_jobs
from hwtargets.loihi.lower import lower
from tests.generator.case import Case, Traces
from tests.generator.check import check

BUDGET = 60
"""Runs of Lava to reduce a case that fails; each starts a worker."""


def job(case: Case) -> LavaJob:
    """Return what the worker runs; raises what `lower` raises."""
    return LavaJob(program=lower(case.network), inputs=case.inputs, record=case.names)


def run_lava(case: Case) -> Traces:
    return run_jobs([job(case)], environ=os.environ)[0]


def check_lava(cases: dict[str, Case], failures: Path) -> None:
    """Compare Lava with the reference on cases by name."""
    answers = run_jobs([job(case) for case in cases.values()], environ=os.environ)
    for (name, case), got in zip(cases.items(), answers, strict=True):
        check(case, got, run_lava, name=name, failures=failures, budget=BUDGET)
