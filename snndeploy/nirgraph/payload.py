"""What the values of a signal can be: spikes, whole numbers in a range, or any real numbers.

Spiking logic (max pooling, products, ORs) is exact for spikes only, so every signal of a traced
module knows its range; sums and factors are followed by interval arithmetic. So are the edges of a
model (`snndeploy.passes.payload`).
"""

from dataclasses import dataclass
from math import inf
from typing import Any

from snndeploy.nirgraph.microcode import Microcode
from snndeploy.semantics import Semantics


@dataclass(frozen=True, slots=True)
class Payload:
    """Values in [low, high].

    Attributes:
        is_whole: they are integers.
    """

    low: float
    high: float
    is_whole: bool

    @property
    def is_spikes(self) -> bool:
        """Every value is 0 or 1."""
        return self.is_whole and self.low >= 0.0 and self.high <= 1.0

    @property
    def text(self) -> str:
        """For messages: `spikes`, `whole numbers from 0 to 2` or `real values`."""
        if self.is_spikes:
            return "spikes"
        if self.is_whole and self.high == inf:
            return f"whole numbers from {self.low:.0f} up"
        if self.is_whole:
            return f"whole numbers from {self.low:.0f} to {self.high:.0f}"
        return "real values"

    def plus(self, other: "Payload") -> "Payload":
        """Return the payload of a sum."""
        whole = self.is_whole and other.is_whole
        return Payload(self.low + other.low, self.high + other.high, whole)

    def times(self, factor: float) -> "Payload":
        """Return the payload of a multiple; whole numbers stay whole under whole factors."""
        ends = sorted((self.low * factor, self.high * factor)) if factor else [0.0, 0.0]
        return Payload(ends[0], ends[1], self.is_whole and float(factor).is_integer())

    def shifted(self, offset: float) -> "Payload":
        """Return the payload after a number was added."""
        whole = self.is_whole and float(offset).is_integer()
        return Payload(self.low + offset, self.high + offset, whole)


SPIKES = Payload(0.0, 1.0, True)
REAL = Payload(-inf, inf, False)
COUNTS = Payload(0.0, inf, True)


def payload_of(node: Any, semantics: Semantics) -> Payload:
    """Return what a spiking neuron sends: spikes, counts of them, or what its program says."""
    if isinstance(node, Microcode):
        low, high = node.payload
        return Payload(float(low), float(high), True)
    return COUNTS if semantics.multi_spike else SPIKES
