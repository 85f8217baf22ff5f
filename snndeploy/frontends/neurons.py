"""SpikingJelly's and snnTorch's neurons as NIR nodes, parameters read from the module.

Every reader returns a node whose step, under the returned `Semantics`, is the framework's own:

SpikingJelly, v(0) = v_reset, spike v >= v_threshold, then v = v_reset; with a soft reset
(v_reset=None) v(0) = 0 and then v -= v_threshold:
    IFNode               v += x
    LIFNode              v += (x - (v - v_reset)) / tau          decay_input=True
                         v += x - (v - v_reset) / tau            decay_input=False
    ParametricLIFNode    the same with 1 / tau = sigmoid(w)
snnTorch, v(0) = 0, spike v > threshold:
    Leaky                v = beta v + x
    Synaptic             i = alpha i + x;  v = beta v + i
    RLeaky, RSynaptic    the same; x has what their recurrent map makes of the spikes of the step
                         before (`recurrent`), zeros before the first step

snnTorch resets at the start of the next step (reset_delay=True, its default): what it calls `mem`
is v before the reset. By subtraction, v loses the threshold then: `subtract-delayed`. To zero,
Leaky's spikes are those of a reset in the same step, because beta * 0 + x is what both give next.
Three rules of snnTorch no node states, and they are refused:
    Synaptic, RLeaky and RSynaptic to zero, delayed: the whole next membrane value is zeroed, the
        current of that step included, so the neuron misses one step of input after each spike.
    subtraction with reset_delay=False: a neuron still above its threshold after the subtraction
        subtracts once more before the next comparison, so that its next spike needs two thresholds.
    RSynaptic with reset_delay=False: forward fails, or resets as if it were delayed.
Source: snntorch 1.0.0, _neurons/{leaky,synaptic,rleaky,rsynaptic}.py, forward.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import nir
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.decays import DT, decay_constants
from snndeploy.frontends.layers import numpy_of
from snndeploy.ir.arrays import FloatArray
from snndeploy.nirgraph.canonical import Shape
from snndeploy.semantics import PRESETS, Compare, Reset, Semantics

_RESETS = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}

Neuron = tuple[Any, Semantics]
NeuronReader = Callable[[str, Any, Shape, Compare, Any], Neuron]


def read_if(path: str, module: Any, shape: Shape, compare: Compare, dtype: Any) -> Neuron:
    """SpikingJelly IFNode -> `IF` with r = 1 / dt."""
    threshold, reset = _threshold_and_reset(path, module, dtype)
    node = nir.IF(
        r=np.full(shape, 1.0 / DT),
        v_threshold=np.full(shape, threshold),
        v_reset=np.full(shape, reset),
    )
    return node, _spikingjelly(module, compare)


def read_lif(path: str, module: Any, shape: Shape, compare: Compare, dtype: Any) -> Neuron:
    """SpikingJelly LIFNode -> `LIF`, tau in steps becomes tau * dt seconds."""
    return _leaky_node(path, module, shape, float(dtype.type(module.tau)), compare, dtype)


def read_plif(path: str, module: Any, shape: Shape, compare: Compare, dtype: Any) -> Neuron:
    """SpikingJelly ParametricLIFNode -> `LIF` with tau = 1 / sigmoid(w), as trained."""
    tau = 1.0 / float(module.w.detach().sigmoid())
    return _leaky_node(path, module, shape, tau, compare, dtype)


def _leaky_node(
    path: str, module: Any, shape: Shape, tau: float, compare: Compare, dtype: Any
) -> Neuron:
    threshold, reset = _threshold_and_reset(path, module, dtype)
    node = nir.LIF(
        tau=np.full(shape, tau * DT),
        r=np.full(shape, 1.0 if module.decay_input else tau),
        v_leak=np.full(shape, reset),
        v_threshold=np.full(shape, threshold),
        v_reset=np.full(shape, reset),
    )
    return node, _spikingjelly(module, compare)


def read_leaky(path: str, module: Any, shape: Shape, compare: Compare, _dtype: Any) -> Neuron:
    """Read snnTorch Leaky as `LIF` (`IF` where beta is 1)."""
    _check_snntorch(path, module)
    threshold = per_neuron(path, "threshold", module.threshold, shape)
    beta = np.clip(per_neuron(path, "beta", module.beta, shape), 0.0, 1.0)
    semantics = _snntorch(module, compare)
    if np.all(beta == 1.0):
        node = nir.IF(r=np.full(shape, 1.0 / DT), v_threshold=threshold, v_reset=np.zeros(shape))
        return node, semantics
    tau, r = decay_constants(beta)
    zeros = np.zeros(shape)
    return nir.LIF(tau=tau, r=r, v_leak=zeros, v_threshold=threshold, v_reset=zeros), semantics


def read_synaptic(path: str, module: Any, shape: Shape, compare: Compare, _dtype: Any) -> Neuron:
    """Read snnTorch Synaptic as `CubaLIF` with unit gains."""
    _check_snntorch(path, module)
    _check_zero_now(path, module, "use Synaptic(…, reset_mechanism='zero', reset_delay=False)")
    threshold = per_neuron(path, "threshold", module.threshold, shape)
    alpha = np.clip(per_neuron(path, "alpha", module.alpha, shape), 0.0, 1.0)
    beta = np.clip(per_neuron(path, "beta", module.beta, shape), 0.0, 1.0)
    (tau_syn, w_in), (tau_mem, r) = decay_constants(alpha), decay_constants(beta)
    zeros = np.zeros(shape)
    node = nir.CubaLIF(
        tau_syn=tau_syn, tau_mem=tau_mem, r=r, v_leak=zeros,
        v_threshold=threshold, v_reset=zeros, w_in=w_in,
    )  # fmt: skip
    return node, _snntorch(module, compare)


def read_rleaky(path: str, module: Any, shape: Shape, compare: Compare, dtype: Any) -> Neuron:
    """Read the neuron of snnTorch's RLeaky, as Leaky."""
    _check_zero_now(path, module, "use RLeaky(…, reset_mechanism='zero', reset_delay=False)")
    return read_leaky(path, module, shape, compare, dtype)


