"""Every neuron program means the same to every executor: random networks, then one of a user's own.

A case is a population that is silent in 40 to 99 % of its cells; what all others do is compared
too, but not counted.
"""

import os
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from hwtargets.loihi.executor import LavaJob, run_jobs
from hwtargets.loihi.lower import judged_by_lava, lower
from hwtargets.simulator import SIMULATOR
from snndeploy.errors import UnsupportedError
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.neurons import LIF, lif
from snndeploy.ir.program import INT32, Program, State, as_params, line
from snndeploy.ir.programs import PROGRAMS
from snndeploy.ir.synapses import Dense
from snndeploy.ir.text import parse_network, print_network
from snndeploy.ir.verify_network import verify_network
from tests.networks import random_network

MICROCODE = tuple(name for name in PROGRAMS if name != "lif")
N_SIMULATED, N_LAVA, N_SEEDS = 60, 10, 600


def names(network):
    return tuple(population.name for population in network.populations)


def assert_equal(got, want):
    for name, trace in want.items():
        np.testing.assert_array_equal(got[name].spikes, trace.spikes, name)
        assert set(got[name].states) == set(trace.states)
        for word, values in trace.states.items():
            np.testing.assert_array_equal(got[name].states[word], values, f"{name}.{word}")


def telling(network, traces):
    """Return the programs of the populations that send something in 1 to 60 % of their cells."""
    return Counter(
        p.program.name
        for p in network.populations
        if 0.01 <= np.count_nonzero(traces[p.name].spikes) / traces[p.name].spikes.size <= 0.6
    )


def show(tell, title, seen):
    counts = ", ".join(f"{name} {n}" for name, n in sorted(seen.items()))
    tell(f"{title}: {counts}")


@pytest.mark.parametrize("program", MICROCODE)
def test_simulator_equals_reference(program, tell):
    seen = Counter()
    for seed in range(N_SEEDS):
        others = tuple(PROGRAMS) if seed % 3 == 0 else (program,)
        network, inputs = random_network(
            np.random.default_rng(seed), programs=(program, *others), max_layers=3
        )
        verify_network(network)
        overflows = {}
        want = run_reference(network, inputs, record=names(network), overflows=overflows)
        result = SIMULATOR.run(network, inputs, record=names(network))
        assert_equal(result.traces, want)
        for key, n in result.overflows.items():
            if not key.endswith(("u_wraps", "v_clips")):
                assert n == overflows[key], key
        seen += telling(network, want)
        seen["cells"] += sum(trace.spikes.size for trace in want.values())
        if seen[program] >= N_SIMULATED:
            break
    show(tell, f"simulator = reference, {program}", seen)
    assert seen[program] >= N_SIMULATED


@pytest.mark.parametrize("name", ["sigma", "graded_sum"])
def test_payloads_beyond_the_words_of_floats_stay_exact(name):
    rng = np.random.default_rng(0)
    wide = as_params({"low": INT32[0], "high": INT32[1]})
    chain = ("in", "p0", "p1", "p2")
    network = Network(
        name="wide", steps=4,
        sources=(Source(name="in", shape=(6,), low=-2047, high=2047, encoding="graded"),),
        populations=tuple(
            Population(name=p, shape=(6,), program=PROGRAMS[name], params=wide, wave=i + 1)
            for i, p in enumerate(chain[1:])
        ),
        projections=tuple(
            Projection(
                name=f"{a}{b}", source=a, target=b,
                synapse=Dense(weight=2 * rng.integers(-128, 128, size=(6, 6))),
            )
            for a, b in pairwise(chain)
        ),
        outputs=(),
    )  # fmt: skip
    inputs = {"in": rng.integers(-2047, 2048, size=(4, 5, 6))}
    want = run_reference(network, inputs, record=names(network))
    assert np.any(want["p1"].spikes != want["p1"].spikes.astype(np.float32))
    assert np.abs(want["p2"].spikes).max() > 1 << 30
    assert_equal(SIMULATOR.run(network, inputs, record=names(network)).traces, want)


