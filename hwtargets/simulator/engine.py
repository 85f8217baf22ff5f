"""Run a network window by window: many samples at once, layer by layer over all steps of each.

What goes in: a network and integer inputs. What comes out: every node's spikes, chunk by chunk.
Windows do not depend on each other, so neither results nor counts depend on the chunk size. Small
runs take the path on arrays, which starts at once, all others that of the compiled kernels; the
answers are the same.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from hwtargets.simulator import arrays
from hwtargets.simulator.ran import Beat, Ran
from hwtargets.simulator.sent import Sent
from hwtargets.simulator.windows import Schedule, schedule_of
from hwtargets.simulator.workers import Workers
from snndeploy.errors import ModelError
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Network
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse
from snndeploy.target import Progress, no_progress

if TYPE_CHECKING:
    from hwtargets.simulator.fused import Chunked

CHUNK_CELLS = 1 << 22
"""Neurons x steps that a chunk holds: a few arrays of 16 MB."""
CELL_WORK = 100
"""Products that take as long as a step of a neuron on arrays."""
KERNEL_WORK = 1 << 30
"""Products that take longer on arrays, about a second, than it takes to load the kernels."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Chunk:
    """Some windows of every node.

    Attributes:
        windows: their numbers.
        before: what the window before the first one sent, by node; empty if nothing of it arrives.
        sent: what every source and population sent.
        ran: what recorded populations did, with states; others without.
    """

    windows: IntArray
    before: Mapping[str, Sent]
    sent: Mapping[str, Sent]
    ran: Mapping[str, Ran]


def simulate(
    network: Network,
    inputs: Mapping[str, IntArray],
    *,
    record: tuple[str, ...],
    chunk_cells: int = CHUNK_CELLS,
    kernels: bool | None = None,
    threads: int = 1,
    progress: Progress = no_progress,
) -> Iterator[Chunk]:
    """Yield all windows of a run in order, pipeline fill and drain included.

    Args:
        network: a network with aligned branches.
        inputs: integers [P, B, *shape] per source that takes an array.
        record: populations whose states are kept.
        chunk_cells: neurons x steps per chunk; changes memory and speed, never the answer.
        kernels: whether compiled kernels run; None decides by the size of the run.
        threads: that the kernels run on; changes speed, never the answer.
        progress: called with work done and in all, in thousandths of a sample.

    Raises:
        UnsupportedError: E3002 delays that do not match lag and waves.
        ModelError: E3003 inputs of the wrong shape; E3004 a spike that crosses from one sample
            into the next.
    """
    schedule = schedule_of(network, inputs)
    per_window = schedule.steps * sum(node.n for node in network.nodes.values())
    if kernels is None:
        frames = schedule.steps * schedule.n_samples
        kernels = frames * work_per_step(network) >= KERNEL_WORK
    workers = Workers(threads)
    runner = _on_kernels(network, inputs, schedule, workers) if kernels else None
    groups = arrays.prepare(network, inputs, schedule) if not kernels or schedule.hands_on else ()
    before: Mapping[str, Sent] = {}
    with workers:
        for windows in schedule.chunks(max(1, chunk_cells // per_window)):
            in_turn = schedule.hands_on and windows[-1] < 0
            beat = _beat_of(schedule, windows, progress)
            if runner and not in_turn:
                chunk = runner(windows, record, beat)
                sent, ran = chunk.sent, chunk.ran
            else:
                sent, ran = arrays.run_chunk(
                    inputs, groups, schedule, windows, record, before, beat
                )  # fmt: skip
            whole = Chunk(windows=windows, before=before, sent=sent, ran=ran)
            before = sent if in_turn and windows[-1] < -1 else {}
            yield whole if before else checked(schedule, whole)


def _beat_of(schedule: Schedule, windows: IntArray, progress: Progress) -> Beat:
    """Return what tells the progress of some windows."""
    carries = (windows >= 0) & (windows < schedule.n_samples)
    n, first = int(carries.sum()), max(int(windows[0]), 0)

    def beat(share: float) -> None:
        if n:
            progress(int(1000 * (first + share * n)), 1000 * schedule.n_samples)

    return beat


def _on_kernels(
    network: Network, inputs: Mapping[str, IntArray], schedule: Schedule, workers: Workers
) -> Callable[[IntArray, tuple[str, ...], Beat], "Chunked"]:
    from hwtargets.simulator.fused import FusedRun

    return FusedRun.of(network, inputs, schedule, workers).chunk


def work_per_step(network: Network) -> int:
    """Return about how many products a step takes on arrays."""
    neurons = sum(node.n for node in network.nodes.values())
    return CELL_WORK * neurons + sum(products(p.synapse) for p in network.projections)


def products(synapse: Synapse) -> int:
    """Return how many products the sums of a step take."""
    match synapse:
        case Conv():
            return synapse.n_out * int(synapse.weight[0].size)
        case Pool():
            return synapse.n_out * synapse.kernel[0] * synapse.kernel[1]
        case Dense() | Sparse() | OneToOne():
            return int(synapse.weight.size)
        case _:
            assert_never(synapse)


def checked(schedule: Schedule, chunk: Chunk) -> Chunk:
    """Return a chunk in which no spike of one window would reach the next.

    Raises:
        ModelError: E3004.
    """
    network = schedule.network
    for projection in network.projections:
        if not projection.lag or network.alone:
            continue
        if chunk.sent[projection.source].any_from(max(schedule.steps - projection.lag, 0)):
            raise ModelError(
                "E3004",
                "spikes of one sample would reach the next one",
                where=projection.name,
                remedy="compile with --one-at-a-time, or use the reference executor",
            )
    return chunk
