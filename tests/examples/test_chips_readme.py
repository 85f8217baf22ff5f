"""The way from a picojoule to its source, as hwtargets/chips/README.md walks it."""

import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import snndeploy
from snndeploy.quantity import GRADES
from snndeploy.registry import find_any_target, target_names
from snndeploy.report.units import engineering

ROOT = Path(__file__).parents[2]
CHIPS = ROOT / "hwtargets" / "chips"
README = (CHIPS / "README.md").read_text()
(SHOWN,) = re.findall(r"^ synaptic_op +work .*$", README, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """The ledger's line that the page shows, made as the page says."""
    (script,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    folder = tmp_path_factory.mktemp("events")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(compile(script, "README.md", "exec"), {})
    x = np.load(folder / "events.npz")["x"]
    model = snndeploy.load(ROOT / "examples" / "models" / "mnist_events.pt")
    estimate = snndeploy.estimate(snndeploy.compile(model, "loihi1"), x)
    assert estimate.prices == "davies2018"
    (found,) = (row for row in estimate.ledger if (row.kind, row.phase) == ("synaptic_op", "work"))
    return found


def test_the_page_shows_what_the_simulator_counts(line):
    joules = [engineering(value, "J") for value in line.energy_j]
    shown = [line.kind, line.phase, f"{line.per_sample:,.1f}", engineering(line.price_j, "J"),
             *joules, line.grade]  # fmt: skip
    assert SHOWN.split() == " ".join(shown).split()


def test_the_key_holds_the_price_and_the_source_is_the_reports(line):
    text = (CHIPS / "loihi1.toml").read_text()
    (quoted,) = re.findall(r"^ +(synaptic_op = \{.*\})$", README, flags=re.MULTILINE)
    table = text.split("[prices.davies2018]")[1].split("[prices.")[0]
    assert quoted in table
    name, _, place = re.search(r'source = "([^"]*)"', quoted)[1].partition(": ")
    (citation,) = re.findall(rf'^{name} = "([^"]*)"$', text, flags=re.MULTILINE)
    assert line.source == f"{citation}: {place}"
    assert "Table 2 (0.75 V, pre-silicon SDF and SPICE simulation)" in citation
    price = find_any_target("loihi1").chip.prices["davies2018"].prices["synaptic_op"]
    assert line.price_j == float(price.nominal)


def test_the_product_on_the_page_is_right(line):
    product = r"indeed ([\d,.]+) . ([\d.]+) pJ = ([\d.]+) "
    count, price, joules = re.search(product, README).groups()
    exact = Decimal(count.replace(",", "")) * Decimal(price) / 10**6
    assert f"{exact:.2f}" == joules
    assert count == f"{line.per_sample:,.1f}"


def rows_of(heading):
    section = README.split(f"## {heading}")[1].split("\n## ")[0]
    return [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in section.splitlines()
        if row.startswith("|") and "---" not in row
    ][1:]


def test_every_chip_is_described_as_it_is():
    rows = rows_of("What is modelled of each chip")
    assert sorted(row[0].strip("`") for row in rows) == list(target_names())
    for name, kind, tables, _ in rows:
        chip = find_any_target(name.strip("`")).chip
        assert (kind == "priced only") == chip.priced_only
        assert set(re.findall(r"`([^`]+)`", tables)) == set(chip.prices)
        assert tables.startswith(f"`{chip.default_prices}`")


def test_every_grade_is_explained():
    assert [row[0].strip("`") for row in rows_of("Grades")] == list(GRADES)


def test_figures_of_surveys_are_those_of_the_files():
    prices = {
        (name, table): float(chip.prices[table].prices["synaptic_op"].nominal) * 1e12
        for name in target_names()
        for chip in [find_any_target(name).chip]
        for table in chip.prices
        if "synaptic_op" in chip.prices[table].prices
    }
    told = {row[0]: row[1] for row in rows_of("Why surveys disagree")}
    assert f"{prices['odin', 'incremental']:g}, {prices['odin', 'all_in']:g}" in told["ODIN"]
    assert f"{prices['loihi1', 'davies2018']:g} and" in told["Loihi"]
    assert f"{prices['digital45', 'arithmetic']:g} and" in told["45 nm"]
    assert f"{prices['digital45', 'with_memory']:g} pJ" in told["45 nm"]
    spinnaker = prices["spinnaker2", "keras_spiking"] / prices["spinnaker2", "survey"]
    assert spinnaker == pytest.approx(150)
