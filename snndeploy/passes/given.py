"""A layer whose weights were quantized before: its integers are the codes, not rounded again.

The unit of the population is given with the grid; the threshold, biases and whatever else arrives
(identities, pools) are written in it. A threshold of a neuron that resets to zero lies between two
states, theta = (t + 1/2) state units and fires above t, so that the float model never ties with
it; where a spike subtracts the threshold it lies on a state.
"""

from dataclasses import dataclass, replace

import numpy as np

from snndeploy.errors import ModelError
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.neurons import integrator
from snndeploy.ir.program import Params
from snndeploy.ir.ranges import INPUT_LIMIT
from snndeploy.ir.synapses import SignMode
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.passes.exact import lost_bits
from snndeploy.passes.layers import Layer, Path
from snndeploy.passes.microcode import registers, unfit
from snndeploy.passes.neuron import Recurrence
from snndeploy.passes.program import UNIT, largest_threshold, parameters
from snndeploy.passes.scale import Rounded, by_row, encode_bias, round_weights, trailing_zeros
from snndeploy.passes.task import Choice, Task
from snndeploy.target import Numerics

ON_GRID = 1e-6
"""An integer that is recomputed from float64 products is off by less than this, per integer."""
SWAPPED: dict[SignMode, SignMode] = {
    "mixed": "mixed", "excitatory": "inhibitory", "inhibitory": "excitatory"
}  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Stored:
    """One path as the chip keeps it."""

    rounded: Rounded
    exponent: int
    weight_bits: int


def is_given(layer: Layer) -> bool:
    """Return whether a layer's weights lie on a grid of their own."""
    return any(path.grid is not None for path in layer.paths)


def given_choice(task: Task) -> Choice:
    """Return the integers of a layer on its given grid.

    Raises:
        ModelError: E1241, weights are off the grid; E1242, a word or register does not hold them;
            E1243, two grids of one population have no unit in common.
    """
    neuron, units = task.layer.neuron, given_units(task)
    bias = encode_bias(task.layer.bias, task.by_neuron(units), task.numerics)
    if bias is None:
        raise _overflow(task, "a bias is too large for its register")
    stored = tuple(store_path(task, index, units) for index in range(len(task.layer.paths)))
    choice = Choice(
        rounded=tuple(s.rounded for s in stored),
        exponents=tuple(s.exponent for s in stored),
        weight_bits=tuple(s.weight_bits for s in stored),
        units=units,
        params=registers(neuron, float(units[0]))
        if isinstance(neuron, Microcode)
        else given_parameters(neuron, bias, units, task),
    )
    _check_ranges(task, choice)
    return replace(choice, exact=_is_exact(task, choice))


def given_parameters(
    neuron: Recurrence | None, bias: tuple[IntArray, IntArray], units: FloatArray, task: Task
) -> Params:
    """Return the parameters of a layer's program for its units.

    Raises:
        ModelError: E1242, the threshold's register does not hold it.
    """
    if neuron is None:
        return integrator(bias_mant=bias[0], bias_exp=int(bias[1][0]))
    threshold = nearest_threshold(neuron, neuron.threshold * UNIT / units)
    if threshold.max() > largest_threshold(neuron, task.numerics):
        raise _overflow(task, f"a threshold of {threshold.max() // UNIT:,} weight units")
    return parameters(neuron, task.by_neuron(threshold), bias, task.numerics, most=task.most_spikes)


# ---- units -------------------------------------------------------------------------------


def given_units(task: Task) -> FloatArray:
    """Return the real value of one unit arriving, [1] or [rows], from the first path with a grid.

    Raises:
        ModelError: E1243, units differ by row where the population has one.
    """
    index = next(i for i, path in enumerate(task.layer.paths) if path.grid is not None)
    grid = task.layer.paths[index].grid
    assert grid is not None
    units = np.asarray(grid.unit * np.abs(factor_by_row(task, index)))
    if len(units) > task.rows:
        raise ModelError(
            "E1243",
            f"{len(units)} units, one per row of the weights, but the population has one",
            where=task.layer.name,
            remedy="quantize the model again with --granularity tensor",
        )
    return np.broadcast_to(units, task.rows)


