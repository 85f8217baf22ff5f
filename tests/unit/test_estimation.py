"""One run, priced on several chips: those that are modelled, and those that are priced only."""

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import nir
import numpy as np
import pytest
from chains import chain_model, integrate_and_fire
from deployed import small_compiled, small_samples

import snndeploy
from snndeploy.arithmetic import LABEL, arithmetic_bound
from snndeploy.duty import Use
from snndeploy.energy import Price, PriceTable
from snndeploy.errors import ModelError, UsageError
from snndeploy.estimation import estimate, estimate_of
from snndeploy.measured import has_times, measure
from snndeploy.neurobench import SynapticOperations
from snndeploy.nirgraph.metadata import with_semantics
from snndeploy.nirgraph.rebuild import rebuild_graph
from snndeploy.quantity import Quantity
from snndeploy.target import PricedChip


def a_price(nominal, *, high=None, grade="published"):
    return Price(
        low=Decimal(nominal), nominal=Decimal(nominal), high=Decimal(high or nominal),
        source=f"a paper on {nominal}", grade=grade,
    )  # fmt: skip


def priced_only(*, static=None, latencies=None, **prices):
    """Return a chip of which nothing but prices is known, as a chip file may state it."""
    return PricedChip(
        name="other", title="Another chip", default_prices="paper",
        prices={"paper": PriceTable(name="paper", prices=prices, static_w=static)},
        because="its arithmetic is not modelled", latencies=latencies or {},
        not_charged={"hop_x": "no network"}, digest="",
    )  # fmt: skip


@pytest.fixture(scope="module")
def run():
    return measure(small_compiled(), small_samples(7))


def with_chip(run, **changes):
    """Return the run on a chip with some fields changed."""
    target = run.deployed.target
    changed = SimpleNamespace(name=target.name, chip=replace(target.chip, **changes))
    return replace(run.deployed, target=changed)


def test_a_chip_that_is_priced_only_takes_the_events_of_another(run):
    target = priced_only(synaptic_op=a_price("1e-12", high="3e-12"), spike=a_price("1e-9"))
    found, own = estimate_of(run, chip=target), estimate_of(run)
    ops, spikes = run.counts.total("synaptic_op"), run.counts.total("spike")
    assert found.dynamic_j[1] == pytest.approx((ops * 1e-12 + spikes * 1e-9) / 7)
    assert found.dynamic_j[2] == pytest.approx((ops * 3e-12 + spikes * 1e-9) / 7)
    assert (found.target, found.events_of, found.priced_only) == ("other", "loihi2", True)
    assert found.verdict is None
    assert found.latency is None
    assert found.static is None
    assert {"neuron_idle", "message", "static"} <= {kind for kind, _ in found.missing}
    assert (own.priced_only, own.events_of, own.because) == (False, "loihi2", "")
    for same in ("neurobench", "arithmetic", "early", "accuracy", "layers"):
        if same != "layers":
            assert getattr(found, same) == getattr(own, same)
    assert [layer.spikes_per_sample for layer in found.layers] == [
        layer.spikes_per_sample for layer in own.layers
    ]


def test_a_chip_that_does_one_thing_after_the_other_has_a_time_a_rate_and_static_energy(run):
    nanosecond = Quantity(value=Decimal("1e-9"), unit="s", source="a paper", grade="published")
    target = priced_only(
        synaptic_op=a_price("1e-12"), static=a_price("0.002"), latencies={"synaptic_op": nanosecond}
    )
    ops = run.counts.total("synaptic_op")
    found = estimate_of(run, chip=target, use=Use(rate_hz=10.0))
    assert found.serial.total_s == pytest.approx(ops * 1e-9)
    assert found.static.energy_j[1] == pytest.approx(0.002 * ops * 1e-9 / 7)
    assert found.duty.most_hz == pytest.approx(7 / (ops * 1e-9))
    assert found.duty.active == pytest.approx(10 * ops * 1e-9 / 7)
    with pytest.raises(UsageError, match=r"^error\[E5068\]"):
        estimate_of(run, chip=target, use=Use(rate_hz=1e9))


def test_a_chip_without_latencies_has_an_energy_and_no_time(run):
    samples = small_samples(7)
    silent = with_chip(run, latencies={}, clock=None, network={})
    assert not has_times(silent.target.chip)
    found = estimate(silent, samples)
    assert found.latency is None
    assert found.static is None
    assert found.dynamic_j == estimate_of(run).dynamic_j
    assert dict(found.missing)["static"] == run.counts.phase.shape[1]
    with pytest.raises(ModelError, match=r"^error\[E3006\]"):
        estimate(silent, samples, timing="queue")


