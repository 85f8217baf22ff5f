"""Fuzz the readers: damaged bytes and damaged structures, until the time is up.

    python tests/fuzz/fuzz_readers.py [--seconds 300] [--reader nir] [--seed 0]

A case ends well if the reader returns something that passed its checks, or refuses in one line. An
internal error or a hang fails the run and the file is kept in `build/fuzz/`; a crash of a library
in the reading process is contained there, counted, and kept as well.
"""

import argparse
import io
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "tests" / "unit"))

import h5py
import nir
import numpy as np
import torch
from chains import DT, chain_model, conv, flatten, lif
from safetensors.torch import save_file
from sdnn_files import file_bytes, random_layers
from test_recordings import aedat4, events

import snndeploy
from snndeploy.api import load
from snndeploy.errors import SnnDeployError
from snndeploy.exporters.export import export
from snndeploy.frontends.checkpoint import write_model
from snndeploy.frontends.nir_file import write
from snndeploy.frontends.weights import read_confined
from snndeploy.ir.text import print_network
from snndeploy.network_file import read_network
from snndeploy.samples import read_samples

Rng = np.random.Generator
KEPT = ROOT / "build" / "fuzz"
SLOWEST_S = 30.0
ODD_BYTES = (0, 1, 0x7F, 0x80, 0xFF)


class Reader(NamedTuple):
    """A reader under test.

    Attributes:
        suffix: of its files.
        seeds: writes good files into a folder and returns their bytes.
        damage: damages the structure of a file in place.
        read: reads it.
    """

    suffix: str
    seeds: Callable[[Path], list[bytes]]
    damage: Callable[[Rng, Path], None]
    read: Callable[[Path], Any]


# ---- bytes -----------------------------------------------------------------------------------


