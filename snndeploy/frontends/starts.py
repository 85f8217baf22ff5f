"""Whether a forward of one step carries its neurons' states from call to call."""

from torch import fx, nn

from snndeploy.errors import UnsupportedError
from snndeploy.frontends.frameworks import is_stateful, takes_state
from snndeploy.frontends.tracing import RESET, attribute


def check_starts(root: nn.Module, graph: fx.Graph) -> None:
    """Refuse a forward of one step that starts its neurons anew at every call.

    Raises:
        UnsupportedError: E2028, a neuron is reset in forward or takes a constant as its state.
    """
    for node in graph.nodes:
        if node.op != "call_module":
            continue
        module = root.get_submodule(str(node.target))
        if not is_stateful(module):
            continue
        given = [value for value in (*node.args[1:], *node.kwargs.values()) if value is not None]
        constant = any(isinstance(value, fx.Node) and value.op == "get_attr" for value in given)
        is_zero = constant and not any(
            attribute(root, str(value.target)).any() for value in given if value.op == "get_attr"
        )
        if is_zero or node.meta.get(RESET) or (takes_state(module) and not given):
            raise UnsupportedError(
                "E2028",
                "forward starts the neuron anew at every call, so a sample lasts one step",
                where=str(node.target),
                remedy="put the loop over time into forward, take the state as an argument of "
                "forward, or use init_hidden=True and reset it outside",
            )
