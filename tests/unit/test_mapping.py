"""Every rule at its limit and one beyond, and placements judged by brute force."""

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.neurons import LIF, lif
from snndeploy.ir.placement import Placement
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, sparse_from_dense
from snndeploy.mapping import check_placement, place
from snndeploy.mapping.constraints import CoreUse, broken, cores, rules
from snndeploy.mapping.memory import list_bits, sources_of, synapse_bits
from snndeploy.target import load_chip
from tests.expanded import expanded
from tests.generator.networks import random_network
from tests.generator.synapses import random_synapse

CHIPS = Path(__file__).parents[2] / "hwtargets" / "chips"
LOIHI1, LOIHI2 = (load_chip(CHIPS / f"{name}.toml") for name in ("loihi1", "loihi2"))


def limited(chip=LOIHI1, **limits):
    """Return the chip with other limits."""
    changed = {key: replace(chip.limits[key], value=Decimal(n)) for key, n in limits.items()}
    return replace(chip, limits={**chip.limits, **changed})


def population(name, n, wave):
    return Population(name=name, shape=(n,), program=LIF, params=lif(du=0, dv=0, vth=1), wave=wave)


def dense(*sizes, weight_bits=8):
    """Return x -> p1 -> p2 … all to all."""
    names = ["x", *(f"p{i}" for i in range(1, len(sizes)))]
    return Network(
        name="net",
        steps=1,
        sources=(Source(name="x", shape=(sizes[0],)),),
        populations=tuple(population(names[i], sizes[i], i) for i in range(1, len(sizes))),
        projections=tuple(
            Projection(
                name=f"w{i}",
                source=names[i],
                target=names[i + 1],
                synapse=Dense(weight=np.full((sizes[i + 1], sizes[i]), 2)),
                weight_bits=weight_bits,
            )
            for i in range(len(sizes) - 1)
        ),
        outputs=(),
    )


def one_to_one(n):
    network = dense(1, 1)
    return replace(
        network,
        sources=(Source(name="x", shape=(n,)),),
        populations=(population("p1", n, 1),),
        projections=(
            replace(network.projections[0], synapse=OneToOne(weight=np.ones(n, dtype=int))),
        ),
    )


USE = CoreUse(place="fc", neurons=1024, synapse_bits=1048576, in_axons=4096, out_axons=4096)


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        ("neurons", "neurons_per_core"),
        ("synapse_bits", "synapse_bits_per_core"),
        ("in_axons", "in_axons_per_core"),
        ("out_axons", "out_axons_per_core"),
    ],
)
def test_each_rule_holds_at_its_limit_and_breaks_one_beyond(field, rule):
    assert broken(USE, LOIHI1) == ()
    limit = getattr(USE, field)
    (violation,) = broken(replace(USE, **{field: limit + 1}), LOIHI1)
    assert (violation.rule, violation.have, violation.limit) == (rule, limit + 1, limit)
    assert violation.node == "fc"
    assert violation.hint


def test_cores_hold_at_128_and_break_at_129():
    assert cores("net", 128, LOIHI1) is None
    violation = cores("net", 129, LOIHI1)
    assert (violation.rule, violation.have, violation.limit) == ("cores", 129, 128)


def test_every_rule_has_a_text():
    assert all(text.endswith(".") for text in rules().values())
    assert len(rules()) == 5


@pytest.mark.parametrize(("n", "n_cores"), [(1024, 1), (1025, 2)])
def test_neurons_are_split_at_the_limit(n, n_cores):
    placement = place(one_to_one(n), LOIHI1)
    assert [s.n for s in placement.slices] == [1024, n - 1024][:n_cores]


@pytest.mark.parametrize(("sources", "n_cores"), [(4096, 1), (4097, None)])
def test_input_axons_fit_at_the_limit_and_are_refused_beyond(sources, n_cores):
    placed = place(dense(sources, 10), LOIHI1)
    if n_cores:
        assert len(placed.slices) == n_cores
    else:
        (violation,) = placed
        assert violation.line() == (
            "p1: 4,097 input axons on one core, limit 4,096 (in_axons_per_core)"
        )


def test_output_axons_split_the_sending_population():
    # Each of 8 neurons reaches the 4 cores of p2.
    chip = limited(out_axons_per_core=16, neurons_per_core=10)
    placement = place(dense(1, 8, 40), chip)
    assert [s.n for s in placement.by_population["p1"]] == [4, 4]
    assert [s.out_axons for s in placement.by_population["p1"]] == [16, 16]
    assert place(dense(1, 8, 40), limited(out_axons_per_core=3, neurons_per_core=10))[0].rule == (
        "out_axons_per_core"
    )


@pytest.mark.parametrize(("bits", "n_cores"), [(64 * 10, 1), (64 * 10 - 1, 2)])
def test_synapse_memory_splits_at_the_limit(bits, n_cores):
    # 10 axons of 6 synapses of 8 bits: 6 * 8 + 10 = 58 bits, one 64-bit word each.
    placement = place(dense(10, 6), limited(synapse_bits_per_core=bits))
    if n_cores == 1:
        assert placement.slices[0].synapse_bits == {"w0": 640}
    else:
        assert [v.rule for v in placement] == ["synapse_bits_per_core"]


