"""A model's graph as one SVG file: layers from left to right, loops dashed and bent back.

A node stands one column behind the last of its sources; feedback edges do not count. In a column
nodes are ordered by where their sources stand. No package draws it and nothing is fetched.
"""

from html import escape
from typing import Any

import nir

from snndeploy.model import Model
from snndeploy.nirgraph.canonical import SPIKING
from snndeploy.nirgraph.rebuild import feedback_edges, sources_of, topological_order
from snndeploy.nirgraph.shapes import normalize_graph, shape_of
from snndeploy.passes.payload import edge_payloads
from snndeploy.report.plain import plain

WIDTH, HEIGHT = 170, 46
GAP_X, GAP_Y = 60, 22
MARGIN = 20
LONGEST = 24
"""Characters of a name that fit into a box; the whole name is its title."""
COLOURS = {"port": "#e8eef4", "neuron": "#f6e3c5", "layer": "#e3f0e4"}
Place = tuple[float, float]


def draw_graph(model: Model) -> str:
    """Return the drawing as text, for a file of its own."""
    graph = normalize_graph(model.graph)
    columns = _columns(graph)
    tallest = max(len(column) for column in columns)
    height = tallest * (HEIGHT + GAP_Y) + 2 * MARGIN + GAP_Y
    places = {
        name: (
            MARGIN + index * (WIDTH + GAP_X),
            MARGIN + GAP_Y + (row + (tallest - len(column)) / 2) * (HEIGHT + GAP_Y),
        )
        for index, column in enumerate(columns)
        for row, name in enumerate(column)
    }
    lagging, payloads = feedback_edges(graph), edge_payloads(model)
    edges = [
        _edge(places[a], places[b], f"{a} → {b}: {payloads[a, b].text}", lags=(a, b) in lagging)
        for a, b in graph.edges
    ]
    boxes = [_box(places[name], name, graph.nodes[name]) for name in places]
    width = len(columns) * (WIDTH + GAP_X) - GAP_X + 2 * MARGIN
    title = escape(plain(model.origin))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" font-size="12">\n'
        f"<title>{title}</title>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#555"/></marker></defs>\n'
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>\n'
        + "\n".join((*edges, *boxes))
        + "\n</svg>\n"
    )


def _columns(graph: nir.NIRGraph) -> list[list[str]]:
    """Return the names of the nodes, column by column, each in its order from above."""
    lagging = feedback_edges(graph)
    column: dict[str, int] = {}
    for name in topological_order(graph):
        before = [s for s in sources_of(graph, name) if (s, name) not in lagging]
        column[name] = max((column[s] + 1 for s in before), default=0)
    last = max(column.values())
    for name, node in graph.nodes.items():
        if isinstance(node, nir.Output):
            column[name] = last
    rows: dict[str, float] = {}
    found: list[list[str]] = []
    for index in range(last + 1):
        names = [name for name in graph.nodes if column[name] == index]
        names.sort(key=lambda name: (_height(graph, name, rows), name))
        rows |= {name: row - len(names) / 2 for row, name in enumerate(names)}
        if names:
            found.append(names)
    return found


def _height(graph: nir.NIRGraph, name: str, rows: dict[str, float]) -> float:
    """Return the mean row of the sources that are placed."""
    known = [rows[source] for source in sources_of(graph, name) if source in rows]
    return sum(known) / len(known) if known else 0.0


def _edge(start: Place, end: Place, text: str, *, lags: bool) -> str:
    x0, y0 = start[0] + WIDTH, start[1] + HEIGHT / 2
    x1, y1 = end[0], end[1] + HEIGHT / 2
    if lags:
        below = HEIGHT if start[1] > end[1] else 0  # back on the side where the source stands
        x0, y0, x1, y1 = start[0] + WIDTH / 2, start[1] + below, end[0] + WIDTH / 2, end[1] + below
        over = max(y0, y1) + GAP_Y if below else min(y0, y1) - GAP_Y
        path = f"M{x0:g} {y0:g} C{x0:g} {over:g} {x1:g} {over:g} {x1:g} {y1:g}"
    elif x1 - x0 > GAP_X:  # over the columns between, in the gap above their rows
        over, bend = min(y0, y1) - (HEIGHT + GAP_Y) / 2, GAP_X / 2
        path = (
            f"M{x0:g} {y0:g} C{x0 + bend:g} {y0:g} {x0 + bend:g} {over:g} {x0 + GAP_X:g} {over:g} "
            f"L{x1 - GAP_X:g} {over:g} "
            f"C{x1 - bend:g} {over:g} {x1 - bend:g} {y1:g} {x1:g} {y1:g}"
        )
    else:
        bend = GAP_X / 2
        path = f"M{x0:g} {y0:g} C{x0 + bend:g} {y0:g} {x1 - bend:g} {y1:g} {x1:g} {y1:g}"
    dash = ' stroke-dasharray="5 3"' if lags else ""
    return (
        f'<path d="{path}" fill="none" stroke="#555"{dash} marker-end="url(#tip)">'
        f"<title>{escape(plain(text))}</title></path>"
    )


def _box(place: Place, name: str, node: Any) -> str:
    x, y = place
    kind = type(node).__name__
    look = "port" if kind in ("Input", "Output") else "layer"
    look = "neuron" if isinstance(node, SPIKING) else look
    shape = "x".join(map(str, shape_of(node))) or "1"
    shown = name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
    middle = x + WIDTH / 2
    return (
        f"<g><title>{escape(plain(f'{name}: {kind} {shape}'))}</title>"
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
        f'fill="{COLOURS[look]}" stroke="#888"/>'
        f'<text x="{middle:g}" y="{y + 19:g}" text-anchor="middle">{escape(plain(shown))}</text>'
        f'<text x="{middle:g}" y="{y + 36:g}" text-anchor="middle" fill="#555">'
        f"{escape(kind)} {shape}</text></g>"
    )
