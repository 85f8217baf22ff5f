"""Every way from a spiking node or an input to the next one, each a linear map in float.

Edges that meet are sums: one way per source. A way over a feedback edge or a delay lags by steps;
a delay that differs between elements is one way per number of steps.
"""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import nir
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.ir.arrays import IntArray
from snndeploy.model import Model
from snndeploy.nirgraph.rebuild import feedback_edges, sources_of
from snndeploy.nirgraph.shapes import normalize_graph, shape_of
from snndeploy.passes.linear import LinearMap, bad_shape, extend, joined, nothing_yet, part
from snndeploy.passes.neuron import NEURONS

MOST_WAYS = 64
"""Ways into one population beyond which replicated synapses are refused."""
DELAY_TOLERANCE = 1e-3
"""A delay this close to a whole number of steps is one: NIR keeps seconds, often as float32."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Way:
    """A linear map on its way from a source.

    Attributes:
        source: the spiking node or input it starts at.
        lag: steps between what the source sends and what arrives.
    """

    source: str
    linear: LinearMap
    lag: int = 0


class Ways:
    """The ways into the nodes of a model, found from each node backwards."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.graph = normalize_graph(model.graph)
        self.lagging = feedback_edges(self.graph)
        self.known: dict[str, tuple[Way, ...]] = {}

    def into(self, name: str) -> tuple[Way, ...]:
        """Return the ways that arrive at a node.

        Raises:
            UnsupportedError: E2101 too many of them, E2135 a biased feedback into a sum, E2136 a
                delay between two steps, and those of `extend`.
            ModelError: E1052, their shapes differ.
        """
        arriving: list[Way] = []
        for source in sources_of(self.graph, name):
            late = (source, name) in self.lagging
            arriving += [self._lagged(way, name) if late else way for way in self._out_of(source)]
        _check(name, arriving)
        return tuple(arriving)

    def _out_of(self, name: str) -> tuple[Way, ...]:
        node = self.graph.nodes[name]
        if isinstance(node, (nir.Input, *NEURONS)):
            return (Way(source=name, linear=nothing_yet(shape_of(node))),)
        if name not in self.known:
            self.known[name] = self._through(name, node)
        return self.known[name]

    def _through(self, name: str, node: Any) -> tuple[Way, ...]:
        arriving = self.into(name)
        if isinstance(node, nir.Delay):
            steps = delay_steps(name, node, self.model.semantics_of(name).dt)
            late = [late for way in arriving for late in _delayed(way, name, steps)]
            return _joined(late, name)
        return extended(arriving, name, node)

    def _lagged(self, way: Way, target: str) -> Way:
        """Return the way with a step of lag.

        What a loop carries before the first step is nothing, or what its weights make of zeros
        (`Semantics.feedback`): their bias then acts in the first step too.
        """
        node, biases = self.graph.nodes[target], way.linear.biases
        zeros_first = self.model.semantics_of(target).feedback == "spike"
        if zeros_first or not biases:
            return replace(way, lag=way.lag + 1)
        if not isinstance(node, NEURONS):
            raise UnsupportedError(
                "E2135",
                "a biased feedback that does not lead straight into a neuron",
                where=target,
                remedy="train the recurrent weights without a bias",
            )
        later = {lag + 1: bias for lag, bias in biases.items()}
        return replace(way, lag=way.lag + 1, linear=replace(way.linear, biases=later))


def extended(arriving: tuple[Way, ...], name: str, node: Any) -> tuple[Way, ...]:
    """Append a linear node to every way; its bias acts once, on the first."""
    return tuple(
        replace(way, linear=extend(way.linear, name, node, biased=not index))
        for index, way in enumerate(arriving)
    )


def delay_steps(name: str, node: Any, dt: float) -> IntArray:
    """Return a delay node's whole steps per element [n].

    Raises:
        UnsupportedError: E2136, a delay is negative or lies between two steps.
    """
    ideal = np.asarray(node.delay, dtype=np.float64).reshape(-1) / dt
    steps = np.rint(ideal)
    wrong = ~((np.abs(ideal - steps) <= DELAY_TOLERANCE) & (steps >= 0))
    if np.any(wrong):
        raise UnsupportedError(
            "E2136",
            f"a delay of {ideal[wrong][0]:.4g} steps is no whole number of them "
            f"({np.count_nonzero(wrong):,} of {len(ideal):,} are not)",
            where=name,
            remedy="round the delays to steps before export, or give the step with "
            "--semantics …,dt=SECONDS",
        )
    return steps.astype(np.int64)


def _delayed(way: Way, name: str, steps: IntArray) -> tuple[Way, ...]:
    """Return the way delayed, one for every number of steps; the others' elements are 0 in it."""
    return tuple(
        replace(
            way,
            lag=way.lag + int(count),
            linear=part(
                way.linear, (steps == count).astype(np.float64), delay=int(count), name=name
            ),
        )
        for count in np.unique(steps)
    )


def _joined(ways: list[Way], name: str) -> tuple[Way, ...]:
    """Add up what came from one source over the same nodes and waited equally long in all."""
    found: dict[tuple[str, int, tuple[str, ...]], Way] = {}
    for way in ways:
        key = (way.source, way.lag, way.linear.nodes)
        same = found.get(key)
        linear = way.linear if same is None else joined(same.linear, way.linear, name=name)
        found[key] = replace(way, linear=linear)
    return tuple(found.values())


def _check(name: str, arriving: list[Way]) -> None:
    if not arriving:
        raise bad_shape(name, (), ())
    if len(arriving) > MOST_WAYS:
        raise UnsupportedError(
            "E2101",
            f"{len(arriving)} sums of spikes or delays meet here; each would need its own copy of "
            f"the weights, {MOST_WAYS} at most",
            where=name,
            remedy="put a spiking layer into the residual stream, or train with fewer delays",
        )
    if len({prod(way.linear.shape) for way in arriving}) > 1:
        first, second = (way.linear.shape for way in arriving[:2])
        raise bad_shape(name, first, second)
