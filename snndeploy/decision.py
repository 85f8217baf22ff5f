"""How good the answer is if it is read early: accuracy against steps."""

from dataclasses import dataclass

import numpy as np

from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.network import Output
from snndeploy.ir.readout import decide

MOST_POINTS = 100
"""Steps of longer windows are taken evenly, the last one included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlyDecision:
    """What deciding after the first steps of a window would answer.

    Attributes:
        steps: model steps that the decision rests on.
        accuracy: share of right decisions; None without labels.
        agreement: share of decisions equal to the one after all steps.
    """

    steps: int
    accuracy: float | None
    agreement: float


def early_decisions(
    output: Output, y: FloatArray, label: IntArray | None
) -> tuple[EarlyDecision, ...]:
    """Decide after 1, 2, … all steps.

    Args:
        output: how the host decides.
        y: its answer per step [P, B, *shape].
        label: right class per sample [B], None if unknown.
    """
    last, points = decide(output, y), min(len(y), MOST_POINTS)
    steps = np.unique(np.linspace(1, len(y), points).round().astype(int)).tolist()
    found = []
    for k in steps:
        decision = decide(output, y[:k])
        found.append(
            EarlyDecision(
                steps=k,
                accuracy=None if label is None else float(np.mean(decision == label)),
                agreement=float(np.mean(decision == last)),
            )
        )
    return tuple(found)
