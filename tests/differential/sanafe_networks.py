"""Networks from seeds that SANA-FE and we run alike, on the same cores, and its answers.

Integrate-and-fire without leak, integer weights, no bias: nothing that the two round differently.
SANA-FE's input neurons sit on cores and cost nothing but their messages. Ours are the spikes of a
population `p0` that the host drives; what p0's neurons cost is taken out of the counts. So our
chip step t + 1 is SANA-FE's step t.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hwtargets.simulator.counts import counter
from hwtargets.simulator.engine import simulate
from hwtargets.simulator.timing import time_steps
from hwtargets.simulator.traffic import traffic_counter
from hwtargets.simulator.windows import schedule_of
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, lif
from snndeploy.ir.placement import CoreSlice, Placement
from snndeploy.ir.synapses import Dense, OneToOne, sparse_from_dense
from snndeploy.target import load_chip

FILES = Path(__file__).parents[2] / "hwtargets" / "chips"
LOIHI1 = load_chip(FILES / "loihi1.toml")
CHIP = replace(LOIHI1, latencies=LOIHI1.other_latencies["sanafe"])
DRIVER = Path(__file__).parents[1] / "sanafe_driver.py"
FREE = ("synaptic_op", "synaptic_word", "neuron_idle", "neuron_active", "spike")


@dataclass(frozen=True, eq=False, kw_only=True)
class Case:
    """A network for both.

    Attributes:
        sizes: neurons per group, input neurons first.
        vth: thresholds; a neuron fires above them.
        edges: (source, target, weight [n_source, n_target]) between groups.
        place: (group, core, start, stop).
        spikes: of the input neurons [T, n].
    """

    sizes: tuple[int, ...]
    vth: tuple[int, ...]
    edges: tuple[tuple[int, int, np.ndarray], ...]
    place: tuple[tuple[int, int, int, int], ...]
    spikes: np.ndarray

    @property
    def n_synapses(self):
        return sum(int(np.count_nonzero(weight)) for _, _, weight in self.edges)


def case(seed, sizes, per_core, *, steps, density=1.0, diamond=False, rate=0.1, spread=True):
    """Return a random chain of groups, thresholds tuned so that each fires at about `rate`.

    Args:
        per_core: neurons per core, by group.
        density: share of synapses that exist.
        diamond: groups 1 and 2 side by side between 0 and 3, else a chain.
        spread: cores drawn from the whole chip, else the first ones in order.
    """
    rng = np.random.default_rng(seed)
    spikes = (rng.random((steps, sizes[0])) < rate).astype(np.int64)
    chain = [(k, k + 1) for k in range(len(sizes) - 1)]
    ends = [(0, 1), (0, 2), (1, 3), (2, 3)] if diamond else chain
    edges = []
    for a, b in ends:
        weight = np.rint(rng.normal(1, 20, (sizes[a], sizes[b]))).astype(np.int64).clip(-120, 120)
        weight[weight == 0] = 1
        edges.append((a, b, weight * (rng.random(weight.shape) < density)))
    fired, vth = [spikes], [0]
    for b in range(1, len(sizes)):
        into = sum(fired[a] @ weight for a, target, weight in edges if target == b)
        a = np.vstack([np.zeros((1, sizes[b]), dtype=np.int64), into[:-1]])
        chosen = min((int(t) for t in np.geomspace(5, 3000, 40)),
                     key=lambda t: abs(_fire(a, t).mean() - rate))  # fmt: skip
        vth.append(chosen)
        fired.append(_fire(a, chosen))
    pieces = [
        (group, start, min(start + size, n))
        for group, (n, size) in enumerate(zip(sizes, per_core, strict=True))
        for start in range(0, n, size)
    ]
    cores = rng.permutation(128)[: len(pieces)] if spread else np.arange(len(pieces))
    return Case(
        sizes=tuple(sizes), vth=tuple(vth), edges=tuple(edges), spikes=spikes,
        place=tuple((g, int(c), a, b) for (g, a, b), c in zip(pieces, cores, strict=True)),
    )  # fmt: skip


def _fire(a, vth):
    v, fired = np.zeros(a.shape[1], dtype=np.int64), []
    for frame in a:
        v = v + frame
        fired.append(v > vth)
        v = np.where(fired[-1], 0, v)
    return np.array(fired, dtype=np.int64)


def ask_sanafe(case, models, folder, timeout=600):
    """Return SANA-FE's answers to a case, by name."""
    arrays = {}
    for k, (_, _, weight) in enumerate(case.edges):
        pairs = np.argwhere(weight)
        arrays |= {f"pairs{k}": pairs, f"values{k}": weight[tuple(pairs.T)]}
    job, answer = folder / "job.npz", folder / "answer.npz"
    np.savez(
        job, sizes=case.sizes, threshold=np.array(case.vth) + 0.5, place=case.place,
        source=[a for a, _, _ in case.edges], target=[b for _, b, _ in case.edges],
        spikes=case.spikes, **arrays,
    )  # fmt: skip
    command = [sys.executable, str(DRIVER), str(job), str(answer), *models]
    subprocess.run(command, check=True, timeout=timeout, capture_output=True)
    found = dict(np.load(answer))
    return {k: v if v.ndim else json.loads(str(v)) for k, v in found.items()}


