"""Pictures as inline SVG: the chip's floor plan, bars, stacked bars and a curve."""

from collections.abc import Sequence
from html import escape

from snndeploy.ir.placement import CoreSlice, Placement
from snndeploy.report.plain import plain
from snndeploy.target import ChipSpec
from snndeploy.verdict import LIMITS, used

CELL = 22
BAR_WIDTH, BAR_HEIGHT, LABEL_WIDTH, VALUE_WIDTH = 420, 20, 160, 110
PLOT_LEFT, PLOT_WIDTH, PLOT_HEIGHT = 50, 520, 160
PALETTE = ("#2f6f9f", "#c0792a", "#3f8f5f", "#8a5aa8", "#b3413a", "#5b7f8f", "#98893a", "#a2577f")


def floor_plan(placement: Placement, chip: ChipSpec) -> str:
    """Return the chip's cores: colour says which layer, opacity how full the core is."""
    order = {name: i for i, name in enumerate(placement.by_population)}
    columns, rows = _grid(placement)
    cells = [
        f'<rect x="{x * CELL}" y="{y * CELL}" width="{CELL - 2}" height="{CELL - 2}" rx="3"'
        ' fill="none" stroke="var(--line)"/>'
        for x in range(columns)
        for y in range(rows)
    ]
    for piece in placement.slices:
        x, y = _position(placement, piece.core)
        share = _share(piece, chip)
        colour = PALETTE[order[piece.population] % len(PALETTE)]
        title = (
            f"core {piece.core}: {piece.population} {piece.start}..{piece.stop - 1}, {share:.0%}"
        )
        cells.append(
            f'<rect x="{x * CELL}" y="{y * CELL}" width="{CELL - 2}" height="{CELL - 2}" rx="3"'
            f' fill="{colour}" fill-opacity="{0.35 + 0.65 * share:.2f}">'
            f"<title>{escape(plain(title))}</title></rect>"
        )
    legend = "".join(
        f'<tspan fill="{PALETTE[i % len(PALETTE)]}">■</tspan> {escape(plain(name))}  '
        for name, i in order.items()
    )
    width, height = max(columns * CELL, 600), rows * CELL + 26
    text = f'<text x="0" y="{height - 6}" xml:space="preserve">{legend}</text>'
    return svg(width, height, "".join(cells) + text, "Cores of the chip by layer")


def bars(rows: Sequence[tuple[str, float, str]]) -> str:
    """Return horizontal bars of (name, value, value in words)."""
    top = max((value for _, value, _ in rows), default=0.0) or 1.0
    parts = []
    for i, (name, value, words) in enumerate(rows):
        y = i * (BAR_HEIGHT + 6)
        length = BAR_WIDTH * value / top
        parts.append(
            f'<text x="0" y="{y + 15}">{escape(plain(name, longest=22))}</text>'
            f'<rect x="{LABEL_WIDTH}" y="{y}" width="{length:.1f}" height="{BAR_HEIGHT}" rx="2"'
            ' fill="var(--mark)"/>'
            f'<text x="{LABEL_WIDTH + length + 8:.1f}" y="{y + 15}">{escape(words)}</text>'
        )
    width = LABEL_WIDTH + BAR_WIDTH + VALUE_WIDTH
    return svg(width, len(rows) * (BAR_HEIGHT + 6), "".join(parts), "Values by layer")


def stacked(rows: Sequence[tuple[str, Sequence[tuple[str, float]], str]]) -> str:
    """Return horizontal bars of (name, parts, sum in words), one colour per part, with a legend."""
    names = list(dict.fromkeys(part for _, parts, _ in rows for part, _ in parts))
    colours = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}
    top = max((sum(value for _, value in parts) for _, parts, _ in rows), default=0.0) or 1.0
    shapes = []
    for i, (name, parts, words) in enumerate(rows):
        y, x = i * (BAR_HEIGHT + 6), float(LABEL_WIDTH)
        shapes.append(f'<text x="0" y="{y + 15}">{escape(plain(name, longest=22))}</text>')
        for part, value in parts:
            length, title = BAR_WIDTH * value / top, f"{escape(plain(part))}: {value:.3g} J"
            shapes.append(
                f'<rect x="{x:.1f}" y="{y}" width="{length:.1f}" height="{BAR_HEIGHT}"'
                f' fill="{colours[part]}"><title>{title}</title></rect>'
            )
            x += length
        shapes.append(f'<text x="{x + 8:.1f}" y="{y + 15}">{escape(words)}</text>')
    legend = "".join(
        f'<tspan fill="{colour}">■</tspan> {escape(plain(name))}  '
        for name, colour in colours.items()
    )
    height = len(rows) * (BAR_HEIGHT + 6) + 24
    shapes.append(f'<text x="0" y="{height - 8}" xml:space="preserve">{legend}</text>')
    width = LABEL_WIDTH + BAR_WIDTH + 2 * VALUE_WIDTH
    return svg(width, height, "".join(shapes), "Energy by part of the chip")


def curve(points: Sequence[tuple[int, float]], *, label: str, unit: str) -> str:
    """Return a curve of shares (0 to 1) over whole numbers, with a point for each."""
    first, last = points[0][0], points[-1][0]
    span = max(last - first, 1)

    def place(step: int, share: float) -> tuple[float, float]:
        return PLOT_LEFT + PLOT_WIDTH * (step - first) / span, 10 + PLOT_HEIGHT * (1 - share)

    shapes = [
        f'<line x1="{PLOT_LEFT}" x2="{PLOT_LEFT + PLOT_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"'
        f' stroke="var(--line)"/><text x="0" y="{y + 4:.1f}">{share:.0%}</text>'
        for share in (0.0, 0.5, 1.0)
        for _, y in (place(first, share),)
    ]
    spots = [place(step, share) for step, share in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    shapes.append(f'<polyline points="{path}" fill="none" stroke="var(--mark)" stroke-width="2"/>')
    shapes += [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="var(--mark)">'
        f"<title>{step} {escape(unit)}: {share:.1%}</title></circle>"
        for (x, y), (step, share) in zip(spots, points, strict=True)
    ]
    bottom = PLOT_HEIGHT + 30
    shapes.append(f'<text x="{PLOT_LEFT}" y="{bottom}">{first}</text>')
    shapes.append(f'<text x="{PLOT_LEFT + PLOT_WIDTH - 60}" y="{bottom}">{last} {unit}</text>')
    return svg(PLOT_LEFT + PLOT_WIDTH + 10, bottom + 6, "".join(shapes), label)


def _grid(placement: Placement) -> tuple[int, int]:
    """Return columns and rows of cores: a tile is a column of its cores."""
    return placement.mesh[0], placement.mesh[1] * placement.cores_per_tile


def _position(placement: Placement, core: int) -> tuple[int, int]:
    x, y = placement.tile(core)
    return x, y * placement.cores_per_tile + core % placement.cores_per_tile


def _share(piece: CoreSlice, chip: ChipSpec) -> float:
    """Return how full a core is by its fullest public limit."""
    shares = [
        used(piece, limit) / (chip.limit(limit) or 1) for limit in LIMITS if chip.limit(limit)
    ]
    return min(1.0, max(shares, default=1.0))


def svg(width: int, height: int, body: str, label: str) -> str:
    """Return a picture with its description."""
    return (
        f'<svg role="img" aria-label="{escape(plain(label))}" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}" style="max-width:100%">{body}</svg>'
    )
