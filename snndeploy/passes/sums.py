"""Sums of spikes in front of weights: a copy of the weights per source, or one integer stream.

A sum of spike trains needs no neuron: every source brings its own copy of the weights, and spikes
stay binary. Where that costs more memory, a `graded_sum` population adds the spikes up once and
sends whole numbers: one-to-one synapses into it, one copy of the weights behind it, a step more of
depth, and microcode on the chip. Both are exact.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from snndeploy.ir.synapses import Synapse
from snndeploy.passes.compose import scaled
from snndeploy.passes.forms import Diagonal, Form, Pooled, weights_of
from snndeploy.passes.listing import settled, smallest

Memory = Callable[[Synapse], int]
MOST_MULTIPLE = 255
"""Largest weight that an integer stream counts a spike with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SumRule:
    """What decides about sums: the chip's messages, and the synaptic memory [bits] of a synapse."""

    message_bits: int
    memory: Memory


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Stream:
    """A sum that a population adds up: its sources with whole weights, and the step of the sum.

    Attributes:
        name: of the population.
        shape: of the population.
        sources: spiking nodes.
        nodes: the linear nodes behind each source.
        forms: of whole weights, one per source.
        step: real value of 1 in the stream.
    """

    name: str
    shape: tuple[int, ...]
    sources: tuple[str, ...]
    nodes: tuple[tuple[str, ...], ...]
    forms: tuple[Form, ...]
    step: float


def whole_step(forms: list[Form]) -> float | None:
    """Return the step of which all forms count whole multiples, None if there is none.

    Only forms of a single weight are counted: spikes as they are, and pools of them.
    """
    weights = []
    for form in forms:
        if not isinstance(form, Diagonal | Pooled) or form.n_stored > 1:
            return None
        weights.append(float(weights_of(form)[0][0]))
    step = min(map(abs, weights))
    if not step:
        return None
    multiples = [weight / step for weight in weights]
    whole = all(m == round(m) and abs(m) <= MOST_MULTIPLE for m in multiples)
    return step if whole else None


def counted(form: Form, step: float) -> Form:
    """Return a form with its weight as a whole multiple of a step."""
    (weight,) = weights_of(form)[0]
    return scaled(form, round(float(weight) / step) / float(weight))


def stream_bits(forms: list[Form], most: list[int]) -> int:
    """Return the message bits of a sum, sign included.

    Args:
        forms: of whole weights, one per source.
        most: spikes per step that each source sends at most.
    """
    low = high = 0
    for form, spikes in zip(forms, most, strict=True):
        (weight,) = weights_of(form)[0]
        window = prod(form.pool.kernel) if isinstance(form, Pooled) else 1
        reach = round(float(weight)) * window * spikes
        low, high = low + min(reach, 0), high + max(reach, 0)
    return max((-low - 1).bit_length() + 1 if low else 0, high.bit_length() + bool(low))


def memory_of(forms: list[Form], memory: Memory) -> int:
    """Return the synaptic memory of forms in bits, as if each lay on one core.

    This is the cost that decides between copies and a stream; it leaves out neurons, axons and
    what placement adds, and ties go to the copies.
    """
    total = 0
    for form in forms:
        weight, build = weights_of(settled(form))
        total += memory(smallest(build((weight != 0).astype(np.int64))))
    return total
