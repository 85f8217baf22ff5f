"""The estimate: simulate the user's samples, price what happened, time every chip step.

Nothing is assumed about rates: without data there is no estimate. All numbers are per sample,
pipeline fill and drain included.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np

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
from snndeploy.errors import CapacityError
from snndeploy.frames import longest
from snndeploy.inference import Deployed, run_deployed
from snndeploy.ir.network import Network
from snndeploy.latency import Latency as Latency
from snndeploy.latency import latency_of
from snndeploy.samples import Samples
from snndeploy.target import Progress, no_progress
from snndeploy.verdict import Verdict, judge

SIMULATOR = "sim"
Range = tuple[float, float, float]
"""Low, nominal, high."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerEstimate:
    """What one population did, per sample.

    Attributes:
        spikes_per_sample: in the windows of samples; fill and drain are in the ledger.
        rate: spikes per neuron and model step.
        energy_j: nominal dynamic energy of its events.
    """

    population: str
    n_neurons: int
    spikes_per_sample: float
    rate: float
    synaptic_ops_per_sample: float
    energy_j: float


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
    grade: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Static:
    """Energy per sample of a chip that does nothing, for as long as the samples take."""

    power_w: float
    energy_j: Range
    grade: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """Energy, time and activity of one network on one chip, measured on samples.

    Attributes:
        steps: model steps per sample; `depth`: chip steps of the pipeline.
        period: chip steps from one sample's start to the next one's; `alone`: the host clears the
            chip between them.
        accuracy: of the integer network; None without labels.
        clipped: input values beyond the integer range.
        prices: name of the price table.
        dynamic_j: energy per sample, the sum of the ledger.
        static: None where the chip's static power is not public.
        missing: events that happened and have no public price, with their counts.
        grade: weakest grade of a price used.
        latency: None where the chip's latencies are not public.
    """

    target: str
    title: str
    verdict: Verdict
    n_samples: int
    steps: int
    depth: int
    period: int
    alone: bool
    accuracy: float | None
    clipped: int
    layers: tuple[LayerEstimate, ...]
    prices: str
    ledger: tuple[LedgerLine, ...]
    dynamic_j: Range
    static: Static | None
    missing: tuple[tuple[str, int], ...]
    grade: str
    latency: Latency | None


def ignore_counts(counts: EventCounts) -> None:
    """Let the counts go."""


def estimate(
    deployed: Deployed,
    samples: Samples,
    *,
    timing: Level = "bound",
    progress: Progress = no_progress,
    counted: Callable[[EventCounts], None] = ignore_counts,
) -> Estimate:
    """Simulate samples, price the events and time the steps.

    Args:
        deployed: a network that fits its chip.
        samples: what it is measured on.
        timing: how closely the network on the chip is followed.
        progress: called with samples done and total.
        counted: called with the exact counts of the run, to price them elsewhere too.

    Raises:
        CapacityError: it does not fit.
        ModelError: arrays that do not fit the inputs; E3006, the chip has no latencies; E3007, it
            does not state the network that the level follows.
    """
    chip, network = deployed.target.chip, deployed.network.lasting(longest(samples.x))
    if deployed.placement is None:
        violations = getattr(deployed, "violations", ())
        raise CapacityError(deployed.target.name, violations)
    answer = run_deployed(deployed, samples, SIMULATOR, timing=timing, progress=progress)
    assert answer.result is not None
    assert answer.result.counts is not None
    counts, timed = answer.result.counts, answer.result.timing
    counted(counts)
    ledger = price(counts, chip.prices[chip.default_prices], timed)
    events = (row for row in ledger.rows if row.kind != "static")
    lines = tuple(_line(row, counts.n_samples) for row in sorted(events, key=_order))
    low, nominal, high = (sum(line.energy_j[i] for line in lines) for i in range(3))
    return Estimate(
        target=deployed.target.name,
        title=chip.title,
        verdict=judge(chip, deployed.placement, ()),
        n_samples=counts.n_samples,
        steps=network.steps,
        depth=network.depth,
        period=network.period,
        alone=network.alone,
        accuracy=answer.accuracy,
        clipped=sum(answer.clipped.values()),
        layers=_layers(network, counts, ledger),
        prices=ledger.table,
        ledger=lines,
        dynamic_j=(low, nominal, high),
        static=_static(ledger),
        missing=tuple(sorted(ledger.missing.items())),
        grade=ledger.grade,
        latency=latency_of(network, counts, timed) if timed else None,
    )


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
    energy: defaultdict[str, float] = defaultdict(float)
    for row in ledger.by_population:
        energy[row.population] += float(row.energy.nominal)
    names = np.array(counts.populations)
    layers = []
    for population in network.populations:
        rows = names == population.name
        in_windows = counts.phase[rows] == PHASES.index("work")
        spikes = int(counts.events["spike"][rows][in_windows].sum())
        cells = population.n * network.steps * counts.n_samples
        layers.append(
            LayerEstimate(
                population=population.name,
                n_neurons=population.n,
                spikes_per_sample=spikes / counts.n_samples,
                rate=spikes / cells,
                synaptic_ops_per_sample=int(counts.events["synaptic_op"][rows].sum())
                / counts.n_samples,
                energy_j=energy[population.name] / counts.n_samples,
            )
        )
    return tuple(layers)
