"""Threads and traces of the simulator, from the command line."""

import numpy as np
import pytest


def test_a_trace_is_written_and_read_back_without_pickle(files, snn, bundle):
    ran = snn("inspect", bundle, "--emit", "network")
    assert ran.code == 0
    for command in (("run", bundle, "--backend", "sim", "--input"), ("estimate", bundle, "--data")):
        out = f"{command[0]}.npz"
        ran = snn(*command, "data.npz", "--trace", out, "--trace-neurons", f"{name(snn)}:0,2-3")
        assert ran.code == 0, ran.err
    kept = [dict(np.load(files / f"{c}.npz", allow_pickle=False)) for c in ("run", "estimate")]
    assert kept[0].keys() == kept[1].keys()
    for key, array in kept[0].items():
        np.testing.assert_array_equal(array, kept[1][key])
    assert kept[0][f"neurons.{name(snn)}"].tolist() == [0, 2, 3]
    assert kept[0][f"state.{name(snn)}.v"].shape == (6, 8, 3)
    assert kept[0]["core.synaptic_ops"].sum() > 0


def name(snn):
    """Return a population of the network."""
    record = snn("estimate", "net", "--data", "data.npz", "--json").json()
    return record["estimates"][0]["layers"][0]["population"]


def test_every_key_of_a_trace_is_in_the_help(files, snn, bundle):
    shown = " ".join(snn("run", "--help").out.split())
    assert snn("run", bundle, "--backend", "sim", "--input", "data.npz", "--trace", "t.npz",
               "--trace-neurons", f"{name(snn)}:0").code == 0  # fmt: skip
    for key in np.load(files / "t.npz"):
        stem = key if key.startswith(("core", "rows", "link", "step")) else key.split(".")[0] + "."
        assert stem in shown, key


def test_answers_do_not_depend_on_threads(snn, bundle):
    answers = [
        snn("run", bundle, "--backend", "sim", "--input", "data.npz", "--json", *more).json()
        for more in ((), ("--threads", "2"))
    ]
    assert answers[0] == answers[1]
    for command in (
        ("estimate", bundle, "--data", "data.npz"),
        ("verify", bundle, "--backends", "sim"),
        ("compile", "model.pt", "--data", "data.npz", "-o", "other"),
    ):
        assert snn(*command, "--threads", "2").code == 0


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--trace-neurons", "p:0"), "E5061"),
        (("--trace", "t.npz", "--trace-neurons", "p"), "E5062"),
        (("--trace", "t.npz", "--trace-neurons", "p:3-1"), "E5062"),
        (("--trace", "t.npz", "--trace-neurons", "p:-1"), "E5062"),
        (("--trace", "t.npz", "--trace-neurons", "nobody:0"), "E3020"),
        (("--trace", "data.npz"), "E5003"),
        (("--threads", "0"), "E5020"),
    ],
)
def test_a_bad_argument_is_named_and_nothing_is_written(files, snn, bundle, options, code):
    for command in (("run", bundle, "--backend", "sim", "--input"), ("estimate", bundle, "--data")):
        ran = snn(*command, "data.npz", *options)
        assert ran.code in (2, 3)
        assert code in ran.err
        assert not (files / "t.npz").exists()


def test_other_backends_have_no_threads_and_no_trace(snn, bundle):
    for backend, model in (("reference", bundle), ("float", "model.pt")):
        for option in (("--threads", "2"), ("--trace", "t.npz")):
            ran = snn("run", model, "--backend", backend, "--input", "data.npz", *option)
            assert (ran.code, "E5060" in ran.err) == (2, True)


def test_a_trace_is_of_one_chip(files, snn):
    ran = snn("estimate", "model.pt", "--target", "loihi1,loihi2", "--data", "data.npz",
              "--trace", "t.npz")  # fmt: skip
    assert (ran.code, "E5063" in ran.err) == (2, True)
    assert not (files / "t.npz").exists()
