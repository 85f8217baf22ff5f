"""What a traced forward may not do with its modules: each check refuses, or gives its answer."""

from typing import Any

import torch
from torch import fx, nn

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.frameworks import spike_function, step_mode
from snndeploy.frontends.layers import TIME_SAFE
from snndeploy.frontends.methods import State
from snndeploy.frontends.sums import Operand
from snndeploy.semantics import Compare

IN_PLACE = (
    *("iadd", "isub", "imul", "itruediv", "iand", "ior", "ixor"),
    *("add_", "sub_", "mul_", "div_", "clamp_", "clip_", "clamp_max_", "clamp_min_"),
)


def check_in_place(node: fx.Node, name: str) -> None:
    """Refuse an operation that changes a value which something reads later."""
    if name not in IN_PLACE or not node.args or not isinstance(node.args[0], fx.Node):
        return
    changed = node.args[0]
    later = [user for user in changed.users if user is not node and node < user]
    if later:
        raise UnsupportedError(
            "E2011",
            f"{changed.name} is changed in place, and {later[0].name} reads it afterwards",
            where=node.name,
            remedy="write x = x + y",
        )


def check_time(path: str, leaf: nn.Module, framework: str | None, source: Operand) -> None:
    """Refuse a module that would take time for batch, or batch for time."""
    many = len(source.sizes) == 2
    mode = step_mode(leaf)
    kind = type(leaf).__name__
    if mode is None:
        safe = many and framework is None and kind in TIME_SAFE
        mode = "s" if not safe else "b" if source.time_axis else "m"
    if mode in (("b" if source.time_axis else "m",) if many else ("s", "f")):
        return
    known = {"m": "a sequence of steps", "b": "steps behind samples, [B, T, …],"}
    takes = known.get(mode, "one step")
    remedy = (
        "call functional.set_step_mode(module, 'm') and use spikingjelly's layers, or "
        "SeqToANNContainer around torch's; with Norse use Lift, with sinabs Repeat or IAFSqueeze"
        if many
        else "call functional.set_step_mode(module, 's'), or say time='module' and give an example "
        "of shape [T, B, …]"
    )
    raise UnsupportedError("E2006", f"{kind} takes {takes}, but gets {source.text}", where=path,
                           remedy=remedy)  # fmt: skip


def compare_of(path: str, leaf: Any) -> Compare:
    """Ask the neuron's own spike function whether a tie fires."""
    function = spike_function(leaf)
    if function is None:
        return "gt"
    answer = function(torch.tensor([-1.0, -1e-3, 0.0, 1e-3, 1.0])).tolist()
    found: dict[tuple[float, ...], Compare] = {(0, 0, 1, 1, 1): "ge", (0, 0, 0, 1, 1): "gt"}
    if tuple(answer) not in found:
        values = ", ".join(f"{value:g}" for value in answer)
        raise UnsupportedError(
            "E2009",
            f"its surrogate function gives {values} around the threshold, not 0 or 1",
            where=path,
            remedy="use a spiking surrogate function",
        )
    return found[tuple(answer)]


def check_state(path: str, state: Any) -> None:
    """Refuse an initial state that is neither zero nor an argument of forward."""
    tensor = state.value if isinstance(state, State) else state
    if isinstance(state, State | None) and (tensor is None or not tensor.any()):
        return
    raise UnsupportedError(
        "E2011",
        "its initial state is neither zero nor an argument of forward",
        where=path,
        remedy="take the state as an argument of forward, or use init_hidden=True",
    )
