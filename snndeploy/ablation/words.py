"""How a study's numbers read, on the terminal and on its page."""

from collections.abc import Callable, Mapping

from snndeploy.ablation.results import Results, Summary
from snndeploy.ablation.statistics import Mean
from snndeploy.ablation.study import FLOAT, UNPRUNED, Objective
from snndeploy.report.units import engineering, percent

Words = Callable[[float], str]
READ: Mapping[Objective, Words] = {
    "accuracy": percent,
    "energy": lambda value: engineering(value, "J"),
    "cores": lambda value: f"{value:,.4g}",
    "weights": lambda value: f"{value:,.0f}",
    "synaptic_ops": lambda value: f"{value:,.0f}",
    "spikes": lambda value: f"{value:,.0f}",
    "latency": lambda value: engineering(value, "s"),
}
TITLES: Mapping[Objective, str] = {
    "accuracy": "accuracy on chip",
    "energy": "energy/sample",
    "cores": "cores",
    "weights": "weights",
    "synaptic_ops": "synaptic ops/sample",
    "spikes": "spikes/sample",
    "latency": "time to decision",
}
INTERVALS = "± is half the 95 % interval of the mean over seeds (Student's t)"


def mean_words(mean: Mean, words: Words) -> str:
    """Return a mean with its interval, where it has one that is not zero."""
    return words(mean.value) + (f" ± {words(mean.half)}" if mean.half else "")


def share_words(mean: Mean) -> str:
    """Return a mean share in percent, with its interval in points."""
    half = "" if mean.half is None else f" ± {100 * mean.half:.2f}"
    return f"{100 * mean.value:.2f}{half} %"


def objective_words(name: Objective, mean: Mean) -> str:
    """Return the mean of an objective, with its interval."""
    return share_words(mean) if name == "accuracy" else mean_words(mean, READ[name])


def points_words(share: float) -> str:
    """Return a difference of accuracies in percentage points."""
    return f"{100 * share:+.2f}"


def gap_words(mean: Mean) -> str:
    """Return a mean difference of accuracies in points, with its interval."""
    half = "" if mean.half is None else f" ± {100 * mean.half:.2f}"
    return points_words(mean.value) + half


def bits_words(summary: Summary) -> str:
    """Return what a point's weights are."""
    point = summary.point
    return FLOAT if point.bits == FLOAT else f"{point.bits} bit {point.gamma} {point.grid}".strip()


def pruning_words(summary: Summary) -> str:
    """Return how a point was pruned."""
    point = summary.point
    return "-" if point.criterion == UNPRUNED else f"{point.criterion} {point.ratio:.0%}"


def verdict_words(results: Results) -> str:
    """Return in one line how far a study is."""
    n, done = len(results.rows), results.count("done")
    parts = [f"{done:,} of {n:,} trials done"]
    for status, words in (
        ("refused", "do not fit or cannot be deployed"),
        ("failed", "failed"),
        ("missing", "missing"),
    ):
        count = results.count(status)
        if count:
            parts.append(f"{count:,} {words}")
    if results.unproposed:
        parts.append(f"{results.unproposed:,} points not yet proposed by the search")
    head = "COMPLETE" if results.is_complete else "INCOMPLETE"
    return f"{head}: {', '.join(parts)}"


def front_words(results: Results) -> str:
    """Return what the front weighs, and what the knee is."""
    names = ", ".join(results.study.objectives)
    knee = "the knee is nearest to the best of each" if results.knee is not None else "no knee"
    return f"Pareto front of {names} (means over seeds); {knee}"
