"""What an estimate says beside its tables, for the terminal and for HTML."""

from collections.abc import Iterable

from snndeploy.estimation import Estimate, LayerEstimate
from snndeploy.ir.neurons import LIF
from snndeploy.latency import Latency
from snndeploy.passes.layer_report import LayerReport
from snndeploy.report.units import NOT_PUBLIC, engineering, percent
from snndeploy.repricing import SerialTime

Fact = tuple[str, str, str]


def microcode_notes(layers: Iterable[LayerReport]) -> tuple[str, ...]:
    """Return a line for every neuron program that the chip does not have in hardware."""
    programs = dict.fromkeys(layer.program for layer in layers if layer.program != LIF.name)
    return tuple(
        f"{program} needs microcode on the chip; on the CPU Lava runs our definition of it and is "
        "no judge of it"
        for program in programs
    )


def verdict_line(estimate: Estimate) -> str:
    """Return the verdict, or why there is none."""
    if estimate.verdict is not None:
        return estimate.verdict.line()
    counts = f"counts from {estimate.events_of}, no verdict whether it fits"
    return f"PRICED ONLY {estimate.target}: {counts}; {estimate.because}"


def time_words(estimate: Estimate) -> tuple[str, str, str]:
    """Return p50 and p99 of the time to decision, and the throughput, or what is known of them."""
    latency, serial = estimate.latency, estimate.serial
    if latency is not None:
        return (
            engineering(latency.decision_p50_s, "s"),
            engineering(latency.decision_p99_s, "s"),
            f"{latency.throughput_hz:,.0f} /s",
        )
    if serial is not None:
        return "n/a", "n/a", f"{estimate.n_samples / serial.total_s:,.0f} /s"
    return NOT_PUBLIC, NOT_PUBLIC, NOT_PUBLIC


def dynamic_words(estimate: Estimate) -> tuple[str, str, str]:
    """Return low, nominal and high dynamic energy per sample, or that it is not public."""
    return _energy_words(estimate, estimate.dynamic_j)


def layer_words(estimate: Estimate, layer: LayerEstimate) -> tuple[str, str, str]:
    """Return low, nominal and high dynamic energy per sample of a layer, or not public."""
    return _energy_words(estimate, (layer.low_j, layer.energy_j, layer.high_j))


def _energy_words(estimate: Estimate, joules: tuple[float, float, float]) -> tuple[str, str, str]:
    if not estimate.is_priced:
        return NOT_PUBLIC, NOT_PUBLIC, NOT_PUBLIC
    low, nominal, high = (engineering(value, "J") for value in joules)
    return low, nominal, high


def grade_word(estimate: Estimate) -> str:
    """Return the weakest grade of a price, `n/a` if none was used."""
    return estimate.grade if estimate.is_priced or estimate.static else "n/a"


def dynamic_grade_word(estimate: Estimate) -> str:
    """Return the weakest grade of an event's price, `n/a` if none is public."""
    return estimate.dynamic_grade if estimate.is_priced else "n/a"


def weakest_note(estimate: Estimate) -> str:
    """Return the weakest grade among the prices, and whose it is."""
    if not estimate.weakest:
        return "no price of an event is public"
    return f"weakest grade of a price: {grade_word(estimate)} ({', '.join(estimate.weakest)})"


def missing_notes(estimate: Estimate) -> tuple[str, ...]:
    """Return what is not in the sum, one line each."""
    notes = []
    if estimate.missing:
        names = ", ".join(f"{name} ({count:,})" for name, count in estimate.missing)
        notes.append(f"no public price, not in the sum: {names}")
    return tuple(notes)


def estimate_facts(estimate: Estimate, float_accuracy: float | None = None) -> tuple[Fact, ...]:
    """Return (name, value, note) of what was measured beside the tables."""
    steps, depth, latency = estimate.steps, estimate.depth, estimate.latency
    flow = "one at a time" if estimate.alone else f"one every {estimate.period} steps"
    rows = [
        ("samples", f"{estimate.n_samples:,}", f"{steps} steps each, pipeline {depth} deep, {flow}")
    ]
    if float_accuracy is not None:
        rows.append(("accuracy before", percent(float_accuracy), "float model"))
    if estimate.accuracy is not None:
        rows.append(("accuracy", percent(estimate.accuracy), "integer network, simulated"))
    if latency is not None:
        rows += _time_facts(latency, estimate)
    elif estimate.serial is not None:
        rows.append(_serial_fact(estimate.serial, estimate.n_samples))
    else:
        rows.append(("time", NOT_PUBLIC, "so neither throughput nor static energy is known"))
    rows.append(("clipped inputs", f"{estimate.clipped:,}", "values beyond the integer range"))
    return tuple(rows)


def _time_facts(latency: Latency, estimate: Estimate) -> list[Fact]:
    flow = "streaming, one sample after the other"
    if estimate.alone:
        flow = "one sample at a time; what the host takes to clear the chip is not in it"
    slowest = engineering(latency.slowest_s, "s")
    barrier = engineering(latency.barrier_s, "s")
    rows = [
        (
            "chip step",
            engineering(latency.step_s, "s"),
            f"slowest {slowest}, barrier {barrier}; timing: {latency.level}; "
            f"latencies: {latency.grade}",
        ),
        ("bottleneck", latency.bottleneck, _bottleneck_note(latency)),
    ]
    if latency.cycle_s is not None:
        core = next(c for c in latency.cores if c.core == latency.critical_core)
        unit = "clock" if latency.cycle_kind == "clock" else "asynchronous: reference unit"
        rows.append(
            (
                "cycles per step",
                f"{core.cycles:,.1f}",
                f"of core {core.core}, slowest {core.slowest_cycles:,}; "
                f"{unit} {engineering(latency.cycle_s, 's')}",
            )
        )
    rows += [
        (
            "time to decision",
            engineering(latency.decision_s, "s"),
            f"{estimate.steps} steps + {estimate.depth} of the pipeline; "
            f"p50 {engineering(latency.decision_p50_s, 's')}, "
            f"p99 {engineering(latency.decision_p99_s, 's')} over samples",
        ),
        ("throughput", f"{latency.throughput_hz:,.0f} /s", flow),
    ]
    if latency.missing:
        rows.append(("not in the time", ", ".join(latency.missing), "no public latency"))
    return rows


def _serial_fact(serial: SerialTime, n_samples: int) -> Fact:
    missing = f"; not in it: {', '.join(serial.missing)}" if serial.missing else ""
    note = f"one event after the other; latencies: {serial.grade}{missing}"
    return "time per sample", engineering(serial.total_s / n_samples, "s"), note


def _bottleneck_note(latency: Latency) -> str:
    links = latency.critical_link or "none, no message leaves its tile"
    link = f", busiest link: {links}"
    steps = ", ".join(f"{name} {n:,}" for name, n in latency.bottlenecks.items() if n)
    return (
        f"core {latency.critical_core} ({latency.critical}) decides most steps{link}; "
        f"steps by what takes most: {steps}"
    )
