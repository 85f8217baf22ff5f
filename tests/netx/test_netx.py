"""lava-dl's netx, on Lava, computes from our `.net` files what the reference computes.

Run by `make test-netx`, which makes the environment: SNNDEPLOY_NETX_PYTHON names its interpreter.
"""

from itertools import count

import numpy as np
import pytest
from asking import PYTHON, ask_netx
from sequences import mixed_sequence, random_sequence

from snndeploy.errors import UnsupportedError
from snndeploy.exporters.netx import netx_file
from snndeploy.ir.interpret import run_reference

N_NETWORKS = 20
pytestmark = pytest.mark.skipif(not PYTHON, reason="make test-netx runs it")


def first_files(n):
    """Return the first n sequences that a `.net` file holds: seed, network, inputs, file."""
    network, inputs = mixed_sequence()
    found = [("mixed", network, inputs, netx_file(network)[0])]
    for seed in count():
        network, inputs = random_sequence(seed)
        try:
            found.append((seed, network, inputs, netx_file(network)[0]))
        except UnsupportedError:
            continue
        if len(found) == n:
            return found
    return found


def run_netx(network, inputs, data, folder):
    """Return what netx's layers hold: per population u and v, and the last one's spikes."""
    (source,) = network.sources
    frames = inputs[source.name]
    n_samples, steps = frames.shape[1], network.chip_steps(frames.shape[1])
    x = np.zeros((steps, source.n), dtype=np.int64)
    for sample in range(n_samples):
        start = sample * network.period
        x[start : start + network.steps] = frames[:, sample].reshape(network.steps, -1)
    bits = max(abs(source.low), source.high).bit_length() + 1 if source.is_graded else 0
    return ask_netx(
        folder, data, x, shape=source.shape, message_bits=bits, reset_interval=network.period
    )


def windows(network, population, log):
    starts = population.wave + np.arange(len(log)) * network.period
    starts = [s for s in starts if s + network.steps <= len(log)]
    return np.stack([log[start : start + network.steps] for start in starts], axis=1)


def test_netx_on_lava_equals_the_reference(tmp_path, tell):
    compared = fired = 0
    for seed, network, inputs, data in first_files(N_NETWORKS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        got = run_netx(network, inputs, data, folder)
        want = run_reference(network, inputs, record=tuple(network.population))
        for index, population in enumerate(network.populations):
            for word in ("u", "v"):
                mine = windows(network, population, got[f"{word}{index}"])
                theirs = want[population.name].states[word]
                np.testing.assert_array_equal(
                    mine[:, : theirs.shape[1]], theirs, f"{seed} {population.name}.{word}"
                )
                compared += theirs.size
        last = network.populations[-1]
        spikes = want[last.name].spikes
        mine = windows(network, last, got["out"])[:, : spikes.shape[1]]
        np.testing.assert_array_equal(mine, spikes, f"{seed} spikes")
        fired += any(0 < t.spikes.sum() < t.spikes.size for t in want.values())
    tell(f"{N_NETWORKS} .net files, netx on Lava = reference: {compared:,} states, {fired} fire")
    assert fired >= N_NETWORKS * 3 // 4
