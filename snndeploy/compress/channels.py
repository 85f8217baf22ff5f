"""Which channels of a graph stand and fall together.

In: a normalized graph. Out: groups of channels with explicit index maps: for every node, which
channel of its group each of its output channels is. A channel is an index of a node's first
dimension. Removing a channel of a group removes it from all nodes of the group, and the columns
that read it from the layers behind them.

    neurons, pools, Scale, Threshold, Delay   channel c is channel c of what arrives
    edges into one node (a sum)               channel c is channel c of every source
    Flatten of (C, H, W)                      elements c H W to (c + 1) H W are channel c
    Conv with groups of one channel           a group's inputs and outputs are one channel
    other grouped Conv                        channels are free, but groups must stay equal
    Linear, Affine, other Conv                their outputs are other channels than their inputs

An identity shortcut therefore puts a whole residual stream into one group. A shortcut padded with
zero channels is a convolution that copies (`is_copy`): its weights are the index map, offset
included, so that the streams before and behind it are pruned each on its own. A concatenation is
one layer per part. Time is no dimension of a graph, and a loop is edges like all others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import nir
import numpy as np

from snndeploy.ir.arrays import IntArray
from snndeploy.nirgraph.canonical import SPIKING
from snndeploy.nirgraph.rebuild import sources_of, topological_order
from snndeploy.nirgraph.shapes import shape_of
from snndeploy.nirgraph.weight_grid import WEIGHTS

CONVOLUTIONS: tuple[Any, ...] = (nir.Conv1d, nir.Conv2d)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Group:
    """Channels that several nodes share.

    Attributes:
        name: its first layer with weights, else its first node.
        n: how many channels it has.
        index: per node, the group's channel of each of its output channels [C].
        layers: its nodes with weights of their own, whose output channels these are.
        neurons: its neurons; where there are none, thresholds without a state.
        blocks: block of each channel [n]; all blocks must keep equally many channels.
        fixed: why none of them may be removed; empty if some may.
    """

    name: str
    n: int
    index: dict[str, IntArray]
    layers: tuple[str, ...]
    neurons: tuple[str, ...]
    blocks: IntArray
    fixed: str


def groups_of(graph: nir.NIRGraph) -> tuple[Group, ...]:
    """Return the groups of a normalized graph, in the order of their first nodes.

    Every node is in exactly one of them.
    """
    names = topological_order(graph)
    sizes = [shape_of(graph.nodes[name])[0] for name in names]
    starts = dict(zip(names, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
    ends: list[tuple[int, int]] = []
    pairs: list[IntArray] = []
    number = {name: i for i, name in enumerate(names)}
    for one, its, other, others in _same_channels(graph):
        ends.append((number[one], number[other]))
        pairs.append(np.stack([starts[one] + its, starts[other] + others]))
    together = classes(len(names), np.array(ends, dtype=np.int64).reshape(-1, 2).T)
    channel = classes(sum(sizes), np.concatenate([np.empty((2, 0), np.int64), *pairs], axis=1))
    groups = []
    for first in np.unique(together):
        members = [name for name in names if together[number[name]] == first]
        ids = [channel[starts[m] : starts[m] + sizes[number[m]]] for m in members]
        found, flat = np.unique(np.concatenate(ids), return_inverse=True)
        parts = np.split(flat, np.cumsum([len(part) for part in ids])[:-1])
        groups.append(_group(graph, len(found), dict(zip(members, parts, strict=True))))
    return tuple(groups)


def classes(n: int, pairs: IntArray) -> IntArray:
    """Return for each of n elements the smallest element it is connected with.

    Args:
        n: how many elements there are.
        pairs: [2, m], elements that are the same.
    """
    root = np.arange(n)
    while True:
        left, right = root[pairs[0]], root[pairs[1]]
        if np.array_equal(left, right):
            return root
        low = np.minimum(left, right)
        for side in (left, right, pairs[0], pairs[1]):
            np.minimum.at(root, side, low)
        while not np.array_equal(root, root[root]):
            root = root[root]


def is_copy(node: Any) -> bool:
    """Return whether a layer only copies channels and adds channels of zeros."""
    if not isinstance(node, nir.Conv2d) or node.groups != 1 or node.weight.shape[2:] != (1, 1):
        return False
    weight = node.weight[:, :, 0, 0]
    is_binary = bool(np.isin(weight, (0, 1)).all())
    at_most_one = bool((weight.sum(axis=0) <= 1).all() and (weight.sum(axis=1) <= 1).all())
    pads = not bool(np.any(node.bias)) and tuple(node.padding) == (0, 0)
    return is_binary and at_most_one and pads


def has_weights(node: Any) -> bool:
    """Return whether a node is a layer with weights of its own: no copy of channels."""
    return isinstance(node, WEIGHTS) and not is_copy(node)


def by_node(groups: tuple[Group, ...]) -> dict[str, Group]:
    """Return the group of every node."""
    return {name: group for group in groups for name in group.index}


def _same_channels(graph: nir.NIRGraph) -> Iterator[tuple[str, IntArray, str, IntArray]]:
    """Yield two nodes and channels of each that are the same, pairwise."""
    for target, node in graph.nodes.items():
        sources = sources_of(graph, target)
        for other in sources[1:]:
            channels = np.arange(shape_of(graph.nodes[other])[0])
            yield sources[0], channels, other, channels
        if not sources:
            continue
        shape = shape_of(graph.nodes[sources[0]])
        if isinstance(node, WEIGHTS):
            if _removes_groups(node):
                of_input = np.arange(shape[0]) // node.weight.shape[1]
                of_output = np.arange(len(node.weight)) // (len(node.weight) // node.groups)
                yield from _paired(sources[0], of_input, target, of_output)
            continue
        channels = np.arange(shape_of(node)[0])
        yield sources[0], channels // _elements(node, shape), target, channels


def _paired(
    one: str, its: IntArray, other: str, others: IntArray
) -> Iterator[tuple[str, IntArray, str, IntArray]]:
    """Yield all channels of two nodes that lie in the same group of a convolution."""
    a, b = np.nonzero(its[:, None] == others[None, :])
    yield one, a, other, b


def _elements(node: Any, shape: tuple[int, ...]) -> int:
    """Return how many elements of its first dimension a node makes of one channel."""
    if not isinstance(node, nir.Flatten) or node.start_dim % len(shape):
        return 1
    return prod(shape[1 : node.end_dim % len(shape) + 1])


def _is_grouped(node: Any) -> bool:
    return isinstance(node, CONVOLUTIONS) and node.groups > 1


def _removes_groups(node: Any) -> bool:
    """Return whether a grouped convolution can only lose whole groups."""
    return _is_grouped(node) and (node.weight.shape[1] == 1 or len(node.weight) == node.groups)


def _group(graph: nir.NIRGraph, n: int, index: dict[str, IntArray]) -> Group:
    nodes = {name: graph.nodes[name] for name in index}
    layers = tuple(name for name, node in nodes.items() if has_weights(node))
    neurons = tuple(name for name, node in nodes.items() if isinstance(node, SPIKING))
    thresholds = tuple(name for name, node in nodes.items() if isinstance(node, nir.Threshold))
    blocks, conflict = _blocks(graph, n, index)
    return Group(
        name=next(iter(layers or index)),
        n=n,
        index=index,
        layers=layers,
        neurons=neurons or thresholds,
        blocks=blocks,
        fixed=_port(nodes) or conflict,
    )


def _port(nodes: dict[str, Any]) -> str:
    for name, node in nodes.items():
        if isinstance(node, nir.Input):
            return f"shares its channels with the input {name}"
        if isinstance(node, nir.Output):
            return f"is read by the output {name}"
    return ""


def _blocks(graph: nir.NIRGraph, n: int, index: dict[str, IntArray]) -> tuple[IntArray, str]:
    """Return the finest blocks that grouped convolutions ask for, and why there are none."""
    finest = np.zeros(n, dtype=np.int64)
    for name, side, groups in _grouped_sides(graph, index):
        own = np.repeat(np.arange(groups), len(index[side]) // groups)
        blocks = _of_channels(index[side], own, n)
        if blocks is None or not (_nests(blocks, finest) or _nests(finest, blocks)):
            return finest, f"the groups of {name} would not stay equal"
        finest = blocks if _nests(blocks, finest) else finest
    return finest, ""


def _grouped_sides(
    graph: nir.NIRGraph, index: dict[str, IntArray]
) -> Iterator[tuple[str, str, int]]:
    """Yield grouped convolutions that read or make a group's channels, and the node these are."""
    for name, node in graph.nodes.items():
        if not _is_grouped(node) or _removes_groups(node):
            continue
        source = sources_of(graph, name)[0]
        for side in (source, name):
            if side in index:
                yield name, side, node.groups


def _of_channels(index: IntArray, own: IntArray, n: int) -> IntArray | None:
    """Return the block of each of a group's channels; None if a channel lies in several."""
    blocks = np.zeros(n, dtype=np.int64)
    blocks[index] = own
    even = len(set(np.bincount(index, minlength=n).tolist())) == 1
    return blocks if even and np.array_equal(blocks[index], own) else None


def _nests(fine: IntArray, coarse: IntArray) -> bool:
    """Return whether every block of `fine` lies in one block of `coarse`."""
    return len(set(zip(fine.tolist(), coarse.tolist(), strict=True))) == len(set(fine.tolist()))
