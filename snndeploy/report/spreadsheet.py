"""Estimates as CSV: one value per line with its unit, range, grade and source.

Every line names chip, table, item and measure, so that a spreadsheet can filter and pivot. Text
that a spreadsheet would take for a formula is written as text.
"""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO

from snndeploy.estimation import Estimate
from snndeploy.report.facts import dynamic_grade_word
from snndeploy.report.plain import plain

HEADER = (
    "chip", "table", "item", "phase", "measure", "low", "nominal", "high", "unit", "grade",
    "source",
)  # fmt: skip
FORMULA = "=+-@\t\r"
"""What a cell starts with that a spreadsheet calculates."""
Range = tuple[float, float, float]
Line = tuple[object, ...]


def render_csv(estimates: Iterable[Estimate]) -> str:
    """Return estimates as CSV with a header line."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for estimate in estimates:
        for line in _lines(estimate):
            writer.writerow([safe(cell) for cell in (estimate.target, *line)])
    return out.getvalue()


def safe(cell: object) -> object:
    """Return a cell as it is, or as text that no spreadsheet calculates."""
    if not isinstance(cell, str):
        return "" if cell is None else cell
    text = plain(cell, longest=2000)
    return f"'{text}" if text.lstrip().startswith(tuple(FORMULA)) else text


def _line(
    table: str,
    item: str,
    measure: str,
    value: float | Range | None,
    unit: str,
    *,
    phase: str = "",
    grade: str = "",
    source: str = "",
) -> Line:
    """Return one line; a value without a range is nominal only, an unknown one is empty."""
    low, nominal, high = value if isinstance(value, tuple) else (None, value, None)
    return table, item, phase, measure, low, nominal, high, unit, grade, source


def _lines(estimate: Estimate) -> Iterator[Line]:
    yield from _summary(estimate)
    yield from _layers(estimate)
    yield from _ledger(estimate)
    yield from _time(estimate)
    yield from _power(estimate)
    if not estimate.priced_only:  # the rest is that of the network, whatever the chip
        yield from _network(estimate)


def _network(estimate: Estimate) -> Iterator[Line]:
    for point in estimate.early:
        item = f"after {point.steps} steps"
        yield _line("early decision", item, "accuracy", point.accuracy, "share")
        yield _line("early decision", item, "same as after all", point.agreement, "share")
    yield from _neurobench(estimate)
    yield from _comparison(estimate)


def _summary(estimate: Estimate) -> Iterator[Line]:
    kind = "priced only" if estimate.priced_only else "modelled"
    dynamic = estimate.dynamic_j if estimate.is_priced else None
    grade = dynamic_grade_word(estimate)
    yield _line("summary", kind, "samples", estimate.n_samples, "samples")
    yield _line("summary", kind, "accuracy", estimate.accuracy, "share")
    yield _line("summary", kind, "dynamic energy", dynamic, "J/sample", grade=grade)
    for part in estimate.parts:
        yield _line("part", part.part, "energy", part.energy_j, "J/sample")


def _layers(estimate: Estimate) -> Iterator[Line]:
    for layer in estimate.layers:
        name, known = layer.population, (layer.low_j, layer.energy_j, layer.high_j)
        energy = known if estimate.is_priced else None
        yield _line("layer", name, "neurons", layer.n_neurons, "neurons")
        yield _line("layer", name, "spikes", layer.spikes_per_sample, "1/sample")
        yield _line("layer", name, "rate", layer.rate, "1/neuron/step")
        yield _line("layer", name, "synaptic operations", layer.synaptic_ops_per_sample, "1/sample")
        yield _line("layer", name, "energy", energy, "J/sample")


def _ledger(estimate: Estimate) -> Iterator[Line]:
    for row in estimate.ledger:
        facts = {"phase": row.phase, "grade": row.grade, "source": row.source}
        yield _line("ledger", row.kind, "count", row.count, "events in all", phase=row.phase)
        yield _line("ledger", row.kind, "price", row.price_j, "J", **facts)
        yield _line("ledger", row.kind, "energy", row.energy_j, "J/sample", **facts)
    static = estimate.static
    if static is not None:
        facts = {"grade": static.grade, "source": static.source}
        yield _line("ledger", "static", "power", static.power_w, "W", **facts)
        yield _line("ledger", "static", "energy", static.energy_j, "J/sample", **facts)
    for kind, count in estimate.missing:
        source = "no public price, not in the sum"
        yield _line("missing", kind, "count", count, "events in all", source=source)


def _time(estimate: Estimate) -> Iterator[Line]:
    latency, serial = estimate.latency, estimate.serial
    if serial is not None:
        seconds, source = serial.total_s / estimate.n_samples, "one event after the other"
        yield _line("time", "sample", "mean", seconds, "s", grade=serial.grade, source=source)
    elif latency is None:
        yield _line("time", "decision", "mean", None, "s", source="not public")
    if latency is None:
        return
    for measure, value in (
        ("mean", latency.decision_s),
        ("p50", latency.decision_p50_s),
        ("p99", latency.decision_p99_s),
    ):
        yield _line("time", "decision", measure, value, "s", grade=latency.grade)
    yield _line("time", "throughput", "mean", latency.throughput_hz, "1/s", grade=latency.grade)
    for state, steps in latency.bottlenecks.items():
        yield _line("time", f"bottleneck {state}", "count", steps, "steps")
    for core in latency.cores:
        item = f"core {core.core} ({core.population})"
        yield _line("time", item, "mean", core.seconds, "s/step", grade=latency.grade)


def _neurobench(estimate: Estimate) -> Iterator[Line]:
    for name, value in estimate.neurobench.record().items():
        if isinstance(value, dict):
            for key, part in value.items():
                yield _line("neurobench", name, key, part, "")
        else:
            yield _line("neurobench", name, "value", value, "")


def _comparison(estimate: Estimate) -> Iterator[Line]:
    bound, base = estimate.arithmetic, estimate.baseline
    facts = {"grade": bound.grade, "source": bound.prices}
    yield _line("papers' formula", bound.label, "energy", bound.energy_j, "J/sample", **facts)
    if base is None:
        yield _line("ANN", "baseline", "energy", None, "J/sample", source=estimate.no_baseline)
        return
    facts = {"grade": base.grade, "source": base.prices}
    for side, works in (("SNN", base.snn), ("ANN", base.ann)):
        for work in works:
            yield _line(side, work.part, "energy", work.energy_j, "J/sample", **facts)
    for measure, value in (
        ("spikes per neuron and inference", base.break_even_per_neuron),
        ("spikes per synapse and inference", base.break_even_per_synapse),
    ):
        yield _line("ANN", "break-even", measure, value, "1", **facts)


def _power(estimate: Estimate) -> Iterator[Line]:
    duty = estimate.duty
    if duty is None:
        return
    yield _line("power", "rate", "value", duty.rate_hz, "1/s")
    for row in duty.rows:
        facts = {"grade": row.grade or "given", "source": row.source}
        yield _line("power", row.part, "power", row.power_w, "W", **facts)
    for part in duty.missing:
        yield _line("power", part, "power", None, "W", source="not public, not in the sum")
    yield _line("power", "average", "power", duty.average_w, "W", grade=duty.grade)
    if duty.battery_s is not None:
        yield _line("power", "battery life", "time", duty.battery_s, "s", grade=duty.grade)
