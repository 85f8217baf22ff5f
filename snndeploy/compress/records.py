"""What fine-tuning is told and what it answers: plain frozen data, no torch."""

from dataclasses import dataclass
from typing import Literal

from snndeploy.errors import UsageError
from snndeploy.model import Model, Original

JudgedOn = Literal["validation samples", "held-out samples", "training samples"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainOptions:
    """What the user chose.

    Attributes:
        epochs: passes over the training samples.
        learning_rate: Adam's first step as a share of a layer's root mean square weight, so that
            the scale of a network's weights does not matter; it falls to 0 as half a cosine.
        batch: samples per step.
        seed: of the order of the samples and of those held out.
        hold_out: share of the samples to judge on, where no validation samples are given; with 0
            the training samples judge.
    """

    epochs: int = 10
    learning_rate: float = 0.01
    batch: int = 64
    seed: int = 0
    hold_out: float = 0.1

    def __post_init__(self) -> None:
        """Raise UsageError E5050 for a value out of range."""
        rate = self.learning_rate
        checks = {
            "epochs": (self.epochs, self.epochs >= 1, "1 or more"),
            "lr": (rate, 0 < rate <= 1, "more than 0, at most 1"),
            "batch": (self.batch, self.batch >= 1, "1 or more"),
            "seed": (self.seed, self.seed >= 0, "0 or more"),
            "hold-out": (self.hold_out, 0 <= self.hold_out < 1, "0 up to, but not, 1"),
        }
        for name, (value, is_right, allowed) in checks.items():
            if not is_right:
                raise UsageError("E5050", f"{value}", where=f"--{name}", remedy=f"use {allowed}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """Mean cross entropy (nats) and share of right decisions."""

    loss: float
    accuracy: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """One pass: the score while training, and the score of what it led to on the judging samples.

    Attributes:
        training: None for epoch 0, the network as it came.
    """

    number: int
    training: Score | None
    judged: Score


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningReport:
    """What fine-tuning did.

    Attributes:
        original: the user's module before a rewrite; None if it was not measured.
        same_samples: the original was measured on the samples that judge here.
        before: accuracy of the model as it came, on the judging samples.
        after: the same of the model as returned, which is that of the best epoch.
        best: number of that epoch; 0 if none was better than the model as it came.
        epochs: in order, epoch 0 first.
        judged_on: which samples chose the best epoch.
        n_samples: samples that were trained on.
        n_judged: samples that judged.
        steps: model steps per sample.
        seconds: wall time.
    """

    original: Original | None
    same_samples: bool
    before: float
    after: float
    best: int
    epochs: tuple[Epoch, ...]
    judged_on: JudgedOn
    n_samples: int
    n_judged: int
    steps: int
    options: TrainOptions
    seconds: float


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Tuned:
    """A fine-tuned model and how it came about."""

    model: Model
    report: TuningReport
