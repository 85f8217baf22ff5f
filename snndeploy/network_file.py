"""A network alone in a file: the text that `inspect --emit network` prints, or our own `.onnx`.

It has no float model and no probes, but everything that runs: what can be done with a bundle's
network can be done with it.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from snndeploy.errors import Violation
from snndeploy.frontends.integer_file import ONNX, read_confined
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.ir.text import HEADER
from snndeploy.mapping.place import place
from snndeploy.model import Model
from snndeploy.pipeline import CompileOptions
from snndeploy.target import Target

KIND = HEADER.partition(" ")[0]
"""What the text of a network of any version begins with."""
TEXTS = (".network", ".txt")


@dataclass(frozen=True, eq=False, kw_only=True)
class NetworkFile:
    """A network as read, and the chip it is looked at for; satisfies `Deployed`.

    Attributes:
        digest: sha256 of the file.
    """

    path: Path
    digest: str
    network: Network
    target: Target
    options: CompileOptions = field(default_factory=CompileOptions)
    host: Model | None = None

    @cached_property
    def placement(self) -> Placement | None:
        """Neurons on the cores of the target; None if it does not fit."""
        placed = self._placed
        return placed if isinstance(placed, Placement) and not self.violations else None

    @cached_property
    def violations(self) -> tuple[Violation, ...]:
        """Every rule of the target that is broken; empty if it fits."""
        placed = self._placed
        broken = () if isinstance(placed, Placement) else placed
        return (*self.target.check(self.network), *broken)

    @cached_property
    def _placed(self) -> Placement | tuple[Violation, ...]:
        return place(self.network, self.target.chip)


def is_network(path: Path) -> bool:
    """Return whether a path is taken for a network: by its name, or a text that says so.

    A folder is a bundle, whatever its name; what is no regular file is not opened.
    """
    if path.suffix in (ONNX, *TEXTS):
        return not path.is_dir()
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(KIND)) == KIND.encode()
    except OSError:
        return False


def open_network(path: Path | str, target: Target) -> NetworkFile:
    """Read a network's file, for a chip; see `read_network`."""
    path = Path(path)
    network, digest = read_confined(path)
    return NetworkFile(path=path, digest=digest, network=network, target=target)


def read_network(path: Path | str) -> Network:
    """Read a network from a text, or from an `.onnx` file that snndeploy wrote.

    Raises:
        ModelError: see `snndeploy.frontends.integer_file.read_confined`.
    """
    return read_confined(Path(path))[0]
