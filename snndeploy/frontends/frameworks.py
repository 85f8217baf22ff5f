"""What the modules of each framework are: neurons, containers, layers that know steps."""

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

STEPWISE = ("SeqToANNContainer", "MultiStepContainer")
CONTAINERS = (*STEPWISE, "StepModeContainer")
"""SpikingJelly's containers: their single-step modules act at every step."""
RECURRENT = ("ElementWiseRecurrentContainer", "LinearRecurrentContainer")
"""SpikingJelly's containers that feed back what their module sent in the step before."""
RESHAPES = ("FlattenTime", "UnflattenTime")
"""sinabs' layers that make [B, T, …] to [B·T, …] and back."""
SEQUENCES = ("SNN", "SNNRecurrent")
"""Norse's base classes of neurons that take all steps; the others take one."""
PACKAGES = {"norse": "norse.torch.module.", "sinabs": "sinabs.layers."}
"""Where the classes of a framework live that has no common base class."""


def framework_of(module: nn.Module) -> str | None:
    """Return the framework whose neuron, container or step-aware layer this is, else None."""
    jelly = sys.modules.get("spikingjelly.activation_based.base")
    if jelly is not None and isinstance(module, jelly.StepModule):
        is_layer = type(module).__module__.startswith("spikingjelly.activation_based.layer")
        if is_layer or isinstance(module, jelly.MemoryModule):
            return "spikingjelly"
    snntorch = sys.modules.get("snntorch")
    if snntorch is not None and isinstance(module, snntorch.SpikingNeuron):
        return "snntorch"
    for framework, package in PACKAGES.items():
        if any(kind.__module__.startswith(package) for kind in type(module).__mro__):
            return framework
    return None


def is_stateful(module: nn.Module) -> bool:
    """Return whether a module has a state from step to step, in it or handed to it."""
    return keeps_state(module) or takes_state(module)


def keeps_state(module: nn.Module) -> bool:
    """Return whether a module holds its state between calls."""
    framework = framework_of(module)
    if framework in (None, "norse"):
        return False
    if framework == "sinabs":
        return "v_mem" in module._buffers
    is_cell = hasattr(module, "v") or type(module).__name__ in RECURRENT
    return is_cell or hasattr(module, "mem")


def takes_state(module: nn.Module) -> bool:
    """Return whether a module of Norse takes its state and returns the next one."""
    if framework_of(module) != "norse":
        return False
    children = getattr(module, "stateful_layers", None)
    if children is not None:
        return any(children)
    return bool(getattr(module, "is_stateful", hasattr(module, "p")))


def state_items(module: nn.Module) -> dict[str, int]:
    """Return the states that a neuron takes, in order: their place in what it returns."""
    if takes_state(module):
        return {"state": 1}
    names = ("syn", "mem") if hasattr(module, "alpha") else ("mem",)
    items = {name: place for place, name in enumerate(names, start=1)}
    return {"spk": 0, **items} if hasattr(module, "recurrent") else items


def state_of(module: nn.Module) -> Any:
    """Return the state of a module, to see whether it is another one later."""
    states, name = _states(module)
    return states[name]


def mark(module: nn.Module) -> Any:
    """Give a module a state that no reset leaves in place, and return it."""
    states, name = _states(module)
    states[name] = torch.zeros(0)
    return states[name]


def _states(module: nn.Module) -> tuple[dict[str, Any], str]:
    """Return where a module keeps its states, and the name of one of them."""
    for name in ("mem", "v_mem"):
        if name in module._buffers:
            return module._buffers, name
    memories = module.__dict__["_memories"]
    return memories, "v" if "v" in memories else "y"


def is_torch_layer(module: nn.Module) -> bool:
    """Return whether a module is one of torch.nn or its quantized kin, not a user's."""
    return type(module).__module__.startswith("torch.nn.modules") or is_quantized(module)


def is_quantized(module: nn.Module) -> bool:
    """Return whether a module is one of Brevitas."""
    return type(module).__module__.startswith("brevitas.")


def step_mode(module: nn.Module) -> str | None:
    """Return what a module takes.

    Returns:
        's' one step [B, …], 'm' all steps [T, B, …], 'b' all steps [B, T, …], 'f' all steps
        [B·T, …], None for a module that knows no steps.
    """
    framework, kind = framework_of(module), type(module).__name__
    if framework == "sinabs":
        return _sinabs_mode(module, kind)
    if framework == "norse":
        return _norse_mode(module, kind)
    if kind in STEPWISE:
        return "m"
    mode = getattr(module, "step_mode", None)
    return mode if isinstance(mode, str) else None


def spike_function(module: Any) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """Return a neuron's own function of its distance to the threshold, None if it never fires."""
    match framework_of(module):
        case "norse":
            method = getattr(module.p, "method", None)
            threshold = sys.modules["norse.torch.functional.threshold"].threshold
            known = method != "adjoint" and method is not None
            return (lambda x: threshold(x, method, module.p.alpha)) if known else None
        case "sinabs":
            fire, slope = module.spike_fn, module.surrogate_grad_fn
            one = torch.tensor(1.0)
            return fire and (lambda x: fire.apply(x + one, one, slope).clamp(max=1.0))
        case _:
            names = ("surrogate_function", "spike_grad")
            found: list[Callable[[torch.Tensor], torch.Tensor]]
            found = [getattr(module, name) for name in names if hasattr(module, name)]
            return found[0]


def _sinabs_mode(module: nn.Module, kind: str) -> str | None:
    if kind == "UnflattenTime" or hasattr(module, "squeeze_forward"):
        return "f"
    takes_batches = kind in ("Repeat", "FlattenTime") or "v_mem" in module._buffers
    return "b" if takes_batches else None


def _norse_mode(module: nn.Module, kind: str) -> str | None:
    if kind == "SequentialState":
        modes = [step_mode(child) for child in module.children()]
        return next((mode for mode in modes if mode is not None), None)
    names = {base.__name__ for base in type(module).__mro__}
    return "m" if kind == "Lift" or names & set(SEQUENCES) else "s"
