"""Counts and prices, kept apart: energy = sum of count x price, every price with a source.

The engine counts events exactly; `price` multiplies them by a table and returns a ledger whose
rows sum to its total exactly (decimal arithmetic, no rounding). A missing price is listed, never
taken as zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from snndeploy.ir.arrays import FloatArray, IntArray

EventKind = Literal[
    "synaptic_op",  # one stored synapse touched by one spike
    "synaptic_word",  # 64-bit words of synaptic memory read
    "neuron_idle",  # neuron visited, nothing arrived
    "neuron_active",  # neuron visited, at least one synaptic operation arrived
    "spike",
    "message",  # one spike to one destination core
    "hop_x",
    "hop_y",
    "barrier",  # one core taking part in one step's synchronisation
    "host_in",  # spikes or payloads injected by the host
    "host_out",  # values read by the host
]
Phase = Literal["work", "fill", "drain"]
PHASES: tuple[Phase, ...] = ("work", "fill", "drain")


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """Joules per event, low / nominal / high, with source and grade."""

    low: Decimal
    nominal: Decimal
    high: Decimal
    source: str
    grade: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PriceTable:
    """Prices of one chip by event kind; static power in watts (None: not public)."""

    name: str
    prices: Mapping[str, Price]
    static_w: Price | None


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class EventCounts:
    """Exact event counts per core and chip step.

    Attributes:
        cores: core numbers, the rows.
        populations: population of each row.
        events: [n_cores, n_chip_steps] by kind.
        phase: [n_cores, n_chip_steps], 0 work, 1 fill, 2 drain (index into `PHASES`).
        n_samples: samples streamed.
    """

    cores: tuple[int, ...]
    populations: tuple[str, ...]
    events: Mapping[EventKind, IntArray]
    phase: IntArray
    n_samples: int

    def total(self, kind: EventKind) -> int:
        """Return the count of one kind over all cores and steps."""
        return int(self.events[kind].sum())


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Timing:
    """Time of every chip step [s] from its slowest core, and which core that was.

    Attributes:
        step_s: [n_chip_steps].
        critical_core: core number per chip step.
        core_s: [n_cores, n_chip_steps] busy time.
        barrier_s: synchronisation per step.
        grade: weakest grade of a latency used.
    """

    step_s: FloatArray
    critical_core: IntArray
    core_s: FloatArray
    barrier_s: float
    grade: str
