"""The process engine: trials in worker processes of their own, ended when they take too much.

A worker is fed through pipes, opens no socket, writes its own records, and is replaced after
whatever kills it. Nothing of a run outlives it: workers end when their stdin does.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from typing import IO, Any

from snndeploy.ablation.engines.engine import Event, Order, Work, give_up, room_here
from snndeploy.ablation.job import job_record
from snndeploy.ablation.space import Trial
from snndeploy.errors import TargetError

MODULE = "snndeploy.ablation.worker"
POLL_S = 0.2
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                    "NUMBA_NUM_THREADS")  # fmt: skip
LAST_WORDS = 4096


class Worker:
    """One worker process, and what it is at."""

    def __init__(self, work: Work) -> None:
        threads = str(work.job.study.limits.threads)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, threads)},
                start_new_session=True,
            )
        except OSError:
            self._errors.close()
            raise
        self.order: Order | None = None
        self._since = 0.0
        self._tell(job_record(work.job))

    def begin(self, order: Order) -> None:
        """Give the worker a trial."""
        self.order, self._since = order, time.monotonic()
        self._tell({"trial": asdict(order.trial), "attempt": order.attempt})

    def fileno(self) -> int:
        """Return what to wait on for an answer, or for the end."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def seconds(self) -> float:
        """Return how long it has been at its trial."""
        return time.monotonic() - self._since

    def answer(self) -> dict[str, Any] | None:
        """Return why its trial failed, None if it did not; a dead worker's answer is its end."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line.endswith(b"\n"):
            failed: dict[str, Any] | None = json.loads(line)
            return failed
        return {"reason": self._last_words(), "fatal": True}

    def end(self) -> None:
        """Kill it, with all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe and pipe.close()
        self._process.wait()
        self._errors.close()

    def _tell(self, record: dict[str, Any]) -> None:
        """Write a line; a worker that is gone is noticed when its answer is read."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(record).encode() + b"\n")
            self._process.stdin.flush()

    def _last_words(self) -> str:
        """Return how it ended, and the last line it printed."""
        code = self._process.wait()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - LAST_WORDS))
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"worker process {how}" + (f": {lines[-1]}" if lines else "")


class ProcessEngine:
    """Runs trials in worker processes, each with limits of time and memory."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._workers: list[Worker] = []
        self._room = room_here(work)

    def run(self, trials: Sequence[Trial]) -> None:
        """Run trials; at the deadline what is at work is ended, and is missing.

        Raises:
            TargetError: E4032, no worker process can be started.
        """
        waiting = deque(Order(trial=trial, attempt=1) for trial in trials)
        while waiting or self._busy():
            if self._work.is_late():
                self.close()
                return
            self._hand_out(waiting)
            ready, _, _ = select.select(self._busy(), [], [], POLL_S)
            for worker in ready:
                self._settle(worker, worker.answer(), waiting)
            self._end_the_slow(waiting)

    def close(self) -> None:
        """End all workers."""
        while self._workers:
            self._workers.pop().end()

    def _busy(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.order is not None]

    def _hand_out(self, waiting: deque[Order]) -> None:
        idle = [worker for worker in self._workers if worker.order is None]
        while waiting and len(self._busy()) < self._room:
            worker = idle.pop() if idle else self._start()
            order = waiting.popleft()
            worker.begin(order)
            self._work.observe(Event(what="started", trial=order.trial))

    def _start(self) -> Worker:
        try:
            self._workers.append(Worker(self._work))
        except OSError as error:
            raise TargetError(
                "E4032", f"no worker process can be started: {error.strerror or error}",
                where="--engine process",
                remedy="free memory, use fewer --workers or --engine serial",
            ) from None  # fmt: skip
        return self._workers[-1]

    def _settle(self, worker: Worker, failed: dict[str, Any] | None, waiting: deque[Order]) -> None:
        """Note what became of a worker's trial; let it be tried again where it may."""
        order, worker.order = worker.order, None
        assert order is not None
        if failed is None:
            self._work.observe(Event(what="finished", trial=order.trial))
            return
        if failed["fatal"]:
            self._workers.remove(worker)
            worker.end()
        if self._work.store.trial(order.trial.key) is not None:  # killed right after its record
            self._work.observe(Event(what="finished", trial=order.trial))
        elif order.attempt > self._work.job.study.limits.retries:
            give_up(self._work, order.trial, failed["reason"], attempts=order.attempt)
        else:
            waiting.append(Order(trial=order.trial, attempt=order.attempt + 1))

    def _end_the_slow(self, waiting: deque[Order]) -> None:
        limit = self._work.job.study.limits.seconds
        for worker in self._busy():
            if worker.seconds() > limit:
                reason = f"took longer than {limit:g} s"
                self._settle(worker, {"reason": reason, "fatal": True}, waiting)
