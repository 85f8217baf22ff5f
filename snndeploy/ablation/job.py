"""A job: a study together with the digests of everything its results depend on.

The digests make the keys of trials and the identity of the study's folder. A worker process is told
the job, and looks whether the files it reads are still those.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from snndeploy.ablation.space import Point, Trial
from snndeploy.ablation.store import digest_of
from snndeploy.ablation.study import Study, study_of, study_record
from snndeploy.errors import ModelError, UsageError
from snndeploy.npz import load_npz, read_bytes
from snndeploy.registry import find_target
from snndeploy.target import ChipSpec

BENCH = "snndeploy.ablation.trial:bench"
"""What runs a trial, as `module:function`: given a job, it returns what measures a trial."""
PACKAGES = ("snndeploy", "torch", "numpy", "nir")
"""Packages whose version may change a result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A study that is ready to run.

    Attributes:
        folder: where its store is; the same path on every machine that works on it.
        files: digest of every file that is read, by its path.
        chips: digest of every chip.
        versions: of the packages that may change a result.
        bench: what runs a trial.
    """

    study: Study
    folder: str
    files: Mapping[str, str]
    chips: Mapping[str, str]
    versions: Mapping[str, str]
    bench: str = field(default=BENCH)

    def trial(self, point: Point, seed: int) -> Trial:
        """Return the trial of a point and a seed, with its key in the store."""
        study = self.study
        key = digest_of(
            {
                "model": self.files[study.model_of(seed)],
                "data": self.data,
                "samples": study.samples,
                "chip": self.chips[point.target],
                "point": asdict(point),
                "seed": seed,
                "training": asdict(study.training),
                "timing": study.timing,
                "threads": study.limits.threads,
                "versions": dict(self.versions),
                "bench": self.bench,
            }
        )
        return Trial(point=point, seed=seed, key=key)

    @property
    def data(self) -> dict[str, str | None]:
        """Digests of the three data files by their use."""
        paths = asdict(self.study.data)
        return {use: path and self.files[path] for use, path in paths.items()}

    @property
    def identity(self) -> dict[str, Any]:
        """What the folder of this study states, so that no other study is mixed with it."""
        study = self.study
        record = study_record(study)
        return {
            "name": study.name,
            "tool": f"snndeploy {self.versions['snndeploy']}",
            "versions": dict(self.versions),
            "models": {str(seed): self.files[study.model_of(seed)] for seed in study.space.seeds},
            "data": self.data,
            "chips": dict(self.chips),
            "samples": study.samples,
            "threads": study.limits.threads,
            **{key: record[key] for key in ("space", "training", "timing", "search")},
        }


def job_record(job: Job) -> dict[str, Any]:
    """Return a job as plain data for JSON."""
    return {**asdict(job), "study": study_record(job.study)}


def job_of(record: Mapping[str, Any]) -> Job:
    """Return the job that `job_record` described, through JSON or not."""
    return Job(**{**record, "study": study_of(record["study"])})


def prepare(study: Study, folder: Path, *, bench: str = BENCH) -> Job:
    """Return the job of a study: every file is read and every chip is found.

    Raises:
        ModelError: E1201 to E1212, a file that cannot be read.
        UsageError: E5001, an unknown target; E5106, one without the price of any event.
    """
    space, data = study.space, study.data
    models = dict.fromkeys(study.model_of(seed) for seed in space.seeds)
    arrays = (data.train, data.test, *([data.validation] if data.validation else []))
    return Job(
        study=study,
        folder=str(folder.absolute()),
        files={
            **{path: file_digest(Path(path)) for path in models},
            **{path: arrays_digest(Path(path)) for path in arrays},
        },
        chips={target: _priced_chip(target).digest for target in space.target},
        versions={package: _version(package) for package in PACKAGES},
        bench=bench,
    )


def _priced_chip(target: str) -> ChipSpec:
    """Return the chip of a target; without prices every trial would cost nothing."""
    chip = find_target(target).chip
    if not chip.prices[chip.default_prices].prices:
        raise UsageError(
            "E5106", f"no price of an event of {target} is public, so no trial has an energy",
            where="[space] target", remedy="choose another, see `snndeploy targets`",
        )  # fmt: skip
    return chip


def file_digest(path: Path) -> str:
    """Return the digest of a file's bytes."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def arrays_digest(path: Path) -> str:
    """Return a digest that only the same arrays have, whenever and however they were saved."""
    state = hashlib.sha256()
    for name, array in sorted(load_npz(read_bytes(path), str(path)).items()):
        state.update(repr((name, array.dtype.str, array.shape)).encode())
        state.update(array.tobytes())
    return state.hexdigest()


def check_unchanged(path: Path, found: str, job: Job) -> None:
    """Raise ModelError E1314 if a file is not the one that the study began with."""
    if found != job.files[str(path)]:
        raise ModelError(
            "E1314", "has changed since the study began", where=str(path),
            remedy="put the file back, or start another study",
        )  # fmt: skip


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
