"""Reports: numbers as people read them, HTML that stands alone and that no name breaks."""

from html.parser import HTMLParser

import pytest
from deployed import small_compiled, small_samples, too_large

from snndeploy.estimation import estimate
from snndeploy.inference import run_deployed
from snndeploy.report.html import render_html
from snndeploy.report.units import engineering, percent
from snndeploy.verdict import judge

HOSTILE = '\x1b[31m<script>alert("x")</script>\u202e&'
VOID = {"meta", "!doctype"}


class Tags(HTMLParser):
    """Checks that tags close in order and collects what a page would fetch."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.links = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, _attrs):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page(*, name="hidden", with_data=True):
    compiled = small_compiled(name=name, origin=name)
    verdict = judge(compiled.target.chip, compiled.placement, ())
    measured = estimate(compiled, small_samples()) if with_data else None
    return render_html(compiled, verdict, measured, float_accuracy=0.5)


@pytest.mark.parametrize("with_data", [True, False])
def test_html_is_well_formed_and_fetches_nothing(with_data):
    text = page(with_data=with_data)
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.links == []
    assert not tags.seen & {"script", "link", "img", "iframe"}
    assert "http" not in text
    assert "url(" not in text
    assert "svg" in tags.seen


def test_html_lists_cycles_per_core_only_with_data():
    assert "cycles/step" in page()
    assert "bottleneck" in page()
    assert "Time per core and chip step" in page()
    assert "Time per core" not in page(with_data=False)


def test_html_shows_hostile_names_as_text():
    text = page(name=HOSTILE)
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "&lt;script&gt;" in text


def test_html_is_the_same_every_time():
    assert page() == page()


def test_verdict_names_the_fullest_core_or_counts_what_is_broken():
    compiled = small_compiled()
    chip = compiled.target.chip
    fits = judge(chip, compiled.placement, ())
    assert (
        fits.line() == "FITS loihi2: 2 of 120 cores, fullest 0 % (neurons_per_core, layer hidden)"
    )
    broken = too_large(compiled)
    assert judge(chip, None, broken.violations).line() == "DOES NOT FIT loihi2: 1 rule broken"


def test_estimate_counts_what_the_simulator_sent():
    compiled, samples = small_compiled(), small_samples(7)
    measured = estimate(compiled, samples)
    run = run_deployed(compiled, samples, "reference", record=("hidden",))
    spikes = int(run.result.traces["hidden"].spikes.sum())
    assert measured.layers[0].spikes_per_sample == pytest.approx(spikes / 7)
    assert measured.layers[0].rate == pytest.approx(spikes / (7 * 5 * 8))
    assert measured.accuracy == run.accuracy
    total = sum(line.count * line.price_j for line in measured.ledger) / 7
    assert measured.dynamic_j[1] == pytest.approx(total)
    assert dict(measured.missing)["host_in"] == int(samples.x["in"].sum())
    latency = measured.latency
    assert latency.decision_s == pytest.approx((5 + 2) * latency.step_s)
    assert latency.throughput_hz == pytest.approx(1 / (5 * latency.step_s))
    assert latency.level == "bound"
    assert sum(latency.bottlenecks.values()) == sum(core.decides for core in latency.cores)
    assert latency.step_s >= max(core.seconds for core in latency.cores) + latency.barrier_s


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"), (0, "0 J"), (1.5e-6, "1.50 µJ"), (23.6e-12, "23.6 pJ"),
        (999.6e-9, "1.00 µJ"), (0.104, "104 mJ"), (3.34, "3.34 J"),
        (1e-15, "0.00 pJ"), (52e-12, "52.0 pJ"),
    ],
)  # fmt: skip
def test_engineering_has_three_digits(value, text):
    assert engineering(value, "J") == text


@pytest.mark.parametrize(("share", "text"), [(0.979, "97.9 %"), (0.0099, "0.99 %"), (0, "0.00 %")])
def test_percent_has_three_digits(share, text):
    assert percent(share) == text
