"""The network of a state_dict: built by a function of the user's own that the user names.

It is the only code that snndeploy imports at a user's word, and only at that word.
"""

import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snndeploy.errors import UsageError
from snndeploy.frontends.examples import Example, ImportOptions
from snndeploy.frontends.torch_module import import_module
from snndeploy.frontends.tracing import guess_time, trace, untouched
from snndeploy.frontends.weights import fill, read_confined
from snndeploy.model import ImportNote, Model

WHERE = "--factory"


def load_weights(
    path: Path,
    factory: str,
    *,
    input_shape: tuple[int, ...] | None = None,
    options: ImportOptions | None = None,
) -> Model:
    """Read a state_dict into the module that a factory builds, and trace it.

    Args:
        path: state_dict, `.pt` or `.safetensors`.
        factory: `package.module:function`; called without arguments, it returns the module, or the
            module and an example input.
        input_shape: of one input without time and batch, if the factory gives no example.
        options: what the module does not say.

    Raises:
        UsageError: E5130 (no such function), E5131 (it fails or returns something else), E5132 (no
            example).
        ModelError: E1001 to E1006, E1430, E1431 (the file), and what tracing raises.
    """
    module, example, notes = load_module(path, factory)
    chosen = options or ImportOptions()
    if example is None:
        example = _example(module, input_shape, chosen)
        if chosen.values is None:
            chosen = replace(chosen, values="real")
    model = import_module(module, example, replace(chosen, name=chosen.name or path.name))
    return replace(model, notes=(*notes, *model.notes))


def load_module(
    path: Path, factory: str
) -> tuple[nn.Module, Example | None, tuple[ImportNote, ...]]:
    """Return the module that a factory builds with the weights of a file, and its example if any.

    Raises:
        UsageError: E5130, E5131, the factory.
        ModelError: E1001 to E1006, E1430, E1431, the file.
    """
    tensors, notes = read_confined(path)
    module, example = _made(factory)
    return module, example, (*notes, *fill(module, tensors, path.name))


def find_function(name: str) -> Callable[[], Any]:
    """Return the function that `package.module:function` names; the folder one is in comes first.

    Raises:
        UsageError: E5130, the name is malformed, or there is no such module or function.
    """
    module_name, _, function_name = name.partition(":")
    parts = [*module_name.split("."), function_name]
    if not all(part.isidentifier() for part in parts):
        raise UsageError("E5130", f"{name!r} is not package.module:function", where=WHERE)
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UsageError(
            "E5130", f"{module_name} cannot be imported: {error}", where=WHERE,
            remedy="run where the module lies, or install its package",
        ) from error  # fmt: skip
    except Exception as error:
        text = str(error).split("\n", maxsplit=1)[0]
        raise UsageError(
            "E5131", f"{module_name} fails on import: {type(error).__name__}: {text:.120}",
            where=WHERE, remedy="import it in Python and see",
        ) from error  # fmt: skip
    finally:
        sys.path.remove(here)
    function = getattr(module, function_name, None)
    if not callable(function):
        names = [key for key, value in vars(module).items() if callable(value)]
        known = ", ".join(key for key in names if not key.startswith("_")) or "none"
        raise UsageError(
            "E5130", f"{module_name} has no function {function_name!r}", where=WHERE,
            remedy=f"it has {known}",
        )  # fmt: skip
    return function  # type: ignore[no-any-return]  # the user's


def _made(name: str) -> tuple[nn.Module, Example | None]:
    function = find_function(name)
    try:
        made = function()
    except Exception as error:
        text = str(error).split("\n", maxsplit=1)[0]
        raise UsageError(
            "E5131", f"{name} failed: {type(error).__name__}: {text:.120}", where=WHERE,
            remedy="it is called without arguments and returns the network",
        ) from error  # fmt: skip
    module, example = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(module, nn.Module):
        raise UsageError(
            "E5131", f"{name} returned {type(module).__name__}, not a torch module", where=WHERE,
            remedy="return the network, or the network and an example input",
        )  # fmt: skip
    return module, example


def _example(
    module: nn.Module, shape: tuple[int, ...] | None, options: ImportOptions
) -> torch.Tensor:
    """Return zeros of a shape in the layout that the module takes.

    Raises:
        UsageError: E5132, the shape or the number of steps is not said.
    """
    if shape is None:
        raise UsageError(
            "E5132", "nothing says what the network takes", where="--input-shape",
            remedy="give --input-shape C,H,W, or let the factory return (network, example_input)",
        )  # fmt: skip
    if options.values is None and options.input_range is None:
        raise UsageError(
            "E5132", "nothing says what the inputs carry", where="--input-range",
            remedy="give --encode spikes or --input-range LOW HIGH, or let the factory return "
            "(network, example_input)",
        )  # fmt: skip
    with untouched(module):
        time = options.time or guess_time(*trace(module, shapes={0: (1, *shape)}))
    if time in ("outer", "inner"):
        return torch.zeros(1, *shape)
    if options.steps is None:
        raise UsageError(
            "E5132", "forward takes all steps, and nothing says how many", where="--steps",
            remedy="give --steps P",
        )  # fmt: skip
    leading = {"module": (options.steps, 1), "batch-first": (1, options.steps)}
    return torch.zeros(*leading.get(time, (options.steps,)), *shape)
