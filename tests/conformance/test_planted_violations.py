"""What must not pass is planted into generated cases, and caught by the check made for it."""

from dataclasses import replace

import nir
import numpy as np
import pytest
import torch
from spikingjelly.activation_based import neuron
from torch import nn

from hwtargets.loihi.lower import lower
from hwtargets.loihi.rules import LOIHI2_RULES
from hwtargets.loihi.targets import LoihiTarget
from snndeploy.errors import UnsupportedError
from snndeploy.frontends.torch_module import ImportOptions, import_module
from snndeploy.ir.neurons import LIF
from snndeploy.ir.synapses import Conv
from snndeploy.passes import exact
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target
from tests.chains import chain_model, integrate_and_fire, pool
from tests.generator.case import Case, difference, differs, simulate
from tests.generator.check import check_model
from tests.generator.model_case import ModelCase, random_inputs
from tests.generator.models import random_model
from tests.generator.moves import descendants, moved
from tests.generator.networks import is_silent, random_network

LOIHI2 = find_target("loihi2")


# ---- delays -------------------------------------------------------------------------------


def with_delay(case, delay):
    """Return the case with its newest population so late that its longest delay is this."""
    name = case.names[-1]
    longest = max(p.delay for p in case.network.into(name))
    return moved(case, dict.fromkeys(descendants(case.network, name), delay - longest))


@pytest.mark.parametrize("seed", range(12))
def test_a_delay_beyond_the_format_is_caught_where_it_is(seed):
    case = Case(*random_network(np.random.default_rng(seed), graded=False, extreme=False))
    for delay, caught in ((62, False), (63, True), (64, True)):
        late = with_delay(case, delay)
        assert late.is_valid
        assert not differs(simulate)(late)
        found = [v for v in LOIHI2.check(late.network) if v.rule.startswith("delay of")]
        assert max((v.have for v in found), default=0) == (delay if caught else 0)
    with pytest.raises(UnsupportedError, match=r"E2207.*delay 64, a synapse delays by 0\.\.63"):
        lower(late.network)


def short_delays(chip, longest):
    numerics = replace(chip.numerics, delay_max={"dense": longest, "sparse": longest, "conv": 0})
    return LoihiTarget(replace(chip, numerics=numerics), LOIHI2_RULES)


@pytest.mark.parametrize("longest", [0, 1])
def test_relays_keep_what_a_chip_of_short_delays_cannot(longest):
    n_relays, target = 0, short_delays(LOIHI2.chip, longest)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        model = random_model(rng, constructs=("membrane_add", "long_skip", "and"))
        if any(port.values == "real" for port in model.inputs):
            continue
        model_case = ModelCase(model, random_inputs(rng, model, 2))
        try:
            network = compile_model(model, target, CompileOptions()).network
        except UnsupportedError:
            continue
        assert not [v for v in target.check(network) if v.rule.startswith("delay of")]
        assert all(p.delay == 0 for p in network.projections if isinstance(p.synapse, Conv))
        relayed = Case(network, model_case.case.inputs)
        assert difference(model_case.case, simulate(relayed)) is None
        n_relays += sum(".relay" in name for name in relayed.names)
    assert n_relays >= 20


# ---- gates --------------------------------------------------------------------------------


class Gate(nn.Module):
    """Two neurons whose spikes, and their sum, meet in some spiking logic."""

    def __init__(self, meet):
        super().__init__()
        self.one, self.two = neuron.IFNode(), neuron.IFNode()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.pool, self.meet = nn.MaxPool2d(2), meet

    def forward(self, x):
        a = self.one(self.conv(x))
        return self.meet(self, a, self.two(a))


GATES = {
    "or": (
        lambda _, a, b: torch.maximum(a, b), lambda _, a, b: torch.maximum(a + b, b),
        r"E2014.*joins whole numbers from 0 to 2",
    ),
    "and": (
        lambda _, a, b: a * b, lambda _, a, b: (a + b) * b,
        r"E2014.*joins whole numbers from 0 to 2",
    ),
    "and not": (
        lambda _, a, b: (1 - a) * b, lambda _, a, b: (1 - (a + b)) * b,
        r"E2014.*joins whole numbers from -1 to 1",
    ),
    "max pool": (
        lambda m, a, _: m.pool(a), lambda m, a, b: m.pool(a + b),
        r"E2004.*max pooling of whole numbers from 0 to 2",
    ),
}  # fmt: skip


def traced(meet):
    options = ImportOptions(steps=3)
    return import_module(Gate(meet), torch.zeros(1, 1, 4, 4), options)


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_on_an_integer_stream_is_refused_by_the_tracer(gate):
    on_spikes, on_counts, message = GATES[gate]
    assert any(isinstance(n, nir.Threshold) for n in traced(on_spikes).graph.nodes.values())
    with pytest.raises(UnsupportedError, match=message):
        traced(on_counts)


