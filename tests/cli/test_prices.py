"""Estimates on the command line with other prices, and on chips that are priced only."""

import pytest


def test_priced_chips_get_the_counts_of_the_first_modelled_chip(snn):
    ran = snn("estimate", "model.pt", "--target", "xylo,loihi1,odin", "--data", "data.npz",
              "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    record = ran.json()
    assert [(e["target"], e["events_of"]) for e in record["estimates"]] == [
        ("xylo", "loihi1"), ("loihi1", "loihi1"), ("odin", "loihi1"),
    ]  # fmt: skip
    xylo, loihi1, odin = record["estimates"]
    assert xylo["dynamic_j"] is None
    assert xylo["verdict"] is None
    lines = loihi1["ledger"]
    ours = sum(line["count"] for line in lines if line["kind"] == "synaptic_op")
    theirs = sum(line["count"] for line in odin["ledger"] if line["kind"] == "synaptic_op")
    assert ours == theirs > 0
    assert odin["dynamic_j"][1] == pytest.approx(ours * 8.43e-12 / odin["n_samples"])


def test_without_a_modelled_chip_the_counts_are_loihi2s_and_it_is_said(snn):
    ran = snn("estimate", "model.pt", "--target", "digital45", "--data", "data.npz")
    assert ran.code == 0, ran.err
    assert "counts from loihi2, no verdict" in ran.out
    assert "every weight and state is fetched" in ran.out
    assert "FITS" not in ran.out
    record = snn("estimate", "model.pt", "--target", "digital45", "--data", "data.npz",
                 "--json").json()  # fmt: skip
    (only,) = record["estimates"]
    assert only["priced_only"]
    assert only["because"]


def test_a_bundles_own_chip_gives_the_counts(snn, bundle):
    ran = snn("estimate", bundle, "--target", "cortex-m", "--data", "data.npz", "--json")
    assert ran.code == 0, ran.err
    assert ran.json()["estimates"][0]["events_of"] == "loihi2"


def test_a_table_is_chosen_by_name(snn):
    def dynamic(*args):
        ran = snn("estimate", "model.pt", "--target", "loihi1", "--data", "data.npz", "--json",
                  *args)  # fmt: skip
        assert ran.code == 0, ran.err
        return ran.json()["estimates"][0]

    default, sanafe = dynamic(), dynamic("--prices", "sanafe")
    assert (default["prices"], sanafe["prices"]) == ("davies2018", "sanafe")
    assert sanafe["latency"]["barrier_s"] == 0.6e-6
    assert default == dynamic("--prices", "davies2018")


def test_an_unknown_table_is_refused_with_the_tables_there_are(snn):
    ran = snn("estimate", "model.pt", "--data", "data.npz", "--prices", "sanafe")
    assert ran.code == 2
    assert "E3041" in ran.err
    assert "loihi2: loihi1_stand_in" in ran.err


def test_compiling_for_a_priced_chip_names_the_alternative(snn, files):
    ran = snn("compile", "model.pt", "--target", "xylo", "-o", "net")
    assert ran.code == 4
    assert "estimate MODEL --target loihi2,xylo" in ran.err
    assert not (files / "net").exists()


def test_targets_lists_every_price_table(snn):
    out = snn("targets", "loihi1").out
    assert "prices davies2018 (default)" in out
    assert "prices sanafe; with its own latencies" in out
    assert "fitted to micro-benchmarks on silicon" in out
    assert "host power 70.0 mW" in out
    priced = snn("targets", "odin")
    assert "priced only: " in priced.out
    assert "spike is not charged: inside synaptic_op" in priced.out
    assert "no price of any event is public" in snn("targets", "akida").out


def test_several_priced_chips_stand_side_by_side(snn):
    ran = snn("estimate", "model.pt", "--target", "odin,akida", "--data", "data.npz")
    assert ran.code == 0, ran.err
    head = next(line for line in ran.out.splitlines() if "energy/sample" in line)
    below = ran.out.split(head)[1]
    rows = [line for line in below.splitlines() if line.startswith((" odin", " akida"))]
    assert [row.split()[0] for row in rows] == ["odin", "akida"]
    akida = rows[1]
    assert akida.split()[1] == "none_public"
    assert akida.count("not public") >= 4
    assert "no public price, not in the sum: host_in" in ran.out
