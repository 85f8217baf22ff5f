"""What every engine does: run trials, try again what fails, stop in time, tell what happens."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from snndeploy.ablation.job import Job
from snndeploy.ablation.space import Trial
from snndeploy.ablation.store import Store

What = Literal["started", "finished", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened to a trial; `failed` means for good."""

    what: What
    trial: Trial


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A trial, and the number of the attempt at it."""

    trial: Trial
    attempt: int


Observe = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What an engine works on.

    Attributes:
        workers: trials at once; None: as many as there is room for.
        deadline: when to stop (`time.monotonic`), None for never.
    """

    job: Job
    store: Store
    workers: int | None
    deadline: float | None
    observe: Observe

    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() >= self.deadline


def room_here(work: Work) -> int:
    """Return how many trials this machine takes at once: one per core that this process may use."""
    return work.workers or max(1, len(os.sched_getaffinity(0)) // work.job.study.limits.threads)


class Engine(Protocol):
    """Something that runs trials; it is left as a context, and then nothing of it runs on."""

    def run(self, trials: Sequence[Trial]) -> None:
        """Run trials until each has a record in the store or time is up."""
        ...

    def close(self) -> None:
        """End all that this engine started."""
        ...


def give_up(work: Work, trial: Trial, reason: str, *, attempts: int) -> None:
    """Record that a trial failed for good."""
    work.store.put_failure(
        trial.key,
        {"trial": trial.label(), "seed": trial.seed, "reason": reason, "attempts": attempts},
    )
    work.observe(Event(what="failed", trial=trial))
