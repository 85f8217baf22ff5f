"""Rewrite a network so that it can be deployed exactly; the copy must be fine-tuned by its user."""

import copy
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, Literal, get_args

from torch import Tensor, fx, nn

from snndeploy.errors import UnsupportedError, UsageError
from snndeploy.frontends.frameworks import is_stateful
from snndeploy.frontends.tracing import trace, untouched
from snndeploy.model import ImportNote

Rewrite = Literal["pool-after-neuron"]
POOLS = ("MaxPool1d", "MaxPool2d")
POOL_FUNCTIONS = ("max_pool1d", "max_pool2d")


def rewrite_module(module: nn.Module, name: str) -> tuple[nn.Module, tuple[ImportNote, ...]]:
    """Return a rewritten copy of a module, and a note per neuron that it changed.

    Raises:
        UsageError: E5040, there is no such rewrite.
        UnsupportedError: as the rewrite does.
    """
    allowed = get_args(Rewrite)
    if name not in allowed:
        near = get_close_matches(str(name), allowed, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"use {' or '.join(allowed)}"
        raise UsageError("E5040", f"there is no rewrite {name!r}", where="rewrite", remedy=remedy)
    copied, neurons = _pool_after_neuron(module)
    text = (
        "max pooling moved from before this neuron to behind it (rewrite pool-after-neuron): "
        "another network than was trained, fine-tune it"
    )
    return copied, tuple(ImportNote(kind="approximated", node=n, text=text) for n in neurons)


def pool_after_neuron(module: nn.Module) -> nn.Module:
    """Return a copy in which each max pool stands behind the neuron that followed it.

    A maximum of currents is nothing spiking populations compute; a maximum of spikes is an OR. The
    two networks are not the same function: the copy has the weights of the original and must be
    fine-tuned. Pools right before neurons in an `nn.Sequential` are swapped, and the copy stays of
    its class. Any other forward is traced, and the copy is an `fx.GraphModule`, whose forward has
    its loops unrolled and no longer resets hidden states at its start: call snnTorch's
    `utils.reset` or SpikingJelly's `functional.reset_net` before each sample.

    Raises:
        UnsupportedError: E2004, no max pool is followed by a neuron alone; E2007, forward cannot
            be traced.
    """
    return _pool_after_neuron(module)[0]


def _pool_after_neuron(module: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the copy, and the paths of the neurons behind which a pool now stands."""
    copied = _copy(module)
    parts = list(copied.named_modules())
    swapped = [
        f"{path}.{neuron}" if path else neuron
        for path, part in parts
        if isinstance(part, nn.Sequential)
        for neuron in _swap(part)
    ]
    if swapped:
        return copied, tuple(swapped)
    with untouched(copied):
        root, graph = trace(copied)
        found = [_move(root, node) for node in list(graph.nodes)]
        moved = tuple(dict.fromkeys(neuron for neuron in found if neuron))
        rewritten = fx.GraphModule(root, graph) if moved else None
    if rewritten is None:
        raise UnsupportedError(
            "E2004",
            "no max pool is followed by a neuron alone",
            where=type(module).__name__,
            remedy="move the pools behind the neurons by hand",
        )
    return rewritten.train(module.training), moved


def _copy(module: nn.Module) -> nn.Module:
    """Return a copy; states that a training step has left are copied without their gradients."""
    held = [
        value
        for part in module.modules()
        for attributes in (vars(part), part._buffers, vars(part).get("_memories", {}))
        for value in attributes.values()
    ]
    states = [value for value in held if isinstance(value, Tensor) and not value.is_leaf]
    return copy.deepcopy(module, {id(state): state.detach().clone() for state in states})


def _swap(sequence: nn.Sequential) -> list[str]:
    """Swap pools with the neurons right behind them; return the neurons' new names."""
    moved = []
    for first, second in pairwise(list(sequence._modules)):
        pool, neuron = sequence._modules[first], sequence._modules[second]
        if type(pool).__name__ in POOLS and neuron is not None and _gives_spikes(neuron):
            sequence._modules[first], sequence._modules[second] = neuron, pool
            _swap_flags(sequence, list(sequence._modules).index(first))
            moved.append(first)
    return moved


def _swap_flags(sequence: nn.Sequential, index: int) -> None:
    """Let Norse's SequentialState know which of two neighbours now takes a state."""
    flags: Any = getattr(sequence, "stateful_layers", None)
    if flags is not None:
        flags[index], flags[index + 1] = flags[index + 1], flags[index]


def _gives_spikes(module: nn.Module) -> bool:
    """Return whether a module is a neuron that returns spikes alone, no states."""
    returns_states = getattr(module, "output", False) or not getattr(module, "init_hidden", True)
    return is_stateful(module) and not returns_states


def _move(root: nn.Module, pool: fx.Node) -> str:
    """Move a pool behind the only neuron that reads it; return the neuron, "" if there is none."""
    if not _is_max_pool(root, pool) or len(pool.users) != 1:
        return ""
    (neuron,) = pool.users
    if neuron.op != "call_module" or not is_stateful(root.get_submodule(str(neuron.target))):
        return ""
    current = pool.all_input_nodes[0]
    neuron.replace_input_with(pool, current)
    items = [user for user in neuron.users if user.args == (neuron, 0)]
    returns_states = any("getitem" in user.name for user in neuron.users)
    spikes = items[0] if items else neuron
    if returns_states and not items:
        return ""
    spikes.append(pool)
    spikes.replace_all_uses_with(pool)
    pool.replace_input_with(current, spikes)
    return str(neuron.target)


def _is_max_pool(root: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        return type(root.get_submodule(str(node.target))).__name__ in POOLS
    return node.op == "call_function" and getattr(node.target, "__name__", "") in POOL_FUNCTIONS
