"""Archives of arrays (.npz): read safely from strangers, written to the same bytes every time.

Reading takes bytes that were read once, looks at every header before it allocates, and never
unpickles. Writing fixes what zip files vary in: dates, order, permissions.
"""

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from snndeploy.errors import ModelError
from snndeploy.ir.arrays import AnyArray

MAX_BYTES = 4 << 30
"""Largest archive, inflated: more than any data set of spikes here needs, less than memory."""
BOMB_BYTES, BOMB_RATIO = 64 << 20, 500
"""Beyond this size a higher ratio is refused: deflate ends at 1,032, real spikes stay below 200."""
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, struct.error,
)  # fmt: skip
"""What zipfile and numpy raise on archives that are damaged."""
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
HEAD_BYTES = 512
MAGIC = {
    b"PK": "a zip archive",
    b"\x89HDF": "an HDF5 or NIR file",
    b"\x93NUMPY": "a single .npy array",
    b"\x7fELF": "an executable",
    b"\x89PNG": "a PNG image",
    b"\x1f\x8b": "a gzip archive",
    b"\x80": "a pickle",
}


def read_bytes(path: Path, *, limit: int = MAX_BYTES) -> bytes:
    """Read a regular file once.

    Raises:
        ModelError: E1212, there is no such regular file or it cannot be read; E1204, it is larger
            than `limit`.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise _too_large(str(path), size, limit)
        return file.read()


def read_head(path: Path) -> bytes:
    """Return the first bytes of a regular file, at most `HEAD_BYTES`.

    Raises:
        ModelError: E1212, see `read_bytes`.
    """
    with _opened(path) as file:
        return file.read(HEAD_BYTES)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file; a FIFO or a device is refused without waiting for it."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ModelError(
                    "E1212", "not a regular file", where=str(path), remedy="give a file"
                )
            yield file
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(
            "E1212",
            f"cannot be read: {reason}",
            where=str(path),
            remedy="check the path and its permissions",
        ) from None


def looks_like(data: bytes) -> str:
    """Say in words what a file's first bytes look like."""
    if not data:
        return "an empty file"
    for magic, what in MAGIC.items():
        if data.startswith(magic):
            return what
    head = data[:HEAD_BYTES]
    return "text" if all(byte >= 32 or byte in b"\t\n\r" for byte in head) else "unknown data"


def load_npz(data: bytes, where: str, *, limit: int = MAX_BYTES) -> dict[str, AnyArray]:
    """Return the arrays of an .npz archive by name.

    Args:
        data: the archive.
        where: what to call it in errors.
        limit: largest total size of the arrays, in bytes.

    Raises:
        ModelError: E1201 no .npz, E1202 damaged, E1203 objects inside, E1204 too large.
    """
    if not data.startswith(b"PK"):
        remedy = "save it with numpy.savez_compressed(path, x=array)"
        message = f"not an .npz file (looks like {looks_like(data)})"
        raise ModelError("E1201", message, where=where, remedy=remedy)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            _check_members(members, where, limit)
            return {m.filename.removesuffix(".npy"): _member(archive, m, where) for m in members}
    except UNREADABLE as error:
        raise _damaged(where, str(error) or "the archive ends early") from None


def npy_dtype(data: bytes) -> "np.dtype[np.generic] | None":
    """Return the type that an .npy file's header promises, None if there is no such header."""
    try:
        return _header(io.BytesIO(data))[1]
    except (ValueError, SyntaxError, TypeError, KeyError):
        return None


def load_npy(data: bytes, where: str, *, limit: int = MAX_BYTES) -> AnyArray:
    """Return the array of an .npy file.

    Raises:
        ModelError: E1202 damaged, E1203 objects inside, E1204 too large.
    """
    file = io.BytesIO(data)
    try:
        shape, dtype = _header(file)
        _check_header(shape, dtype, len(data) - file.tell(), where)
        if len(data) > limit:
            raise _too_large(where, len(data), limit)
        file.seek(0)
        array: AnyArray = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError) as error:
        raise _damaged(where, str(error).partition("\n")[0]) from None
    return array


def dump_npz(arrays: Mapping[str, AnyArray]) -> bytes:
    """Return an .npz archive of the arrays; the same arrays always give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(arrays):
            info = zipfile.ZipInfo(f"{name}.npy", ZIP_DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = 0o644 << 16
            member = io.BytesIO()
            array = np.ascontiguousarray(arrays[name])
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            archive.writestr(info, member.getvalue())
    return buffer.getvalue()


def smallest_int(values: AnyArray) -> AnyArray:
    """Return integers in the narrowest of int8, int16, int32 and int64 that holds them."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    for dtype in (np.int8, np.int16, np.int32):
        bounds = np.iinfo(dtype)
        if bounds.min <= low and high <= bounds.max:
            return values.astype(dtype)
    return values.astype(np.int64)


def _check_members(members: list[zipfile.ZipInfo], where: str, limit: int) -> None:
    names = [member.filename for member in members]
    if len(set(names)) != len(names):
        raise _damaged(where, "two arrays have the same name")
    if any(member.compress_type not in COMPRESSIONS for member in members):
        raise _damaged(where, "a compression that numpy does not write")
    if any(not name.endswith(".npy") for name in names):
        raise ModelError(
            "E1201",
            "a zip archive, but not of .npy arrays",
            where=where,
            remedy="save it with numpy.savez_compressed(path, x=array)",
        )
    inflated = sum(member.file_size for member in members)
    packed = max(1, sum(member.compress_size for member in members))
    if inflated > limit:
        raise _too_large(where, inflated, limit)
    if inflated > BOMB_BYTES and inflated / packed > BOMB_RATIO:
        raise ModelError(
            "E1204",
            f"{packed:,} bytes inflate to {inflated:,}, a ratio no data set has",
            where=where,
            remedy="save real data, or smaller pieces of it",
        )


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> AnyArray:
    name = member.filename.removesuffix(".npy")
    with archive.open(member) as file:
        try:
            shape, dtype = _header(file)
            _check_header(shape, dtype, member.file_size - file.tell(), f"{where}: {name}")
            file.seek(0)
            array: AnyArray = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):
                raise _damaged(f"{where}: {name}", "bytes follow the array")
        except (ValueError, SyntaxError, TypeError, KeyError, MemoryError) as error:
            raise _damaged(f"{where}: {name}", str(error).partition("\n")[0]) from None
    return array


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"npy format {version[0]}.{version[1]} is not supported")
    return shape, dtype


def _check_header(
    shape: tuple[int, ...], dtype: np.dtype[np.generic], held: int, where: str
) -> None:
    if dtype.hasobject:
        raise ModelError(
            "E1203",
            "holds Python objects, which only a pickle can carry",
            where=where,
            remedy="save an array of numbers (dtype uint8, int or float)",
        )
    n_elements = 1
    for size in shape:
        n_elements *= size
    if min(shape, default=0) < 0 or n_elements * dtype.itemsize != held:
        raise _damaged(where, f"its header promises shape {list(shape)}, {held:,} bytes are there")


def _damaged(where: str, reason: str) -> ModelError:
    remedy = "copy or save the file again"
    return ModelError("E1202", f"damaged archive: {reason}", where=where, remedy=remedy)


def _too_large(where: str, had: int, limit: int) -> ModelError:
    message = f"{had:,} bytes, the limit is {limit:,}"
    return ModelError("E1204", message, where=where, remedy="save smaller pieces")
