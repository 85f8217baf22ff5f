"""Estimates for a paper: three tables and a methods paragraph, to be included as they are.

Plain LaTeX without packages. The paragraph says what was measured, names every source and grade
that was used, and what is not in the numbers.
"""

import unicodedata
from collections.abc import Iterable, Sequence

from snndeploy.estimation import Estimate
from snndeploy.operations import ARITHMETIC, operation_prices
from snndeploy.report.facts import dynamic_words, grade_word, layer_words, time_words
from snndeploy.report.plain import plain
from snndeploy.report.sheets import break_even_words
from snndeploy.report.units import NOT_PUBLIC, engineering, metric, percent

ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "_": r"\_", "%": r"\%", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$",
    ">": r"$>$", "|": r"$|$", '"': "''", "µ": r"$\mu$", "…": r"\dots{}",
}  # fmt: skip
LONGEST = 20_000
"""Characters of a sentence: all sources of a table fit."""
LATIN = 0x17F
"""Letters up to here are in every LaTeX font encoding of note."""


def render_latex(estimates: Sequence[Estimate]) -> str:
    """Return tables of chips, layers and NeuroBench metrics, and the methods paragraph."""
    first = estimates[0]
    parts = (
        "% made by snndeploy estimate; plain LaTeX, no packages",
        _table(
            "Energy per sample, range of the prices in brackets, and time to decision.",
            ("chip", "dynamic", "static", "p50", "p99", "samples/s", "accuracy", "grade"),
            [_chip(estimate) for estimate in estimates],
        ),
        _table(
            f"Activity by layer on {first.target}, per sample.",
            ("layer", "neurons", "spikes", "synaptic operations", "energy"),
            [
                (
                    layer.population,
                    f"{layer.n_neurons:,}",
                    f"{layer.spikes_per_sample:,.1f}",
                    f"{layer.synaptic_ops_per_sample:,.0f}",
                    _spread(layer_words(first, layer)),
                )
                for layer in first.layers
            ],
        ),
        _table(
            "NeuroBench metrics of the integer network.", ("metric", "value"), _neurobench(first)
        ),
        *(_methods(estimate) for estimate in estimates),
    )
    return "\n\n".join(parts) + "\n"


def tex(text: str) -> str:
    """Return text as LaTeX shows it, whatever it holds."""
    return "".join(_shown(char) for char in plain(text, longest=LONGEST))


def _shown(char: str) -> str:
    if char in ESCAPES:
        return ESCAPES[char]
    if char.isascii() or (ord(char) <= LATIN and unicodedata.category(char)[0] == "L"):
        return char
    return f"U+{ord(char):04X}"


def _chip(estimate: Estimate) -> tuple[str, ...]:
    static, (p50, p99, throughput) = estimate.static, time_words(estimate)
    name = estimate.target + (" (priced only)" if estimate.priced_only else "")
    return (
        name,
        _spread(dynamic_words(estimate)),
        _range(static.energy_j, "J") if static else NOT_PUBLIC,
        p50,
        p99,
        throughput.removesuffix(" /s"),
        "n/a" if estimate.accuracy is None else percent(estimate.accuracy),
        grade_word(estimate),
    )


def _neurobench(estimate: Estimate) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in estimate.neurobench.record().items():
        if isinstance(value, dict):
            rows += [(f"{name}: {key}", metric(part)) for key, part in value.items()]
        else:
            rows.append((name, metric(value)))
    return rows


def _range(values: tuple[float, float, float], unit: str) -> str:
    low, nominal, high = (engineering(value, unit) for value in values)
    return _spread((low, nominal, high))


def _spread(words: tuple[str, str, str]) -> str:
    low, nominal, high = words
    return nominal if low == high else f"{nominal} ({low} to {high})"


def _table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{tex(caption)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
        r"\hline",
        " & ".join(map(tex, header)) + r" \\",
        r"\hline",
        *(" & ".join(map(tex, row)) + r" \\" for row in rows),
        r"\hline",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def _methods(estimate: Estimate) -> str:
    """Return what was measured, with which numbers of whom, and what is not in it."""
    bound, base = estimate.arithmetic, estimate.baseline
    sentences = [
        f"Energy on {estimate.title} ({estimate.target}) was estimated with snndeploy by counting "
        f"the events of the integer network on {estimate.n_samples:,} samples of "
        f"{estimate.steps} time steps, pipeline fill and drain included, and multiplying them by "
        f"the prices {estimate.prices}" + (f" ({estimate.note})" if estimate.note else ""),
    ]
    if estimate.priced_only:
        sentences.append(
            f"{estimate.target} is priced only ({estimate.because}): the events are those of the "
            f"network compiled for {estimate.events_of}"
        )
    prices = {line.kind: (line.grade, line.source) for line in estimate.ledger}
    if estimate.static is not None:
        prices["static power"] = (estimate.static.grade, estimate.static.source)
    used = "; ".join(f"{kind}: {source} ({grade})" for kind, (grade, source) in prices.items())
    if used:
        sentences.append(f"Sources and grades of the prices: {used}")
        sentences.append(f"The weakest grade is {estimate.grade} ({', '.join(estimate.weakest)})")
    left_out = [kind for kind, _ in estimate.missing]
    if left_out:
        sentences.append(f"Without a public price, and not in the sum: {', '.join(left_out)}")
    if estimate.latency is not None:
        latency = estimate.latency
        missing = f", without {', '.join(latency.missing)}" if latency.missing else ""
        sentences.append(
            f"Times are modelled at level {latency.level} from {latency.grade} latencies{missing}"
        )
    if estimate.serial is not None:
        seconds = engineering(estimate.serial.total_s / estimate.n_samples, "s")
        sentences.append(
            f"Doing one event after the other it takes {seconds} per sample, from "
            f"{estimate.serial.grade} latencies"
        )
    formula = operation_prices(ARITHMETIC).prices
    ac, mac = (f"{float(formula[kind].nominal) * 1e12:g} pJ" for kind in ("ac", "mac"))
    sentences.append(
        f"The {bound.label} of the literature, {ac} per accumulation and {mac} per "
        f"multiplication and accumulation ({bound.sources[0]}), is "
        f"{engineering(bound.energy_j[1], 'J')} for {bound.acs:,.0f} accumulations and "
        f"{bound.macs:,.0f} multiplications, summed over all steps; it is no energy of a chip"
    )
    if base is not None and not estimate.priced_only:
        sentences.append(
            f"The same network as an ANN of {base.activation_bits}-bit activations, zeros skipped, "
            f"both priced on one accelerator ({base.prices}, weakest grade {base.grade}), takes "
            f"{_range(base.ann_j, 'J')} against {_range(base.snn_j, 'J')} for the spiking network; "
            f"measured were {base.spikes_per_neuron:.3g} spikes per neuron and inference; "
            f"break-even: {break_even_words(base, estimate.steps)}"
        )
    return "\\paragraph{Methods.} " + " ".join(f"{tex(sentence)}." for sentence in sentences)
