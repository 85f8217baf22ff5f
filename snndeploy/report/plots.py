"""Plots as inline SVG: a scatter with intervals and a front, and means with their intervals.

In: numbers and words. Out: SVG that takes its colours from the page, so that it is readable in
light and dark; every mark carries its words as a tooltip.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from snndeploy.report.plain import plain
from snndeploy.report.svg import PALETTE, svg

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 14, 46
LEGEND_LINE, LEGEND_CHAR = 20, 8
DOT = 5.0
ROW, ROW_LABEL, ROW_VALUE = 26, 130, 190
SHAPES = ("circle", "square", "diamond", "triangle", "cross")

Words = Callable[[float], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dot:
    """One mark of a scatter.

    Attributes:
        half: half the height of its interval, None for none.
        colour: name of its series by colour; `shape`: by shape.
        words: tooltip.
        is_ringed: drawn with a ring.
        note: written above it.
    """

    x: float
    y: float
    half: float | None
    colour: str
    shape: str
    words: str
    is_ringed: bool = False
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One axis: what it shows, and how a number on it reads."""

    label: str
    words: Words


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Values of an axis and the pixels they are drawn at."""

    low: float
    high: float
    start: float
    stop: float

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)


def scatter(
    dots: Sequence[Dot], line: Sequence[tuple[float, float]], *, x: Axis, y: Axis, label: str
) -> str:
    """Return a scatter of dots, with a line of steps through some of them.

    Args:
        dots: at least one.
        line: (x, y) of the front, any order.
        x: horizontal axis.
        y: vertical axis.
        label: what the picture shows, for those who cannot see it.
    """
    bounds = [d.y + side * (d.half or 0.0) for d in dots for side in (-1, 1)]
    across = _span([d.x for d in dots], LEFT, WIDTH - RIGHT)
    up = _span(bounds, HEIGHT - BOTTOM, TOP)
    colours = list(dict.fromkeys(dot.colour for dot in dots))
    shapes = list(dict.fromkeys(dot.shape for dot in dots))
    marks = [_dot(dot, across, up, colours, shapes) for dot in dots]
    legend, height = _legend(colours, shapes)
    body = [*_grid(across, up, x, y), _steps(line, across, up), *marks, legend]
    return svg(WIDTH, HEIGHT + height, "".join(body), label)


def interval_rows(
    rows: Sequence[tuple[str, float, float | None]], *, axis: Axis, label: str
) -> str:
    """Return one line per (name, mean, half width of the interval): a dot with its interval."""
    bounds = [mean + side * (half or 0.0) for _, mean, half in rows for side in (-1, 1)]
    across = _span(bounds, ROW_LABEL, WIDTH - ROW_VALUE)
    foot = len(rows) * ROW + 6
    parts = []
    for tick in ticks(across.low, across.high):
        at = across.at(tick)
        parts.append(
            f'<line x1="{at:.1f}" y1="0" x2="{at:.1f}" y2="{foot}" stroke="var(--line)"/>'
            f'<text x="{at:.1f}" y="{foot + 14}" text-anchor="middle">'
            f"{escape(axis.words(tick))}</text>"
        )
    for i, (name, mean, half) in enumerate(rows):
        parts.append(_interval_row(i * ROW + ROW / 2, name, mean, half, across, axis))
    return svg(WIDTH, foot + 22, "".join(parts), label)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers between two values, at most so many."""
    raw = (high - low) / most
    scale = 10.0 ** floor(log10(raw))
    step = next(scale * part for part in (1, 2, 2.5, 5, 10) if scale * part >= raw * 0.999)
    first = ceil(low / step - 1e-9)
    return [k * step for k in range(first, floor(high / step + 1e-9) + 1)]


def _span(values: Sequence[float], start: float, stop: float) -> Span:
    """Return a span that holds the values with a little air; equal values get some too."""
    low, high = min(values), max(values)
    air = 0.06 * (high - low) or 0.05 * abs(low) or 1.0
    return Span(low=low - air, high=high + air, start=start, stop=stop)


def _grid(across: Span, up: Span, x: Axis, y: Axis) -> list[str]:
    parts = []
    for tick in ticks(across.low, across.high):
        at = across.at(tick)
        parts.append(
            f'<line x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{HEIGHT - BOTTOM}"'
            ' stroke="var(--line)"/>'
            f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
            f"{escape(x.words(tick))}</text>"
        )
    for tick in ticks(up.low, up.high):
        at = up.at(tick)
        parts.append(
            f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}"'
            ' stroke="var(--line)"/>'
            f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">'
            f"{escape(y.words(tick))}</text>"
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x.label)}</text>'
        f'<text transform="translate(14 {HEIGHT / 2:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(y.label)}</text>"
    )
    return parts


