"""A model's graph in torch: the float interpreter's answer, and gradients of its weights.

In: a model without loops. Out: a `TorchGraph` that runs any number of times, on weights that the
caller passes, so that training, pruning and quantization choose what stands in their place. In
float64 every spike is that of `snndeploy.nirgraph.interpret.run_float`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from math import prod
from operator import add
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from snndeploy.compress.surrogate import fire
from snndeploy.compress.torch_neuron import Constants, constants_of, run_neuron
from snndeploy.errors import UnsupportedError
from snndeploy.model import Model
from snndeploy.nirgraph.canonical import NEURONS, SPIKING
from snndeploy.nirgraph.dynamics import step_constants
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.nirgraph.rebuild import (
    copy_node,
    feedback_edges,
    rebuild_graph,
    sources_of,
    topological_order,
)
from snndeploy.nirgraph.shapes import normalize_graph, shape_of
from snndeploy.nirgraph.weight_grid import WEIGHTS

Weight = tuple[str, str]
"""A node and its field, `weight` or `bias`."""
Weights = Mapping[Weight, Tensor]
FIELDS = ("weight", "bias")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class TorchGraph:
    """A model that is ready to run.

    Attributes:
        model: with a normalized graph.
        order: its nodes, sources first.
        constants: of every neuron node.
    """

    model: Model
    order: tuple[str, ...]
    constants: Mapping[str, Constants]


def torch_graph(model: Model) -> TorchGraph:
    """Return a model that is ready to run in torch.

    Raises:
        UnsupportedError: E2020 (node type), E2301 (a loop, by its edge), E2303 (a neuron of the
            user's own).
        ModelError: E1020 to E1022, the graph.
    """
    graph = normalize_graph(model.graph)
    loops = sorted(feedback_edges(graph))
    if loops:
        source, target = loops[0]
        raise UnsupportedError(
            "E2301", f"a loop: its edge {source} -> {target} reads the step before; loops are not "
            "trained yet", where=target, remedy="fine-tune the network in its own framework",
        )  # fmt: skip
    for name, node in graph.nodes.items():
        if isinstance(node, Microcode):
            raise UnsupportedError(
                "E2303", f"neurons of the program {node.program.name!r} are not trained here",
                where=name, remedy="fine-tune the network in its own framework",
            )  # fmt: skip
        if isinstance(node, SPIKING) and model.semantics_of(name).integer:
            raise UnsupportedError(
                "E2303", "a neuron that computes in integers is not trained here", where=name,
                remedy="fine-tune the float model that it was made of",
            )  # fmt: skip
    return TorchGraph(
        model=replace(model, graph=graph),
        order=topological_order(graph),
        constants={
            name: constants_of(step_constants(node, model.semantics_of(name)))
            for name, node in graph.nodes.items()
            if isinstance(node, NEURONS)
        },
    )


def weights_of(graph: TorchGraph) -> dict[Weight, Tensor]:
    """Return copies of all weights and biases, in the precision in which the model holds them."""
    return {
        (name, field): torch.from_numpy(_as_float(getattr(node, field)))
        for name, node in graph.model.graph.nodes.items()
        if isinstance(node, WEIGHTS)
        for field in FIELDS
        if hasattr(node, field)
    }


def with_weights(graph: TorchGraph, weights: Weights) -> Model:
    """Return the graph's model with other weights; what is not among them stays."""
    nodes = graph.model.graph.nodes
    changed: dict[str, Any] = {}
    for (name, field), tensor in weights.items():
        array = tensor.detach().numpy().copy()
        changed[name] = copy_node(changed.get(name, nodes[name]), **{field: array})
    return replace(graph.model, graph=rebuild_graph(graph.model.graph, changed))


def run_graph(
    graph: TorchGraph,
    weights: Weights,
    inputs: Mapping[str, Tensor],
    *,
    record: tuple[str, ...] = (),
) -> dict[str, Tensor]:
    """Run samples, every one from its initial state, in the precision of the inputs.

    Args:
        graph: what to run.
        weights: of layers, as `weights_of` names them; gradients flow to them. What is not among
            them is the model's own.
        inputs: [T, B, *shape] per input port.
        record: nodes whose outputs are wanted too; `NODE:v` is a neuron's potential.

    Returns:
        [T, B, *shape] per output port and per name in `record`.
    """
    values: dict[str, Tensor] = {}
    for name in graph.order:
        sources = sources_of(graph.model.graph, name)
        x = reduce(add, [values[source] for source in sources]) if sources else inputs[name]
        if name in graph.constants:
            constants = graph.constants[name].to(x.dtype)
            semantics = graph.model.semantics_of(name)
            out, trace = run_neuron(constants, semantics, x)
            values[name] = torch.stack(out)
            if f"{name}:v" in record:
                values[f"{name}:v"] = torch.stack(trace)
        else:
            values[name] = _run_stateless(graph, name, weights, x)
    return {name: values[name] for name in (*(p.name for p in graph.model.outputs), *record)}


def tensor_of(frames: Any, dtype: torch.dtype) -> Tensor:
    """Return frames as a tensor; what is shown at every step stays one frame in memory."""
    is_still = len(frames) > 1 and frames.strides[0] == 0
    held = torch.from_numpy(np.array(frames[:1] if is_still else frames)).to(dtype)
    return held.expand(len(frames), *held.shape[1:])


def _run_stateless(graph: TorchGraph, name: str, weights: Weights, x: Tensor) -> Tensor:
    node = graph.model.graph.nodes[name]
    if isinstance(node, nir.Delay):
        return _delay(x, np.rint(node.delay / graph.model.semantics_of(name).dt))
    # A frame that is shown at every step is computed once.
    frames = x[:1] if len(x) > 1 and x.stride(0) == 0 else x
    own = {
        field: weights[name, field].to(x.dtype)
        if (name, field) in weights
        else _tensor(getattr(node, field), x)
        for field in FIELDS
        if isinstance(node, WEIGHTS) and hasattr(node, field)
    }
    out = apply_node(node, own, frames.flatten(0, 1))
    steps = out.reshape(*frames.shape[:2], *out.shape[1:])
    return steps.expand(len(x), *steps.shape[1:])


def apply_node(node: Any, own: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Apply a node without state to x [N, *shape]; biases are added last, as the reference does."""
    match node:
        case nir.Linear():
            return x @ own["weight"].T
        case nir.Affine():
            return x @ own["weight"].T + own["bias"]
        case nir.Conv1d() | nir.Conv2d():
            convolve: Any = functional.conv1d if isinstance(node, nir.Conv1d) else functional.conv2d
            sums: Tensor = convolve(
                x, own["weight"], stride=node.stride, padding=node.padding,
                dilation=node.dilation, groups=node.groups,
            )  # fmt: skip
            return sums + own["bias"].reshape(-1, *[1] * (x.ndim - 2))
        case nir.SumPool2d() | nir.AvgPool2d():
            area = prod(node.kernel_size.tolist()) if isinstance(node, nir.AvgPool2d) else 1
            return sum_pool(x, node) / area
        case nir.Scale():
            return x * _tensor(node.scale, x)
        case nir.Threshold():
            # Its input counts spikes: the slope's unit is one of them.
            return fire(x, _tensor(node.threshold, x), torch.ones(1, dtype=x.dtype), strict=True)
        case nir.Flatten():
            return x.reshape(len(x), *shape_of(node))
    assert isinstance(node, nir.Input | nir.Output)
    return x


def sum_pool(x: Tensor, node: Any) -> Tensor:
    """Sum x [N, C, H, W] over windows; torch's own padding ends at half a kernel, so pad first."""
    rows, columns = (int(size) for size in node.padding)
    padded = functional.pad(x, (columns, columns, rows, rows))
    return functional.avg_pool2d(
        padded, node.kernel_size.tolist(), node.stride.tolist(), divisor_override=1
    )


def _delay(x: Tensor, steps: Any) -> Tensor:
    """Shift x [T, B, *shape] in time by a number of steps per element; zeros come first."""
    out = torch.zeros_like(x)
    for shift in np.unique(steps.astype(np.int64)):
        late = torch.cat([torch.zeros_like(x[:shift]), x[: max(len(x) - shift, 0)]])
        out = torch.where(torch.from_numpy(steps == shift), late, out)
    return out


def _tensor(values: Any, like: Tensor) -> Tensor:
    return torch.as_tensor(np.array(values), dtype=like.dtype)


def _as_float(values: Any) -> Any:
    """Return a copy that gradients can move: integers become float64."""
    array = np.array(values)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
