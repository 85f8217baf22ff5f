"""Fine-tune a model on labelled samples: weights and biases move, neurons stay as they are."""

import time
from dataclasses import replace

import numpy as np
from torch import Tensor

from snndeploy.compress.records import JudgedOn, TrainOptions, Tuned, TuningReport
from snndeploy.compress.torch_graph import (
    TorchGraph,
    Weight,
    torch_graph,
    weights_of,
    with_weights,
)
from snndeploy.compress.training import Trained, train
from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.frames import frames_of, steps_of
from snndeploy.model import ImportNote, Model
from snndeploy.nirgraph.rebuild import sources_of
from snndeploy.nirgraph.shapes import shape_of
from snndeploy.samples import Samples
from snndeploy.target import Progress, no_progress


def finetune(
    model: Model,
    samples: Samples,
    *,
    validation: Samples | None = None,
    steps: int | None = None,
    options: TrainOptions | None = None,
    progress: Progress = no_progress,
) -> Tuned:
    """Train the weights and biases of all layers; the argument is left as it is.

    Args:
        model: graph without loops; its first output decides.
        samples: to train on, with labels.
        validation: to choose the best epoch on; without them, `options.hold_out` of the samples
            are held out.
        steps: model steps per sample; None takes the model's own, else as many as the data has.
        options: epochs, learning rate, batch, seed, hold-out.
        progress: called with batches done and total.

    Raises:
        ModelError: E1211 (longer than the model runs), E1214 (labels missing), E1215 (labels
            beyond the classes), E1216 (no sample left to train on).
        UnsupportedError: E2301 (a loop), E2302 (no layer with weights leads to the output).
        UsageError: E5022 (steps unknown), E5051 (diverged).
    """
    started = time.perf_counter()
    options = options or TrainOptions()
    graph = torch_graph(model)
    weights = _weights_to_move(graph)
    steps = steps_of(model, samples, steps)
    for part, name in ((samples, "data"), (validation or samples, "validation")):
        _check_labels(graph, part, name)
        frames_of(model, part.first(1), steps)
    training, judging, judged_on = _split(samples, validation, options)
    trained = train(
        graph, training, judging, weights=weights, steps=steps, options=options, progress=progress
    )
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
    )
    return Tuned(model=_tuned(graph, trained, report), report=report)


def _weights_to_move(graph: TorchGraph) -> dict[Weight, Tensor]:
    """Return the weights that lead to the first output, which decides.

    Raises:
        UnsupportedError: E2302, there are none.
    """
    port = graph.model.outputs[0].name
    before, ahead = {port}, [port]
    while ahead:
        sources = set(sources_of(graph.model.graph, ahead.pop())) - before
        before |= sources
        ahead += sources
    weights = {key: tensor for key, tensor in weights_of(graph).items() if key[0] in before}
    if not weights:
        raise UnsupportedError(
            "E2302", "no layer with weights leads to the output", where=port,
            remedy="fine-tune a model with linear or convolutional layers",
        )  # fmt: skip
    return weights


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


def _check_labels(graph: TorchGraph, samples: Samples, where: str) -> None:
    port = graph.model.outputs[0]
    n_classes = int(np.prod(shape_of(graph.model.graph.nodes[port.name])))
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


def _tuned(graph: TorchGraph, trained: Trained, report: TuningReport) -> Model:
    """Return the model with the best weights, the steps they were trained for, and a note."""
    options = report.options
    layers = ", ".join(dict.fromkeys(name for name, _ in trained.weights))
    text = (
        f"weights of {layers}: epoch {report.best} of {options.epochs} on {report.n_samples:,} "
        f"samples (lr {options.learning_rate:g}, batch {options.batch}, seed {options.seed}); "
        f"accuracy {report.before:.1%} -> {report.after:.1%} of {report.n_judged:,} "
        f"{report.judged_on}"
    )
    model = with_weights(graph, trained.weights)
    note = ImportNote(kind="trained", node=graph.model.outputs[0].name, text=text)
    return replace(model, steps=report.steps, notes=(*model.notes, note))
