"""Compare two sides layer by layer and step by step; say where they part first, and why.

Cells are compared in model steps, so a pipeline's depth does not matter. The first difference is
the one of the earliest step, then of the first layer in data flow: all that led to it was equal.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from snndeploy.comparison.case import Case, minimal_case
from snndeploy.comparison.cause import Cause, Why, same_history, why
from snndeploy.comparison.rule import Rule, without_bias_source
from snndeploy.comparison.side import Ran, Side
from snndeploy.errors import ModelError
from snndeploy.ir.arrays import BoolArray, FloatArray, IntArray
from snndeploy.samples import Samples
from snndeploy.target import Progress, no_progress

BLOCK_VALUES = 1 << 24
"""Cells of all layers that are held per side at a time (128 MiB)."""
LOOKED_INTO = 32
"""Cells per layer whose cause is found; they are spread evenly over those that differ."""
FROM_BEFORE = "came from before"
"""A cell whose sources had differed already."""
NO_FORM = "not looked into"
"""A cell of a neuron that has no rule to compare."""

Cell = tuple[int, int, int]
"""Step, sample, neuron."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerDifference:
    """How one layer differs.

    Attributes:
        name_b: its name on side B.
        cells: steps x samples x neurons; `different`: those that do not agree.
        spikes_a, spikes_b: sent in all.
        first: step, sample, neuron of the earliest different cell; None if all agree.
        causes: cells looked into by their cause; `FROM_BEFORE` is no cause of this layer.
    """

    name: str
    name_b: str
    shape: tuple[int, ...]
    cells: int
    different: int
    spikes_a: int
    spikes_b: int
    first: Cell | None
    causes: Mapping[str, int]

    @property
    def share(self) -> float:
        """Different cells of all cells."""
        return self.different / self.cells


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class First:
    """Where the two sides part first.

    Attributes:
        position: the neuron's place in its layer's shape.
        sent_a, sent_b: what the two sides sent there.
        why: None if the neuron has no rule to look into.
        case: the smallest input of that neuron which still divides the sides; None likewise.
    """

    layer: str
    step: int
    sample: int
    neuron: int
    position: tuple[int, ...]
    sent_a: int
    sent_b: int
    why: Why | None
    case: Case | None


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Comparison:
    """What was compared and found.

    Attributes:
        layers: that both sides have, in data flow.
        only_a, only_b: layers that one side alone has, e.g. sums that only a chip needs.
        same_decisions: samples on whose class both agree.
        accuracy_a, accuracy_b: None without labels.
    """

    label_a: str
    label_b: str
    n_samples: int
    steps: int
    layers: tuple[LayerDifference, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    first: First | None
    same_decisions: int
    accuracy_a: float | None
    accuracy_b: float | None

    @property
    def fires_alike(self) -> bool:
        """Whether every compared cell agrees."""
        return all(not layer.different for layer in self.layers)

    @property
    def is_equal(self) -> bool:
        """Whether every compared cell agrees, and every decision; readouts send no spikes."""
        return self.fires_alike and self.same_decisions == self.n_samples

    @property
    def ranked(self) -> tuple[LayerDifference, ...]:
        """Layers by the share of cells that differ, the largest first."""
        return tuple(sorted(self.layers, key=lambda layer: -layer.share))


def compare(a: Side, b: Side, samples: Samples, *, progress: Progress = no_progress) -> Comparison:
    """Run both sides on the same samples and compare all layers that both have.

    Args:
        a: the yardstick.
        b: what is compared with it.
        samples: what both were made with.
        progress: called with samples done and total.

    Raises:
        ModelError: E1460, no layer is on both sides; E1461, a layer has two sizes, or the sides
            run different numbers of steps.
    """
    names = _matched(a, b)
    inputs = dict(zip(b.values_of_one, a.values_of_one, strict=False))
    tallies = {name: _Tally(a.layers[name]) for name in names}
    decisions: list[tuple[IntArray, IntArray]] = []
    first: First | None = None
    steps = 0
    for rows in _blocks(a, b, samples):
        ran_a, ran_b = a.run(rows), b.run(rows)
        steps = _steps(ran_a, ran_b, names)
        pair = _Pair(
            a=a, b=b, names=names, inputs=inputs, sent_a=ran_a.sent,
            sent_b=_renamed(ran_b.sent, {n: m for m, n in names.items()} | inputs),
        )  # fmt: skip
        found = _differences(pair, tallies, rows.start)
        first = min((f for f in (first, found) if f), key=lambda f: _rank(f, names), default=None)
        decisions.append((ran_a.decision, ran_b.decision))
        progress(min(rows.stop, samples.n), samples.n)
    decided = tuple(np.concatenate(part) for part in zip(*decisions, strict=True))
    right = [None if samples.label is None else float(np.mean(d == samples.label)) for d in decided]
    return Comparison(
        label_a=a.label,
        label_b=b.label,
        n_samples=samples.n,
        steps=steps,
        layers=tuple(t.result(name, names[name]) for name, t in tallies.items()),
        only_a=tuple(name for name in a.layers if name not in names),
        only_b=tuple(name for name in b.layers if name not in names.values()),
        first=first,
        same_decisions=int(np.count_nonzero(decided[0] == decided[1])),
        accuracy_a=right[0],
        accuracy_b=right[1],
    )


# ---- one block of samples ---------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Pair:
    """Both sides' answers to one block; B's sources have A's names."""

    a: Side
    b: Side
    names: Mapping[str, str]
    inputs: Mapping[str, str]
    sent_a: Mapping[str, FloatArray]
    sent_b: Mapping[str, FloatArray]


class _Tally:
    """Counts of one layer over all blocks."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.cells = self.different = self.spikes_a = self.spikes_b = 0
        self.first: Cell | None = None
        self.causes: Counter[str] = Counter()

    def result(self, name: str, name_b: str) -> LayerDifference:
        return LayerDifference(
            name=name, name_b=name_b, shape=self.shape, cells=self.cells, different=self.different,
            spikes_a=self.spikes_a, spikes_b=self.spikes_b, first=self.first,
            causes=dict(self.causes.most_common()),
        )  # fmt: skip


def _differences(pair: _Pair, tallies: Mapping[str, _Tally], start: int) -> First | None:
    """Count a block's differences, look into some, and return the block's first one."""
    earliest: tuple[int, int, str, Cell] | None = None
    for place, (name, tally) in enumerate(tallies.items()):
        mine, theirs = pair.sent_a[name], pair.sent_b[name]
        unequal = mine != theirs
        tally.cells += mine.size
        tally.different += int(np.count_nonzero(unequal))
        tally.spikes_a += int(mine.sum())
        tally.spikes_b += int(theirs.sum())
        cells = _spread(unequal, LOOKED_INTO - tally.causes.total())
        tally.causes.update(_cause_of(pair, name, cell) for cell in cells)
        if unequal.any():
            step, sample, neuron = (int(i) for i in np.argwhere(unequal)[0])
            if tally.first is None or step < tally.first[0]:
                tally.first = (step, start + sample, neuron)
            found = (step, place, name, (step, sample, neuron))
            earliest = min(earliest, found) if earliest else found
    return _first(pair, earliest[2], earliest[3], start) if earliest else None


def _spread(unequal: BoolArray, n: int) -> Iterator[Cell]:
    """Yield up to n different cells, evenly spread."""
    cells = np.argwhere(unequal)
    chosen = np.unique(np.linspace(0, len(cells) - 1, max(n, 0), dtype=np.int64))
    for step, sample, neuron in cells[chosen] if len(cells) else ():
        yield int(step), int(sample), int(neuron)


def _cause_of(pair: _Pair, name: str, cell: Cell) -> Cause | str:
    rules = _rules(pair, name, cell[2])
    if rules is None:
        return NO_FORM
    sent_a, sent_b = _sample(pair, cell[1])
    if not same_history(rules, sent_a, sent_b, layers=pair.names, step=cell[0]):
        return FROM_BEFORE
    return _why(pair, rules, (sent_a, sent_b), name, cell).cause


def _first(pair: _Pair, name: str, cell: Cell, start: int) -> First:
    step, sample, neuron = cell
    rules, sent = _rules(pair, name, neuron), _sample(pair, sample)
    reason = None if rules is None else _why(pair, rules, sent, name, cell)
    case = None
    if rules is not None and reason is not None:
        case = minimal_case(name, neuron, rules, sent, step=step, why=reason)
    shape = pair.a.layers[name]
    return First(
        layer=name,
        step=step,
        sample=start + sample,
        neuron=neuron,
        position=tuple(int(i) for i in np.unravel_index(neuron, shape)),
        sent_a=int(pair.sent_a[name][cell]),
        sent_b=int(pair.sent_b[name][cell]),
        why=reason,
        case=case,
    )


def _why(
    pair: _Pair,
    rules: tuple[Rule, Rule],
    sent: tuple[Mapping[str, FloatArray], Mapping[str, FloatArray]],
    name: str,
    cell: Cell,
) -> Why:
    observed = tuple(float(s[name][cell[0], cell[2]]) for s in sent)
    slack = max(pair.a.slack, pair.b.slack)
    return why(*rules, *sent, step=cell[0], observed=(observed[0], observed[1]), slack=slack)


def _rules(pair: _Pair, name: str, neuron: int) -> tuple[Rule, Rule] | None:
    """Return both rules, B's sources by A's names, A's weights per unit of B's inputs.

    None if one of them has no such form, or reads what is not known.
    """
    name_b = pair.names[name]
    compare = pair.a.compares(name) or pair.b.compares(name_b) or "gt"
    mine, theirs = pair.a.rule(name, neuron, compare), pair.b.rule(name_b, neuron, compare)
    if mine is None or theirs is None:
        return None
    back = {b: a for a, b in pair.names.items()} | dict(pair.inputs)
    theirs = replace(
        theirs,
        arrivals=tuple(replace(x, source=back.get(x.source, x.source)) for x in theirs.arrivals),
    )
    worth = _worth(pair)
    mine = replace(
        mine,
        arrivals=tuple(
            replace(x, weights=x.weights * worth.get(x.source, 1.0)) for x in mine.arrivals
        ),
    )
    known = all(
        x.source in sent
        for rule, sent in ((mine, pair.sent_a), (theirs, pair.sent_b))
        for x in rule.arrivals
    )
    if not known:  # a gate that a module's forward spells out is not heard
        return None
    return without_bias_source(mine, theirs), without_bias_source(theirs, mine)


def _sample(pair: _Pair, sample: int) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Return what both sides sent in one sample, [T, n], inputs in B's units."""
    worth = _worth(pair)
    sent_a = {name: x[:, sample] / worth.get(name, 1.0) for name, x in pair.sent_a.items()}
    return sent_a, {name: x[:, sample] for name, x in pair.sent_b.items()}


def _worth(pair: _Pair) -> dict[str, float]:
    """Return what one unit of each of B's inputs is worth in A's, by A's names."""
    one_a, one_b = pair.a.values_of_one, pair.b.values_of_one
    return {a: one_b[b] / one_a[a] for b, a in pair.inputs.items()}


# ---- which layer is which ------------------------------------------------------------------------


def _matched(a: Side, b: Side) -> dict[str, str]:
    """Return B's name of every layer that both have: by name, else by order if sizes agree."""
    common = [name for name in a.layers if name in b.layers]
    if common:
        names = {name: name for name in common}
    else:
        sizes = [[prod(shape) for shape in side.layers.values()] for side in (a, b)]
        if sizes[0] != sizes[1] or not sizes[0]:
            raise ModelError(
                "E1460",
                f"no spiking layer has the same name on both sides: {_listed(a)}; {_listed(b)}",
                where=f"{a.label}, {b.label}",
                remedy="compare two forms of the same network",
            )
        names = dict(zip(a.layers, b.layers, strict=True))
    for mine, theirs in names.items():
        if prod(a.layers[mine]) != prod(b.layers[theirs]):
            raise ModelError(
                "E1461",
                f"{mine} has {prod(a.layers[mine]):,} neurons in {a.label}, "
                f"{prod(b.layers[theirs]):,} in {b.label}",
                where=mine,
                remedy="compare two forms of the same network; a pruned one has another size",
            )
    return names


def _listed(side: Side) -> str:
    return ", ".join(list(side.layers)[:6]) or "none"


def _steps(ran_a: Ran, ran_b: Ran, names: Mapping[str, str]) -> int:
    name, name_b = next(iter(names.items()))
    steps, steps_b = len(ran_a.sent[name]), len(ran_b.sent[name_b])
    if steps != steps_b:
        raise ModelError(
            "E1461", f"one side runs {steps} steps per sample, the other {steps_b}",
            remedy="give both the same --steps",
        )  # fmt: skip
    return steps


def _renamed(sent: Mapping[str, FloatArray], names: Mapping[str, str]) -> dict[str, FloatArray]:
    return {names.get(name, name): x for name, x in sent.items()}


def _rank(first: First, names: Mapping[str, str]) -> tuple[int, int, int]:
    return first.step, list(names).index(first.layer), first.sample


def _blocks(a: Side, b: Side, samples: Samples) -> Iterator[slice]:
    width = max(sum(prod(shape) for shape in side.layers.values()) for side in (a, b))
    steps = max(len(x) for x in samples.x.values())
    size = max(1, BLOCK_VALUES // max(1, 8 * steps * width))
    return (slice(start, start + size) for start in range(0, samples.n, size))
