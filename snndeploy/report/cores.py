"""What every core takes per chip step, for the terminal and for HTML."""

from rich.console import Console

from snndeploy.latency import Latency
from snndeploy.report.console import cell, table
from snndeploy.report.units import engineering

MOST_CORES = 8
"""On the terminal."""
CORE_COLUMNS = ("core", "layer", "time/step", "slowest", "cycles/step", "slowest", "decides")


def core_rows(latency: Latency, most: int | None = None) -> list[tuple[str, ...]]:
    """Return what every core takes per chip step, longest first, at most so many cores."""
    longest = sorted(latency.cores, key=lambda core: (-core.seconds, core.core))
    return [
        (
            f"{core.core}",
            core.population,
            engineering(core.seconds, "s"),
            engineering(core.slowest_s, "s"),
            "n/a" if core.cycles is None else f"{core.cycles:,.1f}",
            "n/a" if core.slowest_cycles is None else f"{core.slowest_cycles:,}",
            f"{core.decides:,}",
        )
        for core in longest[:most]
    ]


def print_cores(latency: Latency, out: Console) -> None:
    """Print the cores that take longest per chip step, in seconds and cycles."""
    numbers = (column if column in ("core", "layer") else f">{column}" for column in CORE_COLUMNS)
    rows = table(*numbers)
    for row in core_rows(latency, MOST_CORES):
        rows.add_row(*map(cell, row))
    out.print(rows)
    hidden = len(latency.cores) - MOST_CORES
    if hidden > 0:
        out.print(cell(f"{hidden} more cores take less; --json lists them all"))
