"""The terminal: one console, plain tables, and cells that no name from a file can break out of."""

import sys
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from snndeploy.report.plain import plain

CELL = 500
"""Longest text of a cell: a source with its detail fits, a hostile name does not flood."""
PIPE_WIDTH = 160
"""Columns where stdout is no terminal: wide enough that no table is cut."""


def console() -> Console:
    """Return a console on stdout; colours on a terminal only."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, highlight=False)


def table(*headers: str, title: str | None = None) -> Table:
    """Return a table; a header that starts with `>` is a column of numbers, flush right."""
    grid = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for header in headers:
        right = header.startswith(">")
        grid.add_column(
            header.removeprefix(">"), justify="right" if right else "left", no_wrap=right
        )
    return grid


def cell(text: str, style: str = "") -> Text:
    """Return text from a file as a cell: control characters written out, no markup."""
    return Text(plain(text, longest=CELL), style=style)


def print_facts(rows: Iterable[tuple[str, str, str]]) -> None:
    """Print (name, what was found, note) rows."""
    facts = table("what", "found", "note")
    for name, found, note in rows:
        facts.add_row(cell(name), cell(found or "missing"), cell(note))
    console().print(facts)
