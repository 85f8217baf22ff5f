"""Probe inputs: what a bundle is checked with, by us, by its owner, on any executor."""

import numpy as np

from snndeploy.frames import longest
from snndeploy.inference import Deployed, encode_samples
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Source
from snndeploy.samples import Samples

N_CALIBRATION = 16
N_RANDOM = 2
UNENDING = 64
DENSITIES = (2, 10, 30)
"""Share of active inputs per step, in percent: sparse events, typical rates, a stress."""


def make_probes(
    deployed: Deployed, samples: Samples | None
) -> tuple[dict[str, IntArray], tuple[str, ...]]:
    """Return integers [P, B, *shape] per source, and what each of the B samples is.

    Args:
        deployed: the network that is probed.
        samples: calibration data; the first 16 are used as the host encodes them. A network
            without end is probed for as long as they last, else for `UNENDING` steps.
    """
    steps = deployed.network.steps or (longest(samples.x) if samples else UNENDING)
    sources = deployed.network.inputs
    parts: dict[str, list[IntArray]] = {source.name: [] for source in sources}
    names: list[str] = []
    if samples is not None:
        encoded, _ = encode_samples(deployed, samples.first(N_CALIBRATION))
        for name, values in encoded.items():
            parts[name].append(values)
        names += [f"data {i}" for i in range(min(samples.n, N_CALIBRATION))]
    for percent in DENSITIES:
        for index, source in enumerate(sources):
            rng = np.random.default_rng([percent, index])
            parts[source.name].append(_random(source, steps, percent, rng))
        names += [f"random {percent} % {i}" for i in range(N_RANDOM)]
    return {name: np.concatenate(values, axis=1) for name, values in parts.items()}, tuple(names)


def _random(source: Source, steps: int, percent: int, rng: np.random.Generator) -> IntArray:
    """Draw integers of the source's range in `percent` of all cells, 0 elsewhere."""
    shape = (steps, N_RANDOM, *source.shape)
    values = rng.integers(source.low, source.high, endpoint=True, size=shape)
    if not source.is_graded:
        values = np.ones(shape, dtype=np.int64)
    return np.where(rng.random(shape) < percent / 100, values, 0)
