"""A trace of a run, in arrays by name: who spiked when, chosen neurons' states, loads on the chip.

    spikes.POP        uint8 [B, P, ceil(n / 8)], bits of numpy.packbits along the neurons:
                      numpy.unpackbits(a, axis=-1, count=n) is [B, P, n]
    payload.POP       int [B, P, n], instead of spikes where a population sends integers
    shape.POP         its shape
    neurons.POP       the chosen neurons [k], in the order they were given
    state.POP.WORD    int [B, P, k]: their state words after every step; `v` is the membrane

and, if the network is placed, per chip step (pipeline fill and drain included):

    rows.core, rows.population   [rows]: core (-1: the host) and population of every row
    core.synaptic_ops, core.spikes, core.messages   int [rows, chip steps]
    core.seconds      float [rows, chip steps]: when a core is done, if the chip states latencies
    links             [links]: "(x,y)>(x,y)" of every link
    link.messages     int [links, chip steps]
    step.seconds      float [chip steps], barrier included, if the chip states latencies

P are model steps of a sample, B samples. There are no objects: numpy.load(allow_pickle=False).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwtargets.simulator.engine import Chunk
from hwtargets.simulator.traffic import Traffic
from hwtargets.simulator.windows import Schedule
from snndeploy.energy import EventCounts, Timing
from snndeploy.errors import ModelError
from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.network import Network, Population

MAX_BYTES = 1 << 30
"""Largest trace, in memory."""
LOADS = {"core.synaptic_ops": "synaptic_op", "core.spikes": "spike", "core.messages": "message"}


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Tracer:
    """Collects chunks; filled while the simulation runs.

    Attributes:
        chosen: neurons whose states are kept, by population.
        arrays: see the module.
    """

    schedule: Schedule
    chosen: Mapping[str, IntArray]
    arrays: dict[str, AnyArray]

    def add(self, chunk: Chunk) -> None:
        """Take what a chunk brings of the windows that carry samples."""
        network = self.schedule.network
        real = (chunk.windows >= 0) & (chunk.windows < self.schedule.n_samples)
        samples = chunk.windows[real]
        if not len(samples):
            return
        for population in network.populations:
            start = self.schedule.model_start(population.wave)
            window, name = slice(start, start + network.steps), population.name
            values = chunk.sent[name].as_values()[real, window]
            if population.is_graded:
                self.arrays[f"payload.{name}"][samples] = values
            else:
                self.arrays[f"spikes.{name}"][samples] = np.packbits(values != 0, axis=-1)
        for name, neurons in self.chosen.items():
            start = self.schedule.model_start(network.population[name].wave)
            for word, states in chunk.ran[name].states.items():
                kept = states[real, start : start + network.steps][:, :, neurons]
                self.arrays[f"state.{name}.{word}"][samples] = kept

    def result(
        self, counts: EventCounts | None, traffic: Traffic | None, timing: Timing | None
    ) -> dict[str, AnyArray]:
        """Return the trace with what is known of the chip."""
        found = dict(self.arrays)
        if counts:
            found["rows.core"] = np.array(counts.cores)
            found["rows.population"] = np.array(counts.populations)
            for key, kind in LOADS.items():
                found[key] = counts.events[kind]  # type: ignore[index]
        if traffic:
            links = [f"({a[0]},{a[1]})>({b[0]},{b[1]})" for a, b in traffic.mesh.links]
            found["links"] = np.array(links, dtype=np.str_)
            found["link.messages"] = traffic.crossed
        if timing:
            found["core.seconds"], found["step.seconds"] = timing.core_s, timing.step_s
        return found


def tracer(schedule: Schedule, chosen: Mapping[str, tuple[int, ...]]) -> Tracer:
    """Return an empty trace.

    Args:
        schedule: of the run.
        chosen: neurons whose states are kept, by population.

    Raises:
        ModelError: E3020, there is no such population or neuron; E3021, the trace would be larger
            than `MAX_BYTES`.
    """
    network = schedule.network
    neurons = {name: _checked(network, name, indices) for name, indices in chosen.items()}
    shapes = {_key(population): _shape(population, schedule) for population in network.populations}
    for name, indices in neurons.items():
        for state in network.population[name].program.states:
            dtype = np.dtype(np.int32 if state.bits <= 32 else np.int64)
            shape = (schedule.n_samples, network.steps, len(indices))
            shapes[f"state.{name}.{state.name}"] = shape, dtype
    size = sum(int(np.prod(shape)) * dtype.itemsize for shape, dtype in shapes.values())
    if size > MAX_BYTES:
        raise ModelError(
            "E3021",
            f"the trace would have {size:,} bytes, the limit is {MAX_BYTES:,}",
            where="--trace",
            remedy="give fewer samples, or fewer neurons to --trace-neurons",
        )
    arrays: dict[str, AnyArray] = {
        k: np.zeros(shape, dtype) for k, (shape, dtype) in shapes.items()
    }
    arrays |= {f"shape.{p.name}": np.array(p.shape) for p in network.populations}
    arrays |= {f"neurons.{name}": indices for name, indices in neurons.items()}
    return Tracer(schedule=schedule, chosen=neurons, arrays=arrays)


def _key(population: Population) -> str:
    return f"{'payload' if population.is_graded else 'spikes'}.{population.name}"


def _shape(
    population: Population, schedule: Schedule
) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    frames = (schedule.n_samples, schedule.network.steps)
    if population.is_graded:
        return (*frames, population.n), np.dtype(np.int64)
    return (*frames, -(-population.n // 8)), np.dtype(np.uint8)


def _checked(network: Network, name: str, indices: tuple[int, ...]) -> IntArray:
    if name not in network.population:
        known = ", ".join(network.population)
        raise ModelError(
            "E3020",
            f"no population {name!r}",
            where="--trace-neurons",
            remedy=f"use one of {known}",
        )
    n = network.population[name].n
    outside = [index for index in indices if not 0 <= index < n]
    if outside:
        raise ModelError(
            "E3020",
            f"neuron {outside[0]} of {name}, which has {n:,}",
            where="--trace-neurons",
            remedy=f"choose neurons 0 to {n - 1}",
        )
    return np.array(indices, dtype=np.int64)
