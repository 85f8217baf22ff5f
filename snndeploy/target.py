"""What a chip is, as data, and the two seams through which targets and executors plug in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol

from snndeploy.energy import EventCounts, PriceTable, Timing
from snndeploy.errors import Violation
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.ir.trace import PopulationTrace

Grade = Literal["measured", "published", "fitted", "assumed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """A number of the hardware: value, unit, where it is from, how good it is."""

    value: Decimal
    unit: str
    source: str
    grade: Grade


@dataclass(frozen=True, kw_only=True, slots=True)
class Numerics:
    """Integer rules of a chip; register ranges are inclusive.

    Attributes:
        weight_bits: stored bits per weight; mixed signs use the even grid -256..254.
        weight_exp: smallest and largest exponent of a dense or sparse projection.
        conv_weight_exp: whether convolutions have that exponent too.
        decay_bits: du and dv are 0 .. 2^bits - 1 over 2^bits.
        vth_max: largest threshold register.
        bias_mant_bits: signed mantissa; `bias_exp_max`: largest exponent.
        state_bits: width of u and v; u wraps, v clips.
        act_shift: fraction bits of u and v below the weight grid.
        message_bits: payload bits of a spike, 0 for binary spikes only.
        reset: `neuron`: each population at its own step; `host`: the host clears all state.
        delay_max: largest delay by synapse format (dense, sparse, conv).
    """

    weight_bits: int
    weight_exp: tuple[int, int]
    conv_weight_exp: bool
    decay_bits: int
    vth_max: int
    bias_mant_bits: int
    bias_exp_max: int
    state_bits: int
    act_shift: int
    message_bits: int
    reset: Literal["neuron", "host"]
    delay_max: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChipSpec:
    """A chip: limits, numerics, cycle costs and prices. Loaded from TOML, unknown keys are errors.

    Attributes:
        mesh: tiles in x and y; `cores_per_tile` cores on each.
        limits: per core or chip: `cores`, `neurons_per_core`, `synapse_bits_per_core`,
            `in_axons_per_core`, `out_axons_per_core`; a missing one is not public and not checked.
        latencies: seconds per event kind, and `barrier_base`, `barrier_per_tile`.
        prices: price tables by name; `default_prices` names one.
    """

    name: str
    title: str
    mesh: tuple[int, int]
    cores_per_tile: int
    numerics: Numerics
    limits: Mapping[str, Quantity]
    latencies: Mapping[str, Quantity]
    prices: Mapping[str, PriceTable]
    default_prices: str
    digest: str

    def limit(self, name: str) -> int | None:
        """Return a limit as an integer, None where no public figure exists."""
        found = self.limits.get(name)
        return None if found is None else int(found.value)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class RunResult:
    """What an executor answers: traces of the recorded populations; the simulator adds the rest."""

    executor: str
    traces: Mapping[str, PopulationTrace]
    counts: EventCounts | None = None
    timing: Timing | None = None
    overflows: Mapping[str, int] = field(default_factory=dict)


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
        progress: Progress = no_progress,
    ) -> RunResult:
        """Stream samples back to back and return the traces of the populations in `record`.

        Args:
            network: verified integer network.
            inputs: integers [P, B, *shape] per source.
            record: populations whose spikes and states are returned.
            placement: needed for counts and timing.
            chip: needed for timing.
            progress: called with samples done and total.

        Raises:
            TargetError: a tool is missing, timed out or failed.
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
