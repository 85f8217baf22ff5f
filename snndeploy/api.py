"""The public functions: the command line's steps with Python values in and out."""

from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

from snndeploy.compress.records import TrainOptions, Tuned
from snndeploy.duty import use_of
from snndeploy.energy import Level
from snndeploy.errors import UsageError
from snndeploy.estimation import Estimate
from snndeploy.estimation import estimate as estimate_deployed
from snndeploy.frames import model_shapes
from snndeploy.frontends.guard import HDF5_MAGIC, check_file
from snndeploy.frontends.nir_file import Values, read
from snndeploy.inference import (
    Answer,
    Deployed,
    input_shapes,
    run_deployed,
    run_model,
)
from snndeploy.measured import measure
from snndeploy.model import Model
from snndeploy.pipeline import Compiled, CompileOptions, compile_model
from snndeploy.registry import find_any_target, find_target, usable_executor
from snndeploy.repricing import PricedRun, price_run, with_prices
from snndeploy.samples import Data, samples_of
from snndeploy.semantics import parse_semantics
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
        return read(path, chosen, values=values, input_range=input_range or (-inf, inf))
    if semantics or input_range:
        raise UsageError(
            "E5023",
            "the model was saved with its semantics and input range",
            where="--semantics" if semantics else "--input-range",
            remedy="drop the option; it is for .nir files",
        )
    from snndeploy.frontends.checkpoint import load as load_checkpoint  # torch, only for .pt

    return load_checkpoint(path)


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
    prices: str | None = None,
    rate_hz: float | None = None,
    sensor_w: float | None = None,
    host_w: float | None = None,
    battery_j: float | None = None,
    threads: int = 1,
    trace: Mapping[str, tuple[int, ...]] | None = None,
) -> Estimate:
    """Simulate samples on a compiled network or a bundle, and price and time what happened.

    The answer's `neurobench.record()` has NeuroBench's metrics under NeuroBench's names.

    Args:
        what: a network that fits its chip.
        data: samples.
        label: class per sample [B].
        timing: how closely the network on the chip is followed: `bound`, `queue` or `flit`.
        prices: name of a price table of the chip, whose latencies of that name are used with it.
        rate_hz: samples per second, for the average power (`duty` of the answer).
        sensor_w: power of the sensor [W]; needs a rate, like the next two.
        host_w: power of the host [W].
        battery_j: energy of the battery [J].
        threads: of the simulator; the answer does not depend on it.
        trace: neurons whose states are traced, by population; the answer's `trace` holds arrays.

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


def finetune(
    model: Model,
    data: Data,
    *,
    label: Any = None,
    validation: Data | None = None,
    validation_label: Any = None,
    steps: int | None = None,
    progress: Progress = no_progress,
    **options: Any,
) -> Tuned:
    """Train the weights of a model on labelled samples; the argument is left as it is.

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
        progress: called with batches done and total.
        options: fields of `TrainOptions`: epochs, learning_rate, batch, seed, hold_out.

    Raises:
        ModelError: samples or labels that do not fit the model.
        UnsupportedError: E2301 (a loop), E2302 (nothing to train).
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
        options=TrainOptions(**options),
        progress=progress,
    )
