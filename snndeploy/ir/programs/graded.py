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


GRADED_PRODUCT = Program(
    name="graded_product",
    states=(),
    params=("bits", "product_exp", "low", "high"),
    body=(
        line("one", "shift", 1, "bits"),
        line("half", "shift", "one", -1),
        line("right", "sub", 0, "bits"),
        line("y", "add", "a", "half"),
        line("y", "shift", "y", "right"),
        line("high_part", "shift", "y", "bits"),
        line("x", "sub", "a", "high_part"),
        line("p", "mul", "x", "y"),
        line("p", "shz", "p", "product_exp"),
        line("out", "clip", "p", "low", "high"),
    ),
    emits="out",
    payload=("low", "high"),
    registers={
        "bits": (2, 16),
        "product_exp": (0, 31),
        "low": (INT32[0], 0),
        "high": (0, INT32[1]),
    },
)
"""Sends the product of two integers that arrive in one step; silent where either is 0.

    y <- (a + 2^(bits - 1)) >> bits (floor);  x <- a - (y << bits)
    out <- min( max( trunc(x * y / 2^product_exp), low), high )

A neuron has one synaptic input, so the factors share it: a = x + (y << bits). Synapses of weight 1
bring x, others of weight 2^bits bring y (for bits = 14: weight 128 with exponent 7). Exact while
what arrives in all is -2^(bits - 1) <= x < 2^(bits - 1) and -2^(31 - bits) <= y < 2^(31 - bits);
beyond, x spills into y. `trunc` rounds toward zero, so that signs can be pulled out of a product.
Symbols: a synaptic input, out payload of the spike. Source: our own; hand traces are its judge.
"""


def graded_product(*, bits: int = 14, product_exp: int = 0, low: int, high: int) -> Params:
    """Return parameters of `GRADED_PRODUCT`.

    Args:
        bits: 2..16, width of x in the synaptic input, sign included; y has the 32 - bits above.
        product_exp: 0..31, low bits of the product that are dropped.
        low: smallest value sent, at most 0.
        high: largest value sent, at least 0.
    """
    return as_params({"bits": bits, "product_exp": product_exp, "low": low, "high": high})
