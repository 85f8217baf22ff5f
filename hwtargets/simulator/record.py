"""What a run keeps: traces of the recorded populations in model time, and overflows by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hwtargets.simulator.engine import Chunk
from hwtargets.simulator.windows import Schedule
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Population
from snndeploy.ir.trace import PopulationTrace


@dataclass(eq=False, kw_only=True, slots=True)
class Recorder:
    """Collects chunks; filled while the simulation runs.

    Attributes:
        spikes: per recorded population what it sent [P, B, n].
        states: its states by name [P, B, n].
        overflows: `population.u_wraps`, `population.v_clips` and the like, fill and drain included.
    """

    schedule: Schedule
    spikes: dict[str, IntArray]
    states: dict[str, dict[str, IntArray]]
    overflows: dict[str, int] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        """Take what a chunk brings of the windows that carry samples."""
        real = (chunk.windows >= 0) & (chunk.windows < self.schedule.n_samples)
        samples = chunk.windows[real]
        for name, spikes in self.spikes.items():
            ran = chunk.ran[name]
            start = self.schedule.model_start(self.schedule.network.nodes[name].wave)
            window = slice(start, start + len(spikes))
            spikes[:, samples] = np.swapaxes(ran.spikes[real, window], 0, 1)
            for state, values in self.states[name].items():
                values[:, samples] = np.swapaxes(ran.states[state][real, window], 0, 1)
        for name, ran in chunk.ran.items():
            for key, n in ran.overflows.items():
                self.overflows[f"{name}.{key}"] = self.overflows.get(f"{name}.{key}", 0) + n

    def traces(self) -> Mapping[str, PopulationTrace]:
        """Return what was recorded."""
        return {
            name: PopulationTrace(spikes=spikes, states=self.states[name])
            for name, spikes in self.spikes.items()
        }


def recorder(schedule: Schedule, record: tuple[str, ...]) -> Recorder:
    """Return an empty recorder of some populations."""
    network = schedule.network
    populations = [network.population[name] for name in record]

    def empty(population: Population) -> IntArray:
        return np.zeros((network.steps, schedule.n_samples, population.n), dtype=np.int64)

    return Recorder(
        schedule=schedule,
        spikes={p.name: empty(p) for p in populations},
        states={p.name: {s.name: empty(p) for s in p.program.states} for p in populations},
    )
