"""Reports of estimates: CSV without formulas, LaTeX and HTML that no name breaks, pictures."""

import csv
import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from priced import USE, estimates

from snndeploy.report.html_estimate import render_estimates
from snndeploy.report.latex import render_latex, tex
from snndeploy.report.record import estimate_record
from snndeploy.report.sheets import break_even_words, sheets
from snndeploy.report.spreadsheet import HEADER, render_csv, safe
from snndeploy.report.svg import curve, stacked
from snndeploy.report.units import duration, spread
from tests.unit.test_report import HOSTILE, Tags

FORMULA = '=HYPERLINK("http://x","y")'


@pytest.fixture(scope="module")
def both():
    return estimates(use=USE)


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def rows_of(text, table):
    return [row for row in read(text) if row["table"] == table]


def test_csv_has_a_row_per_layer_and_ledger_line_and_adds_up(both):
    estimate, _ = both
    text = render_csv([estimate])
    assert text.splitlines()[0] == ",".join(HEADER)
    layers = {row["item"] for row in rows_of(text, "layer")}
    assert layers == {layer.population for layer in estimate.layers}
    energies = [row for row in rows_of(text, "ledger") if row["measure"] == "energy"]
    assert len(energies) == len(estimate.ledger) + 1  # static
    for i, end in enumerate(("low", "nominal", "high")):
        total = sum(float(row[end]) for row in energies if row["item"] != "static")
        assert total == pytest.approx(estimate.dynamic_j[i])
    assert all(row["source"] and row["grade"] and row["unit"] for row in energies)
    missing = {row["item"] for row in rows_of(text, "missing")}
    assert missing == {kind for kind, _ in estimate.missing}


def test_csv_lists_what_is_not_public_with_empty_numbers(both):
    _, other = both
    text = render_csv([other])
    (time,) = rows_of(text, "time")
    assert (time["nominal"], time["source"]) == ("", "not public")
    assert {row["item"] for row in rows_of(text, "missing")} == {kind for kind, _ in other.missing}
    assert {row["nominal"] for row in rows_of(text, "power") if row["item"] == "host"} == {""}


def test_csv_holds_no_formula_of_a_layers_name():
    text = render_csv(estimates(name=FORMULA))
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert f"'{FORMULA}" in cells
    assert not [cell for cell in cells if cell.lstrip()[:1] in "=+@" and cell]


@given(st.text(max_size=12))
def test_a_cell_starts_with_nothing_that_is_calculated(text):
    shown = safe(text)
    assert not str(shown).lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))
    assert "\n" not in str(shown)
    assert safe(-1.5) == -1.5
    assert safe(None) == ""