def _steps(line: Sequence[tuple[float, float]], across: Span, up: Span) -> str:
    """Return a staircase from left to right: what is reached with at most so much of x."""
    if not line:
        return ""
    path, at_y = [], up.start
    for x, y in sorted(line):
        path += [f"{across.at(x):.1f},{at_y:.1f}", f"{across.at(x):.1f},{up.at(y):.1f}"]
        at_y = up.at(y)
    path.append(f"{across.stop:.1f},{at_y:.1f}")
    return (
        f'<polyline points="{" ".join(path[1:])}" fill="none" stroke="var(--soft)"'
        ' stroke-dasharray="5 4"/>'
    )


def _dot(dot: Dot, across: Span, up: Span, colours: list[str], shapes: list[str]) -> str:
    x, y = across.at(dot.x), up.at(dot.y)
    ink = PALETTE[colours.index(dot.colour) % len(PALETTE)]
    parts = []
    if dot.half is not None:
        top, foot = up.at(dot.y + dot.half), up.at(dot.y - dot.half)
        parts.append(
            f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{foot:.1f}" stroke="{ink}"'
            ' stroke-opacity="0.45"/>'
        )
    if dot.is_ringed:
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{DOT + 4:g}" fill="none" stroke="var(--ink)"/>'
        )
    kind = SHAPES[shapes.index(dot.shape) % len(SHAPES)]
    parts.append(_shape(kind, x, y, ink))
    if dot.note:
        parts.append(
            f'<text x="{x:.1f}" y="{y - DOT - 8:.1f}" text-anchor="middle" font-weight="bold">'
            f"{escape(plain(dot.note))}</text>"
        )
    return f"<g><title>{escape(plain(dot.words))}</title>{''.join(parts)}</g>"


def _shape(kind: str, x: float, y: float, ink: str) -> str:
    r = DOT
    corners: tuple[tuple[float, float], ...]
    match kind:
        case "circle":
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:g}" fill="{ink}"/>'
        case "square":
            corners = ((-r, -r), (r, -r), (r, r), (-r, r))
        case "diamond":
            corners = ((0, -r * 1.3), (r * 1.3, 0), (0, r * 1.3), (-r * 1.3, 0))
        case "triangle":
            corners = ((0, -r * 1.2), (r * 1.2, r), (-r * 1.2, r))
        case _:
            return (
                f'<path d="M{x - r:.1f} {y - r:.1f}L{x + r:.1f} {y + r:.1f}'
                f'M{x - r:.1f} {y + r:.1f}L{x + r:.1f} {y - r:.1f}" stroke="{ink}"'
                ' stroke-width="2.5"/>'
            )
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return f'<polygon points="{points}" fill="{ink}"/>'


def _legend(colours: list[str], shapes: list[str]) -> tuple[str, int]:
    """Return the legend and the height it takes."""
    entries = [("square", PALETTE[i % len(PALETTE)], name) for i, name in enumerate(colours)]
    if len(shapes) > 1:
        entries += [(SHAPES[i % len(SHAPES)], "var(--soft)", name) for i, name in enumerate(shapes)]
    parts, x, line = [], float(LEFT), 0
    for kind, ink, name in entries:
        width = 26 + LEGEND_CHAR * len(plain(name))
        if x + width > WIDTH and x > LEFT:
            x, line = float(LEFT), line + 1
        y = HEIGHT + 14 + line * LEGEND_LINE
        parts.append(
            _shape(kind, x + DOT, y - 4, ink)
            + f'<text x="{x + 16:.0f}" y="{y}">{escape(plain(name))}</text>'
        )
        x += width
    return "".join(parts), (line + 1) * LEGEND_LINE + 6


def _interval_row(
    y: float, name: str, mean: float, half: float | None, across: Span, axis: Axis
) -> str:
    words = axis.words(mean) + ("" if half is None else f" ± {axis.words(half)}")
    bar = ""
    if half is not None:
        left, right = across.at(mean - half), across.at(mean + half)
        bar = (
            f'<line x1="{left:.1f}" y1="{y}" x2="{right:.1f}" y2="{y}" stroke="var(--mark)"'
            ' stroke-width="3" stroke-opacity="0.5"/>'
        )
    return (
        f'<text x="0" y="{y + 4}">{escape(plain(name, longest=18))}</text>{bar}'
        f'<circle cx="{across.at(mean):.1f}" cy="{y}" r="{DOT:g}" fill="var(--mark)"/>'
        f'<text x="{WIDTH - ROW_VALUE + 16}" y="{y + 4}">{escape(words)}</text>'
    )
