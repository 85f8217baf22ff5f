"""What the modules of each framework are: neurons, containers, layers that know steps."""

import sys
from typing import Any

import torch
from torch import nn

STEPWISE = ("SeqToANNContainer", "MultiStepContainer")
CONTAINERS = (*STEPWISE, "StepModeContainer")
"""SpikingJelly's containers: their single-step modules act at every step."""
RECURRENT = ("ElementWiseRecurrentContainer", "LinearRecurrentContainer")
"""SpikingJelly's containers that feed back what their module sent in the step before."""


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
    return None


def is_stateful(module: nn.Module) -> bool:
    """Return whether a module keeps a state between calls of single steps."""
    if framework_of(module) is None:
        return False
    is_cell = hasattr(module, "v") or type(module).__name__ in RECURRENT
    return is_cell or hasattr(module, "mem")


def state_items(module: nn.Module) -> dict[str, int]:
    """Return the states that a snnTorch neuron takes, in order: their place in what it returns."""
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
    if "mem" in module._buffers:
        return module._buffers, "mem"
    memories = module.__dict__["_memories"]
    return memories, "v" if "v" in memories else "y"


def is_torch_layer(module: nn.Module) -> bool:
    """Return whether a module is one of torch.nn, not a user's."""
    return type(module).__module__.startswith("torch.nn.modules")


def step_mode(module: nn.Module) -> str | None:
    """Return 's', 'm', or None for a module that knows no steps."""
    if type(module).__name__ in STEPWISE:
        return "m"
    mode = getattr(module, "step_mode", None)
    return mode if isinstance(mode, str) else None
