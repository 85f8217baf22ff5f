"""The smallest case that still fails: simplify as long as a predicate holds.

A move yields simpler cases, the simplest first. The first one that is valid and still fails takes
the place of the case; when no move helps any more, what is left is the answer.
"""

from collections.abc import Callable

from snndeploy.errors import SnnDeployError
from tests.generator.moves import MOVES

Predicate = Callable[..., bool]
BUDGET = 3000


def reduce_case(case, fails: Predicate, *, budget: int = BUDGET, moves=MOVES):
    """Return a small case that fails, made of one that does; what raises our errors does not.

    Args:
        case: a `Case`, or a `ModelCase` with `moves` of its own.
        fails: what must stay true.
        budget: runs of the predicate.
        moves: functions of a case that yield simpler ones.
    """
    left = [budget]

    def still_fails(candidate) -> bool:
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
        for move in moves:
            found = case
            while found is not None:
                case = found
                found = next(filter(still_fails, move(case)), None)
    return case