def read_rsynaptic(path: str, module: Any, shape: Shape, compare: Compare, dtype: Any) -> Neuron:
    """Read the neuron of snnTorch's RSynaptic, as Synaptic."""
    if not module.reset_delay:
        raise UnsupportedError(
            "E2003",
            "RSynaptic with reset_delay=False takes the spikes before it has made them: snnTorch "
            "fails, or resets as if it were delayed",
            where=path,
            remedy="use reset_delay=True (the default)",
        )
    _check_zero_now(path, module, "use reset_mechanism='subtract' (the default)")
    return read_synaptic(path, module, shape, compare, dtype)


SPIKINGJELLY: dict[str, NeuronReader] = {
    "IFNode": read_if,
    "LIFNode": read_lif,
    "ParametricLIFNode": read_plif,
}
SNNTORCH: dict[str, NeuronReader] = {
    "Leaky": read_leaky,
    "Synaptic": read_synaptic,
    "RLeaky": read_rleaky,
    "RSynaptic": read_rsynaptic,
}


def _threshold_and_reset(path: str, module: Any, dtype: Any) -> tuple[float, float]:
    """Return v_threshold and v_reset; 0 for a soft reset, which leaks towards 0."""
    if getattr(module, "_neuron_precision", None) is not None:
        raise UnsupportedError(
            "E2009", "a neuron precision of its own is not supported", where=path,
            remedy="use the network's precision",
        )  # fmt: skip
    # torch compares and resets in the tensor's own precision.
    reset = 0.0 if module.v_reset is None else float(dtype.type(module.v_reset))
    return float(dtype.type(module.v_threshold)), reset


def _check_zero_now(path: str, module: Any, remedy: str) -> None:
    if module.reset_delay and module.reset_mechanism == "zero":
        raise UnsupportedError(
            "E2003",
            f"{type(module).__name__} with reset_mechanism='zero' and reset_delay=True drops one "
            "step of input after every spike",
            where=path,
            remedy=remedy,
        )


def _check_snntorch(path: str, module: Any) -> None:
    if _RESETS[module.state_function.__name__] != module.reset_mechanism:
        raise UnsupportedError(
            "E2009", "reset_mechanism was changed after the neuron was made, which snnTorch "
            "follows by halves only", where=path, remedy="give it to the constructor",
        )  # fmt: skip
    if module.reset_mechanism == "subtract" and not module.reset_delay:
        raise UnsupportedError(
            "E2003",
            "reset by subtraction with reset_delay=False subtracts a second threshold while the "
            "potential stays above the first",
            where=path,
            remedy="use reset_delay=True (the default), or reset_mechanism='zero'",
        )
    refused = {
        "inhibition": module.inhibition,
        "state_quant": module.state_quant,
        "graded_spikes_factor": float(module.graded_spikes_factor.detach().max()) != 1.0
        or float(module.graded_spikes_factor.detach().min()) != 1.0,
    }
    for option, is_set in refused.items():
        if is_set:
            raise UnsupportedError(
                "E2009", f"option {option} is not supported", where=path, remedy=f"drop {option}"
            )
    if float(module.threshold.detach().min()) <= 0.0:
        raise UnsupportedError(
            "E2009", "a threshold that is not positive is not supported", where=path,
            remedy="use positive thresholds",
        )  # fmt: skip


def per_neuron(path: str, name: str, tensor: Any, shape: Shape) -> FloatArray:
    """Return a parameter as one value per neuron.

    Raises:
        UnsupportedError: E2009, its shape does not widen to the layer's.
    """
    values = numpy_of(tensor).astype(np.float64)
    while values.ndim > len(shape) and len(values) == 1:
        values = values[0]
    try:
        return np.array(np.broadcast_to(values, shape))
    except ValueError:
        raise UnsupportedError(
            "E2009", f"{name} has shape {values.shape}, the layer {shape}", where=path,
            remedy=f"give {name} one value, or one per neuron",
        ) from None  # fmt: skip


def _spikingjelly(module: Any, compare: Compare) -> Semantics:
    reset: Reset = "subtract" if module.v_reset is None else "zero"
    return replace(PRESETS["spikingjelly"], compare=compare, reset=reset)


def _snntorch(module: Any, compare: Compare) -> Semantics:
    resets: dict[str, Reset] = {"subtract": "subtract-delayed", "zero": "zero", "none": "none"}
    return replace(PRESETS["snntorch"], compare=compare, reset=resets[module.reset_mechanism])
