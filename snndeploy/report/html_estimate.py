"""Estimates in HTML: the sections of one chip, and a page that puts several side by side."""

from collections.abc import Sequence

from snndeploy.estimation import Estimate
from snndeploy.report.cores import CORE_COLUMNS, core_rows
from snndeploy.report.facts import (
    dynamic_grade_word,
    dynamic_words,
    estimate_facts,
    grade_word,
    layer_words,
    missing_notes,
    time_words,
    verdict_line,
    weakest_note,
)
from snndeploy.report.page import html_table, html_text, page
from snndeploy.report.sheets import sheets
from snndeploy.report.svg import bars, curve, stacked
from snndeploy.report.units import NOT_PUBLIC, engineering, percent

ACTIVITY = (
    "layer", "neurons", "spikes/sample", "rate/step", "synaptic ops/sample", "low",
    "energy/sample", "high",
)  # fmt: skip
LEDGER = ("event", "phase", "per sample", "price", "low", "nominal", "high", "grade and source")
SIDE_BY_SIDE = (
    "chip", "prices", "verdict", "low", "energy/sample", "high", "static", "p50", "p99",
    "throughput", "accuracy", "weakest grade",
)  # fmt: skip


def render_estimates(estimates: Sequence[Estimate], name: str) -> str:
    """Return estimates of one model on several chips as one HTML document.

    Args:
        estimates: one per chip.
        name: of the model.
    """
    title = f"{html_text(name)} on {html_text(', '.join(e.target for e in estimates))}"
    parts = [f"<h1>{title}</h1>", html_table(SIDE_BY_SIDE, [_side(e) for e in estimates])]
    if len(estimates) > 1:
        parts += ["<h2>Dynamic energy per sample, by part of the chip</h2>"]
        parts += [energy_by_part(estimates)]
    for estimate in estimates:
        parts.append(f"<h1>{html_text(estimate.title)}</h1>")
        kind = "" if estimate.verdict is not None else " no"
        parts.append(f'<p class="verdict{kind}">{html_text(verdict_line(estimate))}</p>')
        parts += measured(estimate, None)
    return page(title, parts)


def measured(estimate: Estimate, float_accuracy: float | None) -> list[str]:
    """Return the sections of one chip: what was measured, activity, energy, time, comparisons."""
    layers, latency = estimate.layers, estimate.latency
    spikes = bars(
        [
            (layer.population, layer.spikes_per_sample, f"{layer.spikes_per_sample:,.1f}")
            for layer in layers
        ]
    )
    energy = bars(
        [(layer.population, layer.energy_j, layer_words(estimate, layer)[1]) for layer in layers]
    )
    cores = html_table(CORE_COLUMNS, core_rows(latency)) if latency else ""
    facts = html_table(("measure", "value", "note"), estimate_facts(estimate, float_accuracy))
    parts = [
        "<h2>Measured on the integer network</h2>", facts,
        "<h2>Activity</h2>", html_table(ACTIVITY, _layers(estimate)),
        "<h2>Spikes per sample by layer</h2>", spikes,
        "<h2>Energy per sample by layer</h2>", energy,
        "<h2>Dynamic energy per sample by part of the chip</h2>", energy_by_part([estimate]),
        "<h2>Energy ledger</h2>", _ledger(estimate),
        "<h2>Time per core and chip step</h2>" if cores else "", cores,
    ]  # fmt: skip
    if not estimate.priced_only:
        parts += ["<h2>Accuracy against steps</h2>", _early(estimate)]
    for sheet in sheets(estimate):
        header = tuple(name.removeprefix(">") for name in sheet.header)
        parts += [f"<h2>{html_text(sheet.title)}</h2>", html_table(header, sheet.rows)]
        parts += [soft(note) for note in sheet.notes]
    return parts


def energy_by_part(estimates: Sequence[Estimate]) -> str:
    """Return one stacked bar per chip: dynamic energy by part; static energy has no part in it."""
    return stacked(
        [
            (
                estimate.target,
                [(part.part, part.energy_j[1]) for part in estimate.parts if part.part != "static"],
                _words(estimate),
            )
            for estimate in estimates
        ]
    )


def _words(estimate: Estimate) -> str:
    low, nominal, high = dynamic_words(estimate)
    if not estimate.is_priced:
        return NOT_PUBLIC
    return f"{nominal} ({low} to {high})"


def _early(estimate: Estimate) -> str:
    """Return the curve of accuracy, or of agreement with the last decision without labels."""
    known = estimate.accuracy is not None
    points = [
        (point.steps, (point.accuracy or 0.0) if known else point.agreement)
        for point in estimate.early
    ]
    label = "accuracy" if known else "same decision as after all steps"
    return curve(points, label=label, unit="steps")


def _side(estimate: Estimate) -> tuple[str, ...]:
    static = estimate.static
    return (
        estimate.target,
        estimate.prices,
        verdict_line(estimate),
        *dynamic_words(estimate),
        engineering(static.energy_j[1], "J") if static else NOT_PUBLIC,
        *time_words(estimate),
        "n/a" if estimate.accuracy is None else percent(estimate.accuracy),
        grade_word(estimate),
    )


def _layers(estimate: Estimate) -> list[tuple[str, ...]]:
    return [
        (
            layer.population,
            f"{layer.n_neurons:,}",
            f"{layer.spikes_per_sample:,.1f}",
            percent(layer.rate),
            f"{layer.synaptic_ops_per_sample:,.0f}",
            *layer_words(estimate, layer),
        )
        for layer in estimate.layers
    ]


def _ledger(estimate: Estimate) -> str:
    rows = [
        (
            line.kind,
            line.phase,
            f"{line.per_sample:,.1f}",
            engineering(line.price_j, "J"),
            *(engineering(value, "J") for value in line.energy_j),
            f"{line.grade}: {line.source}",
        )
        for line in estimate.ledger
    ]
    total, grade = dynamic_words(estimate), f"weakest grade: {dynamic_grade_word(estimate)}"
    rows.append(("dynamic energy", "", "", "", *total, grade))
    static = estimate.static
    if static is not None:
        joules = (engineering(value, "J") for value in static.energy_j)
        power = engineering(static.power_w, "W")
        rows.append(("static energy", "", "", power, *joules, f"{static.grade}: {static.source}"))
    notes = (estimate.note, weakest_note(estimate), *missing_notes(estimate))
    return html_table(LEDGER, rows) + "".join(soft(note) for note in notes)


def soft(words: str) -> str:
    """Return a line in the background; nothing for no words."""
    return f'<p class="soft">{html_text(words)}</p>' if words else ""
