"""The `.nir` export: a model as it is, or a network with its integers as the values of the weights.

A network's units are its own: one unit arriving is 1, a threshold is so many units. Gains are
written so that Euler steps of `DT` add the input as it is, which is how snnTorch and SpikingJelly
write theirs; how states round is in the metadata (`integer`), so that reading the file back and
compiling it gives the same integers. What NIR has no plain node for is refused.

Other programs read IF, LIF and CubaLIF each in its own way: SpikingJelly and snnTorch as we write
them; Norse without the gain of a LIF; sinabs as neurons that subtract, may fire several times and
stop at minus their threshold, with tau in steps, and without Linear, AvgPool2d and CubaLIF. Where
that is the neuron that was written, their spikes are the same in every cell.
"""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nir
import numpy as np

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.netx_file import BETWEEN, DT, FULL_DECAY, INTEGER, decay_time
from snndeploy.frontends.nir_file import UNREADABLE, read, write
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import ACT_SHIFT, LIF, NEVER
from snndeploy.ir.programs import LIF_CLAMPED, LIF_SUBTRACT
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse
from snndeploy.model import InputPort, Model, OutputPort
from snndeploy.nirgraph import plain
from snndeploy.nirgraph.metadata import with_semantics
from snndeploy.nirgraph.rebuild import build_graph
from snndeploy.nirgraph.shapes import normalize_graph
from snndeploy.semantics import Reset

UNIT = 1 << ACT_SHIFT
UNTYPED = (
    f"nir {nir.version} reads it with type_check=False only: it computes wrong shapes of grouped "
    "convolutions and of kernels that are not square"
)
MOST_CELLS = 1 << 26
"""Largest matrix that a list of synapses is written as."""


def model_file(model: Model) -> tuple[bytes, tuple[str, ...], tuple[str, ...]]:
    """Return a model as a `.nir` file that was read back: bytes, what was compared, notes.

    Raises:
        UnsupportedError: E2020, a node that NIR does not have.
    """
    data, is_typed = _written(model)
    n_nodes = len(model.graph.nodes)
    checks = (f"read back: the same graph of {n_nodes} nodes, ports and semantics",)
    return data, checks, () if is_typed else (UNTYPED,)


def network_file(network: Network) -> tuple[bytes, tuple[str, ...], tuple[str, ...]]:
    """Return a network as a `.nir` file; see `model_file`.

    Raises:
        UnsupportedError: E2417 to E2419, what NIR cannot say.
    """
    data, checks, untyped = model_file(model_of(network))
    notes = [*untyped, "weights, thresholds and inputs are the network's integers"]
    for source in network.sources:
        if source.encoding == "graded":
            notes.append(
                f"input {source.name} takes integers {source.low}..{source.high}: the user's "
                f"values by {source.scale:g}, rounded"
            )
        if source.encoding == "rate":
            notes.append(f"input {source.name} takes spikes, drawn at x / {source.scale:g}")
    scaled = (output for output in network.outputs if output.scale != 1.0)
    notes += [f"output {output.name} is in units of {output.scale:g}" for output in scaled]
    if any(_leaks(population) for population in network.populations):
        notes.append(
            "other programs decay without rounding: their spikes may differ in leaky layers"
        )
    return data, checks, tuple(notes)