def our_network(case):
    """Return the case as a network and a placement; a host source drives group 0."""
    steps, n = case.spikes.shape
    names = [f"p{k}" for k in range(len(case.sizes))]
    wave = {0: 1}
    for a, b, _ in case.edges:
        wave[b] = wave[a] + 1
    populations = tuple(
        Population(name=name, shape=(size,), program=LIF, wave=wave[k],
                   params=lif(du=4095, dv=0, vth=vth, bias_mant=0))
        for k, (name, size, vth) in enumerate(zip(names, case.sizes, case.vth, strict=True))
    )  # fmt: skip
    projections = [
        Projection(name="in", source="x", target="p0", synapse=OneToOne(weight=np.full(n, 2)))
    ]
    for a, b, weight in case.edges:
        across = weight.T
        synapse = Dense(weight=across) if weight.all() else sparse_from_dense(across)
        projections.append(
            Projection(name=f"w{a}{b}", source=names[a], target=names[b], synapse=synapse)
        )
    output = Output(name="y", population=names[-1], shape=(case.sizes[-1],), readout="spikes",
                    decode="sum")  # fmt: skip
    network = Network(
        name="case", steps=steps, sources=(Source(name="x", shape=(n,)),),
        populations=populations, projections=tuple(projections), outputs=(output,),
    )  # fmt: skip
    slices = tuple(
        CoreSlice(core=core, population=names[group], start=start, stop=stop, synapse_bits={},
                  in_axons={}, out_axons=0)
        for group, core, start, stop in case.place
    )  # fmt: skip
    return network, Placement(chip="loihi1", slices=slices, mesh=(8, 4), cores_per_tile=4)


@dataclass(frozen=True, eq=False, kw_only=True)
class Ours:
    """What we say to a case, as SANA-FE counts: cut to its steps, input neurons free."""

    counts: object
    traffic: object
    placement: Placement
    sent: dict

    def timing(self, level="bound", chip=CHIP):
        return time_steps(self.counts, self.traffic, self.placement, chip, level)


def run_ours(case):
    """Run a case; synaptic operations are booked where messages are taken, as SANA-FE does."""
    network, placement = our_network(case)
    inputs = {"x": case.spikes[:, None]}
    schedule = schedule_of(network, inputs)
    counted = counter(network, placement, schedule)
    loads = traffic_counter(network, placement, schedule, counted.reach, keep=True)
    sent = {}
    for chunk in simulate(network, inputs, record=()):
        counted.add(chunk)
        loads.add(chunk)
        for name, values in chunk.sent.items():
            sent.setdefault(name, []).append(np.asarray(values))
    counts, traffic = counted.result(), loads.result()
    here = slice(1, 1 + len(case.spikes))
    relays = [row.row for row in counted.rows["p0"]]
    for kind in ("axon_in", "synaptic_op", "synaptic_word"):
        traffic.taken[kind][relays] = 0
        if kind != "axon_in":
            counts.events[kind][:] = traffic.taken[kind]
    for kind in FREE:
        counts.events[kind][relays] = 0
    taken = {kind: values[:, here] for kind, values in traffic.taken.items()}
    spikes = {
        name: (steps[kept] - 1, neurons[kept])
        for name, (steps, neurons) in traffic.spikes.items()
        for kept in [(steps >= 1) & (steps <= len(case.spikes))]
    }
    return Ours(
        counts=replace(
            counts, events={k: v[:, here] for k, v in counts.events.items()},
            phase=counts.phase[:, here],
        ),
        traffic=replace(traffic, taken=taken, crossed=traffic.crossed[:, here], spikes=spikes),
        placement=placement,
        sent=spikes,
    )  # fmt: skip
