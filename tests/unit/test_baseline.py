"""The ANN reading of a network, counted by hand, and the rate at which both sides cost the same."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snndeploy.activity import Activity, NodeActivity, measure_activity
from snndeploy.baseline import activation_bits, baseline, state_bits, without_baseline
from snndeploy.energy import OPERATIONS, Price
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, integrator, lif
from snndeploy.ir.programs import SIGMA, sigma
from snndeploy.ir.synapses import Dense
from snndeploy.operations import ACCELERATOR, OperationPrices, operation_prices
from snndeploy.reference import REFERENCE
from tests.generator.networks import networks


def prices(ac, mac, read, write, *, factor=1):
    """Return prices in joules; high is `factor` times nominal."""
    values = zip(OPERATIONS, (ac, mac, read, write), strict=True)
    return OperationPrices(
        name="test",
        prices={
            kind: Price(
                low=Decimal(value), nominal=Decimal(value), high=Decimal(value) * factor,
                source=f"a test, {kind}", grade="assumed" if kind == "mac" else "published",
            )
            for kind, value in values
        },
    )  # fmt: skip


def micro():
    """Return 2 inputs -> 2 neurons without leak -> 1 integrator, three steps."""
    return Network(
        name="micro", steps=3,
        sources=(Source(name="in", shape=(2,)),),
        populations=(
            Population(name="a", shape=(2,), program=LIF, wave=1,
                       params=lif(du=4095, dv=0, vth=1)),
            Population(name="out", shape=(1,), program=LIF, wave=2, params=integrator()),
        ),
        projections=(
            Projection(name="p", source="in", target="a", synapse=Dense(weight=[[2, 2], [2, 2]])),
            Projection(name="q", source="a", target="out", synapse=Dense(weight=[[2, 2]])),
        ),
        outputs=(Output(name="y", population="out", shape=(1,), readout="increment",
                        decode="sum"),),
    )  # fmt: skip


def node(sent, used):
    return NodeActivity(
        sent=np.array(sent), used=np.array(used), is_binary=np.ones(len(sent), dtype=bool)
    )


MICRO = Activity(
    n_samples=2,
    nodes={
        "in": node([[1, 1], [1, 0], [1, 0]], [2, 1]),  # 3 and 1 spikes
        "a": node([[2, 0], [1, 0], [1, 0]], [1, 0]),  # 4 and 0 spikes
        "out": node([[0], [0], [0]], [0]),
    },
)


def test_every_count_of_a_micro_network_is_the_one_made_by_hand():
    """Per sample: 1.5 and 0.5 input spikes into 2 synapses each, 2 spikes into 1 synapse.

    A fan-out of 2 takes 16 bits of weights and 48 of accumulators: one word each, of 1 too. Two
    potentials take 48 bits: a word per step.
    """
    found = baseline(micro(), MICRO, prices(1, 10, 100, 1000))
    snn = {work.part: dict(work.counts) for work in found.snn}
    assert snn == {
        "synapses of the input": {"ac": 4.0, "word_read": 4.0, "word_write": 2.0},
        "synapses of spikes": {"ac": 2.0, "word_read": 4.0, "word_write": 2.0},
        "neurons": {"ac": 9.0, "mac": 0.0, "word_read": 6.0, "word_write": 6.0},
        "spikes stored": {"word_read": 3.0, "word_write": 3.0},
    }
    ann = {work.part: dict(work.counts) for work in found.ann}
    assert ann == {
        "synapses of the input": {"mac": 3.0, "word_read": 3.0, "word_write": 1.5},
        "synapses of activations": {"mac": 0.5, "word_read": 1.0, "word_write": 0.5},
        "neurons": {"ac": 0.0, "mac": 3.0, "word_read": 2.0, "word_write": 2.0},
        "activations stored": {"word_read": 1.0, "word_write": 1.0},
    }
    assert found.snn_j == (14715.0,) * 3
    assert found.ann_j == (5765.0,) * 3
    assert found.activation_bits == 2  # 0 to 3 spikes
    assert found.density == 0.25
    assert found.spikes_per_neuron == 1.0
    assert found.spikes_per_synapse == 1.0
    assert found.grade == "assumed"
    assert found.break_even[1] == pytest.approx((5765 - 12313) / 2402)  # never


def test_break_even_of_the_micro_network_is_the_one_made_by_hand():
    found = baseline(micro(), MICRO, prices(1, 1000, 1, 1))
    assert found.ann_j[1] == 6500 + 7 + 5
    assert found.snn_j[1] == 15 + 17 + 13
    assert found.break_even[1] == pytest.approx((6512 - 37) / 8)
    assert found.break_even_per_neuron[1] == pytest.approx((6512 - 37) / 8)
    assert found.break_even_per_synapse[1] == pytest.approx((6512 - 37) / 8)


def test_leak_bias_and_current_cost_a_multiplication_an_addition_and_a_state():
    network = micro()
    leaky = replace(
        network.populations[0], params=lif(du=100, dv=512, vth=1, bias_mant=np.array([1, 0]))
    )
    network = replace(network, populations=(leaky, network.populations[1]))
    work = baseline(network, MICRO, prices(1, 10, 100, 1000)).snn[2]
    assert state_bits(leaky) == 48
    assert work.counts == {
        "ac": 2 * 6 + 3.0, "mac": 2 * 6.0, "word_read": 3 * 2 + 3.0, "word_write": 3 * 2 + 3.0,
    }  # fmt: skip


def test_a_silent_network_has_no_break_even():
    silent = replace(MICRO, nodes={**MICRO.nodes, "a": node([[0, 0]] * 3, [0, 0])})
    found = baseline(micro(), silent, prices(1, 10, 100, 1000))
    assert found.break_even is None
    assert found.break_even_per_neuron is None


@pytest.mark.parametrize(
    ("source", "bits"),
    [
        (Source(name="s", shape=(1,)), 3),  # up to 6 spikes
        (Source(name="s", shape=(1,), low=0, high=127, encoding="graded"), 10),  # 762
        (Source(name="s", shape=(1,), low=-127, high=127, encoding="graded"), 11),
        (Source(name="s", shape=(1,), low=0, high=127, encoding="graded", repeat=True), 7),
    ],
)
def test_an_activation_has_bits_for_all_that_is_sent_in_a_window(source, bits):
    assert activation_bits(source, 6) == bits


def test_graded_inputs_are_multiplied_on_both_sides():
    network = micro()
    source = Source(name="in", shape=(2,), low=0, high=127, encoding="graded", repeat=True)
    found = baseline(replace(network, sources=(source,)), MICRO, prices(1, 10, 100, 1000))
    assert found.snn[0].counts == {"mac": 4.0, "word_read": 4.0, "word_write": 2.0}
    assert found.ann[0].counts == {"mac": 3.0, "word_read": 3.0, "word_write": 1.5}


def test_feedback_and_other_neurons_have_no_ann_reading():
    network = micro()
    assert without_baseline(network) == ""
    loop = replace(network.projections[1], name="loop", target="a", lag=1)
    looped = replace(network, projections=(network.projections[0], loop))
    assert without_baseline(looped) == "loop feeds back, an ANN has no steps"
    other = Population(name="a", shape=(2,), program=SIGMA, params=sigma(), wave=1)
    changed = replace(network, populations=(other, network.populations[1]))
    assert without_baseline(changed) == "a is no integrate-and-fire neuron"


@settings(max_examples=60, deadline=None)
@given(networks(), st.lists(st.integers(1, 100), min_size=4, max_size=4), st.integers(1, 9))
def test_at_the_break_even_both_sides_cost_the_same(case, values, factor):
    network, inputs = case
    assume(not without_baseline(network))
    activity = measure_activity(network, inputs, REFERENCE)
    table = prices(*values, factor=factor)
    found = baseline(network, activity, table)
    assume(found.break_even is not None)
    for i in (0, 1, 2):
        scaled = {
            name: replace(what, sent=what.sent * found.break_even[i])
            if name in network.population
            else what
            for name, what in activity.nodes.items()
        }
        moved = baseline(network, replace(activity, nodes=scaled), table)
        assert moved.ann_j == found.ann_j
        assert moved.snn_j[i] == pytest.approx(found.ann_j[i], rel=1e-9)
        assert moved.spikes_per_neuron == pytest.approx(found.break_even_per_neuron[i], rel=1e-9)
        assert moved.spikes_per_synapse == pytest.approx(found.break_even_per_synapse[i], rel=1e-9)


@given(st.lists(st.floats(0, 1e9), min_size=4, max_size=4), st.floats(0, 1e3))
def test_energy_is_linear_in_counts_and_ordered(counts, factor):
    table = operation_prices(ACCELERATOR)
    named = dict(zip(OPERATIONS, counts, strict=True))
    once = table.energy(named)
    scaled = table.energy({kind: factor * count for kind, count in named.items()})
    assert scaled == pytest.approx(tuple(factor * joules for joules in once), rel=1e-9, abs=1e-30)
    assert once[0] <= once[1] <= once[2]


def test_the_programs_prices_are_horowitzs():
    assert operation_prices("arithmetic").energy({"ac": 1, "mac": 1}) == pytest.approx(
        (0.4e-12, 5.5e-12, 5.5e-12)
    )
    accelerator = operation_prices(ACCELERATOR)
    assert accelerator.energy({"word_read": 1}) == pytest.approx((10e-12, 10e-12, 100e-12))
    assert accelerator.grade == "assumed"
    assert all("Horowitz" in price.source for price in accelerator.prices.values())
