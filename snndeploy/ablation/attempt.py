"""One attempt at a trial: measure, look at the numbers, keep the record. Every engine runs this."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from snndeploy.ablation.job import Job
from snndeploy.ablation.measures import Measures, Outcome, outcome_record
from snndeploy.ablation.space import Trial
from snndeploy.ablation.store import Store
from snndeploy.errors import CapacityError, SnnDeployError, UnsupportedError

Bench = Callable[[Trial], Measures]
LONGEST_REASON = 500
UNPROVEN = "E1053"
"""No unit keeps a network's sums in the chip's words: it will not on another attempt either."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """Why an attempt failed; after `fatal` ones the process is not to be used again."""

    reason: str
    fatal: bool = False


def open_bench(job: Job) -> Bench:
    """Return what measures trials of a job, from the place that the job names."""
    module, _, name = job.bench.partition(":")
    bench: Bench = getattr(import_module(module), name)(job)
    return bench


def attempt(bench: Bench, store: Store, job: Job, trial: Trial, *, number: int) -> Failed | None:
    """Run a trial and keep its outcome; return why it failed, None if it did not.

    A network that does not fit or cannot be deployed is an outcome. All else that is raised, and
    numbers that are none, is a failure.
    """
    started = time.perf_counter()
    measures, code, reason = None, "", ""
    try:
        measures = bench(trial)
    except (CapacityError, UnsupportedError) as error:
        code, reason = error.code, error.line()
    except MemoryError:
        return Failed(
            reason=f"out of memory: more than {job.study.limits.memory_gb:g} GB", fatal=True
        )
    except SnnDeployError as error:
        if error.code != UNPROVEN:
            return Failed(reason=error.line()[:LONGEST_REASON])
        code, reason = error.code, error.line()
    except Exception as error:  # noqa: BLE001 - whatever a trial raises is a line of the report
        return Failed(reason=f"{type(error).__name__}: {error}"[:LONGEST_REASON])
    bad = measures.not_finite() if measures else ()
    if bad:
        return Failed(reason=f"not a finite number: {', '.join(bad)}")
    outcome = Outcome(
        status="done" if measures else "refused",
        measures=measures,
        code=code,
        reason=reason,
        seconds=time.perf_counter() - started,
        attempts=number,
    )
    store.put_trial(trial.key, trial_record(job, trial, outcome))
    return None


def trial_record(job: Job, trial: Trial, outcome: Outcome) -> dict[str, Any]:
    """Return what the store keeps of a finished trial."""
    return {
        "point": asdict(trial.point),
        "seed": trial.seed,
        "versions": dict(job.versions),
        **outcome_record(outcome),
    }
