"""Read lava-dl's `.net` files: dense layers and convolutions in a row, with CUBA or SDNN neurons.

The file holds Loihi's integers, so the model computes in them (semantics `integer`): compiling it
gives the same integers, and its float interpreter rounds as the chip does. lava-dl's exporter
writes names of layers as numbers, weights as whole floats, decays in 4096ths.

Layout: lava-dl 0.6.0, lava/lib/dl/netx/hdf5.py and slayer's `export_hdf5`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.frontends.confined import packed
from snndeploy.frontends.guard_hdf5 import check_hdf5_file
from snndeploy.frontends.netx_sdnn import (
    bounded,
    delta_neuron,
    input_range,
    remarks,
    sigma_delta_neuron,
    sigma_neuron,
)
from snndeploy.ir.arrays import AnyArray, FloatArray
from snndeploy.ir.neurons import NEVER
from snndeploy.ir.programs import SIGMA
from snndeploy.model import ImportNote, InputPort, Model, OutputPort
from snndeploy.nirgraph.metadata import with_semantics
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.nirgraph.rebuild import build_graph
from snndeploy.nirgraph.shapes import normalize_graph
from snndeploy.nirgraph.values import check_finite
from snndeploy.semantics import Semantics

DT = 1e-4
"""Seconds per step: only ratios of it matter."""
FULL_DECAY = 4096
KEEPS_ALL = float(1 << 40)
BETWEEN = 1 / 128
"""Half of what two states of an integer model differ by."""
INTEGER = Semantics(dt=DT, gain="unit", integer=True)
KINDS = {"LOIHI": "CUBA", "CUBA": "CUBA", "SDNN": "SDNN"}
"""Kinds of neurons by what files call them."""
TRANSFORM = 64, 0
"""Weight and bias of an input that does not say its own."""
MAX_LAYERS = 1000
FACTS = "snndeploy"
MAX_STEPS = 1 << 20
UNREADABLE = (
    ArithmeticError, AttributeError, IndexError, KeyError, OSError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip
Shape = tuple[int, ...]


@dataclass(eq=False, kw_only=True, slots=True)
class _Chain:
    """The layers read so far.

    Attributes:
        nodes: NIR nodes in order.
        first: shape of the input, empty while it is not known.
        shape: of what the next layer gets.
        kind: of its neurons, empty while there are none.
        values: smallest and largest value of the input.
        largest: message that the sums of all layers hold.
        transform: weight and bias with which the host makes them, if the file says so.
    """

    nodes: dict[str, Any] = field(default_factory=dict)
    first: Shape = ()
    shape: Shape = ()
    kind: str = ""
    values: tuple[int, int] = (0, 1)
    largest: int = 0
    transform: tuple[int, int] | None = None


def read(path: str | os.PathLike[str], *, steps: int | None = None) -> Model:
    """Read a `.net` file.

    Args:
        path: file.
        steps: model steps per sample, where the file does not say.

    Raises:
        ModelError: E1001 to E1004, E1030 to E1033 (file), E1411, a layer that cannot be read;
            E1012, E1020 to E1022 (values and shapes).
        UnsupportedError: E2416, a layer or neuron that is not supported, by name.
    """
    file = Path(path)
    check_hdf5_file(file)
    try:
        with np.errstate(all="ignore"), h5py.File(file, "r") as content:
            chain = _chain(content["layer"])
            facts = {key: value[()] for key, value in content.get(FACTS, {}).items()}
        return _model(chain, facts, file.name, steps)
    except (ModelError, UnsupportedError) as error:
        place = f"{file}: {error.where}" if error.where else str(file)
        raise type(error)(error.code, error.message, where=place, remedy=error.remedy) from error
    except UNREADABLE as error:
        text = str(error).split("\n", maxsplit=1)[0]
        raise ModelError(
            "E1411", f"not a network of lava-dl: {text:.160}", where=str(file),
            remedy="export it again with lava-dl's net.export_hdf5",
        ) from error  # fmt: skip


def read_packed(path: str) -> tuple[Any, list[AnyArray]]:
    """Read a `.net` file in the reading process."""
    return packed(read(path))


def _model(chain: _Chain, facts: dict[str, Any], origin: str, steps: int | None) -> Model:
    names = ["input", *chain.nodes, "output"]
    ports = {
        "input": nir.Input(input_type={"input": np.array(chain.first)}),
        "output": nir.Output(output_type={"output": np.array(chain.shape)}),
    }
    low, high = (float(facts.get(k, v)) for k, v in zip(("low", "high"), chain.values, strict=True))
    known = int(facts["steps"]) if facts.get("steps") else None
    if known is not None and not 0 < known <= MAX_STEPS:
        raise ValueError(f"{known} steps")
    graph = normalize_graph(build_graph({**ports, **chain.nodes}, list(pairwise(names))))
    check_finite(graph)
    adds_up = isinstance(last := graph.nodes[names[-2]], Microcode) and last.program == SIGMA
    return Model(
        graph=graph,
        semantics=INTEGER,
        inputs=(
            InputPort(
                name="input", shape=chain.first, low=low, high=high,
                values="spikes" if (low, high) == (0, 1) else "real",
                repeat=bool(facts.get("repeat", False)),
            ),
        ),
        outputs=(
            OutputPort(name="output", shape=chain.shape, decode="last" if adds_up else "sum"),
        ),
        steps=steps or known,
        notes=tuple(_notes(chain, says_input=bool(facts))),
        origin=origin,
    )  # fmt: skip


def _notes(chain: _Chain, *, says_input: bool) -> Iterator[ImportNote]:
    """Yield what the file leaves to its reader."""
    if chain.transform is not None:
        weight, bias = chain.transform
        text = (
            "whole numbers, which lava-dl's data sets make on the host: "
            f"int({2 * weight} * x + {bias - weight}) of x in 0..1"
        )
        yield ImportNote(kind="assumed", node="input", text=text)
    elif not says_input:
        text = "the file does not say what its input carries; plain spikes"
        yield ImportNote(kind="assumed", node="input", text=text)
    if chain.kind == "SDNN":
        for text in remarks(chain.nodes, chain.largest):
            yield ImportNote(kind="assumed", node="output", text=text)


def _chain(layers: h5py.Group) -> _Chain:
    """Return the nodes of a file's layers."""
    if not 0 < len(layers) <= MAX_LAYERS:
        raise ValueError(f"{len(layers)} layers")
    chain, last = _Chain(), len(layers) - 1
    readers = {"input": _input, "dense": _dense, "conv": _conv}
    for index in range(len(layers)):
        name, layer = str(index), layers[str(index)]
        kind = _text(layer["type"])
        if kind == "flatten":  # a dense layer flattens what is before it
            continue
        if kind not in readers:
            raise _refusal(name, f"a layer of type {kind!r:.20}")
        weights = readers[kind](chain, name, layer)
        if weights:
            if "delay" in layer and np.any(layer["delay"][()]):
                raise _refusal(name, "delays")
            _close(chain, name, weights, layer, is_last=index == last)
    if not any(hasattr(node, "weight") for node in chain.nodes.values()):
        raise ValueError("no layer with weights")
    chain.nodes, chain.largest = bounded(chain.nodes)
    return chain


