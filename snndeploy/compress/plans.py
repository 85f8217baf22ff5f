"""Which layers feed which population, with how many units per code: what quantization decides once.

In: a model whose weight nodes carry grids. Out: one `Plan` per population, in the order of the
layers. Multipliers are powers of two: shared by all rows, they fill the chip's 8-bit weights where
a path has an exponent and go as high as ranges allow where it has none.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import floor, log2, prod

import nir
import numpy as np

from snndeploy.compress.channels import has_weights
from snndeploy.compress.fit import Feed, Fitted, Plan, fit, moving_bias
from snndeploy.compress.rescaw import Codes
from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.ir.arrays import FloatArray
from snndeploy.model import Model
from snndeploy.nirgraph.rebuild import copy_node, rebuild_graph
from snndeploy.nirgraph.weight_grid import WeightGrid
from snndeploy.passes.discretize import tasks_of
from snndeploy.passes.given import factor_by_row, given_units
from snndeploy.passes.layers import Path
from snndeploy.passes.scale import by_row
from snndeploy.passes.task import Task
from snndeploy.pipeline import CompileOptions, layers_for
from snndeploy.target import Numerics

MARGIN = 2.0
"""Training moves sums: multipliers are chosen so that ranges hold this many times over, if any."""
SNAPPED = 1.03
"""A unit enlarged by less is one that a whole threshold moved, not a range."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Structure:
    """A model cut into layers for a chip.

    Attributes:
        tasks: one per population, sums among them, sources before targets.
        outputs: the layer that each output port reads.
        counts: per layer and path, how many weights of its node may add up in one synapse.
        areas: per layer and path, how many synapses of a neuron may hold one weight of the node.
        drives: per layer, what is added in the place of biases without any [n].
        gains: per layer, what a bias of 1 of a node adds [n]; channels keep apart.
    """

    tasks: tuple[Task, ...]
    outputs: Mapping[str, str]
    counts: Mapping[str, tuple[int, ...]]
    areas: Mapping[str, tuple[int, ...]]
    drives: Mapping[str, FloatArray]
    gains: Mapping[str, Mapping[str, FloatArray]]


def structure_of(
    model: Model, numerics: Numerics, options: CompileOptions, *, steps: int
) -> Structure:
    """Cut a model with grids into layers.

    Raises:
        UnsupportedError, ModelError, UsageError: those of `layers_for`.
    """
    tasks, outputs = _tasks(model, numerics, options, steps)
    ones, _ = _tasks(_plain(model), numerics, options, steps)
    drives = {task.layer.name: moving_bias(task) for task in ones}
    biased = {task.layer.name: _biased(model, task) for task in tasks}
    gains: dict[str, dict[str, FloatArray]] = {name: {} for name in drives}
    for turn in range(max(map(len, biased.values()), default=0)):
        chosen = {nodes[turn] for nodes in biased.values() if turn < len(nodes)}
        probed, _ = _tasks(_plain(model, chosen), numerics, options, steps)
        for task in probed:
            name = task.layer.name
            if turn < len(biased[name]):
                gains[name][biased[name][turn]] = moving_bias(task) - drives[name]
    return Structure(
        tasks=tasks,
        outputs=outputs,
        counts={
            task.layer.name: tuple(_count(task, index) for index in range(len(task.layer.paths)))
            for task in ones
        },
        areas={
            task.layer.name: tuple(_area(model, path) for path in task.layer.paths)
            for task in tasks
        },
        drives=drives,
        gains=gains,
    )


def _tasks(
    model: Model, numerics: Numerics, options: CompileOptions, steps: int
) -> tuple[tuple[Task, ...], Mapping[str, str]]:
    sources, graph = layers_for(model, numerics, options)
    _, tasks = tasks_of(graph, sources, numerics, steps=steps, weight_bits=options.weight_bits)
    return tasks, graph.outputs


def _plain(model: Model, biased: Collection[str] = ()) -> Model:
    """Return the model with weights of 1, to count what adds up, and biases of 1 in some nodes."""
    changed = {}
    for name, node in model.graph.nodes.items():
        if has_weights(node):
            fields = {"weight": np.ones(np.shape(node.weight))}
            if hasattr(node, "bias"):
                fields["bias"] = np.full(np.shape(node.bias), float(name in biased))
            changed[name] = copy_node(node, **fields)
    return replace(model, graph=rebuild_graph(model.graph, changed))


def _biased(model: Model, task: Task) -> tuple[str, ...]:
    """Return the nodes of a layer that have a bias, each once."""
    nodes = model.graph.nodes
    named = dict.fromkeys(path.weight_node for path in task.layer.paths if path.weight_node)
    return tuple(name for name in named if getattr(nodes[name], "bias", None) is not None)


def _count(task: Task, index: int) -> int:
    path, weight = task.layer.paths[index], task.weights[index]
    if path.grid is None:
        return 1
    counts = np.abs(weight / by_row(factor_by_row(task, index), weight))
    return int(np.rint(counts.max(initial=1.0)))


