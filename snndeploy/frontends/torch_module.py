"""Trace a torch module into a `Model`: weights, neurons and the order in which they act.

The module is traced symbolically (torch.fx): no layer runs, nothing of it changes. Neurons and
SpikingJelly's layers are leaves; a leaf is read by the tables of `layers` and `neurons`, anything
else is refused by name. Where time is:

    outer    one step per call of forward; tensors are [B, …] (snnTorch; SpikingJelly step_mode 's')
    module   forward takes all steps; tensors are [T, B, …] (SpikingJelly step_mode 'm')
    inner    forward takes a frame [B, …] and repeats it over time before the first layer

A loop over time in forward is unrolled by torch.fx and rolled up again (`reroll`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Literal, get_args

import nir
import numpy as np
import torch
from torch import fx, nn

from snndeploy.errors import ModelError, UnsupportedError, UsageError
from snndeploy.frontends.draft import Draft, Signal
from snndeploy.frontends.operations import Decoded
from snndeploy.frontends.outputs import outputs_of, signal_of
from snndeploy.frontends.payload import SPIKES, Payload
from snndeploy.frontends.reroll import check_starts, reroll
from snndeploy.frontends.tracing import Time, guess_time, trace, untouched
from snndeploy.frontends.walk import Walk
from snndeploy.ir.network import Decode
from snndeploy.model import InputPort, Model, OutputPort
from snndeploy.nirgraph.canonical import Shape
from snndeploy.nirgraph.rebuild import build_graph
from snndeploy.nirgraph.shapes import normalize_graph
from snndeploy.nirgraph.values import check_finite
from snndeploy.semantics import PRESETS

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


def import_module(module: nn.Module, example: Example, options: ImportOptions) -> Model:
    """Return the model that a module computes in evaluation mode; the module is left as it is.

    Args:
        module: layers and neurons (see the tables in `layers` and `neurons`) that forward connects
            without feedback other than the neurons' states.
        example: one input, [B, *shape], or [T, B, *shape] where time is in the module; a tuple in
            the order of forward's arguments or a dict by their names if there are several.
        options: what the module does not say.

    Raises:
        UnsupportedError: E2001 to E2028: a module, neuron, operation or option, by its path.
        ModelError: E1045 (example input), E1012 (NaN weights), E1021 (shapes).
        UsageError: E5040, an option that does not exist.
    """
    _check_arguments(module, options)
    examples = _examples(example)
    with untouched(module):
        shapes = {key: tuple(tensor.shape) for key, tensor in examples.items()}
        root, traced = trace(module, shapes=shapes)
        traced, loop = reroll(root, traced)
        takes_steps = loop is not None and loop.takes_steps
        time = options.time or guess_time(root, traced)
        if loop is None and time == "outer":
            check_starts(root, traced)
        leading = 2 if takes_steps or time == "module" else 1
        draft = Draft()
        ports = _start(draft, _named(examples, traced), leading, options)
        sources = {
            key: _source(port, examples[key], leading, takes_steps=takes_steps)
            for key, port in zip(examples, ports, strict=True)
        }
        walk = Walk(root=root, draft=draft, dtype=_dtype(module, next(iter(examples.values()))))
        value = walk.run(traced, sources)
    if walk.framework is None:
        raise UnsupportedError(
            "E2010",
            "no spiking neuron found",
            where=type(module).__name__,
            remedy="snndeploy compiles spiking networks of SpikingJelly or snnTorch",
        )
    named = outputs_of(value, draft)
    sizes = signal_of(named[0][1]).sizes
    outputs = tuple(_output_port(name, item, draft, options.decode) for name, item in named)
    draft.drop_unread()
    graph = normalize_graph(build_graph(draft.nodes, draft.edges))
    check_finite(graph)
    steps = _steps(sizes, ports[0], leading, options, draft)
    repeats = options.repeat or len(sizes) > leading
    return Model(
        graph=graph,
        semantics=PRESETS[walk.framework],
        inputs=tuple(replace(port, repeat=repeats) for port in ports),
        outputs=outputs,
        steps=steps,
        notes=tuple(draft.notes),
        origin=f"{options.name or type(module).__name__} ({walk.framework})",
    )


def _examples(example: Example) -> dict[int | str, torch.Tensor]:
    """Return the examples by position or name of forward's arguments."""
    if isinstance(example, Mapping):
        return {str(name): torch.as_tensor(value) for name, value in example.items()}
    if isinstance(example, tuple):
        return {index: torch.as_tensor(value) for index, value in enumerate(example)}
    return {0: torch.as_tensor(example)}


