"""`snndeploy estimate`: what papers report, average power, files; and what it refuses."""

import csv
import io
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from priced import priced_only

from snndeploy import registry

ESTIMATE = ("--data", "data.npz")


@pytest.fixture
def measured(snn, bundle):
    """The record of the bundle's estimate."""
    return snn("estimate", bundle, *ESTIMATE, "--json").json()["estimates"][0]


def test_without_data_there_is_no_default_rate(snn):
    ran = snn("estimate", "model.pt")
    assert ran.code == 2
    assert ran.err.strip() == (
        "error[E5006] --data: energy and latency depend on the spikes; there is no default spike "
        "rate; help: give samples with --data X.npz"
    )


def test_record_holds_what_the_text_says(measured):
    assert measured["neurobench_conditions"]["steps"] == 8
    assert measured["neurobench_conditions"]["batch"] == 6
    assert measured["neurobench_conditions"]["dt_s"] == 1e-4
    assert measured["neurobench"]["ClassificationAccuracy"] == measured["accuracy"]
    assert measured["arithmetic"]["label"] == "arithmetic-only lower bound"
    assert measured["arithmetic"]["energy_j"][1] < measured["dynamic_j"][1]
    assert [point["steps"] for point in measured["early"]] == list(range(1, 9))
    assert measured["early"][-1]["accuracy"] == measured["accuracy"]
    latency = measured["latency"]
    assert latency["decision_p50_s"] <= latency["decision_p99_s"]
    base = measured["baseline"]
    assert base["activation_bits"] == 4  # 0 to 8 spikes
    at_rate = np.array(base["break_even"]) * base["spikes_per_neuron"]
    assert base["break_even_per_neuron"] == pytest.approx(at_rate.tolist())
    assert measured["duty"] is None
    assert measured["priced_only"] is False


def test_text_names_every_measure_with_unit_and_range(snn, bundle):
    ran = snn("estimate", bundle, *ESTIMATE)
    assert ran.code == 0
    for words in (
        "NeuroBench metrics", "Effective_ACs", "arithmetic-only lower bound", "break-even",
        "ANN of 4-bit activations", "accuracy against steps", "p50", "p99", "weakest grade",
        "no public price", "low", "nominal", "high",
    ):  # fmt: skip
        assert words in ran.out, words
    assert "average power" not in ran.out


def test_a_rate_gives_average_power_and_battery_life(snn, bundle):
    words = ("--rate", "10/min", "--sensor-power", "5mW", "--battery", "1000mAh@3.7V")
    ran = snn("estimate", bundle, *ESTIMATE, *words)
    assert ran.code == 0, ran.err
    assert "average power at 0.166667 samples/s" in ran.out
    assert "3.70 Wh battery" in ran.out
    assert re.search(r"host +not public", ran.out)
    record = snn("estimate", bundle, *ESTIMATE, *words, "--json").json()["estimates"][0]
    duty = record["duty"]
    assert duty["battery_j"] == pytest.approx(13320)
    parts = {row["part"]: row["power_w"][1] for row in duty["rows"]}
    assert parts["dynamic"] == pytest.approx(record["dynamic_j"][1] / 6)
    assert parts["sensor"] == 0.005
    assert sum(parts.values()) == pytest.approx(duty["average_w"][1])
    assert duty["missing"] == ["unpriced events", "host"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--rate", "10"), "E5065"), (("--rate", "1e9/s"), "E5068"),
        (("--rate", "1/s", "--host-power", "5"), "E5066"),
        (("--rate", "1/s", "--battery", "1000mAh"), "E5067"),
        (("--battery", "2.2Wh"), "E5069"), (("--sensor-power", "1mW"), "E5069"),
        (("--csv", "a", "--html", "a"), "E5070"), (("--csv", "data.npz"), "E5003"),
        (("--latex", "nowhere/a.tex"), "E5004"),
    ],
)  # fmt: skip
def test_amounts_and_files_that_cannot_be_are_refused_and_nothing_is_written(
    files, snn, bundle, words, code
):
    before = sorted(path.name for path in files.iterdir())
    ran = snn("estimate", bundle, *ESTIMATE, *words)
    assert ran.code == 2
    assert ran.err.startswith(f"error[{code}]")
    assert len(ran.err.splitlines()) == 1
    assert snn("explain", code).code == 0
    assert sorted(path.name for path in files.iterdir()) == before


