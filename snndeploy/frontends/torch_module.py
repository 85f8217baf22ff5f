"""Trace a torch module into a `Model`: weights, neurons and the order in which they act.

The module is traced symbolically (torch.fx): no layer runs, nothing of it changes. Neurons and
frameworks' own layers are leaves; a leaf is read by the tables of `layers` and `readers`, anything
else is refused by name. Where time is:

    outer        one step per call of forward; tensors are [B, …] (snnTorch; Norse's cells;
                 SpikingJelly step_mode 's')
    module       forward takes all steps; tensors are [T, B, …] (SpikingJelly step_mode 'm'; Norse's
                 LIF and Lift)
    inner        forward takes a frame [B, …] and repeats it over time before the first layer
    batch-first  forward takes all steps; tensors are [B, T, …] (sinabs)
    flat         forward takes all steps; tensors are [B·T, …] (sinabs' IAFSqueeze)

A loop over time in forward is unrolled by torch.fx and rolled up again (`reroll`).
"""

from dataclasses import replace
from typing import Any, get_args

import torch
from torch import nn

from snndeploy.errors import UnsupportedError, UsageError
from snndeploy.frontends.draft import Draft, Signal
from snndeploy.frontends.examples import (
    Example,
    ImportOptions,
    Values,
    by_port,
    examples_of,
    source_of,
    start,
)
from snndeploy.frontends.frameworks import takes_state
from snndeploy.frontends.methods import Decoded
from snndeploy.frontends.outputs import outputs_of, signal_of
from snndeploy.frontends.reroll import reroll
from snndeploy.frontends.starts import check_starts
from snndeploy.frontends.tracing import Time, guess_time, trace, untouched
from snndeploy.frontends.walk import Walk
from snndeploy.ir.network import Decode
from snndeploy.model import InputPort, Model, OutputPort
from snndeploy.nirgraph.canonical import Shape
from snndeploy.nirgraph.rebuild import build_graph
from snndeploy.nirgraph.shapes import normalize_graph
from snndeploy.nirgraph.values import check_finite
from snndeploy.semantics import PRESETS


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
    examples = examples_of(example)
    with untouched(module):
        shapes = {key: tuple(tensor.shape) for key, tensor in examples.items()}
        root, traced = trace(module, shapes=shapes)
        traced, loop = reroll(root, traced)
        takes_steps = loop is not None and loop.takes_steps
        time = options.time or guess_time(root, traced)
        if loop is None and time == "outer" and (root is module or not takes_state(module)):
            check_starts(root, traced)
        leading = 2 if takes_steps or time in ("module", "batch-first") else 1
        axis = int(time == "batch-first")
        draft = Draft()
        ports = start(draft, by_port(examples, traced), leading, options)
        sources = {
            key: source_of(port, examples[key], leading, takes_steps=takes_steps, time_axis=axis)
            for key, port in zip(examples, ports, strict=True)
        }
        walk = Walk(root=root, draft=draft, dtype=_dtype(module, next(iter(examples.values()))))
        value = walk.run(traced, sources)
    if walk.framework is None:
        raise UnsupportedError(
            "E2010",
            "no spiking neuron found",
            where=type(module).__name__,
            remedy="snndeploy compiles spiking networks of SpikingJelly, snnTorch, Norse or sinabs",
        )
    named = outputs_of(value, draft)
    signal = signal_of(named[0][1])
    sizes = signal.sizes if time == "flat" else _time_first(signal)
    outputs = tuple(_output_port(name, item, draft, options.decode) for name, item in named)
    draft.drop_unread()
    graph = normalize_graph(build_graph(draft.nodes, draft.edges))
    check_finite(graph)
    if time == "flat":
        steps = _flat_steps(module, ports[0], sizes, options, draft)
    else:
        steps = _steps(sizes, ports[0], leading, options, draft)
    repeats = options.repeat or (time != "flat" and len(sizes) > leading)
    return Model(
        graph=graph,
        semantics=PRESETS[walk.framework],
        inputs=tuple(replace(port, repeat=repeats) for port in ports),
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


def _time_first(signal: Signal) -> Shape:
    return signal.sizes[::-1] if signal.time_axis else signal.sizes


def _flat_steps(
    module: nn.Module, port: InputPort, sizes: Shape, options: ImportOptions, draft: Draft
) -> int | None:
    """Return the steps per sample of tensors [B·T, …]: the user's, else what sinabs' layers say."""
    if options.steps is not None:
        return options.steps
    told: list[Any] = [part for part in module.modules() if hasattr(part, "squeeze_forward")]
    steps = {int(part.num_timesteps) for part in told if int(part.num_timesteps) > 0}
    batches = {int(part.batch_size) for part in told if int(part.batch_size) > 0}
    found = steps or {sizes[0] // batch for batch in batches}
    if len(found) != 1:
        return None
    (n_steps,) = found
    draft.note("assumed", port.name, f"{n_steps} steps per sample, as its layers or example say")
    return n_steps


def _output_port(name: str, item: Signal | Decoded, draft: Draft, decode: Decode) -> OutputPort:
    signal = signal_of(item)
    used = item.decode if isinstance(item, Decoded) else decode
    return OutputPort(name=draft.append_output(signal, name), shape=signal.shape, decode=used)