def test_static_energy_that_is_not_public_is_missing(run):
    chip = run.deployed.target.chip
    book = chip.prices[chip.default_prices]
    bare = with_chip(run, prices={chip.default_prices: replace(book, static_w=None)})
    found = estimate_of(replace(run, deployed=bare))
    assert found.static is None
    assert found.latency is not None
    assert [part.part for part in found.parts][-1] != "static"


def test_parts_and_layers_add_up_to_the_total_at_every_price(run):
    found = estimate_of(run)
    for i, name in enumerate(("low_j", "energy_j", "high_j")):
        dynamic = sum(part.energy_j[i] for part in found.parts if part.part != "static")
        assert dynamic == pytest.approx(found.dynamic_j[i])
        layers = sum(getattr(layer, name) for layer in found.layers)
        assert layers == pytest.approx(found.dynamic_j[i])


def test_the_weakest_grade_is_named_with_its_events():
    compiled = small_compiled(target="loihi1")
    found = estimate_of(measure(compiled, small_samples(3)))
    grades = {line.kind: line.grade for line in found.ledger} | {"static": found.static.grade}
    weakest = {kind for kind, grade in grades.items() if grade == "published"}
    assert set(found.weakest) == weakest
    assert "static" not in found.weakest  # measured
    assert found.grade == "fitted"  # the barrier's time, for static energy


def test_a_chips_own_prices_of_operations_stand_before_the_programs(run):
    own = {
        kind: a_price("1e-12", grade="measured")
        for kind in ("ac", "mac", "word_read", "word_write")
    }
    found = estimate_of(run, chip=priced_only(**own)).baseline
    assert found.prices == "paper"
    assert found.grade == "measured"
    assert estimate_of(run).baseline.prices == "horowitz45 accelerator"


def test_the_papers_formula_is_labelled_and_linear():
    bound = arithmetic_bound(
        SynapticOperations(effective_macs=10.0, effective_acs=1000.0, dense=5000.0), 1200.0
    )
    assert bound.energy_j[1] == pytest.approx(1000 * 0.9e-12 + 10 * 4.6e-12)
    assert bound.energy_j[0] == pytest.approx(1000 * 0.1e-12 + 10 * 0.3e-12)
    assert bound.label == LABEL == "arithmetic-only lower bound"
    assert "Horowitz" in bound.sources[0]
    assert bound.hardware_ops == 1200.0
    twice = arithmetic_bound(
        SynapticOperations(effective_macs=20.0, effective_acs=2000.0, dense=0.0), 0.0
    )
    assert twice.energy_j == pytest.approx(tuple(2 * joules for joules in bound.energy_j))


def test_hardware_count_is_the_chips_with_fill_and_drain(run):
    found = estimate_of(run)
    assert found.arithmetic.hardware_ops == run.counts.total("synaptic_op") / 7
    assert found.arithmetic.acs == found.neurobench.synaptic_operations.effective_acs
    assert found.arithmetic.acs <= found.arithmetic.hardware_ops


def test_the_python_function_takes_rate_and_battery():
    compiled, samples = small_compiled(), small_samples(3)
    found = snndeploy.estimate(compiled, samples, rate_hz=10, sensor_w=0.005, battery_j=3600.0)
    assert found.duty.rate_hz == 10
    assert found.duty.battery_s[1] == pytest.approx(3600 / found.duty.average_w[1])
    assert snndeploy.estimate(compiled, samples).duty is None
    with pytest.raises(UsageError, match=r"^error\[E5068\]"):
        snndeploy.estimate(compiled, samples, rate_hz=1e9)


def test_time_per_step_is_said_where_the_network_keeps_it(run):
    assert estimate_of(run).neurobench.conditions.dt_s is None
    network = replace(run.deployed.network, facts={"dt_s": "0.001"})
    found = estimate(replace(run.deployed, network=network), small_samples(2))
    assert found.neurobench.conditions.dt_s == 1e-3


def test_time_per_step_is_that_of_the_neurons_or_not_said():
    model = chain_model(
        nir.Linear(weight=np.eye(4)), integrate_and_fire((4,)), nir.Linear(weight=np.eye(4)),
        integrate_and_fire((4,)), shape=(4,), out_shape=(4,), steps=3,
    )  # fmt: skip

    def kept(*steps):
        nodes = {
            name: with_semantics(model.graph.nodes[name], replace(model.semantics, dt=dt))
            for name, dt in zip(("n1", "n3"), steps, strict=True)
        }
        changed = replace(model, graph=rebuild_graph(model.graph, nodes))
        return snndeploy.compile(changed).network.facts

    assert kept(2e-3, 2e-3) == {"dt_s": "0.002"}
    assert kept(2e-3, 1e-3) == {}
