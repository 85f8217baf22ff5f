"""A .nir file of another program: what it leaves open is asked for, then said."""

import nir
import numpy as np
import pytest

N_IN, N_OUT = 6, 3


@pytest.fixture
def plain_nir(files):
    """A file as other frameworks write it: no steps, no range, no semantics."""
    rng = np.random.default_rng(2)
    one = np.ones(8)
    graph = nir.NIRGraph(
        nodes={
            "in": nir.Input({"input": np.array([N_IN])}),
            "fc1": nir.Affine(weight=rng.normal(0.3, 0.5, (8, N_IN)), bias=np.zeros(8)),
            "lif": nir.LIF(
                tau=2e-4 * one, r=2 * one, v_leak=0 * one, v_threshold=one, v_reset=0 * one
            ),
            "fc2": nir.Linear(weight=rng.normal(0, 0.5, (N_OUT, 8))),
            "out": nir.Output({"output": np.array([N_OUT])}),
        },
        edges=[("in", "fc1"), ("fc1", "lif"), ("lif", "fc2"), ("fc2", "out")],
    )
    nir.write(str(files / "plain.nir"), graph)
    return files / "plain.nir"


def test_what_is_missing_is_asked_for(plain_nir, snn):
    no_steps = snn("compile", plain_nir, "-o", "net")
    assert no_steps.code == 2
    assert "--steps" in no_steps.err
    no_range = snn("compile", plain_nir, "--steps", "4", "-o", "net")
    assert no_range.code == 2
    assert "--input-range" in no_range.err


@pytest.mark.parametrize(
    "options", [("--encode", "spikes"), ("--input-range", "-1", "1"), ("--input-range", "0", "2.5")]
)
def test_with_it_the_file_compiles_and_verifies(plain_nir, snn, options):
    ran = snn("compile", plain_nir, "--steps", "4", *options, "-o", "net")
    assert ran.code == 0, ran.err
    assert snn("verify", "net", "--backends", "sim").code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--steps", "inf"), "steps=0"),
        (("--steps", "4", "--one-at-a-time"), "steps=4 guard=0 alone=true"),
    ],
)
def test_how_samples_follow_each_other_is_chosen(plain_nir, snn, options, said):
    ran = snn("compile", plain_nir, *options, "--encode", "spikes", "-o", "net")
    assert ran.code == 0, ran.err
    assert said in snn("inspect", "net", "--emit", "network").out.splitlines()[1]
    assert snn("verify", "net", "--backends", "sim").code == 0


@pytest.mark.parametrize("steps", ["0", "-3", "many", "1.5"])
def test_steps_that_are_no_number_are_refused(plain_nir, snn, steps):
    ran = snn("compile", plain_nir, "--steps", steps, "--encode", "spikes", "-o", "net")
    assert ran.code == 2
    assert "neither a whole number above 0 nor inf" in ran.err


def test_what_was_assumed_is_said(plain_nir, snn):
    ran = snn("inspect", plain_nir)
    assert ran.code == 0
    assert "assumed lif" in ran.out
    assert "assumed" not in snn("inspect", plain_nir, "--semantics", "snntorch").out


def test_semantics_change_the_network(plain_nir, snn):
    args = ("inspect", plain_nir, "--emit", "network", "--steps", "4", "--encode", "spikes")
    strict = snn(*args, "--semantics", "nir").out
    assert strict == snn(*args).out
    assert strict != snn(*args, "--semantics", "nir,dt=5e-5").out


def test_a_neuron_in_microcode_is_named_with_its_judge(plain_nir, snn):
    args = ("compile", plain_nir, "--steps", "4", "--encode", "spikes", "-o", "net")
    ran = snn(*args, "--semantics", "nir,reset=subtract-delayed")
    assert ran.code == 0, ran.err
    assert "note: lif_subtract_delayed needs microcode on the chip" in ran.out
    checked = snn("verify", "net", "--backends", "sim")
    assert checked.code == 0
    assert "lif_subtract_delayed is judged by frameworks and hand traces" in checked.out


def test_loihi1_refuses_microcode(plain_nir, snn):
    ran = snn(
        "compile", plain_nir, "--target", "loihi1", "--steps", "4", "--encode", "spikes",
        "--semantics", "nir,reset=subtract", "-o", "net",
    )  # fmt: skip
    assert ran.code in (4, 5)
    assert "lif_subtract" in ran.out + ran.err or "microcode" in ran.out + ran.err
