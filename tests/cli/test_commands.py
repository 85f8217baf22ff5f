"""Every command does what it says, with the documented exit code, for people and for programs."""

import json

import numpy as np
import pytest

from snndeploy.cli.main import main


def test_compile_writes_a_bundle_and_says_that_it_fits(files, snn):
    ran = snn("compile", "model.pt", "--target", "loihi", "--data", "data.npz", "-o", "net")
    assert ran.code == 0
    assert ran.out.startswith("FITS loihi2: 2 of 120 cores")
    assert "accuracy" in ran.out
    assert "wrote net" in ran.out
    held = {path.name for path in (files / "net").iterdir()}
    assert {"manifest.json", "network.txt", "placement.json", "probes.npz", "expected.npz"} <= held
    assert "report.html" in held


def test_compile_names_the_bundle_after_model_and_chip(files, snn):
    assert snn("compile", "model.nir", "--target", "loihi1").code == 0
    assert (files / "model.loihi1" / "manifest.json").exists()


def test_compile_json_has_verdict_layers_and_estimate(snn):
    ran = snn("compile", "model.pt", "--data", "data.npz", "-o", "net", "--json")
    record = ran.json()
    assert record["schema_version"] == 1
    assert record["verdict"]["fits"] is True
    assert [layer["population"] for layer in record["layers"]]
    assert record["estimate"]["n_samples"] == 6
    assert record["bundle"] == "net"


def test_compiling_twice_gives_the_same_bytes(files, snn):
    for name in ("one", "two"):
        assert snn("compile", "model.pt", "--data", "data.npz", "-o", name).code == 0
    one, two = ({p.name: p.read_bytes() for p in (files / n).iterdir()} for n in ("one", "two"))
    assert one == two


def test_run_on_every_backend_gives_the_same_answers(files, snn, bundle):
    answers = []
    for backend in ("reference", "sim"):
        out = f"{backend}.npz"
        ran = snn("run", bundle, "--backend", backend, "--input", "data.npz", "--output", out)
        assert ran.code == 0, ran.err
        answers.append(np.load(files / out)["y"])
    assert answers[0].shape == (8, 6, 4)
    np.testing.assert_array_equal(*answers)


def test_run_of_a_model_compiles_it_first(snn, bundle):
    of_model = snn("run", "model.pt", "--backend", "sim", "--input", "data.npz", "--json").json()
    of_bundle = snn("run", bundle, "--backend", "sim", "--input", "data.npz", "--json").json()
    assert of_model["outputs"] == of_bundle["outputs"]


def test_run_float_decides_like_the_integers_on_most_samples(snn, bundle):
    exact = snn("run", "model.pt", "--backend", "float", "--input", "data.npz", "--json").json()
    chip = snn("run", bundle, "--backend", "sim", "--input", "data.npz", "--json").json()
    decisions = [r["outputs"]["output"]["decision"] for r in (exact, chip)]
    assert np.mean(np.array(decisions[0]) == np.array(decisions[1])) >= 0.5
    assert exact["accuracy"] is not None


def test_estimate_compares_chips_side_by_side(snn):
    ran = snn("estimate", "model.pt", "--target", "loihi1,loihi2", "--data", "data.npz")
    assert ran.code == 0
    assert ran.out.count("FITS loihi") == 2
    assert "no public price" in ran.out


def test_estimate_ledger_sums_to_its_total(snn, bundle):
    record = snn("estimate", bundle, "--data", "data.npz", "--json").json()["estimates"][0]
    for i, total in enumerate(record["dynamic_j"]):
        assert total == pytest.approx(sum(line["energy_j"][i] for line in record["ledger"]))
    by_layer = sum(layer["energy_j"] for layer in record["layers"])
    assert by_layer <= record["dynamic_j"][1] * (1 + 1e-9)


def test_verify_writes_a_certificate(snn, bundle):
    ran = snn("verify", bundle, "--backends", "reference,sim")
    assert ran.code == 0
    assert "EQUAL: sim, stored against the reference" in ran.out
    certificate = json.loads((bundle / "certificate.json").read_text())
    assert certificate["is_equal"] is True
    assert (
        snn("verify", bundle, "--backends", "sim").code == 0
    )  # the certificate is no foreign file


def test_verify_takes_other_inputs(snn, bundle):
    ran = snn("verify", bundle, "--backends", "sim", "--input", "data.npz", "--json")
    assert ran.code == 0
    assert ran.json()["inputs"] == [f"input {i}" for i in range(6)]


@pytest.mark.parametrize("what", ["model.pt", "model.nir", "net"])
@pytest.mark.usefixtures("bundle")
def test_inspect_describes_models_and_bundles(snn, what):
    assert snn("inspect", what).code == 0
    assert snn("inspect", what, "--json").json()["schema_version"] == 1


@pytest.mark.parametrize(
    ("what", "stage", "start"),
    [
        ("model.pt", "nir", "node "),
        ("model.pt", "network", "snndeploy-network 3"),
        ("net", "network", "snndeploy-network 3"),
        ("net", "placement", "{"),
    ],
)
@pytest.mark.usefixtures("bundle")
def test_inspect_stops_at_a_stage(snn, what, stage, start):
    ran = snn("inspect", what, "--emit", stage)
    assert ran.code == 0, ran.err
    assert ran.out.startswith(start)


def test_targets_lists_chips_with_sources(snn):
    assert "loihi2" in snn("targets").out
    assert "lava-nc" in snn("targets", "loihi", "--rules").out
    record = snn("targets", "--json").json()
    modelled = [chip for chip in record["targets"] if not chip["priced_only"]]
    assert [chip["name"] for chip in modelled] == ["loihi1", "loihi2"]
    assert all(limit["source"] for chip in modelled for limit in chip["limits"].values())
    assert len(record["targets"]) == 9


def test_doctor_says_what_is_here(snn):
    ran = snn("doctor")
    assert ran.code == 0
    assert "torch" in ran.out
    assert snn("doctor", "--json").json()["is_complete"] is True


def test_explain_prints_meaning_and_remedy(snn):
    ran = snn("explain", "e3001")
    assert ran.code == 0
    assert "What to do" in ran.out
    assert snn("explain", "E3001", "--json").json()["code"] == "E3001"


def test_every_command_has_help(snn):
    for name in main.commands:
        assert snn(name, "--help").code == 0


def test_estimate_times_the_network_at_three_levels(snn, bundle):
    steps = {}
    for level in ("bound", "queue", "flit"):
        ran = snn("estimate", bundle, "--data", "data.npz", "--timing", level, "--json")
        latency = ran.json()["estimates"][0]["latency"]
        assert latency["level"] == level
        assert latency["bottleneck"] in ("memory", "compute", "traffic")
        assert sum(latency["bottlenecks"].values()) > 0
        assert latency["cycle_kind"] == "reference"
        assert latency["missing"] == ["axon_in", "spike"]
        assert {core["core"] for core in latency["cores"]} >= {latency["critical_core"]}
        assert all(core["cycles"] <= core["slowest_cycles"] for core in latency["cores"])
        steps[level] = latency["step_s"]
    assert steps["bound"] < steps["queue"] < 2 * steps["bound"]
    assert abs(steps["flit"] / steps["queue"] - 1) < 0.05
    shown = snn("estimate", bundle, "--data", "data.npz", "--timing", "queue").out
    for words in ("bottleneck", "cycles/step", "timing: queue", "asynchronous", "not in the time"):
        assert words in shown
    assert snn("estimate", bundle, "--data", "data.npz", "--timing", "exact").code == 2
