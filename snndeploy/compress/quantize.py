"""Quantize the weights of a model after training: the same graph, its weights on the grid of codes.

What goes in: a float model and a target. What comes out: the model whose weights are step * code
and whose biases lie on the chip's grid, with the grid in each layer's metadata; `compile` writes
the codes as they are, `finetune` trains the integer network that they make.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from snndeploy.compress.codes import choose_codes, real_weight
from snndeploy.compress.fit import Fitted, Plan, is_late, moving_bias
from snndeploy.compress.plans import Structure, chosen_plan, structure_of
from snndeploy.compress.records import (
    Accuracies,
    LayerQuantization,
    Quantized,
    QuantizeOptions,
)
from snndeploy.compress.rescaw import (
    Codes,
    clipped_share,
    from_codes,
    gamma_of,
    n_codes_used,
    sqnr_db,
)
from snndeploy.compress.written import write_fitted
from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.inference import run_deployed, run_model
from snndeploy.ir.arrays import FloatArray
from snndeploy.model import ImportNote, Model
from snndeploy.nirgraph.rebuild import rebuild_graph
from snndeploy.nirgraph.shapes import normalize_graph
from snndeploy.nirgraph.weight_grid import WeightGrid, with_grid
from snndeploy.passes.neuron import Recurrence
from snndeploy.passes.task import Task
from snndeploy.pipeline import CompileOptions, compile_model, steps_for
from snndeploy.samples import Samples
from snndeploy.target import Target


def quantize(
    model: Model,
    target: Target,
    options: QuantizeOptions,
    compile_options: CompileOptions | None = None,
    *,
    samples: Samples | None = None,
) -> Quantized:
    """Quantize a model's weights for a target; the argument is left as it is.

    Args:
        model: a trained model, batch norm folded (importers do that).
        target: whose weights, registers and ranges hold the result.
        options: bits, rule of the clip point, grid.
        compile_options: steps per sample and input bits that the ranges are proven for.
        samples: to compare the accuracy before and after on, with labels.

    Raises:
        UnsupportedError: E2302 (nothing to quantize), E2310 (odd codes that no stored weight
            holds), E2311 to E2314.
        UsageError: E5080 (bits), E5081 (no such layer), and those of `compile`.
        ModelError: E1053 (no unit proves the ranges), E1214 (samples without labels).
    """
    if samples is not None and samples.label is None:
        raise ModelError(
            "E1214", "the samples have no labels to compare with", where="data",
            remedy=f"save 'label' beside 'x', shape [{samples.n}]",
        )  # fmt: skip
    compile_options = compile_options or CompileOptions()
    numerics = target.chip.numerics
    steps = steps_for(model, compile_options)
    plain = replace(model, graph=normalize_graph(model.graph))
    chosen = choose_codes(plain, options, numerics)
    if not chosen:
        raise UnsupportedError(
            "E2302", "there is no layer with weights to quantize", where=model.origin,
            remedy="quantize a model with linear or convolutional layers",
        )  # fmt: skip
    weights = {name: real_weight(plain, name) for name in chosen}
    gridded = _with_grids(plain, weights, chosen, options, channels=())
    structure = structure_of(gridded, numerics, compile_options, steps=steps)
    channels = _with_channels(structure) if options.granularity == "channel" else ()
    if channels:
        gridded = _with_grids(plain, weights, chosen, options, channels=channels)
        structure = structure_of(gridded, numerics, compile_options, steps=steps)
    gammas = {name: _gamma(weights[name], name, chosen, options, channels) for name in chosen}
    fitted = _fit_all(structure, weights, gammas)
    written = write_fitted(
        gridded,
        structure,
        {name: (plan, found, moving_bias(plan.task)) for name, (plan, found) in fitted.items()},
    )
    rows = tuple(_row(name, weights[name], fitted, gammas[name], chosen[name]) for name in chosen)
    note = ImportNote(kind="approximated", node="", text=_text(rows, options))
    quantized = replace(written, steps=steps or model.steps, notes=(*model.notes, note))
    return Quantized(
        model=quantized,
        report=rows,
        options=options,
        target=target.name,
        accuracy=_accuracies(model, quantized, target, compile_options, samples),
    )


def _accuracies(
    model: Model,
    quantized: Model,
    target: Target,
    options: CompileOptions,
    samples: Samples | None,
) -> Accuracies | None:
    """Return what the float model and the integer network decide right of labelled samples."""
    if samples is None:
        return None
    compiled = compile_model(quantized, target, options)
    before = run_model(model, samples, steps=options.steps).accuracy
    after = run_deployed(compiled, samples, "sim").accuracy
    assert before is not None
    assert after is not None
    return Accuracies(before=before, after=after, n_samples=samples.n)


# ---- what is chosen ----------------------------------------------------------------------


def _with_channels(structure: Structure) -> tuple[str, ...]:
    """Return the layers whose population can have a threshold per row of the weights.

    A bias that arrives as spikes has a weight per neuron, so that channels cannot count in units
    of their own.
    """
    found: list[str] = []
    for task in structure.tasks:
        neuron = task.layer.neuron
        if isinstance(neuron, Recurrence):
            layer = replace(task.layer, neuron=neuron.with_own_thresholds())
            apart = replace(task, layer=layer)
            nodes = [path.weight_node for path in task.layer.paths if path.grid is not None]
            by_neuron = is_late(task) and structure.gains[task.layer.name]
            fits = apart.rows == len(layer.bias) if by_neuron else apart.rows > 1
            found += nodes if fits else []
    return tuple(found)


def _gamma(
    weight: FloatArray,
    name: str,
    chosen: Mapping[str, Codes],
    options: QuantizeOptions,
    channels: tuple[str, ...],
) -> FloatArray:
    return gamma_of(
        weight,
        options.gamma,
        chosen[name],
        percentile=options.percentile,
        by_channel=name in channels,
    )


def _with_grids(
    model: Model,
    weights: Mapping[str, FloatArray],
    chosen: Mapping[str, Codes],
    options: QuantizeOptions,
    *,
    channels: tuple[str, ...],
) -> Model:
    """Return the model whose layers carry grids; clip points and units are still to be fitted."""
    nodes = {}
    for name, codes in chosen.items():
        one = np.ones(len(weights[name]) if name in channels else 1)
        grid = WeightGrid(
            bits=codes.bits,
            kind=codes.kind,
            sign_mode=codes.sign_mode,
            rule=options.gamma,
            percentile=options.percentile,
            gamma=one,
            unit=one,
        )
        nodes[name] = with_grid(model.graph.nodes[name], grid)
    return replace(model, graph=rebuild_graph(model.graph, nodes))


# ---- what is fitted ----------------------------------------------------------------------


def _fit_all(
    structure: Structure,
    weights: Mapping[str, FloatArray],
    gammas: Mapping[str, FloatArray],
) -> dict[str, tuple[Plan, Fitted]]:
    """Fit every population that quantized layers feed.

    Raises:
        UnsupportedError: E2314, a layer feeds two populations, or one whose thresholds differ.
    """
    fitted: dict[str, tuple[Plan, Fitted]] = {}
    fed: dict[str, str] = {}
    for task in structure.tasks:
        named = {path.weight_node for path in task.layer.paths if path.grid is not None}
        if not named:
            continue
        for name in sorted(named):
            if fed.setdefault(name, task.layer.name) != task.layer.name:
                raise UnsupportedError(
                    "E2314",
                    f"its outputs go to {fed[name]} and {task.layer.name}, which have a unit each",
                    where=name,
                    remedy="give each its own copy of the layer",
                )
        _check_rows(task, gammas)
        name = task.layer.name
        fitted[name] = chosen_plan(
            task, structure.counts[name], structure.areas[name], weights, gammas
        )
    return fitted


def _check_rows(task: Task, gammas: Mapping[str, FloatArray]) -> None:
    """Refuse thresholds or gains per neuron that one step per layer would have to share."""
    for path in task.layer.paths:
        if path.grid is None or path.factor is None or len(path.factor) == 1:
            continue
        if len(gammas[path.weight_node]) == 1:
            raise UnsupportedError(
                "E2314",
                f"the thresholds or gains of {task.layer.name} differ between its neurons, so one "
                "step for all its weights would need a threshold each",
                where=path.weight_node,
                remedy="use --granularity channel, which takes neurons in microcode",
            )


# ---- what is reported --------------------------------------------------------------------


def _row(
    name: str,
    weight: FloatArray,
    fitted: Mapping[str, tuple[Plan, Fitted]],
    wanted: FloatArray,
    codes: Codes,
) -> LayerQuantization:
    population, (plan, found) = next(
        (population, pair) for population, pair in fitted.items() if name in pair[1].codes
    )
    gamma, integers = found.gammas[name], found.codes[name]
    return LayerQuantization(
        layer=name,
        population=population,
        bits=codes.bits,
        grid=codes.kind,
        sign_mode=codes.sign_mode,
        n_weights=integers.size,
        gamma=float(gamma.min()),
        gamma_largest=float(gamma.max()),
        wanted=float(wanted.min()),
        clipped=clipped_share(weight, gamma),
        sqnr_db=sqnr_db(weight, from_codes(integers, gamma, codes)),
        codes_used=n_codes_used(integers),
        codes=codes.n_codes,
        enlarged=float(np.max(gamma / wanted)),
        program=plan.task.program.name,
    )


def _text(rows: tuple[LayerQuantization, ...], options: QuantizeOptions) -> str:
    layers = ", ".join(f"{row.layer} {row.bits} bit {row.grid}" for row in rows)
    return f"weights quantized, clip points by {options.gamma}: {layers}"
