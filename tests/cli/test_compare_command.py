"""`snndeploy compare`: two forms side by side, exit codes, the case on disk, and refusals."""

import json

import nir
import numpy as np
import pytest


@pytest.mark.usefixtures("files", "bundle")
def test_a_bundle_equals_itself_on_another_executor(snn):
    ran = snn("compare", "net", "net@sim", "--data", "data.npz")
    assert ran.code == 0, ran.err
    assert "EQUAL: every spike of every layer" in ran.out


@pytest.mark.usefixtures("files", "bundle")
def test_a_model_and_its_bundle(snn):
    ran = snn("compare", "model.pt", "net", "--data", "data.npz", "--json")
    found = ran.json()
    assert ran.code == (0 if found["is_equal"] else 7)
    assert [layer["name"] for layer in found["layers"]] == ["n1"]
    assert found["schema_version"] == 1
    assert found["n_samples"] == 6


def test_the_first_difference_is_said_and_its_case_written(snn, files):
    args = ("compare", "model.pt", "model.pt@sim", "--data", "data.npz", "--weight-bits", "2")
    ran = snn(*args, "--case", "case.json")
    assert ran.code == 7, ran.err
    assert "first difference: layer n1, step" in ran.out
    assert "cause: rounding" in ran.out
    case = json.loads((files / "case.json").read_text())
    assert case["format"] == "snndeploy-case"
    last = case["steps"][-1]
    assert last["a"]["sent"] != last["b"]["sent"]
    again = snn(*args, "--case", "case.json")
    assert again.code == 2
    assert "E5003" in again.err
    assert snn(*args, "--case", "case.json", "--force").code == 7


def test_two_semantics_of_one_file(snn, files):
    one = np.ones(12)
    nodes = {
        "input": nir.Input(input_type={"input": np.array([12])}),
        "fc": nir.Linear(weight=np.eye(12) * 0.5),
        "lif": nir.LIF(tau=2e-4 * one, r=2 * one, v_leak=0 * one, v_threshold=0.5 * one),
        "output": nir.Output(output_type={"output": np.array([12])}),
    }
    edges = [("input", "fc"), ("fc", "lif"), ("lif", "output")]
    nir.write(str(files / "plain.nir"), nir.NIRGraph(nodes=nodes, edges=edges))
    ran = snn(
        "compare", "plain.nir", "plain.nir", "--data", "data.npz", "--encode", "spikes",
        "--semantics", "spikingjelly", "--semantics-b", "snntorch",
    )  # fmt: skip
    assert ran.code == 7, ran.err
    assert "cause: tie at threshold" in ran.out


@pytest.mark.usefixtures("files")
def test_only_the_first_samples(snn):
    ran = snn("compare", "model.pt", "model.pt", "--data", "data.npz", "--samples", "2", "--json")
    assert (ran.code, ran.json()["n_samples"]) == (0, 2)


@pytest.mark.usefixtures("files")
def test_a_misspelt_backend_is_refused_with_the_nearest_name(snn):
    ran = snn("compare", "model.pt", "model.pt@simm", "--data", "data.npz")
    assert ran.code == 2
    assert "did you mean 'sim'" in ran.err


@pytest.mark.usefixtures("files", "bundle")
def test_a_bundle_has_no_float_model(snn):
    ran = snn("compare", "net@float", "net", "--data", "data.npz")
    assert ran.code == 2
    assert "E5021" in ran.err


@pytest.mark.usefixtures("files", "bundle")
def test_compile_options_beside_bundles_are_refused(snn):
    ran = snn("compare", "net", "net", "--data", "data.npz", "--weight-bits", "4")
    assert ran.code == 2
    assert "E5021" in ran.err
