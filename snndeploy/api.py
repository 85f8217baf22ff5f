"""The public functions: the command line's steps with Python values in and out."""

from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any, cast

from snndeploy.comparison.compare import Comparison
from snndeploy.comparison.compare import compare as compare_sides
from snndeploy.comparison.side import FloatSide, IntegerSide, Side
from snndeploy.compress.prune_records import Budget, CostName, Pruned, Ratio
from snndeploy.compress.records import Quantized, QuantizeOptions, TrainOptions, Tuned
from snndeploy.costs import cost_on
from snndeploy.energy import Level
from snndeploy.errors import UsageError
from snndeploy.estimation import Estimate
from snndeploy.estimation import estimate as estimate_deployed
from snndeploy.frames import model_shapes, steps_of
from snndeploy.frontends.confined import read_model
from snndeploy.frontends.guard import HDF5_MAGIC, check_file
from snndeploy.frontends.nir_file import Values
from snndeploy.inference import (
    Answer,
    Deployed,
    input_shapes,
    run_deployed,
    run_model,
)
from snndeploy.model import Model
from snndeploy.pipeline import Compiled, CompileOptions, compile_model
from snndeploy.registry import find_target, usable_executor
from snndeploy.samples import Data, Samples, samples_of
from snndeploy.semantics import parse_semantics, to_record
from snndeploy.target import Progress, no_progress


def load(
    path: Path | str,
    *,
    semantics: str | None = None,
    values: Values = "real",
    input_range: tuple[float, float] | None = None,
) -> Model:
    """Read a trained model: a `.pt` that `save` wrote, or a `.nir` file. Nothing is unpickled.

    Args:
        path: the file; its first bytes say what it is, then its name.
        semantics: `PRESET[,key=value…]` of a `.nir` file, which leaves them open.
        values: what the inputs of a `.nir` file carry, where it does not say.
        input_range: smallest and largest value of real inputs, where it does not say.

    Raises:
        ModelError: E1001 to E1034, the file is missing, damaged, unsafe or of another kind.
        UsageError: E5023, semantics or range for a file that has its own.
    """
    path = Path(path)
    if check_file(path).startswith(HDF5_MAGIC) or path.suffix == ".nir":
        chosen = parse_semantics(semantics) if semantics else None
        options = {
            "semantics": None if chosen is None else to_record(chosen),
            "values": values,
            "input_range": input_range or (-inf, inf),
        }
        return read_model("snndeploy.frontends.nir_file:read_packed", path, options)
    if semantics or input_range:
        raise UsageError(
            "E5023",
            "the model was saved with its semantics and input range",
            where="--semantics" if semantics else "--input-range",
            remedy="drop the option; it is for .nir files",
        )
    return read_model("snndeploy.frontends.checkpoint:load_packed", path, {})


def compile(model: Model, target: str = "loihi", **options: Any) -> Compiled:
    """Compile a model for a target; `violations` of the answer says why it does not fit.

    Args:
        model: what `load` or `read_nir` returned.
        target: name of an installed target.
        options: fields of `CompileOptions`.

    Raises:
        UnsupportedError: a construct that cannot be deployed exactly.
        UsageError: an unknown target, or options that contradict the model.
    """
    return compile_model(model, find_target(target), CompileOptions(**options))


def run(what: Model | Deployed, data: Data, backend: str = "", *, label: Any = None) -> Answer:
    """Run samples.

    Args:
        what: a model (float), a compiled network or a bundle.
        data: samples.
        backend: an executor; default: the simulator.
        label: right classes [B], for the accuracy.

    Raises:
        ModelError: arrays that do not fit the inputs.
        TargetError: the executor is missing or failed.
    """
    if isinstance(what, Model):
        return run_model(what, samples_of(data, model_shapes(what), label))
    executor = usable_executor(backend or "sim")
    return run_deployed(what, samples_of(data, input_shapes(what), label), executor.name)


def estimate(what: Deployed, data: Data, *, label: Any = None, timing: Level = "bound") -> Estimate:
    """Simulate samples on a compiled network or a bundle, and price and time what happened.

    Args:
        what: a network that fits its chip.
        data: samples.
        label: class per sample [B].
        timing: how closely the network on the chip is followed: `bound`, `queue` or `flit`.

    Raises:
        ModelError: arrays that do not fit the inputs; E3007, the chip does not state its network.
        CapacityError: the network does not fit its chip.
    """
    samples = samples_of(data, input_shapes(what), label)
    return estimate_deployed(what, samples, timing=timing)


