"""Counts, energies and step times against SANA-FE, which runs in a process of its own.

Choices of our network model (lanes, buffers, order of sending) were made with micro-benchmarks and
six networks, the first three among them. Three more were run once they were made and changed
nothing; the one kept here as `held_out` is the one in which waiting matters most.
"""

import importlib.util
import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from sanafe_networks import CHIP, Case, ask_sanafe, case, run_ours

from snndeploy.energy import price

CASES = {
    "dense": lambda: case(1, (256, 400, 200, 32), (128, 100, 70, 32), steps=10),
    "diamond": lambda: case(
        2, (400, 300, 300, 40), (60, 50, 60, 40), steps=10, density=0.2, rate=0.15, diamond=True
    ),
    "one_source": lambda: case(
        5, (784, 512, 256, 10), (784, 128, 128, 10), steps=3, spread=False
    ),
    "held_out": lambda: case(
        13, (900, 256, 128, 10), (450, 64, 64, 10), steps=6, spread=False
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _sanafe():
    """Fail in CI without SANA-FE, which `make` installs; else skip."""
    if importlib.util.find_spec("sanafe") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("SANA-FE is not installed")


COMPONENTS = {
    "synapse": ("synaptic_op",),
    "soma": ("neuron_idle", "neuron_active", "spike"),
    "network": ("message", "hop_x", "hop_y"),
}


@cache
def answers(name):
    """Return a case, what we say and what SANA-FE says."""
    made = CASES[name]()
    with TemporaryDirectory() as folder:
        return made, run_ours(made), ask_sanafe(made, ["simple", "cycle"], Path(folder))


@pytest.fixture(params=CASES)
def both(request):
    return answers(request.param)


def test_spikes_are_the_same(both):
    made, ours, theirs = both
    fired = {tuple(row) for row in theirs["simple.fired"].tolist()}
    mine = set()
    for name, (steps, neurons) in ours.traffic.spikes.items():
        group = name.removeprefix("p")
        if group.isdigit():
            mine |= {
                (t, int(group), i) for t, i in zip(steps.tolist(), neurons.tolist(), strict=True)
            }
    last = len(made.sizes) - 1  # it sends to nobody: its spikes are only counted
    assert mine == {row for row in fired if row[1] != last}
    assert ours.counts.total("spike") == sum(row[1] > 0 for row in fired)
    for group in range(len(made.sizes)):
        rate = sum(row[1] == group for row in fired) / (len(made.spikes) * made.sizes[group])
        assert 0 <= rate < 0.6
        assert group == last or rate > 0


def test_operations_messages_and_hops_are_the_same(both):
    _, ours, theirs = both
    total = theirs["simple.total"]
    assert ours.counts.total("synaptic_op") == total["spikes"]
    assert ours.counts.total("message") == total["packets_sent"]
    hops = ours.counts.events["hop_x"] + ours.counts.events["hop_y"]
    assert hops.sum(axis=0).tolist() == theirs["simple.hops"].tolist()
    assert hops.sum() == ours.traffic.crossed.sum()
    operations = ours.counts.events["synaptic_op"].sum(axis=0)
    assert operations.tolist() == theirs["simple.spikes"].tolist()


def test_every_energy_component_is_the_same(both):
    _, ours, theirs = both
    table = CHIP.prices["sanafe"]
    ledger = price(ours.counts, replace(table, static_w=None), None)
    energy = theirs["simple.total"]["energy"]
    for component, kinds in COMPONENTS.items():
        found = sum(row.energy.nominal for row in ledger.rows if row.kind in kinds)
        assert float(found) == pytest.approx(energy[component], rel=1e-9)
    priced = {kind for kinds in COMPONENTS.values() for kind in kinds}
    dynamic = sum(row.energy.nominal for row in ledger.rows if row.kind in priced)
    assert float(dynamic) == pytest.approx(energy["total"], rel=1e-9)


def test_simple_time_is_the_bound(both):
    _, ours, theirs = both
    compute_only = replace(CHIP, network={})  # SANA-FE's simple model has no links
    timing = ours.timing("bound", compute_only)
    assert timing.step_s == pytest.approx(theirs["simple.sim_time"], rel=1e-9)
    assert timing.missing == ("links",)


@pytest.mark.parametrize(("level", "within"), [("queue", 0.15), ("flit", 0.10)])
def test_waiting_is_that_of_the_cycle_accurate_network(both, level, within):
    _, ours, theirs = both
    ratio = ours.timing(level).step_s / theirs["cycle.sim_time"]
    assert np.abs(ratio - 1).max() <= within


@pytest.mark.parametrize("name", ["one_source", "held_out"])
def test_where_waiting_decides_the_bound_is_far_off_and_the_levels_are_near(name):
    _, ours, theirs = answers(name)
    cycle = theirs["cycle.sim_time"]
    assert (ours.timing("bound").step_s / cycle).min() < 0.85
    for level in ("queue", "flit"):
        assert np.abs(ours.timing(level).step_s / cycle - 1).max() < 0.05


def test_the_dense_network_is_large_enough():
    made = CASES["dense"]()
    assert made.n_synapses >= 100_000
    assert len({core for _, core, _, _ in made.place}) >= 8


def test_known_difference_where_a_core_goes_on_alone(tmp_path):
    """Outside the bands: SANA-FE's network stands still while a core updates its last neurons.

    Once no core has a message left to send, its clock jumps to the end of the updates, and what
    waits in buffers is delivered only then. We let the network go on, so we are faster: 40 neurons
    fire into a slow core, then 500 silent ones are updated.
    """
    n, n_firing = 540, 40
    excite, deliver = np.zeros((1, n), dtype=np.int64), np.zeros((n, 60), dtype=np.int64)
    excite[0, :n_firing], deliver[:n_firing] = 9, 1
    made = Case(
        sizes=(1, n, 60), vth=(0, 5, 10**5), edges=((0, 1, excite), (1, 2, deliver)),
        place=((0, 20, 0, 1), (1, 0, 0, n), (2, 1, 0, 60)), spikes=np.array([[1], [0], [0]]),
    )  # fmt: skip
    theirs, ours = ask_sanafe(made, ["simple", "cycle"], tmp_path), run_ours(made)
    simple, cycle = theirs["simple.sim_time"][1], theirs["cycle.sim_time"][1]
    assert ours.timing("bound").step_s[1] == pytest.approx(simple, rel=1e-9)
    for level in ("queue", "flit"):
        assert simple < ours.timing(level).step_s[1] < 0.8 * cycle
