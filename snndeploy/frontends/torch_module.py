"""Trace a torch module into a `Model`: weights, neurons and the order in which they act.

The module is traced symbolically (torch.fx): no layer runs, nothing of it changes. Neurons and
SpikingJelly's layers are leaves; a leaf is read by the tables of `layers` and `neurons`, anything
else is refused by name. Where time is:

    outer    one step per call of forward; tensors are [B, …] (snnTorch; SpikingJelly step_mode 's')
    module   forward takes all steps; tensors are [T, B, …] (SpikingJelly step_mode 'm')
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

import nir
import numpy as np
import torch
from torch import nn

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.frontends.draft import Draft, Signal
from snndeploy.frontends.operations import Decoded, State, time_inside
from snndeploy.frontends.walk import Walk, guess_time, trace
from snndeploy.ir.network import Decode
from snndeploy.model import InputPort, Model, OutputPort
from snndeploy.nirgraph.rebuild import build_graph
from snndeploy.nirgraph.shapes import normalize_graph
from snndeploy.nirgraph.values import check_finite
from snndeploy.semantics import PRESETS

Time = Literal["outer", "inner", "module"]
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
    """
    with _untouched(module):
        root, graph = trace(module)
        time = options.time or guess_time(root, graph)
        if time == "inner":
            raise time_inside("time='inner'", type(module).__name__)
        leading = 2 if time == "module" else 1
        draft, port = _start(example, leading, options)
        walk = Walk(root=root, draft=draft, sizes=tuple(example.shape[:leading]))
        source = Signal(node=port.name, shape=port.shape, is_spikes=port.values == "spikes")
        value = walk.run(graph, source)
    if walk.framework is None:
        raise UnsupportedError(
            "E2010",
            "no spiking neuron found",
            where=type(module).__name__,
            remedy="snndeploy compiles spiking networks of SpikingJelly or snnTorch",
        )
    outputs = _finish(value, draft, options.decode)
    graph = normalize_graph(build_graph(draft.nodes, draft.edges))
    check_finite(graph)
    return Model(
        graph=graph,
        semantics=PRESETS[walk.framework],
        inputs=(port,),
        outputs=outputs,
        steps=_steps(example, leading, options, draft),
        notes=tuple(draft.notes),
        origin=f"{options.name or type(module).__name__} ({walk.framework})",
    )


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


def _guess_values(example: torch.Tensor, draft: Draft) -> Values:
    is_spikes = bool(((example == 0) | (example == 1)).all())
    what = "all 0 or 1" if is_spikes else "not all 0 or 1"
    values: Values = "spikes" if is_spikes else "real"
    draft.note("assumed", "input", f"carries {values}: the example is {what}")
    return values


def _steps(example: torch.Tensor, leading: int, options: ImportOptions, draft: Draft) -> int | None:
    if options.steps is not None or leading == 1:
        return options.steps
    draft.note("assumed", "input", f"{len(example)} steps per sample, as in the example")
    return len(example)


def _finish(value: Any, draft: Draft, decode: Decode) -> tuple[OutputPort, ...]:
    """Add an output node behind every returned signal that nothing else reads."""
    ports: list[OutputPort] = []
    read = {source for source, _ in draft.edges}
    for item in _leaves(value):
        signal = item.signal if isinstance(item, Decoded) else item
        if isinstance(item, State):
            continue
        if signal.node in read:
            draft.note("dropped", signal.node, "returned too, but not an output: record it")
            continue
        name = draft.append_output(signal)
        used = item.decode if isinstance(item, Decoded) else decode
        ports.append(OutputPort(name=name, shape=signal.shape, decode=used))
    if not ports:
        raise UnsupportedError(
            "E2012",
            "forward returns membrane potentials or nothing, no spikes or values",
            remedy="return the spikes of the last neuron, or end in a layer without a neuron",
        )
    return tuple(ports)


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


@contextmanager
def _untouched(module: nn.Module) -> Iterator[None]:
    """Switch to evaluation mode; afterwards put back every attribute of every submodule."""
    saved = [(part, dict(part.__dict__)) for part in module.modules()]
    inner = {
        id(value): (value, dict(value))
        for _, attributes in saved
        for value in attributes.values()
        if isinstance(value, dict)
    }
    try:
        for part, _ in saved:
            part.training = False
        with torch.no_grad():
            yield
    finally:
        for part, attributes in saved:
            part.__dict__.clear()
            part.__dict__.update(attributes)
        for value, content in inner.values():
            value.clear()
            value.update(content)
