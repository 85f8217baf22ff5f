"""Prune a model: whole channels go, by score, and what is left is a smaller plain graph.

The pruned model is the unpruned one with those channels silenced, spike for spike.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import nir
import numpy as np

from snndeploy.compress.activity import accuracy_of
from snndeploy.compress.channels import Group, groups_of, has_weights
from snndeploy.compress.criteria import CRITERIA, DIGITS, Criterion
from snndeploy.compress.paper_counts import paper_parameters
from snndeploy.compress.prune_records import (
    Budget,
    BudgetReport,
    Cost,
    Pruned,
    PrunedGroup,
    PrunedLayer,
    PruneReport,
    Ratio,
)
from snndeploy.compress.ratios import Ratios, choose_all, ratios_of, within_budget
from snndeploy.compress.removal import Kept, remove_channels
from snndeploy.compress.scores import Scores, score_groups, unmeasured
from snndeploy.errors import UnsupportedError, UsageError
from snndeploy.frames import steps_of
from snndeploy.ir.arrays import BoolArray, FloatArray, IntArray
from snndeploy.model import ImportNote, Model
from snndeploy.nirgraph.shapes import normalize_graph
from snndeploy.samples import Samples
from snndeploy.target import Progress, no_progress

SCORED = 640
"""Samples that scores are recorded on, as in QP-SNN: 5 batches of 128."""


def prune(
    model: Model,
    samples: Samples | None,
    *,
    criterion: str = "svs",
    ratio: Ratio | None = None,
    budget: Budget | None = None,
    cost: Cost | None = None,
    seed: int = 0,
    n_scored: int = SCORED,
    steps: int | None = None,
    progress: Progress = no_progress,
) -> Pruned:
    """Remove the channels of lowest score; the argument is left as it is.

    Args:
        model: any model that the float interpreter runs; inputs and outputs stay as they are.
        samples: to record spikes on, and, with labels, to measure the accuracy on.
        criterion: a name of `CRITERIA`.
        ratio: share of channels to remove, of every layer or by layer.
        budget: what the network may cost; one ratio for all layers is then found.
        cost: what a model costs, in the budget's unit; counted here for `weights`.
        seed: of the random criterion.
        n_scored: how many samples are scored, from the first on.
        steps: model steps per sample; None takes the model's own, else as many as the data has.
        progress: called with what is done and in all: samples scored, networks tried, samples
            judged.

    Raises:
        UsageError: E5090 to E5095, see `snndeploy explain`.
        UnsupportedError: E2320 (a named layer cannot be pruned), E2321 (none can).
        ModelError: E1211 (longer than the model runs).
    """
    started = time.perf_counter()
    chosen = _criterion(criterion)
    _check_one(ratio, budget)
    _check_least("--seed", seed, 0, f"a seed of {seed}")
    _check_least("--n-scored", n_scored, 1, f"{n_scored} samples to score on")
    n_steps = _steps(model, samples, chosen, steps)
    model = replace(model, graph=normalize_graph(model.graph))
    groups = groups_of(model.graph)
    free, left = _free(model.graph, groups, chosen)
    scored = None if samples is None else samples.first(n_scored)
    named = ratios_of(groups, free, ratio) if ratio is not None else None
    scores = score_groups(
        model, free, chosen, samples=scored, steps=n_steps, seed=seed, progress=progress
    )

    def rebuild(kept: Kept) -> Model:
        return replace(model, graph=remove_channels(model.graph, groups, kept))

    ratios, found = _ratios(model, free, scores, named, budget, cost, rebuild, progress)
    kept = choose_all(free, scores, ratios)
    pruned = rebuild(kept)
    before, after = (
        accuracy_of(m, samples, steps=n_steps, progress=progress) if samples else None
        for m in (model, pruned)
    )
    report = PruneReport(
        criterion=criterion,
        seed=seed,
        n_scored=scored.n if scored is not None and chosen.runs else 0,
        steps=n_steps,
        groups=tuple(_pruned_group(g, scores, ratios, kept) for g in free),
        left=left,
        layers=_layers(model.graph, pruned.graph),
        budget=found,
        paper_before=paper_parameters(model),
        paper_after=paper_parameters(pruned),
        accuracy_before=before,
        accuracy_after=after,
        n_judged=samples.n if samples is not None and before is not None else 0,
        seconds=time.perf_counter() - started,
    )
    notes = tuple(_note(group, criterion) for group in report.groups if group.after < group.before)
    return Pruned(model=replace(pruned, notes=(*model.notes, *notes)), report=report)


def n_weights(model: Model) -> float:
    """Return how many weights the layers of a model have, biases and copies left out."""
    nodes = normalize_graph(model.graph).nodes.values()
    return float(sum(n.weight.size for n in nodes if has_weights(n)))


def _check_one(ratio: Ratio | None, budget: Budget | None) -> None:
    if (ratio is None) == (budget is None):
        said = "neither a ratio nor" if ratio is None else "a ratio and"
        raise UsageError(
            "E5090", f"{said} a budget", where="--ratio",
            remedy="say one: --ratio 0.5, or --budget weights=0.5",
        )  # fmt: skip


def _check_least(where: str, value: int, least: int, message: str) -> None:
    if value < least:
        raise UsageError("E5090", message, where=where, remedy=f"use {least} or more")


def _criterion(name: str) -> Criterion:
    if name not in CRITERIA:
        raise UsageError(
            "E5090", f"unknown criterion {name!r}", where="--criterion",
            remedy=f"use one of {', '.join(CRITERIA)}",
        )  # fmt: skip
    return CRITERIA[name]


def _steps(model: Model, samples: Samples | None, criterion: Criterion, steps: int | None) -> int:
    """Return the steps per sample; 0 where nothing is run."""
    if samples is not None:
        return steps_of(model, samples, steps)
    if not criterion.runs:
        return 0
    raise UsageError(
        "E5095", f"criterion {criterion.name} scores what channels do on samples", where="--data",
        remedy="give samples, or use --criterion l1 or random",
    )  # fmt: skip


def _free(
    graph: nir.NIRGraph, groups: tuple[Group, ...], criterion: Criterion
) -> tuple[tuple[Group, ...], tuple[tuple[str, str], ...]]:
    """Return the groups that can be pruned, and the layers that cannot, with the reason.

    Raises:
        UnsupportedError: E2321, there are none.
    """
    free: list[Group] = []
    left: list[tuple[str, str]] = []
    for group in groups:
        reason = group.fixed or unmeasured(group, criterion, graph)
        if not reason and group.layers:
            free.append(group)
        left += [(layer, reason) for layer in group.layers if reason]
    if not free:
        why = "; ".join(f"{layer} {reason}" for layer, reason in left) or "it has no weights"
        raise UnsupportedError(
            "E2321", f"no channel can be pruned: {why}", where="model",
            remedy="prune a network with a hidden layer of neurons",
        )  # fmt: skip
    return tuple(free), tuple(left)


def _ratios(
    model: Model,
    free: tuple[Group, ...],
    scores: Scores,
    named: Ratios | None,
    budget: Budget | None,
    cost: Cost | None,
    rebuild: Callable[[Kept], Model],
    progress: Progress,
) -> tuple[Ratios, BudgetReport | None]:
    if named is not None:
        return named, None
    assert budget is not None
    cost = n_weights if budget.cost == "weights" else cost
    assert cost is not None, f"what a network costs in {budget.cost} has to be given"
    return within_budget(
        budget, free, scores, cost=cost, model=model, rebuild=rebuild, progress=progress
    )


def _pruned_group(group: Group, scores: Scores, ratios: Ratios, kept: Kept) -> PrunedGroup:
    own = np.round(scores[group.name][0], DIGITS)
    channels = kept.get(group.name, np.arange(group.n))
    return PrunedGroup(
        name=group.name,
        layers=group.layers,
        neurons=group.neurons,
        before=group.n,
        after=len(channels),
        ratio=ratios.get(group.name, 0.0),
        kept=tuple(channels.tolist()),
        lowest=float(own.min()),
        highest=float(own.max()),
        ties=_ties(own, group.blocks, np.isin(np.arange(group.n), channels)),
    )


def _ties(scores: FloatArray, blocks: IntArray, stays: BoolArray) -> int:
    """Return how many channels have a score that both stayed and went in their block."""
    split = 0
    for block in np.unique(blocks):
        inside = blocks == block
        both = np.intersect1d(scores[inside & stays], scores[inside & ~stays])
        split += int(np.isin(scores[inside], both).sum())
    return split


def _layers(before: nir.NIRGraph, after: nir.NIRGraph) -> tuple[PrunedLayer, ...]:
    return tuple(
        PrunedLayer(
            name=name,
            channels_before=len(node.weight),
            channels_after=len(after.nodes[name].weight),
            weights_before=node.weight.size,
            weights_after=after.nodes[name].weight.size,
        )
        for name, node in before.nodes.items()
        if has_weights(node)
    )


def _note(group: PrunedGroup, criterion: str) -> ImportNote:
    layers = ", ".join(group.layers)
    text = f"{group.before} -> {group.after} channels of {layers}, the best by {criterion}"
    return ImportNote(kind="pruned", node=group.name, text=text)
