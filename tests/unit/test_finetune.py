"""Fine-tuning learns, keeps the best epoch, repeats itself, and refuses what it cannot do."""

from dataclasses import replace

import nir
import numpy as np
import pytest
from chains import chain_model, conv, flatten, graph_model, integrate_and_fire, lif

import snndeploy
from snndeploy.compress.records import TrainOptions
from snndeploy.errors import ModelError, UnsupportedError, UsageError
from snndeploy.model import Original
from snndeploy.nirgraph.rebuild import build_graph

STEPS, N_IN, N_CLASSES = 6, 10, 3


def network(seed=0, decode="sum", **options):
    rng = np.random.default_rng(seed)
    return chain_model(
        nir.Affine(weight=rng.normal(0.1, 0.4, (12, N_IN)).astype(np.float32), bias=np.zeros(12)),
        lif((12,), keep=0.75),
        nir.Affine(weight=rng.normal(0, 0.4, (N_CLASSES, 12)), bias=np.zeros(N_CLASSES)),
        shape=(N_IN,), out_shape=(N_CLASSES,), steps=STEPS, decode=decode, **options,
    )  # fmt: skip


def task(n, seed=1):
    """Classes differ in which third of the inputs spikes often."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, N_CLASSES, n)
    rate = np.where(np.arange(N_IN) * N_CLASSES // N_IN == label[:, None], 0.5, 0.15)
    return {"data": (rng.random((STEPS, n, N_IN)) < rate).astype(float), "label": label}


@pytest.mark.parametrize("decode", ["sum", "mean", "max", "last"])
def test_fine_tuning_learns_with_every_decode(decode):
    model, given, test = network(decode=decode), task(200), task(200, seed=2)
    held = {"validation": test["data"], "validation_label": test["label"]}
    tuned = snndeploy.finetune(model, **given, **held, epochs=8, batch=16, learning_rate=0.03)
    report = tuned.report
    assert report.before < 0.6
    assert report.after > report.before + 0.2
    for what, accuracy in ((model, report.before), (tuned.model, report.after)):
        assert snndeploy.run(what, test["data"], label=test["label"]).accuracy == accuracy
    assert report.after == max(epoch.judged.accuracy for epoch in report.epochs)
    assert report.epochs[report.best].judged.accuracy == report.after
    assert [epoch.number for epoch in report.epochs] == list(range(9))
    assert report.epochs[8].training.loss < report.epochs[1].training.loss
    assert (report.n_samples, report.n_judged, report.steps) == (200, 200, STEPS)


def test_only_weights_and_biases_change_and_the_model_is_left_alone():
    model = network()
    before = model.graph.nodes["n0"].weight.copy()
    tuned = snndeploy.finetune(model, **task(60), epochs=3).model
    assert np.array_equal(model.graph.nodes["n0"].weight, before)
    assert not np.array_equal(tuned.graph.nodes["n0"].weight, before)
    assert tuned.graph.nodes["n0"].weight.dtype == np.float32
    assert tuned.graph.nodes["n2"].bias.any()
    for field in ("tau", "r", "v_leak", "v_threshold", "v_reset"):
        assert np.array_equal(
            getattr(tuned.graph.nodes["n1"], field), getattr(model.graph.nodes["n1"], field)
        )
    assert (tuned.inputs, tuned.outputs) == (model.inputs, model.outputs)
    (note,) = tuned.notes
    assert note.kind == "trained"
    assert note.text.startswith("weights of n0, n2: epoch ")
    assert "of 3 on 54 samples (lr 0.01, batch 64, seed 0); accuracy" in note.text
    assert note.text.endswith("of 6 held-out samples")


def test_a_tuned_model_knows_the_steps_it_was_trained_for():
    assert snndeploy.finetune(network(), **task(30), epochs=1, steps=9).model.steps == 9
    silent = replace(network(), steps=None)
    assert snndeploy.finetune(silent, **task(30), epochs=1).model.steps == STEPS


def test_the_same_seed_gives_the_same_weights_and_another_one_others():
    def weights(seed):
        tuned = snndeploy.finetune(network(), **task(60), epochs=2, seed=seed, hold_out=0.0)
        return tuned.model.graph.nodes["n0"].weight

    assert np.array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


def test_a_network_that_gets_worse_is_returned_as_it_came():
    model = snndeploy.finetune(network(), **task(300), epochs=15, learning_rate=0.03).model
    test = task(100, seed=9)
    wrong = (task(100)["label"] + 1) % N_CLASSES
    tuned = snndeploy.finetune(
        model, task(100)["data"], label=wrong,
        validation=test["data"], validation_label=test["label"], epochs=2, learning_rate=0.1,
    )  # fmt: skip
    assert tuned.report.best == 0
    assert tuned.report.after == tuned.report.before
    assert np.array_equal(tuned.model.graph.nodes["n0"].weight, model.graph.nodes["n0"].weight)


def test_the_scale_of_the_weights_does_not_matter():
    def scaled(factor):
        model = network()
        nodes = dict(model.graph.nodes)
        nodes["n0"] = nir.Affine(weight=nodes["n0"].weight * factor, bias=np.zeros(12))
        nodes["n1"] = lif((12,), keep=0.75, gain=1 / factor)
        return replace(model, graph=build_graph(nodes, model.graph.edges))

    reports = [
        snndeploy.finetune(scaled(factor), **task(100), epochs=3, learning_rate=0.03).report
        for factor in (1, 2.0**-20, 2.0**20)
    ]
    losses = [[epoch.judged.loss for epoch in report.epochs] for report in reports]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
    assert losses[2] == pytest.approx(losses[0], rel=0.1)


def test_held_out_samples_are_those_of_the_seed_and_progress_is_told():
    seen = []
    report = snndeploy.finetune(
        network(), **task(50), epochs=2, batch=20, hold_out=0.2,
        progress=lambda done, total: seen.append((done, total)),
    ).report  # fmt: skip
    assert (report.n_samples, report.n_judged, report.judged_on) == (40, 10, "held-out samples")
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    report = snndeploy.finetune(network(), **task(50), epochs=1, hold_out=0.0).report
    assert (report.n_samples, report.n_judged, report.judged_on) == (50, 50, "training samples")


def test_the_originals_accuracy_is_comparable_only_on_the_same_samples():
    given, test = task(40), task(20, seed=3)
    held = {"validation": test["data"], "validation_label": test["label"]}
    samples = snndeploy.samples.samples_of(test["data"], {"input": (N_IN,)}, test["label"])
    original = Original(accuracy=0.9, n_samples=20, digest=samples.digest())
    model = replace(network(), original=original)
    assert snndeploy.finetune(model, **given, **held, epochs=1).report.same_samples
    assert not snndeploy.finetune(model, **given, epochs=1).report.same_samples
    assert snndeploy.finetune(model, **given, epochs=1).model.original == original


def test_only_what_leads_to_the_first_output_moves():
    rng = np.random.default_rng(0)
    nodes = {
        "stem": conv(rng.normal(0.05, 0.4, (3, 2, 3, 3)), (8, 8), padding=1),
        "a": integrate_and_fire((3, 8, 8)),
        "f": flatten((3, 8, 8)),
        "w": nir.Linear(weight=rng.normal(0, 0.2, (5, 192))),
    }
    edges = [("in", "stem"), ("stem", "a"), ("a", "out"), ("a", "f"), ("f", "w"), ("w", "out2")]
    ports = {"inputs": {"in": (2, 8, 8)}, "outputs": {"out": (3, 8, 8), "out2": (5,)}}
    model = graph_model(nodes, edges, **ports, steps=5)
    model = replace(model, outputs=model.outputs[::-1])
    label = np.arange(20) % 5
    x = np.random.default_rng(1).random((model.steps, 20, *model.inputs[0].shape)) < 0.3
    tuned = snndeploy.finetune(model, x.astype(float), label=label, epochs=1).model
    assert tuned.notes[-1].text.startswith("weights of stem, w: ")
    first = replace(model, outputs=model.outputs[::-1])
    tuned = snndeploy.finetune(first, x.astype(float), label=label, epochs=1).model
    assert tuned.notes[-1].text.startswith("weights of stem: ")
    assert np.array_equal(tuned.graph.nodes["w"].weight, model.graph.nodes["w"].weight)


def without_weights():
    return chain_model(lif((N_CLASSES,), keep=0.5), shape=(3,), out_shape=(3,))


@pytest.mark.parametrize(
    ("model", "changes", "kind", "says"),
    [
        (network, {"label": None}, ModelError, "E1214.*no labels"),
        (network, {"label": np.full(30, 3)}, ModelError, "E1215.*30 of 30 labels.*largest is 3"),
        (network, {"label": np.zeros(29, int)}, ModelError, "E1210"),
        (network, {"data": np.zeros((STEPS, 30, 4))}, ModelError, "E1206.*takes .T, B, 10"),
        (network, {"data": np.zeros((STEPS, 0, N_IN))}, ModelError, "E1209"),
        (network, {"data": np.zeros((9, 30, N_IN))}, ModelError, "E1211.*9 frames"),
        (network, {"data": np.full((STEPS, 30, N_IN), np.nan)}, ModelError, "E1208"),
        (network, {"validation": np.zeros((STEPS, 3, N_IN))}, ModelError, "E1214.* validation:"),
        (network, {"hold_out": 0.99}, ModelError, "E1216.*30 samples, 30 of them"),
        (network, {"epochs": 0}, UsageError, "E5050.*--epochs: 0; help: use 1 or more"),
        (network, {"learning_rate": 0.0}, UsageError, "E5050.*--lr"),
        (network, {"learning_rate": float("nan")}, UsageError, "E5050.*--lr"),
        (network, {"batch": 0}, UsageError, "E5050.*--batch"),
        (network, {"seed": -1}, UsageError, "E5050.*--seed"),
        (network, {"hold_out": 1.0}, UsageError, "E5050.*--hold-out"),
        (network, {"learning_rate": 1.1}, UsageError, "E5050.*--lr"),
        (network, {"data": np.full((STEPS, 30, N_IN), 1e39)}, UsageError, "E5051.*--lr: .*epoch 1"),
        (without_weights, {"data": np.zeros((8, 30, 3))}, UnsupportedError, "E2302"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(model, changes, kind, says):
    with pytest.raises(kind, match=says) as caught:
        snndeploy.finetune(model(), **{**task(30), **changes})
    assert "\n" not in caught.value.line()


def test_options_have_the_command_lines_defaults():
    assert TrainOptions() == TrainOptions(
        epochs=10, learning_rate=0.01, batch=64, seed=0, hold_out=0.1
    )
