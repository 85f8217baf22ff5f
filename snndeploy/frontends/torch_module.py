"""Trace a torch module into a `Model`: weights, neurons and the order in which they act.

The module is traced symbolically (torch.fx): no layer runs, nothing of it changes. Neurons and
SpikingJelly's layers are leaves; a leaf is read by the tables of `layers` and `neurons`, anything
else is refused by name. Where time is:

    outer    one step per call of forward; tensors are [B, …] (snnTorch; SpikingJelly step_mode 's')
    module   forward takes all steps; tensors are [T, B, …] (SpikingJelly step_mode 'm')
    inner    forward takes a frame [B, …] and repeats it over time before the first layer
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Literal, get_args

import nir
import numpy as np
import torch
from torch import nn

from snndeploy.errors import ModelError, UnsupportedError, UsageError
from snndeploy.frontends.draft import Draft, Signal
from snndeploy.frontends.operations import Decoded, State
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


def import_module(module: nn.Module, example: torch.Tensor, options: ImportOptions) -> Model:
    """Return the model that a module computes in evaluation mode; the module is left as it is.

    Args:
        module: a chain of layers and neurons (see the tables in `layers` and `neurons`).
        example: one input, [B, *shape], or [T, B, *shape] where time is in the module.
        options: what the module does not say.

    Raises:
        UnsupportedError: E2001 to E2012: a module, neuron, operation or option, by its path.
        ModelError: E1045 (example input), E1012 (NaN weights), E1021 (shapes).
        UsageError: E5040, an option that does not exist.
    """
    _check_arguments(module, options)
    example = torch.as_tensor(example)
    with untouched(module):
        root, traced = trace(module)
        leading = 2 if (options.time or guess_time(root, traced)) == "module" else 1
        draft, port = _start(example, leading, options)
        walk = Walk(root=root, draft=draft, dtype=_dtype(module, example))
        value = walk.run(traced, _source(port, example, leading))
    if walk.framework is None:
        raise UnsupportedError(
            "E2010",
            "no spiking neuron found",
            where=type(module).__name__,
            remedy="snndeploy compiles spiking networks of SpikingJelly or snnTorch",
        )
    signals = _outputs_of(value, draft)
    outputs = tuple(_output_port(signal, draft, options.decode) for signal in signals)
    graph = normalize_graph(build_graph(draft.nodes, draft.edges))
    check_finite(graph)
    steps = _steps(_signal_of(signals[0]).sizes, port, leading, options, draft)
    repeats = options.repeat or len(_signal_of(signals[0]).sizes) > leading
    return Model(
        graph=graph,
        semantics=PRESETS[walk.framework],
        inputs=(replace(port, repeat=repeats),),
        outputs=outputs,
        steps=steps,
        notes=tuple(draft.notes),
        origin=f"{options.name or type(module).__name__} ({walk.framework})",
    )


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


def _start(example: torch.Tensor, leading: int, options: ImportOptions) -> tuple[Draft, InputPort]:
    """Return a draft that holds the input node, and the input port."""
    shape = tuple(int(size) for size in example.shape[leading:])
    layout = "[T, B, …]" if leading == 2 else "[B, …]"
    if not shape or example.numel() == 0 or not torch.isfinite(example).all():
        raise ModelError(
            "E1045",
            f"example input {tuple(example.shape)} has no features, no values, or NaN",
            where="example_input",
            remedy=f"give one finite input of shape {layout}",
        )
    draft = Draft()
    draft.nodes["input"] = nir.Input(input_type={"input": np.array(shape)})
    low, high = options.input_range or (float(example.min()), float(example.max()))
    values = options.values or _guess_values(example, draft)
    if values == "spikes":
        low, high = 0.0, 1.0
    elif options.input_range is None:
        draft.note("assumed", "input", f"values lie in [{low:g}, {high:g}], as in the example")
    if not (-inf < low <= high < inf):
        raise ModelError("E1045", f"input range ({low}, {high}) is empty", where="input_range")
    port = InputPort(
        name="input", shape=shape, values=values, low=low, high=high, repeat=options.repeat
    )
    return draft, port


def _source(port: InputPort, example: torch.Tensor, leading: int) -> Signal:
    sizes = tuple(int(size) for size in example.shape[:leading])
    is_spikes = port.values == "spikes"
    return Signal(node=port.name, shape=port.shape, sizes=sizes, is_spikes=is_spikes)


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


def _guess_values(example: torch.Tensor, draft: Draft) -> Values:
    is_spikes = bool(((example == 0) | (example == 1)).all())
    what = "all 0 or 1" if is_spikes else "not all 0 or 1"
    values: Values = "spikes" if is_spikes else "real"
    draft.note("assumed", "input", f"carries {values}: the example is {what}")
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


def _outputs_of(value: Any, draft: Draft) -> list[Signal | Decoded]:
    """Return the returned signals that nothing else reads."""
    read = {source for source, _ in draft.edges}
    outputs = []
    for item in _leaves(value):
        if isinstance(item, State):
            continue
        if _signal_of(item).node in read:
            name = _signal_of(item).node
            draft.note("dropped", name, "returned too, but not an output: record it")
        else:
            outputs.append(item)
    if not outputs:
        raise UnsupportedError(
            "E2012",
            "forward returns no spikes or values, only states or its input",
            remedy="return the spikes of the last neuron, or end in a layer without a neuron",
        )
    return outputs


def _output_port(item: Signal | Decoded, draft: Draft, decode: Decode) -> OutputPort:
    signal = _signal_of(item)
    used = item.decode if isinstance(item, Decoded) else decode
    return OutputPort(name=draft.append_output(signal), shape=signal.shape, decode=used)


def _signal_of(item: Signal | Decoded) -> Signal:
    return item.signal if isinstance(item, Decoded) else item


def _leaves(value: Any) -> Iterator[Any]:
    """Yield the signals and states of a returned value, in order, each signal once."""
    if isinstance(value, Signal | State | Decoded):
        yield value
    elif isinstance(value, dict):
        yield from _leaves(tuple(value.values()))
    elif isinstance(value, tuple | list):
        seen: list[Any] = []
        for item in value:
            for leaf in _leaves(item):
                if leaf not in seen:
                    seen.append(leaf)
                    yield leaf
