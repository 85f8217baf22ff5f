"""How large a network may be that a file claims: checked before anything is made of its numbers."""

from snndeploy.errors import ModelError
from snndeploy.ir.network import Network

MAX_NEURONS = 1 << 26
MAX_STEPS = 1 << 20
MAX_EXPONENT = 31


def check_scale(network: Network, where: str) -> None:
    """Refuse a network whose numbers alone would fill memory or never end.

    Raises:
        ModelError: E1403.
    """
    neurons = sum(node.n for node in network.nodes.values())
    spans = [network.steps, network.guard, network.depth]
    spans += [span for p in network.projections for span in (p.delay, p.lag)]
    exponents = [abs(projection.weight_exp) for projection in network.projections]
    if neurons > MAX_NEURONS or max(spans) > MAX_STEPS or max(exponents, default=0) > MAX_EXPONENT:
        raise ModelError(
            "E1403",
            f"{neurons:,} neurons, spans of up to {max(spans):,} steps, exponents of up to "
            f"{max(exponents, default=0):,}; read are networks of up to {MAX_NEURONS:,}, "
            f"{MAX_STEPS:,} and {MAX_EXPONENT}",
            where=where,
            remedy="compile a smaller network",
        )
