"""Example inputs of a module: ports, ranges, sizes, and what is guessed from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal

import nir
import numpy as np
import torch
from torch import fx

from snndeploy.errors import ModelError
from snndeploy.frontends.draft import Draft, Signal
from snndeploy.frontends.tracing import Time
from snndeploy.ir.network import Decode
from snndeploy.model import InputPort
from snndeploy.nirgraph.payload import SPIKES, Payload

Values = Literal["spikes", "real"]
Example = torch.Tensor | tuple[torch.Tensor, ...] | Mapping[str, torch.Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportOptions:
    """What the user says about a module that the module itself does not.

    Attributes:
        name: for reports; None takes the class name.
        time: where the time loop is; None guesses from the modules' step modes.
        steps: model steps per sample; None takes T of the example if it has one.
        values: what the input carries; None looks at the example.
        input_range: smallest and largest input; None takes the example's.
        repeat: one frame per sample, shown at every step.
        decode: reduction over steps that gives the answer.
    """

    name: str | None = None
    time: Time | None = None
    steps: int | None = None
    values: Values | None = None
    input_range: tuple[float, float] | None = None
    repeat: bool = False
    decode: Decode = "sum"


def examples_of(example: Example) -> dict[int | str, torch.Tensor]:
    """Return the examples by position or name of forward's arguments."""
    if isinstance(example, Mapping):
        return {str(name): torch.as_tensor(value) for name, value in example.items()}
    if isinstance(example, tuple):
        return {index: torch.as_tensor(value) for index, value in enumerate(example)}
    return {0: torch.as_tensor(example)}


def by_port(examples: dict[int | str, torch.Tensor], graph: fx.Graph) -> dict[str, torch.Tensor]:
    """Return the examples by port name: `input` if there is one, else forward's arguments.

    Raises:
        ModelError: E1045, forward has no such argument.
    """
    arguments = [str(node.target) for node in graph.nodes if node.op == "placeholder"]
    keys = [arguments[key] if isinstance(key, int) and key < len(arguments) else key
            for key in examples]  # fmt: skip
    wrong = [str(key) for key in keys if key not in arguments]
    if wrong or not keys:
        raise ModelError(
            "E1045", f"forward has no argument {', '.join(wrong) or 'at all'}",
            where="example_input", remedy=f"it takes {', '.join(arguments)}",
        )  # fmt: skip
    if list(examples) == [0]:
        return {"input": examples[0]}
    return {str(key): tensor for key, tensor in zip(keys, examples.values(), strict=True)}


def start(
    draft: Draft, examples: dict[str, torch.Tensor], leading: int, options: ImportOptions
) -> list[InputPort]:
    """Put an input node per example into the draft, and return the input ports.

    Raises:
        ModelError: E1045, an example has no features or values, or they differ in time or batch.
    """
    if len({tuple(tensor.shape[:leading]) for tensor in examples.values()}) > 1:
        raise ModelError(
            "E1045", "the example inputs differ in steps or samples", where="example_input",
            remedy="give all of them the same leading sizes",
        )  # fmt: skip
    return [_port(draft, name, tensor, leading, options) for name, tensor in examples.items()]


def _port(
    draft: Draft, name: str, example: torch.Tensor, leading: int, options: ImportOptions
) -> InputPort:
    shape = tuple(int(size) for size in example.shape[leading:])
    layout = "[T, B, …]" if leading == 2 else "[B, …]"
    if not shape or example.numel() == 0 or not torch.isfinite(example).all():
        raise ModelError(
            "E1045",
            f"example input {tuple(example.shape)} has no features, no values, or NaN",
            where="example_input",
            remedy=f"give one finite input of shape {layout}",
        )
    draft.nodes[name] = nir.Input(input_type={"input": np.array(shape)})
    low, high = options.input_range or (float(example.min()), float(example.max()))
    values = options.values or _guess_values(name, example, draft)
    if values == "spikes":
        low, high = 0.0, 1.0
    elif options.input_range is None:
        draft.note("assumed", name, f"values lie in [{low:g}, {high:g}], as in the example")
    if not (-inf < low <= high < inf):
        raise ModelError("E1045", f"input range ({low}, {high}) is empty", where="input_range")
    return InputPort(
        name=name, shape=shape, values=values, low=low, high=high, repeat=options.repeat
    )


def source_of(
    port: InputPort, example: torch.Tensor, leading: int, *, takes_steps: bool, time_axis: int = 0
) -> Signal:
    """Return an input's signal; a loop that takes single steps sees it without time."""
    sizes = tuple(int(size) for size in example.shape[:leading])
    return Signal(
        terms=((port.name, 1.0),),
        shape=port.shape,
        sizes=sizes[-1:] if takes_steps else sizes,
        payload=SPIKES if port.values == "spikes" else Payload(port.low, port.high, False),
        time_axis=time_axis,
    )


def _guess_values(name: str, example: torch.Tensor, draft: Draft) -> Values:
    is_spikes = bool(((example == 0) | (example == 1)).all())
    what = "all 0 or 1" if is_spikes else "not all 0 or 1"
    values: Values = "spikes" if is_spikes else "real"
    draft.note("assumed", name, f"carries {values}: the example is {what}")
    return values
