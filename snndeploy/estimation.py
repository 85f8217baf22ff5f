"""The estimate: simulate the user's samples, price what happened, time every chip step.

Nothing is assumed about rates: without data there is no estimate. All numbers are per sample,
pipeline fill and drain included; NeuroBench's metrics and what is derived from them (the papers'
formula, the ANN baseline) look at the windows of samples alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from snndeploy.arithmetic import ArithmeticBound, arithmetic_bound
from snndeploy.baseline import Baseline, baseline, without_baseline
from snndeploy.decision import EarlyDecision
from snndeploy.duty import Duty, Use, duty
from snndeploy.energy import (
    EVENT_KINDS,
    PHASES,
    EnergyLedger,
    EnergyRow,
    EventCounts,
    EventKind,
    Level,
    Phase,
    price,
)
from snndeploy.inference import Deployed
from snndeploy.ir.arrays import AnyArray
from snndeploy.ir.network import Network
from snndeploy.latency import Latency as Latency
from snndeploy.latency import latency_of
from snndeploy.measured import Measured, measure
from snndeploy.neurobench import NeuroBench
from snndeploy.operations import accelerator_prices
from snndeploy.quantity import GRADES, Grade, weakest
from snndeploy.repricing import SerialTime, price_run
from snndeploy.samples import Samples
from snndeploy.target import PricedChip, Progress, no_progress
from snndeploy.verdict import Verdict, judge

Range = tuple[float, float, float]
"""Low, nominal, high."""
PARTS: Mapping[str, tuple[EventKind, ...]] = {
    "synapses": ("synaptic_op", "synaptic_word"),
    "neurons": ("neuron_idle", "neuron_active", "spike"),
    "network": ("message", "hop_x", "hop_y"),
    "barrier": ("barrier",),
    "host": ("host_in", "host_out", "reset"),
}
"""Events by what of the chip they happen in."""
STATIC = "static"


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerEstimate:
    """What one population did, per sample.

    Attributes:
        spikes_per_sample: in the windows of samples; fill and drain are in the ledger.
        rate: spikes per neuron and model step.
        energy_j: nominal dynamic energy of its events; `low_j` and `high_j` at those prices.
    """

    population: str
    n_neurons: int
    spikes_per_sample: float
    rate: float
    synaptic_ops_per_sample: float
    energy_j: float
    low_j: float
    high_j: float


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerLine:
    """One kind of event in one phase: its count in all, and joules per sample.

    Attributes:
        count: events in the whole run, exact; count * price summed over lines is the exact total.
        price_j: nominal joules per event.
        energy_j: per sample.
    """

    kind: str
    phase: str
    count: int
    per_sample: float
    price_j: float
    energy_j: Range
    grade: Grade
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Static:
    """Energy per sample of a chip that does nothing, for as long as the samples take."""

    power_w: float
    energy_j: Range
    grade: Grade
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PartEnergy:
    """Energy per sample of one of `PARTS`, or static energy."""

    part: str
    energy_j: Range


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """Energy, time and activity of one network on one chip, measured on samples.

    Attributes:
        priced_only: the chip's arithmetic is not modelled, `because` says what: the events are
            those of the network compiled for `events_of`, and there is no verdict.
        verdict: None for a chip that is priced only.
        steps: model steps per sample; `depth`: chip steps of the pipeline.
        period: chip steps from one sample's start to the next one's; `alone`: the host clears the
            chip between them.
        accuracy: of the integer network; None without labels.
        clipped: input values beyond the integer range.
        prices: name of the price table; `note`: what its file says of it.
        dynamic_j: energy per sample, the sum of the ledger; means nothing unless `is_priced`.
        static: None where the chip's static power is not public.
        missing: events that happened and have no public price, with their counts.
        grade: weakest grade of a price used; `weakest`: the events whose price has it.
        parts: dynamic energy by `PARTS`, then static energy.
        latency: None where the chip's latencies are not public, or it is priced only.
        serial: time of a chip that is priced only and does one thing after the other.
        early: accuracy of deciding before the window ends.
        baseline: the same network as an ANN; None if it has no such reading, and `no_baseline`
            says why.
        duty: average power at the user's rate; None if no rate was given.
        trace: arrays for `numpy.savez`, if asked for.
    """

    target: str
    title: str
    priced_only: bool
    events_of: str
    because: str
    verdict: Verdict | None
    n_samples: int
    steps: int
    depth: int
    period: int
    alone: bool
    accuracy: float | None
    clipped: int
    layers: tuple[LayerEstimate, ...]
    prices: str
    note: str
    ledger: tuple[LedgerLine, ...]
    dynamic_j: Range
    static: Static | None
    missing: tuple[tuple[str, int], ...]
    grade: str
    weakest: tuple[str, ...]
    parts: tuple[PartEnergy, ...]
    latency: Latency | None
    serial: SerialTime | None
    early: tuple[EarlyDecision, ...]
    neurobench: NeuroBench
    arithmetic: ArithmeticBound
    baseline: Baseline | None
    no_baseline: str
    duty: Duty | None
    trace: Mapping[str, AnyArray] | None = None

    @property
    def is_priced(self) -> bool:
        """Whether any event has a public price; otherwise its dynamic energy is not known."""
        return bool(self.ledger)

    @property
    def dynamic_grade(self) -> Grade:
        """The weakest grade of a price of an event; static energy left out."""
        return weakest(line.grade for line in self.ledger)


def estimate(
    deployed: Deployed,
    samples: Samples,
    *,
    timing: Level = "bound",
    use: Use | None = None,
    threads: int = 1,
    trace: Mapping[str, tuple[int, ...]] | None = None,
    progress: Progress = no_progress,
) -> Estimate:
    """Simulate samples, price the events and time the steps.

    Args:
        deployed: a network that fits its chip.
        samples: what it is measured on.
        timing: how closely the network on the chip is followed.
        use: rate and surroundings, for the average power.
        threads: of the simulator.
        trace: neurons whose states are traced, by population; None keeps no trace.
        progress: called with samples done and total, then with chip steps beyond `bound`, then
            with samples again.

    Raises:
        CapacityError: it does not fit.
        ModelError: arrays that do not fit the inputs; E3007, the chip does not state the network
            that the level follows; E3020 and E3021, of the trace.
        UsageError: E5068, the chip cannot answer at that rate.
    """
    run = measure(deployed, samples, timing=timing, threads=threads, trace=trace, progress=progress)
    return estimate_of(run, use=use)


def estimate_of(
    measured: Measured, *, chip: PricedChip | None = None, use: Use | None = None
) -> Estimate:
    """Price what a run showed.

    Args:
        measured: of a network on the chip it was compiled for.
        chip: one that is priced only, in its place.
        use: rate and surroundings, for the average power.

    Raises:
        UsageError: E5068, the chip cannot answer at that rate.
    """
    deployed, network, activity = measured.deployed, measured.network, measured.activity
    own, counts = deployed.target, measured.counts
    elsewhere = price_run(counts, chip, counts_from=own.name) if chip else None
    timed = None if elsewhere else measured.timing
    named: PricedChip = chip or own.chip
    table = named.prices[named.default_prices]
    ledger = elsewhere.ledger if elsewhere else price(counts, table, timed)
    lines = tuple(
        _line(row, counts.n_samples)
        for row in sorted((row for row in ledger.rows if row.kind != STATIC), key=_order)
    )
    static = _static(ledger)
    latency = latency_of(network, counts, timed) if timed else None
    serial = elsewhere.time if elsewhere else None
    no_baseline = without_baseline(network)
    return Estimate(
        target=chip.name if chip else own.name,
        title=named.title,
        priced_only=chip is not None,
        events_of=own.name,
        because=named.because,
        verdict=None if chip else judge(own.chip, deployed.placement, ()),
        n_samples=counts.n_samples,
        steps=network.steps,
        depth=network.depth,
        period=network.period,
        alone=network.alone,
        accuracy=measured.accuracy,
        clipped=measured.clipped,
        layers=_layers(network, counts, ledger),
        prices=ledger.table,
        note=table.note,
        ledger=lines,
        dynamic_j=_total(line.energy_j for line in lines),
        static=static,
        missing=tuple(sorted(ledger.missing.items())),
        grade=ledger.grade,
        weakest=_weakest(lines, static),
        parts=_parts(lines, static),
        latency=latency,
        serial=serial,
        early=measured.early,
        neurobench=measured.metrics,
        arithmetic=arithmetic_bound(
            measured.metrics.synaptic_operations, counts.total("synaptic_op") / counts.n_samples
        ),
        baseline=None if no_baseline else baseline(network, activity, accelerator_prices(table)),
        no_baseline=no_baseline,
        duty=_duty(use, named, ledger, lines, _service(latency, serial, counts.n_samples))
        if use
        else None,
        trace=measured.trace,
    )


def _duty(
    use: Use,
    chip: PricedChip,
    ledger: EnergyLedger,
    lines: tuple[LedgerLine, ...],
    service: tuple[float | None, float | None],
) -> Duty:
    decision_s, most_hz = service
    return duty(
        use,
        chip=chip.name,
        dynamic_j=_total(line.energy_j for line in lines) if lines else None,
        unpriced=any(kind != STATIC for kind in ledger.missing),
        grade=weakest(line.grade for line in lines),
        static=chip.prices[chip.default_prices].static_w,
        power=chip.power,
        decision_s=decision_s,
        most_hz=most_hz,
    )


def _service(
    latency: Latency | None, serial: SerialTime | None, n_samples: int
) -> tuple[float | None, float | None]:
    """Return how long a sample is in the chip, and the samples per second it can answer."""
    if latency is not None:
        return latency.decision_s, latency.throughput_hz
    if serial is not None:
        return serial.total_s / n_samples, n_samples / serial.total_s
    return None, None


def _total(energies: Iterable[Range]) -> Range:
    listed = list(energies)
    low, nominal, high = (sum(energy[i] for energy in listed) for i in range(3))
    return low, nominal, high


def _weakest(lines: tuple[LedgerLine, ...], static: Static | None) -> tuple[str, ...]:
    """Return the events whose price has the weakest grade of all that were used."""
    used = [(line.kind, line.grade) for line in lines]
    used += [(STATIC, static.grade)] if static else []
    worst = max((GRADES.index(grade) for _, grade in used), default=0)
    return tuple(dict.fromkeys(kind for kind, grade in used if grade == GRADES[worst]))


def _parts(lines: tuple[LedgerLine, ...], static: Static | None) -> tuple[PartEnergy, ...]:
    parts = [
        PartEnergy(
            part=part, energy_j=_total(line.energy_j for line in lines if line.kind in kinds)
        )
        for part, kinds in PARTS.items()
        if any(line.kind in kinds for line in lines)
    ]
    if static is not None:
        parts.append(PartEnergy(part=STATIC, energy_j=static.energy_j))
    return tuple(parts)


def _order(row: EnergyRow) -> tuple[int, int]:
    """Work first, then the pipeline's filling and draining; kinds as they are listed."""
    return PHASES.index(cast("Phase", row.phase)), EVENT_KINDS.index(cast("EventKind", row.kind))


