"""Checks on files that nobody vouches for, before any library parses them.

A torch file is a zip archive whose entries are stored, not compressed: anything compressed, larger
than the file itself or without torch's layout is refused before torch opens it. What a wrong file
looks like is said, so that the message helps.
"""

import struct
import zipfile
from collections import Counter
from pathlib import Path

from snndeploy.errors import ModelError

MAX_ENTRIES = 100_000
MAX_PICKLE = 1 << 26
"""Largest pickle in a torch file, 64 MiB: the tensors' values are not in it."""

LOCAL_HEADER = struct.Struct("<4x2xH2x4x4xIIH2x")
"""Of an entry in a zip archive: flags, packed size, size, length of the name."""
SIZES_FOLLOW, ZIP64 = 1 << 3, 0xFFFFFFFF
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
SAVE = "use snndeploy.save(module, 'model.pt', example_input) where the module's code lives"


def check_file(path: Path) -> bytes:
    """Return the first bytes of a regular, non-empty file.

    Raises:
        ModelError: E1001 (there is no such file, or it cannot be read), E1002 (empty).
    """
    try:
        if not path.is_file():
            raise ModelError("E1001", _no_file(path), where=str(path))
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise ModelError("E1001", f"cannot be read: {error.strerror}", where=str(path)) from error
    if not head:
        raise ModelError("E1002", "the file is empty", where=str(path))
    return head


def _no_file(path: Path) -> str:
    """Say why a path is no file."""
    if not path.exists():
        return "there is no such file"
    return f"is {'a folder' if path.is_dir() else 'a device or a pipe'}, not a model file"


def looks_like(head: bytes) -> str:
    """Return what a file is, judged by its first bytes."""
    if head.startswith(HDF5_MAGIC):
        return "an HDF5 file (.nir)"
    if head.startswith(b"PK"):
        return "a zip archive (torch)"
    if head.startswith(b"\x93NUMPY"):
        return "a numpy array"
    if head.startswith(b"\x80"):
        return "a pickle"
    if head.startswith(b"\x08") and b"onnx" in head.lower():
        return "an ONNX model"
    if all(byte in b"\t\n\r\f\b" or 32 <= byte < 127 for byte in head):
        return "text"
    return "unknown binary data"


def check_torch_file(path: Path) -> int:
    """Check the archive of a torch file; return the number of bytes its tensors may have.

    Raises:
        ModelError: E1003 (damaged), E1004 (not a torch file), E1005 (zip bomb), E1006 (a bare
            pickle), E1008 (TorchScript, exported program).
    """
    head = check_file(path)
    where = str(path)
    if head.startswith(b"\x80"):
        raise ModelError(
            "E1006", "a pickle can run code when it is read; it is refused", where=where,
            remedy=SAVE,
        )  # fmt: skip
    if not head.startswith(b"PK"):
        raise ModelError(
            "E1004", f"not a torch file, it looks like {looks_like(head)}", where=where, remedy=SAVE
        )
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            _check_archive(where, archive, size)
    except (zipfile.BadZipFile, struct.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise ModelError(
            "E1003", f"the archive is truncated or damaged ({error})", where=where,
            remedy="copy or save the file again",
        ) from error  # fmt: skip
    return size


def _check_archive(where: str, archive: zipfile.ZipFile, size: int) -> None:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    _refuse_code(where, names)
    if not any(name.endswith("/data.pkl") for name in names):
        arrays = bool(names) and all(name.endswith(".npy") for name in names)
        what = "an .npz file of arrays" if arrays else "a zip archive"
        raise ModelError("E1004", f"{what}, but not a torch file", where=where, remedy=SAVE)
    _check_entries(where, entries, size)
    _check_headers(archive, entries)
    damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"checksum of {damaged[:60]!r}")


def _check_entries(where: str, entries: list[zipfile.ZipInfo], size: int) -> None:
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED:
            ratio = entry.file_size / max(entry.compress_size, 1)
            raise ModelError(
                "E1005",
                f"entry {entry.filename[:60]!r} is compressed {ratio:,.0f} to 1; torch stores "
                "entries as they are",
                where=where,
            )
    total = sum(entry.file_size for entry in entries)
    pickles = sum(entry.file_size for entry in entries if entry.filename.endswith(".pkl"))
    if total > size or len(entries) > MAX_ENTRIES or pickles > MAX_PICKLE:
        raise ModelError(
            "E1005",
            f"{len(entries):,} entries claim {total:,} bytes ({pickles:,} of pickle) in a file of "
            f"{size:,}",
            where=where,
        )


def _check_headers(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive that says two things: which of them a reader believes is its own choice."""
    names = Counter(entry.filename for entry in entries)
    twice = next((name for name, n in names.items() if n > 1), None)
    if twice is not None:
        raise zipfile.BadZipFile(f"entry {twice[:60]!r} is there twice")
    assert archive.fp is not None
    for entry in entries:
        archive.fp.seek(entry.header_offset)
        header = archive.fp.read(LOCAL_HEADER.size)
        *_, flags, packed, size, n_name = LOCAL_HEADER.unpack(header)
        sizes = {packed, size} - {0 if flags & SIZES_FOLLOW else None, ZIP64}
        name = archive.fp.read(n_name)
        if sizes - {entry.file_size} or name != entry.orig_filename.encode():
            raise zipfile.BadZipFile(f"two headers of entry {entry.filename[:60]!r} disagree")


def _refuse_code(where: str, names: list[str]) -> None:
    if any("/code/" in name or name.endswith("/constants.pkl") for name in names):
        raise ModelError("E1008", "a TorchScript archive holds code", where=where, remedy=SAVE)
    if any(name.endswith(("archive_format", "exported_program.json")) for name in names):
        raise ModelError(
            "E1008", "an exported program", where=where, remedy="give it a name that ends in .pt2"
        )