@given(st.text(max_size=40))
def test_latex_text_has_no_command_of_its_own(text):
    shown = tex(text)
    for known in (r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", r"\dots{}"):
        shown = shown.replace(known, "")
    shown = re.sub(r"\$(<|>|\||\\mu)\$", "", shown)
    assert not re.search(r"(?<!\\)[{}$&#_%~^<>\"|]", shown)
    assert not re.search(r"\\[^{}$&#_%]", shown)


def test_latex_environments_close_and_rows_have_all_columns():
    text = render_latex(estimates(name=r"a_b & c%\input{/etc/passwd}"))
    opened = re.findall(r"\\begin\{(\w+)\}", text)
    closed = re.findall(r"\\end\{(\w+)\}", text)
    assert sorted(opened) == sorted(closed)
    assert r"\input{" not in text
    for columns, body in re.findall(
        r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, flags=re.DOTALL
    ):
        for line in body.splitlines():
            if line.endswith(r"\\"):
                assert len(re.findall(r"(?<!\\)&", line)) == len(columns) - 1


def test_latex_says_whose_numbers_they_are_and_what_is_missing():
    text = render_latex(estimates())
    for words in (
        "a fit (fitted)", "a board (measured)", "The weakest grade is fitted", "host\\_in",
        "arithmetic-only lower bound", "Horowitz", "is priced only", "break-even",
    ):  # fmt: skip
        assert words in text


def test_latex_names_every_source_however_long(both):
    estimate, _ = both
    ledger = tuple(replace(line, source=f"{'long ' * 300}{line.kind}") for line in estimate.ledger)
    text = render_latex([replace(estimate, ledger=ledger)])
    assert all(f"long {tex(line.kind)} ({line.grade})" in text for line in ledger)


def test_html_of_two_chips_is_well_formed_and_fetches_nothing(both):
    text = render_estimates(both, "net.pt")
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.links == []
    assert not tags.seen & {"script", "link", "img", "iframe"}
    assert "http" not in text
    assert "url(" not in text
    for words in (
        "NeuroBench", "arithmetic-only lower bound", "break-even", "average power", "battery life",
        "not public", "PRICED ONLY other: counts from loihi2", "Accuracy against steps", "p99",
        "its arithmetic is not modelled", "weakest grade", "Spikes per sample by layer",
    ):  # fmt: skip
        assert words in text, words
    assert text.count("<svg") == 1 + 4 + 3  # by part for both; a curve for the network's own chip


def test_html_shows_hostile_names_as_text():
    text = render_estimates(estimates(name=HOSTILE), HOSTILE)
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "&lt;script&gt;" in text


def test_stacked_bars_are_as_long_as_their_values():
    text = stacked([("a", [("x", 3.0), ("y", 1.0)], "4 J"), ("b", [("x", 2.0)], "2 J")])
    widths = [float(w) for w in re.findall(r'<rect [^>]*width="([\d.]+)"', text)]
    assert widths == [315.0, 105.0, 210.0]
    starts = [float(x) for x in re.findall(r'<rect x="([\d.]+)"', text)]
    assert starts == [160.0, 475.0, 160.0]


def test_a_curve_goes_through_its_points():
    text = curve([(1, 0.0), (2, 0.5), (5, 1.0)], label="accuracy", unit="steps")
    assert 'points="50.0,170.0 180.0,90.0 570.0,10.0"' in text
    assert "5 steps: 100.0%" in text
    assert "<circle" in curve([(4, 1.0)], label="one", unit="steps")


def test_record_has_neurobenchs_keys_and_is_plain(both):
    estimate, other = (estimate_record(estimate) for estimate in both)
    assert set(estimate["neurobench"]) == {
        "Footprint", "ConnectionSparsity", "ParameterCount", "ClassificationAccuracy",
        "ActivationSparsity", "ActivationSparsityByLayer", "SynapticOperations",
        "MembraneUpdates", "NeuronOperations",
    }  # fmt: skip
    assert set(estimate["neurobench_conditions"]) == {
        "steps", "dt_s", "batch", "seed", "zero_weights", "bias",
    }  # fmt: skip
    assert set(estimate["neurobench"]["SynapticOperations"]) == {
        "Effective_MACs", "Effective_ACs", "Dense",
    }  # fmt: skip
    assert estimate["verdict"]["fits"] is True
    assert other["verdict"] is None
    assert other["latency"] is None


def test_a_long_window_is_shown_at_even_steps(both):
    estimate, _ = both
    many = replace(estimate, early=estimate.early * 9)
    assert len(sheets(many, 10)[0].rows) == 10
    assert len(sheets(many)[0].rows) == 45


def test_a_chip_of_which_no_price_is_public_has_no_energy_anywhere(both):
    nothing = {"ledger": (), "parts": (), "weakest": (), "dynamic_j": (0.0, 0.0, 0.0)}
    layers = tuple(replace(x, energy_j=0.0, low_j=0.0, high_j=0.0) for x in both[1].layers)
    bare = replace(both[1], **nothing, layers=layers, grade="measured")
    assert estimate_record(bare)["dynamic_j"] is None
    (row,) = (row for row in rows_of(render_csv([bare]), "summary") if "energy" in row["measure"])
    assert (row["low"], row["nominal"], row["high"], row["grade"]) == ("", "", "", "n/a")
    assert "other (priced only) & not public" in render_latex([both[0], bare])
    assert "measured" not in render_latex([bare]).split("Methods")[1].split("lower bound")[0]
    page = render_estimates([bare], "net")
    assert "<td>dynamic energy</td><td></td><td></td><td></td><td>not public</td>" in page
    assert "0 J" not in page.split("arithmetic-only")[0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "500 ms"), (90, "1.50 min"), (5400, "1.50 h"), (216000, "2.50 days"),
     (63115200, "2.00 years"), (3.2e11, "10,140 years")],
)  # fmt: skip
def test_durations_take_the_largest_unit(seconds, text):
    assert duration(seconds) == text


def test_a_spread_names_the_middle_and_the_ends():
    assert spread((0.3, 0.1, 0.2)) == "0.1 (0.1 to 0.3)"


@pytest.mark.parametrize(
    ("even", "words"),
    [
        (None, "none, no spike was sent"),
        ((-1.0, -0.5, 2.0), "none at nominal prices"),
        (
            (-1.0, 0.5, 2.0),
            "0.5 (0 to 2) spikes per neuron and inference (10.0 % per step), 0.5",
        ),
    ],
)
def test_break_even_is_said_in_words(both, even, words):
    base = replace(both[0].baseline, break_even_per_neuron=even, break_even_per_synapse=even)
    assert break_even_words(base, 5).startswith(words)
    assert tex(words) in render_latex([replace(both[0], baseline=base)])
