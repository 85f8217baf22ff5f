"""Time of every chip step: the slowest core, then everybody waits for the barrier.

A core's busy time is the sum of its events times their latencies. Travel on the mesh overlaps with
work and is not added; contention is not modelled.
"""

import numpy as np

from snndeploy.energy import HOST, EventCounts, EventKind, Timing
from snndeploy.errors import ModelError
from snndeploy.ir.arrays import FloatArray
from snndeploy.ir.placement import Placement
from snndeploy.quantity import weakest
from snndeploy.target import ChipSpec

CORE_KINDS: tuple[EventKind, ...] = (
    "synaptic_op",
    "synaptic_word",
    "neuron_idle",
    "neuron_active",
    "spike",
    "message",
)
"""What keeps a core busy."""
BARRIER = ("barrier_base", "barrier_per_tile")


def time_steps(counts: EventCounts, placement: Placement, chip: ChipSpec) -> Timing:
    """Return the time of every chip step [s].

    Raises:
        ModelError: E3006, the chip has no latency for its cores or its barrier: no time can be
            given.
    """
    kinds = tuple(kind for kind in CORE_KINDS if kind in chip.latencies)
    if not kinds or any(key not in chip.latencies for key in BARRIER):
        raise ModelError("E3006", "no latencies of cores and barrier", where=chip.name)
    busy: FloatArray = np.zeros(counts.phase.shape)
    for kind in kinds:
        busy += counts.events[kind] * float(chip.latencies[kind].value)
    cores = np.array(counts.cores)
    on_chip = np.flatnonzero(cores != HOST)
    slowest = on_chip[np.argmax(busy[on_chip], axis=0)]
    barrier = barrier_s(placement, chip)
    return Timing(
        step_s=busy[on_chip].max(axis=0) + barrier,
        critical_core=cores[slowest],
        core_s=busy,
        barrier_s=barrier,
        grade=weakest(chip.latencies[key].grade for key in (*kinds, *BARRIER)),
    )


def barrier_s(placement: Placement, chip: ChipSpec) -> float:
    """Return the time of one synchronisation [s], linear in the tiles that hold a used core."""
    n_tiles = len({placement.tile(piece.core) for piece in placement.slices})
    base, per_tile = (chip.latencies[key].value for key in BARRIER)
    return float(base + n_tiles * per_tile)