def _written(model: Model) -> tuple[bytes, bool]:
    """Write a model, read it back, compare; return the file, and whether nir's own check passes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.nir"
        write(model, path)
        data, again = path.read_bytes(), read(path)
        try:
            nir.read(str(path))
            is_typed = True
        except UNREADABLE:
            is_typed = False
    want, got = (normalize_graph(m.graph) for m in (model, again))
    same = set(want.edges) == set(got.edges) and set(want.nodes) == set(got.nodes)
    for name, node in want.nodes.items():
        same = same and _same(plain.to_record(node), plain.to_record(got.nodes[name]))
    same = same and (set(model.inputs), set(model.outputs)) == (
        set(again.inputs), set(again.outputs)
    )  # fmt: skip
    assert same, "a .nir file read back as another graph"
    assert (model.semantics, model.steps) == (again.semantics, again.steps)
    return data, is_typed


def _same(mine: Any, other: Any) -> bool:
    if isinstance(mine, dict):
        return set(mine) == set(other) and all(_same(mine[key], other[key]) for key in mine)
    return bool(np.array_equal(np.asarray(mine), np.asarray(other)))


# ---- a network as a model ----------------------------------------------------------------


@dataclass(kw_only=True, slots=True)
class _Graph:
    """Nodes and edges while they are written."""

    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def add(self, wanted: str, node: Any, *after: str) -> str:
        """Add a node behind others; return its name, which NIR and torch modules can hold."""
        base = name = re.sub(r"\W+", "_", wanted, flags=re.ASCII)
        number = 1
        while name in self.nodes:
            number += 1
            name = f"{base}_{number}"
        self.nodes[name] = node
        self.edges += [(source, name) for source in after]
        return name


def model_of(network: Network) -> Model:
    """Return a network as a model that computes in its integers.

    Raises:
        UnsupportedError: E2417 a neuron, E2418 a connection, E2419 a bias or an output.
    """
    graph = _Graph()
    for source in network.sources:
        if not source.is_given:
            raise _refusal("E2418", source.name, f"a {source.encoding} source of the chip")
        node = nir.Input(input_type={"input": np.array(source.shape)})
        graph.names[source.name] = graph.add(source.name, node)
    read_out = {output.population for output in network.outputs}
    shapes: dict[str, tuple[int, ...]] = {source.name: source.shape for source in network.sources}
    for population in sorted(network.populations, key=lambda p: p.wave):
        population = replace(population, shape=_shape(network, population, shapes))
        arriving = _arriving(graph, network, population, shapes)
        shapes[population.name] = population.shape
        if _is_integrator(population) and population.name in read_out:
            if len(arriving) > 1:
                raise _refusal("E2419", population.name, "a readout that several connections feed")
            (graph.names[population.name],) = arriving
            continue
        node = _neuron(population)
        graph.names[population.name] = graph.add(population.name, node, *arriving)
    outputs = [_output(graph, network, output, shapes) for output in network.outputs]
    return Model(
        graph=build_graph(graph.nodes, graph.edges),
        semantics=INTEGER,
        inputs=tuple(_input_port(graph.names[s.name], s) for s in network.sources),
        outputs=tuple(outputs),
        steps=network.steps or None,
        notes=(),
        origin=network.name,
    )


def _input_port(name: str, source: Source) -> InputPort:
    return InputPort(
        name=name,
        shape=source.shape,
        values="real" if source.is_graded else "spikes",
        low=float(source.low),
        high=float(source.high),
        repeat=source.repeat,
    )


def _shape(
    network: Network, population: Population, shapes: dict[str, tuple[int, ...]]
) -> tuple[int, ...]:
    """Return the shape of a population's node: flat behind a matrix, which makes no images."""
    for projection in network.into(population.name):
        source = shapes.get(projection.source, population.shape)
        is_flat = isinstance(projection.synapse, OneToOne) and source == (population.n,)
        if is_flat or isinstance(projection.synapse, Dense | Sparse):
            return (population.n,)
    return population.shape


def _output(
    graph: _Graph, network: Network, output: Output, shapes: dict[str, tuple[int, ...]]
) -> OutputPort:
    population = network.population[output.population]
    wanted = "increment" if _is_integrator(population) else "spikes"
    if output.readout != wanted:
        raise _refusal("E2419", output.name, f"an output that reads {output.readout}")
    shape = shapes[population.name]
    node = nir.Output(output_type={"output": np.array(shape)})
    name = graph.add(output.name, node, graph.names[population.name])
    return OutputPort(name=name, shape=shape, decode=output.decode)


def _arriving(
    graph: _Graph, network: Network, population: Population, shapes: dict[str, tuple[int, ...]]
) -> list[str]:
    """Add the connections into a population; return the last node of each."""
    ends = []
    bias = np.zeros(1)
    if not _has_current(population):
        bias = _bias(population)
    for projection in network.into(population.name):
        if projection.lag:
            raise _refusal("E2418", projection.name, "a connection that lags (a loop or a delay)")
        source, shape = graph.names[projection.source], shapes[projection.source]
        nodes = list(_connection(projection, population, shape, bias))
        bias = 0 * bias  # it acts once
        for index, node in enumerate(nodes):
            kind = "" if index == len(nodes) - 1 else f"_{type(node).__name__.lower()}"
            source = graph.add(f"{projection.source}_to_{population.name}{kind}", node, source)
        ends.append(source)
    return ends


