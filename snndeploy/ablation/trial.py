"""A trial: compress, train, compile, simulate. One function per stage; shared work is done once.

What a stage makes depends on its own settings and on all stages before it, so that is its key on
the store's shelf: trials that prune alike share the pruned model, trials of one seed their control.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, assert_never, cast

from snndeploy import api
from snndeploy.ablation.job import Job, arrays_digest, check_unchanged
from snndeploy.ablation.measures import Measures
from snndeploy.ablation.space import NOT_USED, Point, Trial
from snndeploy.ablation.store import Store, digest_of
from snndeploy.ablation.study import FLOAT, UNPRUNED, Stage, Training
from snndeploy.compress.threads import torch_threads
from snndeploy.errors import ModelError
from snndeploy.estimation import Estimate
from snndeploy.frames import model_shapes
from snndeploy.frontends.checkpoint import dump_model
from snndeploy.frontends.checkpoint import load as load_own  # the shelf vouches for its bytes
from snndeploy.model import Model
from snndeploy.npz import read_bytes
from snndeploy.pipeline import Compiled
from snndeploy.samples import Samples, check_samples, read_samples

RANDOM = "random"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step from a parent to what is deployed: its stage, and all its settings."""

    stage: Stage
    settings: dict[str, Any]


def bench(job: Job) -> Callable[[Trial], Measures]:
    """Return what measures a trial of a job, once its files are read and found right.

    Raises:
        ModelError: E1001 to E1034 a model, E1201 to E1214 data, E1314 a file that has changed.
    """
    ready = Bench(job=job)
    for seed in job.study.space.seeds:
        ready.check(seed)
    return ready.measure


@dataclass(frozen=True, eq=False, kw_only=True)
class Bench:
    """A job's data, and its shelf of models that trials share."""

    job: Job
    models: dict[str, Model] = field(default_factory=dict)

    def measure(self, trial: Trial) -> Measures:
        """Return what a trial measures.

        Raises:
            SnnDeployError: a stage refuses the model, the data or the settings.
        """
        point, study = trial.point, self.job.study
        with torch_threads(study.limits.threads):
            steps = steps_of(point, trial.seed, study.training)
            control = steps_of(uncompressed(point), trial.seed, study.training)
            model = self._model(trial.seed, steps)
            compiled = deployed(model, point)
            estimate = api.estimate(compiled, self.test, timing=study.timing)
            reached = self._float_accuracy(trial.seed, control)
        return _measures(compiled, estimate, reached)

    def check(self, seed: int) -> None:
        """Raise ModelError if the parent of a seed cannot take the data."""
        shapes = model_shapes(self._parent(seed))
        for samples in (self.train, self.test, self.validation or self.test):
            check_samples(samples.x, shapes, where=self.job.study.model_of(seed))

    def _model(self, seed: int, steps: tuple[Step, ...]) -> Model:
        """Return the parent after some steps, from the shelf if it is there."""
        if not steps:
            return self._parent(seed)

        def make() -> bytes:
            return dump_model(self._apply(steps[-1], self._model(seed, steps[:-1])))

        return load_own(self._shared(self._key(seed, steps), make, ".pt"))

    def _float_accuracy(self, seed: int, steps: tuple[Step, ...]) -> float:
        """Return the accuracy of a float model on the test samples."""

        def make() -> bytes:
            return repr(api.run(self._model(seed, steps), self.test).accuracy).encode()

        key = digest_of({"accuracy": self._key(seed, steps), "test": self.job.data["test"]})
        return float(self._shared(key, make, ".txt").read_text())

    def _shared(self, key: str, make: Callable[[], bytes], suffix: str) -> Path:
        """Return a file of the shelf; one process makes it, the others wait for it."""
        held = self.store.shelved(key)
        if held is None:
            with self.store.making(key):
                held = self.store.shelved(key)
                if held is None:
                    self.store.put_shelved(key, make(), suffix)
                    held = self.store.shelved(key)
        assert held is not None
        return held

    def _key(self, seed: int, steps: tuple[Step, ...]) -> str:
        job = self.job
        return digest_of(
            {
                "parent": job.files[job.study.model_of(seed)],
                "steps": [(step.stage, step.settings) for step in steps],
                "data": [job.data["train"], job.data["validation"], job.study.samples],
                "threads": job.study.limits.threads,
                "versions": dict(job.versions),
            }
        )

    def _apply(self, step: Step, model: Model) -> Model:
        match step.stage:
            case "prune":
                return pruned(model, self.train, **step.settings)
            case "quantize":
                return quantized(model, **step.settings)
            case "finetune":
                return finetuned(model, self.train, self.validation, **step.settings)
            case _:
                assert_never(step.stage)

    def _parent(self, seed: int) -> Model:
        path = self.job.study.model_of(seed)
        if path not in self.models:
            check_unchanged(
                Path(path), hashlib.sha256(read_bytes(Path(path))).hexdigest(), self.job
            )
            self.models[path] = api.load(path)
        return self.models[path]

    @cached_property
    def store(self) -> Store:
        """The study's store."""
        return Store(folder=Path(self.job.folder))

    @cached_property
    def train(self) -> Samples:
        """Samples to train on."""
        return self._samples(self.job.study.data.train)

    @cached_property
    def test(self) -> Samples:
        """Samples that judge; training never sees them."""
        return self._samples(self.job.study.data.test)

    @cached_property
    def validation(self) -> Samples | None:
        """Samples that choose the best epoch; None if training holds some out."""
        path = self.job.study.data.validation
        return self._samples(path) if path else None

    def _samples(self, path: str) -> Samples:
        """Return the samples of a file, as many as the study takes.

        Raises:
            ModelError: E1214, no labels; E1314, the file has changed.
        """
        check_unchanged(Path(path), arrays_digest(Path(path)), self.job)
        shapes = model_shapes(self._parent(self.job.study.space.seeds[0]))
        samples = read_samples(Path(path), shapes)
        if samples.label is None:
            raise ModelError(
                "E1214", "the samples have no labels", where=path, remedy="save 'label' beside 'x'"
            )
        wanted = self.job.study.samples
        return samples if wanted is None else samples.first(wanted)


