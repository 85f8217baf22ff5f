"""The limits of a chip, one rule per function: its docstring is what the user reads.

A rule takes what a core holds and the chip, and returns the violation or None. A limit that is
not public is not checked, and `unchecked` names it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from snndeploy.errors import Violation
from snndeploy.target import ChipSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class CoreUse:
    """What one slice of a population takes of its core.

    Attributes:
        place: the population's name.
        synapse_bits: synaptic memory of all projections into the slice.
        in_axons: distinct source neurons, summed over projections.
        out_axons: (source neuron, destination core) pairs.
    """

    place: str
    neurons: int
    synapse_bits: int
    in_axons: int
    out_axons: int


def neurons_per_core(use: CoreUse, chip: ChipSpec) -> Violation | None:
    """A core updates a limited number of neurons; larger populations are split over cores."""
    return _over(
        use.place, "neurons_per_core", use.neurons, chip, "neurons on one core",
        "split the population over more cores",
    )  # fmt: skip


def synapse_bits_per_core(use: CoreUse, chip: ChipSpec) -> Violation | None:
    """All synapses into a core's neurons are stored on that core."""
    return _over(
        use.place, "synapse_bits_per_core", use.synapse_bits, chip, "bits of synapses on one core",
        "prune the layer, use fewer weight bits, or reduce its fan-in",
    )  # fmt: skip


def in_axons_per_core(use: CoreUse, chip: ChipSpec) -> Violation | None:
    """Every distinct source neuron that reaches a core takes one of its input axons."""
    return _over(
        use.place, "in_axons_per_core", use.in_axons, chip, "input axons on one core",
        "reduce the fan-in: pool or prune before this layer",
    )  # fmt: skip


def out_axons_per_core(use: CoreUse, chip: ChipSpec) -> Violation | None:
    """Every pair of a neuron and a core it reaches takes one of its own core's output axons."""
    return _over(
        use.place, "out_axons_per_core", use.out_axons, chip, "output axons on one core",
        "reduce the number of cores that the next layer needs",
    )  # fmt: skip


Rule = Callable[[CoreUse, ChipSpec], Violation | None]
CORE_RULES: tuple[Rule, ...] = (
    neurons_per_core,
    synapse_bits_per_core,
    in_axons_per_core,
    out_axons_per_core,
)


def cores(network: str, n_cores: int, chip: ChipSpec) -> Violation | None:
    """A network uses at most the chip's cores; a core holds neurons of one population only."""
    return _over(
        network, "cores", n_cores, chip, "cores",
        "prune channels, use fewer weight bits, or choose a larger chip",
    )  # fmt: skip


def broken(use: CoreUse, chip: ChipSpec) -> tuple[Violation, ...]:
    """Return every rule that one core's content breaks."""
    found = (rule(use, chip) for rule in CORE_RULES)
    return tuple(violation for violation in found if violation is not None)


def rules() -> dict[str, str]:
    """Return the text of every rule by its name."""
    return {rule.__name__: rule.__doc__ or "" for rule in (cores, *CORE_RULES)}


def unchecked(chip: ChipSpec) -> tuple[str, ...]:
    """Return the rules that cannot be checked because the chip's limit is not public."""
    return tuple(name for name in rules() if chip.limit(name) is None)


def _over(
    place: str, rule: str, have: int, chip: ChipSpec, unit: str, hint: str
) -> Violation | None:
    limit = chip.limit(rule)
    if limit is None or have <= limit:
        return None
    return Violation(node=place, rule=rule, have=have, limit=limit, unit=unit, hint=hint)
