"""The smallest input of one neuron that still divides two sides, as a file to look at and rerun."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from snndeploy.comparison.cause import Why
from snndeploy.comparison.rule import Arrival, Rule, arriving, run_rule
from snndeploy.ir.arrays import FloatArray

FORMAT = "snndeploy-case"
Sent = Mapping[str, FloatArray]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Case:
    """One neuron, two rules, an input.

    Attributes:
        events: (step, index in the source, value) per source: what the neuron is given, the same
            on both sides but for `rounded`.
        answers: (sent, potential at the compare in thresholds) per step, of A and of B.
        rounded: B's values of the events where its inputs are rounded.
    """

    layer: str
    neuron: int
    cause: str
    parts: tuple[str, ...]
    a: Rule
    b: Rule
    events: Mapping[str, tuple[tuple[int, int, float], ...]]
    rounded: Mapping[str, tuple[float, ...]]
    answers: tuple[tuple[tuple[float, float], tuple[float, float]], ...]

    def record(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return {
            "format": FORMAT,
            "version": 1,
            "layer": self.layer,
            "neuron": self.neuron,
            "cause": self.cause,
            "parts": list(self.parts),
            "events": {name: [list(e) for e in events] for name, events in self.events.items()},
            "rounded": {name: list(values) for name, values in self.rounded.items()},
            "a": _rule_record(self.a, self.events),
            "b": _rule_record(self.b, self.events),
            "steps": [
                {"a": {"sent": a[0], "v": a[1]}, "b": {"sent": b[0], "v": b[1]}}
                for a, b in self.answers
            ],
        }


def minimal_case(
    layer: str, neuron: int, rules: tuple[Rule, Rule], sent: tuple[Sent, Sent], *, step: int,
    why: Why,
) -> Case | None:  # fmt: skip
    """Take away what the neuron is given, event by event, as long as the sides still differ.

    Args:
        layer: for the record.
        neuron: for the record.
        rules: of A and of B.
        sent: what A's and B's sources sent in the sample, [T, n] in B's units.
        step: the last step that matters: they differ there.
        why: for the record.

    Returns:
        None if the rules alone do not differ (an executor did).
    """
    a, b = rules[0].scaled(rules[1].threshold / rules[0].threshold), rules[1]
    own = {arrival.source for rule in (a, b) for arrival in rule.arrivals}
    given = [
        {name: values[: step + 1].copy() for name, values in side.items() if name in own}
        for side in sent
    ]
    for side in given:
        for name in own - side.keys():
            side[name] = next(s[name] for s in given if name in s).copy()
    if not _differ(a, b, given):
        return None
    for name in sorted(own):
        used = np.unique(
            np.concatenate(
                [x.indices for rule in (a, b) for x in rule.arrivals if x.source == name]
            )
        )
        keep = np.zeros(given[0][name].shape[1], dtype=bool)
        keep[used] = True
        for side in given:
            side[name][:, ~keep] = 0.0
        _thin(a, b, given, name)
    events, rounded = _events(given)
    return Case(
        layer=layer,
        neuron=neuron,
        cause=why.cause,
        parts=why.parts,
        a=a,
        b=b,
        events=events,
        rounded=rounded,
        answers=tuple(zip(_answers(a, given[0]), _answers(b, given[1]), strict=True)),
    )


def _thin(a: Rule, b: Rule, given: list[dict[str, FloatArray]], name: str) -> None:
    """Remove events of a source in ever smaller groups while the sides still differ (ddmin)."""
    left = np.argwhere((given[0][name] != 0) | (given[1][name] != 0))
    size = len(left)
    while size >= 1 and len(left):
        start = 0
        while start < len(left):
            group = left[start : start + size]
            at = (group[:, 0], group[:, 1])
            before = [side[name][at] for side in given]
            for side in given:
                side[name][at] = 0.0
            if _differ(a, b, given):
                left = np.delete(left, slice(start, start + size), axis=0)
                continue
            for side, values in zip(given, before, strict=True):
                side[name][at] = values
            start += size
        size //= 2


def _differ(a: Rule, b: Rule, given: list[dict[str, FloatArray]]) -> bool:
    answers = [run_rule(r, arriving(r, g))[0] for r, g in zip((a, b), given, strict=True)]
    return bool(answers[0][-1] != answers[1][-1])


def _answers(rule: Rule, given: Sent) -> list[tuple[float, float]]:
    out, v = run_rule(rule, arriving(rule, given))
    return [(float(s), float(y / rule.threshold)) for s, y in zip(out, v, strict=True)]


def _events(
    given: list[dict[str, FloatArray]],
) -> tuple[dict[str, tuple[tuple[int, int, float], ...]], dict[str, tuple[float, ...]]]:
    events, rounded = {}, {}
    for name in sorted(given[0]):
        mine, theirs = given[0][name], given[1][name]
        places = [(int(t), int(i)) for t, i in np.argwhere((mine != 0) | (theirs != 0))]
        events[name] = tuple((t, i, float(mine[t, i])) for t, i in places)
        if any(mine[place] != theirs[place] for place in places):
            rounded[name] = tuple(float(theirs[place]) for place in places)
    return events, rounded


def _rule_record(rule: Rule, events: Mapping[str, tuple[tuple[int, int, float], ...]]) -> Any:
    """Return a rule with the synapses that the events touch, its infinities left out."""
    names = ("bias", "keep_u", "keep_v", "threshold", "drop", "most", "v_min", "u_limit", "v_limit")
    numbers = {name: getattr(rule, name) for name in names if isfinite(getattr(rule, name))}
    return {
        **numbers,
        "compare": rule.compare,
        "reset": rule.reset,
        "multi_spike": rule.multi_spike,
        "whole": rule.whole,
        "arrivals": [_arrival_record(x, events.get(x.source, ())) for x in rule.arrivals],
    }


def _arrival_record(arrival: Arrival, events: tuple[tuple[int, int, float], ...]) -> Any:
    touched = {index for _, index, _ in events}
    pairs = zip(arrival.indices.tolist(), arrival.weights.tolist(), strict=True)
    weights = {str(index): weight for index, weight in pairs if index in touched}
    return {"source": arrival.source, "lag": arrival.lag, "weights": weights}
