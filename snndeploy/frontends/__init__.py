"""Frontends: torch modules, `.pt` checkpoints and `.nir` files become a `Model`."""

from os import PathLike
from pathlib import Path

from snndeploy.frontends.guard import HDF5_MAGIC, check_file
from snndeploy.model import Model
from snndeploy.semantics import Semantics


def load_model(path: str | PathLike[str], *, semantics: Semantics | None = None) -> Model:
    """Read a model file: `.nir` (HDF5), told by its first bytes, or `model.pt`.

    Args:
        path: file.
        semantics: of neurons that carry none (`.nir` of other programs).

    Raises:
        ModelError: E1001 to E1099, an unreadable, unsafe or malformed file.
        UnsupportedError: E2020, a node type that is not supported.
    """
    file = Path(path)
    if check_file(file).startswith(HDF5_MAGIC) or file.suffix == ".nir":
        from snndeploy.frontends.nir_file import read

        return read(file, semantics)
    from snndeploy.frontends.checkpoint import load

    return load(file)
