"""Random float models, grown construct by construct: NIR graphs with semantics; rng in, model out.

Populations keep the names of their spiking nodes, which are called after the construct that made
them, so that what was compiled is counted like any other network. To add a construct, write a
function of the draft and list it in `CONSTRUCTS`.
"""

from collections.abc import Callable, Mapping

import nir
import numpy as np

from snndeploy.model import Model
from snndeploy.semantics import Semantics
from tests import chains
from tests.generator.model_draft import Draft, Tip, assembled, random_semantics


def layer(draft: Draft, tip: Tip | None = None, name: str = "layer") -> Tip:
    """Weights and a neuron."""
    tip = tip or draft.top
    if tip.is_image and draft.rng.random() < 0.7:
        weights, shape = draft.conv(tip)
        return draft.neuron(name, shape, weights)
    n_out = int(draft.rng.integers(4, 20))
    return draft.neuron(name, (n_out,), draft.linear(n_out, tip))


def again(draft: Draft, tip: Tip) -> Tip:
    """A layer of the same shape."""
    return draft.neuron("layer", tip.shape, draft.same(tip))


def average_pool(draft: Draft) -> None:
    """An average pool after spikes, folded into the weights that follow."""
    tip = next((t for t in reversed(draft.tips) if t.is_image), None)
    if tip is None:
        return
    size = (tip.shape[1] // 2, tip.shape[2] // 2)
    pooled = draft.add("pool", chains.pool(nir.AvgPool2d, 2), tip.name)
    layer(draft, Tip(pooled, (tip.shape[0], *size)), "average_pool")


def max_pool(draft: Draft) -> None:
    """The largest spike of a window: a sum pool and a gate."""
    tip = next((t for t in reversed(draft.tips) if t.is_image and t.binary), None)
    if tip is None:
        return
    shape = (tip.shape[0], tip.shape[1] // 2, tip.shape[2] // 2)
    pooled = draft.add("pool", chains.pool(nir.SumPool2d, 2), tip.name)
    draft.gate("max_pool", shape, 0.5, pooled)


def membrane_add(draft: Draft) -> None:
    """An identity shortcut over two weight layers, added before the last neuron."""
    tip = draft.top
    draft.neuron("membrane_add", tip.shape, draft.same(again(draft, tip)), tip.name)


def spike_add(draft: Draft) -> None:
    """The sum of two spike trains feeds the next weights."""
    tip = draft.top
    draft.neuron("spike_add", tip.shape, draft.same(again(draft, tip), tip))


def concatenation(draft: Draft) -> None:
    """Two branches of different depth: one block of weights each."""
    tip, n_out = draft.top, int(draft.rng.integers(4, 14))
    deep = again(draft, tip)
    blocks = draft.linear(n_out, tip), draft.linear(n_out, deep)
    draft.neuron("concatenation", (n_out,), *blocks)


def logic(name: str, threshold: float, sign: float = 1.0) -> Callable[[Draft], None]:
    """Return the construct of a gate on two spike trains of different depth."""

    def grow(draft: Draft) -> None:
        tip = draft.top
        deep = again(draft, tip)
        if tip.binary and deep.binary:
            draft.gate(name, tip.shape, threshold, deep.name, draft.scale(sign, tip))

    return grow


def second_input(draft: Draft) -> None:
    """Another input, that joins at any depth."""
    tip = draft.top
    other = draft.input(tip.shape)
    draft.neuron("second_input", tip.shape, draft.same(tip), draft.same(other))


def second_output(draft: Draft) -> None:
    """A readout without a neuron beside all else."""
    tip = draft.top
    weights = draft.linear(5, tip)
    draft.nodes["readout"] = draft.nodes.pop(weights)
    draft.edges = [(a, "readout" if b == weights else b) for a, b in draft.edges]
    draft.output("readout", (5,))


def long_skip(draft: Draft) -> None:
    """A shortcut over three layers: more steps than a convolution can wait."""
    tip = deep = draft.top
    for _ in range(3):
        deep = again(draft, deep)
    draft.neuron("long_skip", tip.shape, draft.same(deep), draft.same(tip))


CONSTRUCTS: Mapping[str, Callable[[Draft], object]] = {
    "layer": layer,
    "average_pool": average_pool,
    "max_pool": max_pool,
    "membrane_add": membrane_add,
    "spike_add": spike_add,
    "concatenation": concatenation,
    "or": logic("or", 0.5),
    "and": logic("and", 1.5),
    "iand": logic("iand", 0.5, sign=-1.0),
    "second_input": second_input,
    "long_skip": long_skip,
}
"""What a model is grown from; `second_output` closes some."""


def random_model(
    rng: np.random.Generator,
    *,
    constructs: tuple[str, ...] = tuple(CONSTRUCTS),
    most: int = 3,
    grid: bool | None = None,
) -> Model:
    """Return a model: a layer and up to `most` constructs, on a `grid` or not; None draws."""
    plain = Semantics(dt=chains.DT, compare=str(rng.choice(["ge", "gt"])), v0="reset")
    semantics = random_semantics(rng, plain) if rng.random() < 0.4 else plain
    draft = Draft(
        rng=rng, semantics=semantics, grid=bool(rng.random() < 0.3) if grid is None else grid
    )
    shape = tuple(int(n) for n in (rng.integers(1, 4), *rng.integers(4, 8, 2)))
    draft.input(shape, values="real" if rng.random() < 0.3 else "spikes")
    layer(draft)
    for construct in rng.choice(constructs, size=int(rng.integers(1, most + 1))):
        CONSTRUCTS[str(construct)](draft)
    draft.output(draft.top.name, draft.top.shape)
    if rng.random() < 0.3:
        second_output(draft)
    return assembled(draft, steps=int(rng.integers(3, 8)))