def _area(model: Model, path: Path) -> int:
    nodes = (model.graph.nodes[name] for name in path.nodes)
    pools = (node for node in nodes if isinstance(node, nir.SumPool2d | nir.AvgPool2d))
    return prod(int(size) for pool in pools for size in np.ravel(pool.kernel_size))


def given_plan(task: Task, areas: tuple[int, ...]) -> Plan:
    """Return the plan of a population whose layers carry their units already."""
    units = given_units(task)
    feeds = []
    for index, path in enumerate(task.layer.paths):
        if path.grid is None:
            continue
        factor = factor_by_row(task, index)
        multipliers = np.abs(factor) * path.grid.step / units
        feeds.append(_feed(task, index, factor, round(float(np.mean(multipliers))), areas))
    return Plan(task=task, feeds=tuple(feeds))


def chosen_plan(
    task: Task,
    counts: tuple[int, ...],
    areas: tuple[int, ...],
    weights: Mapping[str, FloatArray],
    gammas: Mapping[str, FloatArray],
) -> tuple[Plan, Fitted]:
    """Choose the multipliers of a population, the finest whose ranges hold; fit it.

    Raises:
        ModelError: E1053, no unit keeps the sums in the chip's words.
        UnsupportedError: E2313, sums of codes that a stored weight does not hold.
    """
    given = [index for index, path in enumerate(task.layer.paths) if path.grid is not None]
    factors = {index: factor_by_row(task, index) for index in given}
    shifts = _relative_shifts(
        {
            index: float(np.mean(np.log2(np.abs(factors[index]) * _step(path, gammas))))
            for index, path in enumerate(task.layer.paths)
            if path.grid is not None
        }
    )
    allowed = {index: _allowed(task, index, counts[index]) for index in given}
    low = max(allowed[index][0] - shifts[index] for index in given)
    high = min(allowed[index][1] - shifts[index] for index in given)
    if low > high:
        raise UnsupportedError(
            "E2313",
            "the steps of the layers that meet here are too far apart for one unit",
            where=task.layer.name,
            remedy="give these layers bits that are closer to each other",
        )
    may_clip = (False, True) if all(task.has_exponent[index] for index in given) else (True,)
    tries = (*((MARGIN, clips) for clips in may_clip), (1.0, True))
    best: tuple[Plan, Fitted] | None = None
    for (margin, clips), base in product(tries, range(high, low - 1, -1)):
        plan = Plan(
            task=task,
            feeds=tuple(
                _feed(task, index, factors[index], 1 << (base + shifts[index]), areas)
                for index in given
            ),
        )
        try:
            fitted = fit(plan, weights, gammas, moving_bias(task), margin=margin, clips=clips)
        except ModelError:
            continue
        if fitted.enlarged <= SNAPPED:
            return plan, fitted
        if margin == 1.0 and (best is None or fitted.enlarged < best[1].enlarged):
            best = plan, fitted
    if best is None:
        raise task.hopeless()
    return best


def _step(path: Path, gammas: Mapping[str, FloatArray]) -> FloatArray:
    assert path.grid is not None
    return gammas[path.weight_node] / path.grid.largest


def _relative_shifts(steps: Mapping[int, float]) -> dict[int, int]:
    """Return per path the power of two by which its step exceeds that of the best base.

    The best base is the one beside whose powers of two the other steps lie nearest.
    """
    off = {
        base: sum((step - own - round(step - own)) ** 2 for step in steps.values())
        for base, own in steps.items()
    }
    base = steps[min(off, key=lambda index: (off[index], index))]
    return {index: round(step - base) for index, step in steps.items()}


def _allowed(task: Task, index: int, count: int) -> tuple[int, int]:
    """Return the smallest and largest shift of a path's codes, from its stored format."""
    path = task.layer.paths[index]
    assert path.grid is not None
    mixed = path.grid.sign_mode == "mixed"
    largest, word = path.grid.largest * count, 254 if mixed else 255
    most = floor(log2(word / largest)) if largest <= word else -1
    if most < mixed:
        code = "a code" if count == 1 else f"a sum of {count} codes, pooled into one weight,"
        raise UnsupportedError(
            "E2313",
            f"{code} of {path.grid.bits} bits reaches {largest}; a stored weight of these signs "
            f"holds {word >> mixed}",
            where=path.weight_node,
            remedy="use fewer bits for this layer",
        )
    if not task.has_exponent[index]:
        return int(mixed), most
    low, high = task.numerics.weight_exp
    return max(most + low, 0), most + high


def _feed(
    task: Task, index: int, factor: FloatArray, multiplier: int, areas: tuple[int, ...]
) -> Feed:
    path = task.layer.paths[index]
    grid = path.grid
    assert grid is not None
    return Feed(
        index=index,
        node=path.weight_node,
        codes=codes_of(grid),
        factor=factor,
        multiplier=multiplier,
        area=areas[index],
    )


def codes_of(grid: WeightGrid) -> Codes:
    """Return the family of codes of a grid."""
    return Codes(bits=grid.bits, kind=grid.kind, sign_mode=grid.sign_mode)
