"""The results as CSV: one line per trial, for whoever computes further."""

import csv
import io
from collections.abc import Mapping

from snndeploy.ablation.results import Results, Row
from snndeploy.ablation.space import FACTORS

COLUMNS = (
    "key", *FACTORS, "seed", "status", "accuracy", "control_accuracy",
    "energy_low_j", "energy_nominal_j", "energy_high_j", "energy_grade", "cores", "weights",
    "synaptic_ops", "spikes", "latency_s", "n_test", "seconds", "attempts", "versions", "reason",
)  # fmt: skip


def sheet(results: Results) -> str:
    """Return the CSV; energies and events are per sample, numbers are not rounded."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    versions = " ".join(f"{name}={version}" for name, version in results.versions.items())
    writer.writerows({**_line(row), "versions": versions} for row in results.rows)
    return text.getvalue()


def _line(row: Row) -> Mapping[str, object]:
    trial, outcome = row.trial, row.outcome
    line: dict[str, object] = {
        "key": trial.key,
        **{factor: getattr(trial.point, factor) for factor in FACTORS},
        "seed": trial.seed,
        "status": row.status,
        "reason": row.reason,
        "attempts": row.attempts,
    }
    if outcome is not None:
        line["seconds"] = round(outcome.seconds, 3)
    measures = row.measures
    if measures is not None:
        low, nominal, high = measures.energy_j
        line |= {
            **{key: getattr(measures, key) for key in COLUMNS if hasattr(measures, key)},
            "energy_low_j": low,
            "energy_nominal_j": nominal,
            "energy_high_j": high,
        }
    return line
