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
from snndeploy.nirgraph.loops import check_loops
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.nirgraph.rebuild import feedback_edges, sources_of
from snndeploy.nirgraph.shapes import normalize_graph, shape_of
from snndeploy.passes.compose import scaled
from snndeploy.passes.linear import LinearMap, bad_shape, extend, joined, nothing_yet, part
from snndeploy.passes.neuron import NEURONS
from snndeploy.passes.program import MOST_SPIKES
from snndeploy.passes.sums import Stream, SumRule, counted, memory_of, stream_bits, whole_step

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

    def __init__(self, model: Model, sums: SumRule | None = None) -> None:
        """Read a model; without a rule for sums every source gets its own copy of the weights.

        Raises:
            UnsupportedError: E2021 or E2030, a loop without a neuron or with several entries.
        """
        self.model = model
        self.graph = normalize_graph(model.graph)
        check_loops(self.graph)
        self.lagging = feedback_edges(self.graph)
        self.known: dict[str, tuple[Way, ...]] = {}
        delayed = any(isinstance(node, nir.Delay) for node in self.graph.nodes.values())
        # a population more in a loop needs a step of lag more, and none that lags can be silenced
        self.rule = None if delayed or self.lagging else sums
        self.streams: dict[tuple[object, ...], Stream] = {}

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
        apart = extended(arriving, name, node)
        weighs = isinstance(node, nir.Linear | nir.Affine | nir.Conv1d | nir.Conv2d)
        if self.rule is None or not weighs or len(arriving) < 2:
            return apart
        return self._cheaper(self.rule, name, arriving, apart)

    def _cheaper(
        self, rule: SumRule, name: str, arriving: tuple[Way, ...], apart: tuple[Way, ...]
    ) -> tuple[Way, ...]:
        """Return the ways behind weights, or one way from a stream of their sum if that is smaller.

        A stream that exists already costs nothing more.
        """
        stream = self._stream(rule, name, arriving)
        if stream is None:
            return apart
        start = nothing_yet(stream.shape)
        summed = replace(
            start, form=scaled(start.form, stream.step), factor=np.full(1, stream.step)
        )
        together = extended((Way(source=stream.name, linear=summed),), name, self.graph.nodes[name])
        copies = memory_of([way.linear.form for way in apart], rule.memory)
        once = memory_of([way.linear.form for way in together], rule.memory)
        if stream not in self.streams.values():
            once += memory_of(list(stream.forms), rule.memory)
        names = " + ".join(stream.sources)
        costs = f"{copies:,} bits of synapses as copies of {name}, {once:,} as a stream of integers"
        chosen, kept = ("stream", together) if once < copies else ("copies", apart)
        if kept is together:
            self.streams.setdefault(_key(arriving), stream)
        note = f"{names}: {costs}; {chosen} chosen"
        return tuple(
            replace(way, linear=replace(way.linear, notes=(*way.linear.notes, note)))
            for way in kept
        )

    def _stream(self, rule: SumRule, name: str, arriving: tuple[Way, ...]) -> Stream | None:
        """Return the sum as a stream of integers, None where it is none or no message holds it."""
        found = self.streams.get(_key(arriving))
        if found is not None:
            return found
        sources = [self.graph.nodes.get(way.source) for way in arriving]
        spiking = all(isinstance(s, NEURONS) and not isinstance(s, Microcode) for s in sources)
        biased = any(way.linear.biases for way in arriving)
        forms = [way.linear.form for way in arriving]
        step = whole_step(forms) if spiking and not biased else None
        if step is None:
            return None
        whole = [counted(form, step) for form in forms]
        most = [
            MOST_SPIKES if self.model.semantics_of(way.source).multi_spike else 1
            for way in arriving
        ]
        if stream_bits(whole, most) > rule.message_bits:
            return None
        return Stream(
            name=f"{name}.sum",
            shape=arriving[0].linear.shape,
            sources=tuple(way.source for way in arriving),
            nodes=tuple(way.linear.nodes for way in arriving),
            forms=tuple(whole),
            step=step,
        )

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


def _key(arriving: tuple[Way, ...]) -> tuple[object, ...]:
    """Return what tells one sum from another: sources and the nodes behind them."""
    return tuple((way.source, way.linear.nodes) for way in arriving)


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
