"""Tables of an estimate as plain rows, for the terminal, HTML and LaTeX alike.

A header that starts with `>` is a column of numbers. Values that users compare carry their unit,
and where prices leave one, their range.
"""

from dataclasses import dataclass

from snndeploy.arithmetic import ArithmeticBound
from snndeploy.baseline import Baseline
from snndeploy.duty import Duty
from snndeploy.estimation import Estimate
from snndeploy.report.facts import dynamic_grade_word, dynamic_words
from snndeploy.report.units import NOT_PUBLIC, duration, engineering, metric, percent, spread

Row = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """A table with a title and lines below it."""

    title: str
    header: Row
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def sheets(estimate: Estimate, most_steps: int | None = None) -> tuple[Sheet, ...]:
    """Return what an estimate says beside activity, ledger and time.

    Of a chip that is priced only, what its prices change: the rest is that of the network it takes
    its events from.

    Args:
        estimate: of one chip.
        most_steps: rows of accuracy against steps, evenly taken; None: all.
    """
    duties = [duty_sheet(estimate.duty)] if estimate.duty else []
    bound = arithmetic_sheet(estimate, estimate.arithmetic)
    if estimate.priced_only:
        is_own = estimate.baseline is not None and estimate.baseline.prices == estimate.prices
        return (*duties, bound, *([baseline_sheet(estimate)] if is_own else []))
    return (
        early_sheet(estimate, most_steps),
        *duties,
        neurobench_sheet(estimate),
        bound,
        baseline_sheet(estimate),
    )


def early_sheet(estimate: Estimate, most: int | None = None) -> Sheet:
    """Return accuracy against steps."""
    early, latency = estimate.early, estimate.latency
    if most is not None and len(early) > most:
        last = len(early) - 1
        early = tuple(early[round(i * last / (most - 1))] for i in range(most))
    whole = estimate.steps + estimate.depth
    rows = tuple(
        (
            f"{point.steps:,}",
            "n/a" if point.accuracy is None else percent(point.accuracy),
            percent(point.agreement),
            engineering(latency.decision_s * (point.steps + estimate.depth) / whole, "s")
            if latency
            else NOT_PUBLIC,
        )
        for point in early
    )
    return Sheet(
        title="accuracy against steps",
        header=("decided after steps", ">accuracy", ">same as after all", ">time to decision"),
        rows=rows,
    )


def duty_sheet(duty: Duty) -> Sheet:
    """Return average power by part, and battery life."""
    rows: list[Row] = [
        (row.part, *(engineering(watts, "W") for watts in row.power_w), row.grade or "given",
         row.source)
        for row in duty.rows
    ]  # fmt: skip
    rows += [(part, *[NOT_PUBLIC] * 3, "missing", "not in the sum") for part in duty.missing]
    average = (engineering(watts, "W") for watts in duty.average_w)
    without = f"a lower bound, without {', '.join(duty.missing)}" if duty.missing else ""
    rows.append(("average power", *average, duty.grade, without))
    if duty.battery_s is not None and duty.battery_j is not None:
        lasting = (duration(seconds) for seconds in duty.battery_s)
        upper = f"; an upper bound, without {', '.join(duty.missing)}" if duty.missing else ""
        battery = f"{engineering(duty.battery_j / 3600, 'Wh')} battery{upper}"
        rows.append(("battery life", *lasting, duty.grade, battery))
    active = "not known: the chip's time is not public"
    if duty.active is not None and duty.most_hz is not None:
        active = f"{percent(duty.active)} of the time; it can answer {duty.most_hz:,.0f} /s"
    return Sheet(
        title=f"average power at {duty.rate_hz:,.6g} samples/s",
        header=("part", ">low", ">nominal", ">high", "grade", "source"),
        rows=tuple(rows),
        notes=(f"samples in the chip: {active}",),
    )


