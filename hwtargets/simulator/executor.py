"""The simulator as an executor: runs chunk by chunk, records, reports progress."""

from collections.abc import Mapping

from hwtargets.simulator.engine import schedule_of, simulate
from hwtargets.simulator.record import recorder
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.target import ChipSpec, Progress, RunResult, no_progress


class SimulatorExecutor:
    """Executor `sim`: same spikes and states as the reference, many samples at once."""

    name = "sim"

    def missing(self) -> str | None:
        """Return None: numpy is all it needs."""
        return None

    def run(
        self,
        network: Network,
        inputs: Mapping[str, IntArray],
        *,
        record: tuple[str, ...],
        placement: Placement | None = None,
        chip: ChipSpec | None = None,
        progress: Progress = no_progress,
    ) -> RunResult:
        """Stream samples back to back; see `snndeploy.target.Executor.run`.

        Raises:
            UnsupportedError: E3002 delays that do not match the waves (cycles), E3004 a neuron
                program other than `lif`.
            ModelError: E3003 inputs of the wrong shape.
        """
        schedule = schedule_of(network, inputs)
        kept = recorder(network, record, schedule.n_samples)
        for chunk in simulate(network, inputs, record=record):
            kept.add(chunk)
            done = min(max(int(chunk.windows[-1]) + 1, 0), schedule.n_samples)
            progress(done, schedule.n_samples)
        return RunResult(executor=self.name, traces=kept.traces(), overflows=kept.overflows)
