"""Save and load `model.pt`: a traced model as plain dicts and tensors, safe to load.

The file holds the NIR graph, semantics, ports and import notes, never code; `torch.load` reads it
with `weights_only=True`. Its layout is that of `content`, with tensors for arrays.
"""

import io
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.frames import model_shapes
from snndeploy.frontends.confined import packed
from snndeploy.frontends.content import FIELDS, FORMAT, VERSION, content_of, model_of, record_at
from snndeploy.frontends.examples import Example, ImportOptions, Values
from snndeploy.frontends.guard import SAVE, check_torch_file
from snndeploy.frontends.measure import measure
from snndeploy.frontends.rewrite import Rewrite, rewrite_module
from snndeploy.frontends.torch_module import import_module
from snndeploy.frontends.tracing import Time
from snndeploy.ir.arrays import AnyArray
from snndeploy.ir.network import Decode
from snndeploy.model import Model
from snndeploy.samples import Data, samples_of


def save(
    module: nn.Module,
    path: str | os.PathLike[str],
    example_input: Example,
    *,
    name: str | None = None,
    time: Time | None = None,
    steps: int | None = None,
    values: Values | None = None,
    input_range: tuple[float, float] | None = None,
    repeat: bool = False,
    decode: Decode = "sum",
    rewrite: Rewrite | None = None,
    data: Data | None = None,
    label: Any = None,
) -> Model:
    """Trace a trained module and write it as `model.pt`; nothing is written if that fails.

    Args:
        module: a SpikingJelly, snnTorch, Norse or sinabs network; it is traced as in evaluation
            mode, and left as it is.
        path: file to write; an existing one is replaced in one step.
        example_input: [B, *shape] for a step, [T, B, *shape] for time="module", [B, T, *shape] or
            [B·T, *shape] as sinabs takes it; a tuple or a dict by argument names if forward takes
            several inputs.
        name: for reports; the class name if not given.
        time: "outer": one step per call of forward; "module": all steps (step_mode 'm'); sinabs'
            "batch-first" or "flat"; guessed from the modules if not given.
        steps: model steps per sample; T of the example if time is in the module.
        values: "spikes" or "real"; "spikes" if the example is all 0 and 1.
        input_range: smallest and largest input value; of the example if not given.
        repeat: one frame per sample is shown at every step.
        decode: reduction of the output over steps: sum, mean, max or last.
        rewrite: "pool-after-neuron" moves max pools behind the neurons that follow them. That is
            another network: fine-tune it with `snndeploy finetune`.
        data: labelled samples [T, B, *shape] to run the module on, as it is and in its own
            framework; its accuracy is kept in the file, to compare a fine-tuned model with.
        label: right classes [B], unless `data` has them.

    Returns:
        The model, as `load` will read it. What was guessed is in its notes.

    Raises:
        UnsupportedError: E2001 to E2028, by module path, operation or option.
        ModelError: E1001 (cannot write), E1012 (NaN weights), E1021 (shapes), E1045 (example),
            E1201 to E1214 (data).
        UsageError: E5040, an argument that does not exist; E5052, the module does not run on data.
    """
    options = ImportOptions(
        name=name, time=time, steps=steps, values=values, input_range=input_range,
        repeat=repeat, decode=decode,
    )  # fmt: skip
    saved, notes = rewrite_module(module, rewrite) if rewrite is not None else (module, ())
    model = import_module(saved, example_input, options)
    model = replace(model, notes=(*model.notes, *notes))
    if data is not None:
        samples = samples_of(data, model_shapes(model), label)
        model = replace(model, original=measure(module, samples, example_input, model, time))
    write_model(model, path)
    return model


def load(path: str | os.PathLike[str]) -> Model:
    """Read a `model.pt` that `save` wrote; no code of the file is run.

    Raises:
        ModelError: E1001 to E1012: missing, empty, damaged, of another kind, a pickle, a
            state_dict, TorchScript, another version, malformed, NaN; E1020 to E1022: the graph.
        UnsupportedError: E2020, an unknown node type.
    """
    file = Path(path)
    limit = check_torch_file(file)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise _unreadable(str(file), error) from error
    _check_format(str(file), content)
    try:
        return model_of(_Budget(limit).arrays_of(content))
    except (ModelError, UnsupportedError) as error:
        place = f"{file}: {error.where}" if error.where else str(file)
        raise type(error)(error.code, error.message, where=place, remedy=error.remedy) from error


