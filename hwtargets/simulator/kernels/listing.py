"""Sparse and one-to-one projections laid out for `scatter`: synapses by source neuron."""

from dataclasses import dataclass

import numpy as np

from hwtargets.simulator.kernels.images import Image, Reader, read_all
from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.synapses import OneToOne, Sparse


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Listing:
    """A projection ready for `scatter.deliver_listed`; see `scatter.Scatter`.

    Attributes:
        places: of sums, which are of type `sum_dtype`.
    """

    source: Image
    reader: Reader
    rows: IntArray
    synapses: AnyArray
    places: int
    sum_dtype: type[np.int16] | type[np.int32]
    scaling: tuple[int, int, int]


def list_synapses(
    synapse: Sparse | OneToOne, source: Image, target: Image, exponent: int
) -> Listing | None:
    """Return the synapses of a projection in the order of events; None if they do not fit.

    A weight beyond int8 is stored as the sum of two.
    """
    if isinstance(synapse, OneToOne):
        sources = targets = np.arange(synapse.n_in)
    else:
        sources, targets = synapse.indices, synapse.rows
    n_places = target.padded * target.pixels
    scale = max(1, int(np.gcd.reduce(synapse.weight, initial=0)))
    weight = synapse.weight // scale
    bound = int(np.bincount(targets, np.abs(weight), minlength=1).max())
    largest = (bound * scale) << max(exponent, 0)
    small = weight.min(initial=0) >= -256 and weight.max(initial=0) <= 254
    if n_places >= 1 << 24 or not small or largest >= 1 << 31 or abs(exponent) > 30:
        return None
    first = np.clip(weight, -128, 127)
    rest = weight - first
    wide = np.flatnonzero(rest)
    channel, pixel = np.divmod(sources, source.pixels)
    number = pixel * source.channels + channel
    number = np.concatenate([number, number[wide]])
    place = target.places()[targets]
    place = np.concatenate([place, place[wide]])
    value = np.concatenate([first, rest[wide]])
    order = np.lexsort((place, number))
    return Listing(
        source=source,
        reader=read_all(source, 1 << 62),
        rows=np.concatenate([[0], np.cumsum(np.bincount(number, minlength=source.n))]),
        synapses=(place * 256 + value % 256)[order].astype(np.uint32),
        places=n_places,
        sum_dtype=np.int16 if bound < 1 << 15 else np.int32,
        scaling=(scale, max(exponent, 0), max(-exponent, 0)),
    )
