"""Recurrent cells as flat loops: the neuron, and on the way back its recurrent weights.

snnTorch's RLeaky and RSynaptic, s = spikes:
    all_to_all            x[t] + W s[t-1] + b        `Affine` or `Conv2d`
    one-to-one            x[t] + V s[t-1]            `Scale`
SpikingJelly's containers around a module:
    LinearRecurrent       W [x[t]; s[t-1]] + b       `Affine` of x, `Linear` of s
    ElementWiseRecurrent  f(s[t-1], x[t])            sums, and gates of spikes
with s[-1] = 0, so that a bias acts from the first step on (`feedback` is `spike`).
Norse's LIFRecurrent and LIFRecurrentCell:
    W_in x[t] + W_rec s[t-1]                            two times `Linear`
sinabs' LIFRecurrent and IAFRecurrent:
    x[t] + f(s[t-1]), and x[0] in the first step        what f is; `feedback` is `output`
Source: snntorch 1.0.0, _neurons/rleaky.py; spikingjelly 2.0.0, layer/container.py; norse 1.1.0,
functional/lif.py, lif_step; sinabs 3.1.3, layers/functional/lif.py, lif_recurrent.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
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


@dataclass(frozen=True, eq=False, slots=True)
class Linear:
    """A linear map that a cell holds as bare weights [out, in]."""

    weight: Any
    bias: Any = None


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


def weighted_source(draft: Draft, path: str, leaf: Any, source: Operand) -> Operand:
    """Return what reaches a neuron that has input weights of its own (Norse), else the source."""
    if not hasattr(leaf, "input_weights"):
        return source
    linear = Linear(leaf.input_weights)
    return read_linear(draft, f"{path}.input_weights", linear, plain_source(path, source))


def recurrent_of(leaf: Any) -> Any:
    """Return the recurrent map of a neuron of snnTorch or Norse, None if it has none."""
    if hasattr(leaf, "recurrent_weights"):
        return Linear(leaf.recurrent_weights)
    return getattr(leaf, "recurrent", None)


def with_connection(path: str, leaf: Any, source: Signal, feedback: Signal, inner: Inner) -> Signal:
    """Return the input of a sinabs neuron plus what its rec_connect makes of the spikes before.

    Raises:
        UnsupportedError: E2029, that is no signal of the neuron's size.
    """
    back = inner("rec_connect", leaf.rec_connect, (feedback,))
    if not isinstance(back, Signal) or prod(back.shape) != prod(source.shape):
        raise UnsupportedError(
            "E2029",
            f"its rec_connect makes {getattr(back, 'shape', 'no signal')} for {source.shape}",
            where=path,
            remedy="let rec_connect end in one layer with as many outputs as there are neurons",
        )
    if back.shape != source.shape:
        raise UnsupportedError(
            "E2029",
            f"its rec_connect is flat {back.shape}, the neurons are {source.shape}",
            where=path,
            remedy="put Flatten in front of the recurrent layer",
        )
    total = add(path, source, back)
    assert isinstance(total, Signal)
    return total


def with_recurrent(
    draft: Draft, path: str, recurrent: Any, source: Signal, feedback: Signal
) -> Signal:
    """Return the input of a neuron plus its recurrent map of the spikes before.

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
