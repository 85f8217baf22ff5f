"""What the events of a step cost each core in seconds, stage by stage, and what is not known.

A core has two sides that work at the same time, as in a pipeline. The taking side looks up the axon
of every message and reads its synapses (axon in, then memory); the making side updates the neurons
and sends their spikes (compute, then axon out). Within a side everything is one after the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hwtargets.simulator.traffic import TAKEN, Traffic
from snndeploy.chip import BARRIER_FROM, ChipSpec
from snndeploy.energy import SAME_WORK, EventCounts
from snndeploy.errors import ModelError
from snndeploy.ir.arrays import FloatArray
from snndeploy.ir.placement import Placement
from snndeploy.quantity import Grade, Quantity, weakest

STAGES: Mapping[str, tuple[str, ...]] = {
    "axon_in": ("axon_in",),
    "memory": ("synaptic_op", "synaptic_word"),
    "compute": ("neuron_idle", "neuron_active", "spike"),
    "axon_out": ("message",),
}
"""Events of each stage, as latencies are named."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Costs:
    """Work of every core in every chip step [s], all [n_rows, n_chip_steps]; 0 on the host.

    Attributes:
        axon_in: look-ups of messages taken.
        memory: synapses read.
        compute: neurons updated and spikes made.
        axon_out: messages sent.
        missing: latencies that the chip does not state, of events that happened.
        grade: weakest grade of a latency used, barrier included.
        barrier_s: one synchronisation.
    """

    axon_in: FloatArray
    memory: FloatArray
    compute: FloatArray
    axon_out: FloatArray
    missing: tuple[str, ...]
    grade: Grade
    barrier_s: float

    @cached_property
    def taking(self) -> FloatArray:
        return self.axon_in + self.memory

    @cached_property
    def making(self) -> FloatArray:
        return self.compute + self.axon_out


def costs_of(counts: EventCounts, traffic: Traffic, placement: Placement, chip: ChipSpec) -> Costs:
    """Return what every stage of every core costs.

    Raises:
        ModelError: E3006, the chip has no latency for its cores or its barrier: no time can be
            given.
    """
    known, used, missing = chip.latencies, [], []
    stages: dict[str, FloatArray] = {}
    for stage, kinds in STAGES.items():
        for kind in kinds:
            events = traffic.taken[kind] if kind in TAKEN else counts.events[kind]  # type: ignore[index]
            if kind in known:
                seconds = np.multiply(events, float(known[kind].value), dtype=np.float64)
                stages[stage] = stages[stage] + seconds if stage in stages else seconds
                used.append(kind)
            elif events.any() and SAME_WORK.get(kind) not in known:  # type: ignore[call-overload]
                missing.append(kind)
    barrier, keys = barrier_s(placement, known)
    if not used or not keys:
        raise ModelError("E3006", "no latencies of cores and barrier", where=chip.name)
    return Costs(
        **{stage: stages.get(stage, np.zeros(counts.phase.shape)) for stage in STAGES},
        missing=tuple(missing),
        grade=weakest(known[key].grade for key in (*used, *keys)),
        barrier_s=barrier,
    )


def barrier_s(
    placement: Placement, latencies: Mapping[str, Quantity]
) -> tuple[float, tuple[str, ...]]:
    """Return the time of one synchronisation [s] and the latencies it comes from, none if unknown.

    It is linear in the tiles that hold a used core, or a table: the last entry from whose number
    of tiles on it holds.
    """
    n_tiles = len({placement.tile(piece.core) for piece in placement.slices})
    if "barrier_base" in latencies and "barrier_per_tile" in latencies:
        base, per_tile = (latencies[key].value for key in ("barrier_base", "barrier_per_tile"))
        return float(base + n_tiles * per_tile), ("barrier_base", "barrier_per_tile")
    steps = {int(key.removeprefix(BARRIER_FROM)): key for key in latencies if BARRIER_FROM in key}
    reached = [tiles for tiles in steps if tiles <= n_tiles]
    if not reached:
        return 0.0, ()
    key = steps[max(reached)]
    return float(latencies[key].value), (key,)
