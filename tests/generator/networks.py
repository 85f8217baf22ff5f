"""Random integer networks, grown construct by construct; rng in, network and inputs out."""

import numpy as np
from hypothesis import strategies as st

from snndeploy.ir.network import Network, Output, Population
from snndeploy.ir.neurons import LIF, NEVER
from tests.generator.constructs import CONSTRUCTS, readout
from tests.generator.draft import Draft
from tests.generator.synapses import KINDS


def random_network(
    rng: np.random.Generator,
    *,
    constructs: tuple[str, ...] = tuple(CONSTRUCTS),
    programs: tuple[str, ...] = ("lif",),
    kinds: tuple[str, ...] = KINDS,
    most: int = 3,
    graded: bool | None = None,
    extreme: bool | None = None,
    silent: bool | None = None,
) -> tuple[Network, dict[str, np.ndarray]]:
    """Return a network and inputs [P, B, *shape] by source.

    Args:
        rng: generator; equal seeds give equal networks.
        constructs: names to draw from.
        programs: neuron programs to draw from; gates, relays and readouts are `lif` always.
        kinds: synapse kinds to draw from.
        most: constructs at most.
        graded: whether the first source carries integers; None draws.
        extreme: see `Draft`; None draws it in one of five.
        silent: whether a population that never fires ends it; None draws.
    """
    draft = Draft(
        rng=rng,
        steps=int(rng.integers(1, 7)),
        n_samples=int(rng.integers(1, 4)),
        programs=programs,
        kinds=kinds,
        extreme=bool(rng.random() < 0.2) if extreme is None else extreme,
    )
    shape = tuple(int(size) for size in (rng.integers(1, 4), *rng.integers(1, 7, size=2)))
    draft.source(
        (1, 1, 1) if rng.random() < 0.05 else shape,
        graded=bool(rng.random() < 0.4) if graded is None else graded,
    )
    for construct in rng.choice(constructs, size=int(rng.integers(1, most + 1))):
        CONSTRUCTS[str(construct)](draft)
    if rng.random() < 0.3 if silent is None else silent:
        readout(draft)
    return Network(
        name="random", steps=draft.steps, sources=tuple(draft.sources),
        populations=tuple(draft.populations), projections=tuple(draft.projections),
        outputs=random_outputs(draft),
    ), draft.inputs  # fmt: skip


def random_outputs(draft: Draft) -> tuple[Output, ...]:
    """Return an output of the newest population and, in one of three, of another one."""
    *others, top = draft.populations
    read = [top, others[int(draft.rng.integers(len(others)))]] if others else [top]
    read = read[: 2 if draft.rng.random() < 0.35 else 1]
    return tuple(
        Output(
            name=f"out{index}", population=population.name, shape=population.shape, decode="sum",
            readout="increment" if is_silent(population) else "spikes",
        )
        for index, population in enumerate(read)
    )  # fmt: skip


def is_silent(population: Population) -> bool:
    """Whether a population can never fire."""
    return population.program == LIF and population.scalar("vth") == NEVER


def networks(**options):
    """Return a hypothesis strategy of (network, inputs), shrinking towards small seeds."""
    return st.integers(0, 2**32 - 1).map(
        lambda seed: random_network(np.random.default_rng(seed), **options)
    )