@pytest.mark.parametrize("threshold", [0.5, 1.5])
def test_a_threshold_on_counts_in_a_graph_is_what_the_graph_says(threshold):
    """Nothing says that a `Threshold` is a gate, so counts are compared as they are."""
    model = chain_model(
        nir.Scale(scale=np.full((2, 4, 4), 2.0)), integrate_and_fire((2, 4, 4)),
        pool(nir.SumPool2d, 2), nir.Threshold(threshold=np.full((2, 2, 2), threshold)),
        shape=(2, 4, 4), out_shape=(2, 2, 2), steps=6,
    )  # fmt: skip
    counts = replace(model.semantics, reset="subtract", multi_spike=True)
    model = replace(model, semantics=counts)
    model_case = ModelCase(model, random_inputs(np.random.default_rng(0), model, 6))
    assert model_case.compiled.network.population["n1"].high > 1
    assert "n3" in model_case.exact()
    assert model_case.unlike_float() is None
    assert 0 < model_case.floats(("n3",))["n3"].mean() < 1


def test_a_threshold_on_real_input_is_refused_or_not_called_exact():
    def gated(low, high):
        return chain_model(
            pool(nir.SumPool2d, 2), nir.Threshold(threshold=np.full((1, 2, 2), 0.5)),
            shape=(1, 4, 4), out_shape=(1, 2, 2), steps=3, values="real", low=low, high=high,
        )  # fmt: skip

    with pytest.raises(UnsupportedError, match="E2106"):
        compile_model(gated(-1.0, 1.0), LOIHI2, CompileOptions())
    (report,) = compile_model(gated(0.0, 2.0), LOIHI2, CompileOptions()).layers
    assert not report.exact
    assert report.why == ("the input is rounded to integers",)


# ---- ties at the threshold ----------------------------------------------------------------


def tying(seed):
    """Return a model on sixteenths, compared with >=, its inputs, and how many spikes are ties."""
    rng = np.random.default_rng(seed)
    model = random_model(rng, grid=True)
    model = replace(model, semantics=replace(model.semantics, compare="ge"))
    model_case = ModelCase(model, random_inputs(rng, model, 4))
    strict = replace(model, semantics=replace(model.semantics, compare="gt"))
    try:
        names = tuple(n for n, p in model_case.case.network.population.items() if ".relay" not in n)
    except UnsupportedError:
        return model_case, {}
    population = model_case.case.network.population
    names = tuple(name for name in names if not is_silent(population[name]))
    with_ties, without = (
        model_case.floats(names),
        ModelCase(strict, model_case.inputs).floats(names),
    )
    return model_case, {n: int((with_ties[n] != without[n]).sum()) for n in names}


def test_ties_are_spikes_or_the_layer_is_not_called_exact():
    n_exact = n_ties = 0
    for seed in range(40):
        model_case, ties = tying(seed)
        if not ties:
            continue
        exact = model_case.exact()
        assert model_case.unlike_float() is None, seed
        n_exact += sum(ties[name] > 0 for name in exact if name in ties)
        n_ties += sum(ties[name] for name in exact if name in ties)
        for report in model_case.compiled.layers:
            assert report.exact != bool(report.why)
    assert n_exact >= 20
    assert n_ties >= 200


def test_a_threshold_register_off_by_one_is_caught(monkeypatch, tmp_path):
    """Planted where parameters are made: the model itself finds it, and a small `.nir` is left."""
    right = exact.parameters

    def wrong(*args, **options):
        params = right(*args, **options)
        return {**params, "vth": params["vth"] + 1} if "vth" in params else params

    def ties_in_lif(model_case, ties):
        names = model_case.exact() if ties else ()
        population = model_case.case.network.population if ties else {}
        return any(ties.get(name) and population[name].program == LIF for name in names)

    model_case = next(m for m, ties in map(tying, range(60)) if ties_in_lif(m, ties))
    check_model(model_case, simulate, name="tie", failures=tmp_path)
    monkeypatch.setattr(exact, "parameters", wrong)
    again = ModelCase(model_case.model, model_case.inputs)
    with pytest.raises(pytest.fail.Exception, match=r"tie: .*\nreduced to .*tie\.nir"):
        check_model(again, simulate, name="tie", failures=tmp_path)


def test_a_register_off_by_one_in_one_executor_is_caught():
    def tampered(case):
        populations = tuple(
            replace(p, params={**p.params, "vth": np.maximum(p.params["vth"] - 1, 0)})
            if p.program == LIF and not is_silent(p) else p
            for p in case.network.populations
        )  # fmt: skip
        return simulate(Case(replace(case.network, populations=populations), case.inputs))

    tied = caught = 0
    for seed in range(70):
        case = Case(*random_network(np.random.default_rng(seed), extreme=False))
        traces = case.traces
        ties = any(
            (traces[p.name].states["v"] == p.scalar("vth") << 6).any() and p.scalar("vth") > 0
            for p in case.network.populations
            if p.program == LIF and not is_silent(p)
        )
        tied += ties
        caught += ties and differs(tampered)(case)
    assert tied == caught >= 20
