"""What pruning is told and what it answers: plain frozen data, no torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from snndeploy.errors import UsageError
from snndeploy.model import Model

Ratio = float | Mapping[str, float]
"""Share of the channels to remove: of every layer, or by layer."""
CostName = Literal["weights", "synaptic_ops", "cores", "energy_j"]
COSTS: tuple[CostName, ...] = get_args(CostName)
SHARED: tuple[CostName, ...] = ("weights", "synaptic_ops")
"""Costs whose budget may be a share of what the unpruned network costs."""
MB = 1e6
Cost = Callable[[Model], float]
"""What a model costs; infinite if it does not fit its chip."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What the pruned network may cost.

    Attributes:
        limit: weights, synaptic operations per sample, cores, or joules per sample; for the first
            two a number up to 1 is a share of the unpruned network's.
    """

    cost: CostName
    limit: float

    def __post_init__(self) -> None:
        """Raise UsageError E5094 for a cost that is not known or a limit that is not positive."""
        if self.cost not in COSTS:
            raise UsageError(
                "E5094", f"unknown cost {self.cost!r}", where="--budget",
                remedy=f"use one of {', '.join(COSTS)}",
            )  # fmt: skip
        if not 0 < self.limit < float("inf"):
            raise UsageError(
                "E5094", f"a limit of {self.limit:g}", where=f"--budget {self.cost}",
                remedy="use a number above 0",
            )  # fmt: skip

    @property
    def is_share(self) -> bool:
        return self.cost in SHARED and self.limit <= 1


@dataclass(frozen=True, kw_only=True, slots=True)
class PrunedGroup:
    """Channels that stand and fall together, before and after.

    Attributes:
        name: its first layer.
        layers: all layers whose outputs these channels are.
        neurons: where they were measured.
        before: channels that there were; `after`: that are left.
        ratio: share that was asked for.
        kept: the channels that are left, of those before.
        lowest, highest: score of the worst and best channel.
        ties: channels with the score at the cut, some of which stayed and some not; what tells
            equal scores apart decided.
    """

    name: str
    layers: tuple[str, ...]
    neurons: tuple[str, ...]
    before: int
    after: int
    ratio: float
    kept: tuple[int, ...]
    lowest: float
    highest: float
    ties: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PrunedLayer:
    """One layer with weights, before and after: channels [out] and weights, biases left out."""

    name: str
    channels_before: int
    channels_after: int
    weights_before: int
    weights_after: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetReport:
    """How a budget was met.

    Attributes:
        limit: in the cost's unit.
        before, after: what the network cost and costs.
        ratio: the share of every layer's channels that was found.
        n_tried: networks whose cost was found out.
    """

    cost: CostName
    limit: float
    before: float
    after: float
    ratio: float
    n_tried: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperParameters:
    """Parameters as QP-SNN counts them: those of b bits, and those of 32."""

    quantized: int
    full: int

    def size_mb(self, bits: int) -> float:
        """Return the size in MB (10^6 bytes) at so many bits per quantized weight."""
        return (self.quantized * bits / 8 + self.full * 4) / MB


@dataclass(frozen=True, kw_only=True, slots=True)
class PruneReport:
    """What pruning did.

    Attributes:
        criterion: what channels were ranked by.
        n_scored: samples that the scores were recorded on; 0 where none were needed.
        groups: what was pruned, or could have been.
        left: layers that were left whole, and why.
        layers: all layers with weights.
        budget: None where ratios were given.
        paper_before, paper_after: parameters as QP-SNN counts them, see `paper_counts`.
        accuracy_before, accuracy_after: of the float model, None without labels.
        n_judged: samples that they are of.
        seconds: wall time.
    """

    criterion: str
    seed: int
    n_scored: int
    steps: int
    groups: tuple[PrunedGroup, ...]
    left: tuple[tuple[str, str], ...]
    layers: tuple[PrunedLayer, ...]
    budget: BudgetReport | None
    paper_before: PaperParameters
    paper_after: PaperParameters
    accuracy_before: float | None
    accuracy_after: float | None
    n_judged: int
    seconds: float

    @property
    def weights_before(self) -> int:
        return sum(layer.weights_before for layer in self.layers)

    @property
    def weights_after(self) -> int:
        return sum(layer.weights_after for layer in self.layers)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Pruned:
    """A pruned model and how it came about."""

    model: Model
    report: PruneReport
