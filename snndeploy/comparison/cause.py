"""Why one cell differs: side B's parts are given to side A one by one, until the cell agrees.

Both sides are put in one unit, that of B's threshold. A part of B with which A does what B did is a
cause; parts that only together do it are named together. Nothing is guessed from sizes.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from snndeploy.comparison.rule import Arrival, Rule, arriving, run_rule
from snndeploy.ir.arrays import FloatArray

Cause = Literal[
    "tie at threshold", "delay", "reset order", "decay", "saturation", "rounding", "executor",
]  # fmt: skip
CAUSES: Mapping[Cause, str] = {
    "tie at threshold": "v lies on the threshold; one side fires there, the other does not",
    "delay": "spikes arrive in another step",
    "reset order": "a spike resets otherwise, or in another step, or counts otherwise",
    "decay": "the current or the potential keeps another share per step",
    "saturation": "a word wraps, or is clipped, on one side only",
    "rounding": "weights, biases, inputs or states lie on another grid",
    "executor": "a side did not answer what its own numbers say",
}
TIE = 1e-9
"""A potential this close to the threshold, relative to it, lies on it."""
Part = Callable[["Sides"], "Sides"]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Sides:
    """Both rules in one unit, and what each side's sources sent to A's rule and to B's.

    Attributes:
        a: A's rule, on its way to become B's.
        sent: what a's arrivals read, [T, n] per source, in A's units of each source.
    """

    a: Rule
    b: Rule
    sent: Mapping[str, FloatArray]
    sent_b: Mapping[str, FloatArray]


@dataclass(frozen=True, kw_only=True, slots=True)
class Why:
    """Why a cell differs.

    Attributes:
        cause: its class; the first of `parts`.
        parts: every part of B that alone makes A agree; or those that do so only together.
        together: whether it takes all of `parts`.
        v_a, v_b: potentials at the compare, in thresholds.
    """

    cause: Cause
    parts: tuple[str, ...]
    together: bool
    v_a: float
    v_b: float


def why(
    a: Rule,
    b: Rule,
    sent_a: Mapping[str, FloatArray],
    sent_b: Mapping[str, FloatArray],
    *,
    step: int,
    observed: tuple[float, float],
) -> Why:
    """Return why a neuron sent different things in a step, given that its sources had not.

    Args:
        a: side A's rule, its arrivals in the units of B's sources.
        b: side B's rule.
        sent_a: what A's sources sent in the sample [T, n], in B's units.
        sent_b: what B's sources sent.
        step: model step of the cell.
        observed: what A and B sent there.
    """
    sides = Sides(a=a.scaled(b.threshold / a.threshold), b=b, sent=sent_a, sent_b=sent_b)
    says_a, v_a = _answer(sides.a, sent_a, step)
    says_b, v_b = _answer(b, sent_b, step)
    heights = (v_a / b.threshold, v_b / b.threshold)
    near = abs(heights[0] - 1) <= TIE
    if (says_a != observed[0] and not near) or says_b != observed[1]:
        return _why("executor", ("its own answer",), heights)
    alone = tuple(name for name, part in PARTS.items() if _mends(part(sides), step, observed[1]))
    if near and "compare" not in alone:
        alone = ("compare", *alone)
    if alone:
        return _why(CAUSE_OF[alone[0]], alone, heights)
    for size in range(2, len(PARTS) + 1):
        for names in combinations(PARTS, size):
            changed = sides
            for name in names:
                changed = PARTS[name](changed)
            if _mends(changed, step, observed[1]):
                return _why(CAUSE_OF[names[0]], names, heights, together=True)
    return _why("executor", ("unexplained",), heights)


def _why(
    cause: Cause, parts: tuple[str, ...], v: tuple[float, float], *, together: bool = False
) -> Why:
    return Why(cause=cause, parts=parts, together=together, v_a=v[0], v_b=v[1])


def _answer(rule: Rule, sent: Mapping[str, FloatArray], step: int) -> tuple[float, float]:
    out, v = run_rule(rule, arriving(rule, sent)[: step + 1])
    return float(out[step]), float(v[step])


def _mends(sides: Sides, step: int, want: float) -> bool:
    return _answer(sides.a, sides.sent, step)[0] == want


# ---- the parts of a rule, each given from B to A --------------------------------------------


def _compare(s: Sides) -> Sides:
    return replace(s, a=replace(s.a, compare=s.b.compare))


def _lags(s: Sides) -> Sides:
    if not _aligned(s):
        return s
    arrivals = tuple(
        replace(mine, lag=theirs.lag)
        for mine, theirs in zip(s.a.arrivals, s.b.arrivals, strict=True)
    )
    return replace(s, a=replace(s.a, arrivals=arrivals))


def _reset(s: Sides) -> Sides:
    rule = replace(s.a, reset=s.b.reset, drop=s.b.drop, multi_spike=s.b.multi_spike, most=s.b.most)
    return replace(s, a=rule)


def _decays(s: Sides) -> Sides:
    return replace(s, a=replace(s.a, keep_u=s.b.keep_u, keep_v=s.b.keep_v))


def _limits(s: Sides) -> Sides:
    rule = replace(s.a, u_limit=s.b.u_limit, v_limit=s.b.v_limit, v_min=s.b.v_min)
    return replace(s, a=rule)


def _weights(s: Sides) -> Sides:
    """Give B's weights, at A's lags where both have the same arrivals."""
    if not _aligned(s):
        return replace(s, a=replace(s.a, arrivals=s.b.arrivals), sent={**s.sent_b, **s.sent})
    arrivals = tuple(
        Arrival(source=theirs.source, lag=mine.lag, indices=theirs.indices, weights=theirs.weights)
        for mine, theirs in zip(s.a.arrivals, s.b.arrivals, strict=True)
    )
    return replace(s, a=replace(s.a, arrivals=arrivals))


def _bias(s: Sides) -> Sides:
    return replace(s, a=replace(s.a, bias=s.b.bias))


def _inputs(s: Sides) -> Sides:
    return replace(s, sent={**s.sent, **s.sent_b})


def _states(s: Sides) -> Sides:
    return replace(s, a=replace(s.a, whole=s.b.whole))


def _aligned(s: Sides) -> bool:
    return [a.source for a in s.a.arrivals] == [b.source for b in s.b.arrivals]


PARTS: Mapping[str, Part] = {
    "compare": _compare,
    "lag": _lags,
    "reset": _reset,
    "decays": _decays,
    "limits": _limits,
    "inputs": _inputs,
    "weights": _weights,
    "bias": _bias,
    "whole states": _states,
}
"""By name, the most specific first."""
CAUSE_OF: Mapping[str, Cause] = {
    "compare": "tie at threshold",
    "lag": "delay",
    "reset": "reset order",
    "decays": "decay",
    "limits": "saturation",
    "inputs": "rounding",
    "weights": "rounding",
    "bias": "rounding",
    "whole states": "rounding",
}


def same_history(
    rules: tuple[Rule, Rule],
    sent_a: Mapping[str, FloatArray],
    sent_b: Mapping[str, FloatArray],
    *,
    layers: Collection[str],
    step: int,
) -> bool:
    """Return whether all spikes of layers that could have reached a neuron by a step are equal."""
    arrivals = (arrival for rule in rules for arrival in rule.arrivals if arrival.source in layers)
    return all(
        np.array_equal(
            sent_a[arrival.source][: step + 1, arrival.indices],
            sent_b[arrival.source][: step + 1, arrival.indices],
        )
        for arrival in arrivals
    )
