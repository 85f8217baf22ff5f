"""The manifest: what is in a bundle, what it was made from, and the digest of every file.

Keys are sorted and there is no time in it: the same input gives the same bytes. The manifest
carries its own digest too, so that one flipped bit anywhere in a bundle is found and named.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from typing import Any

from snndeploy.errors import ModelError, Violation
from snndeploy.passes.layer_report import LayerReport
from snndeploy.pipeline import CompileOptions
from snndeploy.verdict import Load, Verdict

FORMAT, VERSION = "snndeploy-bundle", 1
NAME = "manifest.json"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Manifest:
    """What a bundle says of itself.

    Attributes:
        tool: version of snndeploy that wrote it.
        target: name of the target; `chip_digest`: sha256 of its chip file.
        origin: file name of the model.
        notes: what the import changed, one line each.
        probes: what each probe sample is.
        files: sha256 by relative path, the manifest left out.
    """

    tool: str
    target: str
    chip_digest: str
    origin: str
    notes: tuple[str, ...]
    options: CompileOptions
    layers: tuple[LayerReport, ...]
    verdict: Verdict
    probes: tuple[str, ...]
    files: Mapping[str, str]


def tool_version() -> str:
    """Return the version of the installed snndeploy."""
    return version("snndeploy")


def sha256(data: bytes) -> str:
    """Return the digest that manifests carry."""
    return hashlib.sha256(data).hexdigest()


def dump_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as JSON with sorted keys and its own digest."""
    record = asdict_shallow(manifest)
    record |= {
        "format": FORMAT,
        "version": VERSION,
        "options": asdict(manifest.options),
        "layers": [asdict(layer) for layer in manifest.layers],
        "verdict": asdict(manifest.verdict),
    }
    record["digest"] = sha256(_canonical(record))
    return (json.dumps(record, indent=1, sort_keys=True) + "\n").encode()


def load_manifest(data: bytes, where: str) -> Manifest:
    """Read a manifest.

    Raises:
        ModelError: E1221 it is damaged or was edited, E1222 another version of the format.
    """
    try:
        record = json.loads(data)
        if record.pop("format") != FORMAT:
            raise _damaged(where, "it is not a bundle's")
        found = record.pop("version")
        if found != VERSION:
            raise ModelError(
                "E1222",
                f"bundle format {found}, this snndeploy ({tool_version()}) reads {VERSION}",
                where=where,
                remedy="compile the model again with this version",
            )
        digest = record.pop("digest")
        if digest != sha256(_canonical({**record, "format": FORMAT, "version": VERSION})):
            raise _damaged(where, "it does not have the digest it states")
        return _from_record(record)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(where, f"{type(error).__name__}: {error}") from None


def _from_record(record: dict[str, Any]) -> Manifest:
    verdict = record["verdict"]
    return Manifest(
        **{
            **record,
            "notes": tuple(record["notes"]),
            "probes": tuple(record["probes"]),
            "options": CompileOptions(**record["options"]),
            "layers": tuple(
                LayerReport(**{**layer, "why": tuple(layer["why"]), "notes": tuple(layer["notes"])})
                for layer in record["layers"]
            ),
            "verdict": Verdict(
                **{
                    **verdict,
                    "loads": tuple(Load(**load) for load in verdict["loads"]),
                    "violations": tuple(Violation(**broken) for broken in verdict["violations"]),
                }
            ),
        }
    )


def asdict_shallow(manifest: Manifest) -> dict[str, Any]:
    """Return the fields of a manifest by name, values as they are."""
    return {field.name: getattr(manifest, field.name) for field in fields(manifest)}


def _canonical(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()


def _damaged(where: str, reason: str) -> ModelError:
    return ModelError(
        "E1221", f"damaged manifest: {reason}", where=where, remedy="compile the model again"
    )
