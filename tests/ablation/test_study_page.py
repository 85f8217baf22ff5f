"""A study's page and plots: well formed, self-contained, every name escaped, every number there."""

import re
from xml.etree import ElementTree

import pytest

from snndeploy.ablation.ablate import Progress
from snndeploy.cli.study_progress import line_of
from snndeploy.report.page import SORT_SCRIPT, sortable_table
from snndeploy.report.plots import Axis, Dot, interval_rows, scatter, ticks

AXIS = Axis(label="a & b", words=lambda value: f"{value:g} <units>")


def parsed(text):
    return ElementTree.fromstring(text.replace("<svg ", '<svg xmlns="http://svg" ', 1))


@pytest.fixture
def picture(study, run, folder):
    """The page of a study with a front, and its results."""
    wide = (
        'bits = ["fp32", 4, 2]',
        'bits = ["fp32", 8, 6, 4, 2]\ncriterion = ["none", "l1"]\nratio = [0.5]',
    )
    results = run(study(wide), engine="serial")
    return (folder / "out/report.html").read_text(), results


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0.93, 0.97, [0.93, 0.94, 0.95, 0.96, 0.97]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (3e-6, 4e-6, [3e-6, 3.2e-6, 3.4e-6, 3.6e-6, 3.8e-6, 4e-6]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_a_scatter_puts_dots_where_they_belong():
    dots = [
        Dot(x=x, y=y, half=0.5, colour="<c>", shape=f"s{i}", words="<b>&", is_ringed=not i)
        for i, (x, y) in enumerate(((1.0, 1.0), (2.0, 3.0), (3.0, 2.0)))
    ]
    text = scatter(dots, [(1.0, 1.0), (2.0, 3.0)], x=AXIS, y=AXIS, label="a < b")
    root = parsed(text)
    assert root.get("aria-label") == "a < b"
    groups = [g for g in root if g.tag.endswith("}g")]
    assert [g[0].text for g in groups] == ["<b>&"] * 3
    first = [float(groups[0][-1].get(key)) for key in ("cx", "cy")]
    square = [tuple(map(float, p.split(","))) for p in groups[1][-1].get("points").split()]
    middle = [sum(p[k] for p in square) / 4 for k in (0, 1)]
    assert middle[0] > first[0]  # a larger x is further right
    assert middle[1] < first[1]  # a larger y is further up
    steps = root.find("{http://svg}polyline").get("points").split()
    assert len(steps) == 4
    assert steps[0] == f"{first[0]:.1f},{first[1]:.1f}"


def test_equal_values_can_be_drawn():
    dots = [Dot(x=0.0, y=1.0, half=None, colour="c", shape="s", words="w")] * 2
    parsed(scatter(dots, [], x=AXIS, y=AXIS, label="l"))
    parsed(interval_rows([("a", 0.5, None), ("b", 0.5, 0.0)], axis=AXIS, label="l"))


def test_a_sortable_table_carries_numbers_beside_words():
    text = sortable_table(("a<", "b"), [[("1.5 µJ", 1.5e-6), ('"x"', "x")]])
    assert '<td data-sort="1.5e-06">1.5 µJ</td>' in text
    assert '<th tabindex="0">a&lt;</th>' in text
    assert "&quot;x&quot;" in text
    assert "dataset.sort" in SORT_SCRIPT


def test_every_picture_is_well_formed_and_the_page_needs_nothing_else(picture):
    text, results = picture
    pictures = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(pictures) == 2  # the scatter and one factor, bits; l1 has no second criterion
    for one in pictures:
        parsed(one)
    assert not re.search(r"https?:|src=|href=|url\(|@import", text)
    assert results.knee is not None
    assert text.count(">knee<") == 2  # in the plot and in the table
    for summary in results.summaries:
        assert f"{100 * summary.means['accuracy'].value:.2f} ±" in text
    assert "Student&#x27;s t" in text


def test_progress_reads_as_a_line():
    progress = Progress(total=180, done=60, running=2, failed=1, seconds=600.0, fresh=50)
    assert line_of(progress) == "60 of 180 done, 2 running, 1 failed, 24 min to go"
    assert line_of(Progress(total=3, done=0, running=1, failed=0, seconds=1.0, fresh=0)) == (
        "0 of 3 done, 1 running, 0 failed"
    )
