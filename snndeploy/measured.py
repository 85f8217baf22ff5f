"""What one run of the user's samples showed, before any price: counts, times, activity, answers.

A chip that is priced only takes these numbers from the network of a chip that is modelled.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from snndeploy.activity import Activity, measure_activity
from snndeploy.chip import BARRIER_FROM, ChipSpec
from snndeploy.decision import EarlyDecision, early_decisions
from snndeploy.energy import EventCounts, Level, Timing
from snndeploy.errors import CapacityError
from snndeploy.frames import longest
from snndeploy.inference import Deployed, encode_samples, run_deployed
from snndeploy.ir.arrays import AnyArray
from snndeploy.ir.network import Network
from snndeploy.neurobench import NeuroBench, neurobench
from snndeploy.registry import simulator
from snndeploy.samples import Samples
from snndeploy.target import Progress, no_progress

SIMULATOR = "sim"
CORE_LATENCIES = ("synaptic_op", "synaptic_word", "neuron_idle", "neuron_active", "message")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Measured:
    """A network on a chip, run on samples.

    Attributes:
        network: with as many steps as the samples have.
        timing: None where the chip's latencies are not public.
        metrics: NeuroBench's, of what every neuron sent (`activity`).
        accuracy: of the integer network; None without labels.
        clipped: input values beyond the integer range.
        early: what deciding earlier would have answered, by the first output.
        trace: arrays for `numpy.savez`, if asked for.
    """

    deployed: Deployed
    network: Network
    counts: EventCounts
    timing: Timing | None
    activity: Activity
    metrics: NeuroBench
    accuracy: float | None
    clipped: int
    early: tuple[EarlyDecision, ...]
    trace: Mapping[str, AnyArray] | None = None


def measure(
    deployed: Deployed,
    samples: Samples,
    *,
    timing: Level = "bound",
    threads: int = 1,
    trace: Mapping[str, tuple[int, ...]] | None = None,
    progress: Progress = no_progress,
) -> Measured:
    """Simulate samples: once on the chip for counts and times, once for what every neuron sent.

    Args:
        deployed: a network that fits its chip.
        samples: what it is measured on.
        timing: how closely the network on the chip is followed.
        threads: of the simulator.
        trace: neurons whose states are traced, by population; None keeps no trace.
        progress: called with samples done and total, then with chip steps beyond `bound`, then
            with samples again.

    Raises:
        CapacityError: it does not fit.
        ModelError: arrays that do not fit the inputs; E3007, the chip does not state the network
            that the level follows; E3020 and E3021, of the trace.
    """
    chip, network = deployed.target.chip, deployed.network.lasting(longest(samples.x))
    if deployed.placement is None:
        violations = getattr(deployed, "violations", ())
        raise CapacityError(deployed.target.name, violations)
    answer = run_deployed(
        deployed,
        samples,
        SIMULATOR,
        timed=timing != "bound" or has_times(chip),
        timing=timing,
        threads=threads,
        trace=trace,
        progress=progress,
    )
    assert answer.result is not None
    assert answer.result.counts is not None
    inputs, _ = encode_samples(deployed, samples)
    executor = simulator(SIMULATOR, threads=threads)
    activity = measure_activity(network, inputs, executor, progress=progress)
    first = network.outputs[0]
    return Measured(
        deployed=deployed,
        network=network,
        counts=answer.result.counts,
        timing=answer.result.timing,
        activity=activity,
        metrics=neurobench(
            network,
            activity,
            accuracy=answer.accuracy,
            seed=deployed.options.seed,
            dt_s=_dt_s(network),
        ),
        accuracy=answer.accuracy,
        clipped=sum(answer.clipped.values()),
        early=early_decisions(first, answer.y[first.name], samples.label),
        trace=answer.result.trace,
    )


def has_times(chip: ChipSpec) -> bool:
    """Return whether a chip states latencies of cores and of the barrier."""
    known = set(chip.latencies)
    barrier = {"barrier_base", "barrier_per_tile"} <= known or any(
        key.startswith(BARRIER_FROM) for key in known
    )
    return barrier and not known.isdisjoint(CORE_LATENCIES)


def _dt_s(network: Network) -> float | None:
    """Return seconds per model step; None where the network does not keep them."""
    stated = network.facts.get("dt_s")
    return None if stated is None else float(stated)
