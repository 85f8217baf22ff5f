"""What `snndeploy export` does: make the file, check it, put it in place whole or not at all."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from snndeploy.bundle.probes import make_probes
from snndeploy.bundle.publish import check_file, write_file
from snndeploy.bundle.read import Bundle
from snndeploy.errors import UsageError
from snndeploy.exporters.netx import netx_file
from snndeploy.exporters.nir import model_file, network_file
from snndeploy.exporters.onnx import onnx_file
from snndeploy.inference import Deployed
from snndeploy.model import Model
from snndeploy.onnxgraph.network import Form
from snndeploy.target import Progress, no_progress

Format = Literal["nir", "onnx", "netx"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """A written file.

    Attributes:
        checks: what was compared before it was written.
        notes: what the file does not say, or was not checked.
    """

    path: Path
    format: Format
    size: int
    checks: tuple[str, ...]
    notes: tuple[str, ...]


def export(
    what: Model | Deployed,
    path: Path | str,
    format: Format = "onnx",
    *,
    form: Form = "sequence",
    inline: bool = False,
    force: bool = False,
    progress: Progress = no_progress,
) -> Exported:
    """Write a model or a network for another tool.

    Args:
        what: a model (`nir` alone) or a network: compiled, a bundle or read from a file.
        path: file to write.
        format: `onnx`, `nir` or lava-dl's `netx`.
        form: of `onnx`: all steps of a sample (`sequence`), or one (`step`).
        inline: of `onnx`: without functions.
        force: replace an existing file.
        progress: called while the file is checked.

    Raises:
        UsageError: E5003 it exists, E5004 it cannot be written, E5120 a model where integers are
            needed, E5121 an unknown format or form, or an option of another format.
        UnsupportedError: what the format cannot say, by name.
        TargetError: E4042, ONNX Runtime answers otherwise than the reference.
    """
    path = Path(path)
    for option, value, known in (("format", format, Format), ("form", form, Form)):
        if value not in get_args(known):
            raise UsageError(
                "E5121", f"unknown {option} {value!r}", where=f"--{option}",
                remedy=f"use {', '.join(get_args(known))}",
            )  # fmt: skip
    if format != "onnx" and (inline or form != "sequence"):
        raise UsageError(
            "E5121", f"{format} files have no forms", where="--inline" if inline else "--form",
            remedy="drop the option, or give --format onnx",
        )  # fmt: skip
    check_file(path, force=force)
    data, checks, notes = _make(what, format, form=form, inline=inline, progress=progress)
    write_file(path, data)
    return Exported(path=path, format=format, size=len(data), checks=checks, notes=notes)


def _make(
    what: Model | Deployed, format: Format, *, form: Form, inline: bool, progress: Progress
) -> tuple[bytes, tuple[str, ...], tuple[str, ...]]:
    """Return the file's bytes, what was checked and what is to be noted."""
    if isinstance(what, Model):
        if format != "nir":
            raise UsageError(
                "E5120",
                f"{format} files hold integers, and this model has none yet",
                where=what.origin,
                remedy="compile it first: export(compile(model), …)",
            )
        return model_file(what)
    host = ("the host's leading layers are not in the file",) if what.host is not None else ()
    if format == "nir":
        data, checks, notes = network_file(what.network)
        return data, checks, (*host, *notes)
    if format == "netx":
        data, notes = netx_file(what.network)
        return data, ("what netx makes of every weight is what the network has",), (*host, *notes)
    probes = what.probes if isinstance(what, Bundle) else make_probes(what, None)[0]
    checked = onnx_file(what.network, probes, form=form, inline=inline, progress=progress)
    if checked.missing:
        return checked.data, (), (*host, f"not run after export: {checked.missing}")
    line = (
        f"ONNX Runtime = reference, with and without optimisation: {checked.compared:,} values "
        "each, 0 differ"
    )
    return checked.data, (line,), host
