"""The public functions: the command line's steps with Python values in and out."""

from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any, cast

from snndeploy.comparison.compare import Comparison
from snndeploy.comparison.compare import compare as compare_sides
from snndeploy.comparison.side import FloatSide, IntegerSide, ModuleSide, Side
from snndeploy.compress.prune_records import Budget, CostName, Pruned, Ratio
from snndeploy.compress.records import Quantized, QuantizeOptions, TrainOptions, Tuned
from snndeploy.costs import cost_on
from snndeploy.duty import use_of
from snndeploy.energy import Level
from snndeploy.errors import ModelError, UsageError
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
from snndeploy.measured import measure
from snndeploy.model import Model
from snndeploy.network_file import NetworkFile, is_network
from snndeploy.network_file import open_network as read_network_file
from snndeploy.pipeline import Compiled, CompileOptions, compile_model
from snndeploy.registry import find_any_target, find_target, usable_executor
from snndeploy.repricing import PricedRun, price_run, with_prices
from snndeploy.samples import Data, Samples, samples_of
from snndeploy.semantics import parse_choice
from snndeploy.target import Progress, no_progress


def load(
    path: Path | str,
    *,
    semantics: str | None = None,
    values: Values | None = None,
    input_range: tuple[float, float] | None = None,
    factory: str | None = None,
    input_shape: tuple[int, ...] | None = None,
    steps: int | None = None,
) -> Model:
    """Read a trained model: `.pt` that `save` wrote, `.nir`, `.net`, `.pt2`, or weights.

    Nothing is unpickled, and no code is imported but the factory that you name.

    Args:
        path: the file; its first bytes say what it is, then its name.
        semantics: `PRESET[,key=value…]` of a `.nir` file, which leaves them open.
        values: what the inputs of a `.nir` file carry, where it does not say: real numbers if not
            given; those of a factory's network are as in its example. A `.pt2` needs it, or
            `input_range`.
        input_range: smallest and largest value of real inputs, where it does not say.
        factory: `package.module:function` that builds the network of a state_dict (`.pt` or
            `.safetensors`); it returns the module, or the module and an example input.
        input_shape: of one input without time and batch, if the factory gives no example.
        steps: model steps per sample of such a network.

    Raises:
        ModelError: E1001 to E1034, E1420 to E1431: the file is missing, damaged, unsafe, of another
            kind, or does not say what decides; E1411 of a `.net`; E1412, it holds integers already.
        UsageError: E5023, semantics or range for a file that has its own; E5130 to E5132, the
            factory.
    """
    path = Path(path)
    if factory is not None or path.suffix == ".safetensors":
        return _load_weights(path, factory, semantics, values, input_range, input_shape, steps)
    head = check_file(path)
    if is_network(path):
        raise ModelError(
            "E1412",
            "a network of integers, not a float model",
            where=str(path),
            remedy="run, estimate, inspect, verify and export take it as it is",
        )
    if path.suffix != ".net" and (head.startswith(HDF5_MAGIC) or path.suffix == ".nir"):
        if semantics:
            parse_choice(semantics)
        options = {
            "semantics": semantics,
            "values": values or "real",
            "input_range": input_range or (-inf, inf),
        }
        return read_model("snndeploy.frontends.nir_file:read_packed", path, options)
    if path.suffix == ".pt2" and not semantics:
        said = {"steps": steps or None, "values": values, "input_range": input_range}
        return read_model("snndeploy.frontends.exported_walk:load_packed", path, said)
    if semantics or input_range:
        raise UsageError(
            "E5023",
            "the model was saved with its semantics and input range",
            where="--semantics" if semantics else "--input-range",
            remedy="drop the option; it is for .nir files",
        )
    if path.suffix == ".net":
        return read_model("snndeploy.frontends.netx_file:read_packed", path, {})
    return read_model("snndeploy.frontends.checkpoint:load_packed", path, {})


def _load_weights(
    path: Path,
    factory: str | None,
    semantics: str | None,
    values: Values | None,
    input_range: tuple[float, float] | None,
    input_shape: tuple[int, ...] | None,
    steps: int | None,
) -> Model:
    if factory is None or semantics or check_file(path).startswith(HDF5_MAGIC):
        message = "weights alone are no network" if factory is None else "not for weights"
        raise UsageError(
            "E5132", message, where="--semantics" if semantics else "--factory",
            remedy="give --factory package.module:function with a state_dict, --semantics with a "
            ".nir file",
        )  # fmt: skip
    from snndeploy.frontends.examples import ImportOptions  # torch, only for weights
    from snndeploy.frontends.factory import load_weights

    options = ImportOptions(steps=steps or None, values=values, input_range=input_range)
    return load_weights(path, factory, input_shape=input_shape, options=options)


