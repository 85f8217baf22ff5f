"""What random networks are made of: one function of the draft per construct.

A population is called after the construct that made it. To add one, write a function that grows the
draft and list it in `CONSTRUCTS`; the suites then ask for cases in which it is not vacuous.
"""

from collections.abc import Callable, Mapping

import numpy as np

from snndeploy.ir.neurons import LIF, gate
from snndeploy.ir.synapses import OneToOne
from tests.generator.draft import Draft, Neuron, Node
from tests.generator.neurons import ALL_PROGRAMS, brim, silent_lif
from tests.generator.synapses import random_shape

LONGEST_DELAY = 62
"""Of a dense or sparse synapse on loihi2."""


def gate_at(vth: int) -> Neuron:
    return lambda _: (LIF, gate(vth=vth))


def layer(draft: Draft) -> None:
    """One projection from the newest node."""
    synapse, fields = draft.synapse(draft.top)
    draft.grow("layer", random_shape(draft.rng, synapse), [(draft.top, synapse, fields)])


def late(draft: Draft) -> None:
    """A layer that waits in its synapses, now and then as long as the chip can."""
    synapse, fields = draft.synapse(draft.top)
    delay = LONGEST_DELAY if draft.rng.random() < 0.4 else int(draft.rng.integers(1, 6))
    shape = random_shape(draft.rng, synapse)
    wave = draft.top.wave + 1 + delay
    draft.grow("late", shape, [(draft.top, synapse, fields)], wave=wave)


def skip(draft: Draft) -> None:
    """A layer, and a delayed projection over it from an earlier node."""
    if len(draft.populations) < 2:
        layer(draft)
    below = draft.top
    synapse, fields = draft.synapse(below)
    shape = random_shape(draft.rng, synapse)
    early = draft.earlier(below.wave)
    bridge, its = draft.synapse(early, n_out=synapse.n_out, alone=False)
    draft.grow("skip", shape, [(below, synapse, fields), (early, bridge, its)])


def parallel(draft: Draft) -> None:
    """Two projections between the same two populations."""
    below = draft.top
    synapse, fields = draft.synapse(below)
    second, its = draft.synapse(below, n_out=synapse.n_out, alone=False)
    shape = random_shape(draft.rng, synapse)
    draft.grow("parallel", shape, [(below, synapse, fields), (below, second, its)])


def branch(draft: Draft) -> None:
    """Two branches of one node, of different depth, that meet again."""
    fork = draft.top
    layer(draft)
    deep = draft.top
    synapse, fields = draft.synapse(fork)
    shallow = draft.grow("layer", random_shape(draft.rng, synapse), [(fork, synapse, fields)])
    if draft.rng.random() < 0.5:
        synapse, fields = draft.synapse(deep)
        deep = draft.grow("layer", random_shape(draft.rng, synapse), [(deep, synapse, fields)])
    synapse, fields = draft.synapse(deep, alone=False)
    second, its = draft.synapse(shallow, n_out=synapse.n_out, alone=False)
    shape = random_shape(draft.rng, synapse)
    draft.grow("branch", shape, [(deep, synapse, fields), (shallow, second, its)])


def second_source(draft: Draft) -> None:
    """Another input, that joins at any depth."""
    below = draft.top
    shape = tuple(int(size) for size in draft.rng.integers(1, 4, size=3))
    other = draft.source(shape, graded=bool(draft.rng.random() < 0.5))
    synapse, fields = draft.synapse(below)
    second, its = draft.synapse(other, n_out=synapse.n_out, alone=False)
    shape = random_shape(draft.rng, synapse)
    draft.grow("second_source", shape, [(below, synapse, fields), (other, second, its)])


def to_the_brim(draft: Draft) -> None:
    """A population that single spikes fill up to the ends of its words."""
    weight = np.full(draft.top.n, 255)
    fields = {"sign_mode": "excitatory", "weight_exp": 7}
    draft.grow(
        "brim", draft.top.shape, [(draft.top, OneToOne(weight=weight), fields)],
        neuron=lambda cell: (LIF, brim(cell)),
    )  # fmt: skip


def relay(draft: Draft) -> None:
    """Spikes kept waiting by one or two populations, joined with a layer."""
    early = draft.binary
    relayed: Node = early
    for _ in range(int(draft.rng.integers(1, 3))):
        weight = np.full(early.n, 2)
        held = (relayed, OneToOne(weight=weight), {"sign_mode": "excitatory"})
        relayed = draft.grow("relay", early.shape, [held], neuron=gate_at(1))
    synapse, fields = draft.synapse(early)
    second, its = draft.synapse(relayed, n_out=synapse.n_out, alone=False)
    shape = random_shape(draft.rng, synapse)
    draft.grow("relayed", shape, [(early, synapse, fields), (relayed, second, its)])


def logic(name: str, first: int, second: int, vth: int) -> Callable[[Draft], None]:
    """Return the construct of a gate on two populations of binary spikes."""

    def grow(draft: Draft) -> None:
        one = draft.binary
        synapse, fields = draft.synapse(one, n_out=one.n)
        plain = tuple(p for p in draft.programs if not ALL_PROGRAMS[p].is_graded) or ("lif",)
        other = draft.grow("layer", one.shape, [(one, synapse, fields)], programs=plain)
        into = [
            (one, OneToOne(weight=np.full(one.n, first)), {}),
            (other, OneToOne(weight=np.full(one.n, second)), {}),
        ]
        draft.grow(name, one.shape, into, neuron=gate_at(vth))

    return grow


def readout(draft: Draft) -> None:
    """A population that never fires, read by its potential."""
    synapse, fields = draft.synapse(draft.top)
    shape = random_shape(draft.rng, synapse)
    into = [(draft.top, synapse, fields)]
    draft.grow("readout", shape, into, neuron=lambda cell: (LIF, silent_lif(cell)))


CONSTRUCTS: Mapping[str, Callable[[Draft], None]] = {
    "layer": layer,
    "late": late,
    "skip": skip,
    "parallel": parallel,
    "branch": branch,
    "second_source": second_source,
    "brim": to_the_brim,
    "relay": relay,
    "or": logic("or", 2, 2, 1),
    "and": logic("and", 2, 2, 3),
    "iand": logic("iand", -2, 2, 1),
}
"""What a network is grown from; `readout` closes some."""
