"""What a study is: a model, data, a space of compressions, and how every trial trains and measures.

Plain frozen data, as `study_file` reads it and as worker processes are told it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Bits = int | Literal["fp32"]
Order = Literal["prune-quantize-finetune", "quantize-prune-finetune"]
ORDERS: tuple[Order, ...] = get_args(Order)
Stage = Literal["prune", "quantize", "finetune"]
STAGES: tuple[Stage, ...] = get_args(Stage)
Timing = Literal["bound", "queue", "flit"]
TIMINGS: tuple[Timing, ...] = get_args(Timing)
Objective = Literal[
    "accuracy", "energy", "cores", "weights", "synaptic_ops", "spikes", "latency"
]  # fmt: skip
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
Sampler = Literal["nsga2", "tpe"]
SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)

FLOAT: Literal["fp32"] = "fp32"
"""Weights trained as real numbers; the compiler rounds them to what the chip stores."""
UNPRUNED = "none"
SEED_MARK = "{seed}"
"""Stands for the seed in the name of the model file: every seed then has its own parent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFiles:
    """Paths of the samples (.npz): to train on, to choose the best epoch (optional), to judge."""

    train: str
    test: str
    validation: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """Levels of every factor; the study tries all combinations that differ.

    Attributes:
        bits: `fp32`, or bits of a weight.
        gamma: how the quantizer chooses its clip point.
        grid: integers that a weight may take.
        criterion: how channels are ranked; `none` prunes nothing.
        ratio: share of channels to remove.
        target: chips.
        seeds: of training and of random ranking; intervals are over seeds.
    """

    bits: tuple[Bits, ...]
    gamma: tuple[str, ...]
    grid: tuple[str, ...]
    criterion: tuple[str, ...]
    ratio: tuple[float, ...]
    target: tuple[str, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """How models are trained between the stages.

    Attributes:
        order: of pruning and quantizing.
        epochs: passes over the data right after pruning, right after quantizing, and at the end.
        learning_rate: of `snndeploy.finetune`.
        batch: samples per step.
    """

    order: Order
    epochs: Mapping[Stage, int]
    learning_rate: float
    batch: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one trial may take before it counts as failed, and how often it is tried again."""

    seconds: float
    memory_gb: float
    retries: int
    threads: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """A search in place of the whole grid: points to try, and who proposes them."""

    sampler: Sampler
    points: int
    batch: int
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """One study, as its file says it.

    Attributes:
        model: path of the parent; `{seed}` in it stands for the seed.
        samples: samples of every file that are used, None for all.
        timing: how closely the chip's network is followed.
        objectives: what the Pareto front weighs.
    """

    name: str
    model: str
    data: DataFiles
    samples: int | None
    space: Space
    training: Training
    timing: Timing
    objectives: tuple[Objective, ...]
    limits: Limits
    search: Search | None

    def model_of(self, seed: int) -> str:
        """Return the path of the parent of one seed."""
        return self.model.replace(SEED_MARK, str(seed))


def study_record(study: Study) -> dict[str, Any]:
    """Return a study as plain data for JSON."""
    return asdict(study)


def study_of(record: Mapping[str, Any]) -> Study:
    """Return the study that `study_record` described, through JSON or not."""
    search = record["search"]
    return Study(
        name=record["name"],
        model=record["model"],
        data=DataFiles(**record["data"]),
        samples=record["samples"],
        space=Space(**{key: tuple(levels) for key, levels in record["space"].items()}),
        training=Training(**record["training"]),
        timing=record["timing"],
        objectives=tuple(record["objectives"]),
        limits=Limits(**record["limits"]),
        search=Search(**search) if search else None,
    )
