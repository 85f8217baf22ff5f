"""The seams through which targets, chips that are priced only, and executors plug in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from snndeploy.chip import ChipSpec as ChipSpec
from snndeploy.chip import Numerics as Numerics
from snndeploy.chip import PricedChip as PricedChip
from snndeploy.chip_file import load_chip as load_chip
from snndeploy.chip_file import load_priced_chip as load_priced_chip
from snndeploy.energy import EventCounts, Level, Timing
from snndeploy.errors import Violation
from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.ir.trace import PopulationTrace
from snndeploy.quantity import Grade as Grade
from snndeploy.quantity import Quantity as Quantity


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class RunResult:
    """What an executor answers: traces of the recorded populations; the simulator adds the rest."""

    executor: str
    traces: Mapping[str, PopulationTrace]
    counts: EventCounts | None = None
    timing: Timing | None = None
    overflows: Mapping[str, int] = field(default_factory=dict)
    trace: Mapping[str, AnyArray] | None = None


Progress = Callable[[int, int], None]
"""Called with (done, total) while an executor works."""


def no_progress(done: int, total: int) -> None:
    """Ignore progress."""


class Executor(Protocol):
    """Anything that runs a `Network`; found through the entry-point group `snndeploy.executors`."""

    name: str

    def missing(self) -> str | None:
        """Return None if it can run here, else one line: what is missing and how to get it."""
        ...

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
        """Stream samples back to back and return the traces of the populations in `record`.

        Args:
            network: verified integer network.
            inputs: integers [P, B, *shape] per source.
            record: populations whose spikes and states are returned.
            placement: needed for counts and timing.
            chip: needed for timing.
            timing: how closely the simulator follows the network; others ignore it.
            progress: called with work done and in all: samples or parts of them, and then chip
                steps where messages are followed.

        Raises:
            TargetError: a tool is missing, timed out or failed.
        """
        ...


@runtime_checkable
class Simulator(Executor, Protocol):
    """An executor that runs on several threads and keeps a trace."""

    def with_options(
        self, *, threads: int, trace: Mapping[str, tuple[int, ...]] | None
    ) -> Executor:
        """Return an executor with options; none of them changes an answer.

        Args:
            threads: how many it may use.
            trace: neurons whose states are traced, by population; None keeps no trace.
        """
        ...


class Target(Protocol):
    """A chip with its toolchain; found through the entry-point group `snndeploy.targets`."""

    name: str
    chip: ChipSpec
    executor: str
    """Name of the executor that is this chip's own toolchain, empty if it has none here."""

    def check(self, network: Network) -> tuple[Violation, ...]:
        """Return every rule of this target that the network breaks, beyond core capacities."""
        ...

    def bundle_files(self, network: Network, placement: Placement) -> dict[str, bytes]:
        """Return the files, by relative path, that the owner of this chip needs to run it."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PricedTarget:
    """A chip that runs are priced on and nothing is compiled for; same entry-point group."""

    chip: PricedChip
    executor = ""

    @property
    def name(self) -> str:
        return self.chip.name
