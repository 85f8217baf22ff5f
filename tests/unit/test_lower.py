"""The lowering: which Lava process stands for what, and what is refused instead of changed."""

import io
import json
import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from hwtargets.loihi.expand import as_sparse, sum_range
from hwtargets.loihi.limits import payload_bits
from hwtargets.loihi.lower import judged_by_lava, lower
from hwtargets.loihi.program import compact, npz_bytes, program_files
from snndeploy.errors import UnsupportedError
from snndeploy.ir.interpret import triples
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, lif
from snndeploy.ir.program import Program, State, Statement
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, sparse_from_dense


def net(synapse, *, source=None, params=None, program=LIF, wave=1, **options):
    source = source or Source(name="in", shape=(synapse.n_in,))
    params = lif(du=4095, dv=0, vth=10) if params is None else params
    population = Population(
        name="p", shape=(synapse.n_out,), program=program, params=params, wave=wave
    )
    return Network(
        name="n",
        steps=5,
        sources=(source,),
        populations=(population,),
        projections=(Projection(name="s", source="in", target="p", synapse=synapse, **options),),
        outputs=(Output(name="o", population="p", shape=(1,), readout="spikes", decode="sum"),),
    )


def lowered(synapse, **options):
    return lower(net(synapse, **options)).process("synapse:s")


DENSE = Dense(weight=[[2, -4, 6]])
CONV = Conv(weight=np.arange(2 * 2 * 3 * 2).reshape(2, 2, 3, 2) * 2, in_shape=(2, 5, 4))
POOL = Pool(in_shape=(1, 4, 4), kernel=(2, 2), stride=(2, 2), weight=2)


@pytest.mark.parametrize(
    ("synapse", "options", "kind"),
    [
        (DENSE, {}, "dense"),
        (DENSE, {"delay": 2}, "delay_dense"),
        (sparse_from_dense(DENSE.weight), {}, "sparse"),
        (sparse_from_dense(DENSE.weight), {"delay": 1}, "delay_sparse"),
        (OneToOne(weight=[2, 4]), {}, "sparse"),
        (POOL, {}, "sparse"),
        (CONV, {}, "conv"),
        (CONV, {"weight_exp": 1}, "sparse"),
        (CONV, {"delay": 1}, "delay_sparse"),
        (Conv(weight=np.ones((127, 1, 1, 1)) * 2, in_shape=(127, 1, 1), groups=127), {}, "conv"),
        (Conv(weight=np.ones((128, 1, 1, 1)) * 2, in_shape=(128, 1, 1), groups=128), {}, "sparse"),
        (Conv(weight=np.ones((1, 1, 1, 128)) * 2, in_shape=(1, 1, 130)), {}, "sparse"),
        (Conv(weight=[[[[2]]]], in_shape=(1, 1, 130), stride=(1, 128)), {}, "sparse"),
        (Conv(weight=[[[[2]]]], in_shape=(1, 1, 2), padding=(0, 128)), {}, "sparse"),
        (
            Conv(weight=np.ones((1, 1, 1, 2)) * 2, in_shape=(1, 1, 130), dilation=(1, 128)),
            {},
            "sparse",
        ),
    ],
)  # fmt: skip
def test_process_of_each_synapse_kind(synapse, options, kind):
    assert lowered(synapse, **options).kind == kind


def test_conv_is_flipped_and_turned_to_whc():
    process = lowered(
        Conv(weight=CONV.weight, in_shape=(2, 5, 4), stride=(1, 2), padding=(3, 4), dilation=(1, 2))
    )
    weight = process.arrays["weight"]
    assert weight.shape == (2, 2, 3, 2)
    assert weight[1, 0, 2, 1] == CONV.weight[1, 1, 0, 1]  # [o, x, y, i] of [o, i, h, w], flipped
    settings = process.settings
    assert settings["input_shape"] == (4, 5, 2)
    assert (settings["stride"], settings["padding"]) == ((2, 1), (4, 3))
    assert settings["dilation"] == (2, 1)