def test_a_rate_beyond_the_throughput_is_refused_with_the_numbers(snn, bundle, measured):
    most = measured["latency"]["throughput_hz"]
    ran = snn("estimate", bundle, *ESTIMATE, "--rate", f"{most * 1.01}/s")
    assert f"loihi2 answers {most:,.6g}" in ran.err
    assert snn("estimate", bundle, *ESTIMATE, "--rate", f"{most * 0.99}/s").code == 0


def test_files_are_written_and_replaced_only_when_asked(files, snn, bundle):
    words = ("--csv", "r.csv", "--latex", "r.tex", "--html", "r.html")
    ran = snn("estimate", bundle, *ESTIMATE, *words)
    assert ran.code == 0, ran.err
    assert all(f"wrote r.{kind}" in ran.out for kind in ("csv", "tex", "html"))
    rows = list(csv.DictReader(io.StringIO((files / "r.csv").read_text())))
    assert {"layer", "ledger", "neurobench"} <= {row["table"] for row in rows}
    assert (files / "r.tex").read_text().count("\\begin{table}") == 3
    assert "<svg" in (files / "r.html").read_text()
    first = (files / "r.html").read_bytes()
    assert snn("estimate", bundle, *ESTIMATE, *words).code == 2
    assert snn("estimate", bundle, *ESTIMATE, *words, "--force").code == 0
    assert (files / "r.html").read_bytes() == first


@pytest.fixture
def other(monkeypatch):
    """A target called `other` that is priced only."""
    known = registry.find_any_target
    monkeypatch.setattr(
        registry, "find_any_target", lambda name: priced_only() if name == "other" else known(name)
    )


@pytest.mark.parametrize("targets", ["other", "loihi1,other", "other,loihi1"])
@pytest.mark.usefixtures("other")
def test_a_chip_that_is_priced_only_stands_beside_a_modelled_one(snn, targets):
    ran = snn("estimate", "model.pt", "--target", targets, *ESTIMATE, "--json")
    assert ran.code == 0, ran.err
    found = {record["target"]: record for record in ran.json()["estimates"]}
    assert list(found) == targets.split(",")
    base = "loihi1" if "loihi1" in targets else "loihi2"
    assert found["other"]["events_of"] == base
    assert found["other"]["verdict"] is None
    text = snn("estimate", "model.pt", "--target", targets, *ESTIMATE).out
    assert f"PRICED ONLY other: counts from {base}" in text
    assert "not public" in text


@pytest.mark.usefixtures("other")
def test_a_bundle_is_priced_on_a_chip_that_is_priced_only(snn, bundle):
    ran = snn("estimate", bundle, "--target", "other", *ESTIMATE, "--json")
    assert ran.code == 0, ran.err
    assert [record["target"] for record in ran.json()["estimates"]] == ["other"]


def test_a_chip_without_latencies_is_estimated_without_time(snn, monkeypatch):
    known = registry.find_target

    def bare(name):
        target = known(name)
        chip = replace(target.chip, latencies={}, clock=None, network={})
        return SimpleNamespace(
            name=target.name, chip=chip, executor=target.executor, check=target.check
        )

    monkeypatch.setattr(registry, "find_target", bare)
    ran = snn("estimate", "model.pt", *ESTIMATE, "--rate", "10/s")
    assert ran.code == 0, ran.err
    assert "not public" in ran.out
    assert "the chip's time is not public" in ran.out


def test_the_report_of_a_bundle_has_it_all(bundle):
    text = (bundle / "report.html").read_text()
    for words in ("NeuroBench metrics", "break-even", "Accuracy against steps", "lower bound"):
        assert words in text, words
