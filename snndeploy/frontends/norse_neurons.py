"""Norse's neurons as NIR nodes whose step, under the returned `Semantics`, is Norse's own.

Symbols: dt the module's step, a = dt / tau_mem and b = dt / tau_syn as Norse computes them in
32 bits, spike v > v_th, then v = v_reset:

    LIFBoxCell                       v += a (x + v_leak - v)
    LIFCell, LIF                     i += x;  v += a (v_leak - v + i);  i -= b i
    LIFRecurrentCell, LIFRecurrent   the same; x is W_in of the input and W_rec of the spikes before
    IAFCell, IAF                     v += x
    LIBoxCell; LICell, LI            the leaks without a threshold; they answer v
    LILinearCell                     LICell behind its weights

v starts at v_leak, of IAF at v_reset. LIFBox may subtract v_th instead (`reset_method`). What is
added to i is used in the same step, so i as it is used obeys i = (1 - b) i + x.
Source: norse 1.1.0, torch/functional/{lif,lif_box,iaf,leaky_integrator,leaky_integrator_box}.py.
"""

from dataclasses import replace
from math import inf, nextafter
from typing import Any

import nir
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.neurons import Neuron, NeuronReader, per_neuron
from snndeploy.ir.arrays import FloatArray
from snndeploy.nirgraph.canonical import Shape
from snndeploy.semantics import PRESETS, Compare, Reset, Semantics

FOREVER = 2.0**60
"""Steps of a state that does not decay."""
_RESETS: dict[str, Reset] = {"reset_value": "zero", "reset_subtract": "subtract"}


def read_lif_box(path: str, module: Any, shape: Shape, compare: Compare, _dtype: Any) -> Neuron:
    """Read LIFBoxCell as `LIF`."""
    node = nir.LIF(
        tau=_seconds(path, module, "tau_mem_inv", shape),
        r=np.ones(shape),
        v_leak=_parameter(path, module, "v_leak", shape),
        v_threshold=_parameter(path, module, "v_th", shape),
        v_reset=_parameter(path, module, "v_reset", shape),
    )
    return node, _semantics(path, module, compare)


def read_lif(path: str, module: Any, shape: Shape, compare: Compare, _dtype: Any) -> Neuron:
    """Read LIFCell and the other current-based neurons as `CubaLIF`."""
    if module.p.method == "adjoint":
        raise UnsupportedError(
            "E2009", "method='adjoint' is not supported", where=path,
            remedy="use LIFParameters(method='super'); the spikes are the same",
        )  # fmt: skip
    tau_syn = _seconds(path, module, "tau_syn_inv", shape)
    node = nir.CubaLIF(
        tau_syn=tau_syn,
        tau_mem=_seconds(path, module, "tau_mem_inv", shape),
        r=np.ones(shape),
        v_leak=_parameter(path, module, "v_leak", shape),
        v_threshold=_parameter(path, module, "v_th", shape),
        v_reset=_parameter(path, module, "v_reset", shape),
        w_in=tau_syn / module.dt,
    )
    return node, _semantics(path, module, compare)


def read_iaf(path: str, module: Any, shape: Shape, compare: Compare, _dtype: Any) -> Neuron:
    """Read IAFCell and IAF as `IF`; they know no dt."""
    node = nir.IF(
        r=np.full(shape, _one_over(module.dt)),
        v_threshold=_parameter(path, module, "v_th", shape),
        v_reset=_parameter(path, module, "v_reset", shape),
    )
    return node, _semantics(path, module, compare)


def read_li(path: str, module: Any, shape: Shape, compare: Compare, _dtype: Any) -> Neuron:
    """Read LICell, LI and LILinearCell as `CubaLI`."""
    tau_syn = _seconds(path, module, "tau_syn_inv", shape)
    node = nir.CubaLI(
        tau_syn=tau_syn,
        tau_mem=_seconds(path, module, "tau_mem_inv", shape),
        r=np.ones(shape),
        v_leak=_parameter(path, module, "v_leak", shape),
        w_in=tau_syn / module.dt,
    )
    return node, _semantics(path, module, compare)


def read_li_box(path: str, module: Any, shape: Shape, compare: Compare, _dtype: Any) -> Neuron:
    """Read LIBoxCell as `LI`."""
    node = nir.LI(
        tau=_seconds(path, module, "tau_mem_inv", shape),
        r=np.ones(shape),
        v_leak=_parameter(path, module, "v_leak", shape),
    )
    return node, _semantics(path, module, compare)


NORSE: dict[str, NeuronReader] = {
    "LIFBoxCell": read_lif_box,
    **dict.fromkeys(("LIFCell", "LIF", "LIFRecurrentCell", "LIFRecurrent"), read_lif),
    **dict.fromkeys(("IAFCell", "IAF"), read_iaf),
    **dict.fromkeys(("LICell", "LI", "LILinearCell"), read_li),
    "LIBoxCell": read_li_box,
}


def _semantics(path: str, module: Any, compare: Compare) -> Semantics:
    method = getattr(module.p, "reset_method", None)
    name = getattr(method, "__name__", "reset_value")
    if name not in _RESETS:
        raise UnsupportedError(
            "E2009", f"reset_method {name!r} is not supported", where=path,
            remedy="use norse's reset_value or reset_subtract",
        )  # fmt: skip
    return replace(
        PRESETS["norse"],
        dt=float(module.dt),
        if_gain="gain",
        compare=compare,
        reset=_RESETS[name],
    )


def _parameter(path: str, module: Any, name: str, shape: Shape) -> FloatArray:
    return per_neuron(path, name, getattr(module.p, name), shape)


def _seconds(path: str, module: Any, name: str, shape: Shape) -> FloatArray:
    """Return a time constant whose share per step is dt * tau_inv in Norse's own precision."""
    share = per_neuron(path, name, module.dt * getattr(module.p, name), shape)
    if np.any(share < 0) or np.any(share > 1):
        raise UnsupportedError(
            "E2009",
            f"dt * {name} is {share.max():.4g}: a step of Euler's method that overshoots",
            where=path,
            remedy="use time constants of at least one step of dt",
        )
    decays = share > 0
    return np.asarray(module.dt / np.where(decays, share, 1 / FOREVER))


def _one_over(dt: float) -> float:
    """Return the r with r * dt = 1 exactly, so that ties with the threshold stay ties."""
    best = 1.0 / dt
    near = (best, nextafter(best, 0.0), nextafter(best, inf))
    return next((r for r in near if r * dt == 1.0), best)