def uncompressed(point: Point) -> Point:
    """Return the point of the same chip where nothing is pruned or quantized: the control."""
    return Point(
        bits=FLOAT,
        gamma=NOT_USED,
        grid=NOT_USED,
        criterion=UNPRUNED,
        ratio=0.0,
        target=point.target,
    )


def steps_of(point: Point, seed: int, training: Training) -> tuple[Step, ...]:
    """Return the steps of a point, in the study's order; every point trains as many epochs."""
    steps: list[Step] = []
    chip: dict[str, str] = {}
    for stage in training.order.split("-"):
        if stage == "prune" and point.criterion != UNPRUNED:
            drawn = seed if point.criterion == RANDOM else 0  # the others follow from the model
            settings = {"criterion": point.criterion, "ratio": point.ratio, "seed": drawn}
            steps.append(Step(stage="prune", settings=settings))
        if stage == "quantize" and point.bits != FLOAT:
            chip = {"target": point.target}  # from here on weights are that chip's integers
            settings = {"bits": point.bits, "gamma": point.gamma, "grid": point.grid, **chip}
            steps.append(Step(stage="quantize", settings=settings))
        if training.epochs[cast("Stage", stage)]:
            settings = {
                "epochs": training.epochs[cast("Stage", stage)],
                "learning_rate": training.learning_rate,
                "batch": training.batch,
                "seed": seed,
                **chip,
            }
            steps.append(Step(stage="finetune", settings=settings))
    return tuple(steps)


def pruned(model: Model, train: Samples, *, criterion: str, ratio: float, seed: int) -> Model:
    """Remove channels, by scores on training samples; nobody asks for accuracies here."""
    unlabelled = Samples(x=train.x)
    return api.prune(model, unlabelled, criterion=criterion, ratio=ratio, seed=seed).model


def quantized(model: Model, *, bits: int, gamma: str, grid: str, target: str) -> Model:
    """Give weights the values that the chip stores; what is trained afterwards keeps to them."""
    return api.quantize(model, bits, target=target, gamma=gamma, grid=grid).model


def finetuned(model: Model, train: Samples, validation: Samples | None, **options: Any) -> Model:
    """Train the weights further: as the integers they are, if they are."""
    return api.finetune(model, train, validation=validation, **options).model


def deployed(model: Model, point: Point) -> Compiled:
    """Compile for the chip."""
    return api.compile(model, point.target)


def _measures(compiled: Compiled, estimate: Estimate, control: float) -> Measures:
    assert estimate.accuracy is not None
    assert estimate.verdict is not None  # a target that is priced only is refused before
    latency = estimate.latency
    return Measures(
        accuracy=estimate.accuracy,
        control_accuracy=control,
        energy_j=estimate.dynamic_j,
        energy_grade=estimate.dynamic_grade,
        cores=estimate.verdict.cores,
        weights=sum(layer.n_weights for layer in compiled.layers),
        synaptic_ops=sum(layer.synaptic_ops_per_sample for layer in estimate.layers),
        spikes=sum(layer.spikes_per_sample for layer in estimate.layers),
        latency_s=latency.decision_s if latency else None,
        missing=tuple(name for name, _ in estimate.missing),
        n_test=estimate.n_samples,
    )
