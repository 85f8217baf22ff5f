"""Networks from files that nobody vouches for: how large they may be, and that they are networks.

Sizes are checked before anything is made of a network's numbers, and whatever they break on the way
through the verifier is an error of the file.
"""

from snndeploy.errors import ModelError
from snndeploy.ir.network import Network
from snndeploy.ir.synapses import Pool
from snndeploy.ir.verify_network import verify_network

MAX_NEURONS = 1 << 24
MAX_STEPS = 1 << 20
MAX_EXPONENT = 31
MAX_WINDOW = 1 << 20
BROKEN = (ArithmeticError, AssertionError, IndexError, KeyError, TypeError, ValueError)


def verify_foreign(network: Network, where: str) -> None:
    """Check a network that was read from a file.

    Raises:
        ModelError: E1403 it claims to be too large; E1065 it is not well formed; E1413 its numbers
            make no sense at all.
    """
    check_scale(network, where)
    try:
        verify_network(network)
    except BROKEN as error:
        raise ModelError(
            "E1413",
            f"its numbers make no network: {type(error).__name__} {error!s:.120}",
            where=where,
            remedy="compile or export it again",
        ) from error


def check_scale(network: Network, where: str) -> None:
    """Refuse a network whose numbers alone would fill memory or never end.

    Raises:
        ModelError: E1403.
    """
    pools = [p.synapse for p in network.projections if isinstance(p.synapse, Pool)]
    claims = {
        "neurons": (sum(abs(node.n) for node in network.nodes.values()), MAX_NEURONS),
        "steps": (max(network.steps, network.guard, network.depth), MAX_STEPS),
        "steps of delay": (
            max((abs(n) for p in network.projections for n in (p.delay, p.lag)), default=0),
            MAX_STEPS,
        ),
        "bits of exponent": (
            max((abs(p.weight_exp) for p in network.projections), default=0),
            MAX_EXPONENT,
        ),
        "pixels in a window": (
            max((abs(pool.kernel[0] * pool.kernel[1]) for pool in pools), default=0),
            MAX_WINDOW,
        ),
    }
    for what, (had, most) in claims.items():
        if had > most:
            raise ModelError(
                "E1403",
                f"claims {had:,} {what}; files of up to {most:,} are read",
                where=where,
                remedy="compile a smaller network",
            )
