"""Chips that are priced only: what their files say, what is refused, what counts cost on them."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from deployed import small_compiled, small_samples

import snndeploy
from snndeploy.energy import EVENT_KINDS, OPERATIONS, EventCounts
from snndeploy.errors import ModelError, UnsupportedError, UsageError
from snndeploy.estimation import estimate
from snndeploy.measured import measure
from snndeploy.operations import ACCELERATOR, accelerator_prices, operation_prices
from snndeploy.registry import find_any_target, find_target, target_names
from snndeploy.repricing import assign_prices, price_run, serial_time, with_prices
from snndeploy.target import PricedTarget, load_chip, load_priced_chip

CHIPS = Path(__file__).parents[2] / "hwtargets" / "chips"
NAMES = ("akida", "cortex-m", "digital45", "odin", "speck", "spinnaker2", "xylo")
UNPRICED = ("akida", "speck", "xylo")


def chip(name):
    return load_priced_chip(CHIPS / f"{name}.toml")


def counts_of(n_samples=1, **totals):
    """Counts of one core in one step; everything that is not named did not happen."""
    events = {
        kind: np.array([[totals.get(kind, 0)]], dtype=np.int64) for kind in EVENT_KINDS
    }  # fmt: skip
    return EventCounts(
        cores=(0,), populations=("p",), events=events, phase=np.zeros((1, 1), dtype=np.int64),
        n_samples=n_samples,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run_counts():
    """Counts of a real run on loihi2."""
    return measure(small_compiled(), small_samples()).counts


def test_the_installed_chips_are_the_files():
    files = {path.stem for path in CHIPS.glob("*.toml")}
    assert files == {*NAMES, "loihi1", "loihi2"} == set(target_names())


@pytest.mark.parametrize("name", NAMES)
def test_a_priced_chip_loads_says_why_and_sources_every_number(name):
    found = chip(name)
    assert found.priced_only
    assert (found.name, len(found.because) > 20) == (name, True)
    numbers = [*found.latencies.values(), *found.power.values()]
    numbers += [q for table in found.other_latencies.values() for q in table.values()]
    for table in found.prices.values():
        numbers += [*table.prices.values(), *((table.static_w,) if table.static_w else ())]
    assert all(len(number.source) > 30 for number in numbers)
    assert set(found.other_latencies) <= set(found.prices)
    for table in found.prices.values():
        assert bool(table.note) == bool(table.prices)


@pytest.mark.parametrize("name", ["loihi1", "loihi2"])
def test_a_modelled_chip_is_not_priced_only(name):
    assert not find_target(name).chip.priced_only


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_compiled_for_a_priced_chip(name):
    assert isinstance(find_any_target(name), PricedTarget)
    with pytest.raises(UnsupportedError) as caught:
        find_target(name)
    assert caught.value.code == "E3040"
    assert chip(name).because in caught.value.message
    assert f"--target loihi2,{name}" in caught.value.remedy


@pytest.mark.parametrize("name", NAMES)
def test_every_chip_prices_a_real_run_or_adds_nothing_and_lists_what_is_missing(name, run_counts):
    found = chip(name)
    run = price_run(run_counts, found, counts_from="loihi2")
    happened = {kind for kind in EVENT_KINDS if run_counts.total(kind)}
    priced = {row.kind for row in run.ledger.rows}
    assert "synaptic_op" in happened
    if name in UNPRICED:
        assert (run.dynamic, run.static, run.grade) == (None, None, None)
        assert "synaptic_op" in run.ledger.missing
    else:
        assert run.dynamic.nominal > 0
    for kind in happened - priced - set(found.not_charged):
        assert run.ledger.missing.get(kind) == run_counts.total(kind) or kind == "synaptic_word"
    assert not set(run.ledger.missing) & set(found.not_charged)


def test_a_run_on_the_microcontroller_by_hand():
    run = price_run(
        counts_of(synaptic_op=1000, neuron_active=7, host_in=3), chip("cortex-m"),
        counts_from="loihi2",
    )  # fmt: skip
    assert run.dynamic.nominal == 1000 * Decimal("1632E-12")
    assert run.time.total_s == pytest.approx(36.585e-6, rel=1e-12)
    assert run.time.missing == ("host_in",)
    assert dict(run.ledger.missing) == {"host_in": 3, "static": 1}
    assert run.grade == "fitted"


def test_static_energy_of_odin_lasts_as_long_as_its_operations():
    run = price_run(counts_of(2, synaptic_op=500), chip("odin"), counts_from="loihi2")
    assert run.seconds_per_sample == pytest.approx(500 * 26.7e-9 / 2, rel=1e-12)
    assert float(run.static.nominal) == pytest.approx(500 * 26.7e-9 * 160e-6 / 2, rel=1e-12)
    assert run.dynamic.nominal == 500 * Decimal("8.43E-12") / 2
    assert (run.grade, run.static_grade) == ("measured", "assumed")


def test_both_prices_of_odin_agree_at_its_highest_rate():
    """12.7 pJ is 8.43 pJ and what leaks while the operation takes its two cycles."""
    found = chip("odin")
    incremental, all_in = found.prices["incremental"], found.prices["all_in"]
    leaked = incremental.static_w.nominal * found.latencies["synaptic_op"].value
    whole = incremental.prices["synaptic_op"].nominal + leaked
    assert float(whole / all_in.prices["synaptic_op"].nominal) == pytest.approx(1, rel=2e-3)


def test_microcontroller_prices_are_the_published_results_over_their_operations():
    n_macs = 640 * 128 + 3 * 128**2 + 2 * 128 * 8 + 3 * 128**2 + 128 * 640
    assert n_macs == 264192
    found = chip("cortex-m")
    for name, rate, joules in (
        ("stm32l4r5", "103.460", "431.211E-6"),
        ("stm32h7a3", "438.349", "349.026E-6"),
    ):
        seconds = found.with_prices(name).latencies["synaptic_op"].value
        assert float(seconds) == pytest.approx(float(1 / (Fraction(rate) * n_macs)), rel=1e-4)
        price = found.prices[name].prices["synaptic_op"].nominal
        assert float(price) == pytest.approx(float(joules) / n_macs, rel=3e-4)


def test_memory_makes_an_addition_a_hundred_times_dearer():
    tables = chip("digital45").prices
    counts = counts_of(synaptic_op=80, synaptic_word=10)
    plain, fetched = (
        price_run(counts, chip("digital45").with_prices(name), counts_from="loihi2").dynamic
        for name in tables
    )
    assert plain.nominal == 80 * Decimal("0.1E-12")
    assert fetched.nominal == 80 * Decimal("10.1E-12") + 10 * Decimal("10E-12")


def test_a_chip_without_latencies_has_no_time():
    assert serial_time(counts_of(synaptic_op=5), chip("akida")) is None


def test_other_prices_bring_their_own_latencies():
    loihi1 = load_chip(CHIPS / "loihi1.toml")
    sanafe = loihi1.with_prices("sanafe")
    assert sanafe.default_prices == "sanafe"
    assert sanafe.latencies == loihi1.other_latencies["sanafe"]
    assert loihi1.with_prices("davies2018").latencies == loihi1.latencies


def test_an_unknown_table_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match=r"E3041.*did you mean 'sanafe'\?"):
        load_chip(CHIPS / "loihi1.toml").with_prices("sanfe")


def test_a_deployed_network_takes_other_prices_and_keeps_all_else():
    compiled = small_compiled(target="loihi1")
    other = with_prices(compiled, "sanafe")
    ours, theirs = estimate(compiled, small_samples()), estimate(other, small_samples())
    assert (ours.prices, theirs.prices) == ("davies2018", "sanafe")
    assert [line.count for line in ours.ledger if line.kind == "synaptic_op"] == [
        line.count for line in theirs.ledger if line.kind == "synaptic_op"
    ]
    assert ours.latency.barrier_s != theirs.latency.barrier_s
    assert other.target.check(other.network) == compiled.target.check(compiled.network)
    assert other.target.bundle_files(other.network, other.placement)


def test_tables_are_assigned_to_the_chips_that_have_them():
    chips = [load_chip(CHIPS / "loihi1.toml"), chip("cortex-m"), chip("xylo"), chip("akida")]
    assert assign_prices(chips, ["sanafe", "stm32h7a3"]) == {
        "loihi1": "sanafe", "cortex-m": "stm32h7a3",
    }  # fmt: skip
    assert assign_prices(chips, ["none_public"]) == {"xylo": "none_public", "akida": "none_public"}
    with pytest.raises(UsageError, match=r"E3041.*loihi1: davies2018, sanafe"):
        assign_prices(chips, ["all_in"])
    with pytest.raises(UsageError, match="E3043"):
        assign_prices(chips, ["sanafe", "davies2018"])


@pytest.fixture
def changed(tmp_path):
    """Return a function that loads odin.toml with one text replaced."""

    def load(old, new):
        text = (CHIPS / "odin.toml").read_text()
        assert old in text
        (tmp_path / "odin.toml").write_text(text.replace(old, new, 1))
        return load_priced_chip(tmp_path / "odin.toml")

    return load


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("priced_only =", "price_only =", "E1102", "did you mean 'priced_only'"),
        ('priced_only = "its', '# "its', "E1103", "missing key 'priced_only'"),
        ("neuron_idle =", "neuron_idl =", "E1102", "did you mean 'neuron_idle'"),
        ('spike = "inside synaptic_op"', "spike = 1", "E1105", "must be a text"),
        ('name = "odin"', 'name = "odin"\nname = "odin"', "E1101", "Cannot overwrite a value"),
        ("nominal = 8.43,", "nominal = 8.43, nominal = 8.43,", "E1101", "Cannot overwrite|ey"),
        ("[prices.all_in]", "[prices.incremental]", "E1101", "Cannot declare"),
        ("low = 8.43", "low = -8.43", "E1105", "must not be negative"),
        ("value = 26.7", "value = nan", "E1105", "must be finite"),
        ("[prices.all_in]", "[power]\nidel = { value = 1 }\n[prices.all_in]", "E1102",
         "did you mean 'idle'"),
        ("[prices.all_in]",
         '[power]\nidle = { value = -1, unit = "mW", source = "frenkel2019", grade = "measured" }\n'
         "[prices.all_in]", "E1105", "must not be negative"),
        ("[latencies]", "[limits]", "E1102", "unknown key 'limits'"),
        ('note = "all', 'not = "all', "E1102", "did you mean 'note'"),
        ('note = "all power over operations, static power inside"', "note = 3", "E1105",
         "must be a text"),
    ],
)  # fmt: skip
def test_a_faulty_file_is_refused(changed, old, new, code, message):
    with pytest.raises(ModelError, match=message) as caught:
        changed(old, new)
    assert caught.value.code == code


def test_a_priced_file_is_no_chip_to_compile_for():
    with pytest.raises(ModelError, match="E3042"):
        load_chip(CHIPS / "odin.toml")


def test_python_prices_a_run_on_a_chip_by_name(run_counts):
    samples = small_samples()
    run = snndeploy.price(small_compiled(), samples.x["in"], "odin", prices="all_in")
    assert (run.target, run.counts_from) == ("odin", "loihi2")
    n_operations = run_counts.total("synaptic_op")
    assert run.dynamic.nominal == n_operations * Decimal("12.7E-12") / samples.n
    assert run.static is None


def test_a_modelled_chip_counts_its_own_run():
    with pytest.raises(UsageError, match="E3044"):
        snndeploy.price(small_compiled(), small_samples().x["in"], "loihi1")


def test_the_digital_accelerator_is_priced_operation_by_operation_as_the_program_prices_one():
    """Two files hold the numbers: a chip may go, and the ANN baseline still needs them."""
    table, own = chip("digital45").prices["with_memory"], operation_prices(ACCELERATOR)
    found = accelerator_prices(table)
    assert found.name == "with_memory"
    for kind in OPERATIONS:
        ours, theirs = own.prices[kind], found.prices[kind]
        assert (ours.low, ours.nominal, ours.high, ours.grade) == (
            theirs.low, theirs.nominal, theirs.high, theirs.grade,
        )  # fmt: skip
