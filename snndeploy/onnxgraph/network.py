"""A network as an ONNX model: one step with its states in and out, or whole samples as a Scan."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from onnx import ModelProto, NodeProto, ValueInfoProto, helper, numpy_helper

from snndeploy.errors import UnsupportedError
from snndeploy.ir.network import Network
from snndeploy.onnxgraph.nodes import Nodes
from snndeploy.onnxgraph.statements import DOMAIN, DOMAIN_VERSION, OPSET, program_function
from snndeploy.onnxgraph.step import PAST, Carried, Port, Step, write_step
from snndeploy.onnxgraph.weights import Stored

Form = Literal["sequence", "step"]
IR_VERSION = 8
"""The first with functions; as old as possible, so that most tools read it."""
MOST_BYTES = (1 << 31) - 1
"""Protobuf's limit of a message."""
FREE_BYTES = 1 << 24
"""Left for nodes and names."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class OnnxNetwork:
    """A network as ONNX, and which of its values is what.

    Attributes:
        inputs: per source that the user feeds its input.
        answers: per output of the network what the host reads, in the model's units.
        spikes: per recorded population what it sent.
        states: per recorded population and state the state after the step.
        carried: states and past spikes that a caller of the `step` form feeds back; else empty.
        arrays: per array of the network (`owner.key`) its initializer, and how weights lie in it.
    """

    model: ModelProto
    form: Form
    inputs: dict[str, Port]
    answers: dict[str, Port]
    spikes: dict[str, Port]
    states: dict[tuple[str, str], Port]
    carried: tuple[Carried, ...]
    arrays: dict[str, tuple[str, Stored | None]]


def write_network(
    network: Network,
    form: Form = "sequence",
    *,
    record: tuple[str, ...] = (),
    inline: bool = False,
) -> OnnxNetwork:
    """Write a network as ONNX; the same network gives the same model.

    Args:
        network: a verified network.
        form: `step`: frames and states in, answers, all spikes and states out; `sequence`: all
            frames [T, B, …] in, the answers of every step out, for any T and B.
        record: populations whose spikes and states a sequence returns too.
        inline: write programs out instead of calling functions of `DOMAIN`.

    Raises:
        UnsupportedError: see `write_step`; E2403, larger than protobuf allows.
    """
    if form == "step":
        step = write_step(network, inline=inline)
        _check_size(step)
        return _finish(step, form, step.nodes.nodes, tuple(step.carried), _ports_of_step(step))
    step = write_step(network, inline=inline, prefix="step/")
    _check_size(step)
    nodes, ports = _scanned(step, tuple(p for p in step.spikes if p in record))
    return _finish(step, form, nodes, (), ports)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Ports:
    """Inputs and outputs of the whole graph, by what they are; see `OnnxNetwork`."""

    inputs: dict[str, Port]
    answers: dict[str, Port]
    spikes: dict[str, Port]
    states: dict[tuple[str, str], Port]


def _ports_of_step(step: Step) -> _Ports:
    states = {(c.owner, c.word): c.after for c in step.carried if c.word != PAST}
    return _Ports(inputs=step.inputs, answers=step.answers, spikes=step.spikes, states=states)


def _scanned(step: Step, recorded: tuple[str, ...]) -> tuple[list[NodeProto], _Ports]:
    """Return nodes and ports of the graph that runs a step over time with one Scan."""
    inner, outer = step.nodes, Nodes(step.nodes.names)

    def stacked(port: Port) -> Port:
        name = outer.names.fresh(port.name.removeprefix(step.prefix))
        return Port(name=name, type=port.type, shape=("T", *port.shape))

    inputs = {name: stacked(port) for name, port in step.inputs.items()}
    first = next(iter(inputs.values())).name
    batch = outer.op("Shape", first, start=1, end=2)
    started = [_zeros(outer, batch, kept.before) for kept in step.carried]
    kept = {
        (c.owner, c.word): c.after for c in step.carried if c.word != PAST and c.owner in recorded
    }
    copies = {  # a value leaves a graph once, and as a state it does already
        key: replace(port, name=inner.op("Identity", port.name)) for key, port in kept.items()
    }
    leaving = [*step.answers.values(), *(step.spikes[name] for name in recorded), *copies.values()]
    body = helper.make_graph(
        inner.nodes,
        "step",
        [_info(c.before) for c in step.carried] + [_info(p) for p in step.inputs.values()],
        [_info(c.after) for c in step.carried] + [_info(p) for p in leaving],
    )
    ports = _Ports(
        inputs=inputs,
        answers={name: stacked(port) for name, port in step.answers.items()},
        spikes={name: stacked(step.spikes[name]) for name in recorded},
        states={key: stacked(port) for key, port in kept.items()},
    )
    outs = [*ports.answers.values(), *ports.spikes.values(), *ports.states.values()]
    outer.ops(
        "Scan", *started, *(port.name for port in inputs.values()),
        outs=(*("" for _ in started), *(port.name for port in outs)),
        body=body, num_scan_inputs=len(inputs),
    )  # fmt: skip
    return outer.nodes, ports


def _zeros(nodes: Nodes, batch: str, port: Port) -> str:
    """Return the start of a value that is carried."""
    lead, n = port.shape[:-2], port.shape[-1]
    assert isinstance(n, int)
    parts = [batch, nodes.constant([n])]
    if lead:
        parts.insert(0, nodes.constant([int(lead[0])]))
    shape = nodes.op("Concat", *parts, axis=0)
    zero = helper.make_tensor("zero", port.type, [1], [0])
    return nodes.op("ConstantOfShape", shape, value=zero)


def _finish(
    step: Step, form: Form, nodes: list[NodeProto], carried: tuple[Carried, ...], ports: _Ports
) -> OnnxNetwork:
    """Put nodes, ports, arrays and functions together."""
    inputs = [*ports.inputs.values(), *(c.before for c in carried)]
    past = [c.after for c in carried if c.word == PAST]
    outputs = [
        *ports.answers.values(), *ports.spikes.values(), *ports.states.values(), *past
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "network",
        [_info(port) for port in inputs],
        [_info(port) for port in outputs],
        initializer=[
            numpy_helper.from_array(np.asarray(array), name)
            for name, array in step.synapses.initializers.items()
        ],
    )
    programs = {p.program.name: p.program for p in step.network.populations}
    domains = [("", OPSET), *([] if step.inline else [(DOMAIN, DOMAIN_VERSION)])]
    model = helper.make_model(
        graph,
        producer_name="snndeploy",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid(*domain) for domain in domains],
        functions=[program_function(programs[p], name) for p, name in step.functions.items()],
    )
    return OnnxNetwork(
        model=model,
        form=form,
        inputs=ports.inputs,
        answers=ports.answers,
        spikes=ports.spikes,
        states=ports.states,
        carried=carried,
        arrays=step.synapses.arrays,
    )


def _check_size(step: Step) -> None:
    size = sum(array.nbytes for array in step.synapses.initializers.values())
    if size > MOST_BYTES - FREE_BYTES:
        raise UnsupportedError(
            "E2403",
            f"arrays of {size:,} bytes; an ONNX file holds {MOST_BYTES:,} in all",
            where=step.network.name,
            remedy="export a smaller network",
        )


def _info(port: Port) -> ValueInfoProto:
    return helper.make_tensor_value_info(port.name, port.type, port.shape)
