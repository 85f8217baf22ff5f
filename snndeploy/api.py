"""The public functions: the command line's steps with Python values in and out."""

from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from snndeploy.energy import Level
from snndeploy.errors import UsageError
from snndeploy.estimation import Estimate
from snndeploy.estimation import estimate as estimate_deployed
from snndeploy.frontends.guard import HDF5_MAGIC, check_file
from snndeploy.frontends.nir_file import Values, read
from snndeploy.inference import (
    Answer,
    Deployed,
    input_shapes,
    model_shapes,
    run_deployed,
    run_model,
)
from snndeploy.ir.arrays import AnyArray
from snndeploy.model import Model
from snndeploy.pipeline import Compiled, CompileOptions, compile_model
from snndeploy.registry import find_target, usable_executor
from snndeploy.samples import Samples, Shapes, check_samples, read_samples
from snndeploy.semantics import parse_semantics

Data = Samples | AnyArray | Mapping[str, AnyArray] | Path | str
"""Samples, an array [T, B, …], one array per input, or the path of an .npz file."""


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
        return run_model(what, _samples(data, model_shapes(what), label))
    executor = usable_executor(backend or "sim")
    return run_deployed(what, _samples(data, input_shapes(what), label), executor.name)


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
    samples = _samples(data, input_shapes(what), label)
    return estimate_deployed(what, samples, timing=timing)


def _samples(data: Data, shapes: Shapes, label: Any) -> Samples:
    if isinstance(data, Samples):
        return data
    if isinstance(data, Path | str):
        return read_samples(Path(data), shapes)
    if not isinstance(data, Mapping):
        data = {next(iter(shapes)): np.asarray(data)}
    given = None if label is None else np.asarray(label)
    return check_samples(data, shapes, label=given)