def test_conv_is_wired_through_virtual_ports_and_all_else_is_flat():
    into, out_of = lower(net(CONV)).connections
    assert into.via == (("reshape", (2, 5, 4)), ("transpose", (2, 1, 0)))
    assert out_of.via == (("transpose", (2, 1, 0)), ("flatten", ()))
    assert all(wire.via == () for wire in lower(net(CONV, weight_exp=2)).connections)


@pytest.mark.parametrize("wave", [1, 4, 5, 9])
def test_reset_falls_on_the_first_step_of_every_window(wave):
    settings = lower(net(DENSE, wave=wave, delay=wave - 1)).process("node:p").settings
    interval, offset = settings["reset_interval"], settings["reset_offset"]
    resets = [t - 1 for t in range(1, 31) if t % interval == offset % interval]  # chip steps
    assert set(range(wave, 30, 5)) <= set(resets)
    assert {t % 5 for t in resets} == {wave % 5}


def test_settings_are_explicit_integers():
    process = lowered(DENSE, sign_mode="mixed", weight_bits=8, weight_exp=-3)
    assert process.settings == {
        "sign_mode": "mixed", "num_weight_bits": 8, "weight_exp": -3, "num_message_bits": 0,
    }  # fmt: skip
    population = lower(net(DENSE)).process("node:p")
    assert all(type(value) is int for value in population.settings.values())
    assert all(array.dtype.kind == "i" for array in population.arrays.values())


@pytest.mark.parametrize(
    ("low", "high", "bits"),
    [
        (0, 1, 0), (0, 255, 8), (-128, 127, 8), (-1, 0, 8), (0, 256, 16), (-129, 0, 16),
        (0, 2**16, 24), (-(2**23), 2**23 - 1, 24), (0, 2**24 - 1, 24),
    ],
)  # fmt: skip
def test_message_bits_hold_the_payload(low, high, bits):
    source = Source(name="in", shape=(3,), low=low, high=high)
    assert lowered(DENSE, source=source, weight_exp=-8).settings["num_message_bits"] == bits


@pytest.mark.parametrize(("low", "high", "bits"), [(0, 0, 0), (-1, 0, 1), (-2, 1, 2), (0, 8, 4)])
def test_payload_bits_count_the_sign(low, high, bits):
    assert payload_bits(low, high) == bits


@pytest.mark.parametrize("seed", range(20))
def test_listed_convolution_has_the_synapses_of_the_convolution(seed):
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(1, 4))
    conv = Conv(
        weight=2 * rng.integers(-2, 3, size=(groups * 2, 2, *rng.integers(1, 4, size=2))),
        in_shape=(groups * 2, *map(int, rng.integers(6, 9, size=2))),
        stride=tuple(map(int, rng.integers(1, 4, size=2))),
        padding=tuple(map(int, rng.integers(0, 4, size=2))),
        dilation=tuple(map(int, rng.integers(1, 3, size=2))),
        groups=groups,
    )
    listed = as_sparse(conv)
    ours = set(zip(listed.rows, listed.indices, listed.weight, strict=True))
    assert ours == set(zip(*triples(conv), strict=True))
    assert len(ours) == len(listed.weight)
    for row in range(listed.n_out):
        indices = listed.indices[listed.indptr[row] : listed.indptr[row + 1]]
        assert np.all(np.diff(indices) > 0)


