"""`snndeploy prune`: one file, one table, and nothing at all if something is wrong."""

import numpy as np
import pytest

import snndeploy
from snndeploy.frontends.checkpoint import load


def test_a_pruned_model_is_written_and_every_layer_is_told(snn, files):
    ran = snn("prune", "model.pt", "--data", "data.npz", "--ratio", "0.5", "-o", "small.pt")
    assert ran.code == 0, ran.err
    rows = {line.split()[0]: line for line in ran.out.splitlines() if line.strip()}
    assert rows["n0"].split()[1:5] == ["10", "5", "120", "60"]
    assert "left: it is read by the output output" in rows["n2"]
    assert rows["weights"].split()[1:3] == ["160", "80"]
    assert "6 samples" in rows["accuracy"]
    assert "ranked by svs on 6 samples" in ran.out
    assert "hint: snndeploy finetune small.pt --data TRAIN.npz" in ran.out
    assert load(files / "small.pt").notes[-1].kind == "pruned"
    assert "pruned n0: 10 -> 5 channels of n0" in snn("inspect", "small.pt").out
    assert snn("compile", "small.pt", "-o", "net").code == 0


def test_the_record_has_what_the_table_has(snn, files):
    ran = snn("prune", "model.nir", "--semantics", "snntorch", "--values", "spikes",
              "--data", "data.npz", "--ratio", "n0=0.3", "--json")  # fmt: skip
    record = ran.json()
    assert record["schema_version"] == 1
    assert record["criterion"] == "svs"
    assert record["groups"][0]["after"] == 7
    assert len(record["groups"][0]["kept"]) == 7
    assert record["left"] == [{"layer": "n2", "reason": "is read by the output output"}]
    assert record["weights_after"] == 7 * 12 + 4 * 7
    assert record["output"] == "model.pruned.pt"
    paper = record["as_qp_snn_counts"]
    assert paper["connections"] is None  # two layers, first and last: nothing would be quantized
    assert paper["size_mb_after"]["8"] == (7 * 12 + 7 + 4 * 7 + 4) * 4 / 1e6
    assert (
        record["accuracy_after"]
        == snndeploy.run(load(files / "model.pruned.pt"), files / "data.npz").accuracy
    )
    again = snn("prune", "model.nir", "--semantics", "snntorch", "--values", "spikes",
                "--data", "data.npz", "--ratio", "n0=0.3", "--json", "-o", "b.pt")  # fmt: skip
    assert again.json()["groups"] == record["groups"]


def test_a_budget_is_told_with_what_it_cost(snn):
    ran = snn("prune", "model.pt", "--data", "data.npz", "--budget", "synaptic_ops=0.6")
    assert ran.code == 0, ran.err
    (row,) = [line for line in ran.out.splitlines() if line.strip().startswith("synaptic_ops")]
    assert "networks tried" in row
    before, after = (float(word.replace(",", "")) for word in row.split()[1:3])
    assert after <= 0.6 * before


def test_chance_needs_no_samples(snn, files):
    assert (
        snn("prune", "model.pt", "--criterion", "random", "--ratio", "0.5", "-o", "a.pt").code == 0
    )
    given = ("prune", "model.pt", "--criterion", "random", "--ratio", "0.5", "--seed", "7")
    assert snn(*given, "-o", "b.pt").code == 0
    a, b = (load(files / name).graph.nodes["n0"].weight for name in ("a.pt", "b.pt"))
    assert a.shape == b.shape
    assert not np.array_equal(a, b)


REFUSED = {
    ("--ratio", "1.5"): (2, "E5090] --ratio: a ratio of 1.5"),
    ("--ratio", "n0"): (2, "E5090] --ratio: 'n0' in 'n0'; help: write NAME=NUMBER"),
    ("--ratio", "n0=0.1,n0=0.2"): (2, "E5090] --ratio: 'n0=0.2'"),
    ("--ratio", "n7=0.5"): (2, "E5091] --ratio: there is no layer 'n7'; help: use n0"),
    ("--ratio", "n2=0.5"): (4, "E2320] n2: its channels cannot be pruned: it is read by"),
    ("--budget", "joules=1"): (2, "E5094] --budget: unknown cost 'joules'"),
    ("--budget", "0.5"): (2, "E5094] --budget: '0.5' in '0.5'"),
    ("--budget", "weights=2"): (2, "E5093] --budget: 2 weights cannot be reached"),
    ("--ratio", "0.5", "--budget", "weights=0.5"): (2, "E5090] --ratio: a ratio and a budget"),
    ("--ratio", "0.5", "-o", "small.nir"): (2, "E5020] -o: 'small.nir' is no .pt file"),
}


@pytest.mark.parametrize("options", REFUSED)
def test_what_is_refused_leaves_nothing_behind(options, snn, files):
    before = set(files.iterdir())
    ran = snn("prune", "model.pt", "--data", "data.npz", *options)
    code, line = REFUSED[options]
    assert ran.code == code
    assert line in ran.err
    assert len(ran.err.splitlines()) == 1
    assert set(files.iterdir()) == before


def test_an_existing_file_is_kept(snn, files):
    (files / "model.pruned.pt").write_bytes(b"mine")
    ran = snn("prune", "model.pt", "--data", "data.npz", "--ratio", "0.5")
    assert ran.code == 2
    assert (files / "model.pruned.pt").read_bytes() == b"mine"
    assert snn("prune", "model.pt", "--data", "data.npz", "--ratio", "0.5", "--force").code == 0