def _named(examples: dict[int | str, torch.Tensor], graph: fx.Graph) -> dict[str, torch.Tensor]:
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


def _check_arguments(module: Any, options: ImportOptions) -> None:
    if not isinstance(module, nn.Module):
        raise UsageError(
            "E5040", f"{type(module).__name__} is not a torch module", where="module",
            remedy="give the network itself, with its weights loaded",
        )  # fmt: skip
    allowed = {"time": get_args(Time), "values": get_args(Values), "decode": get_args(Decode)}
    for option, choices in allowed.items():
        value = getattr(options, option)
        if value is not None and value not in choices:
            raise UsageError(
                "E5040", f"{value!r}", where=option, remedy=f"use one of {', '.join(choices)}"
            )
    if options.steps is not None and options.steps < 1:
        raise UsageError("E5040", f"{options.steps}", where="steps", remedy="use 1 or more")


def _start(
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


def _source(port: InputPort, example: torch.Tensor, leading: int, *, takes_steps: bool) -> Signal:
    sizes = tuple(int(size) for size in example.shape[:leading])
    return Signal(
        terms=((port.name, 1.0),),
        shape=port.shape,
        sizes=sizes[-1:] if takes_steps else sizes,
        payload=SPIKES if port.values == "spikes" else Payload(port.low, port.high, False),
    )


def _dtype(module: nn.Module, example: torch.Tensor) -> Any:
    """Return the numpy type in which the network computes.

    Raises:
        UnsupportedError: E2008, it is neither float32 nor float64.
    """
    dtypes = {tensor.dtype for tensor in module.parameters() if tensor.is_floating_point()}
    dtypes = dtypes or {example.dtype if example.is_floating_point() else torch.float32}
    if len(dtypes) > 1 or not dtypes <= {torch.float32, torch.float64}:
        names = ", ".join(sorted(str(dtype) for dtype in dtypes))
        raise UnsupportedError(
            "E2008", f"weights of type {names}", where=type(module).__name__,
            remedy="call module.float()",
        )  # fmt: skip
    return torch.empty(0, dtype=dtypes.pop()).numpy().dtype


def _guess_values(name: str, example: torch.Tensor, draft: Draft) -> Values:
    is_spikes = bool(((example == 0) | (example == 1)).all())
    what = "all 0 or 1" if is_spikes else "not all 0 or 1"
    values: Values = "spikes" if is_spikes else "real"
    draft.note("assumed", name, f"carries {values}: the example is {what}")
    return values


def _steps(
    sizes: Shape, port: InputPort, leading: int, options: ImportOptions, draft: Draft
) -> int | None:
    """Return the steps per sample: the user's, else T of the example or of forward's repetition."""
    if len(sizes) == 1:
        return options.steps
    if leading == 1:
        draft.note("folded", port.name, f"forward shows its input at each of {sizes[0]} steps")
    elif options.steps is None:
        draft.note("assumed", port.name, f"{sizes[0]} steps per sample, as in the example")
    return options.steps or sizes[0]


def _output_port(name: str, item: Signal | Decoded, draft: Draft, decode: Decode) -> OutputPort:
    signal = signal_of(item)
    used = item.decode if isinstance(item, Decoded) else decode
    return OutputPort(name=draft.append_output(signal, name), shape=signal.shape, decode=used)