def damage_bytes(rng: Rng, data: bytes, other: bytes) -> bytes:
    """Change some bytes; splice two files; cut, repeat or insert a piece."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        at = int(rng.integers(0, max(len(out), 1)))
        size = int(rng.integers(1, 1 + min(64, max(len(out), 1))))
        match int(rng.integers(7)):
            case 0 if out:
                out[at] ^= 1 << int(rng.integers(8))
            case 1 if out:
                out[at] = int(rng.choice(ODD_BYTES))
            case 2:
                del out[at : at + size]
            case 3:
                out[at:at] = rng.bytes(size)
            case 4:
                out[at : at + 8] = int(rng.choice([0, 1, -1, 2**31, -(2**63)])).to_bytes(
                    8, "little", signed=True
                )
            case 5:
                out = out[:at] if rng.random() < 0.3 else out
            case 6:
                start = int(rng.integers(0, max(len(other), 1)))
                out[at : at + size] = other[start : start + size]
    return bytes(out)


# ---- torch -----------------------------------------------------------------------------------


def models() -> list[Any]:
    rng = np.random.default_rng(0)
    dense = chain_model(
        nir.Affine(weight=rng.normal(0, 0.4, (6, 5)), bias=np.zeros(6)),
        lif((6,), keep=0.5),
        nir.Linear(weight=rng.normal(0, 0.4, (3, 6))),
        shape=(5,), out_shape=(3,), steps=4,
    )  # fmt: skip
    image = chain_model(
        conv(rng.normal(0, 0.4, (2, 1, 3, 3)), (5, 5), padding=1),
        lif((2, 5, 5), keep=0.9),
        flatten((2, 5, 5)),
        nir.Linear(weight=rng.normal(0, 0.4, (3, 50))),
        shape=(1, 5, 5), out_shape=(3,), steps=4, values="real",
    )  # fmt: skip
    return [dense, image]


def written(writer: Callable[[Any, Path], None], suffix: str) -> Callable[[Path], list[bytes]]:
    def seeds(folder: Path) -> list[bytes]:
        files = []
        for i, model in enumerate(models()):
            path = folder / f"seed{i}{suffix}"
            writer(model, path)
            files.append(path.read_bytes())
        return files

    return seeds


def odd_value(rng: Rng) -> Any:
    """Return something that has no business in a model file."""
    makers: list[Callable[[], Any]] = [
        lambda: None, lambda: -1, lambda: 2**40, lambda: float("nan"), lambda: "x" * 1000,
        lambda: "\x1b[31m", list, dict, lambda: True, lambda: [[["a"]]],
        lambda: torch.zeros(int(rng.integers(0, 9))), lambda: torch.zeros(2, 0),
        lambda: torch.full((3, 3), float("inf")), lambda: torch.zeros(2, dtype=torch.int8),
        lambda: torch.zeros(1).expand(9, 9), lambda: torch.zeros(2, dtype=torch.complex64),
    ]  # fmt: skip
    return makers[int(rng.integers(len(makers)))]()


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) in nested dicts and lists."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[Any, Any]] = []
    for key, entry in list(pairs):
        found.append((value, key))
        if isinstance(entry, dict | list):
            found += places(entry)
    return found


def damage_torch(rng: Rng, path: Path) -> None:
    content = torch.load(path, weights_only=True)
    for _ in range(int(rng.integers(1, 4))):
        spots = places(content)
        where, key = spots[int(rng.integers(len(spots)))]
        match int(rng.integers(4)):
            case 0:
                where[key] = odd_value(rng)
            case 1:
                del where[key]
            case 2:
                other, name = spots[int(rng.integers(len(spots)))]
                where[key] = other.get(name) if isinstance(other, dict) else odd_value(rng)
            case 3 if isinstance(where, dict):
                where["odd"] = odd_value(rng)
    torch.save(content, path)


# ---- HDF5 ------------------------------------------------------------------------------------


def odd_dataset(rng: Rng) -> Any:
    makers: list[Callable[[], Any]] = [
        lambda: np.zeros(int(rng.integers(0, 9))), lambda: np.zeros((2, 0)),
        lambda: np.full((3, 3), np.nan), lambda: np.float64(1.0), lambda: np.int64(-1),
        lambda: "LIF", lambda: "__class__", lambda: np.zeros(3, dtype="c16"),
        lambda: np.array([b"a", b"b"]), lambda: np.zeros((3, 2), dtype=">f4"),
        lambda: np.uint64(2**64 - 1), lambda: np.zeros((2, 2, 2, 2), dtype="f2"),
        lambda: np.bool_(True), lambda: h5py.Empty("f8"),
    ]  # fmt: skip
    return makers[int(rng.integers(len(makers)))]()


def damage_hdf5(rng: Rng, path: Path) -> None:
    with h5py.File(path, "r+") as file:
        for _ in range(int(rng.integers(1, 4))):
            names: list[str] = []
            file.visit(names.append)
            if not names:
                return
            name = names[int(rng.integers(len(names)))]
            other = names[int(rng.integers(len(names)))]
            match int(rng.integers(6)):
                case 0:
                    del file[name]
                    file[name] = odd_dataset(rng)
                case 1:
                    del file[name]
                case 2 if not other.startswith(name):
                    del file[other]
                    file[other] = file[name]
                case 3:
                    file[f"{name}.odd"] = odd_dataset(rng)
                case 4 if not name.startswith(other) and not other.startswith(name):
                    file.copy(name, f"{other}.copy")
                case 5:
                    file[f"{name}.link"] = h5py.SoftLink(f"/{other}")


# ---- npz -------------------------------------------------------------------------------------

SHAPES = {"in": (3,)}


def seeds_of_npz(_: Path) -> list[bytes]:
    rng = np.random.default_rng(0)
    files = []
    for saver in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        saver(buffer, x=rng.integers(0, 2, (4, 2, 3)).astype(np.uint8), label=np.array([0, 1]))
        files.append(buffer.getvalue())
    return files


def damage_npz(rng: Rng, path: Path) -> None:
    """Write other array headers, names and compressions."""
    header = {
        "descr": str(rng.choice(["|u1", "<f8", "|O", "<c16", "<U9", ">i2", "|V3", "<M8[s]", "x"])),
        "fortran_order": bool(rng.integers(2)),
        "shape": tuple(int(n) for n in rng.integers(-1, 9, int(rng.integers(0, 5)))),
    }
    member = b"\x93NUMPY\x01\x00" + len(repr(header)).to_bytes(2, "little") + repr(header).encode()
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with zipfile.ZipFile(path, "a" if rng.random() < 0.5 else "w") as archive:
        name = str(rng.choice(["x.npy", "label.npy", "../x.npy", "x", "x.in.npy"]))
        kind = kinds[int(rng.integers(4))]
        archive.writestr(name, member + rng.bytes(int(rng.integers(200))), compress_type=kind)


# ---- the others: their own good files, damaged byte by byte ----------------------------------


def network_files(suffix: str, format: Any) -> Callable[[Path], list[bytes]]:
    def seeds(folder: Path) -> list[bytes]:
        files = []
        for i, model in enumerate(models()):
            path = folder / f"network{i}{suffix}"
            export(compile_spikes(model), path, format)
            files.append(path.read_bytes())
        return files

    return seeds


def seeds_of_pt2(folder: Path) -> list[bytes]:
    class Step(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = torch.nn.Linear(4, 4)

        def forward(self, x: Any, v: Any) -> Any:
            v = 0.5 * v + self.fc(x)
            s = (v > 1).to(x)
            return s, v * (1 - s)

    program = torch.export.export(Step(), (torch.zeros(1, 4), torch.zeros(1, 4)))
    torch.export.save(program, folder / "seed.pt2")
    return [(folder / "seed.pt2").read_bytes()]


def seeds_of_weights(folder: Path) -> list[bytes]:
    save_file(dict(torch.nn.Linear(4, 3).state_dict()), folder / "seed.safetensors")
    return [(folder / "seed.safetensors").read_bytes()]


def seeds_of_aedat4(_: Path) -> list[bytes]:
    return [aedat4(events(), compression) for compression in (0, 1, 3)]


def seeds_of_text(_: Path) -> list[bytes]:
    return [print_network(compile_spikes(model).network)[0].encode() for model in models()]


def adder(n: int) -> Any:
    one = np.ones(n)
    return nir.IF(r=one / DT, v_threshold=one, v_reset=0 * one)


def seeds_of_net(folder: Path) -> list[bytes]:
    """What netx takes: memoryless currents, small even weights, no leak to round."""
    rng = np.random.default_rng(0)
    model = chain_model(
        nir.Linear(weight=rng.integers(-7, 9, (6, 5)) / 8),
        adder(6),
        nir.Linear(weight=rng.integers(-7, 9, (3, 6)) / 8),
        adder(3),
        shape=(5,), out_shape=(3,), steps=4,
    )  # fmt: skip
    export(compile_spikes(model), folder / "seed.net", "netx")
    sigma_delta = [file_bytes(random_layers(seed)) for seed in (0, 1)]
    return [(folder / "seed.net").read_bytes(), *sigma_delta]


def seeds_of_nir_data(folder: Path) -> list[bytes]:
    grid = nir.TimeGriddedData(np.random.default_rng(0).random((3, 7, 6)) < 0.4, 1e-3)
    for name, data in (("grid", grid), ("events", grid.to_event(40, time_shift=5e-4))):
        node = nir.NIRNodeData({"spikes": data})
        nir.write_data(folder / name, nir.NIRGraphData({"input": node}))
    return [(folder / name).read_bytes() for name in ("grid", "events")]


def compile_spikes(model: Any) -> Any:
    ports = tuple(replace(port, low=0.0, high=1.0) for port in model.inputs)
    return snndeploy.compile(replace(model, inputs=ports), "loihi2")


def leave(rng: Rng, path: Path) -> None:
    """Leave the structure alone: bytes are damaged all the same."""


READERS = {
    "pt": Reader(".pt", written(write_model, ".pt"), damage_torch, load),
    "nir": Reader(".nir", written(write, ".nir"), damage_hdf5, load),
    "npz": Reader(".npz", seeds_of_npz, damage_npz, lambda path: read_samples(path, SHAPES)),
    "net": Reader(".net", seeds_of_net, damage_hdf5, load),
    "onnx": Reader(".onnx", network_files(".onnx", "onnx"), leave, read_network),
    "text": Reader(".network", seeds_of_text, leave, read_network),
    "pt2": Reader(".pt2", seeds_of_pt2, leave, lambda path: load(path, values="spikes")),
    "weights": Reader(".safetensors", seeds_of_weights, leave, read_confined),
    "nir data": Reader(
        ".h5",
        seeds_of_nir_data,
        damage_hdf5,
        lambda path: read_samples(path, {"input": (6,)}, dt=1e-3),
    ),
    "aedat4": Reader(
        ".aedat4",
        seeds_of_aedat4,
        leave,
        lambda path: read_samples(path, {"input": (2, 4, 5)}, dt=1e-3),
    ),
}


def fuzz(name: str, reader: Reader, *, seconds: float, seed: int) -> bool:
    """Run cases until the time is up; return whether all ended well."""
    ends: Counter[str] = Counter()
    failed = 0
    slowest = 0.0
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seeds = reader.seeds(Path(folder))
        path = Path(folder) / f"case{reader.suffix}"
        case = 0
        while time.monotonic() - start < seconds:
            rng = np.random.default_rng([seed, case])
            case += 1
            data = seeds[int(rng.integers(len(seeds)))]
            path.write_bytes(data)
            try:
                if rng.random() < 0.5:
                    reader.damage(rng, path)
            except Exception:  # noqa: BLE001 - a library that refuses to write such a file
                path.write_bytes(data)
            if rng.random() < 0.6:
                other = seeds[int(rng.integers(len(seeds)))]
                path.write_bytes(damage_bytes(rng, path.read_bytes(), other))
            began = time.monotonic()
            end = outcome(reader, path)
            slowest = max(slowest, time.monotonic() - began)
            ends[end] += 1
            if end.startswith("BUG") or end == "E1470" or time.monotonic() - began > SLOWEST_S:
                failed += end != "E1470"
                KEPT.mkdir(parents=True, exist_ok=True)
                (KEPT / f"{name}-{seed}-{case}{reader.suffix}").write_bytes(path.read_bytes())
                print(f"{name}: case {case}: {end}", flush=True)
    rows = ", ".join(f"{end} {n:,}" for end, n in ends.most_common())
    print(f"{name}: {case:,} cases in {seconds:g} s, slowest {slowest:.2f} s: {rows}", flush=True)
    return not failed


def outcome(reader: Reader, path: Path) -> str:
    try:
        reader.read(path)
    except SnnDeployError as error:
        return error.code if "\n" not in error.line() else f"BUG lines: {error.line()!r}"
    except Exception as error:  # noqa: BLE001 - what is looked for
        return f"BUG {type(error).__name__}: {error}"
    return "read"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300.0, help="per reader")
    parser.add_argument("--reader", choices=READERS, help="one of them; default: all")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    chosen = {args.reader: READERS[args.reader]} if args.reader else READERS
    results = [fuzz(n, r, seconds=args.seconds, seed=args.seed) for n, r in chosen.items()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
