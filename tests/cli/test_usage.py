"""What a user gets wrong on the command line: one line, exit 2, and what was probably meant."""

import pytest

from snndeploy import pipeline
from snndeploy.errors import Violation


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("comple", "model.pt"), 2, "'compile'"),
        (("compile", "model.pt", "--taget", "loihi"), 2, "--target"),
        (("compile", "model.pt", "--target", "lohi2"), 2, "did you mean 'loihi2'"),
        (("compile", "model.pt", "--weight-bits", "9"), 2, "--weight-bits"),
        (("compile", "model.pt", "--semantics", "nir"), 2, "E5023"),
        (("compile", "model.nir", "--semantics", "snntorc"), 2, "did you mean 'snntorch'"),
        (("estimate", "model.pt"), 2, "E5006"),
        (("run", "model.pt", "--backend", "smi", "--input", "data.npz"), 2, "did you mean 'sim'"),
        (("explain", "E9999"), 2, "E5001"),
        (("inspect", "model.pt", "--emit", "networks"), 2, "--emit"),
        (("inspect", "model.pt", "--target", "lohi2"), 2, "did you mean 'loihi2'"),
        (("prune", "model.pt", "--ratio", "0.5", "--criterion", "l1", "--target", "lohi2"), 2,
         "did you mean 'loihi2'"),
        (("verify", "net", "--backends", ","), 2, "no executor is named"),
        (("export", "model.pt"), 2, "Choose from: onnx, nir, netx"),
        (("run", "model.pt", "--backend", "sim", "--input", "data.npz", "--output", "no/y.npz"), 2,
         "E5004"),
        (("run", "model.pt", "--backend", "sim", "--input", "data.npz", "--trace", "no/t.npz"), 2,
         "E5004"),
        (("inspect", "model.pt", "--svg", "no/g.svg"), 2, "E5004"),
        (("compare", "model.pt", "model.nir", "--data", "data.npz", "--case", "no/c.json"), 2,
         "E5004"),
        ((), 2, ""),
    ],
)  # fmt: skip
def test_usage_error_is_one_line_with_the_nearest_name(files, snn, args, code, says):
    ran = snn(*args)
    assert ran.code == code
    assert says in ran.out + ran.err
    if args:
        assert ran.err.startswith("error[E")
        assert len(ran.err.splitlines()) == 1
    assert sorted(p.name for p in files.iterdir()) == ["data.npz", "model.nir", "model.pt"]


def test_options_of_compilation_are_refused_for_a_bundle(snn, bundle):
    for option in (("--steps", "4"), ("--seed", "1"), ("--encode", "rate")):
        ran = snn("estimate", bundle, "--data", "data.npz", *option)
        assert ran.code == 2
        assert option[0] in ran.err


def test_a_bundle_is_not_estimated_for_another_chip(snn, bundle):
    ran = snn("estimate", bundle, "--data", "data.npz", "--target", "loihi1")
    assert ran.code == 2
    assert "E5021" in ran.err


def test_a_bundle_has_no_float_model(snn, bundle):
    assert snn("run", bundle, "--backend", "float", "--input", "data.npz").code == 2
    assert snn("inspect", bundle, "--emit", "nir").code == 2


def test_a_stage_is_json_too(snn, bundle):
    for name in ("model.pt", bundle):
        text = snn("inspect", name, "--emit", "network").out
        assert snn("inspect", name, "--emit", "network", "--json").json()["network"] == text
        assert snn("inspect", name, "--emit", "placement", "--json").json()["slices"]


def test_an_end_of_data_is_a_bug_and_no_interrupt(snn, monkeypatch):
    """click takes every EOFError for Ctrl-D."""

    def ends(*_, **__):
        raise EOFError("Ran out of input")

    monkeypatch.setattr("snndeploy.api.load", ends)
    ran = snn("inspect", "model.pt")
    assert ran.code == 1
    assert "internal error: EOFError: Ran out of input" in ran.err


def test_with_json_errors_are_json_too(snn):
    ran = snn("compile", "nothing.pt", "--json")
    record = ran.json()
    assert ran.code == record["exit_code"] == 3
    assert record["schema_version"] == 1
    assert record["error"]["code"].startswith("E1")
    assert ran.err == ""


def test_an_existing_bundle_is_replaced_only_with_force(snn, bundle):
    before = (bundle / "manifest.json").read_bytes()
    ran = snn("compile", "model.pt", "-o", "net")
    assert ran.code == 2
    assert "--force" in ran.err
    assert (bundle / "manifest.json").read_bytes() == before
    assert snn("compile", "model.pt", "-o", "net", "--force").code == 0
    assert (bundle / "manifest.json").read_bytes() != before


def test_foreign_files_are_never_deleted(snn, bundle):
    (bundle / "notes.txt").write_text("mine")
    ran = snn("compile", "model.pt", "-o", "net", "--force")
    assert ran.code == 2
    assert "notes.txt" in ran.err
    assert (bundle / "notes.txt").read_text() == "mine"


def test_an_existing_answer_is_replaced_only_with_force(snn, bundle):
    args = ("run", bundle, "--backend", "sim", "--input", "data.npz", "--output", "y.npz")
    assert snn(*args).code == 0
    assert snn(*args).code == 2
    assert snn(*args, "--force").code == 0


def test_what_does_not_fit_exits_5_with_every_rule(files, snn, monkeypatch):
    def nothing_fits(*_):
        return (
            Violation(node="n0", rule="r1", have=9, limit=8, unit="neurons", hint="split it"),
            Violation(node="n1", rule="r2", have=7, limit=6, unit="axons", hint="prune it"),
        )

    monkeypatch.setattr(pipeline, "place", nothing_fits)
    ran = snn("compile", "model.pt", "-o", "net")
    assert ran.code == 5
    assert "DOES NOT FIT loihi2: 2 rules broken" in ran.out
    assert "r1" in ran.out
    assert "r2" in ran.out
    assert ran.err.startswith("error[E3001] n0:")
    assert not (files / "net").exists()
    record = snn("compile", "model.pt", "-o", "net", "--json").json()
    assert record["verdict"]["fits"] is False
    assert len(record["verdict"]["violations"]) == 2
