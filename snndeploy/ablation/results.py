"""What a study found: every trial, means over seeds, the Pareto front, effects of the factors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from snndeploy.ablation.effects import Contrast, Effect, contrasts_of, effects_of
from snndeploy.ablation.job import Job
from snndeploy.ablation.measures import Measures, Outcome, outcome_of
from snndeploy.ablation.pareto import front_of, knee_of
from snndeploy.ablation.space import Point, Trial
from snndeploy.ablation.statistics import Mean, mean_of
from snndeploy.ablation.store import Store
from snndeploy.ablation.study import Objective, Study, study_record

MEASURES: Mapping[Objective, Callable[[Measures], float | None]] = {
    "accuracy": lambda m: m.accuracy,
    "energy": lambda m: m.energy_j[1],
    "cores": lambda m: float(m.cores),
    "weights": lambda m: float(m.weights),
    "synaptic_ops": lambda m: m.synaptic_ops,
    "spikes": lambda m: m.spikes,
    "latency": lambda m: m.latency_s,
}
"""What an objective reads; energy is nominal dynamic energy."""
MAXIMISED: tuple[Objective, ...] = ("accuracy",)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Row:
    """A trial and what became of it: an outcome, a failure, or nothing yet."""

    trial: Trial
    outcome: Outcome | None
    failure: Mapping[str, Any] | None

    @property
    def status(self) -> str:
        """`done`, `refused`, `failed` or `missing`."""
        if self.outcome is not None:
            return self.outcome.status
        return "failed" if self.failure else "missing"

    @property
    def measures(self) -> Measures | None:
        """What was measured, None if nothing was."""
        return self.outcome.measures if self.outcome else None

    @property
    def reason(self) -> str:
        """Why there are no measures."""
        if self.outcome is not None:
            return self.outcome.reason
        return str(self.failure["reason"]) if self.failure else ""

    @property
    def attempts(self) -> int:
        """How often it was tried, to its end or its failure; 0 if it was not."""
        if self.outcome is not None:
            return self.outcome.attempts
        return int(self.failure["attempts"]) if self.failure else 0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Summary:
    """A point over its seeds.

    Attributes:
        means: of every objective that all its trials have.
        control: accuracy of the float control of the same seeds.
        gap: accuracy less that of the same seed's control.
        energy_j: mean low, nominal and high.
        n: seeds that are done, of `n_seeds`.
    """

    point: Point
    means: Mapping[Objective, Mean]
    control: Mean
    gap: Mean
    energy_j: tuple[float, float, float]
    n: int
    n_seeds: int


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Results:
    """All that reports show.

    Attributes:
        front: places in `summaries` of the Pareto front of the study's objectives, means over
            seeds; only points with all their seeds take part.
        unproposed: points that a search has still to propose.
        knee: place of the knee, None without one.
    """

    study: Study
    versions: Mapping[str, str]
    rows: tuple[Row, ...]
    summaries: tuple[Summary, ...]
    front: tuple[int, ...]
    knee: int | None
    effects: tuple[Effect, ...]
    contrasts: tuple[Contrast, ...]
    unproposed: int = 0

    def count(self, status: str) -> int:
        """Return the number of trials with a status."""
        return sum(row.status == status for row in self.rows)

    @property
    def is_complete(self) -> bool:
        """Whether every trial has an outcome, and a search has made all its proposals."""
        return not self.unproposed and all(row.outcome is not None for row in self.rows)


def collect(job: Job, store: Store, points: Sequence[Point], *, unproposed: int = 0) -> Results:
    """Read the records of points from the store and sum them up."""
    study = job.study
    rows = tuple(_row(store, job.trial(p, seed)) for p in points for seed in study.space.seeds)
    done = {
        (row.trial.point, row.trial.seed): row.measures for row in rows if row.measures is not None
    }
    summaries = tuple(s for s in (_summary(p, done, study) for p in points) if s is not None)
    whole = [i for i, s in enumerate(summaries) if s.n == s.n_seeds and _has_all(s, study)]
    costs = [_cost(summaries[i], study) for i in whole]
    front = front_of(costs)
    knee = knee_of(costs, front)
    return Results(
        study=study,
        versions=job.versions,
        rows=rows,
        summaries=summaries,
        front=tuple(whole[i] for i in front),
        knee=None if knee is None else whole[knee],
        effects=effects_of(done),
        contrasts=contrasts_of(done),
        unproposed=unproposed,
    )


def results_record(results: Results) -> dict[str, Any]:
    """Return results as plain data."""
    return {
        "study": study_record(results.study),
        "versions": dict(results.versions),
        "complete": results.is_complete,
        "unproposed": results.unproposed,
        "counts": {s: results.count(s) for s in ("done", "refused", "failed", "missing")},
        "trials": [
            {
                "key": row.trial.key,
                **asdict(row.trial.point),
                "seed": row.trial.seed,
                "status": row.status,
                "reason": row.reason,
                "measures": asdict(row.measures) if row.measures else None,
                "seconds": row.outcome.seconds if row.outcome else None,
                "attempts": row.attempts,
            }
            for row in results.rows
        ],
        "points": [
            {
                **asdict(summary.point),
                "means": {name: asdict(mean) for name, mean in summary.means.items()},
                "control_accuracy": asdict(summary.control),
                "accuracy_minus_control": asdict(summary.gap),
                "energy_j": list(summary.energy_j),
                "seeds": summary.n,
                "on_front": place in results.front,
                "is_knee": place == results.knee,
            }
            for place, summary in enumerate(results.summaries)
        ],
        "effects": [asdict(effect) for effect in results.effects],
        "contrasts": [asdict(contrast) for contrast in results.contrasts],
    }


def _row(store: Store, trial: Trial) -> Row:
    record = store.trial(trial.key)
    return Row(
        trial=trial,
        outcome=outcome_of(record) if record else None,
        failure=None if record else store.failure(trial.key),
    )


def _summary(
    point: Point, done: Mapping[tuple[Point, int], Measures], study: Study
) -> Summary | None:
    seeds = study.space.seeds
    found = [done[point, seed] for seed in seeds if (point, seed) in done]
    if not found:
        return None
    means = {}
    for name, read in MEASURES.items():
        values = [value for value in map(read, found) if value is not None]
        if len(values) == len(found):
            means[name] = mean_of(values)
    low, nominal, high = (sum(m.energy_j[i] for m in found) / len(found) for i in range(3))
    return Summary(
        point=point,
        means=means,
        control=mean_of([m.control_accuracy for m in found]),
        gap=mean_of([m.accuracy - m.control_accuracy for m in found]),
        energy_j=(low, nominal, high),
        n=len(found),
        n_seeds=len(seeds),
    )


def _has_all(summary: Summary, study: Study) -> bool:
    return all(name in summary.means for name in study.objectives)


def _cost(summary: Summary, study: Study) -> tuple[float, ...]:
    values = ((name, summary.means[name].value) for name in study.objectives)
    return tuple(-value if name in MAXIMISED else value for name, value in values)
