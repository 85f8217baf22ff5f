"""Networks that feed back: streamed, alone and sample by sample they give identical answers."""

import os
from collections import Counter
from dataclasses import replace

import loops
import numpy as np
import pytest

from hwtargets.loihi.executor import LavaJob, run_jobs
from hwtargets.loihi.lower import lower
from hwtargets.simulator import SIMULATOR
from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.silence import silence_problems
from snndeploy.ir.text import parse_network, print_network
from snndeploy.ir.verify_network import verify_network
from snndeploy.registry import find_target

LOIHI2 = find_target("loihi2").chip.numerics
N_STREAMED, N_LAVA = 120, 12


def names(network):
    return tuple(population.name for population in network.populations)


def assert_equal(got, want):
    for name, trace in want.items():
        np.testing.assert_array_equal(got[name].spikes, trace.spikes, name)
        for word, values in trace.states.items():
            np.testing.assert_array_equal(got[name].states[word], values, f"{name}.{word}")


def telling(traces):
    return [n for n, t in traces.items() if 0.01 <= np.mean(t.spikes != 0) <= 0.7]


def scheduled(seed, **options):
    """Return a network and inputs, or None where no guard can silence what was drawn."""
    rng = np.random.default_rng(seed)
    try:
        return loops.random_loops(rng, LOIHI2, **options)
    except UnsupportedError as error:
        assert error.code == "E2133"  # noqa: PT017
        return None


def test_streamed_alone_and_one_by_one_are_the_same(tell):
    seen = Counter()
    for seed in range(N_STREAMED):
        found = scheduled(seed)
        if found is None:
            seen["refused"] += 1
            continue
        network, inputs = found
        verify_network(network)
        want = run_reference(network, inputs, record=names(network))
        assert_equal(SIMULATOR.run(network, inputs, record=names(network)).traces, want)
        alone = replace(network, alone=True)
        seen["proven alone too"] += not list(silence_problems(alone))
        for runner in (run_reference, lambda *a, **k: SIMULATOR.run(*a, **k).traces):
            assert_equal(runner(alone, inputs, record=names(network)), want)
        for sample in range(inputs["in"].shape[1]):
            one = {"in": inputs["in"][:, sample : sample + 1]}
            single = run_reference(network, one, record=names(network))
            for name, trace in single.items():
                np.testing.assert_array_equal(trace.spikes[:, 0], want[name].spikes[:, sample])
        programs = {p.name: p.program.name for p in network.populations}
        seen.update(programs[name] for name in telling(want))
        seen.update({"alone": network.alone, f"guard of {network.guard}": 1})
        lags = [p for p in network.projections if p.lag]
        seen["self-loops"] += any(p.source == p.target for p in lags)
        seen["loops of several"] += any(p.source != p.target for p in lags)
    tell("loops, simulator = reference = alone = one by one: " + show(seen))
    assert min(seen[name] for name in loops.LEAKY) >= 10, seen
    assert min(seen["self-loops"], seen["loops of several"], seen["proven alone too"]) >= 20, seen


def show(seen):
    return ", ".join(f"{name} {n}" for name, n in sorted(seen.items()))


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_lava_equals_the_reference(tell):
    cases, seen = [], Counter()
    for seed in range(10 * N_LAVA):
        rest = seed % 3 == 0  # without bias, so that samples may run alone
        found = scheduled(1000 + seed, bias=not rest, alone=rest)
        if found is None:
            continue
        network, inputs = found
        want = run_reference(network, inputs, record=names(network))
        programs = {network.population[name].program.name for name in telling(want)}
        if any(seen[name] < 3 for name in programs):
            cases.append((network, inputs, want))
            seen.update(programs)
            seen["alone" if network.alone else "streamed"] += 1
        if len(cases) == N_LAVA:
            break
    jobs = [LavaJob(program=lower(n), inputs=x, record=names(n)) for n, x, _ in cases]
    for (_, _, want), got in zip(cases, run_jobs(jobs, environ=os.environ), strict=True):
        assert_equal(got, want)
    tell(f"Lava = reference on {len(cases)} networks with loops: {show(seen)}")
    assert seen["lif"] >= 2
    assert min(seen["alone"], seen["streamed"]) >= 3


def test_text_keeps_lags_and_guards():
    for seed in range(20):
        found = scheduled(seed)
        if found:
            text, _ = print_network(found[0])
            assert print_network(parse_network(text))[0] == text


def streamed(seed=0):
    """Return a streamed network whose guard matters: without it samples touch."""
    while True:
        found = scheduled(seed, bias=False)
        if found and not found[0].alone and found[0].guard:
            network, inputs = found
            bare = without_guard(network)
            want = run_reference(network, inputs, record=names(network))
            got = run_reference(bare, inputs, record=names(network))
            if any(np.any(got[n].spikes != want[n].spikes) for n in want):
                return network, bare, inputs
        seed += 1


def without_guard(network):
    kept = tuple(p for p in network.projections if p.source != "host.guard")
    sources = tuple(source for source in network.sources if source.is_given)
    return replace(network, guard=0, projections=kept, sources=sources)


def test_without_its_dead_steps_a_network_is_caught():
    network, bare, inputs = streamed()
    verify_network(network)
    (problem, *_) = silence_problems(bare)
    assert "dead steps between samples" in problem
    with pytest.raises(ModelError, match="E1065"):
        verify_network(bare)
    with pytest.raises(ModelError, match=r"E3004.*--one-at-a-time"):
        SIMULATOR.run(bare, inputs, record=())


def test_a_guard_that_is_too_weak_is_caught():
    network, *_ = streamed()
    weak = replace(
        network,
        projections=tuple(
            replace(p, weight_exp=-7) if p.source == "host.guard" else p
            for p in network.projections
        ),
    )
    assert any("may send before its window" in problem for problem in silence_problems(weak))


def test_a_loop_that_is_too_short_is_refused_with_its_populations():
    network, _ = next(filter(None, (scheduled(seed) for seed in range(100))))
    short = tuple(replace(p, lag=0) for p in network.projections)
    with pytest.raises(UnsupportedError, match=r"^error\[E2131\] p\d.*one step of lag per popul"):
        loops.schedule(replace(network, projections=short), LOIHI2, alone=False)


def test_a_loop_delayed_beyond_its_synapses_is_refused():
    network, _ = next(filter(None, (scheduled(seed) for seed in range(100))))
    late = tuple(replace(p, lag=p.lag and 80) for p in network.projections)
    with pytest.raises(UnsupportedError, match=r"^error\[E2132\].*hold 62|E2132.*hold 63"):
        loops.schedule(replace(without_guard(network), projections=late), LOIHI2, alone=False)
