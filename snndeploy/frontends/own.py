"""Neurons of a user's own: which of their classes is read as which program."""

from collections.abc import Callable
from typing import Any

from torch import nn

from snndeploy.nirgraph.microcode import Microcode
from snndeploy.semantics import Semantics

Read = Callable[[Any], Microcode]
READERS: dict[type[nn.Module], Read] = {}
"""Filled by `neuron`."""


def neuron(kind: type[nn.Module]) -> Callable[[Read], Read]:
    """Say how a neuron of yours is deployed; a decorator.

    The decorated function takes a trained module of this class and returns a
    `snndeploy.Microcode`: its integer program, and the real value and kind of every parameter.

    Args:
        kind: a stateful class of SpikingJelly (`MemoryModule`) or snnTorch (`SpikingNeuron`).
    """

    def register(read: Read) -> Read:
        READERS[kind] = read
        return read

    return register


def is_own(module: nn.Module) -> bool:
    """Whether a reader was given for a module's class."""
    return type(module) in READERS


def read_own(module: Any) -> tuple[Microcode, Semantics]:
    """Read a module by the reader of its class."""
    return READERS[type(module)](module), Semantics()