def test_pool_and_one_to_one_are_listed():
    assert as_sparse(POOL).indices.reshape(4, 4).tolist()[:2] == [[0, 1, 4, 5], [2, 3, 6, 7]]
    assert set(as_sparse(POOL).weight) == {2}
    assert as_sparse(OneToOne(weight=[4, 0, 6])).rows.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("synapse", "expected"),
    [
        (Dense(weight=[[2, -4], [6, 8]]), (-28, 42)),
        (sparse_from_dense(np.array([[2, -4], [6, 8]])), (-28, 42)),
        (OneToOne(weight=[2, -4]), (-12, 8)),
        (Pool(in_shape=(1, 2, 2), kernel=(2, 2), stride=(2, 2), weight=2), (-16, 24)),
        (Conv(weight=[[[[2, -4]]], [[[6, 8]]]], in_shape=(1, 1, 2)), (-28, 42)),
    ],
)
def test_sum_range_is_reached_by_the_worst_payloads(synapse, expected):
    low, high = sum_range(synapse, -2, 3)
    targets, sources, weights = triples(synapse)
    seen = []
    for payloads in product((-2, 3), repeat=synapse.n_in):
        total = np.zeros(synapse.n_out, dtype=np.int64)
        np.add.at(total, targets, weights * np.array(payloads)[sources])
        seen += [total.min(), total.max()]
    assert (low, high) == (min(seen), max(seen)) == expected