def _connection(
    projection: Projection, population: Population, shape: tuple[int, ...], bias: FloatArray
) -> Iterator[Any]:
    """Yield the nodes of one projection, weights with their exponent."""
    synapse = projection.synapse
    match synapse:
        case Dense() | Sparse():
            if len(shape) > 1:
                flat = {"input": np.array(shape)}
                yield nir.Flatten(input_type=flat, start_dim=0, end_dim=-1)
            yield _affine(projection, population, bias)
        case Conv():
            _check_image(projection, population, synapse.out_shape)
            yield _conv(projection, synapse, shape, bias)
        case Pool():
            _check_image(projection, population, synapse.out_shape)
            _no_bias(projection, bias)
            yield from _pool(projection, synapse, shape)
        case OneToOne(weight=weight):
            _no_bias(projection, bias)
            if shape != population.shape:
                raise _refusal("E2418", projection.name, "neurons in another order of axes")
            scale = _times_exponent(projection, weight).reshape(shape)
            yield nir.Scale(scale=scale.astype(np.float64))


def _check_image(projection: Projection, population: Population, made: tuple[int, ...]) -> None:
    if population.shape not in (made, (made[0], made[2])):
        raise _refusal("E2418", projection.name, f"an image for neurons {population.shape}")


def _affine(projection: Projection, population: Population, bias: FloatArray) -> Any:
    """Return an affine map even without a bias: sinabs knows no `Linear`."""
    if len(population.shape) > 1:
        raise _refusal("E2418", projection.name, "a matrix that makes an image")
    matrix = _times_exponent(projection, _matrix(projection)).astype(np.float64)
    every = np.broadcast_to(bias, population.n)
    return nir.Affine(weight=matrix, bias=np.array(every, dtype=np.float64))


def _pool(projection: Projection, pool: Pool, shape: tuple[int, ...]) -> Iterator[Any]:
    """Yield a sum of windows, scaled where a spike counts for more than one."""
    if shape != pool.in_shape:
        raise _refusal("E2418", projection.name, f"an image of {pool.in_shape} from {shape}")
    pairs = (pool.kernel, pool.stride, pool.padding)
    yield nir.SumPool2d(*(np.array(pair) for pair in pairs))
    (weight,) = _times_exponent(projection, np.array([pool.weight]))
    if weight != 1:
        yield nir.Scale(scale=np.full(pool.out_shape, float(weight)))


def _conv(projection: Projection, conv: Conv, shape: tuple[int, ...], bias: FloatArray) -> Any:
    channels = conv.out_shape[0]
    one_d = len(shape) == 2
    if shape not in (conv.in_shape, (conv.in_shape[0], conv.in_shape[2])):
        raise _refusal("E2418", projection.name, f"an image of {conv.in_shape} from {shape}")
    every = np.broadcast_to(bias, conv.n_out).reshape(channels, -1)
    if np.any(every != every[:, :1]):
        raise _refusal("E2419", projection.name, "a bias that differs within a channel")
    weight = _times_exponent(projection, conv.weight).astype(np.float64)
    if one_d:
        return nir.Conv1d(
            input_shape=shape[1], weight=weight[:, :, 0], stride=conv.stride[1],
            padding=conv.padding[1], dilation=conv.dilation[1], groups=conv.groups,
            bias=np.array(every[:, 0]),
        )  # fmt: skip
    return nir.Conv2d(
        input_shape=conv.in_shape[1:], weight=weight, stride=conv.stride, padding=conv.padding,
        dilation=conv.dilation, groups=conv.groups, bias=np.array(every[:, 0]),
    )  # fmt: skip


def _matrix(projection: Projection) -> IntArray:
    synapse = projection.synapse
    if isinstance(synapse, Dense):
        return synapse.weight
    assert isinstance(synapse, Sparse)
    if synapse.n_in * synapse.n_out > MOST_CELLS:
        raise _refusal("E2418", projection.name, "a list of synapses too large for a matrix")
    matrix = np.zeros((synapse.n_out, synapse.n_in), dtype=np.int64)
    matrix[synapse.rows, synapse.indices] = synapse.weight
    return matrix


def _times_exponent(projection: Projection, weight: IntArray) -> IntArray:
    exponent = projection.weight_exp
    if exponent >= 0:
        return weight << exponent
    smaller = weight >> -exponent
    if np.any(smaller << -exponent != weight):
        raise _refusal("E2418", projection.name, f"sums that are shifted right by {-exponent}")
    return smaller


