"""One model step of a network as ONNX operators, in model time.

The chip's pipeline is gone: a population's window is its own, so in model step k it takes what its
sources sent in step k (without lag) or k - lag, and starts at 0. That this equals the chip's time
is what `verify_network` proves: nothing reaches a window from outside of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from onnx import TensorProto

from snndeploy.errors import UnsupportedError
from snndeploy.ir.network import Network, Output, Population, Source
from snndeploy.ir.neurons import ACT_SHIFT
from snndeploy.ir.program import INT32
from snndeploy.onnxgraph.nodes import Names, Nodes
from snndeploy.onnxgraph.statements import (
    DOMAIN,
    program_inputs,
    program_outputs,
    wrapped,
    write_program,
)
from snndeploy.onnxgraph.synapses import Sent, Synapses

PAST = "past spikes"
"""The carried value that is no state: what a node sent in the steps before, the last one first.

No word of a program holds a space.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """An input or output of a graph: ONNX type and shape, `B` and `T` where they are free."""

    name: str
    type: int
    shape: tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Carried:
    """A value kept from one model step to the next, 0 at first.

    Attributes:
        owner: population or source.
        word: its state, or `PAST`.
        before: the value a step starts with.
        after: the one it leaves.
    """

    owner: str
    word: str
    before: Port
    after: Port


@dataclass(kw_only=True, slots=True)
class Step:
    """One model step, written into `synapses.nodes`.

    Attributes:
        inline: whether programs are written out at every population.
        prefix: what the names of ports begin with, where the step lies in another graph.
        inputs: a frame per source that the user feeds, [B, *shape].
        carried: states and past spikes.
        spikes: what each population sends [B, n].
        answers: per output what the host reads, in the model's units [B, *shape].
        functions: function name of every neuron program, by the program's name.
    """

    network: Network
    synapses: Synapses
    inline: bool
    prefix: str
    inputs: dict[str, Port] = field(default_factory=dict)
    carried: list[Carried] = field(default_factory=list)
    spikes: dict[str, Port] = field(default_factory=dict)
    answers: dict[str, Port] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)

    @property
    def nodes(self) -> Nodes:
        return self.synapses.nodes

    def port(self, name: str, kind: int, shape: tuple[int | str, ...]) -> Port:
        """Return a port with a fresh name."""
        return Port(name=self.nodes.names.fresh(self.prefix + name), type=kind, shape=shape)

    def carry(self, owner: str, word: str, kind: int, shape: tuple[int | str, ...]) -> Carried:
        """Add a value that is kept between steps."""
        before, after = (self.port(f"{owner}.{word}{end}", kind, shape) for end in ("", ".next"))
        kept = Carried(owner=owner, word=word, before=before, after=after)
        self.carried.append(kept)
        return kept


def write_step(network: Network, *, inline: bool, prefix: str = "") -> Step:
    """Write one model step of a network.

    Args:
        network: a verified network.
        inline: write neuron programs out at every population instead of calling a function.
        prefix: of the names of ports.

    Raises:
        UnsupportedError: E2400 an operation beyond 64 bits, E2401 a sum beyond int32, E2402 a guard
            that acts inside windows.
    """
    step = Step(network=network, synapses=Synapses(Nodes(Names())), inline=inline, prefix=prefix)
    if not inline:
        names = Names()
        programs = dict.fromkeys(p.program.name for p in network.populations)
        step.functions = {name: names.fresh(name) for name in programs}
    sent: dict[str, Sent] = {}
    past: dict[str, Carried] = {}
    for node in network.nodes.values():
        longest = max((projection.lag for projection in network.out_of(node.name)), default=0)
        if longest:
            past[node.name] = step.carry(node.name, PAST, narrow(node), (longest, "B", node.n))
    for source in network.sources:
        sent[source.name] = _source(step, source)
    for population in sorted(network.populations, key=lambda p: p.wave):
        step.nodes.scope = f"{population.name}/"
        arriving = _arriving(step, population, sent, past)
        sent[population.name] = _population(step, population, arriving)
    step.nodes.scope = ""
    for name, kept in past.items():
        _push(step, kept, sent[name])
    for output in network.outputs:
        step.answers[output.name] = _answer(step, output)
    return step


def shape_of_batch(step: Step) -> str:
    """Return the number of samples as a vector of one, from the first input."""
    first = next(iter(step.inputs.values()))
    return step.nodes.op("Shape", first.name, start=0, end=1)


def narrow(node: Source | Population) -> int:
    """Return the ONNX type of what a node sends."""
    return Sent(value="", low=node.low, high=node.high).type


