"""The Ray engine: trials as tasks of a cluster; the one engine for more than one machine.

Tasks are idempotent and their results are files of the store, so that Ray may lose a node, a worker
or an object, or run a task twice, and no number changes. All machines see the study's folder and
the data under the same paths. Ray trusts its network: started here it listens on loopback only, and
its dashboard is off. What it prints goes to `ray.log` in the study's folder.
"""

import json
import os
import resource
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from snndeploy.ablation.attempt import Bench, attempt, open_bench
from snndeploy.ablation.engines.engine import Event, Order, Work, give_up, room_here
from snndeploy.ablation.job import Job, job_of, job_record
from snndeploy.ablation.space import Trial
from snndeploy.ablation.store import Store
from snndeploy.ablation.worker import limit_memory, trial_of
from snndeploy.errors import TargetError

POLL_S, KNOCK_S = 0.5, 10.0
NO_REPORTS = {"RAY_USAGE_STATS_ENABLED": "0"}
"""Ray does not tell its makers that it is used."""
LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray's switch for machines that are no part of a cluster: it then listens on 127.0.0.1 only. Read
when Ray is imported."""
OVERTIME = 4
"""Exit code of a worker whose trial took too long."""
LOG = "ray.log"


class RayEngine:
    """Runs trials on a Ray cluster; Ray retries lost tasks, this engine those that raise."""

    def __init__(self, work: Work, address: str) -> None:
        self._work = work
        os.environ.update(NO_REPORTS if address else {**NO_REPORTS, **LOOPBACK_ONLY})
        self._ray = _import_ray()
        self._hush = _Hush(Path(work.job.folder) / LOG)
        try:
            self._start(address)
        except (OSError, ValueError, RuntimeError) as error:
            self._hush.end()
            raise TargetError(
                "E4033", f"Ray does not start: {type(error).__name__}",
                where="--engine ray",
                remedy=f"see {LOG} in the study's folder, or use --engine process",
            ) from None  # fmt: skip
        limits = work.job.study.limits
        self._task = self._ray.remote(
            max_retries=limits.retries, retry_exceptions=False, num_cpus=limits.threads
        )(run_task)
        self._job = self._ray.put(json.dumps(job_record(work.job)))

    def run(self, trials: Sequence[Trial]) -> None:
        """Run trials; at the deadline what is at work is cancelled, and is missing."""
        waiting = deque(Order(trial=trial, attempt=1) for trial in trials)
        flying: dict[Any, Order] = {}
        while waiting or flying:
            if self._work.is_late():
                for task in flying:
                    self._ray.cancel(task, force=True)
                return
            while waiting and len(flying) < self._room():
                order = waiting.popleft()
                flying[self._submit(order)] = order
            ready, _ = self._ray.wait(list(flying), num_returns=1, timeout=POLL_S)
            for task in ready:
                self._settle(flying.pop(task), self._answer(task), waiting)

    def close(self) -> None:
        """Leave the cluster, or end the one that was started here."""
        self._ray.shutdown()
        self._hush.end()

    def _start(self, address: str) -> None:
        previous = signal.getsignal(signal.SIGTERM)  # Ray puts its own in its place
        quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
        if address:
            _knock(address)
            self._ray.init(address=address, **quiet)
        else:
            self._ray.init(
                address="local",
                num_cpus=room_here(self._work) * self._work.job.study.limits.threads,
                include_dashboard=False,
                **quiet,
            )
        signal.signal(signal.SIGTERM, previous)

    def _room(self) -> int:
        """Return how many trials to hand out at once: what the cluster has room for now."""
        if self._work.workers:
            return self._work.workers
        cores = int(self._ray.cluster_resources().get("CPU", 0))
        return max(1, cores // self._work.job.study.limits.threads)

    def _submit(self, order: Order) -> Any:
        self._work.observe(Event(what="started", trial=order.trial))
        return self._task.remote(self._job, json.dumps(asdict(order.trial)), order.attempt)

    def _answer(self, task: Any) -> tuple[str, int] | None:
        """Return why a task failed and how often it was tried, None if it did not fail."""
        try:
            reason = self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            limits = self._work.job.study.limits
            lost = f"{type(error).__name__}: lost {limits.retries + 1} times"
            hint = f"; ended, or took longer than {limits.seconds:g} s or {limits.memory_gb:g} GB"
            return lost + hint, limits.retries + 1
        return None if reason is None else (str(reason), 1)

    def _settle(self, order: Order, failed: tuple[str, int] | None, waiting: deque[Order]) -> None:
        trial = order.trial
        if failed is None or self._work.store.trial(trial.key) is not None:
            self._work.observe(Event(what="finished", trial=trial))
            return
        reason, tries = failed
        if order.attempt + tries - 1 > self._work.job.study.limits.retries:
            give_up(self._work, trial, reason, attempts=order.attempt + tries - 1)
        else:
            waiting.append(Order(trial=trial, attempt=order.attempt + 1))


def run_task(job_text: str, trial_text: str, number: int) -> str | None:
    """Run one trial in a worker of Ray; return why it failed."""
    job, bench = _opened(job_text)
    limits = job.study.limits
    watchdog = threading.Timer(limits.seconds, os._exit, args=(OVERTIME,))
    watchdog.daemon = True
    watchdog.start()
    limit_memory(limits.memory_gb)
    try:
        trial = trial_of(json.loads(trial_text))
        failed = attempt(bench, Store(folder=Path(job.folder)), job, trial, number=number)
    finally:
        watchdog.cancel()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    return failed.reason if failed else None


@cache
def _opened(job_text: str) -> tuple[Job, Bench]:
    job = job_of(json.loads(job_text))
    return job, open_bench(job)


def _import_ray() -> Any:
    """Return Ray; imported here, because it reads its switches when it is."""
    import ray

    return ray


def _knock(address: str) -> None:
    """Raise OSError or ValueError if nobody listens there: Ray would wait for minutes."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=KNOCK_S).close()


class _Hush:
    """Sends what Ray prints to a log, from any thread, to stdout or stderr; progress goes on."""

    def __init__(self, log: Path) -> None:
        sys.stderr.flush()
        self._log = log.open("a")
        self._stdout, self._stderr, self._fd = sys.stdout, sys.stderr, os.dup(2)
        self._progress = os.fdopen(os.dup(2), "w", buffering=1) if _is_fd_2() else sys.stderr
        os.dup2(self._log.fileno(), 2)
        sys.stdout, sys.stderr = self._log, self._progress

    def end(self) -> None:
        """Put everything back."""
        os.dup2(self._fd, 2)
        os.close(self._fd)
        sys.stdout, sys.stderr = self._stdout, self._stderr
        self._log.close()
        if self._progress is not self._stderr:
            self._progress.close()


def _is_fd_2() -> bool:
    try:
        return sys.stderr.fileno() == 2
    except (OSError, ValueError):
        return False
