"""Chip steps message by message: what the levels `queue` and `flit` share.

A table of messages in seconds becomes whole picoseconds or cycles, one of the two networks runs
it, and what comes back is when every core is done.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hwtargets.simulator.flows import Fabric, Flows, narrow
from hwtargets.simulator.mesh import Mesh, Tile, routes
from hwtargets.simulator.messages import MessageMaker, StepMessages
from snndeploy.chip import NETWORK_UNITS, ChipSpec
from snndeploy.energy import Level
from snndeploy.errors import ModelError
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.quantity import Grade, weakest

PICOSECOND = 1e-12
HOPS = ("hop_x", "hop_y")
AT_ONCE: Mapping[Level, int] = {"queue": 16, "flit": 1}
"""Chip steps between two words about progress."""
Runner = Callable[[int, int], FloatArray]
"""Chip steps start .. stop -> when each core has sent and taken everything [n_cores, steps] s."""
UnitRunner = Callable[[int, int], IntArray]
"""The same in whole units of time; -1 if messages block each other."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class NetworkData:
    """The numbers of a chip's network; times in seconds."""

    lanes: int
    flits: int
    lane_buffer: int
    eject_buffer: int
    flit_time: float
    interface: float
    hop_x: float
    hop_y: float
    grade: Grade


def network_data(chip: ChipSpec, level: Level) -> NetworkData:
    """Return the numbers of a chip's network.

    Raises:
        ModelError: E3007, the chip does not state them all.
    """
    lacking = [key for key in NETWORK_UNITS if key not in chip.network]
    lacking += [key for key in HOPS if key not in chip.latencies]
    if lacking:
        raise ModelError(
            "E3007",
            f"level {level} needs {', '.join(lacking)}",
            where=chip.name,
            remedy="use --timing bound, or add them to the chip file with their source",
        )
    n = {key: quantity.value for key, quantity in chip.network.items()}
    hops = [chip.latencies[key] for key in HOPS]
    return NetworkData(
        lanes=int(n["lanes"]),
        flits=int(n["flits_per_message"]),
        lane_buffer=int(n["lane_buffer"]),
        eject_buffer=int(n["eject_buffer"]),
        flit_time=float(n["flit_time"]),
        interface=float(n["interface"]),
        hop_x=float(hops[0].value),
        hop_y=float(hops[1].value),
        grade=weakest(q.grade for q in (*chip.network.values(), *hops)),
    )


def runner(
    level: Level, data: NetworkData, mesh: Mesh, tiles: list[Tile], maker: MessageMaker
) -> Runner:
    """Return what runs chip steps at a level beyond `bound`; `tiles` are those of the cores.

    `queue` counts picoseconds, `flit` the cycles in which a link moves a flit, begun ones whole.
    """
    unit = PICOSECOND if level == "queue" else data.flit_time
    fabric = fabric_of(data, mesh, tiles, unit)
    run = _queue_runner(fabric, maker) if level == "queue" else _flit_runner(fabric, maker, unit)

    def seconds(start: int, stop: int) -> FloatArray:
        done = run(start, stop)
        if (done < 0).any():
            raise AssertionError("messages block each other, which XY routes rule out")
        found: FloatArray = done.astype(np.float64) * unit
        return found

    return seconds


def fabric_of(data: NetworkData, mesh: Mesh, tiles: list[Tile], unit: float) -> Fabric:
    """Return a network in whole units of time."""
    pointer, route = routes(mesh, tiles)
    hop_x, hop_y, interface = (
        max(1, _ceil(seconds / unit)) for seconds in (data.hop_x, data.hop_y, data.interface)
    )
    return Fabric(
        pointer=pointer,
        route=route,
        hop=np.where(mesh.along_x == 1, hop_x, hop_y).astype(np.int64),
        within=hop_x,
        interface=interface,
        lanes=data.lanes,
        flits=data.flits,
        depth=data.lane_buffer,
        room=data.eject_buffer,
        service=_ceil(data.flit_time * data.flits / unit),
    )


def _queue_runner(fabric: Fabric, maker: MessageMaker) -> UnitRunner:
    """Return what runs chip steps in picoseconds, message by message."""
    from hwtargets.simulator.messages_table import tables
    from hwtargets.simulator.queue import run_steps

    table = tables(maker, PICOSECOND)

    def run(start: int, stop: int) -> IntArray:
        done = np.empty((maker.n_rows, stop - start), dtype=np.int64)
        run_steps(table, fabric, start, stop, done)
        return done

    return run


def _flit_runner(fabric: Fabric, maker: MessageMaker, unit: float) -> UnitRunner:
    """Return what runs chip steps in cycles, flit by flit."""
    from hwtargets.simulator.flit import run_flit

    def run(start: int, stop: int) -> IntArray:
        done = [
            run_flit(flows(maker.step(t), unit), fabric).max(axis=0) for t in range(start, stop)
        ]
        return np.stack(done, axis=1)

    return run


def _ceil(value: float) -> int:
    return int(np.ceil(value - 1e-9))


def flows(step: StepMessages, unit: float) -> Flows:
    """Return messages in whole units of time.

    The times at which messages are made are rounded up, all others to the nearest.
    """
    made = np.zeros(len(step.goal), dtype=np.int64)
    for start, stop in zip(step.first[:-1], step.first[1:], strict=True):
        at = np.ceil(step.made_s[start:stop] / unit - 1e-6).astype(np.int64)
        made[start:stop] = np.diff(at, prepend=0)
    work, tail, backlog = (
        np.rint(seconds / unit).astype(np.int64)
        for seconds in (step.work_s, step.tail_s, step.backlog_s)
    )
    return Flows(
        first=step.first, goal=narrow(step.goal), made=made, work=narrow(work), tail=tail,
        backlog=backlog,
    )  # fmt: skip
