"""Fine-tune a model on labelled samples: weights and biases move, neurons stay as they are.

A quantized model is trained as the integer network that `compile` makes of it, so that what is
trained, judged and deployed are the same integers.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snndeploy.compress.channels import is_copy
from snndeploy.compress.integer_graph import (
    IntegerGraph,
    integer_graph,
    is_quantized,
    moving_weights,
    write_weights,
)
from snndeploy.compress.integer_run import run_integers
from snndeploy.compress.records import JudgedOn, TrainOptions, Tuned, TuningReport
from snndeploy.compress.torch_graph import (
    Weight,
    Weights,
    tensor_of,
    torch_graph,
    weights_of,
    with_weights,
)
from snndeploy.compress.training import Answers, Trained, float_answers, train
from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.frames import frames_of, steps_of
from snndeploy.ir.encode import encode
from snndeploy.model import ImportNote, Model
from snndeploy.nirgraph.rebuild import sources_of
from snndeploy.nirgraph.shapes import normalize_graph, shape_of
from snndeploy.pipeline import CompileOptions, choose_source
from snndeploy.samples import Samples
from snndeploy.target import Numerics, Progress, Target, no_progress


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Trainable:
    """A network to train: its weights to start from, how it answers, and its model with others."""

    model: Model
    weights: dict[Weight, Tensor]
    answers: Answers
    write: Callable[[Weights], Model]


def finetune(
    model: Model,
    samples: Samples,
    *,
    target: Target,
    validation: Samples | None = None,
    steps: int | None = None,
    input_bits: int = 8,
    options: TrainOptions | None = None,
    progress: Progress = no_progress,
) -> Tuned:
    """Train the weights and biases of all layers; the argument is left as it is.

    Args:
        model: graph without loops; its first output decides.
        samples: to train on, with labels.
        target: of a quantized model, which is trained as the integer network on it.
        validation: to choose the best epoch on; without them, `options.hold_out` of the samples
            are held out.
        steps: model steps per sample; None takes the model's own, else as many as the data has.
        input_bits: of a quantized model's graded inputs.
        options: epochs, learning rate, batch, seed, hold-out.
        progress: called with batches done and total.

    Raises:
        ModelError: E1211 (longer than the model runs), E1214 (labels missing), E1215 (labels
            beyond the classes), E1216 (no sample left to train on), E1240 to E1243 (its grids).
        UnsupportedError: E2301 (a loop), E2302 (no layer with weights leads to the output), E2315
            and E2316 (a quantized model with parts that are not trained as integers).
        UsageError: E5022 (steps unknown), E5051 (diverged).
    """
    started = time.perf_counter()
    options = options or TrainOptions()
    model = replace(model, graph=normalize_graph(model.graph))
    quantized = is_quantized(model)
    steps = steps_of(model, samples, steps)
    if quantized:
        compile_options = CompileOptions(steps=steps, input_bits=input_bits)
        network = _integers(model, target.chip.numerics, compile_options, steps, options)
    else:
        network = _floats(model, steps)
    for part, name in ((samples, "data"), (validation or samples, "validation")):
        _check_labels(model, part, name)
        frames_of(model, part.first(1), steps)
    training, judging, judged_on = _split(samples, validation, options)
    trained = train(
        network.answers, training, judging, weights=network.weights,
        decode=model.outputs[0].decode, options=options, progress=progress,
    )  # fmt: skip
    original = model.original
    report = TuningReport(
        original=original,
        same_samples=original is not None and original.digest == judging.digest(),
        before=trained.epochs[0].judged.accuracy,
        after=trained.best.judged.accuracy,
        best=trained.best.number,
        epochs=trained.epochs,
        judged_on=judged_on,
        n_samples=training.n,
        n_judged=judging.n,
        steps=steps,
        options=options,
        seconds=time.perf_counter() - started,
        trained="integer network" if quantized else "float model",
        target=target.name if quantized else "",
    )
    return Tuned(model=_tuned(network, trained, report), report=report)


def _floats(model: Model, steps: int) -> Trainable:
    graph = torch_graph(model)
    return Trainable(
        model=graph.model,
        weights=_leading(graph.model, weights_of(graph)),
        answers=float_answers(graph, steps),
        write=lambda weights: with_weights(graph, weights),
    )


def _integers(
    model: Model,
    numerics: Numerics,
    compile_options: CompileOptions,
    steps: int,
    options: TrainOptions,
) -> Trainable:
    graph = integer_graph(model, numerics, compile_options, steps=steps, ste=options.ste)
    return Trainable(
        model=model,
        weights=_leading(model, moving_weights(graph)),
        answers=_integer_answers(graph, numerics, compile_options, steps),
        write=lambda weights: write_weights(graph, {**moving_weights(graph), **weights}),
    )


def _integer_answers(
    graph: IntegerGraph, numerics: Numerics, options: CompileOptions, steps: int
) -> Answers:
    """Return the answers of an integer network; its inputs are encoded as the host does."""
    model, still = graph.model, moving_weights(graph)
    ports = tuple((port, choose_source(port, options, numerics)) for port in model.inputs)
    rng = np.random.default_rng(0)  # encodings that draw are refused

    def answers(weights: Weights, samples: Samples, dtype: torch.dtype) -> Tensor:
        inputs: dict[str, Any] = {}
        for port, source in ports:
            frames = samples.x[port.name]
            values = encode(source, frames, steps=steps, rng=rng).values
            still_image = port.repeat and len(frames) == 1
            shown = np.broadcast_to(values[:1], values.shape) if still_image else values
            inputs[port.name] = tensor_of(shown, torch.float32)
        y, _ = run_integers(graph, {**still, **weights}, inputs, dtype=dtype)
        return y[model.outputs[0].name]

    return answers


def _leading(model: Model, weights: dict[Weight, Tensor]) -> dict[Weight, Tensor]:
    """Return the weights that lead to the first output, which decides; copies stay copies.

    Raises:
        UnsupportedError: E2302, there are none.
    """
    port = model.outputs[0].name
    before, ahead = {port}, [port]
    while ahead:
        sources = set(sources_of(model.graph, ahead.pop())) - before
        before |= sources
        ahead += sources
    nodes = model.graph.nodes
    found = {
        key: tensor
        for key, tensor in weights.items()
        if key[0] in before and not is_copy(nodes[key[0]])
    }
    if not found:
        raise UnsupportedError(
            "E2302", "no layer with weights leads to the output", where=port,
            remedy="fine-tune a model with linear or convolutional layers",
        )  # fmt: skip
    return found


def _split(
    samples: Samples, validation: Samples | None, options: TrainOptions
) -> tuple[Samples, Samples, JudgedOn]:
    """Return what is trained on, what judges, and what to call the latter."""
    if validation is not None:
        return samples, validation, "validation samples"
    if not options.hold_out:
        return samples, samples, "training samples"
    n_held = max(1, round(options.hold_out * samples.n))
    if n_held >= samples.n:
        raise ModelError(
            "E1216", f"{samples.n} samples, {n_held} of them held out", where="data",
            remedy="give more samples, or validation samples of their own",
        )  # fmt: skip
    rows = np.random.default_rng([options.seed, samples.n]).permutation(samples.n)
    return samples.rows(np.sort(rows[n_held:])), samples.rows(rows[:n_held]), "held-out samples"


def _check_labels(model: Model, samples: Samples, where: str) -> None:
    port = model.outputs[0]
    n_classes = int(np.prod(shape_of(model.graph.nodes[port.name])))
    if samples.label is None:
        raise ModelError(
            "E1214", "the samples have no labels to learn from", where=where,
            remedy=f"save 'label' beside 'x': integers 0 to {n_classes - 1}, shape [{samples.n}]",
        )  # fmt: skip
    beyond = int(np.count_nonzero(samples.label >= n_classes))
    if beyond:
        raise ModelError(
            "E1215",
            f"{beyond:,} of {samples.n:,} labels are beyond the {n_classes} values of output "
            f"{port.name!r}; the largest is {samples.label.max()}",
            where=where, remedy=f"number the classes 0 to {n_classes - 1}",
        )  # fmt: skip


def _tuned(network: Trainable, trained: Trained, report: TuningReport) -> Model:
    """Return the model with the best weights, the steps they were trained for, and a note."""
    options = report.options
    layers = ", ".join(dict.fromkeys(name for name, _ in trained.weights))
    where = f", as the integer network on {report.target}" if report.target else ""
    text = (
        f"weights of {layers}: epoch {report.best} of {options.epochs} on {report.n_samples:,} "
        f"samples (lr {options.learning_rate:g}, batch {options.batch}, seed {options.seed})"
        f"{where}; accuracy {report.before:.1%} -> {report.after:.1%} of {report.n_judged:,} "
        f"{report.judged_on}"
    )
    model = network.write(trained.weights)
    note = ImportNote(kind="trained", node=model.outputs[0].name, text=text)
    return replace(model, steps=report.steps, notes=(*model.notes, note))
