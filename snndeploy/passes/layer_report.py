"""What the compile report says of a layer: how its integers were chosen, and whether exactly."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from snndeploy.ir.network import Projection
from snndeploy.ir.neurons import V_LIMIT
from snndeploy.ir.program import Params
from snndeploy.ir.programs import GRADED_SUM
from snndeploy.ir.ranges import INPUT_LIMIT
from snndeploy.ir.text import KIND_OF
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.passes.layers import Layer
from snndeploy.passes.microcode import parameter_error
from snndeploy.passes.neuron import Recurrence
from snndeploy.passes.program import decay_error, exact_bits
from snndeploy.passes.task import Choice, Task

NOTABLE = 1.2
"""A weight step enlarged by more than this is said in the report's reasons."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerReport:
    """How one population's integers were chosen.

    Attributes:
        population: its name in the network.
        node: the NIR nodes it came from, joined by `+`.
        synapse: kinds of its synapses (`dense`, `conv`, …), joined by `+`.
        n_neurons: neurons.
        n_weights: stored weights.
        unit: real value of one weight unit, real = unit * integer; the smallest where channels or
            neurons have their own, and `unit_largest` the largest.
        weight_exp: largest exponent of its projections.
        program: the neuron program; all but `lif` need microcode on the chip.
        vth, du, dv: registers, the largest where neurons differ; vth in weight units for `lif`, in
            state units (64 times finer) for the others.
        rounded: weights that are not on the grid as they stand; `clipped`: beyond it.
        weight_rms: rms of (integer weight - real weight), relative to the rms of the real weights.
        bias_error: largest bias error, in units of the threshold.
        decay_error: |real decay factor - register's|, per step.
        headroom_bits: log2(limit / proven bound) of the tightest range; never negative.
        enlarged: factor by which a range proof made the weight step larger than the weights alone
            ask for (1.0: not at all).
        exact: the integer population equals the float one spike for spike, proven.
        why: reasons why it is not exact; empty if it is.
        notes: what was composed or chosen on the way to it.
    """

    population: str
    node: str
    synapse: str
    n_neurons: int
    n_weights: int
    unit: float
    unit_largest: float
    weight_exp: int
    program: str
    vth: int
    du: int
    dv: int
    rounded: int
    clipped: int
    weight_rms: float
    bias_error: float
    decay_error: float
    headroom_bits: float
    enlarged: float
    exact: bool
    why: tuple[str, ...]
    notes: tuple[str, ...] = ()


def report(task: Task, choice: Choice) -> LayerReport:
    """Say how a population's integers were chosen."""
    neuron, params = task.layer.neuron, choice.params
    population, projections = task.write(choice)
    error, size = (
        float(np.linalg.norm(np.concatenate([a.reshape(-1) for a in arrays])))
        for arrays in (task.weight_errors(choice), task.weights)
    )
    decay = 0.0
    if isinstance(neuron, Microcode):
        decay = parameter_error(neuron, params, float(choice.units[0]))
    elif neuron is not None:
        decay = decay_error(neuron, params)
    kinds = dict.fromkeys(KIND_OF[type(p.synapse)] for p in projections)
    return LayerReport(
        population=population.name,
        node="+".join(task.layer.nodes),
        synapse="+".join(kinds),
        n_neurons=population.n,
        n_weights=sum(int(weight.size) for weight in task.weights),
        unit=float(choice.units.min()),
        unit_largest=float(choice.units.max()),
        weight_exp=max(choice.exponents),
        program=population.program.name,
        vth=_largest(params, "vth", "vth_state"),
        du=_largest(params, "du"),
        dv=_largest(params, "dv"),
        rounded=sum(rounded.rounded for rounded in choice.rounded),
        clipped=sum(rounded.clipped for rounded in choice.rounded),
        weight_rms=error / size if size else 0.0,
        bias_error=task.bias_error(choice),
        decay_error=decay,
        headroom_bits=_headroom(task, choice),
        enlarged=choice.enlarged,
        exact=choice.exact and not task.rounds_input,
        why=() if choice.exact and not task.rounds_input else _reasons(task, choice, decay),
        notes=task.layer.notes,
    )


