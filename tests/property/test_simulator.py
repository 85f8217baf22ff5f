"""The simulator's answer depends on neither its chunks nor the words that it computes in."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings

from hwtargets.simulator import engine
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.program import INT32, as_params
from snndeploy.ir.programs import PROGRAMS
from snndeploy.ir.synapses import Dense
from tests.generator.case import Case, difference, simulate
from tests.generator.networks import networks
from tests.generator.neurons import ALL_PROGRAMS


@settings(max_examples=40, deadline=None)
@given(networks(programs=tuple(ALL_PROGRAMS)))
def test_chunks_do_not_change_the_answer(case):
    network, inputs = case
    runs = []
    for cells in (1, 1 << 30):
        chunks = list(engine.simulate(network, inputs, record=(), chunk_cells=cells))
        runs.append(
            {name: np.concatenate([chunk.sent[name] for chunk in chunks]) for name in network.nodes}
        )
    for name in network.nodes:
        assert np.array_equal(runs[0][name], runs[1][name])


@pytest.mark.parametrize("name", ["sigma", "graded_sum"])
def test_payloads_beyond_the_words_of_floats_stay_exact(name):
    rng = np.random.default_rng(0)
    wide = as_params({"low": INT32[0], "high": INT32[1]})
    chain = ("in", "p0", "p1", "p2")
    network = Network(
        name="wide", steps=4,
        sources=(Source(name="in", shape=(6,), low=-2047, high=2047, encoding="graded"),),
        populations=tuple(
            Population(name=p, shape=(6,), program=PROGRAMS[name], params=wide, wave=i + 1)
            for i, p in enumerate(chain[1:])
        ),
        projections=tuple(
            Projection(
                name=f"{a}{b}", source=a, target=b,
                synapse=Dense(weight=2 * rng.integers(-128, 128, size=(6, 6))),
            )
            for a, b in pairwise(chain)
        ),
        outputs=(),
    )  # fmt: skip
    inputs = {"in": rng.integers(-2047, 2048, size=(4, 5, 6))}
    case = Case(network, inputs)
    want = case.traces
    assert np.any(want["p1"].spikes != want["p1"].spikes.astype(np.float32))
    assert np.abs(want["p2"].spikes).max() > 1 << 30
    assert difference(case, simulate(case)) is None
