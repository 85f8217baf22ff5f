"""The smallest case that still fails: simplify as long as a predicate holds.

A move yields simpler cases, the simplest first. The first one that is valid and still fails takes
the place of the case; when no move helps any more, what is left is the answer.
"""

from collections.abc import Callable

from snndeploy.errors import SnnDeployError
from tests.generator.case import Case
from tests.generator.moves import MOVES

Predicate = Callable[[Case], bool]
BUDGET = 3000
"""Runs of the predicate."""


def reduce_case(case: Case, fails: Predicate, *, budget: int = BUDGET) -> Case:
    """Return a small case that fails, made of one that does; what raises our errors does not."""
    left = [budget]

    def still_fails(candidate: Case) -> bool:
        if not candidate.is_valid or left[0] <= 0:
            return False
        left[0] -= 1
        try:
            return fails(candidate)
        except SnnDeployError:
            return False

    before = None
    while before is not case:
        before = case
        for move in MOVES:
            found: Case | None = case
            while found is not None:
                case = found
                found = next(filter(still_fails, move(case)), None)
    return case
