"""A planted bug is reduced to a few neurons, in two files that are read back and still fail."""

import re
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from hwtargets.simulator import compiled, deliver, lif
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.synapses import Conv, Pool
from snndeploy.ir.verify_network import network_problems
from tests.generator.case import Case, differs, load_case, save_case, simulate
from tests.generator.check import check
from tests.generator.moves import MOVES, chunks
from tests.generator.networks import random_network
from tests.generator.neurons import ALL_PROGRAMS
from tests.generator.reduce import reduce_case

MOST_SEEDS = 150


def random_case(seed):
    return Case(*random_network(np.random.default_rng(seed), programs=tuple(ALL_PROGRAMS)))


def patched(owner, name, wrong):
    def plant(monkeypatch):
        monkeypatch.setattr(owner, name, wrong(getattr(owner, name)))

    return plant


def operation(name, wrong):
    def plant(monkeypatch):
        monkeypatch.setitem(compiled.FUNCTIONS, name, wrong(compiled.FUNCTIONS[name]))

    return plant


PLANTED = {
    "a shift toward zero that floors": operation("shz", lambda _: lambda a, b: a >> b),
    "a comparison off by one": operation("gt", lambda right: lambda a, b: right(a + 1, b)),
    "a sum off by one": operation("add", lambda right: lambda a, b: right(a, b) + (a > 1000)),
    "a current that does not wrap": patched(lif, "U_TOP", lambda _: 1 << 30),
    "a potential that does not clip": patched(lif, "V_TOP", lambda _: 1 << 30),
    "negative exponents ignored": patched(
        deliver, "shift32", lambda right: lambda values, exp: right(values, max(exp, 0))
    ),
    "kernels moved by a column": patched(
        deliver, "patches", lambda right: lambda *args: np.roll(right(*args), 1, axis=3)
    ),
    "the last listed synapse lost": patched(
        deliver, "sparse_kernel", lambda right: lambda synapse, dtype: right(
            replace(synapse, weight=synapse.weight * (np.arange(len(synapse.weight)) > 0)), dtype
        ),
    ),
}  # fmt: skip


def without_delays(case):
    """Run a case on an executor that forgets delays."""
    projections = tuple(replace(p, delay=0) for p in case.network.projections)
    network = replace(case.network, projections=projections)
    return run_reference(network, case.inputs, record=case.names)


def first_failure(fails):
    return next(case for case in map(random_case, range(MOST_SEEDS)) if fails(case))


@pytest.mark.parametrize("bug", PLANTED)
def test_a_bug_is_reduced_and_read_back(bug, monkeypatch, tmp_path):
    PLANTED[bug](monkeypatch)
    fails = differs(simulate)
    small = reduce_case(first_failure(fails), fails)
    assert len(small.names) <= 2
    assert sum(p.n for p in small.network.populations) <= 6, small.describe()
    again = load_case(save_case(small, tmp_path, "small"))
    assert fails(again)
    monkeypatch.undo()
    assert not fails(again)


def test_forgotten_delays_are_reduced_to_one_delayed_projection():
    fails = differs(without_delays)
    small = reduce_case(first_failure(fails), fails)
    assert [p.delay for p in small.network.projections] == [1]
    assert [p.n for p in small.network.populations] == [1]


def test_the_message_names_the_file(monkeypatch, tmp_path):
    PLANTED["a comparison off by one"](monkeypatch)
    case = first_failure(differs(simulate))
    with pytest.raises(pytest.fail.Exception, match=r"reduced to 1 populations \(1 neurons\)") as e:
        check(case, simulate(case), simulate, name="one", failures=tmp_path)
    path = re.search(r": (\S+\.network\.txt)", str(e.value))[1]
    assert path == str(tmp_path / "one.network.txt")


def test_nothing_is_reported_where_nothing_differs(tmp_path):
    case = random_case(0)
    check(case, simulate(case), simulate, name="one", failures=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("move", MOVES)
def test_moves_keep_networks_well_formed(move):
    images = {"constructs": ("layer",), "kinds": ("conv", "pool"), "most": 1}
    n_valid = 0
    for seed in range(12):
        for options in ({}, images):
            case = Case(*random_network(np.random.default_rng(seed), **options))
            for candidate in islice(move(case), 40):
                if candidate.network.populations:
                    assert candidate.is_valid, list(network_problems(candidate.network))
                    n_valid += 1
    assert n_valid > 10


def test_what_always_fails_is_reduced_to_one_neuron_and_no_spike():
    for seed in range(8):
        small = reduce_case(random_case(seed), lambda _: True)
        (population,) = small.network.populations
        assert population.n == small.network.steps == 1
        assert not any(values.any() for values in small.inputs.values())


def test_images_shrink_while_they_stay_images():
    def fails(case):
        return any(isinstance(p.synapse, Conv | Pool) for p in case.network.projections)

    for seed in range(20):
        case = random_case(seed)
        if fails(case):
            small = reduce_case(case, fails).network
            assert max(node.n for node in small.nodes.values()) <= 2


def test_chunks_go_from_all_to_single_ones():
    assert [c.tolist() for c in chunks(3)] == [[0, 1, 2], [0], [1], [2]]
    assert list(chunks(0)) == []
