"""When things happen: windows of samples, their chip steps, and which of them exist.

Every population is reset at the start of each of its windows and nothing it takes there was sent
before its source's window, so window n of a population depends on window n of its sources alone.
While the pipeline fills a lag may carry spikes from one window into the next: those run in turn.
Streamed, window n, step k of a node with wave offset w is chip step n * period + w + k; windows
before sample 0 fill the pipeline and windows after the last one drain it: their chip steps exist
too. Where samples run alone a window is all chip steps of a sample, for every node: what arrives
then lags by 1 + delay steps, and the reset comes at step w.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.ir.arrays import BoolArray, IntArray
from snndeploy.ir.network import Network, Population, Projection, Source


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Windows of one run; those that carry a sample are numbered 0 .. n_samples - 1."""

    network: Network
    n_samples: int

    @cached_property
    def steps(self) -> int:
        """Chip steps of a window."""
        return self.network.period

    @cached_property
    def n_chip_steps(self) -> int:
        return self.network.chip_steps(self.n_samples)

    @property
    def first(self) -> int:
        """The first window in which any population has a chip step >= 0."""
        return 0 if self.network.alone else -self.network.depth // self.steps

    @property
    def stop(self) -> int:
        """One past the last window in which any node has a chip step that exists."""
        return -(-self.n_chip_steps // self.steps)

    @property
    def hands_on(self) -> bool:
        """Whether spikes may be under way from window to window while the pipeline fills."""
        return not self.network.alone and any(p.lag for p in self.network.projections)

    def chunks(self, size: int) -> Iterator[IntArray]:
        """Yield window numbers in order, at most `size` at a time; in turn while they hand on."""
        together = 0 if self.hands_on else self.first
        for window in range(self.first, together):
            yield np.array([window])
        for start in range(together, self.stop, size):
            yield np.arange(start, min(start + size, self.stop))

    def model_start(self, wave: int) -> int:
        """Return the step of a node's windows that is model step 0, where it is reset."""
        return wave if self.network.alone else 0

    def lag(self, projection: Projection) -> int:
        """Return how many steps of its windows a projection lags."""
        return 1 + projection.delay if self.network.alone else projection.lag

    def chip_step(self, windows: IntArray, wave: int) -> IntArray:
        """Return chip steps [n_windows, steps], some of which may not exist."""
        start = 0 if self.network.alone else wave
        return windows[:, None] * self.steps + start + np.arange(self.steps)

    def exists(self, windows: IntArray, wave: int) -> BoolArray:
        """Return which of those chip steps exist [n_windows, steps]."""
        t = self.chip_step(windows, wave)
        return (t >= 0) & (t < self.n_chip_steps)

    def span(self, windows: IntArray, wave: int) -> tuple[slice, slice]:
        """Return which frames of consecutive windows exist, and their chip steps."""
        first = int(windows[0]) * self.steps + (0 if self.network.alone else wave)
        start = min(max(-first, 0), len(windows) * self.steps)
        stop = max(start, min(self.n_chip_steps - first, len(windows) * self.steps))
        return slice(start, stop), slice(first + start, first + stop)

    def injected(self, source: Source, inputs: IntArray | None, windows: IntArray) -> IntArray:
        """Return what a source sends in some windows [n_windows, steps, n].

        `inputs` are [P, B, *shape], None for a source that takes no array.
        """
        start, steps = self.model_start(source.wave), self.network.steps
        frames = np.zeros((len(windows), self.steps, source.n), dtype=np.int64)
        if source.encoding == "bias":
            frames[:, start : start + steps] = 1
        elif source.encoding == "guard":
            frames[:, np.arange(start - self.network.guard, start) % self.steps] = 1
        else:
            assert inputs is not None
            real = (windows >= 0) & (windows < self.n_samples)
            rows = inputs[:, windows[real]].reshape(steps, int(real.sum()), source.n)
            frames[real, start : start + steps] = np.swapaxes(rows, 0, 1)
        exists = self.exists(windows, source.wave)
        return frames if exists.all() else frames * exists[:, :, None]


def schedule_of(network: Network, inputs: Mapping[str, IntArray]) -> Schedule:
    """Return the windows of a run.

    Raises:
        UnsupportedError: E3002, a delay that does not follow from lag and waves: windows would not
            be windows.
        ModelError: E3003, inputs of the wrong shape [P, B, *shape], or none.
    """
    for projection in network.projections:
        source, target = network.nodes[projection.source], network.nodes[projection.target]
        needed = projection.lag + target.wave - source.wave - 1
        if projection.delay != needed:
            raise UnsupportedError(
                "E3002",
                f"delay {projection.delay}, lag and waves ask for {needed}",
                where=projection.name,
                remedy="align the branches with the waves pass, or use the reference executor",
            )
    return Schedule(network=network, n_samples=check_inputs(network, inputs))


def in_order(network: Network) -> tuple[tuple[Population, ...], ...]:
    """Return groups of populations, every source before its target; a group feeds back on itself.

    Groups are the strongly connected parts of the network; in a group, populations are in the
    order of their waves, in which those without a lag between them must run.
    """
    before = {p.name: {q.source for q in network.into(p.name)} for p in network.populations}
    reached = {name: _reached(name, before) for name in before}
    groups: list[tuple[Population, ...]] = []
    grouped: set[str] = set()
    for population in sorted(network.populations, key=lambda p: (len(reached[p.name]), p.wave)):
        name = population.name
        if name not in grouped:
            mates = {other for other in reached[name] if name in reached.get(other, ())} | {name}
            grouped |= mates
            members = (network.population[mate] for mate in mates)
            groups.append(tuple(sorted(members, key=lambda p: (p.wave, p.name))))
    return tuple(groups)


def _reached(name: str, before: Mapping[str, set[str]]) -> set[str]:
    """Return every node from which a way leads to a population."""
    found: set[str] = set()
    waiting = list(before[name])
    while waiting:
        source = waiting.pop()
        if source not in found:
            found.add(source)
            waiting += before.get(source, ())
    return found


def check_inputs(network: Network, inputs: Mapping[str, IntArray]) -> int:
    """Return the number of samples.

    Raises:
        ModelError: E3003, inputs of the wrong shape [P, B, *shape], or none.
    """
    samples = {int(inputs[s.name].shape[1]) for s in network.inputs if s.name in inputs}
    for source in network.inputs:
        shape = inputs[source.name].shape if source.name in inputs else None
        if len(samples) != 1 or shape != (network.steps, *samples, *source.shape):
            want = (network.steps, "B", *source.shape)
            raise ModelError("E3003", f"input is {shape}, must be {want}", where=source.name)
    return samples.pop()
