"""Check a placement by brute force, on connections listed one by one.

Shares no code with the mapper: which neuron reaches which core, and how much memory that takes,
is found again from the definition of every synapse.
"""

from collections.abc import Iterator
from typing import assert_never

import numpy as np

from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Network, Projection
from snndeploy.ir.placement import CoreSlice, Placement
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse
from snndeploy.target import ChipSpec

BLOCK_TARGETS = 1024


def check_placement(network: Network, placement: Placement, chip: ChipSpec) -> tuple[str, ...]:
    """Return every fault of a placement, one line each; empty if it is right.

    Checked: every neuron on exactly one core, one slice per core, cores that exist, and for every
    core neurons, synaptic memory and axons, recounted, against what is written and the limits.
    """
    return (
        *_coverage(network, placement),
        *_core_numbers(placement, chip),
        *_contents(network, placement, chip),
    )


def _coverage(network: Network, placement: Placement) -> Iterator[str]:
    for population in network.populations:
        homes = np.zeros(population.n, dtype=np.int64)
        for piece in placement.slices:
            if piece.population == population.name:
                if not 0 <= piece.start < piece.stop <= population.n:
                    yield f"{population.name}: slice {piece.start}..{piece.stop} is out of range"
                homes[piece.start : piece.stop] += 1
        if (homes != 1).any():
            yield f"{population.name}: {(homes != 1).sum()} neurons are not on exactly one core"
    known = {population.name for population in network.populations}
    yield from (
        f"{s.population}: no such population" for s in placement.slices if s.population not in known
    )


def _core_numbers(placement: Placement, chip: ChipSpec) -> Iterator[str]:
    numbers = [piece.core for piece in placement.slices]
    limit = chip.limit("cores") or max(numbers, default=0) + 1
    if len(set(numbers)) != len(numbers):
        yield "a core holds more than one slice"
    yield from (f"core {core} does not exist" for core in numbers if not 0 <= core < limit)


def _contents(network: Network, placement: Placement, chip: ChipSpec) -> Iterator[str]:
    pairs = _pairs(network, placement)
    for piece in placement.slices:
        into = [p for p in network.projections if p.target == piece.population]
        counted = {p.name: _count(p, piece) for p in into}
        bits = {name: count[0] for name, count in counted.items()}
        axons = {name: count[1] for name, count in counted.items()}
        out = sum(
            piece.start <= neuron < piece.stop for neuron, _ in pairs.get(piece.population, ())
        )
        if (dict(piece.synapse_bits), dict(piece.in_axons), piece.out_axons) != (bits, axons, out):
            yield f"core {piece.core}: written {piece}, counted {bits}, {axons}, {out}"
        found = {
            "neurons_per_core": piece.stop - piece.start,
            "synapse_bits_per_core": sum(bits.values()),
            "in_axons_per_core": sum(axons.values()),
            "out_axons_per_core": out,
        }
        for rule, have in found.items():
            limit = chip.limit(rule)
            if limit is not None and have > limit:
                yield f"core {piece.core}: {rule} {have}, limit {limit}"


def _pairs(network: Network, placement: Placement) -> dict[str, set[tuple[int, int]]]:
    """Return the (neuron, destination core) pairs of every population."""
    pairs: dict[str, set[tuple[int, int]]] = {}
    for projection in network.projections:
        for piece in placement.slices:
            if piece.population == projection.target:
                found = pairs.setdefault(projection.source, set())
                for _, sources in _stored(projection.synapse, piece.start, piece.stop):
                    found.update((int(neuron), piece.core) for neuron in np.unique(sources))
    return pairs


def _count(projection: Projection, piece: CoreSlice) -> tuple[int, int]:
    """Return (bits of synaptic memory, input axons) of one projection into a slice."""
    synapse = projection.synapse
    fan_out = np.zeros(synapse.n_in, dtype=np.int64)
    for _, sources in _stored(synapse, piece.start, piece.stop):
        np.add.at(fan_out, sources, 1)
    width = projection.weight_bits + len(f"{projection.delay:b}".lstrip("0"))
    if isinstance(synapse, Sparse | OneToOne):
        width += max(6, len(f"{piece.stop - piece.start - 1:b}".lstrip("0")))
    axons = int(np.count_nonzero(fan_out))
    if isinstance(synapse, Conv):
        first, last = (
            n // (synapse.n_out // len(synapse.weight)) for n in (piece.start, piece.stop - 1)
        )
        return _bits((last - first + 1) * synapse.weight[0].size, width), axons
    if isinstance(synapse, Pool):
        return _bits(synapse.kernel[0] * synapse.kernel[1], width), axons
    return sum(_bits(int(n), width) for n in fan_out), axons


def _bits(n: int, width: int) -> int:
    """Return the bits of a list of n synapses, block by block of 64, in words of 64 bits."""
    bits = 0
    while n > 0:
        bits += (min(n, 64) * width + 10 + 63) // 64 * 64
        n -= 64
    return bits


def _stored(synapse: Synapse, start: int, stop: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield (targets, sources) of all stored synapses into [start, stop), zero weights included."""
    for first in range(start, stop, BLOCK_TARGETS):
        targets = np.arange(first, min(first + BLOCK_TARGETS, stop))
        match synapse:
            case Dense():
                yield (
                    np.repeat(targets, synapse.n_in),
                    np.tile(np.arange(synapse.n_in), len(targets)),
                )
            case OneToOne():
                yield targets, targets
            case Sparse():
                for target in targets:
                    row = synapse.indices[synapse.indptr[target] : synapse.indptr[target + 1]]
                    yield np.full(len(row), target), row
            case Conv():
                per_group = len(synapse.weight) // synapse.groups
                yield _taps(synapse, targets, synapse.weight.shape[1:], synapse.dilation, per_group)
            case Pool():
                yield _taps(synapse, targets, (1, *synapse.kernel), (1, 1), 1)
            case _:
                assert_never(synapse)


def _taps(
    synapse: Conv | Pool,
    targets: IntArray,
    kernel: tuple[int, ...],
    dilation: tuple[int, int],
    per_group: int,
) -> tuple[IntArray, IntArray]:
    """Return (targets, sources) of every kernel tap that lies inside the image."""
    _, height, width = synapse.in_shape
    o, y, x = (part[:, None] for part in np.unravel_index(targets, synapse.out_shape))
    c, i, j = (part.reshape(-1) for part in np.indices(kernel))
    row = y * synapse.stride[0] - synapse.padding[0] + i * dilation[0]
    column = x * synapse.stride[1] - synapse.padding[1] + j * dilation[1]
    channel = o // per_group * kernel[0] + c
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    everyone = np.broadcast_to(targets[:, None], inside.shape)
    return everyone[inside], ((channel * height + row) * width + column)[inside]
