"""The frame of every HTML report: one self-contained file, no network, every name escaped."""

from collections.abc import Iterable, Sequence
from html import escape

from snndeploy.report.plain import plain

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #667; --line: #d5d9e0; --mark: #2f6f9f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --soft: #98a2b0; --line: #3a4350; --mark: #6fb1e0; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: var(--ink); }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
.verdict { font-size: 1.1rem; font-weight: 600; padding: .6rem .9rem;
  border-left: .3rem solid #2e8b57; }
.verdict.no { border-color: #b3413a; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child, .left { text-align: left; }
.soft { color: var(--soft); font-size: .85rem; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
"""

LONGEST_TEXT = 2000


def page(title: str, parts: Iterable[str], *, style: str = "", script: str = "") -> str:
    """Return an HTML document.

    Args:
        title: escaped.
        parts: of the body, as HTML; empty ones are left out.
        style: CSS beyond that of all reports.
        script: JavaScript of the page's own, run after the body is there.
    """
    body = "\n".join(part for part in parts if part)
    run = f"<script>{script}</script>\n" if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n{body}\n"
        f"{run}</body>\n</html>\n"
    )


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of escaped texts; nothing without rows."""
    if not rows:
        return ""
    head = "".join(f"<th>{html_text(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html_text(value)}</td>" for value in row) + "</tr>" for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def html_text(text: str) -> str:
    """Return text from anywhere as HTML: control characters written out, all else escaped."""
    return escape(plain(text, longest=LONGEST_TEXT))


SORT_SCRIPT = """
document.querySelectorAll("table.sortable th").forEach((head) => {
  head.addEventListener("keydown", (event) => { if (event.key === "Enter") head.click(); });
  head.addEventListener("click", () => {
    const table = head.closest("table"), body = table.tBodies[0];
    const up = head.getAttribute("aria-sort") !== "ascending";
    const column = [...head.parentNode.children].indexOf(head);
    const read = (row) => row.cells[column].dataset.sort;
    const order = (a, b) => {
      const [x, y] = [read(a), read(b)], d = Number(x) - Number(y);
      return Number.isNaN(d) ? x.localeCompare(y) : d;
    };
    table.querySelectorAll("th").forEach((th) => th.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    [...body.rows].sort((a, b) => (up ? order(a, b) : order(b, a)))
      .forEach((row) => body.append(row));
  });
});
"""
"""Sorts a table by the column whose head is clicked; without it the table reads as it is."""


def sortable_table(header: Sequence[str], rows: Sequence[Sequence[tuple[str, float | str]]]) -> str:
    """Return a table of (text, what to sort by); `SORT_SCRIPT` must be on the page."""
    head = "".join(f'<th tabindex="0">{html_text(name)}</th>' for name in header)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-sort="{html_text(str(value))}">{html_text(text)}</td>' for text, value in row
        )
        + "</tr>"
        for row in rows
    )
    return (
        '<div class="scroll"><table class="sortable"><thead><tr>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
