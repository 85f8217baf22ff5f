"""The simulator as an executor: runs chunk by chunk, records, reports progress."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hwtargets.simulator.counts import counter
from hwtargets.simulator.engine import simulate
from hwtargets.simulator.record import recorder
from hwtargets.simulator.timing import time_steps
from hwtargets.simulator.tracing import tracer
from hwtargets.simulator.traffic import traffic_counter
from hwtargets.simulator.windows import schedule_of
from snndeploy.energy import Level
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.target import ChipSpec, Progress, RunResult, no_progress


@dataclass(frozen=True, kw_only=True)
class SimulatorExecutor:
    """Executor `sim`: same spikes and states as the reference, many samples at once.

    Attributes:
        threads: that the kernels run on; the answer does not depend on it. One unless asked for:
            whoever runs many simulations at a time has a process for each.
        trace: neurons whose states are traced, by population; None keeps no trace.
    """

    threads: int = 1
    trace: Mapping[str, tuple[int, ...]] | None = None
    name = "sim"

    def with_options(
        self, *, threads: int, trace: Mapping[str, tuple[int, ...]] | None
    ) -> "SimulatorExecutor":
        """Return the simulator with other options; see `snndeploy.target.Simulator`."""
        return replace(self, threads=threads, trace=trace)

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
                the chip has no latencies; E3007 the chip does not state its network; E3020 a traced
                population or neuron does not exist; E3021 the trace would be too large.
        """
        schedule = schedule_of(network, inputs)
        kept = recorder(schedule, record)
        traced = tracer(schedule, self.trace) if self.trace is not None else None
        wanted = tuple(dict.fromkeys((*record, *(self.trace or ()))))
        counted = counter(network, placement, schedule) if placement else None
        traffic = None
        if counted and placement and chip:
            traffic = traffic_counter(
                network, placement, schedule, counted.reach, keep=timing != "bound"
            )
        for chunk in simulate(
            network, inputs, record=wanted, threads=self.threads, progress=progress
        ):
            kept.add(chunk)
            if traced:
                traced.add(chunk)
            if counted:
                counted.add(chunk)
            if traffic:
                traffic.add(chunk)
            done = min(max(int(chunk.windows[-1]) + 1, 0), schedule.n_samples)
            progress(done, schedule.n_samples)
        counts = counted.result() if counted else None
        went = traffic.result() if traffic else None
        timed = None
        if counts and went and placement and chip:
            timed = time_steps(counts, went, placement, chip, timing, progress)
        return RunResult(
            executor=self.name,
            traces=kept.traces(),
            counts=counts,
            timing=timed,
            overflows=kept.overflows,
            trace=traced.result(counts, went, timed) if traced else None,
        )
