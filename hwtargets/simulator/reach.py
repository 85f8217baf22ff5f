"""What a spike sets off: messages, synapses that are read, hops; neuron by neuron, in classes.

Neurons of one slice whose spikes set off the same are a class, so that what all spikes of a step
set off is a product of a few counts with a small matrix.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwtargets.simulator.fanout import class_fan_out, per_neuron
from hwtargets.simulator.labels import Labels
from snndeploy.energy import HOST
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Network, Projection
from snndeploy.ir.placement import Placement

WORD_BITS = 64


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class CoreRow:
    """One row of the counts: a slice on its core, or a source on the host.

    Attributes:
        reads: values the host reads of it per step.
    """

    row: int
    core: int
    node: str
    start: int
    stop: int
    reads: int


Rows = Mapping[str, tuple[CoreRow, ...]]
"""By node, in neuron order."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Reach:
    """What one spike of each class of a node's neurons sets off.

    Attributes:
        origins: slices of the node, or the host's row of a source.
        labels: classes of the neurons, in the order of the origins.
        first: first class of each origin [origins + 1].
        goals: a row of each core that is reached.
        work: messages, synaptic operations, words for each goal [classes, 3, goals].
        sends: class and goal of every message that one spike of each class sets off.
        fan_out: stored synapses into each slice of its target [classes, slices], by projection.
    """

    origins: tuple[CoreRow, ...]
    labels: Labels
    first: IntArray
    goals: tuple[CoreRow, ...]
    work: IntArray
    sends: tuple[IntArray, IntArray]
    fan_out: Mapping[str, IntArray]

    def routes(self, placement: Placement) -> IntArray:
        """Return one, and the messages, their hops along x and along y of one spike [classes, 4].

        What the host injects takes no way on the chip.
        """
        total = np.zeros((self.labels.n_classes, 4), dtype=np.int64)
        there = np.array([placement.tile(goal.core) for goal in self.goals]).reshape(-1, 2)
        for k, origin in enumerate(self.origins):
            if origin.core == HOST:
                continue
            mine = slice(self.first[k], self.first[k + 1])
            hops = np.abs(there - placement.tile(origin.core))
            each = np.concatenate([np.ones((len(hops), 1), dtype=np.int64), hops], axis=1)
            total[mine, 0] = 1
            total[mine, 1:] = self.work[mine, 0] @ each
        return total


def reach_of(network: Network, rows: Rows, name: str) -> Reach:
    """Return what the spikes of a node set off."""
    origins, found = rows[name], []
    origin: IntArray = np.repeat(np.arange(len(origins)), [row.stop - row.start for row in origins])
    codes = origin
    for projection in network.out_of(name):
        kinds, kind = _kinds(projection, rows)
        codes = np.unique(codes * len(kinds) + kind, return_inverse=True)[1]
        found.append((projection, kinds, kind))
    example = np.unique(codes, return_index=True)[1]
    targets = {row.core: row for p in network.out_of(name) for row in rows[p.target]}
    goals = sorted(targets.values(), key=lambda row: row.row)
    index = {row.core: k for k, row in enumerate(goals)}
    work = np.zeros((len(example), 3, len(goals)), dtype=np.int64)
    fan_out = {projection.name: kinds[kind[example]] for projection, kinds, kind in found}
    for projection, _, _ in found:
        reach = fan_out[projection.name]
        words = -(-reach * projection.weight_bits // WORD_BITS)
        for k, row in enumerate(rows[projection.target]):
            work[:, 1, index[row.core]] += reach[:, k]
            work[:, 2, index[row.core]] += words[:, k]
    work[:, 0] = work[:, 1] > 0
    at, to = np.nonzero(work[:, 0])
    return Reach(
        origins=origins,
        labels=Labels(of=codes.astype(np.int32), n_classes=len(example)),
        first=np.searchsorted(origin[example], np.arange(len(origins) + 1)),
        goals=tuple(goals),
        work=work,
        sends=(at, to),
        fan_out=fan_out,
    )


def _kinds(projection: Projection, rows: Rows) -> tuple[IntArray, IntArray]:
    """Return how often a spike reaches each slice, [kinds, slices], and the kind of each neuron."""
    synapse = projection.synapse
    reach = [class_fan_out(synapse, row.start, row.stop) for row in rows[projection.target]]
    kinds, kind = np.unique(np.stack(reach, axis=1), axis=0, return_inverse=True)
    return kinds, per_neuron(synapse, kind.reshape(-1))
