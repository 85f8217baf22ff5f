"""What a run keeps: traces of the recorded populations in model time, and overflows by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hwtargets.simulator.engine import Chunk
from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.network import Network
from snndeploy.ir.trace import PopulationTrace


@dataclass(eq=False, kw_only=True, slots=True)
class Recorder:
    """Collects chunks; filled while the simulation runs.

    Attributes:
        words: per recorded population its spikes `s` and states `u`, `v`, [P, B, n].
        overflows: `population.u_wraps` and `population.v_clips`, fill and drain included.
    """

    n_samples: int
    words: dict[str, dict[str, IntArray]]
    overflows: dict[str, int] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        """Take what a chunk brings of the windows that carry samples."""
        real = (chunk.windows >= 0) & (chunk.windows < self.n_samples)
        samples = chunk.windows[real]
        for name, words in self.words.items():
            ran = chunk.ran[name]
            for word, values in (("s", ran.spikes), ("u", ran.u), ("v", ran.v)):
                words[word][:, samples] = np.swapaxes(_kept(values)[real], 0, 1)
        for name, ran in chunk.ran.items():
            for key, n in (("u_wraps", ran.u_wraps), ("v_clips", ran.v_clips)):
                self.overflows[f"{name}.{key}"] = self.overflows.get(f"{name}.{key}", 0) + n

    def traces(self) -> Mapping[str, PopulationTrace]:
        """Return what was recorded."""
        return {
            name: PopulationTrace(spikes=words["s"], states={"u": words["u"], "v": words["v"]})
            for name, words in self.words.items()
        }


def recorder(network: Network, record: tuple[str, ...], n_samples: int) -> Recorder:
    """Return an empty recorder of some populations."""
    words = {
        name: {
            word: np.zeros((network.steps, n_samples, network.population[name].n), dtype=np.int64)
            for word in ("s", "u", "v")
        }
        for name in record
    }
    return Recorder(n_samples=n_samples, words=words)


def _kept(values: AnyArray | None) -> AnyArray:
    assert values is not None, "recorded populations keep their states"
    return values