def _input(chain: _Chain, name: str, layer: h5py.Group) -> str:
    """Take an input's shape, and add the neuron that tells its changes if it has one."""
    if chain.first:
        raise _refusal(name, "an input behind another layer")
    chain.first = chain.shape = _ints(layer["shape"])
    if "neuron" not in layer:
        return ""
    neuron = layer["neuron"]
    if _kind(chain, name, neuron) != "SDNN":
        raise _refusal(name, f"an input with neurons of type {_text(neuron['type'])!r:.20}")
    weight, bias = (
        _whole(layer[key]) if key in layer else default
        for key, default in zip(("weight", "bias"), TRANSFORM, strict=True)
    )
    chain.transform, chain.values = (weight, bias), input_range(weight, bias)
    _add_neuron(chain, name, delta_neuron(_threshold(name, neuron), chain.values))
    return ""


def _dense(chain: _Chain, name: str, layer: h5py.Group) -> str:
    """Add a matrix, an image before it flattened; return the name of its node."""
    n_out = prod(_ints(layer["shape"]))
    weight = np.asarray(layer["weight"][()], dtype=np.float64).reshape(n_out, -1)
    chain.first = chain.first or (weight.shape[1],)
    chain.shape = chain.shape or chain.first
    if len(chain.shape) > 1:
        flat = {"input": np.array(chain.shape)}
        chain.nodes[f"flatten{name}"] = nir.Flatten(input_type=flat, start_dim=0, end_dim=-1)
    chain.shape = (n_out,)
    chain.nodes[f"dense{name}"] = nir.Affine(weight=weight, bias=np.zeros(n_out))
    return f"dense{name}"