def open_network(path: Path | str, target: str = "loihi") -> NetworkFile:
    """Read a network alone in a file, for a chip: a text or an `.onnx` file that snndeploy wrote.

    What it returns is run, estimated, verified and exported like a bundle.

    Args:
        path: the file; `.onnx`, or a text such as `inspect --emit network` prints.
        target: name of an installed target.

    Raises:
        ModelError: E1064, E1065, E1204, E1212, E1401 to E1410: it cannot be read or believed.
        UsageError: E5001, an unknown target.
    """
    return read_network_file(path, find_target(target))


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


def run(
    what: Model | Deployed,
    data: Data,
    backend: str = "",
    *,
    label: Any = None,
    threads: int = 1,
    trace: Mapping[str, tuple[int, ...]] | None = None,
) -> Answer:
    """Run samples.

    Args:
        what: a model (float), a compiled network or a bundle.
        data: samples.
        backend: an executor; default: the simulator.
        label: right classes [B], for the accuracy.
        threads: of the simulator; answers do not depend on it.
        trace: neurons whose states the simulator traces, by population; `result.trace` of the
            answer holds the arrays, spikes and loads too.

    Raises:
        ModelError: arrays that do not fit the inputs; E3020 and E3021, of the trace.
        UsageError: E5060, threads or a trace of something that is not the simulator.
        TargetError: the executor is missing or failed.
    """
    if isinstance(what, Model):
        return run_model(what, samples_of(data, model_shapes(what), label))
    executor = usable_executor(backend or "sim")
    samples = samples_of(data, input_shapes(what), label)
    return run_deployed(what, samples, executor.name, threads=threads, trace=trace)


def estimate(
    what: Deployed,
    data: Data,
    *,
    label: Any = None,
    timing: Level = "bound",
    threads: int = 1,
    trace: Mapping[str, tuple[int, ...]] | None = None,
    prices: str | None = None,
    rate_hz: float | None = None,
    sensor_w: float | None = None,
    host_w: float | None = None,
    battery_j: float | None = None,
) -> Estimate:
    """Simulate samples on a compiled network or a bundle, and price and time what happened.

    The answer's `neurobench.record()` has NeuroBench's metrics under NeuroBench's names.

    Args:
        what: a network that fits its chip.
        data: samples.
        label: class per sample [B].
        timing: how closely the network on the chip is followed: `bound`, `queue` or `flit`.
        threads: of the simulator; the answer does not depend on it.
        trace: neurons whose states are traced, by population; the answer's `trace` holds arrays.
        prices: name of a price table of the chip, whose latencies of that name are used with it.
        rate_hz: samples per second, for the average power (`duty` of the answer).
        sensor_w: power of the sensor [W]; needs a rate, like the next two.
        host_w: power of the host [W].
        battery_j: energy of the battery [J].

    Raises:
        ModelError: arrays that do not fit the inputs; E3007, the chip does not state its network.
        CapacityError: the network does not fit its chip.
        UsageError: E3041, the chip has no such price table; E5068, it cannot answer at that rate;
            E5069, powers without a rate.
    """
    samples = samples_of(data, input_shapes(what), label)
    use = use_of(rate_hz, sensor_w=sensor_w, host_w=host_w, battery_j=battery_j)
    deployed: Deployed = with_prices(what, prices) if prices else what
    return estimate_deployed(
        deployed, samples, timing=timing, use=use, threads=threads, trace=trace
    )


def price(what: Deployed, data: Data, chip: str, *, prices: str | None = None) -> PricedRun:
    """Simulate samples on a compiled network or a bundle, and price the counts on a chip.

    The chip is one that is priced only; its counts are those of the chip that the network was
    compiled for.

        run = snndeploy.price(snndeploy.compile(model, "loihi2"), x, "odin")
        print(run.dynamic, dict(run.ledger.missing))

    Args:
        what: a network that fits its chip.
        data: samples.
        chip: name of a target.
        prices: name of one of its price tables.

    Raises:
        ModelError: arrays that do not fit the inputs.
        CapacityError: the network does not fit its own chip.
        UsageError: an unknown chip; E3041, it has no such price table; E3044, it is modelled.
    """
    found = find_any_target(chip).chip
    if not found.priced_only:
        raise UsageError(
            "E3044",
            f"{found.name} is modelled: its own run says what it costs",
            where=chip,
            remedy=f"compile for {found.name} and estimate there",
        )
    found = found.with_prices(prices) if prices else found
    run = measure(what, samples_of(data, input_shapes(what)))
    return price_run(run.counts, found, counts_from=what.target.name)