def finetune(
    model: Model,
    data: Data,
    *,
    label: Any = None,
    validation: Data | None = None,
    validation_label: Any = None,
    steps: int | None = None,
    target: str = "loihi",
    input_bits: int = 8,
    progress: Progress = no_progress,
    **options: Any,
) -> Tuned:
    """Train the weights of a model on labelled samples; the argument is left as it is.

    A quantized model is trained as the integer network that `compile` makes of it.

        tuned = snndeploy.finetune(model, "train.npz", epochs=5)
        print(tuned.report.before, tuned.report.after)
        snndeploy.write_model(tuned.model, "tuned.pt")

    Args:
        model: what `load` or `save` returned.
        data: samples to train on.
        label: right classes [B], unless `data` has them.
        validation: samples that choose the best epoch; a tenth of the data if not given.
        validation_label: right classes [B], unless `validation` has them.
        steps: model steps per sample; default: the model's own.
        target: of a quantized model.
        input_bits: of a quantized model's real inputs, as `compile` will be given.
        progress: called with batches done and total.
        options: fields of `TrainOptions`: epochs, learning_rate, batch, seed, hold_out, ste.

    Raises:
        ModelError: samples or labels that do not fit the model.
        UnsupportedError: E2301 (a loop), E2302 (nothing to train), E2315 and E2316 (parts of a
            quantized model that are not trained as integers).
        UsageError: E5050 (an option out of range), E5051 (training diverged).
    """
    from snndeploy.compress.finetune import finetune as tune  # torch, only to train

    shapes = model_shapes(model)
    return tune(
        model,
        samples_of(data, shapes, label),
        validation=(
            None if validation is None else samples_of(validation, shapes, validation_label)
        ),
        steps=steps,
        target=find_target(target),
        input_bits=input_bits,
        options=TrainOptions(**options),
        progress=progress,
    )


def prune(
    model: Model,
    data: Data | None = None,
    *,
    label: Any = None,
    criterion: str = "svs",
    ratio: Ratio | None = None,
    budget: Mapping[str, float] | None = None,
    target: str = "loihi",
    seed: int = 0,
    n_scored: int = 640,
    steps: int | None = None,
    progress: Progress = no_progress,
    **options: Any,
) -> Pruned:
    """Remove the channels that matter least; the argument is left as it is.

        pruned = snndeploy.prune(model, "train.npz", ratio={"conv1": 0.3, "conv2": 0.5})
        print(pruned.report.weights_before, pruned.report.weights_after)
        snndeploy.write_model(pruned.model, "pruned.pt")

    The pruned network is the unpruned one with those channels silenced, spike for spike. Inputs
    and outputs stay; what cannot be pruned is named in the report.

    Args:
        model: what `load` or `save` returned.
        data: samples to score on, and, with labels, to measure the accuracy on.
        label: right classes [B], unless `data` has them.
        criterion: svs, svs_nuclear, effective_rank, rate, sca, l1, random or svs_inverted.
        ratio: share of channels to remove, of every layer or by the name of a layer.
        budget: instead of a ratio, one of `{"weights": 0.5}`, `{"synaptic_ops": 0.5}` (up to 1 a
            share of the unpruned network's, above it a number), `{"cores": 20}` and
            `{"energy_j": 1e-6}` (per sample).
        target: chip on which a budget's cost is found out.
        seed: of the random criterion.
        n_scored: samples that are scored.
        steps: model steps per sample; default: the model's own.
        progress: called with what is done and in all.
        options: fields of `CompileOptions`, for a budget's cost.

    Raises:
        UsageError: E5090 to E5095, a ratio, budget, layer or criterion that cannot be used.
        UnsupportedError: E2320, E2321, channels that cannot be pruned.
        ModelError: samples that do not fit the model.
    """
    from snndeploy.compress.prune import prune as prune_model  # torch, only to score

    samples = None if data is None else samples_of(data, model_shapes(model), label)
    allowed = None if budget is None else _budget(budget)
    cost = None
    if allowed is not None and allowed.cost != "weights":
        if samples is None and allowed.cost != "cores":
            raise UsageError(
                "E5095", f"{allowed.cost} are counted on samples", where="--data",
                remedy="give samples, or a budget of weights or cores",
            )  # fmt: skip
        chosen = CompileOptions(**{"steps": steps, **options})
        cost = cost_on(find_target(target), allowed.cost, samples, chosen)
    return prune_model(
        model,
        samples,
        criterion=criterion,
        ratio=ratio,
        budget=allowed,
        cost=cost,
        seed=seed,
        n_scored=n_scored,
        steps=steps,
        progress=progress,
    )