def _conv(chain: _Chain, name: str, layer: h5py.Group) -> str:
    """Add a convolution; return the name of its node."""
    weight = np.asarray(layer["weight"][()], dtype=np.float64)
    weight = weight.reshape(weight.shape[:4])
    made = _ints(layer["shape"])
    if len(chain.shape) != 3 or len(made) != 3 or made[0] != len(weight):
        raise ValueError(f"layer {name}: {len(weight)} kernels from {chain.shape} to {made}")
    pairs = {key: _pair(layer[key]) for key in ("stride", "padding", "dilation")}
    chain.nodes[f"conv{name}"] = nir.Conv2d(
        input_shape=chain.shape[1:], weight=weight, groups=int(layer["groups"][()]),
        bias=np.zeros(len(weight)), **pairs,
    )  # fmt: skip
    chain.shape = made
    return f"conv{name}"


def _close(chain: _Chain, name: str, weights: str, layer: h5py.Group, *, is_last: bool) -> None:
    """Add a layer's bias and neuron."""
    neuron = layer.get("neuron")
    if neuron is None:
        raise _refusal(name, "a layer without a neuron, which forgets all in every step")
    bias = _bias(layer, chain.shape)
    if _kind(chain, name, neuron) == "SDNN":
        _add_neuron(chain, name, _sdnn(name, neuron, bias))
    else:
        _close_cuba(chain, name, weights, neuron, bias, is_last=is_last)


def _kind(chain: _Chain, name: str, neuron: h5py.Group) -> str:
    """Return the kind of a layer's neurons, which is that of the layers before it."""
    called = _text(neuron["type"])
    kind = KINDS.get(called)
    if kind is None:
        raise _refusal(name, f"neurons of type {called!r:.20}")
    if chain.kind not in ("", kind):
        raise _refusal(name, f"neurons of type {called!r:.20} behind those of {chain.kind}")
    chain.kind = kind
    return kind


def _sdnn(name: str, neuron: h5py.Group, bias: FloatArray) -> Microcode:
    if "sigma_output" in neuron:
        if bias.any():
            raise _refusal(name, "a bias of an output that adds up, which netx does not take")
        return sigma_neuron()
    activation = _text(neuron["activation"]) if "activation" in neuron else "relu"
    if activation != "relu":
        raise _refusal(name, f"activation {activation!r:.20}, which netx runs as relu")
    return sigma_delta_neuron(_threshold(name, neuron), bias)


def _threshold(name: str, neuron: h5py.Group) -> int:
    vth = _whole(neuron["vThMant"])
    if vth < 0:
        raise ValueError(f"layer {name}: vThMant {vth}")
    return vth


