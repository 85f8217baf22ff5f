"""The verdict: does it fit, and how full is what it takes."""

from dataclasses import dataclass

from snndeploy.errors import Violation
from snndeploy.ir.placement import CoreSlice, Placement
from snndeploy.target import ChipSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """The fullest core by one limit."""

    limit: str
    have: int
    allowed: int
    population: str

    @property
    def share(self) -> float:
        return self.have / self.allowed


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether a network fits a chip.

    Attributes:
        cores: cores taken, 0 if it does not fit.
        loads: the fullest core by each public limit, fullest first.
    """

    chip: str
    fits: bool
    cores: int
    cores_allowed: int
    loads: tuple[Load, ...]
    violations: tuple[Violation, ...]

    def line(self) -> str:
        """Return the verdict in one line."""
        if not self.fits:
            n = len(self.violations)
            return f"DOES NOT FIT {self.chip}: {n} rule{'s' if n > 1 else ''} broken"
        line = f"FITS {self.chip}: {self.cores:,} of {self.cores_allowed:,} cores"
        if not self.loads:
            return line
        top = self.loads[0]
        return f"{line}, fullest {100 * top.share:.0f} % ({top.limit}, layer {top.population})"


LIMITS = ("neurons_per_core", "synapse_bits_per_core", "in_axons_per_core", "out_axons_per_core")


def judge(
    chip: ChipSpec, placement: Placement | None, violations: tuple[Violation, ...]
) -> Verdict:
    """Return the verdict on a placement; without one it does not fit."""
    slices = placement.slices if placement else ()
    loads = [_fullest(chip, name, slices) for name in LIMITS] if slices else []
    return Verdict(
        chip=chip.name,
        fits=placement is not None and not violations,
        cores=len({piece.core for piece in slices}),
        cores_allowed=chip.limit("cores") or 0,
        loads=tuple(sorted((load for load in loads if load), key=lambda load: -load.share)),
        violations=violations,
    )


def used(piece: CoreSlice, limit: str) -> int:
    """Return what a slice takes of one limit."""
    match limit:
        case "neurons_per_core":
            return piece.n
        case "synapse_bits_per_core":
            return sum(piece.synapse_bits.values())
        case "in_axons_per_core":
            return sum(piece.in_axons.values())
        case _:
            return piece.out_axons


def _fullest(chip: ChipSpec, limit: str, slices: tuple[CoreSlice, ...]) -> Load | None:
    allowed = chip.limit(limit)
    if allowed is None:
        return None
    piece = max(slices, key=lambda piece: used(piece, limit))
    return Load(limit=limit, have=used(piece, limit), allowed=allowed, population=piece.population)
