"""Compile a trained model: every stage in order, in one function."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from snndeploy.errors import UnsupportedError, UsageError, Violation
from snndeploy.ir.network import Network, Source
from snndeploy.ir.placement import Placement
from snndeploy.ir.verify_network import range_problems, verify_network
from snndeploy.mapping.memory import whole_bits
from snndeploy.mapping.place import place
from snndeploy.model import InputPort, Model
from snndeploy.nirgraph.canonical import NEURONS
from snndeploy.nirgraph.split import split_after
from snndeploy.passes.discretize import discretize
from snndeploy.passes.guard import schedule
from snndeploy.passes.layer_report import LayerReport
from snndeploy.passes.layers import LayerGraph, layers_of
from snndeploy.passes.sums import SumRule
from snndeploy.target import Numerics, Target

Encode = Literal["auto", "spikes", "graded", "rate"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CompileOptions:
    """What the user chooses.

    Attributes:
        steps: model steps per sample (P); None takes the model's own; 0 has no end: no resets, the
            network runs as long as its input does.
        weight_bits: stored bits per weight, 2..8.
        host_layers: leading weight layers, with their neurons, that the host computes in float.
        encode: how real inputs become integers; `auto` is `graded` where the chip carries
            payloads and `spikes` for spike inputs.
        input_bits: bits of a graded input, sign included.
        seed: of rate coding.
        one_at_a_time: the host clears the chip before every sample; otherwise samples are streamed
            wherever they provably do not touch.
    """

    steps: int | None = None
    weight_bits: int = 8
    host_layers: int = 0
    encode: Encode = "auto"
    input_bits: int = 8
    seed: int = 0
    one_at_a_time: bool = False


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Compiled:
    """All that compilation produced.

    Attributes:
        model: the imported model, as lowered (float).
        host: the leading layers that the host computes, None if there are none.
        network: the one integer network.
        layers: how each population's numbers were chosen, and whether that is exact.
        placement: neurons on cores; None if the network does not fit.
        violations: every rule that is broken; empty means it fits.
    """

    options: CompileOptions
    target: Target
    model: Model
    host: Model | None
    network: Network
    layers: tuple[LayerReport, ...]
    placement: Placement | None
    violations: tuple[Violation, ...]


def compile_model(model: Model, target: Target, options: CompileOptions) -> Compiled:
    """Compile a model for a target; the returned value says whether it fits.

    Raises:
        UnsupportedError: a construct that cannot be deployed exactly.
        ModelError: values that no integer network can hold.
        UsageError: options that contradict the model.
    """
    numerics = target.chip.numerics
    steps = steps_for(model, options)
    host, on_chip = _split(model, options.host_layers)
    sources, graph = layers_for(on_chip, numerics, options)
    network, reports = discretize(
        on_chip, graph, sources, numerics, steps=steps, weight_bits=options.weight_bits
    )
    network = schedule(network, numerics, alone=options.one_at_a_time)
    network = replace(network, facts={**network.facts, **_step_time(model)})
    verify_network(network)
    unproven = [problem for problem in range_problems(network) if steps or "clips" not in problem]
    assert not unproven, f"discretize left a range unproven: {unproven[0]}"
    placed = place(network, target.chip)
    placement = placed if isinstance(placed, Placement) else None
    broken = target.check(network) + (() if isinstance(placed, Placement) else placed)
    return Compiled(
        options=options,
        target=target,
        model=on_chip,
        host=host,
        network=network,
        layers=reports,
        placement=None if broken else placement,
        violations=broken,
    )


def _step_time(model: Model) -> dict[str, str]:
    """Return seconds per step as a fact of a network; none where its neurons differ."""
    names = (name for name, node in model.graph.nodes.items() if isinstance(node, NEURONS))
    steps = {model.semantics_of(name).dt for name in names} or {model.semantics.dt}
    return {"dt_s": repr(steps.pop())} if len(steps) == 1 else {}


def layers_for(
    model: Model, numerics: Numerics, options: CompileOptions
) -> tuple[tuple[Source, ...], LayerGraph]:
    """Return how the host encodes a model's inputs, and the model cut into layers.

    Raises:
        UnsupportedError: E2107 (nothing is left for the chip), and those of `layers_of`.
        UsageError: E5014, more weight bits than the chip has, and those of `choose_source`.
    """
    whole = model.semantics.integer
    sources = tuple(choose_source(p, options, numerics, integer=whole) for p in model.inputs)
    weight_bits = _weight_bits(options, numerics)
    sums = SumRule(
        message_bits=numerics.message_bits, memory=partial(whole_bits, weight_bits=weight_bits)
    )
    graph = layers_of(model, sums)
    if not graph.layers:
        raise UnsupportedError(
            "E2107",
            "nothing is left for the chip",
            where="--host-layers",
            remedy="leave at least one layer to the chip",
        )
    return sources, graph


def choose_source(
    port: InputPort, options: CompileOptions, numerics: Numerics, *, integer: bool = False
) -> Source:
    """Choose how the host makes integers of the user's input.

    Graded inputs use a symmetric scale without zero point: the largest declared magnitude is the
    largest integer of `input_bits` bits. An `integer` model takes those of its range as they are.

    Raises:
        UnsupportedError: E2110, the chip carries binary spikes only.
        UsageError: E5011, the encoding does not suit the input; E5012, bits out of range; E5016,
            the range of real inputs is not known.
    """
    encode, unknown = options.encode, not np.isfinite([port.low, port.high]).all()
    if encode == "auto":
        encode = "spikes" if port.values == "spikes" else "graded"
    if unknown and encode != "spikes":
        raise UsageError(
            "E5016",
            "the model does not say in which range its input lies",
            where=port.name,
            remedy="give --input-range LOW HIGH, or --encode spikes if it takes spikes",
        )
    if encode == "spikes":
        if port.values == "real" and not unknown:
            raise UsageError(
                "E5011",
                "the model's input is real numbers, not spikes",
                where="--encode spikes",
                remedy="use --encode graded or --encode rate",
            )
        return Source(name=port.name, shape=port.shape, repeat=port.repeat)
    largest = max(abs(port.low), abs(port.high))
    if encode == "rate":
        if port.low < 0:
            raise UsageError(
                "E5011",
                f"the input goes down to {port.low:g}; a rate cannot be negative",
                where="--encode rate",
                remedy="use --encode graded, or shift the input before training",
            )
        return Source(
            name=port.name, shape=port.shape, encoding="rate", scale=largest, repeat=port.repeat
        )
    if numerics.message_bits == 0:
        raise UnsupportedError(
            "E2110",
            "real inputs need payloads; this chip's spikes are binary",
            where=port.name,
            remedy="use --encode rate, or --host-layers 1",
        )
    if integer and float(port.low).is_integer() and float(port.high).is_integer():
        low, high = int(port.low), int(port.high)
        return Source(
            name=port.name, shape=port.shape, low=low, high=high, encoding="graded",
            repeat=port.repeat,
        )  # fmt: skip
    if not 2 <= options.input_bits <= min(numerics.message_bits, 16):
        raise UsageError(
            "E5012",
            f"{options.input_bits} input bits, allowed 2 to {min(numerics.message_bits, 16)}",
            where="--input-bits",
            remedy="use 8",
        )
    high = (1 << (options.input_bits - 1)) - 1
    return Source(
        name=port.name,
        shape=port.shape,
        low=-high if port.low < 0 else 0,
        high=high,
        encoding="graded",
        scale=largest / high,
        repeat=port.repeat,
    )


def steps_for(model: Model, options: CompileOptions) -> int:
    """Return the steps per sample: the ones asked for, else the model's own; 0 has no end.

    Raises:
        UsageError: E5013, they are not known, or a static image has no end.
    """
    steps = model.steps if options.steps is None else options.steps
    if steps is None:
        raise UsageError(
            "E5013",
            "the model does not say how many steps a sample takes",
            where="--steps",
            remedy="give --steps P, the number of time steps the model was trained with",
        )
    if steps < 0:
        raise UsageError("E5013", f"{steps} steps", where="--steps", remedy="use at least 1")
    if not steps and any(port.repeat for port in model.inputs):
        raise UsageError(
            "E5013",
            "a static image would be shown for ever",
            where="--steps inf",
            remedy="give the number of steps it is shown",
        )
    return steps


def _weight_bits(options: CompileOptions, numerics: Numerics) -> int:
    if not 2 <= options.weight_bits <= numerics.weight_bits:
        raise UsageError(
            "E5014",
            f"{options.weight_bits} weight bits, allowed 2 to {numerics.weight_bits}",
            where="--weight-bits",
            remedy=f"use {numerics.weight_bits}",
        )
    return options.weight_bits


def _split(model: Model, host_layers: int) -> tuple[Model | None, Model]:
    if host_layers < 0:
        raise UsageError(
            "E5015", f"{host_layers} layers", where="--host-layers", remedy="use 0 or more"
        )
    return split_after(model, host_layers) if host_layers else (None, model)