def load_packed(path: str) -> tuple[Any, list[AnyArray]]:
    """Read a `model.pt` in the reading process."""
    return packed(load(path))


def dump_model(model: Model) -> bytes:
    """Return what `model.pt` holds; the same model gives the same bytes."""
    buffer = io.BytesIO()
    content = content_of(model)
    for node in content["graph"]["nodes"].values():
        arrays = node["arrays"].items()
        node["arrays"] = {
            field: torch.from_numpy(np.array(array, order="C")) for field, array in arrays
        }
    torch.save(content, buffer)
    return buffer.getvalue()


def write_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model as `model.pt`; an existing file is replaced in one step.

    Raises:
        ModelError: E1001, the file cannot be written.
    """
    file = Path(path)
    content = dump_model(model)
    scratch = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        scratch.write_bytes(content)
        scratch.replace(file)
    except OSError as error:
        raise ModelError(
            "E1001", f"cannot be written: {error.strerror}", where=str(file)
        ) from error
    finally:
        scratch.unlink(missing_ok=True)


def _check_format(where: str, content: Any) -> None:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        if _holds_tensors(content):
            raise ModelError(
                "E1007", "a state_dict has weights but not the network that uses them", where=where,
                remedy=f"{SAVE}, or give --factory package.module:function that builds it",
            )  # fmt: skip
        raise ModelError(
            "E1009", "a torch file, but not a snndeploy model", where=where, remedy=SAVE
        )
    version = content.get("version")
    if type(version) is not int or version != VERSION:
        raise ModelError(
            "E1009", f"format version {version!r:.20}, this snndeploy reads {VERSION}", where=where,
            remedy="save the model again with this version, or update snndeploy",
        )  # fmt: skip
    if set(content) != FIELDS:
        raise ModelError("E1010", f"fields {sorted(map(str, content))}", where=where)


def _holds_tensors(content: Any, depth: int = 0) -> bool:
    if isinstance(content, torch.Tensor):
        return True
    if not isinstance(content, Mapping) or depth > 2:
        return False
    return any(_holds_tensors(value, depth + 1) for value in content.values())


def _unreadable(where: str, error: Exception) -> ModelError:
    text = str(error).split("\n", maxsplit=1)[0]
    if "weights_only" in str(error).lower() or "WeightsUnpickler" in str(error):
        return ModelError(
            "E1006",
            "holds pickled objects (a whole module?), which could run code; it is refused",
            where=where,
            remedy=SAVE,
        )
    return ModelError("E1003", f"damaged: {text:.120}", where=where, remedy="save it again")


class _Budget:
    """Turns tensors into arrays, and refuses those whose values are not all in the file."""

    def __init__(self, limit: int) -> None:
        self.left = limit

    def arrays_of(self, content: dict[str, Any]) -> dict[str, Any]:
        nodes = record_at("graph", record_at("file", content)["graph"]).get("nodes")
        for name, node in record_at("nodes", nodes).items():
            arrays = record_at(str(name), node).get("arrays")
            node["arrays"] = {
                field: self.array(f"{name}.{field}", tensor)
                for field, tensor in record_at(str(name), arrays).items()
            }
        return content

    def array(self, where: str, tensor: Any) -> AnyArray:
        if type(tensor) is not torch.Tensor:
            raise ModelError("E1010", f"{type(tensor).__name__}, not a tensor", where=where)
        dtypes = (torch.float32, torch.float64, torch.int8, torch.int16, torch.int32, torch.int64)
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise ModelError("E1011", f"a {tensor.layout} tensor", where=where)
        if tensor.dtype not in dtypes or not tensor.is_contiguous():
            shape, stride = tuple(tensor.shape), tensor.stride()
            raise ModelError(
                "E1011", f"{tensor.dtype} tensor {shape} with strides {stride}", where=where
            )
        self.left -= tensor.numel() * tensor.element_size()
        if self.left < 0:
            raise ModelError("E1011", "tensors are larger than the file", where=where)
        return np.array(tensor.detach().numpy())
