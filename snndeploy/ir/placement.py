"""Where every neuron lives: slices of populations on cores, in mesh coordinates."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, kw_only=True, slots=True)
class CoreSlice:
    """Neurons [start, stop) of one population on one core, and what they take of it.

    Attributes:
        core: core number on the chip; tile = core // cores_per_tile.
        synapse_bits: synaptic memory by projection, in bits.
        in_axons: distinct source neurons that reach this core, by projection.
        out_axons: (source neuron, destination core) pairs that leave this core.
    """

    core: int
    population: str
    start: int
    stop: int
    synapse_bits: Mapping[str, int]
    in_axons: Mapping[str, int]
    out_axons: int

    @property
    def n(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, eq=False, kw_only=True)
class Placement:
    """A network on a chip: one slice per used core, in core order."""

    chip: str
    slices: tuple[CoreSlice, ...]
    mesh: tuple[int, int]
    cores_per_tile: int

    @cached_property
    def by_population(self) -> Mapping[str, tuple[CoreSlice, ...]]:
        """Slices of each population, in neuron order."""
        found: dict[str, tuple[CoreSlice, ...]] = {}
        for piece in sorted(self.slices, key=lambda s: s.start):
            found[piece.population] = (*found.get(piece.population, ()), piece)
        return found

    def tile(self, core: int) -> tuple[int, int]:
        """Return the mesh coordinates (x, y) of a core's tile; tiles count along y first."""
        return divmod(core // self.cores_per_tile, self.mesh[1])