def factor_by_row(task: Task, index: int) -> FloatArray:
    """Return what a path multiplies its node's weights by, per input integer, [1] or [rows]."""
    path, source = task.layer.paths[index], task.sources[index]
    assert path.factor is not None
    scale = getattr(source, "scale", 1.0)
    factor = path.factor * scale
    if len(factor) == 1:
        return factor
    rows = factor.reshape(len(path.weight), -1) if path.weight.ndim > 1 else factor[None]
    if np.ptp(rows, axis=1).any():
        raise ModelError(
            "E1243", "gains that differ within an output channel of quantized weights",
            where=task.layer.name, remedy="quantize a model whose neurons of a channel are alike",
        )  # fmt: skip
    return np.asarray(rows[:, 0])


# ---- thresholds --------------------------------------------------------------------------


def lies_between(neuron: Recurrence) -> bool:
    """Whether the threshold lies between two states, which a spike never has to subtract."""
    return neuron.reset in ("zero", "none") and not neuron.multi_spike


def nearest_threshold(neuron: Recurrence, states: FloatArray, *, below: bool = False) -> IntArray:
    """Return the threshold as `parameters` takes it, nearest to (or below) a real one in states."""
    to_whole = np.floor if below else np.rint
    if not lies_between(neuron):
        return np.maximum(to_whole(states + below * ON_GRID), 1).astype(np.int64)
    grain = UNIT if neuron.is_native else 1
    last_silent = np.maximum(to_whole((states - 0.5) / grain + below * ON_GRID), 1) * grain
    return last_silent.astype(np.int64) + (neuron.compare == "ge")


def real_threshold(neuron: Recurrence, threshold: IntArray) -> FloatArray:
    """Return where a threshold, as `parameters` takes it, lies in states."""
    if not lies_between(neuron):
        return threshold.astype(np.float64)
    return np.asarray(threshold - (neuron.compare == "ge") + 0.5)


# ---- weights -----------------------------------------------------------------------------


def store_path(task: Task, index: int, units: FloatArray) -> Stored:
    """Return a path's integers at the population's units, in the chip's format."""
    path, weight = task.layer.paths[index], task.weights[index]
    if path.grid is None:
        return store_constant(weight, units, task, has_exponent=task.has_exponent[index])
    ideal = weight / by_row(units, weight)
    integers = np.rint(ideal)
    off = float(np.abs(ideal - integers).max(initial=0.0))
    if off > ON_GRID * max(float(np.abs(ideal).max(initial=1.0)), 1.0):
        _refuse_off_grid(task, path, off)
    return store_codes(integers.astype(np.int64), path, task, has_exponent=task.has_exponent[index])


def store_codes(integers: IntArray, path: Path, task: Task, *, has_exponent: bool) -> Stored:
    """Return integers of a grid in the chip's format: shifted to fill the 8-bit word."""
    mode = _sign_mode(path)
    shift = trailing_zeros(integers) if integers.any() else 0
    largest = int(np.abs(integers).max(initial=0))
    for exponent in _exponents(largest, task.numerics) if has_exponent else (0,):
        if shift < exponent or largest * 2.0**-exponent > (254 if mode == "mixed" else 255):
            continue
        weight = integers >> exponent if exponent >= 0 else integers << -exponent
        zeros = shift - exponent
        if zeros < (mode == "mixed"):
            continue
        bits = max(8 + (mode == "mixed") - zeros, 1)
        whole = Rounded(weight=weight, sign_mode=mode, clipped=0, rounded=0)
        return Stored(rounded=whole, exponent=exponent, weight_bits=min(bits, 8))
    raise _overflow(task, f"weights up to {largest} units that {8 - shift} bits do not hold")


