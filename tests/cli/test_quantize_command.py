"""`snndeploy quantize`: what it prints, writes and refuses; what finetune makes of it."""

import json

import numpy as np
import pytest

import snndeploy
from snndeploy.nirgraph.weight_grid import grid_of_node


def grids(path):
    nodes = snndeploy.load(path).graph.nodes
    found = {name: grid_of_node(name, node) for name, node in nodes.items()}
    return {name: (g.bits, g.kind, len(g.gamma)) for name, g in found.items() if g is not None}


def test_every_layer_is_a_row_and_accuracies_are_told(snn, files):
    ran = snn("quantize", "model.pt", "--bits", "4", "--grid", "odd", "--data", "data.npz")
    assert ran.code == 0, ran.err
    header, first, second = (
        line.split()
        for line in ran.out.splitlines()
        if line.strip().startswith(("layer", "n0", "n2"))
    )
    assert header[:4] == ["layer", "bits", "grid", "gamma"]
    assert first[:3] == ["n0", "4", "odd"]
    assert second[:3] == ["n2", "4", "odd"]
    assert "of 16" in ran.out
    assert "of 6 samples; float" in ran.out
    assert "integer network for loihi2, simulated" in ran.out
    assert "wrote model.quantized.pt" in ran.out
    assert grids(files / "model.quantized.pt") == {"n0": (4, "odd", 1), "n2": (4, "odd", 1)}


def test_json_holds_the_report(snn, files):
    ran = snn("quantize", "model.pt", "--bits", "n0=8,n2=2", "--gamma", "percentile",
              "--percentile", "0.95", "--data", "data.npz", "-o", "q.nir", "--json")  # fmt: skip
    record = ran.json()
    assert record["schema_version"] == 1
    assert [(row["layer"], row["bits"]) for row in record["layers"]] == [("n0", 8), ("n2", 2)]
    for row in record["layers"]:
        assert 0 <= row["clipped"] <= 1
        assert 1 < row["codes_used"] <= row["codes"]
        assert np.isfinite(row["sqnr_db"])
    assert record["options"]["bits"] == {"n0": 8, "n2": 2}
    assert record["options"]["percentile"] == 0.95
    assert record["target"] == "loihi2"
    model = snndeploy.load(files / "model.pt")
    before = snndeploy.run(model, files / "data.npz").accuracy
    assert record["accuracy"]["before"] == before
    compiled = snndeploy.compile(snndeploy.load(files / "q.nir"))
    assert record["accuracy"]["after"] == snndeploy.run(compiled, files / "data.npz").accuracy


def test_a_quantized_model_is_fine_tuned_as_its_integer_network(snn, files):
    assert snn("quantize", "model.pt", "--bits", "2", "--granularity", "channel").code == 0
    tuned = snn("finetune", "model.quantized.pt", "--data", "data.npz", "--epochs", "2",
                "--hold-out", "0", "--ste", "masked")  # fmt: skip
    assert tuned.code == 0, tuned.err
    assert "every step ran the integer network for loihi2" in tuned.out
    path = files / "model.quantized.tuned.pt"
    assert grids(path) == {"n0": (2, "chip", 10), "n2": (2, "chip", 1)}
    said = json.loads(
        snn("finetune", "model.quantized.pt", "--data", "data.npz", "--epochs", "2",
            "--hold-out", "0", "-o", "again.pt", "--json").out
    )  # fmt: skip
    assert said["trained"] == "integer network"
    deployed = snndeploy.run(
        snndeploy.compile(snndeploy.load(files / "again.pt")), files / "data.npz"
    )
    assert said["after"] == deployed.accuracy
    assert "as the integer network on loihi2" in snn("inspect", "again.pt").out


def test_a_float_model_is_still_fine_tuned_as_one(snn):
    ran = snn("finetune", "model.pt", "--data", "data.npz", "--epochs", "1", "--json")
    assert ran.json()["trained"] == "float model"


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("--bits", "8", "--grid", "odd"), 4, "error[E2310] n0: odd codes of 8 bits"),
        (("--bits", "1"), 2, "error[E5080] --bits"),
        (("--bits", "fc=4"), 2, "error[E5081] --bits"),
        (("--bits", "n0=4,n0=3"), 2, "E5020"),
        (("--bits", "n0"), 2, "E5020"),
        (("--gamma", "best"), 2, "E5020"),
        (("--percentile", "2"), 2, "error[E5082] --percentile"),
        (("--target", "abacus"), 2, "abacus"),
        (("-o", "model.pt"), 2, "E5003"),
        (("-o", "model.onnx"), 2, "E5020"),
        (("--data", "nothing.npz"), 3, "E1212"),
        (("--semantics", "snntorch"), 2, "E5023"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(snn, files, args, code, says):
    before = sorted(files.iterdir())
    ran = snn("quantize", "model.pt", *args)
    assert ran.code == code
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1
    assert sorted(files.iterdir()) == before
