"""VALIDATION.md says what the simulator says, of networks that are what was published."""

import networks
import numpy as np
import pytest
import rebuilt
from make_validation import PAGE, chip_lines, error_of, first_line, page, shown
from measurements import MEASUREMENTS, NOT_REBUILT
from networks import Layer

from snndeploy.registry import find_any_target

COMPARED = [row for row in MEASUREMENTS if row.use == "compared"]


def test_the_page_is_what_the_script_writes():
    assert PAGE.read_text() == page(), "run make validation, and explain every changed line"


def test_the_first_line_counts_compared_rows_alone():
    ratios = [row.ours() / row.value for row in COMPARED]
    assert first_line(ratios, len({row.chip for row in COMPARED})) == page().splitlines()[2]
    assert len(COMPARED) >= 6
    assert len({row.chip for row in COMPARED}) >= 3


def test_errors_are_the_same_for_twice_and_half():
    assert error_of(2.0) == error_of(0.5) == 1.0
    assert error_of(1.0) == 0.0
    line = first_line([1.1, 0.5, 4.0], 2)
    assert line.startswith("**Median error 100.0 %, worst a factor of 4, over 3 measurements on 2")
    assert "1 are within 25 %, 2 within a factor of 2" in line
    assert chip_lines({"b": [0.5], "a": [1.0]})[0] == (
        "- a: median error 0.00 %, worst 0.00 %, 1 measurements"
    )


def test_numbers_are_shown_with_their_units():
    assert shown(0.27e-3, "J") == "270 uJ"
    assert shown(1.5e-6, "s") == "1.50 us"
    assert shown(74, "cores") == "74 cores"


def test_every_row_says_where_it_is_from_and_what_was_assumed():
    for row in MEASUREMENTS:
        told = (row.source, row.network, row.activity, row.assumed, row.remark)
        assert all(told), row.name
        assert (row.band is None) == (row.use != "band")
        assert row.prices in find_any_target(row.chip).chip.prices
    assert all(left.reason and left.published for left in NOT_REBUILT)


@pytest.mark.parametrize("row", COMPARED, ids=lambda row: f"{row.name} {row.quantity}")
def test_no_price_of_a_compared_row_comes_from_its_measurement(row):
    chip = find_any_target(row.chip).chip
    table = chip.prices[row.prices]
    numbers = [*table.prices.values(), *chip.with_prices(row.prices).latencies.values()]
    sources = " ".join(number.source for number in numbers)
    benchmark = row.name.partition(",")[0].removeprefix("MLPerf Tiny ")
    assert "Blouw" not in sources
    assert benchmark not in sources


@pytest.mark.parametrize("ran", [
    lambda: rebuilt.ran_keyword_spotter("davies2018"),
    lambda: rebuilt.ran_dvs_gesture("davies2018"),
    rebuilt.ran_pilotnet,
], ids=["keyword_spotter", "dvs_gesture", "pilotnet"])  # fmt: skip
def test_layers_fire_as_published(ran):
    ran = ran()
    chain = next(make() for make in rebuilt.CHAINS if make().name == ran.network.name)
    for k, layer in enumerate(chain.layers):
        cells = ran.network.population[f"layer{k + 1}"].n * np.prod(chain.spikes.shape[:2])
        one_spike = 1.5 / cells
        rate = ran.rates[f"layer{k + 1}"]
        assert rate == pytest.approx(layer.rate, rel=0.02, abs=one_spike), k


def test_thresholds_are_those_that_tuning_finds():
    chain = rebuilt.keyword_spotter()
    assert networks.tuned(chain) == [layer.vth for layer in chain.layers]


@pytest.mark.full
def test_thresholds_of_the_large_networks_are_those_that_tuning_finds():
    for make in (rebuilt.dvs_gesture, rebuilt.pilotnet):
        chain = make()
        told = [layer.vth for layer in chain.layers if layer.rate]
        assert networks.tuned(chain)[: len(told)] == told


def test_a_layer_that_must_be_silent_is():
    rng = np.random.default_rng(0)
    layer = Layer(synapse=networks.dense(rng, 3, 5), rate=0.0, vth=131071)
    chain = networks.Chain(
        name="silent", layers=(layer,), spikes=np.ones((4, 1, 5), dtype=np.int64), dv=0
    )
    ran = networks.run_on(*chain.network(), rebuilt.chip("loihi2"))
    assert ran.rates == {"layer1": 0.0}
    assert ran.n_full == 4


def synapses_of(network):
    """Synapses by definition: taps of a kernel, or weights, per neuron of a layer."""
    return sum(
        p.synapse.n_out * (np.prod(p.synapse.weight.shape[1:]) if p.synapse.weight.ndim > 2
                           else p.synapse.n_in)
        for p in network.projections if p.name != "unused"
    )  # fmt: skip


def test_architectures_have_the_published_sizes():
    kws, _ = rebuilt.keyword_spotter().network()
    assert synapses_of(kws) == 390 * 256 + 256 * 256 + 256 * 29
    dvs, inputs = rebuilt.dvs_gesture().network()
    assert sum(p.n for p in dvs.populations) + inputs["x"].shape[2] == 18_678
    assert synapses_of(dvs) == 3_564_441
    pilotnet, _ = rebuilt.pilotnet().network()
    assert [p.n for p in pilotnet.populations] == [
        39_600, 99 * 32 * 24, 49 * 15 * 36, 24 * 7 * 48, 22 * 4 * 64, 20 * 2 * 64, 100, 50, 10, 1,
    ]  # fmt: skip


def test_operations_are_the_published_ones_but_for_padding():
    def operations(name):
        run = rebuilt.on_microcontroller(name, "stm32l4r5")
        return sum(int(row.count) for row in run.ledger.rows if row.kind == "synaptic_op")

    assert operations("autoencoder") == 264_192
    assert 0.92 < operations("resnet8") / 12_501_632 < 1
    assert 0.95 < operations("ds_cnn") / 2_656_768 < 1
