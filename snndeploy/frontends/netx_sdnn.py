"""Sigma-delta layers of lava-dl's `.net` files: neurons of our programs, in the file's integers.

netx makes of an input's neuron Lava's `Delta`, of one with `sigma_output` a `Sigma`, of all others
a `SigmaDelta` with relu, whatever the file says of its activation; both exponents are 6. Lava's
words have 32 bits, wrap, and nothing bounds what is sent. Here messages end where a next layer's
sum would leave 32 bits (`bounded`): where they do, Lava's words may wrap.

Source: lava-dl 0.6.0, lava/lib/dl/netx/hdf5.py; lava-nc 0.10.0, lava/proc/sdn.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snndeploy.ir.arrays import FloatArray
from snndeploy.ir.program import Params, Program
from snndeploy.ir.programs import DELTA, SIGMA, SIGMA_DELTA, delta, sigma, sigma_delta
from snndeploy.ir.programs.sigma_delta import HIGH
from snndeploy.ir.ranges import INPUT_LIMIT
from snndeploy.nirgraph.microcode import Microcode, Parameter

SPIKE_EXP = STATE_EXP = 6
"""netx's own; it can be given another spike_exp, which no file holds."""
LARGEST = 1 << 31
Range = tuple[int, int]


def input_range(weight: int, bias: int) -> Range:
    """Return the smallest and largest value of 2 * weight * x - weight + bias for x in 0..1.

    Silence is 0, so it is between them.

    Raises:
        ValueError: shifted by both exponents they leave 32 bits.
    """
    low, high = min(bias - abs(weight), 0), max(bias + abs(weight), 0)
    if max(-low, high) << (SPIKE_EXP + STATE_EXP) >= LARGEST:
        raise ValueError(f"an input from {low} to {high}")
    return low, high


def delta_neuron(vth: int, values: Range) -> Microcode:
    """Return the neuron of an input that takes whole values in a range.

    A change sent is at most the range and what was held back, so no payload is wider.
    """
    most = min((values[1] - values[0] + vth) << SPIKE_EXP, HIGH)
    params = delta(vth=vth, spike_exp=SPIKE_EXP, state_exp=STATE_EXP, low=-most, high=most)
    return _neuron(DELTA, params)


def sigma_delta_neuron(vth: int, bias: FloatArray) -> Microcode:
    """Return the neuron of a layer with a bias per neuron.

    Raises:
        ValueError: a bias is not whole, or beyond 32 bits.
    """
    if np.any((bias != np.rint(bias)) | (np.abs(bias) >= LARGEST)):
        raise ValueError("a bias that is no whole number")
    whole = np.rint(bias).astype(np.int64).reshape(-1)
    return _neuron(
        SIGMA_DELTA, sigma_delta(vth=vth, bias=whole, spike_exp=SPIKE_EXP, state_exp=STATE_EXP)
    )


def sigma_neuron() -> Microcode:
    """Return the neuron that adds changes up, of an output."""
    return _neuron(SIGMA, sigma())


def bounded(nodes: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Bound the messages of a chain's neurons by what sums of 32 bits behind them hold.

    Sums are those of a step and of all weights at once, so none wraps whatever the data. What a
    neuron adds up over the steps may, as in Lava.

    Returns:
        The nodes, and the largest message that every sum holds.
    """
    made, behind, least = dict(nodes), HIGH, HIGH
    for name, node in reversed(tuple(nodes.items())):
        if isinstance(node, Microcode):
            made[name], least, behind = _sending_at_most(node, behind), min(least, behind), HIGH
        elif hasattr(node, "weight"):
            rows = np.abs(node.weight).reshape(len(node.weight), -1).sum(axis=1)
            behind = min(HIGH, INPUT_LIMIT // max(int(np.ceil(rows.max())), 1))
    return made, least


def remarks(nodes: Mapping[str, Any], largest: int) -> Iterator[str]:
    """Yield in what a chain, read with messages up to `largest`, is not what netx makes of it."""
    yield (
        f"read with spike_exp={SPIKE_EXP}, netx's default; messages end at {largest:,} or later, "
        "so that no sum leaves 32 bits; in netx they have no end, and sums wrap"
    )
    own = [node for node in nodes.values() if isinstance(node, Microcode)]
    if any(node.program == SIGMA for node in own):
        yield f"sums that are sent as levels end at {HIGH:,}, the 24 bits of a message"
    if any(node.parameters["bias"].value.any() for node in own if node.program == SIGMA_DELTA):
        yield (
            "every layer starts with its input, as in training; in netx a layer with a bias sends "
            "it before the input is there"
        )


def _neuron(program: Program, params: Params) -> Microcode:
    counts = {name: Parameter(value.astype(np.float64), "count") for name, value in params.items()}
    return Microcode(program=program, parameters=counts, fraction_bits=STATE_EXP)


def _sending_at_most(node: Microcode, most: int) -> Microcode:
    low, high = node.payload
    ends = {"low": max(low, -most), "high": min(high, most)}
    narrow = {key: Parameter(np.full(1, float(end)), "count") for key, end in ends.items()}
    return replace(node, parameters={**node.parameters, **narrow})
