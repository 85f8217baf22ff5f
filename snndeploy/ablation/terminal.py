"""A study on the terminal: the points, the front first, and what is not done."""

from pathlib import Path

from snndeploy.ablation.results import Results, Summary
from snndeploy.ablation.words import (
    INTERVALS,
    READ,
    bits_words,
    front_words,
    gap_words,
    mean_words,
    pruning_words,
    share_words,
    verdict_words,
)
from snndeploy.report.console import cell, console, table
from snndeploy.report.units import percent

MOST_POINTS, MOST_REASONS = 40, 20


def print_study(results: Results, folder: Path) -> None:
    """Print a study's points, failures with reasons, and where the reports are."""
    out = console()
    grid = table("weights", "pruned", "chip", ">accuracy", ">control", ">less control", ">energy",
                 ">cores", ">seeds", "front")  # fmt: skip
    order = sorted(range(len(results.summaries)), key=lambda i: _rank(results, i))
    for place in order[:MOST_POINTS]:
        grid.add_row(*_cells(results, place, results.summaries[place]))
    if results.summaries:
        out.print(grid)
        left = len(order) - MOST_POINTS
        if left > 0:
            out.print(f"and {left:,} points more, in the reports")
        out.print(f"{front_words(results)}; {INTERVALS}")
    for contrast in results.contrasts:
        if contrast.factor == "criterion" and "random" in (contrast.level, contrast.other):
            out.print(
                f"{contrast.level} - {contrast.other}: {gap_words(contrast.difference)} points"
            )
    unfinished = [row for row in results.rows if row.status != "done"]
    for row in unfinished[:MOST_REASONS]:
        reason = f": {row.reason}" if row.reason else ""
        out.print(cell(f"{row.status}: {row.trial.label()}{reason}"), soft_wrap=True)
    if len(unfinished) > MOST_REASONS:
        out.print(f"and {len(unfinished) - MOST_REASONS:,} more, in the reports")
    out.print(verdict_words(results), style="bold")
    out.print(cell(f"wrote {folder}: report.html, results.csv, results.json"))


def _rank(results: Results, place: int) -> tuple[bool, float]:
    return place not in results.front, -results.summaries[place].means["accuracy"].value


def _cells(results: Results, place: int, summary: Summary) -> tuple[str, ...]:
    mark = "knee" if place == results.knee else "front" if place in results.front else ""
    means = summary.means
    return (
        bits_words(summary),
        pruning_words(summary),
        summary.point.target,
        share_words(means["accuracy"]),
        percent(summary.control.value),
        gap_words(summary.gap),
        mean_words(means["energy"], READ["energy"]),
        READ["cores"](means["cores"].value),
        f"{summary.n} of {summary.n_seeds}",
        mark,
    )
