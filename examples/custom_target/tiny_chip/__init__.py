"""An invented chip: its numbers are in tiny.toml, its own rules are here."""

from pathlib import Path

from snndeploy.errors import Violation
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.target import load_chip

MAX_DEPTH = 8


class TinyTarget:
    """Loihi's arithmetic on four cores; a pipeline of at most eight steps."""

    name = "tiny"
    chip = load_chip(Path(__file__).with_name("tiny.toml"))
    executor = ""

    def check(self, network: Network) -> tuple[Violation, ...]:
        """Return the rules beyond core capacities that the network breaks."""
        if network.depth <= MAX_DEPTH:
            return ()
        return (
            Violation(
                node=network.name,
                rule="pipeline_depth",
                have=network.depth,
                limit=MAX_DEPTH,
                unit="steps",
                hint="remove a layer",
            ),
        )

    def bundle_files(self, network: Network, placement: Placement) -> dict[str, bytes]:
        """Return what this chip's owner needs beyond the bundle's own files: a core list."""
        lines = [f"{s.core} {s.population} {s.start} {s.stop}" for s in placement.slices]
        return {"tiny/cores.txt": ("\n".join(lines) + f"\n# {network.name}\n").encode()}


TINY = TinyTarget()
