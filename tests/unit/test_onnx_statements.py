"""Every operation of a program as ONNX operators: on any int64 what the reference computes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snndeploy.errors import UnsupportedError
from snndeploy.ir.interpret import step
from snndeploy.ir.network import Network, Population, Projection, Source
from snndeploy.ir.program import INT32, Program, State, as_params, line
from snndeploy.ir.synapses import OneToOne
from snndeploy.onnxgraph.network import write_network
from snndeploy.registry import find_executor

ONNX = find_executor("onnx")
EDGES = [0, 1, -1, 63, 64, -64, 127, -128, 4095, -4096, (1 << 31) - 1, -(1 << 31)]
WIDE = [*EDGES, (1 << 40) + 7, -(1 << 40) - 7, (1 << 61) - 3, -(1 << 61) + 3]


def network_of(program, params, n):
    """Return a population of n neurons that get what arrives as it is."""
    return Network(
        name="one", steps=1,
        sources=(Source(name="in", shape=(n,), low=INT32[0], high=INT32[1], encoding="graded"),),
        populations=(
            Population(name="p", shape=(n,), program=program, params=params, wave=1),
        ),
        projections=(
            Projection(
                name="w", source="in", target="p", sign_mode="excitatory",
                synapse=OneToOne(weight=np.ones(n, dtype=np.int64)),
            ),
        ),
        outputs=(),
    )  # fmt: skip


def check(program, params, arriving):
    """Run one update in ONNX, optimised and not, and in the reference; compare the states."""
    network = network_of(program, params, len(arriving))
    zero = {state.name: np.zeros(len(arriving), dtype=np.int64) for state in program.states}
    with np.errstate(over="ignore"):
        want = step(program, zero, params, arriving)
    for inline in (False, True):
        written = write_network(network, record=("p",), inline=inline)
        for optimised in (False, True):
            run = ONNX.load_file(written.model.SerializeToString(), optimised=optimised)
            got = run({"in": arriving.reshape(1, 1, -1)})
            for (_, word), port in written.states.items():
                expected = np.broadcast_to(want[word], arriving.shape)
                np.testing.assert_array_equal(got[port.name].reshape(-1), expected, word)


def program_of(*statements, params=(), registers=None):
    """Return a program that keeps y, and spikes where it exceeds what arrives."""
    return Program(
        name="probe", states=(State(name="y", bits=64),), params=params,
        body=(*statements, line("s", "gt", "y", "a")), emits="s", registers=registers or {},
    )  # fmt: skip


ARRIVING = np.array(EDGES, dtype=np.int64)
BINARY = ("add", "sub", "mul", "gt", "le", "max")


@pytest.mark.parametrize("op", BINARY)
def test_two_words(op):
    other = np.array(WIDE[: len(EDGES)][::-1], dtype=np.int64)
    check(program_of(line("y", op, "a", "b"), params=("b",)), as_params({"b": other}), ARRIVING)


@pytest.mark.parametrize("by", [0, 1, 12, 31, 40, 62, 63, 64, 70, -1, -12, -31, -62, -63, -70])
def test_shift_by_a_number(by):
    grown = line("g", "mul", "a", (1 << 30) + 5)
    check(program_of(grown, line("y", "shift", "g", by)), {}, ARRIVING)


@pytest.mark.parametrize("by", [0, 1, 6, 12, 31, 62, 63, 80])
def test_shift_toward_zero_by_a_number(by):
    grown = line("g", "mul", "a", (1 << 30) + 5)
    check(program_of(grown, line("y", "shz", "g", by)), {}, ARRIVING)


@pytest.mark.parametrize(
    ("op", "known", "ends"),
    [
        ("shift", None, (-70, 70)), ("shift", (0, 31), (0, 31)), ("shift", (-20, 31), (-20, 31)),
        ("shift", (-62, -1), (-62, -1)), ("shz", None, (0, 70)), ("shz", (0, 31), (0, 31)),
        ("shz", (-20, 31), (0, 31)),
    ],
)  # fmt: skip
def test_shift_by_a_word(op, known, ends):
    by = np.linspace(*ends, len(ARRIVING)).astype(np.int64)
    registers = {"b": known} if known else {}
    grown = line("g", "mul", "a", (1 << 30) + 5)
    program = program_of(grown, line("y", op, "g", "b"), params=("b",), registers=registers)
    check(program, as_params({"b": by}), ARRIVING)


@pytest.mark.parametrize("bits", [1, 2, 8, 16, 24, 31, 32, 40, 62])
def test_wrap_to_a_number_of_bits(bits):
    grown = line("g", "mul", "a", (1 << 30) + 5)
    check(program_of(grown, line("y", "wrap", "g", bits)), {}, ARRIVING)


def test_wrap_to_a_word_of_bits():
    bits = np.array([1, 2, 5, 8, 16, 24, 31, 32, 33, 40, 50, 62])
    check(program_of(line("y", "wrap", "a", "b"), params=("b",)), as_params({"b": bits}), ARRIVING)


def test_select_and_clip():
    condition = line("c", "gt", "a", 5)
    check(program_of(condition, line("y", "select", "c", "a", -3)), {}, ARRIVING)
    check(program_of(line("y", "select", "a", 7, -3)), {}, ARRIVING)
    check(program_of(line("y", "clip", "a", -100, 4000)), {}, ARRIVING)
    check(program_of(line("y", "clip", "a", 10, 5)), {}, ARRIVING)  # the upper end wins


def test_a_condition_that_was_set_anew_is_the_new_one():
    body = (line("c", "gt", "a", 5), line("c", "sub", "c", 1), line("y", "select", "c", 1, 2))
    check(program_of(*body), {}, ARRIVING)


def test_words_of_parameters_alone_are_spread_over_samples():
    body = (line("k", "mul", "b", 3), line("y", "add", "k", 0))
    check(program_of(*body, params=("b",)), as_params({"b": 7}), ARRIVING)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(*INT32), min_size=1, max_size=8), st.integers(-40, 40))
def test_any_input_shifted_by_any_number(arriving, by):
    body = (line("x", "shift", "a", by), line("y", "wrap", "x", 32))
    check(program_of(*body), {}, np.array(arriving, dtype=np.int64))


@pytest.mark.parametrize(
    "statement", [line("y", "wrap", "a", 63), line("y", "wrap", "a", 0), line("y", "shz", "a", -1)]
)
def test_what_int64_cannot_say_is_refused(statement):
    with pytest.raises(UnsupportedError) as caught:
        write_network(network_of(program_of(statement), {}, 2))
    assert caught.value.code == "E2400"
