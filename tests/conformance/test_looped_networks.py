"""Networks that feed back: streamed, alone and sample by sample they give identical answers."""

from collections import Counter
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from hwtargets.simulator import SIMULATOR
from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.ir.silence import silence_problems
from snndeploy.ir.verify_network import verify_network
from snndeploy.passes.guard import schedule
from snndeploy.registry import find_target
from tests.generator.case import Case, difference, simulate
from tests.generator.check import check
from tests.generator.coverage import features, missing, table
from tests.generator.live_lava import check_lava, job
from tests.generator.loops import random_loops
from tests.generator.neurons import ALL_PROGRAMS

LOIHI2 = find_target("loihi2").chip.numerics
N_LOOPS, N_LAVA, N_FULL = 220, 16, 1000
LEAKY = tuple(name for name, program in ALL_PROGRAMS.items() if program.bounds == "leaky")


def looped(seed, **options):
    """Return a case with feedback, None where neither guard nor host keeps its samples apart."""
    try:
        case = Case(*random_loops(np.random.default_rng(seed), LOIHI2, **options))
    except UnsupportedError as error:
        assert error.code in ("E2132", "E2133")  # noqa: PT017
        return None
    assert case.is_valid
    return case


def without_bias(seed):
    """Return a case of leaky neurons that rest until their input arrives, run alone."""
    case = looped(seed, programs=LEAKY)
    return case and Case(replace(case.network, alone=True), case.inputs)


def sample_of(case, sample):
    return {name: x[:, sample : sample + 1] for name, x in case.inputs.items()}


def check_loop(seed, failures, seen):
    """Compare simulator and reference, streamed, alone and one sample at a time."""
    case = looped(seed, programs=LEAKY) if seed % 4 else looped(seed)
    if case is None:
        seen["loops", "refused"] += 1
        return
    check(case, simulate(case), simulate, name=f"loops-{seed}", failures=failures)
    alone = Case(replace(case.network, alone=True), case.inputs)
    check(alone, simulate(alone), simulate, name=f"loops-alone-{seed}", failures=failures)
    assert difference(case, alone.traces) is None
    for sample in range(next(iter(case.inputs.values())).shape[1]):
        single = Case(case.network, sample_of(case, sample)).traces
        for name, trace in case.traces.items():
            np.testing.assert_array_equal(single[name].spikes[:, 0], trace.spikes[:, sample])
    seen.update(features(case))
    network = case.network
    lags = [p for p in network.projections if p.lag]
    seen["loops", "alone" if network.alone else "guarded"] += 1
    seen["loops", "to itself"] += any(p.source == p.target for p in lags)
    seen["loops", "through several"] += any(p.source != p.target for p in lags)
    seen["loops", "lag > 1"] += any(p.lag > 1 for p in lags)


def test_streamed_alone_and_one_by_one_are_the_same(tell, failures):
    seen = Counter()
    for seed in range(N_LOOPS):
        check_loop(seed, failures, seen)
    for line in table(seen):
        tell(f"{N_LOOPS} networks with loops, simulator = reference = alone = one by one: {line}")
    wanted = ("guarded", "alone", "to itself", "through several", "lag > 1")
    assert not missing(seen, {"loops": wanted, "program": LEAKY}, 20)


@pytest.mark.full
def test_streamed_and_alone_are_the_same_on_many_more(failures):
    for seed in range(50_000, 50_000 + N_FULL):
        check_loop(seed, failures, Counter())


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_lava_equals_the_reference(tell, failures):
    cases, seen = {}, Counter()
    for seed in count(1000):
        case = without_bias(seed) if seed % 3 == 0 else looped(seed)
        if case is None or case.network.depth > 12:
            continue
        try:
            job(case)
        except UnsupportedError:
            continue
        cases[f"lava-loops-{seed}"] = case
        seen.update(features(case))
        seen["loops", "alone" if case.network.alone else "guarded"] += 1
        if len(cases) == N_LAVA:
            break
    check_lava(cases, failures)
    for line in table(seen):
        tell(f"{N_LAVA} networks with loops, Lava = reference: {line}")
    assert not missing(seen, {"loops": ("alone", "guarded")}, 3)


def first_guarded():
    """Return a streamed case whose guard matters: without it the answer is another one."""
    for seed in count():
        case = looped(seed)
        if case and case.network.guard and not case.network.alone:
            bare = Case(without_guard(case.network), case.inputs)
            if difference(case, bare.traces):
                return case, bare
    raise AssertionError


def without_guard(network):
    kept = tuple(p for p in network.projections if p.source != "host.guard")
    sources = tuple(source for source in network.sources if source.is_given)
    return replace(network, guard=0, projections=kept, sources=sources)


def test_without_its_dead_steps_a_network_is_caught():
    case, bare = first_guarded()
    verify_network(case.network)
    (problem, *_) = silence_problems(bare.network)
    assert "dead steps between samples" in problem
    with pytest.raises(ModelError, match="E1065"):
        verify_network(bare.network)
    with pytest.raises(ModelError, match=r"E3004.*--one-at-a-time"):
        SIMULATOR.run(bare.network, bare.inputs, record=())


def test_a_guard_that_is_too_weak_is_caught():
    case, _ = first_guarded()
    projections = tuple(
        replace(p, weight_exp=-7) if p.source == "host.guard" else p
        for p in case.network.projections
    )
    weak = replace(case.network, projections=projections)
    assert any("may send before its window" in problem for problem in silence_problems(weak))


def with_lags(network, change):
    """Return the network as it was before it was scheduled, its lags changed."""
    bare = without_guard(network)
    return replace(bare, projections=tuple(replace(p, lag=change(p.lag)) for p in bare.projections))


def test_a_loop_that_is_too_short_is_refused_with_its_populations():
    case, _ = first_guarded()
    short = with_lags(case.network, lambda _: 0)
    with pytest.raises(UnsupportedError, match=r"^error\[E2131\] \w+.*one step of lag per popul"):
        schedule(short, LOIHI2, alone=False)


def test_a_loop_delayed_beyond_its_synapses_is_refused():
    case, _ = first_guarded()
    late = with_lags(case.network, lambda lag: lag and 80)
    with pytest.raises(UnsupportedError, match=r"^error\[E2132\].*its synapses hold 6[23]"):
        schedule(late, LOIHI2, alone=False)
