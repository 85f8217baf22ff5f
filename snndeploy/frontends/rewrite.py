"""Rewrite a network so that it can be deployed exactly; the copy must be fine-tuned by its user."""

import copy
from itertools import pairwise

from torch import fx, nn

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.tracing import is_stateful, trace, untouched

POOLS = ("MaxPool1d", "MaxPool2d")
POOL_FUNCTIONS = ("max_pool1d", "max_pool2d")


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
    copied = copy.deepcopy(module)
    sequences = [part for part in copied.modules() if isinstance(part, nn.Sequential)]
    if sum(_swap(sequence) for sequence in sequences):
        return copied
    with untouched(copied):
        root, graph = trace(copied)
        moved = sum(_move(root, node) for node in list(graph.nodes))
        rewritten = fx.GraphModule(root, graph) if moved else None
    if rewritten is None:
        raise UnsupportedError(
            "E2004",
            "no max pool is followed by a neuron alone",
            where=type(module).__name__,
            remedy="move the pools behind the neurons by hand",
        )
    return rewritten.train(module.training)


def _swap(sequence: nn.Sequential) -> int:
    """Swap pools with the neurons right behind them; return how many."""
    count = 0
    for first, second in pairwise(list(sequence._modules)):
        pool, neuron = sequence._modules[first], sequence._modules[second]
        if type(pool).__name__ in POOLS and neuron is not None and _gives_spikes(neuron):
            sequence._modules[first], sequence._modules[second] = neuron, pool
            count += 1
    return count


def _gives_spikes(module: nn.Module) -> bool:
    """Return whether a module is a neuron that returns spikes alone, no states."""
    returns_states = getattr(module, "output", False) or not getattr(module, "init_hidden", True)
    return is_stateful(module) and not returns_states


def _move(root: nn.Module, pool: fx.Node) -> int:
    """Move a pool behind the only neuron that reads it; return how many were moved."""
    if not _is_max_pool(root, pool) or len(pool.users) != 1:
        return 0
    (neuron,) = pool.users
    if neuron.op != "call_module" or not is_stateful(root.get_submodule(str(neuron.target))):
        return 0
    current = pool.all_input_nodes[0]
    neuron.replace_input_with(pool, current)
    items = [user for user in neuron.users if user.args == (neuron, 0)]
    returns_states = any("getitem" in user.name for user in neuron.users)
    spikes = items[0] if items else neuron
    if returns_states and not items:
        return 0
    spikes.append(pool)
    spikes.replace_all_uses_with(pool)
    pool.replace_input_with(current, spikes)
    return 1


def _is_max_pool(root: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        return type(root.get_submodule(str(node.target))).__name__ in POOLS
    return node.op == "call_function" and getattr(node.target, "__name__", "") in POOL_FUNCTIONS