def neurobench_sheet(estimate: Estimate) -> Sheet:
    """Return NeuroBench's metrics under their names."""
    metrics, rows = estimate.neurobench, list[Row]()
    units = {"Footprint": "bytes", "MembraneUpdates": "per sample"}
    for name, value in metrics.record().items():
        if isinstance(value, dict):
            unit = "" if name == "ActivationSparsityByLayer" else "per sample"
            rows += [(f"{name}: {key}", metric(part), unit) for key, part in value.items()]
        else:
            rows.append((name, metric(value), units.get(name, "")))
    conditions = metrics.conditions
    dt = "not kept"
    if conditions.dt_s is not None:
        dt = f"{engineering(conditions.dt_s, 's')} in the model's semantics"
    return Sheet(
        title="NeuroBench metrics of the integer network",
        header=("metric", ">value", "unit"),
        rows=tuple(rows),
        notes=(
            f"T {conditions.steps}, dt {dt}, batch {conditions.batch:,}, seed {conditions.seed}; "
            f"zero weights: {conditions.zero_weights}; bias: {conditions.bias}",
        ),
    )


def arithmetic_sheet(estimate: Estimate, bound: ArithmeticBound) -> Sheet:
    """Return the papers' formula beside the chip's own count."""
    paper = (engineering(joules, "J") for joules in bound.energy_j)
    sops = f"{bound.acs:,.1f} AC + {bound.macs:,.1f} MAC"
    return Sheet(
        title=f"the papers' 45 nm formula: {bound.label}, no energy of a chip",
        header=("what", "operations/sample", ">low", ">nominal", ">high", "grade"),
        rows=(
            (bound.label, sops, *paper, bound.grade),
            (f"dynamic energy on {estimate.target}", f"{bound.hardware_ops:,.1f} synaptic ops",
             *dynamic_words(estimate), dynamic_grade_word(estimate)),
        ),
        notes=(
            "SOPs: spikes times synapses with a nonzero weight, total over T steps; the chip also "
            "touches stored zeros and fills and drains its pipeline",
            f"AC: {bound.sources[0]}; MAC: {bound.sources[1]}",
        ),
    )  # fmt: skip


def baseline_sheet(estimate: Estimate) -> Sheet:
    """Return the spiking network and its ANN reading, part by part, and the break-even."""
    base = estimate.baseline
    if base is None:
        why = f"no ANN reading: {estimate.no_baseline}"
        return Sheet(title="the same network as an ANN", header=(), rows=(), notes=(why,))
    rows: list[Row] = []
    for side, works, total in (("SNN", base.snn, base.snn_j), ("ANN", base.ann, base.ann_j)):
        rows += [
            (side, work.part, *(engineering(joules, "J") for joules in work.energy_j))
            for work in works
        ]
        rows.append((side, "in all", *(engineering(joules, "J") for joules in total)))
    return Sheet(
        title=f"the same network as an ANN of {base.activation_bits}-bit activations, both on one "
        f"accelerator, prices {base.prices}",
        header=("side", "part", ">low", ">nominal", ">high"),
        rows=tuple(rows),
        notes=(*_baseline_notes(base, estimate.steps), f"weakest grade: {base.grade}"),
    )


def _baseline_notes(base: Baseline, steps: int) -> tuple[str, ...]:
    """Say who wins, and at which rate they change places."""
    ratio = base.snn_j[1] / base.ann_j[1]
    winner = f"the SNN costs {ratio:.3g} times what the ANN does"
    measured = (
        f"measured {base.spikes_per_neuron:.3g} spikes per neuron and inference "
        f"({percent(base.spikes_per_neuron / steps)} per step), {base.spikes_per_synapse:.3g} per "
        f"synapse; {percent(base.density)} of the ANN's activations are not 0"
    )
    return winner, measured, f"break-even: {break_even_words(base, steps)}"


def break_even_words(base: Baseline, steps: int) -> str:
    """Say at which spike rate both sides cost the same; 0 stands for a price at which none does."""
    neuron, synapse = base.break_even_per_neuron, base.break_even_per_synapse
    if neuron is None or synapse is None:
        return "none, no spike was sent that could be scaled"
    if neuron[1] <= 0:
        return (
            "none at nominal prices; without any spike the SNN's neuron updates and its input cost "
            "more than the whole ANN"
        )
    each, touched = (spread((max(v[0], 0.0), v[1], max(v[2], 0.0))) for v in (neuron, synapse))
    rate = percent(neuron[1] / steps)
    return (
        f"{each} spikes per neuron and inference ({rate} per step), {touched} per synapse; below "
        "that the SNN wins"
    )
