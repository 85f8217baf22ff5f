"""A study as one self-contained HTML page: plots, a sortable table, effects, failures."""

from collections.abc import Sequence

from snndeploy.ablation.effects import Contrast, Effect
from snndeploy.ablation.pareto import front_of
from snndeploy.ablation.results import Results, Row, Summary
from snndeploy.ablation.study import OBJECTIVES
from snndeploy.ablation.words import (
    INTERVALS,
    READ,
    TITLES,
    bits_words,
    front_words,
    gap_words,
    mean_words,
    objective_words,
    pruning_words,
    share_words,
    verdict_words,
)
from snndeploy.report.page import SORT_SCRIPT, html_table, html_text, page, sortable_table
from snndeploy.report.plots import Axis, Dot, interval_rows, scatter
from snndeploy.report.units import engineering

STYLE = """
th[tabindex] { cursor: pointer; } th[aria-sort=ascending]::after { content: " ▲"; }
th[aria-sort=descending]::after { content: " ▼"; }
h3 { font-size: .95rem; margin: 1.2rem 0 .3rem; }
"""
ACCURACY = Axis(label="accuracy of the integer network", words=lambda v: f"{100 * v:.1f} %")
ENERGY = Axis(label="dynamic energy per sample, nominal", words=lambda v: engineering(v, "J"))
NOWHERE = "-Infinity"
"""Where a number that is not known is sorted to."""
NO_INTERVALS = "one seed: no interval"


def render_study(results: Results) -> str:
    """Return a study's results as one HTML document."""
    study = results.study
    title = f"Study {html_text(study.name)}"
    is_complete = "" if results.is_complete else " no"
    parts = [
        f"<h1>{title}</h1>",
        f'<p class="verdict{is_complete}">{html_text(verdict_words(results))}</p>',
        _facts(results),
    ]
    if results.summaries:
        parts += [
            "<h2>Accuracy and energy</h2>", _scatter(results),
            f'<p class="soft">{html_text(front_words(results))}. Ringed: on that front. Dashed: '
            "the front of accuracy and energy alone.</p>",
            "<h2>Points</h2>", _points(results),
            f'<p class="soft">{html_text(_interval_note(results))}. Control: the float parent '
            "trained for the same epochs, neither pruned nor quantized; the difference is taken "
            "seed by seed.</p>",
        ]  # fmt: skip
    if results.effects:
        parts += ["<h2>What each factor does</h2>", *map(_effect, results.effects)]
        parts += ["<h2>Differences in accuracy</h2>", _contrasts(results.contrasts)]
    parts.append(_unfinished(results.rows))
    return page(title, parts, style=STYLE, script=SORT_SCRIPT)


def _facts(results: Results) -> str:
    study, space = results.study, results.study.space
    epochs = ", ".join(f"{n} after {stage}" for stage, n in study.training.epochs.items() if n)
    varied = "; ".join(
        f"{name} {', '.join(map(str, levels))}"
        for name, levels in (
            ("bits", space.bits), ("gamma", space.gamma), ("grid", space.grid),
            ("criterion", space.criterion), ("ratio", space.ratio), ("target", space.target),
        )
    )  # fmt: skip
    measured = [row.measures for row in results.rows if row.measures is not None]
    tested = f"{measured[0].n_test:,} test samples" if measured else "nothing measured yet"
    grades = ", ".join(sorted({m.energy_grade for m in measured}))
    missing = ", ".join(sorted({name for m in measured for name in m.missing}))
    seconds = sum(row.outcome.seconds for row in results.rows if row.outcome)
    rows = [
        ("varied", varied, f"{len(space.seeds)} seeds: {', '.join(map(str, space.seeds))}"),
        ("training", study.training.order, f"epochs: {epochs or 'none'}; "
         f"learning rate {study.training.learning_rate:g}, batch {study.training.batch}"),
        ("measured", tested, f"on the integer network, simulated; timing: {study.timing}"),
        ("energy", f"prices: {grades or 'none'}", f"without a price: {missing}" if missing else ""),
        ("trials took", f"{seconds:,.0f} s", "of one process each"),
        ("made with", ", ".join(f"{k} {v}" for k, v in results.versions.items()), ""),
    ]  # fmt: skip
    if study.samples is not None:
        rows.insert(3, ("cut down", f"{study.samples:,} samples of each file", "--quick"))
    return html_table(("what", "value", "note"), rows)


