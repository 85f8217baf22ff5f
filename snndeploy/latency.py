"""Step times as a user reads them: per step, per decision, per core, and what decides them."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from snndeploy.energy import BOTTLENECKS, HOST, EventCounts, Timing
from snndeploy.ir.arrays import FloatArray
from snndeploy.ir.network import Network


@dataclass(frozen=True, kw_only=True, slots=True)
class CoreTime:
    """How long one core takes per chip step.

    Attributes:
        seconds: mean over chip steps; `slowest_s`: of the step in which it takes longest.
        cycles: the same two in cycles, begun ones counted; None where the chip states none.
        decides: chip steps in which no core is slower.
    """

    core: int
    population: str
    seconds: float
    slowest_s: float
    cycles: float | None
    slowest_cycles: int | None
    decides: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """Time of a run's chip steps.

    Attributes:
        level: how closely the network on the chip was followed.
        step_s: mean time of a chip step; `slowest_s`: of the slowest one.
        decision_s: (steps + depth) mean chip steps, from a sample's first input to its answer.
        decision_p50_s, decision_p99_s: the same, added up sample by sample: the time within which
            half and 99 of 100 samples are answered (nearest rank: one of the samples' own times).
        throughput_hz: samples per second, one every `period` chip steps; where the host clears the
            chip between samples, the time that takes is not in it (it is not public).
        barrier_s: the part of a chip step that is synchronisation.
        critical: population of the core that decided most steps' time, and `critical_core`.
        critical_link: link with the most messages in most steps; empty if none left its tile.
        bottleneck: `memory`, `compute` or `traffic`: what took most of most steps.
        bottlenecks: chip steps by what took most of them.
        cycle_s: a cycle, None where the chip states none; `cycle_kind`: `clock`, or `reference`
            for a chip without one.
        cores: every core, in order.
        missing: latencies that the chip does not state, of events that happened.
    """

    level: str
    step_s: float
    slowest_s: float
    decision_s: float
    decision_p50_s: float
    decision_p99_s: float
    throughput_hz: float
    barrier_s: float
    critical: str
    critical_core: int
    critical_link: str
    bottleneck: str
    bottlenecks: dict[str, int]
    cycle_s: float | None
    cycle_kind: str
    cores: tuple[CoreTime, ...]
    missing: tuple[str, ...]
    grade: str


def latency_of(network: Network, counts: EventCounts, timing: Timing) -> Latency:
    """Return what the step times of a run say."""
    step_s = float(timing.step_s.mean())
    cores = _cores(counts, timing)
    decisions = decision_times(network, counts.n_samples, timing)
    busiest = max(cores, key=lambda core: core.decides)
    states = Counter(BOTTLENECKS[k] for k in timing.bottleneck.tolist())
    links = Counter(timing.links[k] for k in timing.critical_link.tolist() if k >= 0)
    return Latency(
        level=timing.level,
        step_s=step_s,
        slowest_s=float(timing.step_s.max()),
        decision_s=(network.steps + network.depth) * step_s,
        decision_p50_s=_quantile(decisions, 0.5),
        decision_p99_s=_quantile(decisions, 0.99),
        throughput_hz=1 / (network.period * step_s),
        barrier_s=timing.barrier_s,
        critical=busiest.population,
        critical_core=busiest.core,
        critical_link=max(links, key=links.__getitem__) if links else "",
        bottleneck=max(states, key=states.__getitem__),
        bottlenecks={state: states[state] for state in BOTTLENECKS},
        cycle_s=timing.cycle_s,
        cycle_kind=timing.cycle_kind,
        cores=cores,
        missing=timing.missing,
        grade=timing.grade,
    )


def decision_times(network: Network, n_samples: int, timing: Timing) -> FloatArray:
    """Return the time of each sample from its first input to its answer [B] s."""
    starts = np.arange(n_samples) * network.period
    passed = np.concatenate([[0.0], np.cumsum(timing.step_s)])
    times: FloatArray = passed[starts + network.steps + network.depth] - passed[starts]
    return times


def _quantile(values: FloatArray, share: float) -> float:
    return float(np.quantile(values, share, method="inverted_cdf"))


def _cores(counts: EventCounts, timing: Timing) -> tuple[CoreTime, ...]:
    decides = Counter(timing.critical_core.tolist())
    cycles = timing.core_cycles
    return tuple(
        CoreTime(
            core=core,
            population=counts.populations[row],
            seconds=float(timing.core_s[row].mean()),
            slowest_s=float(timing.core_s[row].max()),
            cycles=None if cycles is None else float(cycles[row].mean()),
            slowest_cycles=None if cycles is None else int(cycles[row].max()),
            decides=decides[core],
        )
        for core, row in sorted((core, row) for row, core in enumerate(counts.cores))
        if core != HOST
    )
