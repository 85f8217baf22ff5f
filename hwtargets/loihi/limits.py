"""What Lava's processes hold, and the refusals of what they would change without a word."""

from typing import assert_never

import numpy as np

from hwtargets.loihi.expand import sum_range
from snndeploy.errors import UnsupportedError
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.grid import stored_weight
from snndeploy.ir.network import Population, Projection
from snndeploy.ir.neurons import NEVER
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse

CONV_WORD = 1 << 23
"""Lava's Conv wraps its sum to [-2^23, 2^23 - 1]. Source: lava/proc/conv/models.py, fixed_pt."""
SUM_WORD = 1 << 31
"""Lava sends synaptic sums as int32."""
CONV_BYTE = 127
"""Lava's Conv keeps kernel, stride, padding, dilation and groups as int8."""
DELAY_MAX = 63
"""Six delay bits. Source: lava/proc/dense/models.py, PyDelayDenseModelBitAcc."""
MESSAGE_BITS = (8, 16, 24)
REGISTERS = {
    "du": (-1, 4095),
    "dv": (0, 4096),
    "vth": (0, NEVER),
    "bias_mant": (-4096, 4095),
    "bias_exp": (0, 7),
}
"""Registers of Lava's LIF, inclusive; NEVER is the threshold that cannot be exceeded."""


def check_register(population: Population, name: str, low: int, high: int) -> None:
    """Refuse per-neuron du, dv or vth (E2204) and values beyond a register (E2205)."""
    values = population.params[name]
    if name in ("du", "dv", "vth") and np.any(values != values[0]):
        raise UnsupportedError(
            "E2204",
            f"{name} differs between neurons, a Lava process has one value",
            where=population.name,
            remedy="split the population by its values",
        )
    if values.min() < low or values.max() > high:
        raise UnsupportedError(
            "E2205",
            f"{name} is in {values.min()}..{values.max()}, the register holds {low}..{high}",
            where=population.name,
            remedy="rescale the layer",
        )


def is_native_conv(projection: Projection, low: int, high: int) -> bool:
    """Whether Lava's Conv computes this projection for payloads in [low, high].

    It has no exponent, no delay, an int8 geometry, and wraps at 24 bits.
    """
    conv = projection.synapse
    if not isinstance(conv, Conv) or projection.weight_exp or projection.delay:
        return False
    kernel = conv.weight.shape[2:]
    geometry = (conv.groups, *kernel, *conv.stride, *conv.padding, *conv.dilation)
    smallest, largest = sum_range(conv, low, high)
    return max(geometry) <= CONV_BYTE and smallest >= -CONV_WORD and largest < CONV_WORD


def message_bits(projection: Projection, low: int, high: int) -> int:
    """Return 0 for binary spikes, else the smallest payload width of Loihi 2 that holds a range.

    Raises:
        UnsupportedError: E2206 if no width does.
    """
    if (low, high) == (0, 1):
        return 0
    needed = payload_bits(low, high)
    for bits in MESSAGE_BITS:
        if needed <= bits:
            return bits
    raise UnsupportedError(
        "E2206",
        f"payloads in {low}..{high} take {needed} bits, a spike carries {MESSAGE_BITS[-1]}",
        where=projection.name,
        remedy="lower the bits of the input, or the range that the neuron sends",
    )


def payload_bits(low: int, high: int) -> int:
    """Return the bits of an integer in [low, high], with a sign bit where low is negative."""
    if low < 0:
        return max((-low - 1).bit_length(), high.bit_length()) + 1
    return high.bit_length()


def check_weights(projection: Projection) -> None:
    """Refuse weights that Lava would clip or truncate (E2202)."""
    weight = weights_of(projection.synapse)
    stored = stored_weight(weight, projection.weight_bits, projection.sign_mode)
    changed = np.flatnonzero(stored != weight)
    if not len(changed):
        return
    first = changed[0]
    raise UnsupportedError(
        "E2202",
        f"{len(changed)} weights are off the {projection.weight_bits}-bit "
        f"{projection.sign_mode} grid: {weight[first]} would be stored as {stored[first]}",
        where=projection.name,
        remedy="quantize to that grid or choose another sign mode",
    )


def weights_of(synapse: Synapse) -> IntArray:
    """Return every stored weight of a synapse kind, flat."""
    match synapse:
        case Dense() | Conv() | Sparse() | OneToOne():
            return synapse.weight.reshape(-1)
        case Pool():
            return np.asarray([synapse.weight])
        case _:
            assert_never(synapse)


def check_delay(projection: Projection) -> None:
    """Refuse delays beyond six bits (E2207)."""
    if not 0 <= projection.delay <= DELAY_MAX:
        raise UnsupportedError(
            "E2207",
            f"delay {projection.delay}, a synapse delays by 0..{DELAY_MAX} steps",
            where=projection.name,
            remedy="relay the spikes through a population",
        )


def check_sum(projection: Projection, low: int, high: int) -> None:
    """Refuse a projection whose sum could leave Lava's word (E2203), proven from the weights."""
    smallest, largest = sum_range(projection.synapse, low, high)
    if smallest < -SUM_WORD or largest >= SUM_WORD:
        raise UnsupportedError(
            "E2203",
            f"sums reach {smallest}..{largest}, Lava wraps at {-SUM_WORD}..{SUM_WORD - 1}",
            where=projection.name,
            remedy="use smaller weights or fewer input bits",
        )