def _source(step: Step, source: Source) -> Sent:
    """Return what a source sends in a step, flat; a guard sends nothing in a window."""
    nodes = step.nodes
    if source.is_given:
        port = step.port(source.name, narrow(source), ("B", *source.shape))
        step.inputs[source.name] = port
        flat = nodes.op("Reshape", port.name, nodes.constant([-1, source.n]))
        return Sent(value=flat, low=source.low, high=source.high)
    network = step.network
    early = network.alone and network.guard > network.depth
    if source.encoding == "guard" and (early or any(p.lag for p in network.out_of(source.name))):
        raise UnsupportedError(
            "E2402",
            "a guard that acts inside of windows",
            where=source.name,
            remedy="compile the model again",
        )
    shape = nodes.op("Concat", shape_of_batch(step), nodes.constant([source.n]), axis=0)
    value = nodes.constant(int(source.encoding == "bias"))
    wide = nodes.op("Expand", value, shape)
    return Sent(value=nodes.op("Cast", wide, to=TensorProto.UINT8), low=0, high=1)


def _push(step: Step, kept: Carried, sent: Sent) -> None:
    """Put what was sent in this step before what was sent earlier."""
    nodes = step.nodes
    newest = nodes.op("Unsqueeze", sent.value, nodes.constant([0]))
    if kept.before.shape[0] == 1:
        nodes.op("Identity", newest, out=kept.after.name)
        return
    ends = (nodes.constant([0]), nodes.constant([-1]), nodes.constant([0]))  # all but the last
    younger = nodes.op("Slice", kept.before.name, *ends)
    nodes.op("Concat", newest, younger, axis=0, out=kept.after.name)


def _arriving(
    step: Step, population: Population, sent: Mapping[str, Sent], past: Mapping[str, Carried]
) -> str:
    """Return a population's input, int64 [B, n]."""
    nodes, network = step.nodes, step.network
    totals: list[str] = []
    most = 0
    for projection in network.into(population.name):
        source = network.nodes[projection.source]
        if isinstance(source, Source) and source.encoding == "guard":
            continue
        value = sent[source.name] if not projection.lag else None
        if value is None:
            lag = nodes.constant(projection.lag - 1)
            then = nodes.op("Gather", past[source.name].before.name, lag, axis=0)
            value = Sent(value=then, low=source.low, high=source.high)
        nodes.scope = f"{population.name}/{projection.name}/"
        total, largest = step.synapses.deliver(projection, value)
        nodes.scope = f"{population.name}/"
        totals.append(total)
        most += largest
    if not totals:  # guards alone
        shape = nodes.op("Concat", shape_of_batch(step), nodes.constant([population.n]), axis=0)
        return nodes.op("Expand", nodes.constant(0), shape)
    total = totals[0]
    for other in totals[1:]:
        total = nodes.op("Add", total, other)
    return wrapped(nodes, total, 32) if most > INT32[1] else total


def _population(step: Step, population: Population, arriving: str) -> Sent:
    """Run a population's program; return what it sends, in the narrowest type."""
    nodes, program = step.nodes, population.program
    words = {"a": arriving}
    after = []
    for state in program.states:
        kept = step.carry(population.name, state.name, TensorProto.INT64, ("B", population.n))
        words[state.name] = kept.before.name
        after.append(kept.after.name)
    for key in program.params:
        words[key] = step.synapses.keep(population.name, key, population.params[key])
    if step.inline:
        emitted, *states = write_program(nodes, program, words)
        for value, out in zip(states, after, strict=True):
            nodes.op("Identity", value, out=out)
    else:
        given = [words[word] for word in program_inputs(program)]
        name = step.functions[program.name]
        assert len(program_outputs(program)) == 1 + len(after)
        emitted, *_ = nodes.ops(name, *given, outs=("", *after), domain=DOMAIN)
    port = step.port(f"{population.name}.spikes", narrow(population), ("B", population.n))
    nodes.op("Cast", emitted, out=port.name, to=port.type)
    step.spikes[population.name] = port
    return Sent(value=port.name, low=population.low, high=population.high)


def _answer(step: Step, output: Output) -> Port:
    """Return what the host reads, as `snndeploy.ir.readout` does, in float64."""
    nodes = step.nodes
    nodes.scope = f"{output.name}/"
    if output.readout == "spikes":
        value = step.spikes[output.population].name
    else:
        (v,) = (c for c in step.carried if (c.owner, c.word) == (output.population, "v"))
        value = v.after.name
        if output.readout == "increment":
            value = nodes.op("Sub", value, v.before.name)
    real = nodes.op("Cast", value, to=TensorProto.DOUBLE)
    factor = step.synapses.initializer(f"{output.name}.scale", np.array(output.scale))
    scaled = nodes.op("Mul", real, factor)
    if output.readout != "spikes":
        unit = step.synapses.initializer(f"{output.name}.unit", np.array(float(1 << ACT_SHIFT)))
        scaled = nodes.op("Div", scaled, unit)
    port = step.port(output.name, TensorProto.DOUBLE, ("B", *output.shape))
    nodes.op("Reshape", scaled, nodes.constant([-1, *output.shape]), out=port.name)
    nodes.scope = ""
    return port
