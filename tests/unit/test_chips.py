"""Chip files: what ours say, and every way in which a file is refused."""

from decimal import Decimal
from pathlib import Path

import pytest

from snndeploy.errors import ModelError
from snndeploy.mapping import unchecked
from snndeploy.target import load_chip

CHIPS = Path(__file__).parents[2] / "hwtargets" / "chips"
LOIHI1, LOIHI2 = (load_chip(CHIPS / f"{name}.toml") for name in ("loihi1", "loihi2"))


@pytest.fixture
def changed(tmp_path):
    """Return a function that loads loihi1.toml with one text replaced."""

    def load(old, new):
        text = (CHIPS / "loihi1.toml").read_text()
        assert old in text
        path = tmp_path / "chip.toml"
        path.write_text(text.replace(old, new, 1))
        return load_chip(path)

    return load


@pytest.mark.parametrize("chip", [LOIHI1, LOIHI2])
def test_every_number_has_a_source_and_a_grade(chip):
    quantities = [*chip.limits.values(), *chip.latencies.values(), *chip.network.values()]
    quantities += [q for table in chip.other_latencies.values() for q in table.values()]
    quantities.append(chip.clock.period)
    prices = [p for t in chip.prices.values() for p in (*t.prices.values(), t.static_w)]
    assert len(quantities) >= 8
    for number in (*quantities, *prices):
        assert len(number.source) > 10
        assert number.grade in ("measured", "published", "fitted", "assumed")


def test_loihi1_has_the_published_limits():
    limits = {name: int(limit.value) for name, limit in LOIHI1.limits.items()}
    assert limits == {
        "cores": 128,
        "neurons_per_core": 1024,
        "synapse_bits_per_core": 1048576,
        "in_axons_per_core": 4096,
        "out_axons_per_core": 4096,
    }
    assert unchecked(LOIHI1) == ()


def test_axon_limits_of_loihi2_are_not_public_and_reported_as_unchecked():
    assert unchecked(LOIHI2) == ("in_axons_per_core", "out_axons_per_core")


def test_prices_are_exact_joules():
    table = LOIHI1.prices["davies2018"]
    assert table.prices["synaptic_op"].nominal == Decimal("23.6") / 10**12
    assert "minimum" in table.prices["synaptic_op"].source
    assert table.static_w.nominal == Decimal("0.104")
    assert table.static_w.grade == "measured"


def test_every_loihi2_price_is_graded_assumed_and_says_so():
    table = LOIHI2.prices[LOIHI2.default_prices]
    for price in (*table.prices.values(), table.static_w):
        assert price.grade == "assumed"
        assert "Loihi 1's value stands in" in price.source


def test_the_chips_have_no_clock_and_say_so():
    for chip in (LOIHI1, LOIHI2):
        assert chip.clock.kind == "reference"
        assert chip.clock.period.value == Decimal("1E-9")


def test_latencies_are_exact_seconds_and_barriers_may_be_a_table():
    table = LOIHI1.other_latencies["sanafe"]
    assert table["axon_in"].value == Decimal("16.0E-9")
    assert table["barrier_from_29"].value == Decimal("1.8E-6")
    assert "axon_in" not in LOIHI1.latencies


def test_network_is_counted_in_whole_buffers_and_lanes():
    assert {name: int(q.value) for name, q in LOIHI1.network.items() if q.unit != "s"} == {
        "lanes": 2, "flits_per_message": 1, "lane_buffer": 8, "eject_buffer": 8,
    }  # fmt: skip
    assert {q.grade for q in LOIHI2.network.values()} == {"assumed"}


def test_resets_differ():
    assert (LOIHI1.numerics.reset, LOIHI2.numerics.reset) == ("host", "neuron")
    assert (LOIHI1.numerics.message_bits, LOIHI2.numerics.message_bits) == (0, 24)


def test_digest_changes_with_the_file(changed):
    assert changed("# Intel Loihi", "# INTEL LOIHI").digest != LOIHI1.digest


REFUSED = [
    ("[limits]", "[limits", "E1101", r"chip.toml: "),
    ('title = "Intel Loihi"', 'title = "Intel Loihi"\ntitle = "again"', "E1101",
     "Cannot overwrite a value"),
    ("low = 23.6, nominal", "low = 23.6, low = 23.6, nominal", "E1101", "Duplicate|overwrite|key"),
    ("neurons_per_core =", "neuron_per_core =", "E1102",
     r"chip.toml, limits.neuron_per_core: .*did you mean 'neurons_per_core'\?"),
    ("title =", "titel =", "E1102", r"top level|titel: .*did you mean 'title'\?"),
    ("low = 23.6, nominal", "lo = 23.6, nominal", "E1102", r"did you mean 'low'\?"),
    ('vth_max = { value = 131071, unit', 'vth_max = { unit', "E1103",
     r"numerics.vth_max.value: missing key 'value'"),
    ('value = 3.5, unit = "ns"', 'value = 3.5, unit = "pJ"', "E1104", r"use s, us, ns"),
    ('value = 1024, unit = "neurons"', 'value = 1024, unit = "cores"', "E1104",
     r"must be 'neurons'"),
    ("low = 23.6", "low = -23.6", "E1105", r"synaptic_op.low: is -23.6, must not be negative"),
    ("low = 23.6", "low = nan", "E1105", r"is NaN, must be finite"),
    ("low = 23.6", "low = inf", "E1105", r"is Infinity, must be finite"),
    ("low = 23.6", "low = 24.6", "E1105", r"must lie between low and high"),
    ("low = 23.6", 'low = "23.6"', "E1105", r"is '23.6', must be a number"),
    ("value = 1024", "value = 0", "E1105", r"must be a positive integer"),
    ("value = 1024", "value = 10.5", "E1105", r"must be a positive integer"),
    ("value = 131071", "value = 1.5", "E1105", r"must be an integer"),
    ('value = "host"', 'value = "board"', "E1105", r"is 'board', must be one of"),
    ("value = false", "value = 0", "E1105", r"is 0, must be one of"),
    ('default_prices = "davies2018"', 'default_prices = "davis"', "E1105",
     r"no table prices.davis; help: use davies2018, sanafe"),
    ('source = "frady2020: 3.34 W static for 32 chips"', 'source = "frady"', "E1106",
     r"unknown source 'frady'; help: did you mean 'frady2020'\?"),
    ("barrier_from_1 ", "barrier_from_0 ", "E1102", r"unknown key 'barrier_from_0'"),
    ("barrier_from_1 ", "barrier_from_one ", "E1102", r"unknown key 'barrier_from_one'"),
    ("lanes = {", "lane = {", "E1102", r"network.lane: .*did you mean 'lane"),
    ('lane_buffer = { value = 8', 'lane_buffer = { value = 0', "E1105",
     r"network.lane_buffer.value: is 0, must be a positive integer"),
    ('flit_time = { value = 1, unit = "ns"', 'flit_time = { value = 1, unit = "flits"', "E1104",
     r"use s, us, ns"),
    ('value = "reference"', 'value = "metronome"', "E1105", r"clock.kind.value: is 'metronome'"),
    ('period = { value = 1', 'period = { value = 0', "E1105", r"clock.period: is 0"),
    ('grade = "published"', 'grade = "guessed"', "E1107",
     r"unknown grade 'guessed'; help: use measured, published, fitted, assumed"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "code", "message"), REFUSED)
def test_refuses(changed, old, new, code, message):
    with pytest.raises(ModelError, match=message) as caught:
        changed(old, new)
    assert caught.value.code == code


def test_refuses_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match=r"^error\[E1101\]"):
        load_chip(tmp_path / "none.toml")
