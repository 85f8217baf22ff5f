"""Compile a trained model: every stage in order, in one function."""

from dataclasses import dataclass
from typing import Literal

from snndeploy.errors import Violation
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.model import Model
from snndeploy.passes.discretize import LayerReport
from snndeploy.target import Target

Encode = Literal["auto", "spikes", "graded", "rate"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CompileOptions:
    """What the user chooses.

    Attributes:
        steps: model steps per sample (P); None takes the model's own.
        weight_bits: stored bits per weight, 2..8.
        host_layers: leading weight layers, with their neurons, that the host computes in float.
        encode: how real inputs become integers; `auto` is `graded` where the chip carries
            payloads and `spikes` for spike inputs.
        input_bits: bits of a graded input, sign included.
        seed: of rate coding.
    """

    steps: int | None = None
    weight_bits: int = 8
    host_layers: int = 0
    encode: Encode = "auto"
    input_bits: int = 8
    seed: int = 0


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
    raise NotImplementedError
