"""One population of quantized layers: the unit that its weights ask for and its ranges allow.

Every code of a path counts `multiplier` units on the chip, so the unit fixes the clip points of all
layers that feed the population, and the threshold fixes the unit: theta is a whole number of
states (and a half, `snndeploy.passes.given`), so that nothing is rounded when it is written. The
same function serves quantization once and training at every step; what it returns is what
`discretize` writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.compress.rescaw import Codes, to_codes
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.network import Population, Source
from snndeploy.ir.neurons import U_LIMIT, V_LIMIT
from snndeploy.ir.program import Params
from snndeploy.ir.ranges import INPUT_LIMIT, arriving_bounds, leaky_ranges
from snndeploy.ir.synapses import Dense
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.passes.given import (
    given_parameters,
    nearest_threshold,
    real_threshold,
    store_constant,
)
from snndeploy.passes.layers import BIAS
from snndeploy.passes.microcode import registers, unfit
from snndeploy.passes.neuron import Recurrence
from snndeploy.passes.program import UNIT, largest_threshold
from snndeploy.passes.scale import encode_bias, units_for_bias
from snndeploy.passes.task import Task

COARSER = 1.002
"""Smallest factor on the unit from one try to the next while a range does not hold."""
MOST_ENLARGED = 64.0
"""A unit that many times the wanted one leaves nothing of the weights: odd codes never vanish."""
LARGEST_CONSTANT = 254
ROOM = 1e-5
"""A unit may be finer than its floor by this share: less than rounding notices."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Feed:
    """One path of quantized weights into a population.

    Attributes:
        index: of the path in the layer.
        node: whose weights.
        codes: which codes there are.
        factor: real value that arrives per weight and input integer, [1] or [rows].
        multiplier: units per code.
        area: most synapses of one neuron that hold the same weight.
    """

    index: int
    node: str
    codes: Codes
    factor: FloatArray
    multiplier: int
    area: int


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Plan:
    """A population to fit: its task, and what feeds it quantized weights."""

    task: Task
    feeds: tuple[Feed, ...]

    @property
    def constants(self) -> tuple[int, ...]:
        """The paths without a grid: identities and pools."""
        return tuple(
            index
            for index, path in enumerate(self.task.layer.paths)
            if path.grid is None and path.source != BIAS
        )


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Fitted:
    """A population in integers.

    Attributes:
        units: real value of one unit arriving, [1] or [rows].
        gammas: per layer, [1] or [rows].
        codes: per layer.
        constants: integers by path, exponent included.
        late: bias that arrives as spikes, in units [n]; None where biases enter the potential.
        params: of the population's program.
        enlarged: largest factor by which ranges made a unit coarser than wanted.
    """

    units: FloatArray
    gammas: Mapping[str, FloatArray]
    codes: Mapping[str, IntArray]
    constants: Mapping[int, IntArray]
    late: IntArray | None
    params: Params
    enlarged: float


def fit(
    plan: Plan,
    weights: Mapping[str, FloatArray],
    gammas: Mapping[str, FloatArray],
    bias: FloatArray,
    *,
    margin: float = 1.0,
    clips: bool = True,
) -> Fitted:
    """Return the integers at the clip points that are wanted, or coarser ones that fit.

    Args:
        plan: the population.
        weights: real weights per layer.
        gammas: wanted clip points per layer, [1] or [rows].
        bias: real bias per neuron [n], as `moving_bias` finds it.
        margin: how many times the proven ranges must fit.
        clips: whether the potential of a neuron may reach its limit within a window.

    Raises:
        ModelError: E1053, no unit keeps the sums in the chip's words.
    """
    wanted = wanted_units(plan, gammas)
    floor = _floor(plan, bias, len(wanted))
    first = np.maximum(wanted, floor)
    nearest = _snapped(plan, first, below=False)
    units = np.where(nearest < floor, _snapped(plan, first, below=True), nearest)
    if np.any(units < floor * (1 - ROOM)):
        raise plan.task.hopeless()
    most = MOST_ENLARGED * units
    while np.all(units <= most):
        fitted = _fitted(plan, weights, bias, units, wanted)
        over = margin * _over(plan, fitted, clips=clips)
        if np.all(over <= 1):
            return fitted
        coarser = _snapped(
            plan, units * np.where(over > 1, np.maximum(over, COARSER), 1.0), below=True
        )
        if np.all(coarser <= units):
            break
        units = np.maximum(coarser, units)
    raise plan.task.hopeless()


def wanted_units(plan: Plan, gammas: Mapping[str, FloatArray]) -> FloatArray:
    """Return the unit that clip points ask for, the geometric mean over layers, [1] or [rows]."""
    first = {feed.node: feed for feed in reversed(plan.feeds)}
    logs = [
        np.log(np.abs(f.factor) * gammas[f.node] / (f.codes.largest * f.multiplier))
        for f in first.values()
    ]
    return np.asarray(np.exp(sum(logs) / len(logs)))


def gamma_at(feed: Feed, units: FloatArray) -> FloatArray:
    """Return a layer's clip point at the population's unit."""
    return np.asarray(units * feed.multiplier * feed.codes.largest / np.abs(feed.factor))