def _scatter(results: Results) -> str:
    whole = [s for s in results.summaries if s.n == s.n_seeds]
    costs = [(-s.means["accuracy"].value, s.means["energy"].value) for s in whole]
    line = [(costs[i][1], -costs[i][0]) for i in front_of(costs)]
    front = {results.summaries[i].point for i in results.front}
    dots = [
        Dot(
            x=s.means["energy"].value,
            y=s.means["accuracy"].value,
            half=s.means["accuracy"].half,
            colour=s.point.criterion,
            shape=str(s.point.bits) if isinstance(s.point.bits, str) else f"{s.point.bits} bit",
            words=f"{s.point.label()}: {share_words(s.means['accuracy'])}, "
            f"{mean_words(s.means['energy'], READ['energy'])}",
            is_ringed=s.point in front,
            note="knee" if place == results.knee else "",
        )
        for place, s in enumerate(results.summaries)
    ]
    return scatter(dots, line, x=ENERGY, y=ACCURACY, label="Accuracy against energy of all points")


def _points(results: Results) -> str:
    header = (
        "weights", "pruned", "chip", *(TITLES[name] for name in OBJECTIVES),
        "float control", "less control, points", "seeds", "front",
    )  # fmt: skip
    return sortable_table(header, [_point(i, s, results) for i, s in enumerate(results.summaries)])


def _point(place: int, summary: Summary, results: Results) -> list[tuple[str, float | str]]:
    mark = "knee" if place == results.knee else "front" if place in results.front else ""
    cells: list[tuple[str, float | str]] = [
        (words, words)
        for words in (bits_words(summary), pruning_words(summary), summary.point.target)
    ]
    for name in OBJECTIVES:
        mean = summary.means.get(name)
        cells.append((objective_words(name, mean), mean.value) if mean else ("n/a", NOWHERE))
    cells += [
        (share_words(summary.control), summary.control.value),
        (gap_words(summary.gap), summary.gap.value),
        (f"{summary.n} of {summary.n_seeds}", float(summary.n)),
        (mark, mark),
    ]
    return cells


def _effect(effect: Effect) -> str:
    rows = [(e.level, e.accuracy.value, e.accuracy.half) for e in effect.levels]
    plot = interval_rows(rows, axis=ACCURACY, label=f"Accuracy by {effect.factor}")
    energy = "; ".join(f"{e.level} {mean_words(e.energy, READ['energy'])}" for e in effect.levels)
    return (
        f"<h3>{html_text(effect.factor)}</h3>{plot}"
        f'<p class="soft">Mean over {effect.n_cells} settings of the other factors that every '
        f"level has, then over seeds. Energy: {html_text(energy)}.</p>"
    )


def _contrasts(contrasts: Sequence[Contrast]) -> str:
    rows = [
        (
            c.factor,
            f"{c.level} - {c.other}",
            gap_words(c.difference),
            _decided(c),
            f"{c.n_cells} settings, {c.difference.n} seeds",
        )
        for c in contrasts
    ]
    header = ("factor", "levels", "points", "0 in the interval", "over")
    note = (
        "Seed by seed, on the same settings. With many comparisons, one in twenty intervals "
        "misses 0 by chance."
    )
    return html_table(header, rows) + f'<p class="soft">{note}</p>'


def _decided(contrast: Contrast) -> str:
    half = contrast.difference.half
    if half is None:
        return NO_INTERVALS
    return "yes" if abs(contrast.difference.value) <= half else "no"


def _unfinished(rows: Sequence[Row]) -> str:
    unfinished = [
        (row.trial.label(), row.status, str(row.attempts or ""), row.reason)
        for row in rows
        if row.status != "done"
    ]
    if not unfinished:
        return ""
    table = html_table(("trial", "status", "attempts", "reason"), unfinished)
    return f"<h2>Refused, failed and missing</h2>{table}"


def _interval_note(results: Results) -> str:
    return INTERVALS if len(results.study.space.seeds) > 1 else NO_INTERVALS
