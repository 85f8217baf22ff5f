"""Other prices for a run: another table of its chip, or a chip that did not run it.

What goes in: a deployed network and a table's name, or the exact counts of a run and a chip that
is priced only. What comes out: the same deployment with those prices, or what the run would cost
there. Nothing is compiled for a chip that is priced only, so it has no verdict, and its counts are
those of a chip whose arithmetic is modelled; with its own cores it might count otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from snndeploy.energy import EVENT_KINDS, Energy, EnergyLedger, EnergyRow, EventCounts, price
from snndeploy.errors import UsageError, Violation
from snndeploy.inference import Deployed
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.model import Model
from snndeploy.pipeline import CompileOptions
from snndeploy.quantity import Grade, Quantity, weakest
from snndeploy.target import ChipSpec, PricedChip, Target


class OtherPrices:
    """A target whose chip has other prices; all else is the target's own."""

    def __init__(self, target: Target, chip: ChipSpec) -> None:
        self.target = target
        self.name = target.name
        self.chip = chip
        self.executor = target.executor

    def check(self, network: Network) -> tuple[Violation, ...]:
        """Return the rules that the network breaks."""
        return self.target.check(network)

    def bundle_files(self, network: Network, placement: Placement) -> dict[str, bytes]:
        """Return the files for the owner of the chip."""
        return self.target.bundle_files(network, placement)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Redeployed:
    """A deployed network on the same chip with other prices; see `Deployed`."""

    network: Network
    host: Model | None
    placement: Placement | None
    options: CompileOptions
    target: Target
    violations: tuple[Violation, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SerialTime:
    """How long a chip takes that does one thing after the other.

    Attributes:
        total_s: of all samples; `grade`: weakest grade of a latency used.
        missing: events that happened, take time there and have no public latency.
    """

    total_s: float
    grade: Grade
    missing: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PricedRun:
    """What the counts of a run cost on a chip that is priced only.

    Attributes:
        counts_from: the target that the counts come from.
        because: what of this chip is not modelled.
        note: what the price table says of itself.
        ledger: rows of all samples; `missing` lists what has no price.
        dynamic: energy per sample without static energy; None where nothing of it is priced.
        static: static energy per sample; None without a power or a time.
        grade: weakest grade of a price of an event; None where none is priced.
        static_grade: weakest of static power and time.
        time: of a chip that does one thing after the other; None where no latency is public.
        power: average powers that the chip states.
    """

    target: str
    title: str
    because: str
    note: str
    counts_from: str
    ledger: EnergyLedger
    dynamic: Energy | None
    static: Energy | None
    grade: Grade | None
    static_grade: Grade | None
    time: SerialTime | None
    power: Mapping[str, Quantity]

    @property
    def seconds_per_sample(self) -> float | None:
        """Time per sample [s], what has no public latency left out."""
        return None if self.time is None else self.time.total_s / self.ledger.n_samples


def with_prices(deployed: Deployed, prices: str) -> Redeployed:
    """Return a deployed network with another price table, and the latencies of that name.

    Raises:
        UsageError: E3041, its chip has no such table.
    """
    target = deployed.target
    return Redeployed(
        network=deployed.network,
        host=deployed.host,
        placement=deployed.placement,
        options=deployed.options,
        target=OtherPrices(target, target.chip.with_prices(prices)),
        violations=getattr(deployed, "violations", ()),
    )


def assign_prices(chips: Sequence[PricedChip], prices: Sequence[str]) -> dict[str, str]:
    """Return by chip the table that it is priced with, where one is asked for.

    Args:
        chips: that are estimated.
        prices: names of tables; each holds for every chip that has a table of that name.

    Raises:
        UsageError: E3041, no chip has a table of that name; E3043, two tables for one chip.
    """
    chosen: dict[str, str] = {}
    for name in prices:
        owners = [chip.name for chip in chips if name in chip.prices]
        if not owners:
            has = "; ".join(f"{chip.name}: {', '.join(chip.prices)}" for chip in chips)
            message = f"no chip here has a price table {name!r}"
            raise UsageError("E3041", message, where="--prices", remedy=f"use one of {has}")
        for owner in owners:
            if owner in chosen:
                message = f"{chosen[owner]} and {name} are both tables of {owner}"
                raise UsageError("E3043", message, where="--prices", remedy="give one of them")
            chosen[owner] = name
    return chosen


def price_run(counts: EventCounts, chip: PricedChip, *, counts_from: str) -> PricedRun:
    """Price and time the counts of a run on a chip that is priced only.

    Args:
        counts: of a run on a modelled chip.
        chip: what is asked for; its `default_prices` and latencies are used.
        counts_from: name of the target that ran.
    """
    time = serial_time(counts, chip)
    table = chip.prices[chip.default_prices]
    ledger = price(counts, table, time, not_charged=chip.not_charged)
    events = [row for row in ledger.rows if row.kind != "static"]
    static = [row for row in ledger.rows if row.kind == "static"]
    return PricedRun(
        target=chip.name,
        title=chip.title,
        because=chip.because,
        note=table.note,
        counts_from=counts_from,
        ledger=ledger,
        dynamic=_per_sample(events, counts.n_samples),
        static=_per_sample(static, counts.n_samples),
        grade=weakest(row.price.grade for row in events) if events else None,
        static_grade=weakest((static[0].price.grade, time.grade)) if static and time else None,
        time=time,
        power=chip.power,
    )


def serial_time(counts: EventCounts, chip: PricedChip) -> SerialTime | None:
    """Return the sum of all events' latencies; None where the chip states none that happened."""
    happened = [k for k in EVENT_KINDS if k in counts.events and counts.total(k)]
    used = [kind for kind in happened if kind in chip.latencies]
    if not used:
        return None
    return SerialTime(
        total_s=fsum(counts.total(kind) * float(chip.latencies[kind].value) for kind in used),
        grade=weakest(chip.latencies[kind].grade for kind in used),
        missing=tuple(
            kind
            for kind in happened
            if kind not in chip.latencies and kind not in chip.not_charged
            if not (kind == "synaptic_word" and "synaptic_op" in used)
        ),
    )


def _per_sample(rows: Sequence[EnergyRow], n_samples: int) -> Energy | None:
    if not rows:
        return None
    low, nominal, high = (
        sum(getattr(row.energy, field) for row in rows) / n_samples
        for field in ("low", "nominal", "high")
    )
    return Energy(low=low, nominal=nominal, high=high)
