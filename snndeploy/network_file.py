"""A network alone in a file: the text that `inspect --emit network` prints, or our own `.onnx`.

It has no float model and no probes, but everything that runs: what can be done with a bundle's
network can be done with it.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from snndeploy.errors import ModelError, Violation
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.ir.scale import verify_foreign
from snndeploy.ir.text import HEADER, parse_network
from snndeploy.mapping.place import place
from snndeploy.model import Model
from snndeploy.npz import read_bytes
from snndeploy.pipeline import CompileOptions
from snndeploy.target import Target

KIND = HEADER.partition(" ")[0]
"""What the text of a network of any version begins with."""
ONNX = ".onnx"
TEXTS = (".network", ".txt")
MAX_BYTES = 256 << 20


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
    digest = hashlib.sha256(read_bytes(path, limit=MAX_BYTES)).hexdigest()
    return NetworkFile(path=path, digest=digest, network=read_network(path), target=target)


def read_network(path: Path | str) -> Network:
    """Read a network from a text, or from an `.onnx` file that snndeploy wrote.

    Raises:
        ModelError: E1212 unreadable, E1204 and E1403 too large, E1064, E1065 and E1413 no network,
            E1410 no text, E1401 to E1408 see `snndeploy.onnxgraph.read`.
    """
    path = Path(path)
    data = read_bytes(path, limit=MAX_BYTES)
    where = str(path)
    if path.suffix == ONNX:
        from snndeploy.onnxgraph.read import load_onnx  # onnx, only for .onnx

        return load_onnx(data, where)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ModelError(
            "E1410", "not the text of a network", where=where,
            remedy="write one with `snndeploy inspect MODEL --emit network`",
        ) from None  # fmt: skip
    try:
        network = parse_network(text)
    except ModelError as error:
        raise ModelError(
            error.code, error.message, where=f"{where}: {error.where}", remedy=error.remedy
        ) from error
    verify_foreign(network, where)
    return network
