"""What compression is told and what it answers: plain frozen data, no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from snndeploy.errors import UsageError
from snndeploy.ir.synapses import SignMode
from snndeploy.model import Model, Original
from snndeploy.nirgraph.weight_grid import Kind, Rule

Granularity = Literal["tensor", "channel"]
Ste = Literal["one", "rescaled", "masked"]

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
        ste: of a quantized model: slope of a quantized weight in the real one. `one`; `rescaled`:
            1 / gamma, as in the code published with ReScaW; `masked`: 1 within gamma, 0 beyond.
    """

    epochs: int = 10
    learning_rate: float = 0.01
    batch: int = 64
    seed: int = 0
    hold_out: float = 0.1
    ste: Ste = "one"

    def __post_init__(self) -> None:
        """Raise UsageError E5050 for a value out of range."""
        rate = self.learning_rate
        checks = {
            "epochs": (self.epochs, self.epochs >= 1, "1 or more"),
            "lr": (rate, 0 < rate <= 1, "more than 0, at most 1"),
            "batch": (self.batch, self.batch >= 1, "1 or more"),
            "seed": (self.seed, self.seed >= 0, "0 or more"),
            "hold-out": (self.hold_out, 0 <= self.hold_out < 1, "0 up to, but not, 1"),
            "ste": (self.ste, self.ste in get_args(Ste), ", ".join(get_args(Ste))),
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
        trained: `float model`, or `integer network` of a quantized model on `target`.
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
    trained: Literal["float model", "integer network"] = "float model"
    target: str = ""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Tuned:
    """A fine-tuned model and how it came about."""

    model: Model
    report: TuningReport


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantizeOptions:
    """How weights are quantized.

    Attributes:
        bits: of every layer with weights, or per layer by name; layers that are not named stay as
            they are.
        gamma: rule of the clip point: `mse`, `max`, `percentile`, `mean` or `vanilla` (1).
        percentile: of rule `percentile`, 0.5 to 1.
        granularity: one step per layer, or one per output channel, which takes a threshold per
            neuron and so neurons in microcode; readouts have one in any case.
        grid: the chip's own codes, or the paper's odd ones without zero.
        first_bits: of the first layer, on the chip's grid; 32 leaves it as it is; None: as `bits`.
        last_bits: of the last layer, likewise.
    """

    bits: int | Mapping[str, int] = 8
    gamma: Rule = "mse"
    percentile: float = 0.99
    granularity: Granularity = "tensor"
    grid: Kind = "chip"
    first_bits: int | None = None
    last_bits: int | None = None

    def __post_init__(self) -> None:
        """Raise UsageError E5082 for a value that does not exist."""
        choices = {
            "gamma": (self.gamma, get_args(Rule)),
            "granularity": (self.granularity, get_args(Granularity)),
            "grid": (self.grid, get_args(Kind)),
        }
        for name, (value, allowed) in choices.items():
            if value not in allowed:
                raise UsageError(
                    "E5082", f"{value!r}", where=f"--{name}", remedy=f"use {', '.join(allowed)}"
                )
        if not 0.5 <= self.percentile <= 1:
            raise UsageError(
                "E5082", f"{self.percentile}", where="--percentile", remedy="use 0.5 to 1"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerQuantization:
    """What quantization did to one layer.

    Attributes:
        layer: node with weights.
        population: that it feeds.
        bits: per weight.
        grid: family of its codes.
        sign_mode: signs that they have.
        n_weights: of the layer.
        gamma: real value of the largest code, the smallest where channels have their own, and
            `gamma_largest` the largest.
        wanted: gamma that the rule asked for, the smallest.
        clipped: share of the weights beyond gamma, 0 to 1.
        sqnr_db: signal to quantization noise [dB].
        codes_used: different codes that occur, of `codes` possible ones.
        enlarged: gamma / wanted, the largest; not 1 where the chip's ranges or a whole threshold
            ask for a coarser step, or other layers share the population's unit.
        program: of the population's neurons; all but `lif` need microcode on the chip.
    """

    layer: str
    population: str
    bits: int
    grid: Kind
    sign_mode: SignMode
    n_weights: int
    gamma: float
    gamma_largest: float
    wanted: float
    clipped: float
    sqnr_db: float
    codes_used: int
    codes: int
    enlarged: float
    program: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracies:
    """Shares of right decisions: the float model as it came, the integer network as quantized."""

    before: float
    after: float
    n_samples: int


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Quantized:
    """A quantized model and what was done to it, layer by layer.

    Attributes:
        accuracy: None without labelled samples.
    """

    model: Model
    report: tuple[LayerQuantization, ...]
    options: QuantizeOptions
    target: str
    accuracy: Accuracies | None = None
