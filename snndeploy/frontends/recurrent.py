"""Recurrent cells as flat loops: the neuron, and on the way back its recurrent weights.

snnTorch's RLeaky and RSynaptic, s = spikes:
    all_to_all            x[t] + W s[t-1] + b        `Affine` or `Conv2d`
    one-to-one            x[t] + V s[t-1]            `Scale`
SpikingJelly's containers around a module:
    LinearRecurrent       W [x[t]; s[t-1]] + b       `Affine` of x, `Linear` of s
    ElementWiseRecurrent  f(s[t-1], x[t])            sums, and gates of spikes
with s[-1] = 0, so that a bias acts from the first step on (`feedback` is `spike`).
Source: snntorch 1.0.0, _neurons/rleaky.py; spikingjelly 2.0.0, layer/container.py.
"""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import nir
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.draft import Draft, Signal
from snndeploy.frontends.joined import Joined
from snndeploy.frontends.layers import numpy_of, read_conv, read_linear
from snndeploy.frontends.neurons import per_neuron
from snndeploy.frontends.sums import Operand, add, is_operand
from snndeploy.nirgraph.canonical import canonical_node
from snndeploy.nirgraph.payload import REAL

Inner = Callable[[str, Any, tuple[Operand, ...]], Any]
"""Reads a module, under a name, applied to signals."""


def plain_source(path: str, source: Operand) -> Signal:
    """Return the input of a recurrent cell.

    Raises:
        UnsupportedError: E2017, it is a concatenation.
    """
    if isinstance(source, Joined):
        raise UnsupportedError(
            "E2017", "a recurrent cell right behind a concatenation", where=path,
            remedy="put a layer with weights in front of the cell",
        )  # fmt: skip
    return source


def with_recurrent(
    draft: Draft, path: str, recurrent: Any, source: Signal, feedback: Signal
) -> Signal:
    """Return the input of a snnTorch neuron plus its recurrent map of the spikes before.

    Raises:
        UnsupportedError: E2001 (another map than snnTorch makes), E2009 and E2013 (its shape).
    """
    where = f"{path}.recurrent"
    match type(recurrent).__name__:
        case "Linear":
            back = read_linear(draft, where, recurrent, feedback)
        case "Conv2d":
            back = read_conv(draft, where, recurrent, feedback)
        case "RecurrentOneToOne":
            node = nir.Scale(scale=per_neuron(path, "V", recurrent.V, source.shape))
            back = draft.append(where, node, feedback, payload=REAL)
        case kind:
            raise UnsupportedError(
                "E2001", f"recurrent map {kind} is not supported", where=where,
                remedy="use linear_features, conv2d_channels or all_to_all=False",
            )  # fmt: skip
    total = add(path, source, back)
    assert isinstance(total, Signal)
    return total


def read_container(draft: Draft, path: str, container: Any, source: Signal, inner: Inner) -> Signal:
    """Read one step of a recurrent container of SpikingJelly and close its loop.

    Raises:
        UnsupportedError: E2029, it does not feed back the spikes of one neuron layer, or is not
            made of the linear map it was made with; and what its function and module raise.
    """
    is_linear = type(container).__name__ == "LinearRecurrentContainer"
    shape = (container.sub_module_out_features,) if is_linear else source.shape
    feedback = draft.open_feedback(path, shape, source.sizes)
    current: Any
    if is_linear:
        current = _linear(draft, path, container, source, feedback)
    else:
        current = inner("function", container.element_wise_function, (feedback, source))
    if not is_operand(current):
        raise _no_signal(path)
    sent = inner("sub_module", container.sub_module, (current,))
    draft.close_feedback(path, feedback, sent)
    assert isinstance(sent, Signal)
    return sent


def _linear(draft: Draft, path: str, container: Any, source: Signal, feedback: Signal) -> Operand:
    """Return W [x; s] + b; the part of x is folded into linear layers that make x alone."""
    where, linear = f"{path}.rc", container.rc
    if type(linear).__name__ != "Linear" or len(source.shape) != 1:
        raise UnsupportedError(
            "E2029",
            f"its map is {type(linear).__name__}, its input {source.shape}",
            where=where,
            remedy="leave the container's own linear layer in place, and flatten before it",
        )
    n_inputs = linear.in_features - container.sub_module_out_features
    ahead = SimpleNamespace(weight=linear.weight[:, :n_inputs], bias=linear.bias)
    back = SimpleNamespace(weight=linear.weight[:, n_inputs:], bias=None)
    forward = _folded(draft, where, ahead, source) or read_linear(draft, where, ahead, source)
    return add(where, forward, read_linear(draft, f"{where}.feedback", back, feedback))


def _folded(draft: Draft, where: str, linear: Any, source: Signal) -> Signal | None:
    """Fold a linear layer into those that it reads alone; None if it reads something else."""
    nodes = {name: draft.nodes[name] for name, _ in source.terms}
    foldable = all(isinstance(node, nir.Linear | nir.Affine) for node in nodes.values())
    weight = numpy_of(linear.weight).astype(np.float64)
    fits = weight.shape[1:] == source.shape and not source.is_shared and not source.offset
    if not (nodes and foldable and fits):
        return None
    shift = np.zeros(len(weight)) if linear.bias is None else numpy_of(linear.bias)
    for index, (name, factor) in enumerate(source.terms):
        bias = weight @ getattr(nodes[name], "bias", np.zeros(source.shape))
        bias = bias + shift / factor if index == 0 else bias
        node: Any = nir.Affine(weight=weight @ nodes[name].weight, bias=bias)
        draft.nodes[name] = canonical_node(name, node)
        draft.note("folded", name, f"the input weights of {where} are in its weights and bias")
    return replace(source, shape=(len(weight),), payload=REAL)


def _no_signal(path: str) -> UnsupportedError:
    return UnsupportedError(
        "E2029",
        "its element-wise function returns neither a signal nor a sum of signals",
        where=path,
        remedy="return a sum or a gate of its two arguments: lambda y, x: x + y",
    )
