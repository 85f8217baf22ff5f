"""A max pool before the neuron, on real digits: rewritten, fine-tuned, deployed, nothing lost."""

import subprocess
import sys
from pathlib import Path

import finetune_mnist
import numpy as np
import pytest
import torch
from digits import load_digits

import snndeploy

SCRIPT = Path(finetune_mnist.__file__)
N_TRAIN, N_TEST = 1500, 1000


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """The module's own decisions, the rewritten model, the tuned one, test digits."""
    torch.manual_seed(1)
    digits = load_digits()
    images, label = digits.train_images[:N_TRAIN], digits.train_labels[:N_TRAIN]
    test = {"data": digits.test_images[None, :N_TEST], "label": digits.test_labels[:N_TEST]}
    net = finetune_mnist.tutorial_net()
    finetune_mnist.train(net, torch.from_numpy(images), torch.from_numpy(label), epochs=5)
    path = tmp_path_factory.mktemp("models") / "model.pt"
    model = snndeploy.save(
        net, path, torch.from_numpy(images[:1]), steps=finetune_mnist.STEPS, repeat=True,
        input_range=(0, 1), rewrite="pool-after-neuron", **test,
    )  # fmt: skip
    expected = finetune_mnist.counts(net, torch.from_numpy(digits.test_images[:N_TEST]))
    tuned = snndeploy.finetune(model, images[None], label=label, epochs=4)
    return expected.argmax(1).numpy(), model, tuned, test


def test_what_the_rewrite_loses_is_won_back(stages, tell):
    original, model, tuned, test = stages
    right = np.mean(original == test["label"])
    rewritten, improved = (snndeploy.run(m, **test) for m in (model, tuned.model))
    before, after = rewritten.accuracy, improved.accuracy
    tell(f"pool after neuron: {right:.1%} as trained, {before:.1%} rewritten, {after:.1%} tuned")
    assert model.original.accuracy == pytest.approx(right)
    changed = np.mean(rewritten.decision["output"] != original)
    assert changed > 0.03, "the rewritten network is the same: not a test"
    assert before < right + 0.01
    assert after > before + 0.01
    assert after > right - 0.01
    assert tuned.report.after > tuned.report.before


def test_the_integers_of_the_tuned_network_decide_the_same(stages, tell):
    _, _, tuned, test = stages
    compiled = snndeploy.compile(tuned.model, "loihi2")
    assert not compiled.violations
    answers = [snndeploy.run(what, **test) for what in (tuned.model, compiled)]
    (floats, integers) = (answer.decision["output"] for answer in answers)
    equal = np.mean(floats == integers)
    tell(f"tuned network on loihi2: {answers[1].accuracy:.1%}, {equal:.1%} decided as in float")
    assert equal > 0.95
    assert answers[1].accuracy > answers[0].accuracy - 0.02


def test_quick_run_ends_in_a_table(tmp_path):
    command = [sys.executable, str(SCRIPT), "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert "refused as it is: error[E2004] 1: max pooling of real values" in done.stdout
    assert "fine-tuned for 1 epochs" in done.stdout
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["mnist_pooled.pt", "mnist_pooled.tuned.pt"]