def _exponents(largest: int, numerics: Numerics) -> tuple[int, ...]:
    """Return the exponents to try, the one at which the largest weight fills the word first."""
    low, high = numerics.weight_exp
    fills = max(largest.bit_length() - 8, low)
    return tuple(dict.fromkeys((fills, *range(low, high + 1))))


def _sign_mode(path: Path) -> SignMode:
    """Return the sign mode of a path: that of its codes, turned where a factor is negative."""
    assert path.grid is not None
    assert path.factor is not None
    if np.all(path.factor > 0):
        return path.grid.sign_mode
    return SWAPPED[path.grid.sign_mode] if np.all(path.factor < 0) else "mixed"


def store_constant(
    weight: FloatArray, units: FloatArray, task: Task, *, has_exponent: bool
) -> Stored:
    """Return weights that nothing was quantized of, an identity or a bias, in the given units.

    Raises:
        ModelError: E1242, they are too large for the chip's word.
    """
    most = task.numerics.weight_exp[1] if has_exponent else 0
    units = units if len(units) == 1 or len(units) == len(weight) else units.max(keepdims=True)
    for exponent in range(most + 1):
        rounded = round_weights(weight, units * (1 << exponent), 8)
        if not rounded.clipped:
            return Stored(rounded=rounded, exponent=exponent, weight_bits=8)
    raise _overflow(task, "what is added without weights is too large")


# ---- what it proves ----------------------------------------------------------------------


def _check_ranges(task: Task, choice: Choice) -> None:
    neuron = task.layer.neuron
    if isinstance(neuron, Microcode):
        if names := unfit(neuron, choice.params):
            raise _overflow(task, f"{', '.join(names)} of program {neuron.program.name}")
        if task.arriving(choice) > INPUT_LIMIT:
            raise _overflow(task, f"sums up to {task.arriving(choice):,}")
        return
    ranges = task.ranges(choice)
    if ranges.u_wraps:
        raise _overflow(task, f"a current up to {ranges.current:,} state units")
    if neuron is None and task.steps and ranges.v_clips:
        raise _overflow(task, f"a readout up to {ranges.potential:,} state units")


def _is_exact(task: Task, choice: Choice) -> bool:
    """Whether the population equals the float model: nothing rounded, no bit lost, no tie."""
    neuron = task.layer.neuron
    if isinstance(neuron, Microcode) or any(r.rounded for r in choice.rounded):
        return False
    ranges = task.ranges(choice)
    if task.bias_error(choice) or ranges.v_clips:
        return False
    if neuron is None:
        return True
    lost = lost_bits(task, neuron)
    if lost is None or not neuron.keep_v.all() or neuron.v_min is not None:
        return False
    states = neuron.threshold * UNIT / choice.units
    lies_there = np.abs(real_threshold(neuron, nearest_threshold(neuron, states)) - states)
    integers = [
        r.weight * (1 << e) if e >= 0 else r.weight >> -e
        for r, e in zip(choice.rounded, choice.exponents, strict=True)
    ]
    bias = choice.params["bias_mant"] << choice.params["bias_exp"]
    left = trailing_zeros(*(i * UNIT for i in integers), bias) - lost
    return lies_between(neuron) and left >= 0 and bool(np.all(lies_there < 1e-3))


def _refuse_off_grid(task: Task, path: Path, off: float) -> None:
    names = [p.weight_node for p in task.layer.paths if p.grid is not None]
    if path.weight_node != names[0]:
        raise ModelError(
            "E1243",
            f"the grids of {names[0]} and {path.weight_node} have no unit in common",
            where=task.layer.name,
            remedy="quantize both in one call",
        )
    raise ModelError(
        "E1241",
        f"weights lie up to {off:.2g} of a unit beside the grid they were quantized to",
        where=path.weight_node,
        remedy="quantize the model again after changing its weights",
    )


def _overflow(task: Task, what: str) -> ModelError:
    return ModelError(
        "E1242",
        f"{what} on the grid that its weights were quantized to",
        where=task.layer.name,
        remedy="quantize the model for these steps, input bits and target, or leave them as they "
        "were then",
    )
