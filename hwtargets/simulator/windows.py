"""When things happen: windows of samples, their chip steps, and which of them exist.

Every population is reset at the start of each of its windows and every delay equals the difference
of two wave offsets minus one, so window n of a population depends on window n of its sources
alone. Window n, step k of a node with wave offset w is chip step n * P + w + k. Windows before
sample 0 fill the pipeline and windows after the last one drain it: their chip steps exist too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.ir.arrays import BoolArray, IntArray
from snndeploy.ir.network import Network, Population


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """Windows of one run.

    Attributes:
        steps: model steps per window (P).
        n_samples: windows that carry a sample, numbered 0 .. n_samples - 1.
        depth: the largest wave offset.
    """

    steps: int
    n_samples: int
    depth: int

    @property
    def n_chip_steps(self) -> int:
        return self.n_samples * self.steps + self.depth

    @property
    def first(self) -> int:
        """The first window in which any population has a chip step >= 0."""
        return -self.depth // self.steps

    @property
    def stop(self) -> int:
        """One past the last window in which any node has a chip step that exists."""
        return self.n_samples - (-self.depth // self.steps)

    def chunks(self, size: int) -> Iterator[IntArray]:
        """Yield window numbers in order, at most `size` at a time."""
        for start in range(self.first, self.stop, size):
            yield np.arange(start, min(start + size, self.stop))

    def chip_step(self, windows: IntArray, wave: int) -> IntArray:
        """Return chip steps [n_windows, P], some of which may not exist."""
        return windows[:, None] * self.steps + wave + np.arange(self.steps)

    def exists(self, windows: IntArray, wave: int) -> BoolArray:
        """Return which of those chip steps exist [n_windows, P]."""
        t = self.chip_step(windows, wave)
        return (t >= 0) & (t < self.n_chip_steps)


def frames_of(inputs: IntArray, windows: IntArray) -> IntArray:
    """Return what a source injects in some windows [n_windows, P, n]: zeros outside the samples.

    Args:
        inputs: [P, B, *shape].
        windows: window numbers.
    """
    steps, n_samples = inputs.shape[:2]
    n = prod(inputs.shape[2:])
    frames = np.zeros((len(windows), steps, n), dtype=np.int64)
    real = (windows >= 0) & (windows < n_samples)
    rows = inputs[:, windows[real]].reshape(steps, int(real.sum()), n)
    frames[real] = np.swapaxes(rows, 0, 1)
    return frames


def in_order(network: Network) -> tuple[Population, ...]:
    """Return the populations with every source before its target.

    Raises:
        UnsupportedError: E3002, a projection whose delay is not the difference of wave offsets
            minus one (a cycle, or unaligned branches): windows would depend on each other.
    """
    for projection in network.projections:
        source, target = network.nodes[projection.source], network.nodes[projection.target]
        if projection.delay != target.wave - source.wave - 1:
            raise UnsupportedError(
                "E3002",
                f"delay {projection.delay}, the simulator needs {target.wave - source.wave - 1}"
                " (wave of target - wave of source - 1)",
                where=projection.name,
                remedy="align the branches with the waves pass, or use the reference executor",
            )
    return tuple(sorted(network.populations, key=lambda population: population.wave))


def check_inputs(network: Network, inputs: Mapping[str, IntArray]) -> int:
    """Return the number of samples.

    Raises:
        ModelError: E3003, inputs of the wrong shape [P, B, *shape], or none.
    """
    samples = {int(inputs[s.name].shape[1]) for s in network.sources if s.name in inputs}
    for source in network.sources:
        shape = inputs[source.name].shape if source.name in inputs else None
        if len(samples) != 1 or shape != (network.steps, *samples, *source.shape):
            want = (network.steps, "B", *source.shape)
            raise ModelError("E3003", f"input is {shape}, must be {want}", where=source.name)
    return samples.pop()
