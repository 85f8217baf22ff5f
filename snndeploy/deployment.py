"""What `compile` found and wrote, for reports."""

from dataclasses import dataclass

from snndeploy.bundle import Bundle
from snndeploy.estimation import Estimate
from snndeploy.pipeline import Compiled
from snndeploy.verdict import Verdict


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Deployment:
    """What was compiled, found and written.

    Attributes:
        estimate: what was measured, None without data or if it does not fit.
        float_accuracy: of the float model on the same data; None without labels.
        bundle: what was written, None if it does not fit.
    """

    compiled: Compiled
    verdict: Verdict
    estimate: Estimate | None
    float_accuracy: float | None
    bundle: Bundle | None