def _floor(plan: Plan, bias: FloatArray, rows: int) -> FloatArray:
    """Return the smallest units at which threshold, biases and constants have room."""
    task, neuron = plan.task, plan.task.layer.neuron
    late = is_late(task)
    floor = units_for_bias(task.layer.bias if late else bias, rows, task.numerics)
    if late:
        most = LARGEST_CONSTANT << task.numerics.weight_exp[1]
        floor = np.maximum(floor, np.abs(bias).max(initial=0.0) / most)
    if isinstance(neuron, Recurrence):
        floor = np.maximum(
            floor, neuron.threshold * UNIT / largest_threshold(neuron, task.numerics)
        )
    for index in plan.constants:
        most = LARGEST_CONSTANT << (task.numerics.weight_exp[1] if task.has_exponent[index] else 0)
        floor = np.maximum(floor, np.abs(task.weights[index]).max(initial=0.0) / most)
    return np.asarray(floor)


def _snapped(plan: Plan, units: FloatArray, *, below: bool) -> FloatArray:
    """Return the nearest units (or coarser ones) that make the threshold whole."""
    neuron = plan.task.layer.neuron
    if not isinstance(neuron, Recurrence):
        return units
    states = neuron.threshold * UNIT / units
    threshold = nearest_threshold(neuron, states, below=below)
    return np.asarray(neuron.threshold * UNIT / real_threshold(neuron, threshold))


def _fitted(
    plan: Plan,
    weights: Mapping[str, FloatArray],
    bias: FloatArray,
    units: FloatArray,
    wanted: FloatArray,
) -> Fitted:
    task, neuron = plan.task, plan.task.layer.neuron
    nodes = {feed.node: feed for feed in reversed(plan.feeds)}
    gammas = {node: gamma_at(feed, units) for node, feed in nodes.items()}
    late = is_late(task)
    state = task.layer.bias if late else bias
    encoded = encode_bias(state, task.by_neuron(units), task.numerics)
    assert encoded is not None, "the floor leaves room for biases"
    return Fitted(
        units=units,
        gammas=gammas,
        codes={
            node: to_codes(weights[node], gammas[node], feed.codes) for node, feed in nodes.items()
        },
        constants={
            index: _whole(task, task.weights[index], units, has_exponent=task.has_exponent[index])
            for index in plan.constants
        },
        late=_whole(task, bias[:, None], units, has_exponent=True)[:, 0] if late else None,
        params=registers(neuron, float(units[0]))
        if isinstance(neuron, Microcode)
        else given_parameters(neuron, encoded, units, task),
        enlarged=float((units / wanted).max()),
    )


def _whole(task: Task, weight: FloatArray, units: FloatArray, *, has_exponent: bool) -> IntArray:
    stored = store_constant(weight, units, task, has_exponent=has_exponent)
    return np.asarray(stored.rounded.weight << stored.exponent)


def is_late(task: Task) -> bool:
    """Return whether a layer's biases arrive as spikes of a source, not in the potential.

    They do where they enter a synaptic current or a program of the user's, and on chips whose
    neurons would charge before a sample's wave arrives.
    """
    neuron = task.layer.neuron
    filters = isinstance(neuron, Recurrence) and bool(neuron.keep_u.any())
    return filters or isinstance(neuron, Microcode) or task.numerics.reset == "host"


def moving_bias(task: Task) -> FloatArray:
    """Return the real bias per neuron [n] that layers bring: as spikes, or in the potential."""
    if not is_late(task):
        return task.layer.bias
    late = [path for path in task.layer.paths if path.source == BIAS and not path.lag]
    return np.asarray(sum((path.weight[:, 0] for path in late), np.zeros(len(task.layer.bias))))


def _over(plan: Plan, fitted: Fitted, *, clips: bool) -> FloatArray:
    """Return per unit how many times too large the tightest proven range is."""
    task, neuron = plan.task, plan.task.layer.neuron
    arriving = _arriving(plan, fitted)
    most = int(arriving.max())
    share = arriving / max(most, 1)
    if isinstance(neuron, Microcode):
        return np.maximum(share * most / INPUT_LIMIT, 2.0 * bool(unfit(neuron, fitted.params)))
    population = Population(
        name=task.layer.name, shape=task.layer.shape, program=task.program,
        params=fitted.params, wave=0,
    )  # fmt: skip
    ranges = leaky_ranges(population, most, task.steps)
    over = share * ranges.current / (U_LIMIT - 1)
    if task.steps and (neuron is None or not clips):
        over = np.maximum(over, ranges.potential / V_LIMIT)
    return np.asarray(over)


def _arriving(plan: Plan, fitted: Fitted) -> IntArray:
    """Bound what arrives in a step, per unit [1] or [rows]."""
    task = plan.task
    bounds = []
    for feed in plan.feeds:
        source = task.sources[feed.index]
        codes = fitted.codes[feed.node]
        low, high = _payload(source)
        floor, ceiling = arriving_bounds(Dense(weight=codes.reshape(len(codes), -1)), low, high)
        bounds.append(np.maximum(-floor, ceiling) * feed.multiplier * feed.area + 1)
    for index, whole in fitted.constants.items():
        low, high = _payload(task.sources[index])
        floor, ceiling = arriving_bounds(task.layer.paths[index].build(whole), low, high)
        bounds.append(np.maximum(-floor, ceiling).max(keepdims=True))
    if fitted.late is not None:
        bounds.append(np.abs(fitted.late).max(keepdims=True))
    rows = len(fitted.units)
    if rows == 1 and len({len(bound) for bound in bounds if len(bound) > 1}) > 1:
        bounds = [bound.max(keepdims=True) for bound in bounds]
    total = np.sum(np.broadcast_arrays(*bounds), axis=0)
    return np.asarray(total if rows > 1 else total.max(keepdims=True))


def _payload(source: Source | Population) -> tuple[int, int]:
    return source.low, source.high
