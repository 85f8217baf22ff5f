"""Loihi 1 and 2 as targets: the chip's data, its rules, and what the owner of a board gets."""

from pathlib import Path

from hwtargets.loihi.lower import lower
from hwtargets.loihi.program import program_files
from hwtargets.loihi.rules import LOIHI1_RULES, LOIHI2_RULES, Rule
from snndeploy.errors import Violation
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.target import ChipSpec, load_chip

CHIPS = Path(__file__).parents[1] / "chips"
FOLDER = Path(__file__).parent


class LoihiTarget:
    """A Loihi chip whose own toolchain is Lava; satisfies `snndeploy.target.Target`."""

    executor = "lava"

    def __init__(self, chip: ChipSpec, rules: tuple[Rule, ...]) -> None:
        self.name = chip.name
        self.chip = chip
        self.rules = rules

    def check(self, network: Network) -> tuple[Violation, ...]:
        """Return every rule of this chip that a network breaks, beyond core capacities."""
        numerics = self.chip.numerics
        return tuple(violation for rule in self.rules for violation in rule(network, numerics))

    def notes(self, network: Network) -> tuple[str, ...]:
        """Return what the owner of a board must know of a network that breaks no rule."""
        return tuple(
            f"{p.name}: {p.program.name} neurons need microcode on {self.name} "
            f"({p.program.cost} statements per update); on the CPU, Lava runs our program of them "
            "and is no judge of it"
            for p in network.populations
            if not p.program.native
        )

    def bundle_files(self, network: Network, placement: Placement) -> dict[str, bytes]:  # noqa: ARG002 - Lava places neurons itself
        """Return the lowered program, the script that runs it in Lava, and its pinned packages.

        Raises:
            UnsupportedError: E2202-E2207, see `hwtargets.loihi.lower.lower`.
        """
        return {
            **program_files(lower(network)),
            "run.py": (FOLDER / "lava_worker.py").read_bytes(),
            "requirements.txt": (FOLDER / "requirements.txt").read_bytes(),
        }


LOIHI1 = LoihiTarget(load_chip(CHIPS / "loihi1.toml"), LOIHI1_RULES)
LOIHI2 = LoihiTarget(load_chip(CHIPS / "loihi2.toml"), LOIHI2_RULES)