def test_the_published_example_of_the_memory_formula():
    # 256 axons x 1024 targets, 8 bits: 16 blocks of 576 bits per axon, 288 KiB, 3 cores of 128 KiB.
    (projection,) = dense(256, 1024).projections
    assert synapse_bits(projection, 0, 1024) == 256 * 16 * 576 == 288 * 1024 * 8
    assert len(place(dense(256, 1024), LOIHI1).slices) == 3


@pytest.mark.parametrize(("n", "bits"), [(0, 0), (1, 64), (64, 576), (65, 576 + 64), (128, 1152)])
def test_lists_are_rounded_up_to_words_block_by_block(n, bits):
    assert list_bits(n, 8) == bits


def test_convolutions_and_pools_store_their_weights_once():
    conv = Conv(weight=np.ones((4, 2, 3, 3), dtype=int), in_shape=(2, 8, 8))
    projection = replace(dense(1, 1).projections[0], synapse=conv)
    assert synapse_bits(projection, 0, 4 * 36) == 576 + 128  # 64 weights, then 8
    assert synapse_bits(projection, 0, 36) == list_bits(18, 8) == 192
    assert synapse_bits(projection, 35, 37) == list_bits(36, 8)
    pool = Pool(in_shape=(3, 4, 4), kernel=(2, 2), stride=(2, 2))
    assert synapse_bits(replace(projection, synapse=pool), 0, 12) == 64


def test_listed_synapses_carry_an_index():
    synapse = sparse_from_dense(np.array([[1, 0], [1, 0], [1, 2]]))
    projection = replace(dense(1, 1).projections[0], synapse=synapse)
    assert synapse_bits(projection, 0, 3) == list_bits(3, 14) + list_bits(1, 14)


@pytest.mark.parametrize("kind", ["dense", "conv", "pool", "sparse", "one_to_one"])
def test_sources_of_a_slice_equal_the_expanded_connections(kind):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        synapse = random_synapse(rng, (2, 6, 5), kind)
        _, stored = expanded(synapse)
        start = int(rng.integers(synapse.n_out))
        stop = int(rng.integers(start, synapse.n_out)) + 1
        assert np.array_equal(sources_of(synapse, start, stop), stored[start:stop].any(axis=0))


def test_every_violation_is_collected():
    chip = limited(in_axons_per_core=5, synapse_bits_per_core=100, cores=1, neurons_per_core=3)
    found = {(violation.node, violation.rule) for violation in place(dense(6, 6, 4), chip)}
    assert found == {
        ("p1", "in_axons_per_core"),
        ("p1", "synapse_bits_per_core"),
        ("p2", "in_axons_per_core"),
        ("p2", "synapse_bits_per_core"),
        ("net", "cores"),
    }


def test_a_loop_is_placed_with_its_own_axons():
    network = dense(2, 6)
    loop = replace(
        network.projections[0], name="loop", source="p1", synapse=Dense(weight=np.ones((6, 6)))
    )
    network = replace(network, projections=(*network.projections, loop))
    placement = place(network, limited(neurons_per_core=3))
    assert [s.out_axons for s in placement.slices] == [6, 6]
    assert check_placement(network, placement, limited(neurons_per_core=3)) == ()
    tight = limited(neurons_per_core=3, out_axons_per_core=5)
    assert [v.rule for v in place(network, tight)] == ["out_axons_per_core"]


@pytest.mark.parametrize("seed", range(60))
def test_placements_of_random_networks_are_right(seed):
    rng = np.random.default_rng(seed)
    network, _ = random_network(rng)
    chip = limited(
        cores=4096,
        neurons_per_core=int(rng.integers(1, 40)),
        synapse_bits_per_core=int(rng.integers(2000, 60000)),
        in_axons_per_core=int(rng.integers(50, 200)),
        out_axons_per_core=int(rng.integers(20, 200)),
    )
    placed = place(network, chip)
    if isinstance(placed, Placement):
        assert check_placement(network, placed, chip) == ()
    else:
        assert all(violation.have > violation.limit for violation in placed)


GOOD = place(dense(4, 6, 3), limited(neurons_per_core=4))


@pytest.mark.parametrize(
    ("slices", "fault"),
    [
        (GOOD.slices[1:], r"p1: 4 neurons are not on exactly one core"),
        ((*GOOD.slices, GOOD.slices[0]), r"more than one slice"),
        ((replace(GOOD.slices[0], core=999), *GOOD.slices[1:]), r"core 999 does not exist"),
        ((replace(GOOD.slices[0], out_axons=0), *GOOD.slices[1:]), r"core 0: written .* counted"),
        ((replace(GOOD.slices[0], in_axons={"w0": 3}), *GOOD.slices[1:]), r"core 0: written"),
        ((replace(GOOD.slices[0], stop=9), *GOOD.slices[1:]), r"slice 0\.\.9 is out of range"),
    ],
)
def test_the_checker_finds_what_is_wrong(slices, fault):

    wrong = replace(GOOD, slices=tuple(slices))
    found = check_placement(dense(4, 6, 3), wrong, limited(neurons_per_core=4))
    assert any(re.search(fault, line) for line in found), found


def test_the_checker_recounts_the_limits():
    found = check_placement(dense(4, 6, 3), GOOD, limited(neurons_per_core=3))
    assert found == ("core 0: neurons_per_core 4, limit 3",)