def _largest(params: Params, *names: str) -> int:
    """Return the largest value of the first of these registers that a program has, else 0."""
    return next((int(params[name].max()) for name in names if name in params), 0)


def _headroom(task: Task, choice: Choice) -> float:
    """Return the bits between the tightest proven bound and its limit."""
    if isinstance(task.layer.neuron, Microcode):
        return float(np.log2(INPUT_LIMIT / max(task.arriving(choice), 1)))
    ranges = task.ranges(choice)
    limits = [V_LIMIT / max(ranges.current, 1)]
    if task.layer.neuron is None and task.steps:
        limits.append(V_LIMIT / max(ranges.potential, 1))
    return float(np.log2(min(limits)))


def sum_report(layer: Layer, projections: tuple[Projection, ...]) -> LayerReport:
    """Say that a population adds spikes up; it rounds nothing."""
    return LayerReport(
        population=layer.name,
        node="+".join(layer.nodes or (path.source for path in layer.paths)),
        synapse="+".join(dict.fromkeys(KIND_OF[type(p.synapse)] for p in projections)),
        n_neurons=prod(layer.shape),
        n_weights=sum(int(path.weight.size) for path in layer.paths),
        unit=1.0,
        unit_largest=1.0,
        weight_exp=0,
        program=GRADED_SUM.name,
        vth=0,
        du=0,
        dv=0,
        rounded=0,
        clipped=0,
        weight_rms=0.0,
        bias_error=0.0,
        decay_error=0.0,
        headroom_bits=0.0,
        enlarged=1.0,
        exact=True,
        why=(),
        notes=(f"adds {' + '.join(path.source for path in layer.paths)} once, sends integers",),
    )


def _reasons(task: Task, choice: Choice, decay: float) -> tuple[str, ...]:
    """Return why a layer is not exact; never empty."""
    n_rounded = sum(rounded.rounded for rounded in choice.rounded)
    reasons = []
    if task.rounds_input:
        reasons.append("the input is rounded to integers")
    if n_rounded:
        reasons.append(f"{n_rounded:,} weights are rounded")
    if choice.enlarged > NOTABLE:
        fewer = ", fewer --input-bits would help" if task.rounds_input else ""
        reasons.append(
            f"their step is {choice.enlarged:.1f} times what they ask for, so that no sum leaves "
            f"its word{fewer}"
        )
    if task.bias_error(choice):
        reasons.append("biases are rounded")
    reasons += _neuron_reasons(task, decay)
    if not reasons and any(path.grid for path in task.layer.paths):
        if task.ranges(choice).v_clips:
            return ("a potential may reach its limit within a window",)
        reasons.append("float sums miss a tie of quantized weights with the threshold by rounding")
    if not reasons and isinstance(task.layer.neuron, Recurrence) and exact_bits(task.layer.neuron):
        reasons.append("weights lie on a grid that touches the threshold, compared with >=")
    return tuple(reasons or ["the range proof needs a larger step than the grid's"])


def _neuron_reasons(task: Task, decay: float) -> Iterator[str]:
    neuron = task.layer.neuron
    if neuron is None:
        if not task.steps:
            yield "without resets the readout clips one day"
        return
    if isinstance(neuron, Microcode):
        yield "its program rounds"
        if decay > 1e-9:
            yield f"a parameter is off by {decay:.2e}"
        return
    if decay > 1e-9:
        yield f"a decay is off by {decay:.2e} per step"
    elif np.any((neuron.keep_v > 0) & (neuron.keep_v < 1)):
        yield "the leak drops fraction bits within the window"
    if neuron.multi_spike:
        yield f"at most {task.most_spikes} spikes per step"
