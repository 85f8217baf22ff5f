"""sinabs' neurons as NIR nodes whose step, under the returned `Semantics`, is sinabs' own.

Symbols: a = exp(-1 / tau_mem), s = exp(-1 / tau_syn) as sinabs computes them in 32 bits:

    i = s (i + x)                                       with tau_syn; else i = x
    v = a v + (1 - a) i        norm_input=True          v = a v + i        norm_input=False
    n = trunc(v / threshold), at least 0   MultiSpike   n = (v >= threshold)   SingleSpike
    v -= n * threshold         MembraneSubtract         v = 0 where n > 0  MembraneReset()
    v = max(v, min_v_mem)

    IAF, IAFSqueeze, IAFRecurrent       a = 1, norm_input=False
    LIF, LIFSqueeze, LIFRecurrent       the recurrent map adds to x what it makes of the spikes of
                                        the step before, nothing before the first step
    ExpLeak, ExpLeakSqueeze             no threshold; it answers v

Source: sinabs 3.1.3, layers/{lif,iaf,exp_leak}.py, layers/functional/lif.py,
activation/{spike_generation,reset_mechanism}.py.
"""

from typing import Any

import nir
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.decays import DT, decay_constants
from snndeploy.frontends.neurons import Neuron, NeuronReader, per_neuron
from snndeploy.ir.arrays import FloatArray
from snndeploy.nirgraph.canonical import Shape
from snndeploy.semantics import Compare, Reset, Semantics


def read_neuron(path: str, module: Any, shape: Shape, compare: Compare, _dtype: Any) -> Neuron:
    """Read IAF, LIF and their kin as `IF`, `LIF` or, with tau_syn, `CubaLIF`."""
    threshold = per_neuron(path, "spike_threshold", module.spike_threshold, shape)
    semantics = Semantics(
        dt=DT,
        compare=compare,
        reset=_reset_of(path, module, threshold),
        multi_spike=_counts(path, module),
        v_min=_floor(path, module, threshold),
    )
    keep = per_neuron(path, "alpha_mem", module.alpha_mem_calculated, shape)
    zeros = np.zeros(shape)
    spiking: dict[str, Any] = {"v_threshold": threshold, "v_reset": zeros}
    if module.alpha_syn_calculated is None and np.all(keep == 1.0) and not module.norm_input:
        return nir.IF(r=np.full(shape, 1.0 / DT), **spiking), semantics
    tau, r = _membrane(module, keep)
    if module.alpha_syn_calculated is None:
        return nir.LIF(tau=tau, r=r, v_leak=zeros, **spiking), semantics
    current = _current(path, module, shape)
    return nir.CubaLIF(tau_mem=tau, r=r, v_leak=zeros, **current, **spiking), semantics


def read_leak(path: str, module: Any, shape: Shape, _compare: Compare, _dtype: Any) -> Neuron:
    """Read ExpLeak as `LI`."""
    if module.min_v_mem is not None:
        raise _option(path, "min_v_mem of a layer that does not fire", "leave min_v_mem out")
    keep = per_neuron(path, "alpha_mem", module.alpha_mem_calculated, shape)
    tau, r = _membrane(module, keep)
    return nir.LI(tau=tau, r=r, v_leak=np.zeros(shape)), Semantics(dt=DT)


SINABS: dict[str, NeuronReader] = {
    **dict.fromkeys(
        ("IAF", "IAFSqueeze", "IAFRecurrent", "LIF", "LIFSqueeze", "LIFRecurrent"), read_neuron
    ),
    **dict.fromkeys(("ExpLeak", "ExpLeakSqueeze"), read_leak),
}


def _membrane(module: Any, keep: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return tau [s] and r that keep this share per step; the input counts whole, or the rest."""
    tau, r = decay_constants(keep)
    return tau, np.ones(keep.shape) if module.norm_input else r


def _current(path: str, module: Any, shape: Shape) -> dict[str, FloatArray]:
    """Return tau_syn and w_in: what arrives decays in its own step."""
    keep = per_neuron(path, "alpha_syn", module.alpha_syn_calculated, shape)
    tau, unit = decay_constants(keep)
    return {"tau_syn": tau, "w_in": keep * unit}


def _counts(path: str, module: Any) -> bool:
    """Return whether a neuron sends several spikes per step."""
    name = getattr(module.spike_fn, "__name__", type(module.spike_fn).__name__)
    if name not in ("MultiSpike", "SingleSpike"):
        raise _option(path, f"spike_fn {name}", "use MultiSpike or SingleSpike")
    return name == "MultiSpike"


def _reset_of(path: str, module: Any, threshold: FloatArray) -> Reset:
    reset = module.reset_fn
    match type(reset).__name__:
        case "MembraneSubtract":
            if reset.subtract_value is not None and np.any(threshold != reset.subtract_value):
                raise _option(
                    path,
                    f"a reset that subtracts {reset.subtract_value}, not the threshold",
                    "use MembraneSubtract()",
                )
            return "subtract"
        case "MembraneReset" if not reset.reset_value:
            return "zero"
        case "MembraneReset":
            raise _option(
                path,
                f"MembraneReset({reset.reset_value}), which adds {reset.reset_value} to every "
                "neuron in every step, fired or not,",
                "use MembraneReset() or MembraneSubtract()",
            )
        case kind:
            raise _option(path, f"reset_fn {kind}", "use MembraneSubtract or MembraneReset")


def _floor(path: str, module: Any, threshold: FloatArray) -> float | None:
    """Return the lower clamp in thresholds."""
    if module.min_v_mem is None:
        return None
    floors = per_neuron(path, "min_v_mem", module.min_v_mem, threshold.shape) / threshold
    if np.ptp(floors):
        raise _option(
            path,
            "a min_v_mem that is not the same multiple of every neuron's threshold",
            "use one ratio of min_v_mem to spike_threshold per layer",
        )
    return float(floors.flat[0])


def _option(path: str, had: str, remedy: str) -> UnsupportedError:
    return UnsupportedError("E2009", f"{had} is not supported", where=path, remedy=remedy)
