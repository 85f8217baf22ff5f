"""Encoding and readout on the host, and the verifier of networks."""

from dataclasses import replace

import numpy as np
import pytest

from snndeploy.errors import ModelError
from snndeploy.ir.encode import encode
from snndeploy.ir.network import Output, Source
from snndeploy.ir.readout import decide, read_output
from snndeploy.ir.trace import PopulationTrace
from snndeploy.ir.verify_network import network_problems, verify_network
from tests.generator.networks import random_network

RNG = np.random.default_rng(0)


def test_graded_values_round_to_the_symmetric_scale_and_clip():
    source = Source(name="x", shape=(4,), low=-127, high=127, encoding="graded", scale=0.5)
    encoded = encode(source, np.array([[[0.2, 0.3, -70.0, 63.5]]]), steps=2, rng=RNG)
    assert encoded.values[:, 0].tolist() == [[0, 1, -127, 127], [0, 0, 0, 0]]
    assert encoded.clipped == 1


def test_one_frame_of_a_repeating_source_is_shown_at_every_step():
    source = Source(name="x", shape=(1,), low=0, high=7, encoding="graded", repeat=True)
    encoded = encode(source, np.array([[[3.0], [4.0]]]), steps=3, rng=RNG)
    assert encoded.values[:, :, 0].tolist() == [[3, 4]] * 3


def test_rate_coding_is_seeded_and_has_the_rate():
    source = Source(name="x", shape=(1,), encoding="rate", scale=2.0, repeat=True)
    x = np.full((1, 500, 1), 0.5)
    first = encode(source, x, steps=40, rng=np.random.default_rng(7)).values
    again = encode(source, x, steps=40, rng=np.random.default_rng(7)).values
    assert np.array_equal(first, again)
    assert abs(first.mean() - 0.25) < 0.01


@pytest.mark.parametrize(
    ("x", "code"),
    [
        (np.zeros((1, 1, 3)), "E1061"),
        (np.zeros((5, 1, 2)), "E1062"),
        (np.full((1, 1, 2), 0.5), "E1063"),
        (np.full((1, 1, 2), 2.0), "E1063"),
    ],
)
def test_arrays_that_do_not_suit_the_source_are_refused(x, code):
    with pytest.raises(ModelError, match=rf"^error\[{code}\] x: .*; help: "):
        encode(Source(name="x", shape=(2,)), x, steps=4, rng=RNG)


def test_increments_are_what_an_integrator_received():
    v = np.array([64, 192, 128]).reshape(3, 1, 1)
    output = Output(
        name="y", population="p", shape=(1,), readout="increment", decode="sum", scale=0.5
    )
    y = read_output(output, PopulationTrace(spikes=0 * v, states={"v": v}))
    assert y[:, 0, 0].tolist() == [0.5, 1.0, -0.5]
    assert read_output(
        replace(output, readout="potential"), PopulationTrace(spikes=0 * v, states={"v": v})
    )[:, 0, 0].tolist() == [0.5, 1.5, 1.0]


@pytest.mark.parametrize(("how", "winner"), [("sum", 0), ("mean", 0), ("max", 1), ("last", 1)])
def test_decisions_follow_the_decode(how, winner):
    y = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 3.0]])[:, None, :]
    output = Output(name="y", population="p", shape=(2,), readout="spikes", decode=how)
    assert decide(output, y).tolist() == [winner]


def broken_networks():
    network, _ = random_network(
        np.random.default_rng(5), constructs=("layer",), kinds=("dense",), most=1, silent=False
    )
    projection, population = network.projections[0], network.populations[0]
    weight = projection.synapse.weight.copy()
    weight[0, 0] = 1
    odd = replace(projection.synapse, weight=weight)
    return {
        "off the mixed grid": replace(
            network, projections=(replace(projection, synapse=odd, sign_mode="mixed"),)
        ),
        "delay": replace(network, projections=(replace(projection, delay=3),)),
        "does not exist": replace(network, projections=(replace(projection, source="nobody"),)),
        "between": replace(network, sources=(Source(name="in", shape=(999,)),)),
        "outside": replace(
            network,
            populations=(
                replace(population, params={**population.params, "vth": np.array([1 << 18])}),
            ),
        ),
        "-1 steps": replace(network, steps=-1),
        "without end": replace(network, steps=0),
        "used 2 times": replace(network, populations=(population, population)),
        "no population": replace(
            network, outputs=(replace(network.outputs[0], population="nobody"),)
        ),
    }


@pytest.mark.parametrize("what", broken_networks())
def test_malformed_networks_are_found(what):
    network = broken_networks()[what]
    assert any(
        what.replace("off the", "on the") in problem for problem in network_problems(network)
    )
    with pytest.raises(ModelError, match=r"^error\[E1065\]"):
        verify_network(network)
