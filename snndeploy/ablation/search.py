"""Search in place of the grid: Optuna proposes points, the same engine and store measure them.

What was proposed is kept in a journal beside the trials, or in the storage the user names. Every
proposal has a sampler of its own, seeded by its number, and a proposal that was under way when a
run was killed is taken up again, so that a study that was killed and resumed proposes what an
undisturbed one does. One run at a time works on a study, so what the storage calls running when a
run begins is left over from a killed one; no proposal stays running for ever.
"""

import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from snndeploy.ablation.engines.engine import Work
from snndeploy.ablation.measures import outcome_of
from snndeploy.ablation.results import MAXIMISED, MEASURES
from snndeploy.ablation.space import FACTORS, Point, point_of
from snndeploy.ablation.store import digest_of
from snndeploy.ablation.study import Search
from snndeploy.errors import TargetError

RunPoints = Callable[[tuple[Point, ...], int], None]
"""Runs points that are missing, out of so many in all."""
JOURNAL = "search.log"
SMALLEST_POPULATION = 4


def search(
    work: Work, run_points: RunPoints, *, storage: str = ""
) -> tuple[tuple[Point, ...], int]:
    """Let a sampler choose the points; return those measured, each once, and how many are missing.

    Args:
        work: store, deadline and study.
        run_points: measures points.
        storage: URL of Optuna's storage; empty: a journal in the study's folder.

    Raises:
        TargetError: E4034, Optuna's storage cannot be used.
    """
    spec = work.job.study.search
    assert spec is not None
    optuna = _import_optuna()
    held = _open(optuna, work, storage)
    while (told := len(_told(optuna, held))) < spec.points and not work.is_late():
        end = (told // spec.batch + 1) * spec.batch  # a batch that was cut short is filled up
        numbers = range(told, min(end, spec.points))
        asked = [_ask(optuna, held, work, number) for number in numbers]
        run_points(tuple(dict.fromkeys(point for _, point in asked)), spec.points)
        for trial, point in asked:
            if not _tell(optuna, held, trial, point, work):
                return _found(optuna, held, spec)
    return _found(optuna, held, spec)


def masked(url: str) -> str:
    """Return a storage's URL without its user, password and options."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2].partition('?')[0]}"


def _open(optuna: Any, work: Work, storage: str) -> Any:
    """Return Optuna's study, named after all that its trials depend on."""
    job = work.job
    objectives = job.study.objectives
    name = f"{job.study.name}-{digest_of([job.identity, list(objectives)])[:8]}"
    directions = ["maximize" if one in MAXIMISED else "minimize" for one in objectives]
    try:
        return optuna.create_study(
            storage=storage or _journal(optuna, Path(job.folder) / JOURNAL),
            study_name=name,
            directions=directions,
            load_if_exists=True,
        )
    except Exception as error:  # noqa: BLE001 - drivers raise their own, with the URL in the text
        raise TargetError(
            "E4034", f"Optuna's storage cannot be used: {type(error).__name__}",
            where=masked(storage) or JOURNAL,
            remedy="check the URL, the server and its driver; or leave --storage out",
        ) from None  # fmt: skip


def _journal(optuna: Any, path: Path) -> Any:
    from optuna.storages.journal import JournalFileBackend

    return optuna.storages.JournalStorage(JournalFileBackend(str(path)))


def _told(optuna: Any, held: Any) -> list[Any]:
    """Return the proposals that were measured, or failed."""
    state = optuna.trial.TrialState
    return list(held.get_trials(deepcopy=False, states=(state.COMPLETE, state.FAIL)))


def _ask(optuna: Any, held: Any, work: Work, number: int) -> tuple[Any, Point]:
    """Return a proposal: one that a killed run left running, or a new one."""
    assert work.job.study.search is not None
    held.sampler = _sampler(optuna, work.job.study.search, number)
    running = (optuna.trial.TrialState.RUNNING,)
    left = {one.number: one for one in held.get_trials(deepcopy=False, states=running)}
    trial = optuna.trial.Trial(held, left[number]._trial_id) if number in left else held.ask()
    levels = asdict(work.job.study.space)
    chosen = {f: trial.suggest_categorical(f, levels[f]) for f in FACTORS}
    return trial, point_of(chosen)


def _sampler(optuna: Any, spec: Search, number: int) -> Any:
    """Return the sampler of one proposal."""
    seed = int(np.random.SeedSequence([spec.seed, number]).generate_state(1)[0])
    if spec.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=seed)
    population = max(SMALLEST_POPULATION, spec.batch)
    return optuna.samplers.NSGAIISampler(seed=seed, population_size=population)


def _tell(optuna: Any, held: Any, trial: Any, point: Point, work: Work) -> bool:
    """Tell the means over seeds; a point that failed is told so, a missing one not at all."""
    study, store = work.job.study, work.store
    keys = [work.job.trial(point, seed).key for seed in study.space.seeds]
    records = [store.trial(key) for key in keys]
    failed = any(
        store.failure(key) for key, record in zip(keys, records, strict=True) if record is None
    )
    if not failed and any(record is None for record in records):
        return False
    values = _means([record for record in records if record], work) if not failed else None
    if values is None:
        held.tell(trial, state=optuna.trial.TrialState.FAIL)
    else:
        held.tell(trial, values)
    return True


def _means(records: list[dict[str, Any]], work: Work) -> list[float] | None:
    """Return the mean of every objective; None if a seed was refused or has no such number."""
    measures = [outcome_of(record).measures for record in records]
    means = []
    for name in work.job.study.objectives:
        found = [MEASURES[name](m) if m else None for m in measures]
        numbers = [value for value in found if value is not None]
        if len(numbers) < len(found):
            return None
        means.append(sum(numbers) / len(numbers))
    return means


def _found(optuna: Any, held: Any, spec: Search) -> tuple[tuple[Point, ...], int]:
    """Return the points that were told, each once, and how many proposals are still to be made."""
    told = _told(optuna, held)
    return tuple(dict.fromkeys(point_of(trial.params) for trial in told)), spec.points - len(told)


def _import_optuna() -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna
