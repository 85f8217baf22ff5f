"""What a trial answers: numbers of the deployed network, or why there are none."""

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal

Status = Literal["done", "refused"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measures:
    """What one trial measured on the test samples; energies and events are per sample.

    Attributes:
        accuracy: of the integer network on its chip, simulated.
        control_accuracy: of the float parent after the same epochs, neither pruned nor quantized.
        energy_j: dynamic energy, low, nominal and high.
        energy_grade: weakest grade of a price in it.
        weights: synaptic weights that the chip stores.
        latency_s: to a decision; None where the chip's latencies are not public.
        missing: events without a public price, which are not in the energy.
    """

    accuracy: float
    control_accuracy: float
    energy_j: tuple[float, float, float]
    energy_grade: str
    cores: int
    weights: int
    synaptic_ops: float
    spikes: float
    latency_s: float | None
    missing: tuple[str, ...]
    n_test: int

    def not_finite(self) -> tuple[str, ...]:
        """Return the names of numbers that are NaN or infinite."""
        numbers = {
            **asdict(self),
            **dict(zip(("low", "nominal", "high"), self.energy_j, strict=True)),
        }
        return tuple(k for k, v in numbers.items() if isinstance(v, float) and not isfinite(v))


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The record of a finished trial.

    Attributes:
        status: `done`, or `refused`: the chip or the compiler says that it cannot be.
        measures: None if refused.
        code: of the refusal, and `reason` in words.
        seconds: wall time of the attempt that finished; `attempts`: how many it took.
    """

    status: Status
    measures: Measures | None
    code: str
    reason: str
    seconds: float
    attempts: int


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain data."""
    return asdict(outcome)


def outcome_of(record: dict[str, Any]) -> Outcome:
    """Return the outcome that `outcome_record` described."""
    measures = record["measures"]
    if measures is not None:
        lists = {key: tuple(measures[key]) for key in ("energy_j", "missing")}
        measures = Measures(**{**measures, **lists})
    fields = {key: record[key] for key in ("status", "code", "reason", "seconds", "attempts")}
    return Outcome(measures=measures, **fields)
