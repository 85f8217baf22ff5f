"""Counts and prices, kept apart: energy = sum of count x price, every price with a source.

The engine counts events exactly; `price` multiplies them by a table and returns a ledger whose
rows sum to its total exactly (decimal arithmetic, no rounding). A missing price is listed, never
taken as zero.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, localcontext
from typing import Literal, Protocol, get_args

import numpy as np

from snndeploy.errors import ModelError
from snndeploy.ir.arrays import BoolArray, IntArray
from snndeploy.quantity import Grade, weakest
from snndeploy.timing import BOTTLENECKS as BOTTLENECKS
from snndeploy.timing import LEVELS as LEVELS
from snndeploy.timing import Level as Level
from snndeploy.timing import Timing as Timing

EventKind = Literal[
    "synaptic_op",  # one stored synapse touched by one spike
    "synaptic_word",  # 64-bit words of packed weights read, per spike and destination core
    "neuron_idle",  # neuron visited, nothing arrived
    "neuron_active",  # neuron visited, at least one synaptic operation arrived
    "spike",
    "message",  # one spike to one destination core
    "hop_x",
    "hop_y",
    "barrier",  # one core taking part in one step's synchronisation
    "host_in",  # nonzero spikes or payloads injected by the host
    "host_out",  # values read by the host: every neuron of an output, every step of its windows
    "reset",  # the host clears the chip before a sample that runs alone
]
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)
Operation = Literal[
    "ac",  # an addition to an accumulator
    "mac",  # a multiplication and an addition
    "word_read",  # 64 bits of on-chip memory
    "word_write",
]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
"""What a machine does for an event; an accelerator may be priced by these too."""
Phase = Literal["work", "fill", "drain"]
PHASES: tuple[Phase, ...] = ("work", "fill", "drain")
SAME_WORK: Mapping[EventKind, EventKind] = {
    "synaptic_op": "synaptic_word",
    "synaptic_word": "synaptic_op",
}
"""Two counts of the same work: a table that prices one of them lacks nothing."""
HOST = -1
"""Core number of the rows that hold what the host does for a source."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """Joules per event, low / nominal / high, with source and grade."""

    low: Decimal
    nominal: Decimal
    high: Decimal
    source: str
    grade: Grade


@dataclass(frozen=True, kw_only=True, slots=True)
class PriceTable:
    """Prices of one chip by event kind; static power in watts (None: not public).

    Attributes:
        note: what all of them have in common: what they hold, and what they leave out.
    """

    name: str
    prices: Mapping[str, Price]
    static_w: Price | None
    note: str = ""


class Lasting(Protocol):
    """How long a run takes [s], and how good the weakest number behind that is."""

    @property
    def total_s(self) -> float:
        """Time of the whole run [s]."""
        ...

    @property
    def grade(self) -> Grade:
        """Weakest grade of a latency used."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class EventCounts:
    """Exact event counts per core and chip step.

    Attributes:
        cores: core numbers, the rows; `HOST` for the row of a source.
        populations: population or source of each row.
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Energy:
    """An energy [J] and the range that its prices leave."""

    low: Decimal
    nominal: Decimal
    high: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class EnergyRow:
    """One line of a ledger: energy = count x price, exactly.

    Attributes:
        kind: event kind, or `static`.
        phase: phase of the chip steps; `all` for static energy.
        population: population or source; empty where all are added up.
        count: events; seconds for static energy, whose price is in watts.
    """

    kind: EventKind | Literal["static"]
    phase: Phase | Literal["all"]
    population: str
    count: int | Decimal
    price: Price
    energy: Energy


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class EnergyLedger:
    """What a run costs, and what of it is not known.

    Attributes:
        table: name of the price table.
        rows: kind x phase that happened, then static energy; they sum to `total`.
        by_population: the same events by population; they and the static row sum to `total`.
        total: exact sum of `rows`.
        missing: events without a price and their counts; `static` (chip steps) if its power or
            the time is not known. They are not in the total.
        grade: weakest grade of a price used (and of the time, for static energy).
        n_samples: samples streamed.
    """

    table: str
    rows: tuple[EnergyRow, ...]
    by_population: tuple[EnergyRow, ...]
    total: Energy
    missing: Mapping[str, int]
    grade: Grade
    n_samples: int

    @property
    def per_sample(self) -> Energy:
        """The total, pipeline fill and drain included, divided by the number of samples."""
        total, n = self.total, self.n_samples
        return Energy(low=total.low / n, nominal=total.nominal / n, high=total.high / n)


def price(
    counts: EventCounts | None,
    table: PriceTable,
    timing: Lasting | None,
    *,
    not_charged: Collection[EventKind] = (),
) -> EnergyLedger:
    """Multiply counts by prices.

    Args:
        counts: of a run; there is no default spike rate.
        table: prices; what it lacks is listed in `missing`.
        timing: needed for static energy.
        not_charged: events that the chip does not have or pays inside another price.

    Raises:
        ModelError: E3005, no counts, or counts of no sample.
    """
    if counts is None or counts.n_samples < 1:
        raise ModelError(
            "E3005",
            "an energy needs counts of a run, none were made",
            remedy="run the simulator on data first (--data)",
        )
    with localcontext(Context(prec=200, traps=[Inexact])):
        by_population = tuple(_price_events(counts, table))
        static = _static_row(table, timing)
        rows = (*_add_up(by_population), *((static,) if static else ()))
        total = _sum(row.energy for row in rows)
    grades = [row.price.grade for row in rows]
    if static and timing:
        grades.append(timing.grade)
    return EnergyLedger(
        table=table.name,
        rows=rows,
        by_population=by_population,
        total=total,
        missing=_missing(counts, table, static, not_charged),
        grade=weakest(grades),
        n_samples=counts.n_samples,
    )


def _price_events(counts: EventCounts, table: PriceTable) -> Iterator[EnergyRow]:
    number = {name: index for index, name in enumerate(dict.fromkeys(counts.populations))}
    of = np.array([number[name] for name in counts.populations])
    members = (of == np.arange(len(number))[:, None]).astype(np.int64)
    kinds = [kind for kind in EVENT_KINDS if kind in table.prices and kind in counts.events]
    others = np.flatnonzero((counts.phase != 0).any(axis=0))
    beside = np.stack([counts.phase[:, others] == index for index in range(1, len(PHASES))])
    found = [(members @ _by_phase(counts.events[kind], others, beside)).tolist() for kind in kinds]
    for population, index in number.items():
        for kind, sums in zip(kinds, found, strict=True):
            for count, phase in zip(sums[index], PHASES, strict=True):
                if count:
                    yield _row(kind, phase, population, count, table.prices[kind])


def _by_phase(events: IntArray, others: IntArray, beside: BoolArray) -> IntArray:
    """Return events of each row and phase [rows, phases].

    `others` are the few steps that are not of work alone, `beside` where they are of other phases.
    """
    apart = (events[:, others] * beside).sum(axis=2)
    return np.stack([events.sum(axis=1) - apart.sum(axis=0), *apart], axis=1)


def _add_up(rows: Iterable[EnergyRow]) -> Iterator[EnergyRow]:
    """Add rows of all populations, kind by kind and phase by phase."""
    totals: Counter[tuple[EventKind, Phase]] = Counter()
    prices: dict[str, Price] = {}
    for row in rows:
        totals[row.kind, row.phase] += row.count  # type: ignore[index, assignment]
        prices[row.kind] = row.price
    for (kind, phase), count in totals.items():
        yield _row(kind, phase, "", count, prices[kind])


def _static_row(table: PriceTable, timing: Lasting | None) -> EnergyRow | None:
    if table.static_w is None or timing is None:
        return None
    seconds = Decimal(repr(timing.total_s))
    return _row("static", "all", "", seconds, table.static_w)


def _row(
    kind: EventKind | Literal["static"],
    phase: Phase | Literal["all"],
    population: str,
    count: int | Decimal,
    unit_price: Price,
) -> EnergyRow:
    energy = Energy(
        low=count * unit_price.low, nominal=count * unit_price.nominal, high=count * unit_price.high
    )
    return EnergyRow(
        kind=kind, phase=phase, population=population, count=count, price=unit_price, energy=energy
    )


def _sum(energies: Iterable[Energy]) -> Energy:
    low = nominal = high = Decimal(0)
    for energy in energies:
        low, nominal, high = low + energy.low, nominal + energy.nominal, high + energy.high
    return Energy(low=low, nominal=nominal, high=high)


def _missing(
    counts: EventCounts,
    table: PriceTable,
    static: EnergyRow | None,
    not_charged: Collection[EventKind],
) -> dict[str, int]:
    """Return the events that happened, cost something on this chip and have no price."""
    same = (SAME_WORK[kind] for kind in SAME_WORK if kind in table.prices)
    priced = {*table.prices, *same, *not_charged}
    found: dict[str, int] = {
        kind: counts.total(kind)
        for kind in EVENT_KINDS
        if kind in counts.events and kind not in priced and counts.total(kind)
    }
    return found if static else {**found, "static": counts.phase.shape[1]}