def lava_cases():
    """Return networks of all programs, each N_LAVA times telling, that Lava's words can hold."""
    cases, seen = [], Counter()
    for seed in range(N_SEEDS):
        wanted = tuple(name for name in PROGRAMS if seen[name] < N_LAVA)
        if not wanted:
            return cases, seen
        network, inputs = random_network(
            np.random.default_rng(seed), programs=wanted, max_layers=3, firing_output=True
        )
        traces = run_reference(network, inputs, record=names(network))
        new = telling(network, traces)
        if len(new) == len({p.program.name for p in network.populations}):
            try:
                job = LavaJob(program=lower(network), inputs=inputs, record=names(network))
            except UnsupportedError:
                continue
            cases.append((network, job, traces))
            seen += new
    raise AssertionError(f"the generator makes too few telling networks: {seen}")


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_generic_lava_process_equals_reference(tell):
    cases, seen = lava_cases()
    answers = run_jobs([job for _, job, _ in cases], environ=os.environ)
    for (_, _, want), traces in zip(cases, answers, strict=True):
        assert_equal(traces, want)
    show(tell, f"Lava = reference on {len(cases)} networks", seen)
    assert min(seen[name] for name in PROGRAMS) >= N_LAVA


# ---- a neuron that the package has never heard of ----------------------------------------

ALIF = Program(
    name="alif",
    states=(State(name="v", bits=24), State(name="fatigue", bits=24)),
    params=("dv", "dfatigue", "vth", "cost"),
    body=(
        line("kv", "sub", 4096, "dv"),
        line("v", "mul", "v", "kv"),
        line("v", "shz", "v", 12),
        line("x", "shift", "a", 6),
        line("v", "add", "v", "x"),
        line("v", "clip", "v", -(1 << 23), (1 << 23) - 1),
        line("kf", "sub", 4096, "dfatigue"),
        line("fatigue", "mul", "fatigue", "kf"),
        line("fatigue", "shz", "fatigue", 12),
        line("level", "add", "vth", "fatigue"),
        line("s", "gt", "v", "level"),
        line("v", "select", "s", 0, "v"),
        line("tired", "mul", "s", "cost"),
        line("fatigue", "add", "fatigue", "tired"),
        line("fatigue", "clip", "fatigue", 0, (1 << 23) - 1),
    ),
    emits="s",
    registers={"dv": (0, 4096), "dfatigue": (0, 4096), "vth": (0, 1 << 22), "cost": (0, 1 << 20)},
)
"""An adaptive neuron: every spike raises its threshold, which then sinks back.

    v <- clip24( trunc(v * (4096 - dv) / 4096) + (a << 6) )
    fatigue <- trunc(fatigue * (4096 - dfatigue) / 4096)
    s <- v > vth + fatigue;  v <- 0 and fatigue <- fatigue + cost where s
"""


def own_network(rng):
    """A user's neuron between a source and a `lif`."""
    params = as_params({"dv": 300, "dfatigue": 100, "vth": rng.integers(4000, 9000, 12),
                        "cost": 2500})  # fmt: skip
    weight = 2 * rng.integers(-20, 40, size=(12, 8))
    return Network(
        name="own",
        steps=12,
        sources=(Source(name="in", shape=(8,)),),
        populations=(
            Population(name="alif", shape=(12,), program=ALIF, params=params, wave=1),
            Population(
                name="top", shape=(5,), program=LIF, params=lif(du=4095, dv=900, vth=60), wave=2
            ),
        ),
        projections=(
            Projection(name="x", source="in", target="alif", synapse=Dense(weight=weight)),
            Projection(
                name="y", source="alif", target="top",
                synapse=Dense(weight=2 * rng.integers(-20, 40, size=(5, 12))),
            ),
        ),
        outputs=(
            Output(name="out", population="top", shape=(5,), readout="spikes", decode="sum"),
        ),
    )  # fmt: skip


def own_case():
    rng = np.random.default_rng(0)
    network = own_network(rng)
    verify_network(network)
    inputs = {"in": (rng.random((12, 4, 8)) < 0.4).astype(np.int64)}
    want = run_reference(network, inputs, record=names(network))
    assert telling(network, want) == {"alif": 1, "lif": 1}
    assert want["alif"].states["fatigue"].any()
    return network, inputs, want


def test_a_program_of_the_users_own_runs_on_the_simulator_and_survives_as_text():
    network, inputs, want = own_case()
    text, _ = print_network(network)
    again = parse_network(text)
    assert again.population["alif"].program == ALIF
    for candidate in (network, again):
        assert_equal(SIMULATOR.run(candidate, inputs, record=names(network)).traces, want)


@pytest.mark.lava
@pytest.mark.usefixtures("lava_python")
def test_a_program_of_the_users_own_runs_in_lava_which_is_no_judge_of_it():
    network, inputs, want = own_case()
    assert [judged_by_lava(p) for p in network.populations] == [False, True]
    job = LavaJob(program=lower(network), inputs=inputs, record=names(network))
    (traces,) = run_jobs([job], environ=os.environ)
    assert_equal(traces, want)
