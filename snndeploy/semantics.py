"""What NIR leaves open: how its differential equations become time steps, per neuron node.

A `Semantics` record says for one neuron how a step is taken; a model has one default and any node
may carry its own in `metadata["snndeploy"]`. Presets reproduce a framework's arithmetic exactly.
"""

from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from math import isfinite
from typing import Any, Literal, get_args

from snndeploy.errors import UsageError

Leak = Literal["euler", "exp"]
Gain = Literal["nir", "unit"]
CurrentGain = Literal["gain", "unit", "decay"]
IfGain = Literal["gain", "r"]
Reset = Literal["zero", "subtract", "subtract-delayed", "none"]
Compare = Literal["gt", "ge"]
Order = Literal["synapse-first", "jump-use-decay"]
V0 = Literal["zero", "reset", "leak"]
Feedback = Literal["spike", "output"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Semantics:
    """One neuron's time step.

    Attributes:
        dt: seconds per model step.
        leak: `euler`: v keeps 1 - dt / tau; `exp`: v keeps exp(-dt / tau).
        gain: `nir`: the input is scaled as the equation says (euler: r * dt / tau, exp:
            r * (1 - exp(-dt / tau)), IF: r * dt); `unit`: the input is added as it is.
        current_gain: of the input of a synaptic current: `gain`: as `gain` says; `unit`: added as
            it is; `decay`: it decays in the step in which it arrives, as the current does.
        if_gain: of a neuron that does not leak: `gain`: as `gain` says; `r`: r alone, without dt.
        reset: `zero`: v becomes v_reset in the step of the spike; `subtract`: v loses v_threshold;
            `subtract-delayed`: it does so in the next step; `none`.
        compare: a spike is v > v_threshold (`gt`) or v >= v_threshold (`ge`).
        order: of a current-based neuron: `synapse-first` uses the updated current,
            `jump-use-decay` adds the input, uses the current, then decays it.
        multi_spike: several spikes per step, the integer part of v / v_threshold.
        v_min: lower clamp of v in units of v_threshold; None for no clamp.
        v0: state before the first step: 0, v_reset, or v_leak where the neuron leaks.
        feedback: what a recurrent affine map sees before the first step: `spike` zeros (its bias
            acts), `output` nothing.
        integer: the model computes as a chip does: inputs, weights and thresholds are whole, what
            a state keeps is a whole number of 4096ths of it, rounded toward zero to 1/64;
            programs run on integers.
    """

    dt: float = 1e-4
    leak: Leak = "euler"
    gain: Gain = "nir"
    current_gain: CurrentGain = "gain"
    if_gain: IfGain = "gain"
    reset: Reset = "zero"
    compare: Compare = "gt"
    order: Order = "synapse-first"
    multi_spike: bool = False
    v_min: float | None = None
    v0: V0 = "zero"
    feedback: Feedback = "output"
    integer: bool = False


PRESETS: dict[str, Semantics] = {
    "nir": Semantics(),
    "snntorch": Semantics(feedback="spike"),
    "spikingjelly": Semantics(compare="ge", v0="reset"),
    "norse": Semantics(
        dt=1e-3, current_gain="unit", if_gain="r", order="jump-use-decay", v0="leak"
    ),
    "sinabs": Semantics(
        dt=1.0,
        leak="exp",
        gain="unit",
        reset="subtract",
        compare="ge",
        multi_spike=True,
        v_min=-1.0,
    ),
    "rockpool": Semantics(
        dt=1e-3,
        leak="exp",
        gain="unit",
        current_gain="decay",
        reset="subtract",
        compare="ge",
        multi_spike=True,
    ),
    "lava": Semantics(feedback="spike"),
}
"""Semantics of `.nir` files by the framework that wrote them or is to run them.

snntorch        as its export computes them: r and w_in make both gains 1. The file does not say how
                a neuron resets: `reset=subtract-delayed` is snnTorch's default.
spikingjelly    a tie fires, v starts at v_reset.
norse           Euler with dt / tau; i takes all of its input, is used, then decays; IF takes r x.
sinabs          exp(-1 / tau), tau in steps, as sinabs reads a file: no r, a clamp at -threshold.
rockpool        exp(-dt / tau); r and w_in are ignored: i = a_s (i + x), v = a_m v + i.
lava            Lava's LIF with du = dt / tau_syn, dv = dt / tau_mem and biases in the neurons,
                which act from the first step on.
"""

FLAGS = ("multi_spike", "integer")
CHOICES: dict[str, tuple[str, ...]] = {
    "leak": get_args(Leak),
    "gain": get_args(Gain),
    "current_gain": get_args(CurrentGain),
    "if_gain": get_args(IfGain),
    "reset": get_args(Reset),
    "compare": get_args(Compare),
    "order": get_args(Order),
    "v0": get_args(V0),
    "feedback": get_args(Feedback),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """Semantics that a user asked for: a preset, and the fields that were given one by one."""

    preset: str
    overrides: tuple[str, ...]
    semantics: Semantics

    def origin(self, field: str) -> str:
        """Return where a field comes from, for reports."""
        return "option" if field in self.overrides else f"preset {self.preset}"


def parse_semantics(text: str) -> Semantics:
    """Return the semantics that `PRESET[,key=value…]` names, e.g. `snntorch,reset=zero,dt=1e-3`.

    Raises:
        UsageError: E5010, an unknown preset, key or value, with the nearest valid one.
    """
    return parse_choice(text).semantics


def parse_choice(text: str) -> Chosen:
    """Return what `PRESET[,key=value…]` names, with what was given by preset and what by key.

    Raises:
        UsageError: E5010, an unknown preset, key or value, with the nearest valid one.
    """
    name, *overrides = [part.strip() for part in text.split(",")]
    if name not in PRESETS:
        raise _unknown("preset", name, tuple(PRESETS))
    changes: dict[str, Any] = {}
    for override in overrides:
        key, _, value = override.partition("=")
        changes[key] = _parse_field(key, value)
    return Chosen(
        preset=name, overrides=tuple(changes), semantics=replace(PRESETS[name], **changes)
    )


def from_record(record: dict[str, Any]) -> Semantics:
    """Return the semantics of a plain record, as `to_record` writes it; unknown keys are errors."""
    changes = {key: _parse_field(key, str(value)) for key, value in record.items()}
    return replace(Semantics(), **changes)


def to_record(semantics: Semantics) -> dict[str, Any]:
    """Return a plain record (str, float and bool values) that survives NIR metadata and JSON."""
    return {key: "none" if value is None else value for key, value in asdict(semantics).items()}


def _parse_field(key: str, value: str) -> Any:
    names = tuple(field.name for field in fields(Semantics))
    if key not in names:
        raise _unknown("key", key, names)
    if key in CHOICES:
        if value not in CHOICES[key]:
            raise _unknown(f"value of {key}", value, CHOICES[key])
        return value
    if key in FLAGS:
        if value.lower() not in ("true", "false"):
            raise _unknown(f"value of {key}", value, ("true", "false"))
        return value.lower() == "true"
    if key == "v_min" and value == "none":
        return None
    try:
        number = float(value)
    except ValueError:
        raise _unknown(f"value of {key}", value, ("a number",)) from None
    if not isfinite(number) or (key == "dt" and number <= 0):
        raise _unknown(f"value of {key}", value, ("a positive number",))
    return number


def _unknown(what: str, had: str, allowed: tuple[str, ...]) -> UsageError:
    near = get_close_matches(had, allowed, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(allowed)}"
    return UsageError("E5010", f"unknown {what} {had!r}", where="--semantics", remedy=remedy)
