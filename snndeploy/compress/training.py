"""The training loop: weights in, better weights out; what runs forward is a function of weights.

Steps are taken in float32, for speed; every epoch is judged in float64, where the spikes are those
of the float interpreter and the answers of an integer network those that the host reads, and with
the host's own reduction, so that the accuracies are those `run` gives, ties included.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, assert_never

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from snndeploy.compress.records import Epoch, Score, TrainOptions
from snndeploy.compress.torch_graph import TorchGraph, Weight, Weights, run_graph, tensor_of
from snndeploy.errors import UsageError
from snndeploy.frames import frames_of
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Decode
from snndeploy.ir.readout import reduce_steps
from snndeploy.samples import Samples
from snndeploy.target import Progress, no_progress

Answers = Callable[[Weights, Samples, torch.dtype], Tensor]
"""First output [T, B, …] for weights and samples, in a precision."""
JUDGE_BATCH = 128
"""Samples that are judged at once: bounds memory, changes no number."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Trained:
    """The best weights that were met, the epoch that gave them, and all epochs."""

    weights: Weights
    best: Epoch
    epochs: tuple[Epoch, ...]


def train(
    answers: Answers,
    training: Samples,
    judging: Samples,
    *,
    weights: Weights,
    decode: Decode,
    options: TrainOptions,
    progress: Progress = no_progress,
) -> Trained:
    """Train weights with Adam on the cross entropy of the first output, decoded as it says.

    The best epoch has the highest accuracy on the judging samples, then the lowest loss, then
    comes first; epoch 0, the weights as they came, takes part. Same samples, options and number of
    threads: same weights.

    Args:
        answers: the network.
        training: samples with labels.
        judging: samples with labels.
        weights: to start from; they are not changed.
        decode: reduction of the output over the steps.
        options: epochs, learning rate, batch and seed.
        progress: called with batches done and total.

    Raises:
        UsageError: E5051, the loss or a weight is not finite any more.
    """
    moving = {key: tensor.clone().requires_grad_() for key, tensor in weights.items()}
    optimizer = torch.optim.Adam(_rates(moving, options.learning_rate))
    n_batches = -(-training.n // options.batch)
    total = options.epochs * n_batches
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    rng = np.random.default_rng(options.seed)
    epochs = [Epoch(number=0, training=None, judged=judge(answers, weights, judging, decode))]
    best, kept = epochs[0], dict(weights)
    for number in range(1, options.epochs + 1):
        scores = []
        for rows in _batches(rng.permutation(training.n), options.batch):
            batch = training.rows(rows)
            scores.append((len(rows), _step(answers, moving, batch, decode, optimizer)))
            if not isfinite(scores[-1][1].loss):
                raise _diverged(number, options)
            schedule.step()
            progress((number - 1) * n_batches + len(scores), total)
        if not all(bool(tensor.isfinite().all()) for tensor in moving.values()):
            raise _diverged(number, options)  # NaN weights can hide behind silent neurons
        judged = judge(answers, moving, judging, decode)
        epochs.append(Epoch(number=number, training=_mean(scores), judged=judged))
        if _rank(epochs[-1]) > _rank(best):
            best = epochs[-1]
            kept = {key: tensor.detach().clone() for key, tensor in moving.items()}
    return Trained(weights=kept, best=best, epochs=tuple(epochs))


def _step(
    answers: Answers,
    moving: Weights,
    batch: Samples,
    decode: Decode,
    optimizer: torch.optim.Optimizer,
) -> Score:
    """Move the weights once; return the score of the batch before that."""
    logits = _decode(decode, answers(moving, batch, torch.float32)).flatten(1)
    label = _labels(batch)
    loss = cross_entropy(logits, label)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call] # torch has no stub
    optimizer.step()
    right = float((logits.argmax(1) == label).float().mean())
    return Score(loss=loss.item(), accuracy=right)


def _mean(scores: list[tuple[int, Score]]) -> Score:
    """Return the score of all samples from those of batches and their sizes."""
    n_samples = sum(size for size, _ in scores)
    return Score(
        loss=sum(size * score.loss for size, score in scores) / n_samples,
        accuracy=sum(size * score.accuracy for size, score in scores) / n_samples,
    )


@torch.no_grad()
def judge(answers: Answers, weights: Weights, samples: Samples, decode: Decode) -> Score:
    """Return loss and accuracy of weights on samples, in float64, decoded by the host's code."""
    loss, right = 0.0, 0
    for rows in _batches(np.arange(samples.n), JUDGE_BATCH):
        part = samples.rows(rows)
        y = np.ascontiguousarray(answers(weights, part, torch.float64).numpy())
        logits, label = torch.from_numpy(reduce_steps(decode, y)).flatten(1), _labels(part)
        loss += float(cross_entropy(logits, label, reduction="sum"))
        right += int((logits.argmax(1) == label).sum())
    return Score(loss=loss / samples.n, accuracy=right / samples.n)


def _labels(samples: Samples) -> Tensor:
    assert samples.label is not None
    return torch.from_numpy(np.array(samples.label))


def float_answers(graph: TorchGraph, steps: int) -> Answers:
    """Return the answers of a float model."""

    def answers(weights: Weights, samples: Samples, dtype: torch.dtype) -> Tensor:
        frames = frames_of(graph.model, samples, steps)
        inputs = {name: tensor_of(frame, dtype) for name, frame in frames.items()}
        return run_graph(graph, weights, inputs)[graph.model.outputs[0].name]

    return answers


def _decode(decode: Decode, y: Tensor) -> Tensor:
    """Reduce [T, B, …] over the steps, with gradients; `reduce_steps` is the host's."""
    match decode:
        case "sum":
            return y.sum(0)
        case "mean":
            return y.mean(0)
        case "max":
            return y.amax(0)
        case "last":
            return y[-1]
        case _:
            assert_never(decode)


def _rates(moving: Mapping[Weight, Tensor], share: float) -> list[dict[str, Any]]:
    """Return Adam's groups: every layer's step is a share of its root mean square weight."""
    groups = []
    for (name, _), tensor in moving.items():
        size = float(moving[name, "weight"].detach().double().square().mean().sqrt())
        groups.append({"params": [tensor], "lr": share * (size or 1.0)})
    return groups


def _batches(rows: IntArray, size: int) -> Iterator[IntArray]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _rank(epoch: Epoch) -> tuple[float, float]:
    return epoch.judged.accuracy, -epoch.judged.loss


def _diverged(number: int, options: TrainOptions) -> UsageError:
    return UsageError(
        "E5051",
        f"training diverged in epoch {number}: its loss or weights are not finite",
        where="--lr",
        remedy=f"use less than {options.learning_rate:g}; check the size of inputs and weights",
    )
