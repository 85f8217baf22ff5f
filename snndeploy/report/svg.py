"""Two pictures as inline SVG: the chip's floor plan and a bar chart."""

from collections.abc import Sequence
from html import escape

from snndeploy.ir.placement import CoreSlice, Placement
from snndeploy.report.plain import plain
from snndeploy.target import ChipSpec
from snndeploy.verdict import LIMITS, used

CELL = 22
BAR_WIDTH, BAR_HEIGHT, LABEL_WIDTH, VALUE_WIDTH = 420, 20, 160, 110
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
    return _svg(width, height, "".join(cells) + text, "Cores of the chip by layer")


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
    return _svg(width, len(rows) * (BAR_HEIGHT + 6), "".join(parts), "Values by layer")


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


def _svg(width: int, height: int, body: str, label: str) -> str:
    return (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}" style="max-width:100%">{body}</svg>'
    )
