"""Weights without a network: a state_dict (`.pt`, `.safetensors`) and the module it belongs to.

The module comes from a factory that the user names; it is the user's own code and the only code
that is imported. Names of the file and of the module must match one to one, with the same shapes;
whatever does not is listed in full.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from snndeploy.errors import ModelError
from snndeploy.frontends.guard import check_file, check_torch_file, looks_like
from snndeploy.ir.arrays import AnyArray
from snndeploy.model import ImportNote
from snndeploy.reading.confined import read_plain

Tensors = Mapping[str, torch.Tensor]
WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Where training scripts put the state_dict in a checkpoint."""
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
"""What DataParallel, torch.compile and Lightning put before every name."""
STATES = ("mem", "spk", "syn", "v_mem", "i_syn", "v")
"""States of neurons, which are not weights: their shape is that of the last batch."""
COUNTER = "num_batches_tracked"
MOST_HEADER = 1 << 26
"""Bytes of a safetensors header, 64 MiB."""


def read_weights(path: Path) -> tuple[Tensors, tuple[ImportNote, ...]]:
    """Return the tensors of a file by name; no code of the file is run.

    Raises:
        ModelError: E1001 to E1006 (missing, empty, damaged, another kind, a bomb, a pickle), E1431
            (no tensors by name).
    """
    if path.suffix == ".safetensors":
        return _safetensors(path), ()
    check_torch_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        text = str(error).split("\n", maxsplit=1)[0]
        unsafe = "WeightsUnpickler" in str(error) or "weights_only" in str(error).lower()
        raise ModelError(
            "E1006" if unsafe else "E1003",
            "holds pickled objects (a whole module?), which could run code; it is refused"
            if unsafe
            else f"damaged: {text:.120}",
            where=str(path),
            remedy="save module.state_dict()",
        ) from error
    return _unwrapped(str(path), content)


def read_packed(path: str) -> tuple[Any, list[AnyArray]]:
    """Read weights in the reading process: names and notes, and an array per name."""
    tensors, notes = read_weights(Path(path))
    texts = [(note.kind, note.node, note.text) for note in notes]
    arrays = [_array(tensor) for tensor in tensors.values()]
    return {"names": list(tensors), "notes": texts}, arrays


def read_confined(path: Path) -> tuple[Tensors, tuple[ImportNote, ...]]:
    """Return what `read_weights` does, the file read where it can do no harm."""
    content, arrays = read_plain("snndeploy.frontends.weights:read_packed", path, {})
    tensors = {n: torch.from_numpy(a) for n, a in zip(content["names"], arrays, strict=True)}
    notes = (ImportNote(kind=kind, node=node, text=text) for kind, node, text in content["notes"])
    return tensors, tuple(notes)


def _array(tensor: torch.Tensor) -> AnyArray:
    """Return a tensor's values; bfloat16, which numpy does not have, widened."""
    wide = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    return np.array(wide.detach().numpy())


def fill(module: nn.Module, tensors: Tensors, where: str) -> tuple[ImportNote, ...]:
    """Load tensors into a module by name.

    Returns:
        What was left out or stripped.

    Raises:
        ModelError: E1430, names are missing, unknown, or have another shape; all are listed.
    """
    wanted: Tensors = module.state_dict()
    notes: list[ImportNote] = []
    given = _without_prefix(dict(tensors), wanted, where, notes)
    states = {name for name in (*given, *wanted) if _is_state(module, name)}
    if left := sorted(states & set(given)):
        text = f"states of neurons, not weights: {', '.join(left)}"
        notes.append(ImportNote(kind="dropped", node="", text=text))
    given = {name: tensor for name, tensor in given.items() if name not in states}
    needed = {name for name in wanted if name not in states and not name.endswith(COUNTER)}
    problems = _problems(given, wanted, needed)
    if problems:
        raise ModelError(
            "E1430",
            f"the weights are not those of the factory's network: {'; '.join(problems)}",
            where=where,
            remedy="let the factory build the network that was trained, with the same options",
        )
    module.load_state_dict(given, strict=False)
    return tuple(notes)


def _problems(given: Tensors, wanted: Tensors, needed: set[str]) -> list[str]:
    missing = sorted(needed - set(given))
    unknown = sorted(set(given) - set(wanted))
    found = []
    for name in missing:
        near = get_close_matches(name, unknown, n=1, cutoff=0.5)
        found.append(f"{name} is missing" + (f" (did you mean {near[0]}?)" if near else ""))
    found += [f"{name} is unknown" for name in unknown]
    for name in sorted(set(given) & set(wanted)):
        had, allowed = tuple(given[name].shape), tuple(wanted[name].shape)
        if had != allowed:
            found.append(f"{name} is {had}, the network takes {allowed}")
    return found


def _without_prefix(
    given: dict[str, torch.Tensor], wanted: Tensors, where: str, notes: list[ImportNote]
) -> dict[str, torch.Tensor]:
    for prefix in PREFIXES:
        matches = all(name.startswith(prefix) for name in given)
        if given and matches and not any(name.startswith(prefix) for name in wanted):
            text = f"every name began with {prefix!r}"
            notes.append(ImportNote(kind="repaired", node=where, text=text))
            return {name.removeprefix(prefix): tensor for name, tensor in given.items()}
    return given


def _is_state(module: nn.Module, name: str) -> bool:
    """Whether a name is that of a neuron's state: one of its buffers, called as frameworks do."""
    owner, _, last = name.rpartition(".")
    if last not in STATES:
        return False
    try:
        part = module.get_submodule(owner)
    except AttributeError:
        return False
    return last not in part._parameters and (last in part._buffers or hasattr(part, last))


def _unwrapped(where: str, content: Any) -> tuple[Tensors, tuple[ImportNote, ...]]:
    """Return the tensors of a state_dict, or of a checkpoint that holds one."""
    if _is_state_dict(content):
        return content, ()
    if isinstance(content, Mapping):
        inside = [key for key in WRAPPERS if _is_state_dict(content.get(key))]
        if len(inside) == 1:
            text = f"the weights are those under {inside[0]!r} of the checkpoint"
            note = ImportNote(kind="assumed", node=where, text=text)
            return content[inside[0]], (note,)
        had = ", ".join(map(repr, list(content)[:6])) or "nothing"
    else:
        had = type(content).__name__
    raise ModelError(
        "E1431", f"holds {had}, not tensors by name", where=where,
        remedy="save module.state_dict()",
    )  # fmt: skip


def _is_state_dict(value: Any) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(k, str) and type(v) is torch.Tensor for k, v in value.items())


def _safetensors(path: Path) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    head = check_file(path)
    length = int.from_bytes(head[:8], "little")
    if not 2 <= length <= min(MOST_HEADER, path.stat().st_size - 8) or head[8:9] != b"{":
        raise ModelError(
            "E1431", f"not a safetensors file, it looks like {looks_like(head)}", where=str(path)
        )
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, ValueError, OSError, KeyError, RuntimeError) as error:
        text = str(error).split("\n", maxsplit=1)[0]
        raise ModelError("E1003", f"damaged: {text:.120}", where=str(path)) from error
