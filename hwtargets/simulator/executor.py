"""The simulator as an executor: runs chunk by chunk, records, reports progress."""

from collections.abc import Mapping

from hwtargets.simulator.counts import counter
from hwtargets.simulator.engine import simulate
from hwtargets.simulator.record import recorder
from hwtargets.simulator.timing import time_steps
from hwtargets.simulator.traffic import traffic_counter
from hwtargets.simulator.windows import schedule_of
from snndeploy.energy import Level
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.target import ChipSpec, Progress, RunResult, no_progress


class SimulatorExecutor:
    """Executor `sim`: same spikes and states as the reference, many samples at once."""

    name = "sim"

    def missing(self) -> str | None:
        """Return None: it needs nothing that is not installed."""
        return None

    def run(
        self,
        network: Network,
        inputs: Mapping[str, IntArray],
        *,
        record: tuple[str, ...],
        placement: Placement | None = None,
        chip: ChipSpec | None = None,
        timing: Level = "bound",
        progress: Progress = no_progress,
    ) -> RunResult:
        """Run samples; see `snndeploy.target.Executor.run`.

        Raises:
            UnsupportedError: E3002 delays that do not match lags and waves.
            ModelError: E3003 inputs of the wrong shape; E3004 a spike that crosses samples; E3006
                the chip has no latencies; E3007 the chip does not state its network.
        """
        schedule = schedule_of(network, inputs)
        kept = recorder(schedule, record)
        counted = counter(network, placement, schedule) if placement else None
        traffic = None
        if counted and placement and chip:
            traffic = traffic_counter(
                network, placement, schedule, counted.reach, keep=timing != "bound"
            )
        for chunk in simulate(network, inputs, record=record):
            kept.add(chunk)
            if counted:
                counted.add(chunk)
            if traffic:
                traffic.add(chunk)
            done = min(max(int(chunk.windows[-1]) + 1, 0), schedule.n_samples)
            progress(done, schedule.n_samples)
        counts = counted.result() if counted else None
        timed = None
        if counts and traffic and placement and chip:
            timed = time_steps(counts, traffic.result(), placement, chip, timing)
        return RunResult(
            executor=self.name,
            traces=kept.traces(),
            counts=counts,
            timing=timed,
            overflows=kept.overflows,
        )
