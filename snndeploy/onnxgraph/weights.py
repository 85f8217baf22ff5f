"""Weights as ONNX initializers of 8 bits: what the chip stores, without its sign mode's factor.

A mixed weight is even, so its half is an int8; excitatory and inhibitory ones are uint8, the latter
without their sign.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.network import Projection
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, SignMode, Sparse

FACTOR: Mapping[SignMode, int] = {"mixed": 2, "excitatory": 1, "inhibitory": -1}


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Stored:
    """A weight array as it lies in the file.

    Attributes:
        values: int8 or uint8.
        factor: times `values` is the weight.
        transposed: whether rows are inputs; the network's rows are targets.
    """

    values: AnyArray
    factor: int
    transposed: bool = False

    def restored(self) -> IntArray:
        """Return the weight as the network has it."""
        values = self.values.T if self.transposed else self.values
        return values.astype(np.int64) * self.factor


def stored(weight: IntArray, sign_mode: SignMode, *, transposed: bool = False) -> Stored:
    """Return a weight array on its grid as 8 bits."""
    factor = FACTOR[sign_mode]
    values = weight // factor
    kind = np.int8 if sign_mode == "mixed" else np.uint8
    small = values.T if transposed else values
    found = Stored(
        values=np.ascontiguousarray(small.astype(kind)), factor=factor, transposed=transposed
    )
    assert np.array_equal(found.restored(), weight), "weights off the grid of their sign mode"
    return found


def largest_sum(projection: Projection) -> int:
    """Return the largest sum over a target's synapses of |weight|, as it is stored."""
    synapse = projection.synapse
    match synapse:
        case Dense(weight=weight):
            sums = np.abs(weight).sum(axis=1)
        case Conv(weight=weight):
            sums = np.abs(weight).reshape(len(weight), -1).sum(axis=1)
        case Pool(kernel=kernel):
            return kernel[0] * kernel[1]
        case Sparse(weight=weight) | OneToOne(weight=weight):
            sums = np.abs(weight)
    return int(sums.max(initial=0)) // abs(FACTOR[projection.sign_mode])