def read_data(path: Path | str, what: Model | Deployed, *, dt: float | None = None) -> Samples:
    """Read samples from a file or folder: arrays, events, images, data beside NIR graphs.

    Args:
        path: .npz, events (.npy, .npz, .aedat4), data of NIR nodes, or a folder of images per
            class.
        what: the model or bundle that is to run them; it says shapes.
        dt: seconds per model step, for events.

    Raises:
        ModelError: E1201 to E1212, E1441 to E1446; see `snndeploy explain`.
        UsageError: E5133, E5135, events without a step, or a step for data that has its own.
    """
    shapes = model_shapes(what) if isinstance(what, Model) else input_shapes(what)
    return samples_of(path, shapes, dt=dt)


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


def compare(
    a: Any,
    b: Any,
    data: Data,
    *,
    example_input: Any = None,
    label: Any = None,
    backends: tuple[str, str] = ("reference", "reference"),
    labels: tuple[str, str] = ("A", "B"),
    steps: int | None = None,
    progress: Progress = no_progress,
) -> Comparison:
    """Compare two forms of one network spike by spike; say where they part first, and why.

    Args:
        a: the yardstick: a module in its own framework, a float model, a compiled network or a
            bundle.
        b: what is compared with it, one of these too.
        data: samples that both take.
        example_input: as for `save`, if one side is a module.
        label: right classes [B], unless `data` has them.
        backends: executors of `a` and `b` where they are integer networks.
        labels: what reports call the two.
        steps: model steps per sample of two float models; otherwise the integer network's.
        progress: called with samples done and total.

    Raises:
        ModelError: E1460, E1461, no layers to compare, or of other sizes; arrays that do not fit.
        TargetError: an executor is missing or failed.
    """
    parts = [_imported(what, example_input, steps) for what in (a, b)]
    first = parts[0][0]
    shapes = model_shapes(first) if isinstance(first, Model) else input_shapes(first)
    samples = samples_of(data, shapes, label)
    fixed = [what.network.steps for what, _ in parts if not isinstance(what, Model)]
    sides = [
        _side(what, module, example_input, samples, backend, name, fixed[0] if fixed else steps)
        for (what, module), backend, name in zip(parts, backends, labels, strict=True)
    ]
    return compare_sides(sides[0], sides[1], samples, progress=progress)


def _imported(what: Any, example: Any, steps: int | None) -> tuple[Model | Deployed, Any]:
    """Return a model or a network, and the module that the model was made of, None if of none."""
    if isinstance(what, Model) or hasattr(what, "network"):
        return what, None
    from snndeploy.frontends.examples import ImportOptions  # torch, only for modules
    from snndeploy.frontends.torch_module import import_module

    return import_module(what, example, ImportOptions(steps=steps)), what


def _side(
    what: Model | Deployed,
    module: Any,
    example: Any,
    samples: Samples,
    backend: str,
    label: str,
    steps: int | None,
) -> Side:
    if isinstance(what, Model):
        steps = steps_of(what, samples, steps)
        if module is None:
            return FloatSide(label=label, model=what, samples=samples, steps=steps)
        from snndeploy.frontends.measure import runner

        watched = tuple(name for name, _ in module.named_modules() if name in what.graph.nodes)
        watch = runner(module, example, what, time=None, steps=steps)
        return ModuleSide(
            label=label, model=what, samples=samples, steps=steps, watch=watch, watched=watched
        )
    executor = usable_executor(backend).name
    return IntegerSide(label=label, deployed=what, samples=samples, backend=executor)


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
        UsageError: E5001, an unknown target; E5090 to E5095, a ratio, budget, layer or criterion
            that cannot be used.
        UnsupportedError: E2320, E2321, channels that cannot be pruned.
        ModelError: samples that do not fit the model.
    """
    from snndeploy.compress.prune import prune as prune_model  # torch, only to score

    samples = None if data is None else samples_of(data, model_shapes(model), label)
    allowed = None if budget is None else _budget(budget)
    find_any_target(target)
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
