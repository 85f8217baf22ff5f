"""How many channels of each group are kept: from ratios, or from a budget by bisection."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from fractions import Fraction
from math import floor, inf
from numbers import Real

import numpy as np

from snndeploy.compress.channels import Group, by_node
from snndeploy.compress.criteria import ranked
from snndeploy.compress.prune_records import Budget, BudgetReport, Cost, Ratio
from snndeploy.compress.removal import Kept
from snndeploy.compress.scores import Scores
from snndeploy.errors import UnsupportedError, UsageError
from snndeploy.model import Model
from snndeploy.target import Progress, no_progress

GRID = 1000
"""A budget's ratio is found to a thousandth."""
MOST_TRIED = GRID.bit_length() + 1
"""Networks that bisection tries at most."""
Ratios = Mapping[str, float]
"""Share of channels to remove, by the name of a group."""


def ratios_of(groups: tuple[Group, ...], free: tuple[Group, ...], ratio: Ratio) -> Ratios:
    """Return the ratio of every group that is pruned.

    Args:
        groups: all groups of the graph.
        free: those that may be pruned.
        ratio: one share for all that may be pruned, or shares by the name of any node of a group.

    Raises:
        UsageError: E5090 (a share out of range), E5091 (no such layer), E5092 (two shares for
            channels that stand and fall together).
        UnsupportedError: E2320, a named layer cannot be pruned.
    """
    if not isinstance(ratio, Mapping):
        share = _share(ratio, "--ratio")
        return {group.name: share for group in free}
    known, found = by_node(groups), dict[str, float]()
    allowed = {group.name for group in free}
    said: dict[str, str] = {}
    for name, said_share in ratio.items():
        share = _share(said_share, name)
        if name not in known:
            raise _unknown(name, free)
        group = known[name]
        if group.name not in allowed:
            raise UnsupportedError(
                "E2320", f"its channels cannot be pruned: it {group.fixed or 'is not scored'}",
                where=name, remedy=f"prune {', '.join(sorted(allowed)) or 'another network'}",
            )  # fmt: skip
        if found.setdefault(group.name, share) != share:
            raise UsageError(
                "E5092",
                f"{share:g}, but {found[group.name]:g} of {said[group.name]}: both have the "
                "same channels, which stand and fall together",
                where=name, remedy="give them the same ratio, or name one of them",
            )  # fmt: skip
        said[group.name] = name
    return found


def n_kept(n: int, ratio: float) -> int:
    """Return floor(n (1 - ratio)), at least 1; the ratio is the decimal that it is written as.

    Source: the published code of QP-SNN keeps floor(n (1 - r)); the paper prunes round(r n).
    """
    return max(1, floor(n * (1 - Fraction(str(ratio)))))


def choose(group: Group, scores: Scores, ratio: float) -> tuple[int, ...]:
    """Return the channels to keep, sorted: the best of each block of a group."""
    order = ranked(scores[group.name])
    kept: list[int] = []
    for block in np.unique(group.blocks):
        of_block = order[group.blocks[order] == block]
        kept += of_block[: n_kept(len(of_block), ratio)].tolist()
    return tuple(sorted(kept))


def choose_all(groups: tuple[Group, ...], scores: Scores, ratios: Ratios) -> Kept:
    """Return the channels to keep of all groups that have a ratio."""
    return {
        group.name: np.array(choose(group, scores, ratios[group.name]), dtype=np.int64)
        for group in groups
        if group.name in ratios
    }


def within_budget(
    budget: Budget,
    free: tuple[Group, ...],
    scores: Scores,
    *,
    cost: Cost,
    model: Model,
    rebuild: Callable[[Kept], Model],
    progress: Progress = no_progress,
) -> tuple[Ratios, BudgetReport]:
    """Return the smallest ratio, the same for all groups, whose network costs no more than allowed.

    Bisection: the ratio found is within the budget, and a thousandth less was not, or was never
    tried because a larger one was beyond it.

    Args:
        budget: what is allowed.
        free: groups that may be pruned.
        scores: of their channels.
        cost: what a model costs.
        model: the unpruned one.
        rebuild: makes the pruned model of the channels to keep.
        progress: called with networks tried and the most that are.

    Raises:
        UsageError: E5093, one channel per group is still beyond the budget, or is a share of what
            does not fit.
    """
    before = cost(model)
    if budget.is_share and before == inf:
        raise UsageError(
            "E5093", "the network does not fit its chip, so a share of what it costs is not known",
            where=f"--budget {budget.cost}", remedy="give an absolute number above 1",
        )  # fmt: skip
    limit = budget.limit * before if budget.is_share else budget.limit
    known: dict[tuple[tuple[int, ...], ...], float] = {}

    def cost_at(share: int) -> float:
        kept = choose_all(free, scores, {group.name: share / GRID for group in free})
        key = tuple(tuple(channels.tolist()) for channels in kept.values())
        if key not in known:
            known[key] = cost(rebuild(kept))
            progress(len(known), MOST_TRIED)
        return known[key]

    low, high = 0, GRID - 1
    after = before
    if before > limit:
        after = cost_at(high)
        if not after <= limit:
            raise UsageError(
                "E5093",
                f"{limit:.6g} {budget.cost} cannot be reached: with a thousandth of its channels "
                f"the network costs {after:.6g}",
                where="--budget", remedy="allow more, or use a smaller network",
            )  # fmt: skip
        while high - low > 1:
            middle = (low + high) // 2
            if cost_at(middle) <= limit:
                high = middle
            else:
                low = middle
        after = cost_at(high)
    ratio = high / GRID if before > limit else 0.0
    report = BudgetReport(
        cost=budget.cost, limit=limit, before=before, after=after, ratio=ratio,
        n_tried=len(known) + 1,
    )  # fmt: skip
    return {group.name: ratio for group in free}, report


def _share(said: object, where: str) -> float:
    """Return a share that is a number from 0 up to, but not, 1."""
    if isinstance(said, Real) and 0 <= float(said) < 1:
        return float(said)
    shown = f"{float(said):g}" if isinstance(said, Real) else repr(said)
    raise UsageError(
        "E5090", f"a ratio of {shown}", where=where,
        remedy="use a share from 0 up to, but not, 1; it is removed",
    )  # fmt: skip


def _unknown(name: str, free: tuple[Group, ...]) -> UsageError:
    names = [layer for group in free for layer in (group.layers or (group.name,))]
    near = get_close_matches(name, names, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else f"use {', '.join(names)}"
    return UsageError("E5091", f"there is no layer {name!r}", where="--ratio", remedy=remedy)