def _add_neuron(chain: _Chain, name: str, node: Any) -> None:
    chain.nodes[f"neuron{name}"] = with_semantics(node, INTEGER)


def _close_cuba(
    chain: _Chain, name: str, weights: str, neuron: h5py.Group, bias: FloatArray, *, is_last: bool
) -> None:
    """Add a bias and a neuron; a last one that never fires is a readout and has none."""
    du, dv, vth = (int(neuron[key][()]) for key in ("iDecay", "vDecay", "vThMant"))
    if not (0 <= du <= FULL_DECAY and 0 <= dv <= FULL_DECAY and vth >= 0):
        raise ValueError(f"layer {name}: iDecay {du}, vDecay {dv}, vThMant {vth}")
    drive = np.zeros(1)
    if du < FULL_DECAY:  # Loihi's bias enters the potential, a weight's the current
        drive = bias
    else:
        channels = bias.reshape(len(chain.nodes[weights].bias), -1)
        if np.any(channels != channels[:, :1]):
            raise _refusal(name, "a bias that differs within a channel")
        chain.nodes[weights].bias = np.array(channels[:, 0])
    if is_last and vth >= NEVER and (du, dv) == (FULL_DECAY, 0):
        return
    _add_neuron(chain, name, _neuron(name, chain.shape, du, dv, vth, drive))


def _bias(layer: h5py.Group, shape: Shape) -> FloatArray:
    """Return a layer's bias per neuron; images are in Lava's order W, H, C, or have channels."""
    if "bias" not in layer:
        return np.zeros(shape)
    bias = np.asarray(layer["bias"][()], dtype=np.float64)
    if bias.ndim == len(shape) > 1:
        return np.broadcast_to(bias.transpose(range(bias.ndim)[::-1]), shape)
    return np.broadcast_to(bias.reshape(-1, *[1] * (len(shape) - 1)), shape)


def decay_time(decay: int) -> float:
    """Return the time constant that loses so many 4096ths per step, of an integer model.

    One that loses nothing is so long that what it keeps is rounded to all.
    """
    return DT * FULL_DECAY / decay if decay else DT * KEEPS_ALL


def _neuron(name: str, shape: Shape, du: int, dv: int, vth: int, drive: FloatArray) -> Any:
    one = np.ones(shape)
    levels = {"v_threshold": (vth + BETWEEN) * one, "v_reset": 0 * one}
    if (du, dv) == (FULL_DECAY, 0):
        return nir.IF(r=one / DT, **levels)
    if np.any(drive) and not dv:
        raise _refusal(name, "a bias beside a current that nothing leaks away")
    tau = decay_time(dv)
    leak = {"r": tau / DT * one, "v_leak": drive * FULL_DECAY / max(dv, 1) * one}
    if du == FULL_DECAY:
        return nir.LIF(tau=tau * one, **leak, **levels)
    tau_syn = decay_time(du)
    return nir.CubaLIF(
        tau_syn=tau_syn * one, tau_mem=tau * one, w_in=tau_syn / DT * one, **leak, **levels
    )


def _text(dataset: h5py.Dataset) -> str:
    value = dataset[()]
    value = value if dataset.shape == () else value.reshape(-1)[0]
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _ints(dataset: h5py.Dataset) -> Shape:
    return tuple(int(size) for size in np.asarray(dataset[()]).reshape(-1))


def _whole(dataset: h5py.Dataset) -> int:
    """Return one number, truncated as netx does."""
    (value,) = np.asarray(dataset[()]).reshape(-1)
    return int(value)


def _pair(dataset: h5py.Dataset) -> tuple[int, int]:
    values = _ints(dataset)
    return (values[0], values[-1])


def _refusal(name: str, what: str) -> UnsupportedError:
    return UnsupportedError(
        "E2416",
        f"{what}",
        where=f"layer {name}",
        remedy="only dense layers and convolutions with CUBA or SDNN neurons are read",
    )
