"""The public functions: the command line's steps with Python values in and out."""

from math import inf
from pathlib import Path
from typing import Any

from snndeploy.comparison.compare import Comparison
from snndeploy.comparison.compare import compare as compare_sides
from snndeploy.comparison.side import FloatSide, IntegerSide, Side
from snndeploy.compress.records import TrainOptions, Tuned
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
    """Read a trained model: a `.pt` that `save` wrote, `.nir`, `.pt2`, or weights with a factory.

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
            kind, or does not say what decides.
        UsageError: E5023, semantics or range for a file that has its own; E5130 to E5132, the
            factory.
    """
    path = Path(path)
    if factory is not None or path.suffix == ".safetensors":
        return _load_weights(path, factory, semantics, values, input_range, input_shape, steps)
    if check_file(path).startswith(HDF5_MAGIC) or path.suffix == ".nir":
        if semantics:
            parse_choice(semantics)  # a mistake in it is none of the file's
        options = {
            "semantics": semantics or None,
            "values": values or "real",
            "input_range": input_range or (-inf, inf),
        }
        return read_model("snndeploy.frontends.nir_file:read_packed", path, options)
    if path.suffix == ".pt2" and not semantics:
        choices = {"values": values, "input_range": input_range, "steps": steps or None}
        return read_model("snndeploy.frontends.exported_walk:load_packed", path, choices)
    if semantics or input_range:
        raise UsageError(
            "E5023",
            "the model was saved with its semantics and input range",
            where="--semantics" if semantics else "--input-range",
            remedy="drop the option; it is for .nir files",
        )
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
