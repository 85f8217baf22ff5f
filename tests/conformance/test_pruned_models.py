"""Random models, pruned: the integer network is that of the model with silent channels."""

import numpy as np
import pytest

from hwtargets.simulator import SIMULATOR
from snndeploy.compress.channels import groups_of
from snndeploy.nirgraph.interpret import run_float
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target
from tests.generator.models import CONSTRUCTS, random_model
from tests.pruned import firing, on_grid, random_kept, removed, silenced, staying

SAMPLES = 4
QUICK, ALL = range(16), range(16, 60)


def prunable(seed):
    """Return a random model that loses channels and still fires, what is kept, the generator."""
    rng = np.random.default_rng(1000 + seed)
    first = tuple(CONSTRUCTS)[seed % len(CONSTRUCTS)]
    while True:
        model = on_grid(random_model(rng, constructs=(first, *CONSTRUCTS), most=4))
        groups = groups_of(model.graph)
        kept = random_kept(groups, rng)
        loses = any(len(kept.get(g.name, ())) not in (0, g.n) for g in groups)
        if loses and fires(removed(model, kept), rng):
            return model, kept, rng


def fires(model, rng):
    x = {p.name: rng.random((model.steps, SAMPLES, *p.shape)).round() for p in model.inputs}
    names = firing(model)
    return all(values.any() for values in run_float(model, x, record=names).values())


def injected(network, rng):
    return {
        source.name: rng.integers(
            source.low, source.high + 1, (network.steps, SAMPLES, *source.shape)
        )
        for source in network.inputs
    }


@pytest.mark.parametrize(
    "seed", [*QUICK, *(pytest.param(seed, marks=pytest.mark.full) for seed in ALL)]
)
def test_integers_of_a_pruned_model_are_those_of_the_silenced_one(seed, tell):
    model, kept, rng = prunable(seed)
    small, whole = (
        compile_model(m, find_target("loihi2"), CompileOptions()).network
        for m in (removed(model, kept), silenced(model, kept))
    )
    stays, inputs = staying(model, kept), injected(small, rng)
    names = tuple(p.name for p in small.populations if p.name in model.graph.nodes)
    got, want = (SIMULATOR.run(n, inputs, record=names).traces for n in (small, whole))
    cells = 0
    for name in names:
        spikes = want[name].spikes
        spikes = spikes.reshape(*spikes.shape[:2], *whole.population[name].shape)
        assert np.array_equal(
            got[name].spikes.reshape(-1), spikes[:, :, stays[name]].reshape(-1)
        ), name  # fmt: skip
        cells += got[name].spikes.size
    tell(f"pruned = silenced in random model {seed}: 0 of {cells:,} integer spikes differ")
    assert sum(p.n for p in small.populations) < sum(p.n for p in whole.populations)
    assert any(got[name].spikes.any() for name in names)