def _line(row: EnergyRow, n_samples: int) -> LedgerLine:
    return LedgerLine(
        kind=row.kind,
        phase=row.phase,
        count=int(row.count),
        per_sample=int(row.count) / n_samples,
        price_j=float(row.price.nominal),
        energy_j=_per_sample(row, n_samples),
        grade=row.price.grade,
        source=row.price.source,
    )


def _per_sample(row: EnergyRow, n_samples: int) -> Range:
    energy = row.energy
    low, nominal, high = (
        float(value) / n_samples for value in (energy.low, energy.nominal, energy.high)
    )
    return low, nominal, high


def _static(ledger: EnergyLedger) -> Static | None:
    for row in ledger.rows:
        if row.kind == "static":
            return Static(
                power_w=float(row.price.nominal),
                energy_j=_per_sample(row, ledger.n_samples),
                grade=row.price.grade,
                source=row.price.source,
            )
    return None


def _layers(
    network: Network, counts: EventCounts, ledger: EnergyLedger
) -> tuple[LayerEstimate, ...]:
    energy: defaultdict[str, list[Range]] = defaultdict(list)
    for row in ledger.by_population:
        energy[row.population].append(_per_sample(row, counts.n_samples))
    names = np.array(counts.populations)
    layers = []
    for population in network.populations:
        rows = names == population.name
        in_windows = counts.phase[rows] == PHASES.index("work")
        spikes = int(counts.events["spike"][rows][in_windows].sum())
        cells = population.n * network.steps * counts.n_samples
        low, nominal, high = _total(energy[population.name])
        layers.append(
            LayerEstimate(
                population=population.name,
                n_neurons=population.n,
                spikes_per_sample=spikes / counts.n_samples,
                rate=spikes / cells,
                synaptic_ops_per_sample=int(counts.events["synaptic_op"][rows].sum())
                / counts.n_samples,
                energy_j=nominal,
                low_j=low,
                high_j=high,
            )
        )
    return tuple(layers)
