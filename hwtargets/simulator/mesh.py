"""The mesh: directed links between neighbouring tiles, and XY routes over them.

A message goes along x to the column of its destination, then along y: two messages between the
same tiles take the same links in the same order, and no routes form a ring.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from snndeploy.ir.arrays import IntArray

Tile = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Mesh:
    """A rectangle of tiles.

    Attributes:
        size: tiles in x and y.
        known: what `routes` has found, by tiles of the cores.
    """

    size: Tile
    known: dict[tuple[Tile, ...], tuple[IntArray, IntArray]] = field(default_factory=dict)

    @cached_property
    def links(self) -> tuple[tuple[Tile, Tile], ...]:
        """Every directed link, along x first: (from tile, to tile)."""
        width, height = self.size
        tiles = [(x, y) for x in range(width) for y in range(height)]
        along_x = [((x, y), (x + step, y)) for x, y in tiles for step in (1, -1)]
        along_y = [((x, y), (x, y + step)) for x, y in tiles for step in (1, -1)]
        return tuple(
            (a, b) for a, b in (*along_x, *along_y) if 0 <= b[0] < width and 0 <= b[1] < height
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of every link."""
        return tuple(f"({a[0]},{a[1]})>({b[0]},{b[1]})" for a, b in self.links)

    @cached_property
    def number(self) -> dict[tuple[Tile, Tile], int]:
        """Number of every link."""
        return {link: index for index, link in enumerate(self.links)}

    @property
    def along_x(self) -> IntArray:
        """1 for links along x, 0 for those along y [n_links]."""
        return np.array([a[1] == b[1] for a, b in self.links], dtype=np.int64)

    def route(self, start: Tile, end: Tile) -> tuple[int, ...]:
        """Return the numbers of the links from tile to tile, none within a tile."""
        (x, y), found = start, []
        while (x, y) != end:
            step = (x + _sign(end[0] - x), y) if x != end[0] else (x, y + _sign(end[1] - y))
            found.append(self.number[(x, y), step])
            x, y = step
        return tuple(found)


def routes(mesh: Mesh, tiles: Sequence[Tile]) -> tuple[IntArray, IntArray]:
    """Return the routes between all pairs of cores, one array after the other.

    Args:
        mesh: the mesh.
        tiles: tile of every core [n].

    Returns:
        `pointer` [n * n + 1] and `links`: the route of (a, b) is
        links[pointer[a * n + b] : pointer[a * n + b + 1]].
    """
    key = tuple(tiles)
    if key not in mesh.known:
        ways = {(a, b): mesh.route(a, b) for a in set(tiles) for b in set(tiles)}
        found = [ways[a, b] for a in tiles for b in tiles]
        pointer = np.concatenate([[0], np.cumsum([len(way) for way in found])]).astype(np.int64)
        links = np.array([link for way in found for link in way], dtype=np.int64)
        mesh.known[key] = pointer, links
    return mesh.known[key]


def _sign(a: int) -> int:
    return (a > 0) - (a < 0)
