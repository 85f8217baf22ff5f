"""Neuron programs by hand: traces small enough to check by eye, and what a program may not be."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snndeploy.errors import ModelError
from snndeploy.ir import programs
from snndeploy.ir.interpret import run_reference, step
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import CLIP, LEAK, LIF, lif
from snndeploy.ir.program import INT32, Program, State, line
from snndeploy.ir.programs import PROGRAMS
from snndeploy.ir.ranges import arriving_bound, prove_ranges
from snndeploy.ir.synapses import Dense, OneToOne
from snndeploy.ir.text import parse_network, print_network
from snndeploy.ir.verify_network import network_problems, range_problems, verify_network
from tests.generator.networks import networks, random_network

PLAIN = {"du": 4095, "dv": 0}
"""No memory in the current, none lost in the potential: v adds up 64 times the input."""


def trace(program, params, inputs):
    """Return every word's values, step by step, of one neuron of a program."""
    state = {s.name: np.zeros(1, dtype=np.int64) for s in program.states}
    log = {}
    for a in inputs:
        words = step(program, state, params, np.array([a]))
        state = {name: words[name] for name in state}
        for name, value in words.items():
            log.setdefault(name, []).append(int(value.reshape(-1)[0]))
    return log


TRACES = {
    # v: 64, 128, 192 > 128 -> 64, 64, 256 > 128 -> 128, 128
    "subtract, strictly above": (
        "lif_subtract", {**PLAIN, "threshold": 128}, [1, 1, 1, 0, 3, 0],
        {"s": [0, 0, 1, 0, 1, 0], "v": [64, 128, 64, 64, 128, 128]},
    ),
    # v: 64, 128 -> 0, 64, 64, 256 -> 128, 128 -> 0
    "subtract, at the threshold": (
        "lif_subtract", {**PLAIN, "threshold": 128, "strict": False}, [1, 1, 1, 0, 3, 0],
        {"s": [0, 1, 0, 0, 1, 1], "v": [64, 0, 64, 64, 128, 0]},
    ),
    # v: 192 fires; 192 / 2 - 128; -32 / 2; -16 / 2 + 128; 120 / 2
    "subtract one step later": (
        "lif_subtract_delayed", {"du": 4095, "dv": 2048, "threshold": 128}, [3, 0, 0, 2, 0],
        {"s": [1, 0, 0, 0, 0], "v": [192, -32, -16, 120, 60]},
    ),
    # v: -64 -> -50, 14, 78 -> 0, -128 -> -50, 78 -> 0
    "clamp below": (
        "lif_clamped", {**PLAIN, "threshold": 64, "strict": False, "v_min": -50},
        [-1, 1, 1, -2, 2], {"s": [0, 0, 1, 0, 1], "v": [-50, 14, 0, -50, 0]},
    ),
    # v: 64 = 1 * 50 + 14; 142 = 2 * 50 + 42; -22; 618 = 12 * 50 + 18; 6418 - 31 * 50
    "many spikes in a step": (
        "lif_multi", {**PLAIN, "threshold": 50}, [1, 2, -1, 10, 100],
        {"n": [1, 2, 0, 12, 31], "v": [14, 42, -22, 18, 4868]},
    ),
    "no more than three spikes in a step": (
        "lif_multi", {**PLAIN, "threshold": 50, "most": 3}, [1, 2, -1, 10],
        {"n": [1, 2, 0, 3], "v": [14, 42, -22, 468]},
    ),
    # v: 128 -> 0, held, held, 64 stays, 192 -> 0, held; u goes on
    "two steps of rest": (
        "lif_refractory", {**PLAIN, "threshold": 64, "refractory": 2}, [2, 2, 2, 1, 2, 2],
        {
            "s": [1, 0, 0, 0, 1, 0], "v": [0, 0, 0, 64, 0, 0], "wait": [2, 1, 0, 0, 2, 1],
            "u": [128, 128, 128, 64, 128, 128],
        },
    ),
    "sum of changes, as much of it as a message holds": (
        "sigma", {"low": -5, "high": 5}, [2, 4, -1, -20, 0],
        {"sigma": [2, 6, 5, -15, -15], "out": [2, 5, 5, -5, -5]},
    ),
    # scaled by 4: x 4, 8, 24, 24, 20; vth 12; told in halves
    "changes of at least 3": (
        "delta", {"vth": 3, "spike_exp": 1, "state_exp": 1}, [1, 2, 6, 6, 5],
        {"out": [0, 0, 12, 0, 0], "residue": [4, 8, 0, 0, -4], "act": [4, 8, 24, 24, 20]},
    ),
    # due 4, 8, 16, 0, -4; their running sum 4, 12 -> 0, 16 -> 0, 0, -4
    "changes whose sum is at least 3": (
        "delta", {"vth": 3, "spike_exp": 1, "state_exp": 1, "cum_error": True}, [1, 2, 6, 6, 5],
        {"out": [0, 4, 8, 0, 0], "error": [4, 0, 0, 0, -4]},
    ),
    # sigma 2, 4, 8, -1, 0; level 0, 1, 5, 0, 0
    "changes of a rectified level": (
        "sigma_delta", {"vth": 2, "bias": -3}, [2, 2, 4, -9, 1],
        {"out": [0, 0, 5, -5, 0], "residue": [0, 1, 0, 0, 0], "sigma": [2, 4, 8, -1, 0]},
    ),
    # level -1, 1, 5, -4, -3
    "changes of a level": (
        "sigma_delta", {"vth": 2, "bias": -3, "relu": False}, [2, 2, 4, -9, 1],
        {"out": [0, 0, 5, -9, 0], "residue": [-1, 1, 0, 0, 1]},
    ),
    "what arrives, rectified and clipped": (
        "graded_sum", {"low": 0, "high": 10}, [-3, 4, 25], {"out": [0, 4, 10]},
    ),
    # 3 + 5 * 16, -8 + 1 * 16, 7 - 2 * 16, 7 + 0 * 16, 0 + 9 * 16, -1 - 1 * 16, -8 - 8 * 16
    "two factors in one word": (
        "graded_product", {"bits": 4, "low": -100, "high": 50},
        [83, 8, -25, 7, 144, -17, -136],
        {
            "x": [3, -8, 7, 7, 0, -1, -8], "y": [5, 1, -2, 0, 9, -1, -8],
            "out": [15, -8, -14, 0, 0, 1, 50],
        },
    ),
    # 15 / 4, -8 / 4, -14 / 4, 0, 0, 1 / 4, 64 / 4, toward zero
    "a product without its low bits": (
        "graded_product", {"bits": 4, "product_exp": 2, "low": -100, "high": 15},
        [83, 8, -25, 7, 144, -17, -136], {"out": [3, -2, -3, 0, 0, 0, 15]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TRACES)
def test_trace_is_the_one_made_by_hand(case):
    name, settings_, inputs, want = TRACES[case]
    got = trace(PROGRAMS[name], getattr(programs, name)(**settings_), inputs)
    assert {word: got[word] for word in want} == want


def test_every_program_has_a_trace_made_by_hand():
    assert {name for name, *_ in TRACES.values()} == set(PROGRAMS) - {"lif"}


def test_the_count_of_spikes_is_the_quotient():
    y = np.repeat(np.arange(-40, 400), 30)
    vth = np.tile(np.arange(1, 31), 440)
    params = {**programs.lif_multi(**PLAIN, threshold=vth), "bias_mant": y}
    state = {name: np.zeros(len(y), dtype=np.int64) for name in ("u", "v")}
    words = step(programs.LIF_MULTI, state, params, np.zeros(len(y), dtype=np.int64))
    count = np.minimum(np.maximum(y, 0) // vth, 31)
    assert np.array_equal(words["n"], count)
    assert np.array_equal(words["v"], y - count * vth)


@given(st.integers(2, 16), st.integers(0, 12), st.data())
@settings(max_examples=200, deadline=None)
def test_a_product_is_that_of_its_factors_over_their_whole_range(bits, product_exp, data):
    x = data.draw(st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1))
    y = data.draw(st.integers(-(1 << (31 - bits)), (1 << (31 - bits)) - 1))
    arriving = x + (y << bits)
    if not INT32[0] <= arriving <= INT32[1]:  # the smallest x below the smallest y
        return
    params = programs.graded_product(
        bits=bits, product_exp=product_exp, low=INT32[0], high=INT32[1]
    )
    product = int(abs(x * y) >> product_exp) * (1 if x * y >= 0 else -1)
    got = trace(programs.GRADED_PRODUCT, params, [arriving])["out"]
    assert got == [min(max(product, INT32[0]), INT32[1])]


def test_two_sources_multiply_over_synapses_of_their_own():
    """Weight 1 brings x; weight 128 with exponent 7 brings y << 14."""
    values = np.random.default_rng(0).integers(-60, 60, (2, 6, 3, 4))
    network = Network(
        name="product", steps=6,
        sources=tuple(Source(name=n, shape=(4,), low=-60, high=60) for n in "xy"),
        populations=(
            Population(
                name="p", shape=(4,), program=programs.GRADED_PRODUCT, wave=1,
                params=programs.graded_product(low=-4096, high=4095),
            ),
        ),
        projections=(
            Projection(
                name="x", source="x", target="p", synapse=OneToOne(weight=np.ones(4)),
                sign_mode="excitatory",
            ),
            Projection(
                name="y", source="y", target="p", synapse=OneToOne(weight=np.full(4, 128)),
                sign_mode="excitatory", weight_exp=7,
            ),
        ),
        outputs=(),
    )  # fmt: skip
    verify_network(network)
    inputs = dict(zip("xy", values, strict=True))
    sent = run_reference(network, inputs, record=("p",))["p"].spikes
    assert np.array_equal(sent, values[0] * values[1])


JUMP = Program(
    name="jump",
    states=LIF.states,
    params=LIF.params,
    body=(
        line("x", "shift", "a", 6),
        line("i", "add", "u", "x"),
        *(line("y", "add", "fv", "i") if s.args == ("fv", "u") else s for s in LEAK),
        *CLIP,
        line("th", "shift", "vth", 6),
        line("s", "gt", "y", "th"),
        line("v", "select", "s", 0, "y"),
        line("ku", "sub", 4095, "du"),
        line("pu", "mul", "i", "ku"),
        line("u", "shz", "pu", 12),
    ),
    emits="s",
    registers=LIF.registers,
)


def test_jump_use_decay_is_lif_with_its_current_stored_later():
    rng = np.random.default_rng(0)
    params = lif(du=700, dv=300, vth=90, bias_mant=rng.integers(-50, 50, 1))
    inputs = rng.integers(-40, 60, 400)
    ours, theirs = trace(LIF, params, inputs), trace(JUMP, params, inputs)
    assert ours["s"] == theirs["s"]
    assert 0 < sum(ours["s"]) < 300
    assert ours["v"] == theirs["v"]
    assert ours["u"] == theirs["i"]


# ---- what a program may not be -----------------------------------------------------------

FINE = {
    "name": "n", "states": (State(name="v", bits=24),), "params": ("k",),
    "body": (line("v", "add", "v", "a"), line("s", "gt", "v", "k")), "emits": "s",
}  # fmt: skip
BROKEN = {
    "a word before it is set": (
        {"body": (line("s", "gt", "w", 1), line("w", "add", "a", 1))}, "w is used before it is set",
    ),
    "an operation with an argument too few": (
        {"body": (line("s", "gt", "v"),)}, "gt with 1 arguments"
    ),
    "a parameter that is set": (
        {"body": (*FINE["body"], line("k", "add", "k", 1))}, "k is given, not set",
    ),
    "an unknown operation": ({"body": (line("s", "div", "v", 1),)}, "div with 2 arguments"),
    "a register of no parameter": ({"registers": {"q": (0, 1)}}, "q is no parameter"),
    "a payload of no parameter": ({"payload": (0, "q")}, "q is no parameter"),
    "a spike that may be anything": (
        {"body": (line("s", "add", "v", "a"),)}, r"s is not set by a comparison .* clip to 0\.\.1",
    ),
    "a payload that is not clipped": ({"payload": (0, 7)}, r"clip to 0\.\.7"),
    "a spike that is never set": ({"emits": "v2"}, "v2 is not set"),
    "one name twice": ({"params": ("v",), "body": FINE["body"][:1]}, "each once"),
    "a state that traces could not name": (
        {"states": (State(name="spikes", bits=2),)}, "none may be spikes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_program_that_makes_no_sense_is_refused(case):
    change, message = BROKEN[case]
    Program(**FINE)
    with pytest.raises(ModelError, match=rf"^error\[E1066\] n: .*{message}"):
        Program(**{**FINE, **change})


# ---- what a network of programs must obey -------------------------------------------------


def single(program, params, *, readout="spikes", steps=4):
    return Network(
        name="n", steps=steps,
        sources=(Source(name="in", shape=(2,), low=-3, high=5),),
        populations=(Population(name="p", shape=(1,), program=program, params=params, wave=1),),
        projections=(
            Projection(name="s", source="in", target="p", synapse=Dense(weight=[[2, -4]])),
        ),
        outputs=(Output(name="o", population="p", shape=(1,), readout=readout, decode="sum"),),
    )  # fmt: skip


ILL = {
    "register": (
        single(programs.LIF_MULTI, programs.lif_multi(**PLAIN, threshold=0)),
        r"p: vth_state outside 1\.\.8388607",
    ),
    "flag": (
        single(programs.DELTA, {**programs.delta(vth=1), "cum_error": np.array([2])}),
        r"p: cum_error outside 0\.\.1",
    ),
    "payload without 0": (
        single(
            replace(programs.GRADED_SUM, registers={}), programs.graded_sum(low=2, high=9)
        ),
        r"p: payloads 2\.\.9 do not hold 0",
    ),
    "readout of a state that is not there": (
        single(programs.SIGMA, programs.sigma(), readout="potential"),
        "o: reads v, which sigma neurons do not have",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ILL)
def test_ill_formed_networks_are_named(case):
    network, message = ILL[case]
    (problem,) = network_problems(network)
    assert re.match(message, problem)


def test_two_programs_of_one_name_are_a_problem():
    network = single(programs.SIGMA, programs.sigma())
    twin = replace(network.populations[0], name="q", program=replace(programs.SIGMA, native=True))
    link = replace(network.projections[0], name="t", target="q")
    both = replace(
        network, populations=(*network.populations, twin), projections=(*network.projections, link)
    )
    assert list(network_problems(both)) == ["sigma: two programs of one name"]


def test_two_arrays_of_one_name_are_a_problem():
    """Beside the text, one would be read as the other."""
    weighed = replace(programs.SIGMA, params=(*programs.SIGMA.params, "weight"))
    network = single(weighed, {**programs.sigma(), "weight": np.array([1])})
    (link,) = network.projections
    same = replace(network, projections=(replace(link, name=network.populations[0].name),))
    assert not list(network_problems(network))
    assert list(network_problems(same)) == [
        f"{network.populations[0].name}.weight: two arrays of one name"
    ]


def test_payload_of_a_population_comes_from_its_parameters():
    multi = single(
        programs.LIF_MULTI, programs.lif_multi(**PLAIN, threshold=9, most=np.array([7]))
    ).populations[0]
    assert (multi.low, multi.high, multi.is_graded) == (0, 7, True)
    plain = single(LIF, lif(**PLAIN, vth=9)).populations[0]
    assert (plain.low, plain.high, plain.is_graded) == (0, 1, False)


def test_bounds_of_programs_without_a_rule_are_of_their_input_alone():
    network = single(programs.SIGMA, programs.sigma())
    assert prove_ranges(network) == {}
    assert arriving_bound(network, network.populations[0]) == 3 * 2 + 5 * 4
    assert list(range_problems(network)) == []
    wide = replace(network, sources=(replace(network.sources[0], high=2**30),))
    assert next(range_problems(wide)).startswith("p: input may reach 4,294,967,302 and wraps")


LEAKY = tuple(name for name, program in PROGRAMS.items() if program.bounds == "leaky")


@given(networks(programs=LEAKY))
@settings(max_examples=60, deadline=None)
def test_states_of_leaky_programs_stay_within_their_proven_bounds(case):
    network, inputs = case
    for name, trace_ in run_reference(network, inputs, record=tuple(network.population)).items():
        ranges = prove_ranges(network)[name]
        if not ranges.u_wraps:
            assert np.abs(trace_.states["u"]).max() <= ranges.current
            assert np.abs(trace_.states["v"]).max() <= ranges.potential


def test_a_subtraction_after_a_full_leak_is_within_the_proven_bound():
    params = programs.lif_subtract_delayed(du=4095, dv=4096, threshold=1400)
    network = single(programs.LIF_SUBTRACT_DELAYED, params)
    extremes = np.zeros((4, 1, 2), dtype=np.int64)
    extremes[0, 0], extremes[1, 0] = (5, -3), (-3, 5)
    v = run_reference(network, {"in": extremes}, record=("p",))["p"].states["v"]
    assert v[:2].ravel().tolist() == [22 * 64, -26 * 64 - 1400]
    ranges = prove_ranges(network)["p"]
    assert ranges.current == 26 * 64 < np.abs(v).max() <= ranges.potential


@given(networks(programs=tuple(PROGRAMS)))
@settings(max_examples=60, deadline=None)
def test_networks_of_all_programs_print_and_parse(case):
    network, _ = case
    text, _ = print_network(network)
    again = parse_network(text)
    assert print_network(again)[0] == text
    for name, population in network.population.items():
        assert again.population[name].program == population.program


def test_a_broken_program_in_a_text_is_refused_with_its_line():
    network, _ = random_network(
        np.random.default_rng(1), constructs=("layer",), programs=("delta",), most=1
    )
    text = print_network(network)[0].replace("  emit out low..high", "  emit out 0..7")
    with pytest.raises(ModelError, match=r"^error\[E1064\] line \d+: .* delta: out is not set by"):
        parse_network(text)
