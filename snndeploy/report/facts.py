"""What an estimate says beside its tables, for the terminal and for HTML."""

from snndeploy.estimation import Estimate
from snndeploy.report.units import engineering, percent

Fact = tuple[str, str, str]


def estimate_facts(estimate: Estimate, float_accuracy: float | None = None) -> tuple[Fact, ...]:
    """Return (name, value, note) of what was measured beside the tables."""
    steps, depth, latency = estimate.steps, estimate.depth, estimate.latency
    rows = [("samples", f"{estimate.n_samples:,}", f"{steps} steps each, pipeline {depth} deep")]
    if float_accuracy is not None:
        rows.append(("accuracy before", percent(float_accuracy), "float model"))
    if estimate.accuracy is not None:
        rows.append(("accuracy", percent(estimate.accuracy), "integer network, simulated"))
    if latency is not None:
        slowest = engineering(latency.slowest_s, "s")
        rows += [
            (
                "chip step",
                engineering(latency.step_s, "s"),
                f"slowest {slowest}; {latency.critical} decides most; latencies: {latency.grade}",
            ),
            (
                "time to decision",
                engineering(latency.decision_s, "s"),
                f"{steps} steps + {depth} of the pipeline",
            ),
            ("throughput", f"{latency.throughput_hz:,.0f} /s", "one sample after the other"),
        ]
    rows.append(("clipped inputs", f"{estimate.clipped:,}", "values beyond the integer range"))
    return tuple(rows)
