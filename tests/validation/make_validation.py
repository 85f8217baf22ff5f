"""Write VALIDATION.md: published measurements beside what the simulator says of them.

    python tests/validation/make_validation.py            write the page
    python tests/validation/make_validation.py --tune     print the thresholds of the networks

Nothing is fitted to an answer. The page is the same, byte for byte, whenever it is written.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import rebuilt
from measurements import MEASUREMENTS, NOT_REBUILT, Measurement
from networks import tuned

from snndeploy.report.units import engineering, percent

PAGE = Path(__file__).parents[2] / "VALIDATION.md"


def error_of(ratio: float) -> float:
    """Return how far a ratio is off, the same for twice as much and half as much."""
    return max(ratio, 1 / ratio) - 1


def shown(value: float, unit: str) -> str:
    """Return a number as people read it."""
    if unit in ("cores", "/s"):
        return f"{value:,.0f} {unit}"
    return engineering(value, unit).replace("µ", "u")


def compared_row(row: Measurement) -> tuple[str, float]:
    """Return a line of the first table, and ours over theirs."""
    ours = row.ours()
    ratio = ours / row.value
    cells = (row.name, row.chip, row.prices, row.quantity, shown(row.value, row.unit),
             shown(ours, row.unit), f"{ratio:.3g}")  # fmt: skip
    return f"| {' | '.join(cells)} |", ratio


def band_row(row: Measurement) -> str:
    """Return a line of the table of ranges."""
    assert row.band is not None
    ours, (low, high) = row.ours(), row.band
    verdict = "within"
    if not low <= ours <= high:
        edge = low if ours < low else high
        verdict = f"{'below' if ours < low else 'above'} by {percent(abs(ours / edge - 1))}"
    published = f"{shown(low, row.unit)} to {shown(high, row.unit)}"
    cells = (row.name, row.chip, row.prices, row.quantity, published, shown(ours, row.unit))
    return f"| {' | '.join((*cells, verdict))} |"


def told(error: float) -> str:
    """Return an error in percent up to 100 %, as a factor beyond."""
    return percent(error) if error <= 1 else f"a factor of {1 + error:.3g}"


def first_line(ratios: list[float], n_chips: int) -> str:
    """Return what the page says first: the median and the worst, whatever they are."""
    errors = [error_of(ratio) for ratio in ratios]
    within = sum(error <= 0.25 for error in errors)
    twice = sum(error <= 1 for error in errors)
    return (
        f"**Median error {told(median(errors))}, worst {told(max(errors))}, over "
        f"{len(ratios)} measurements on {n_chips} chips; {within} are within 25 %, {twice} within "
        "a factor of 2.**"
    )


def chip_lines(ratios: dict[str, list[float]]) -> list[str]:
    """Return the same for every chip."""
    return [
        f"- {chip}: median error {told(median(map(error_of, found)))}, worst "
        f"{told(max(map(error_of, found)))}, {len(found)} measurements"
        for chip, found in sorted(ratios.items())
    ]


def details(rows: Sequence[Measurement]) -> list[str]:
    """Return how rows were rebuilt; those that say the same are told together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        told_of = (row.source, row.network, row.activity, row.assumed, row.remark)
        title = f"{row.name}: {row.quantity} ({row.chip}, {row.prices})"
        groups.setdefault(told_of, []).append(title)
    lines = []
    for (source, network, activity, assumed, remark), titles in groups.items():
        lines += [
            *(f"**{title}**  " for title in titles[:-1]),
            f"**{titles[-1]}**",
            "",
            f"- published: {source}",
            f"- network: {network}",
            f"- activity: {activity}",
            f"- assumed: {assumed}",
            f"- remark: {remark}",
            "",
        ]
    return lines


HEAD = ("measurement", "chip", "prices", "quantity", "published", "ours")
INTRODUCTION = """\
Every published measurement that could be rebuilt, beside what this simulator says. Networks have
the published architecture, steps and rates; their weights are made up, and thresholds are set so
that layers fire at these rates. Energies are the simulator's counts times a price table, times are
its own. A row that is far off stays. The error of a ratio r is the larger of r and 1/r, less 1.
Constants of the chips are in [`hwtargets/chips`](hwtargets/chips/README.md); none was fitted to a
row of the first table.

`make validation` writes this page; `tests/validation` checks that it still says what the simulator
says."""


def page() -> str:
    """Return the page."""
    rows = {use: [m for m in MEASUREMENTS if m.use == use]
            for use in ("compared", "band", "calibrated")}  # fmt: skip
    compared = [compared_row(row) for row in rows["compared"]]
    by_chip: dict[str, list[float]] = {}
    for row, (_, ratio) in zip(rows["compared"], compared, strict=True):
        by_chip.setdefault(row.chip, []).append(ratio)
    lines = [
        "# Validation",
        "",
        first_line([ratio for _, ratio in compared], len(by_chip)),
        "",
        *chip_lines(by_chip),
        "",
        INTRODUCTION,
        "",
        "## Compared",
        "",
        *_table((*HEAD, "ours / published"), [line for line, _ in compared]),
        "",
        "## Where only a range was published",
        "",
        *_table((*HEAD, "ours is"), [band_row(row) for row in rows["band"]]),
        "",
        "## Calibrated on these, so left out above",
        "",
        *_table((*HEAD, "ours / published"), [compared_row(r)[0] for r in rows["calibrated"]]),
        "",
        "## How the rows were rebuilt",
        "",
    ]
    lines += details(MEASUREMENTS)
    lines += ["## Not rebuilt", ""]
    lines += _table(
        ("measurement", "published", "why not"),
        [f"| {left.name} | {left.published} | {left.reason} |" for left in NOT_REBUILT],
    )
    return "\n".join(lines) + "\n"


def _table(head: tuple[str, ...], rows: list[str]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *rows]


def main(arguments: list[str]) -> None:
    """Write the page, or print thresholds."""
    if arguments == ["--tune"]:
        for chain in rebuilt.CHAINS:
            print(chain.__name__, tuned(chain()))
        return
    text = page()
    PAGE.write_text(text)
    print(f"{PAGE.name}: {text.splitlines()[2]}")


if __name__ == "__main__":
    main(sys.argv[1:])
