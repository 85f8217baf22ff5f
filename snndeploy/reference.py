"""The reference interpreter as an executor, so that it can be asked for like all others."""

from collections.abc import Mapping

from snndeploy.energy import Level
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.target import ChipSpec, Progress, RunResult, no_progress


class Reference:
    """Runs `ir.interpret`: slow, obvious, and what all other executors must equal."""

    name = "reference"

    def missing(self) -> str | None:
        """Return None: it needs numpy alone."""
        return None

    def run(
        self,
        network: Network,
        inputs: Mapping[str, IntArray],
        *,
        record: tuple[str, ...],
        placement: Placement | None = None,  # noqa: ARG002 - the seam of all executors
        chip: ChipSpec | None = None,  # noqa: ARG002
        timing: Level = "bound",  # noqa: ARG002
        progress: Progress = no_progress,
    ) -> RunResult:
        """Return traces and overflow counts; placement and chip change no spike."""
        n_samples = next(iter(inputs.values())).shape[1]
        overflows: dict[str, int] = {}
        traces = run_reference(network, inputs, record=record, overflows=overflows)
        progress(n_samples, n_samples)
        return RunResult(executor=self.name, traces=traces, overflows=overflows)


REFERENCE = Reference()
