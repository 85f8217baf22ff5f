"""The public functions: the command line's steps with Python values in and out."""

from math import inf
from pathlib import Path
from typing import Any

from snndeploy.compress.records import TrainOptions, Tuned
from snndeploy.energy import Level
from snndeploy.errors import ModelError, UsageError
from snndeploy.estimation import Estimate
from snndeploy.estimation import estimate as estimate_deployed
from snndeploy.frames import model_shapes
from snndeploy.frontends.guard import HDF5_MAGIC, check_file
from snndeploy.frontends.netx_file import read as read_netx
from snndeploy.frontends.nir_file import Values, read
from snndeploy.inference import (
    Answer,
    Deployed,
    input_shapes,
    run_deployed,
    run_model,
)
from snndeploy.model import Model
from snndeploy.network_file import NetworkFile, is_network
from snndeploy.network_file import open_network as read_network_file
from snndeploy.pipeline import Compiled, CompileOptions, compile_model
from snndeploy.registry import find_target, usable_executor
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
    """Read a trained model: a `.pt` that `save` wrote, a `.nir` or lava-dl's `.net` file.

    Nothing is unpickled.

    Args:
        path: the file; its first bytes say what it is, then its name.
        semantics: `PRESET[,key=value…]` of a `.nir` file, which leaves them open.
        values: what the inputs of a `.nir` file carry, where it does not say.
        input_range: smallest and largest value of real inputs, where it does not say.

    Raises:
        ModelError: E1001 to E1034, the file is missing, damaged, unsafe or of another kind; E1411
            of a `.net`; E1412, it holds integers already.
        UsageError: E5023, semantics or range for a file that has its own.
    """
    path = Path(path)
    head = check_file(path)
    if is_network(path):
        raise ModelError(
            "E1412",
            "a network of integers, not a float model",
            where=str(path),
            remedy="run, estimate, inspect, verify and export take it as it is",
        )
    if path.suffix != ".net" and (head.startswith(HDF5_MAGIC) or path.suffix == ".nir"):
        chosen = parse_semantics(semantics) if semantics else None
        return read(path, chosen, values=values, input_range=input_range or (-inf, inf))
    if semantics or input_range:
        raise UsageError(
            "E5023",
            "the model was saved with its semantics and input range",
            where="--semantics" if semantics else "--input-range",
            remedy="drop the option; it is for .nir files",
        )
    if path.suffix == ".net":
        return read_netx(path)
    from snndeploy.frontends.checkpoint import load as load_checkpoint  # torch, only for .pt

    return load_checkpoint(path)


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
