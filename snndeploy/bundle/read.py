"""Reading a bundle: every byte is checked against its digest before anything is made of it."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf
from pathlib import Path, PurePosixPath

from snndeploy.bundle import manifest as manifests
from snndeploy.bundle.manifest import Manifest, load_manifest, sha256
from snndeploy.bundle.placement_file import load_placement
from snndeploy.errors import ModelError
from snndeploy.frames import longest
from snndeploy.frontends.confined import read_model
from snndeploy.ir.arrays import IntArray, frozen_int
from snndeploy.ir.network import Network
from snndeploy.ir.placement import Placement
from snndeploy.ir.text import parse_network
from snndeploy.ir.trace import PopulationTrace
from snndeploy.model import Model
from snndeploy.npz import load_npz, read_bytes
from snndeploy.pipeline import CompileOptions
from snndeploy.registry import find_target
from snndeploy.target import Target

CERTIFICATE = "certificate.json"
"""Written beside the digested files, by `verify`."""
MANIFEST_BYTES = 64 << 20
BUNDLE_BYTES = 8 << 30


@dataclass(frozen=True, eq=False, kw_only=True)
class Bundle:
    """A bundle as read: all its files had the digests that its manifest states.

    Attributes:
        path: its folder.
        digest: sha256 of its manifest, which stands for all of it.
        probes: integers [P, B, *shape] per source.
        expected: what our simulator answered to the probes: spikes of every population, v of the
            populations that are read out.
        files: contents by relative path.
    """

    path: Path
    digest: str
    manifest: Manifest
    network: Network
    placement: Placement | None
    host: Model | None
    probes: Mapping[str, IntArray]
    expected: Mapping[str, PopulationTrace]
    files: Mapping[str, bytes]

    @property
    def options(self) -> CompileOptions:
        return self.manifest.options

    @cached_property
    def target(self) -> Target:
        """The installed target; ModelError E1227 if its chip is not the one compiled for."""
        target = find_target(self.manifest.target)
        if target.chip.digest != self.manifest.chip_digest:
            raise ModelError(
                "E1227",
                f"compiled for chip file {self.manifest.chip_digest[:12]}, "
                f"installed is {target.chip.digest[:12]}",
                where=f"{self.path}: {target.name}",
                remedy="compile the model again",
            )
        return target


def read_bundle(path: Path | str) -> Bundle:
    """Read a bundle and check every file.

    Raises:
        ModelError: E1220 no bundle, E1221 and E1222 its manifest, E1223 a changed file, E1224 a
            missing or foreign file, E1225 too large, E1226 contents that make no sense.
    """
    path = Path(path)
    if not (path / manifests.NAME).is_file():
        what = f"not a bundle: there is no {manifests.NAME} in it"
        if not path.is_dir():
            what = "a file, not a bundle" if path.exists() else "there is no such folder"
        raise ModelError(
            "E1220", what, where=str(path), remedy="make a bundle with `snndeploy compile`"
        )
    data = read_bytes(path / manifests.NAME, limit=MANIFEST_BYTES)
    manifest = load_manifest(data, str(path / manifests.NAME))
    files = _read_files(path, manifest)
    try:
        return _assemble(path, sha256(data), manifest, files)
    except (KeyError, TypeError, ValueError, UnicodeDecodeError) as error:
        raise ModelError(
            "E1226",
            f"contents do not belong together: {type(error).__name__} {error}",
            where=str(path),
            remedy="compile the model again",
        ) from None


def _assemble(path: Path, digest: str, manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    def arrays(name: str) -> dict[str, IntArray]:
        loaded = load_npz(files[name], f"{path}/{name}").items() if name in files else ()
        return {key: frozen_int(value) for key, value in loaded}

    network = parse_network(files["network.txt"].decode(), arrays("weights.npz"))
    held = "placement.json" in files
    return Bundle(
        path=path,
        digest=digest,
        manifest=manifest,
        network=network,
        placement=load_placement(files["placement.json"]) if held else None,
        host=_host(path / "host.nir") if "host.nir" in files else None,
        probes=_probes(network, arrays("probes.npz")),
        expected=_traces(arrays("expected.npz")),
        files=files,
    )


def _host(path: Path) -> Model:
    """Read what the host computes, where its file can do no harm."""
    options = {"semantics": None, "values": "real", "input_range": (-inf, inf)}
    return read_model("snndeploy.frontends.nir_file:read_packed", path, options)


def _probes(network: Network, arrays: Mapping[str, IntArray]) -> dict[str, IntArray]:
    sources = [source.name for source in network.inputs]
    probes = {name: arrays["x" if len(sources) == 1 else f"x.{name}"] for name in sources}
    n_samples = {x.shape[1] for x in probes.values()}
    steps = network.lasting(longest(probes)).steps
    if len(n_samples) != 1 or any(len(x) != steps for x in probes.values()):
        raise ValueError("probes have other steps or samples than the network")
    return probes


def _traces(arrays: Mapping[str, IntArray]) -> dict[str, PopulationTrace]:
    """Group `<population>.spikes` and `<population>.v`."""
    traces = {}
    for key, spikes in arrays.items():
        name, _, kind = key.rpartition(".")
        if kind == "spikes":
            states = {"v": arrays[f"{name}.v"]} if f"{name}.v" in arrays else {}
            traces[name] = PopulationTrace(spikes=spikes, states=states)
    return traces


def _read_files(path: Path, manifest: Manifest) -> dict[str, bytes]:
    _check_listing(path, manifest)
    files = {}
    left = BUNDLE_BYTES
    for name, digest in sorted(manifest.files.items()):
        data = read_bytes(path / name, limit=left)
        left -= len(data)
        if sha256(data) != digest:
            raise ModelError(
                "E1223",
                f"{name} was changed: its digest is not the one in the manifest",
                where=str(path),
                remedy="compile the model again",
            )
        files[name] = data
    return files


def _check_listing(path: Path, manifest: Manifest) -> None:
    """The folder holds the manifest's files, the certificate if there is one, and nothing else."""
    allowed = {*manifest.files, manifests.NAME, CERTIFICATE}
    for name in manifest.files:
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name:
            raise _foreign(path, f"the manifest names {name!r}, outside of the folder")
        if not (path / name).is_file():
            raise _foreign(path, f"{name} is missing")
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder) / name
            relative = file.relative_to(path).as_posix()
            if relative not in allowed:
                raise _foreign(path, f"{relative!r} is no part of it")
            if not stat.S_ISREG(file.lstat().st_mode):
                raise _foreign(path, f"{relative} is a link, not a file")


def _foreign(path: Path, reason: str) -> ModelError:
    return ModelError("E1224", reason, where=str(path), remedy="restore or compile again")