def _no_bias(projection: Projection, bias: FloatArray) -> None:
    if bias.any():
        raise _refusal("E2419", projection.name, "a bias where there are no weights to carry it")


def _has_current(population: Population) -> bool:
    """Whether a synaptic current lasts; then a bias enters behind it, into the potential."""
    return bool(np.any(population.params.get("du", np.full(1, 4095)) < 4095))


def _bias(population: Population) -> FloatArray:
    """Return what a population adds every step, in units, [1] or [n]."""
    if "bias_mant" not in population.params:
        return np.zeros(1)
    return np.asarray((population.params["bias_mant"] << population.params["bias_exp"]) / UNIT)


def _is_integrator(population: Population) -> bool:
    """Whether a population sums its input and never fires."""
    if population.program != LIF or population.scalar("vth") < NEVER:
        return False
    return (population.scalar("du"), population.scalar("dv")) == (4095, 0)


def _leaks(population: Population) -> bool:
    decays = (population.params.get(name, np.zeros(1)) for name in ("du", "dv"))
    return any(bool(np.any((d > 0) & (d < 4095))) for d in decays)


def _neuron(population: Population) -> Any:
    """Return a population's neuron with its semantics; E2417 for what NIR has no node for."""
    program, params = population.program, population.params
    if program not in (LIF, LIF_SUBTRACT, LIF_CLAMPED):
        raise _refusal("E2417", population.name, f"neurons of program {program.name}")
    if any(len(np.unique(params[k])) > 1 for k in params if k not in ("bias_mant", "bias_exp")):
        raise _refusal("E2417", population.name, "registers that differ between its neurons")
    value = {name: int(values[0]) for name, values in params.items()}
    drive = np.zeros(1)
    if _has_current(population):
        drive = np.broadcast_to(_bias(population), population.n).reshape(population.shape)
        if drive.any() and not value["dv"]:
            raise _refusal("E2419", population.name, "a bias beside a current that never leaks")
    reset: Reset = "subtract" if program == LIF_SUBTRACT else "zero"
    threshold, compare, v_min = _threshold(population, value)
    if threshold <= 0:
        raise _refusal("E2417", population.name, "a threshold at its reset")
    du, dv = value["du"] + 1, value["dv"]
    one = np.ones(population.shape)
    levels = {"v_threshold": threshold * one, "v_reset": 0 * one}
    if (du, dv) == (FULL_DECAY, 0):
        node: Any = nir.IF(r=one / DT, **levels)
    else:
        tau = decay_time(dv)
        leak = {"r": tau / DT * one, "v_leak": drive * FULL_DECAY / max(dv, 1) * one}
        if du < FULL_DECAY:
            tau_syn = decay_time(du)
            node = nir.CubaLIF(
                tau_syn=tau_syn * one, tau_mem=tau * one, w_in=tau_syn / DT * one, **leak, **levels
            )
        else:
            node = nir.LIF(tau=tau * one, **leak, **levels)
    semantics = replace(INTEGER, reset=reset, compare=compare, v_min=v_min)
    return with_semantics(node, semantics)


def _threshold(population: Population, value: dict[str, int]) -> tuple[float, Any, float | None]:
    """Return threshold in units, the comparison, and the clamp in thresholds.

    A threshold between two states is passed by the same ones whether `>` or `>=` is asked for, so
    other programs agree; where a spike takes it away, or a clamp counts in it, it stays.
    """
    if population.program == LIF:
        return value["vth"] + BETWEEN, "gt", None
    state = value["vth_state"]
    compare = "gt"
    if population.program == LIF_SUBTRACT:
        if value["drop"] not in (state, state + 1):
            raise _refusal("E2417", population.name, "a spike that takes another threshold away")
        compare, state = ("gt" if value["drop"] == state else "ge"), value["drop"]
    floor = value["v_min"]
    if floor <= -((1 << 23) - 1):
        return state / UNIT + BETWEEN * (population.program == LIF_CLAMPED), compare, None
    if state <= 0 or floor % state:
        raise _refusal("E2417", population.name, "a clamp that is no multiple of the threshold")
    return state / UNIT, compare, floor / state


def _refusal(code: str, where: str, what: str) -> UnsupportedError:
    return UnsupportedError(
        code,
        f"NIR has no plain form for {what}",
        where=where,
        remedy="export onnx, which holds any network",
    )
