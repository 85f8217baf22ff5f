"""Writing a bundle: all its bytes are made in memory, digested, then put in place at once."""

import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from snndeploy.bundle.manifest import (
    NAME,
    Manifest,
    dump_manifest,
    load_manifest,
    sha256,
    tool_version,
)
from snndeploy.bundle.placement_file import dump_placement
from snndeploy.bundle.probes import make_probes
from snndeploy.bundle.publish import check_destination, publish
from snndeploy.bundle.read import CERTIFICATE, Bundle, read_bundle
from snndeploy.errors import CapacityError, ModelError
from snndeploy.frames import longest
from snndeploy.frontends.nir_file import write as write_nir
from snndeploy.ir.arrays import AnyArray, IntArray
from snndeploy.ir.text import print_network
from snndeploy.model import Model
from snndeploy.npz import dump_npz, read_bytes, smallest_int
from snndeploy.pipeline import Compiled
from snndeploy.registry import find_executor
from snndeploy.samples import Samples
from snndeploy.target import Progress, no_progress
from snndeploy.verdict import judge

INLINE_BELOW = 64
"""Arrays this long and longer go to weights.npz; shorter ones are read in network.txt."""
SIMULATOR = "sim"


def write_bundle(
    compiled: Compiled,
    out: Path | str,
    *,
    samples: Samples | None = None,
    extra: Mapping[str, bytes] | None = None,
    force: bool = False,
    progress: Progress = no_progress,
) -> Bundle:
    """Write a bundle and read it back.

    Args:
        compiled: a network that fits.
        out: folder to be made.
        samples: calibration data; the first 16 become probes.
        extra: more files by relative path, a report for example.
        force: replace the bundle that is there.
        progress: called while the probes are simulated.

    Raises:
        CapacityError: E3001, it does not fit.
        UsageError: E5003 `out` exists, E5004 it cannot be written.
    """
    out = Path(out)
    check_output(out, force=force)
    if compiled.placement is None or compiled.violations:
        raise CapacityError(compiled.target.name, compiled.violations)
    files = bundle_files(compiled, samples, extra or {}, progress=progress)
    publish(files, out)
    return read_bundle(out)


def check_output(out: Path, *, force: bool) -> None:
    """Refuse an output folder; raise UsageError E5003 or E5004."""
    ours: set[str] = set()
    if (out / NAME).is_file() and not out.is_symlink():
        try:
            ours = {*load_manifest(read_bytes(out / NAME), str(out)).files, NAME, CERTIFICATE}
        except ModelError:
            ours = set()  # damaged: nothing in it is known to be ours
    check_destination(out, force=force, ours=ours)


def bundle_files(
    compiled: Compiled,
    samples: Samples | None,
    extra: Mapping[str, bytes],
    *,
    progress: Progress = no_progress,
) -> dict[str, bytes]:
    """Return every file of a bundle by relative path; the same arguments give the same bytes."""
    assert compiled.placement is not None
    text, arrays = print_network(compiled.network, inline_below=INLINE_BELOW)
    probes, names = make_probes(compiled, samples)
    files = {
        "network.txt": text.encode(),
        "weights.npz": dump_npz({name: smallest_int(a) for name, a in arrays.items()}),
        "placement.json": dump_placement(compiled.placement),
        "probes.npz": dump_npz(name_probes(probes)),
        "expected.npz": dump_npz(_expected(compiled, probes, progress)),
    }
    if compiled.host is not None:
        files["host.nir"] = _host_bytes(compiled.host)
    theirs = compiled.target.bundle_files(compiled.network, compiled.placement)
    for name, data in (*theirs.items(), *extra.items()):
        assert name not in files, f"two files {name}"
        assert not PurePosixPath(name).is_absolute()
        files[name] = data
    manifest = _manifest(compiled, names, files)
    return {**files, NAME: dump_manifest(manifest)}


def name_probes(probes: Mapping[str, IntArray]) -> dict[str, AnyArray]:
    """Name the probes as user arrays are named: `x` for one source, `x.<source>` for several."""
    if len(probes) == 1:
        return {"x": smallest_int(next(iter(probes.values())))}
    return {f"x.{name}": smallest_int(x) for name, x in probes.items()}


def _expected(
    compiled: Compiled, probes: Mapping[str, IntArray], progress: Progress
) -> dict[str, AnyArray]:
    """Simulate the probes: spikes of every population, v where the host reads it."""
    populations = tuple(population.name for population in compiled.network.populations)
    result = find_executor(SIMULATOR).run(
        compiled.network.lasting(longest(probes)),
        probes,
        record=populations,
        progress=progress,
    )
    arrays: dict[str, AnyArray] = {
        f"{name}.spikes": smallest_int(result.traces[name].spikes) for name in populations
    }
    for output in compiled.network.outputs:
        states = result.traces[output.population].states
        if "v" in states:
            arrays[f"{output.population}.v"] = states["v"].astype(np.int32)
    return arrays


def _host_bytes(host: Model) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "host.nir"
        write_nir(host, path)
        return path.read_bytes()


def _manifest(compiled: Compiled, probes: tuple[str, ...], files: Mapping[str, bytes]) -> Manifest:
    notes = compiled.model.notes
    return Manifest(
        tool=tool_version(),
        target=compiled.target.name,
        chip_digest=compiled.target.chip.digest,
        origin=Path(compiled.model.origin).name,
        notes=tuple(f"{note.kind} {note.node}: {note.text}" for note in notes),
        options=compiled.options,
        layers=compiled.layers,
        verdict=judge(compiled.target.chip, compiled.placement, compiled.violations),
        probes=probes,
        files={name: sha256(data) for name, data in files.items()},
    )