STRANGER = Program(
    name="stranger",
    states=(State(name="v", bits=24),),
    params=("level",),
    body=(Statement("v", "add", ("v", "a")), Statement("out", "clip", ("v", -3, "level"))),
    emits="out",
    payload=(-3, "level"),
)
REFUSALS = {
    "E2202 odd": (net(Dense(weight=[[3]])), "3 would be stored as 2"),
    "E2202 beyond": (net(Dense(weight=[[256]])), "256 would be stored as 254"),
    "E2202 sign": (net(Dense(weight=[[-2]]), sign_mode="excitatory"), "-2 would be stored as 0"),
    "E2202 -256": (net(Dense(weight=[[-256]]), sign_mode="inhibitory"), "stored as -255"),
    "E2202 bits": (net(Dense(weight=[[2]]), weight_bits=7), "off the 7-bit mixed grid"),
    "E2202 pool": (net(Pool(in_shape=(1, 2, 2), kernel=(2, 2), stride=(1, 1))), "1 weights"),
    "E2202 conv": (net(Conv(weight=[[[[5]]]], in_shape=(1, 1, 1))), "1 weights"),
    "E2203 int32": (
        net(Dense(weight=np.full((1, 2000), 254)),
            source=Source(name="in", shape=(2000,), low=-(2**13), high=2**13)),
        "Lava wraps at -2147483648..2147483647",
    ),
    "E2204": (
        net(Dense(weight=[[2], [4]]), params={**lif(du=1, dv=0, vth=1), "vth": np.array([1, 2])}),
        "vth differs between neurons",
    ),
    "E2205 du": (net(DENSE, params=lif(du=4096, dv=0, vth=1)), r"du is in 4096\.\.4096"),
    "E2205 dv": (net(DENSE, params=lif(du=0, dv=-1, vth=1)), r"holds 0\.\.4096"),
    "E2205 vth": (net(DENSE, params=lif(du=0, dv=0, vth=131073)), r"holds 0\.\.131072"),
    "E2205 mant": (net(DENSE, params=lif(du=0, dv=0, vth=1, bias_mant=4096)), "bias_mant"),
    "E2205 exp": (net(DENSE, params=lif(du=0, dv=0, vth=1, bias_exp=8)), "bias_exp"),
    "E2206": (net(DENSE, source=Source(name="in", shape=(3,), low=0, high=2**24)), "take 25 bits"),
    "E2207": (net(DENSE, delay=64), r"delay 64, a synapse delays by 0\.\.63"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_lava_would_change_is_refused(case):
    network, message = REFUSALS[case]
    with pytest.raises(UnsupportedError, match=message) as caught:
        lower(network)
    assert caught.value.code == case.split()[0]
    assert caught.value.where in ("p", "s")
    assert caught.value.remedy


def test_another_neuron_becomes_the_generic_process_with_its_statements():
    network = net(DENSE, program=STRANGER, params={"level": np.array([5])}, wave=3, delay=2)
    program = lower(network)
    process = program.process("node:p")
    assert (process.kind, process.settings["program"]) == ("program", "stranger")
    assert (process.settings["reset_interval"], process.settings["reset_offset"]) == (5, 4)
    assert program.states("p") == ("v",)
    record = json.loads(program_files(program)["lava.json"])
    assert record["programs"] == {
        "stranger": {
            "states": ["v"], "emits": "out",
            "body": [["v", "add", "v", "a"], ["out", "clip", "v", -3, "level"]],
        }
    }  # fmt: skip
    assert not judged_by_lava(network.populations[0])
    assert judged_by_lava(net(DENSE).populations[0])
    assert lower(net(DENSE)).neurons == {}
    assert lower(net(DENSE)).states("p") == ("u", "v")


@pytest.mark.parametrize(("level", "bits"), [(5, 8), (1000, 16), (2**20, 24)])
def test_synapses_behind_a_graded_neuron_carry_its_payload(level, bits):
    network = chained(level)
    assert lower(network).process("synapse:t").settings["num_message_bits"] == bits
    assert lower(network).process("synapse:s").settings["num_message_bits"] == 0


def test_a_payload_that_no_message_holds_is_refused():
    with pytest.raises(UnsupportedError, match="take 25 bits") as caught:
        lower(chained(2**24 - 1))
    assert caught.value.code == "E2206"


def chained(level):
    """Return source -> a graded stranger -> a lif neuron."""
    network = net(DENSE, program=STRANGER, params={"level": np.array([level])})
    top = Population(name="q", shape=(1,), program=LIF, params=lif(du=0, dv=0, vth=1), wave=2)
    link = Projection(name="t", source="p", target="q", synapse=Dense(weight=[[2]]))
    return replace(
        network,
        populations=(*network.populations, top), projections=(*network.projections, link),
    )  # fmt: skip


def test_conv_sum_at_the_end_of_the_word_is_taken_and_beyond_it_listed():
    conv = Conv(weight=[[[[-256]]]], in_shape=(1, 1, 1))
    source = Source(name="in", shape=(1,), low=0, high=2**15)
    assert lowered(conv, source=source).kind == "conv"
    wider = Source(name="in", shape=(1,), low=0, high=2**15 + 1)
    listed = lower(net(conv, source=wider))
    assert listed.process("synapse:s").kind == "sparse"
    assert all(wire.via == () for wire in listed.connections)


def test_equal_networks_give_equal_bytes():
    assert program_files(lower(net(CONV))) == program_files(lower(net(CONV)))
    assert set(program_files(lower(net(CONV)))) == {"lava.json", "lava.npz"}


def test_files_hold_what_was_lowered():
    files = program_files(lower(net(CONV)))
    record = json.loads(files["lava.json"])
    assert (record["steps"], record["depth"], record["outputs"]) == (5, 1, ["p"])
    with np.load(io.BytesIO(files["lava.npz"])) as arrays:
        np.testing.assert_array_equal(arrays["synapse:s.weight"], lowered(CONV).arrays["weight"])
    assert not re.search(rb"\d{4}-\d\d-\d\d", files["lava.json"])


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(-128, np.int8), (128, np.int16), (-32769, np.int32), (2**31, np.int64)],
)
def test_compact_takes_the_smallest_word(value, dtype):
    packed = compact(np.array([value, 0]))
    assert packed.dtype == dtype
    assert packed.tolist() == [value, 0]


def test_archive_does_not_depend_on_the_order_of_names():
    a, b = np.arange(3), np.ones((2, 2))
    assert npz_bytes({"a": a, "b": b}) == npz_bytes({"b": b, "a": a})


def test_sparse_stays_as_it_is():
    sparse = Sparse(n_in=4, indptr=[0, 1], indices=[2], weight=[6])
    assert as_sparse(sparse) is sparse
