"""Neurons without memory that send integers."""

from snndeploy.ir.program import INT32, Params, Program, as_params, line

GRADED_SUM = Program(
    name="graded_sum",
    states=(),
    params=("low", "high"),
    body=(line("out", "clip", "a", "low", "high"),),
    emits="out",
    payload=("low", "high"),
    registers={"low": (INT32[0], 0), "high": (0, INT32[1])},
)
"""Sends what arrives in the step, clipped; silent where nothing or 0 arrives.

    out <- min( max(a, low), high )

low = 0 makes it a rectifier. Symbols: a synaptic input, out payload of the spike.
"""


def graded_sum(*, low: int, high: int) -> Params:
    """Return parameters of `GRADED_SUM`.

    Args:
        low: smallest value sent, at most 0.
        high: largest value sent, at least 0.
    """
    return as_params({"low": low, "high": high})
