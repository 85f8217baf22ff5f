"""Time of every chip step, at one of three levels, and what decided it.

`bound` takes the most that any core or link has to do, `queue` lets every message wait its turn,
`flit` runs the network cycle by cycle. All of them end a step with the same barrier.
"""

from dataclasses import dataclass

import numpy as np

from hwtargets.simulator.bound import bound_core_s, bound_step_s
from hwtargets.simulator.costs import Costs, costs_of
from hwtargets.simulator.messages import message_maker
from hwtargets.simulator.traffic import Traffic
from hwtargets.simulator.waiting import AT_ONCE, network_data, runner
from snndeploy.chip import ChipSpec
from snndeploy.energy import BOTTLENECKS, HOST, EventCounts, Level, Timing
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.placement import Placement
from snndeploy.quantity import Grade, weakest
from snndeploy.target import Progress, no_progress

LINKS = ("lanes", "flits_per_message", "flit_time")
"""What the time of a message on a link comes from."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Steps:
    """What a level says: when each core is done [n_rows, T] and all of it is [T], in seconds."""

    core_s: FloatArray
    step_s: FloatArray


def time_steps(
    counts: EventCounts,
    traffic: Traffic,
    placement: Placement,
    chip: ChipSpec,
    level: Level = "bound",
    progress: Progress = no_progress,
) -> Timing:
    """Return the time of every chip step [s].

    Args:
        counts: of a run.
        traffic: of the same run; the levels beyond `bound` need its spikes.
        placement: which tile each core is on.
        chip: latencies, and the network beyond `bound`.
        level: how closely the network is followed.
        progress: called with chip steps done and total beyond `bound`.

    Raises:
        ModelError: E3006, the chip has no latency for its cores or its barrier: no time can be
            given; E3007, it does not state the network that the level follows.
    """
    costs = costs_of(counts, traffic, placement, chip)
    used = np.flatnonzero(traffic.crossed.any(axis=1))
    crossed = traffic.crossed[used]
    busy_s, link_grades = _links(crossed, chip)
    missing = (*costs.missing, *(("links",) if not link_grades and len(used) else ()))
    grades = [costs.grade, *link_grades]
    if level == "bound":
        core_s = bound_core_s(costs)
        steps = Steps(core_s=core_s, step_s=bound_step_s(core_s, busy_s))
    else:
        data = network_data(chip, level)
        grades.append(data.grade)
        tiles = [placement.tile(core) for core in counts.cores if core != HOST]
        maker = message_maker(counts, traffic, costs, chip)
        run = runner(level, data, traffic.mesh, tiles, maker)
        core_s = np.zeros(counts.phase.shape)
        n_steps = counts.phase.shape[1]
        for start in range(0, n_steps, AT_ONCE[level]):
            stop = min(start + AT_ONCE[level], n_steps)
            core_s[: len(tiles), start:stop] = run(start, stop)
            for t in range(start, stop):
                progress(t + 1, n_steps)
        steps = Steps(core_s=core_s, step_s=core_s.max(axis=0))
    critical = np.argmax(steps.core_s, axis=0)
    link_s = np.zeros(traffic.crossed.shape)
    link_s[used] = busy_s
    return Timing(
        level=level,
        step_s=steps.step_s + costs.barrier_s,
        critical_core=np.array(counts.cores)[critical],
        critical_link=np.where(
            crossed.any(axis=0), used[crossed.argmax(axis=0)] if len(used) else 0, -1
        ),
        bottleneck=_bottleneck(costs, steps, critical),
        core_s=steps.core_s,
        links=traffic.mesh.names,
        link_s=link_s,
        barrier_s=costs.barrier_s,
        cycle_s=float(chip.clock.period.value) if chip.clock else None,
        cycle_kind=chip.clock.kind if chip.clock else "",
        missing=missing,
        grade=weakest(grades),
    )


def _links(crossed: IntArray, chip: ChipSpec) -> tuple[FloatArray, tuple[Grade, ...]]:
    """Return how long links are busy [links, T] s, and grades; zeros and none if unknown."""
    found = [chip.network[key] for key in LINKS if key in chip.network]
    if len(found) < len(LINKS):
        return np.zeros(crossed.shape), ()
    lanes, flits, seconds = (float(quantity.value) for quantity in found)
    busy: FloatArray = np.multiply(crossed, flits * seconds / lanes, dtype=np.float64)
    return busy, tuple(quantity.grade for quantity in found)


def _bottleneck(costs: Costs, steps: Steps, critical: IntArray) -> IntArray:
    """Return which of `BOTTLENECKS` took most of each step on its critical core [T].

    Looking up axons, sending, and waiting for messages or links are traffic; time beyond a core's
    own work is waiting.
    """
    at = (critical, np.arange(len(critical)))
    taking, making = costs.taking[at], costs.making[at]
    is_taking = taking >= making
    traffic = np.where(is_taking, costs.axon_in[at], costs.axon_out[at])
    shares = {
        "memory": costs.memory[at] * is_taking,
        "compute": costs.compute[at] * ~is_taking,
        "traffic": traffic + np.maximum(steps.step_s - np.maximum(taking, making), 0.0),
    }
    found: IntArray = np.argmax([shares[state] for state in BOTTLENECKS], axis=0)
    return found