def _budget(budget: Mapping[str, float]) -> Budget:
    if len(budget) != 1:
        raise UsageError(
            "E5094", f"{len(budget)} limits", where="--budget",
            remedy="give one: weights, synaptic_ops, cores or energy_j",
        )  # fmt: skip
    ((cost, limit),) = budget.items()
    return Budget(cost=cast("CostName", cost), limit=float(limit))


def quantize(
    model: Model,
    bits: int | Mapping[str, int] = 8,
    *,
    target: str = "loihi",
    steps: int | None = None,
    input_bits: int = 8,
    data: Data | None = None,
    label: Any = None,
    **options: Any,
) -> Quantized:
    """Quantize the weights of a model after training; the argument is left as it is.

        quantized = snndeploy.quantize(model, bits=4)
        tuned = snndeploy.finetune(quantized.model, "train.npz")
        compiled = snndeploy.compile(tuned.model, "loihi")

    Args:
        model: what `load` or `save` returned.
        bits: 2 to 8, of all layers or by name; layers that are not named stay as they are.
        target: whose weights and ranges hold the result.
        steps: model steps per sample; default: the model's own.
        input_bits: of real inputs, as `compile` will be given.
        data: labelled samples to compare the accuracy before and after on.
        label: right classes [B], unless `data` has them.
        options: fields of `QuantizeOptions`: gamma, percentile, granularity, grid, first_bits,
            last_bits.

    Raises:
        UnsupportedError: E2310 to E2314, a grid that the target or the network does not hold.
        UsageError: E5080 to E5082 (options).
        ModelError: E1053 (no step proves the ranges).
    """
    from snndeploy.compress.quantize import quantize as quantize_model

    return quantize_model(
        model,
        find_target(target),
        QuantizeOptions(bits=bits, **options),
        CompileOptions(steps=steps, input_bits=input_bits),
        samples=None if data is None else samples_of(data, model_shapes(model), label),
    )


def compare(
    a: Model | Deployed,
    b: Model | Deployed,
    data: Data,
    *,
    label: Any = None,
    backends: tuple[str, str] = ("reference", "reference"),
    labels: tuple[str, str] = ("A", "B"),
    steps: int | None = None,
    progress: Progress = no_progress,
) -> Comparison:
    """Compare two forms of one network spike by spike; say where they part first, and why.

    Args:
        a: the yardstick: a float model, or a compiled network or bundle.
        b: what is compared with it.
        data: samples that both take.
        label: right classes [B], unless `data` has them.
        backends: executors of `a` and `b` where they are integer networks.
        labels: what reports call the two.
        steps: model steps per sample of two float models; otherwise the integer network's.
        progress: called with samples done and total.

    Raises:
        ModelError: E1460, E1461, no layers to compare, or of other sizes; arrays that do not fit.
        TargetError: an executor is missing or failed.
    """
    shapes = model_shapes(a) if isinstance(a, Model) else input_shapes(a)
    samples = samples_of(data, shapes, label)
    fixed = [what.network.steps for what in (a, b) if not isinstance(what, Model)]
    steps = fixed[0] if fixed else steps
    sides = [
        _side(what, samples, backend, name, steps)
        for what, backend, name in zip((a, b), backends, labels, strict=True)
    ]
    return compare_sides(sides[0], sides[1], samples, progress=progress)


def _side(
    what: Model | Deployed, samples: Samples, backend: str, label: str, steps: int | None
) -> Side:
    if isinstance(what, Model):
        steps = steps_of(what, samples, steps)
        return FloatSide(label=label, model=what, samples=samples, steps=steps)
    executor = usable_executor(backend).name
    return IntegerSide(label=label, deployed=what, samples=samples, backend=executor)
