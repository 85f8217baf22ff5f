"""The serial engine: one trial after the other in this process; a trial ends when it ends."""

from collections.abc import Sequence

from snndeploy.ablation.attempt import Bench, attempt, open_bench
from snndeploy.ablation.engines.engine import Event, Work, give_up
from snndeploy.ablation.space import Trial


class SerialEngine:
    """Runs trials in this process: for debugging, and where processes cannot be started.

    It cannot end a trial that hangs or holds too much memory; `process` can.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._bench: Bench | None = None

    def run(self, trials: Sequence[Trial]) -> None:
        """Run trials in order; the deadline is looked at between them."""
        for trial in trials:
            if self._work.is_late():
                return
            self._one(trial)

    def close(self) -> None:
        """Nothing outlives a trial."""

    def _one(self, trial: Trial) -> None:
        work = self._work
        work.observe(Event(what="started", trial=trial))
        self._bench = self._bench or open_bench(work.job)
        limit = work.job.study.limits.retries + 1
        for number in range(1, limit + 1):
            failed = attempt(self._bench, work.store, work.job, trial, number=number)
            if failed is None:
                work.observe(Event(what="finished", trial=trial))
                return
        assert failed is not None
        give_up(work, trial, failed.reason, attempts=limit)
