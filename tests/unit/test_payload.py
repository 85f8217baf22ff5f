"""What edges carry: proven ranges of a step, and logic that is refused where they are no spikes."""

from dataclasses import replace
from math import inf

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.payload import COUNTS, REAL, SPIKES, Payload
from snndeploy.passes.payload import edge_payloads
from tests.chains import chain_model, conv, flatten, graph_model, integrate_and_fire, pool
from tests.generator.models import CONSTRUCTS, random_model

IMAGE = (2, 4, 4)


FIRE = integrate_and_fire(IMAGE)
EDGES = {
    "spikes at the input": ([nir.Scale(scale=np.ones(IMAGE))], {}, SPIKES),
    "real values at the input": (
        [flatten(IMAGE)], {"values": "real", "low": -2.0, "high": 3.0}, Payload(-2, 3, False),
    ),
    "a sum pool": ([pool(nir.SumPool2d, 2)], {}, Payload(0, 4, True)),
    "an average pool": ([pool(nir.AvgPool2d, 2)], {}, Payload(0, 1, False)),
    "whole weights": (
        [flatten(IMAGE), nir.Linear(weight=np.full((1, 32), -1.0))], {}, Payload(-32, 0, True),
    ),
    "a convolution with a bias": (
        [conv(np.ones((1, 2, 2, 2)), (4, 4), bias=np.array([0.5]))], {}, Payload(0.5, 8.5, False),
    ),
    "a factor per element": (
        [nir.Scale(scale=np.linspace(-1, 2, 32).reshape(IMAGE))], {}, Payload(-1, 2, False),
    ),
    "a delay": ([FIRE, nir.Delay(delay=np.full(IMAGE, 2e-4))], {}, SPIKES),
    "a neuron": ([nir.Scale(scale=np.full(IMAGE, 0.3)), FIRE], {}, SPIKES),
    "a leaky readout": (
        [nir.LI(tau=np.ones(IMAGE), r=np.ones(IMAGE), v_leak=np.zeros(IMAGE))], {}, REAL,
    ),
}  # fmt: skip


SHAPES = {
    "real values at the input": (32,), "a sum pool": (2, 2, 2), "an average pool": (2, 2, 2),
    "whole weights": (1,), "a convolution with a bias": (1, 3, 3),
}  # fmt: skip


@pytest.mark.parametrize("case", EDGES)
def test_payload_of_an_edge(case):
    nodes, options, want = EDGES[case]
    model = chain_model(*nodes, shape=IMAGE, out_shape=SHAPES.get(case, IMAGE), **options)
    assert list(edge_payloads(model).values())[-1] == want


def test_several_spikes_per_step_are_counts_and_sums_of_spikes_whole_numbers():
    nodes = {"a": FIRE, "b": integrate_and_fire(IMAGE), "g": nir.Scale(scale=np.ones(IMAGE))}
    edges = [("in", "a"), ("in", "b"), ("a", "g"), ("b", "g"), ("g", "out")]
    model = graph_model(nodes, edges, inputs={"in": IMAGE}, outputs={"out": IMAGE}, steps=4)
    assert edge_payloads(model)["g", "out"] == Payload(0, 2, True)
    many = replace(model, semantics=replace(model.semantics, multi_spike=True, reset="subtract"))
    assert edge_payloads(many)["a", "g"] == COUNTS
    assert edge_payloads(many)["g", "out"] == Payload(0, inf, True)
    assert COUNTS.text == "whole numbers from 0 up"


@given(st.sampled_from(sorted(CONSTRUCTS)), st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_what_the_float_model_sends_lies_in_the_payload_of_its_edge(construct, seed):
    rng = np.random.default_rng(seed)
    model = random_model(rng, constructs=(construct,), most=1)
    inner = tuple(n for n in model.graph.nodes if n not in {p.name for p in model.outputs})
    record = tuple(n for n in inner if n not in {p.name for p in model.inputs})
    x = {
        port.name: (rng.random((model.steps, 3, *port.shape)) < 0.4).astype(float)
        for port in model.inputs
    }
    values = run_float(model, x, record=record)
    for (source, _), payload in edge_payloads(model).items():
        if source in values:
            assert payload.low - 1e-9 <= values[source].min()
            assert values[source].max() <= payload.high + 1e-9
            assert not payload.is_whole or np.all(values[source] == np.rint(values[source]))
