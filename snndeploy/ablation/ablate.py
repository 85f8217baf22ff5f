"""Run a study: every trial once, whatever is killed on the way, then sum up what is there."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from snndeploy.ablation.attempt import open_bench
from snndeploy.ablation.engines.choose import ENGINES, open_engine
from snndeploy.ablation.engines.engine import Engine, Event, Work
from snndeploy.ablation.job import BENCH, prepare
from snndeploy.ablation.page import render_study
from snndeploy.ablation.results import Results, collect, results_record
from snndeploy.ablation.sheet import sheet
from snndeploy.ablation.space import Point, points_of
from snndeploy.ablation.study import Study
from snndeploy.ablation.study_folder import locked, open_store
from snndeploy.bundle.publish import write_file
from snndeploy.errors import TargetError, UsageError
from snndeploy.report.document import document

CSV, JSON, PAGE = "results.csv", "results.json", "report.html"


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How a study is run; no result depends on it.

    Attributes:
        engine: `serial`, `process` or `ray`.
        workers: trials at once; None: one per core of this machine, or of the cluster.
        resume: go on with the trials that are there, and try failed ones again.
        budget_s: seconds after which no trial runs on; None for no end.
        ray: address of a Ray cluster; empty starts one here.
        storage: where a search keeps what it tried; empty: beside the trials.
    """

    engine: str = "process"
    workers: int | None = None
    resume: bool = False
    budget_s: float | None = None
    ray: str = ""
    storage: str = ""

    def __post_init__(self) -> None:
        """Raise UsageError E5105 for values that do not go together."""
        if self.engine not in ENGINES:
            raise _usage(f"unknown engine {self.engine!r}", "engine", f"use {', '.join(ENGINES)}")
        if self.workers is not None and self.workers < 1:
            raise _usage(f"{self.workers} workers", "workers", "use 1 or more")
        if self.ray and self.engine != "ray":
            raise _usage("a cluster, but another engine", "ray-address", "give --engine ray")


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a run is: trials in all, done (earlier runs included), running and failed."""

    total: int
    done: int
    running: int
    failed: int
    seconds: float
    fresh: int

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at the pace so far; None before the first trial is done."""
        left = self.total - self.done - self.failed
        return self.seconds / self.fresh * left if self.fresh else None


Watch = Callable[[Progress], None]


def no_watch(progress: Progress) -> None:
    """Watch nothing."""
    del progress


def ablate(
    study: Study,
    folder: Path,
    options: Options | None = None,
    *,
    watch: Watch = no_watch,
    bench: str = BENCH,
) -> Results:
    """Run a study in its folder and write its CSV, JSON and HTML there.

    Args:
        study: what is tried.
        folder: of the store and the reports; made if it is not there.
        options: how it is run.
        watch: told whenever a trial starts or ends.
        bench: `module:function` that, given a job, returns what measures a trial.

    Raises:
        UsageError: E5001 unknown target, E5100 to E5106.
        ModelError: E1201 to E1212 data, E1310 to E1315 the store.
        TargetError: E4030 to E4034, an engine or a search that cannot run.
    """
    options = options or Options()
    if options.storage and study.search is None:
        raise _usage("a storage, but no search", "storage", "add the table [search] to the study")
    _check_installed(study, options)
    deadline = time.monotonic() + options.budget_s if options.budget_s is not None else None
    job = prepare(study, folder, bench=bench)
    open_bench(job)  # what cannot be read is refused before anything is written
    store = open_store(folder, job.identity, resume=options.resume)
    with locked(folder):
        count = _Count(watch)
        work = Work(
            job=job,
            store=store,
            workers=options.workers,
            deadline=deadline,
            observe=count,
        )
        with open_engine(options.engine, work, address=options.ray) as engine:
            points, unproposed = _run(work, engine, count, options)
        results = collect(job, store, points, unproposed=unproposed)
        write_reports(results, folder)
    return results


def write_reports(results: Results, folder: Path) -> None:
    """Write the three files of a study's results, each whole or not at all."""
    write_file(folder / CSV, sheet(results).encode())
    write_file(folder / JSON, document(results_record(results)).encode())
    write_file(folder / PAGE, render_study(results).encode())


def _run(
    work: Work, engine: Engine, count: "_Count", options: Options
) -> tuple[tuple[Point, ...], int]:
    """Run what is missing; return the points, and how many a search has still to propose."""
    study, store = work.job.study, work.store

    def run_points(points: tuple[Point, ...], total: int) -> None:
        trials = [work.job.trial(point, seed) for point in points for seed in study.space.seeds]
        missing = [trial for trial in trials if store.trial(trial.key) is None]
        count.expect(total * len(study.space.seeds), kept=len(trials) - len(missing))
        engine.run(missing)

    if study.search is None:
        points = points_of(study.space)
        run_points(points, len(points))
        return points, 0
    from snndeploy.ablation.search import search  # optuna, only to search

    return search(work, run_points, storage=options.storage)


class _Count:
    """Counts events of trials and tells of them."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._started = time.monotonic()
        self._running: set[str] = set()
        self._total = self._kept = self._finished = self._failed = 0

    def expect(self, total: int, *, kept: int) -> None:
        """Note how many trials there are in all, and how many more are found done."""
        self._total, self._kept = total, self._kept + kept
        self._tell()

    def __call__(self, event: Event) -> None:
        match event.what:
            case "started":
                self._running.add(event.trial.key)
            case "finished":
                self._running.discard(event.trial.key)
                self._finished += 1
            case "failed":
                self._running.discard(event.trial.key)
                self._failed += 1
        self._tell()

    def _tell(self) -> None:
        self._watch(
            Progress(
                total=self._total,
                done=self._kept + self._finished,
                running=len(self._running),
                failed=self._failed,
                seconds=time.monotonic() - self._started,
                fresh=self._finished,
            )
        )


def _check_installed(study: Study, options: Options) -> None:
    """Raise TargetError for an extra that is needed and not there."""
    if options.engine == "ray" and find_spec("ray") is None:
        raise TargetError(
            "E4030", "Ray is not installed", where="--engine ray",
            remedy="pip install 'snndeploy[ray]', or use --engine process",
        )  # fmt: skip
    if study.search is not None and find_spec("optuna") is None:
        raise TargetError(
            "E4031", "Optuna is not installed", where="[search]",
            remedy="pip install 'snndeploy[search]', or remove the table [search]",
        )  # fmt: skip


def _usage(message: str, option: str, remedy: str) -> UsageError:
    return UsageError("E5105", message, where=f"--{option}", remedy=remedy)
