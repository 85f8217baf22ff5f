"""`snndeploy finetune`: three accuracies, one file, and nothing at all if something is wrong."""

from dataclasses import replace

import numpy as np
import pytest

import snndeploy
from snndeploy.compress import finetune as compress
from snndeploy.frontends.checkpoint import load, write_model
from snndeploy.model import Original
from snndeploy.samples import read_samples

SHAPES = {"input": (12,)}


def test_a_tuned_model_is_written_and_its_accuracies_are_told(snn, files):
    ran = snn("finetune", "model.pt", "--data", "data.npz", "--epochs", "2", "-o", "tuned.pt")
    assert ran.code == 0, ran.err
    rows = [
        line.strip() for line in ran.out.splitlines() if "samples" in line or "original" in line
    ]
    original, before, after, *_ = rows
    assert original.startswith("original module")
    assert "not measured" in original
    assert before.startswith("before fine-tuning")
    assert "of 1 held-out" in before
    assert after.startswith("after fine-tuning")
    assert "5 samples trained on" in ran.out
    assert "wrote tuned.pt" in ran.out
    assert load(files / "tuned.pt").notes[-1].kind == "trained"
    assert snn("compile", "tuned.pt", "-o", "net").code == 0
    assert "trained output: weights of n0, n2" in snn("inspect", "tuned.pt").out


def test_validation_samples_judge_and_the_original_is_compared_on_the_same(snn, files):
    samples = read_samples(files / "data.npz", SHAPES)
    original = Original(accuracy=0.75, n_samples=6, digest=samples.digest())
    write_model(replace(load(files / "model.pt"), original=original), files / "rewritten.pt")
    given = ("finetune", "rewritten.pt", "--validation", "data.npz", "--epochs", "1", "--json")
    ran = snn(*given, "--data", "data.npz", "--seed", "3", "--lr", "0.02")
    record = ran.json()
    assert record["schema_version"] == 1
    assert record["original"] == {"accuracy": 0.75, "n_samples": 6, "digest": samples.digest()}
    assert record["same_samples"] is True
    assert record["judged_on"] == "validation samples"
    assert record["options"] == {
        "epochs": 1, "learning_rate": 0.02, "batch": 64, "seed": 3, "hold_out": 0.1,
        "ste": "one",
    }  # fmt: skip
    assert record["output"] == "rewritten.tuned.pt"
    tuned = load(files / "rewritten.tuned.pt")
    assert snndeploy.run(tuned, files / "data.npz").accuracy == record["after"]
    assert tuned.original == original
    assert "75.0 % of 6 samples" in snn("inspect", "rewritten.tuned.pt").out
    shown = snn("finetune", "rewritten.pt", "--data", "data.npz", "--epochs", "1", "--force",
                "-o", "rewritten.tuned.pt")  # fmt: skip
    assert "75.0 %" in shown.out
    assert "of 6 other samples" in shown.out


def test_the_same_command_gives_the_same_bytes(snn, files):
    for name in ("a.pt", "b.pt"):
        ran = snn("finetune", "model.pt", "--data", "data.npz", "--epochs", "2", "-o", name)
        assert ran.code == 0
    assert (files / "a.pt").read_bytes() == (files / "b.pt").read_bytes()


def test_a_nir_file_is_tuned_with_its_options(snn, files):
    ran = snn("finetune", "model.nir", "--data", "data.npz", "--epochs", "1", "-o", "n.pt")
    assert ran.code == 0, ran.err
    assert load(files / "n.pt").steps == 8


def other(files, **changes):
    with np.load(files / "data.npz") as held:
        arrays = {**held, **changes}
    np.savez(files / "other.npz", **{k: v for k, v in arrays.items() if v is not None})


@pytest.mark.parametrize(
    ("changes", "args", "code", "says"),
    [
        ({"label": None}, (), 3, "error[E1214] data: the samples have no labels"),
        ({"label": np.arange(6) + 2}, (), 3, "error[E1215] data: 4 of 6 labels"),
        ({"label": np.arange(6) - 1}, (), 3, "E1210"),
        ({"x": np.zeros((8, 6, 11))}, (), 3, "E1206"),
        ({"x": np.zeros((9, 6, 12))}, (), 3, "E1211"),
        ({"x": np.zeros((8, 0, 12)), "label": None}, (), 3, "E1209"),
        ({"x": np.full((8, 6, 12), 1e39)}, (), 2, "E5051"),
        ({"x": np.zeros((8, 1, 12)), "label": np.zeros(1, int)}, (), 3, "E1216"),
        ({}, ("--epochs", "0"), 2, "error[E5050] --epochs: 0; help: use 1 or more"),
        ({}, ("--epochs", "many"), 2, "--epochs"),
        ({}, ("--lr", "nan"), 2, "E5050"),
        ({}, ("--lr", "-1"), 2, "E5050"),
        ({}, ("--hold-out", "1"), 2, "E5050"),
        ({}, ("--epoch", "1"), 2, "--epochs"),
        ({}, ("--semantics", "snntorch"), 2, "E5023"),
        ({}, ("--validation", "nothing.npz"), 3, "E1212"),
        ({}, ("-o", "model.pt"), 2, "E5003"),
        ({}, ("-o", "no/such/folder.pt"), 2, "E5004"),
        ({}, ("-o", "tuned.nir"), 2, "E5020"),
        ({}, ("-o", "folder.pt"), 2, "E5004"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(snn, files, changes, args, code, says):
    other(files, **changes)
    (files / "folder.pt").mkdir()
    before = sorted(files.iterdir())
    ran = snn("finetune", "model.pt", "--data", "other.npz", *args)
    assert ran.code == code
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1
    assert sorted(files.iterdir()) == before


def test_an_output_that_cannot_be_written_is_refused_before_training(snn, monkeypatch):
    monkeypatch.setattr(compress, "train", lambda *_, **__: pytest.fail("trained"))
    for out in ("no/such/folder.pt", "model.pt"):
        assert snn("finetune", "model.pt", "--data", "data.npz", "-o", out).code == 2


def test_an_output_that_fails_at_the_end_is_one_line(snn):
    ran = snn("finetune", "model.pt", "--data", "data.npz", "--epochs", "1", "-o", "/proc/tuned.pt")
    assert ran.code == 2
    assert ran.err.startswith("error[E5004] /proc/tuned.pt: cannot be written")


def test_ctrl_c_leaves_nothing(snn, files, monkeypatch):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(compress, "train", interrupt)
    before = sorted(files.iterdir())
    assert snn("finetune", "model.pt", "--data", "data.npz").code == 130
    assert sorted(files.iterdir()) == before
