"""Checks on an HDF5 file before nir reads it: no links out, no filters, no bombs, no odd types.

HDF5 can point to other files (external links, external storage, virtual datasets), name one group
many times (hard links), load filters from shared libraries, and claim arrays far larger than the
file. None of that is in a NIR file; each is refused before any array is read.
"""

import re
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from snndeploy.errors import ModelError
from snndeploy.frontends.guard import HDF5_MAGIC, check_file, looks_like
from snndeploy.hdf5_heaps import check_heaps

FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 32000: "lzf"}
VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})")
MAX_BYTES = 1 << 31
"""Largest sum of all arrays, 2 GiB."""
FREE_BYTES = 1 << 26
"""Arrays of 64 MiB together may be compressed to any ratio: constants compress well."""
MAX_RATIO = 200
MAX_OBJECTS = 20_000
MAX_DEPTH = 12
MAX_TEXT = 1 << 24
"""Bytes of all strings together, 16 MiB."""


def check_hdf5_file(path: Path) -> None:
    """Check every object of an HDF5 file without reading its arrays.

    Raises:
        ModelError: E1001 to E1004 (missing, empty, damaged, another kind), E1030 (links and storage
            elsewhere), E1031 (filters), E1032 (types), E1033 (sizes),
            E1462 (a later nir).
    """
    head = check_file(path)
    where = str(path)
    if not head.startswith(HDF5_MAGIC):
        raise ModelError(
            "E1004", f"not a NIR file, it looks like {looks_like(head)}", where=where,
            remedy="give a .nir file, or a model.pt that snndeploy.save wrote",
        )  # fmt: skip
    check_heaps(path.read_bytes(), where)  # before HDF5 reads any text
    try:
        with h5py.File(path, "r") as file:
            _check_all(path, file)
            _check_version(str(path), file)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ModelError(
            "E1003", f"the file is truncated or damaged ({_first_line(error)})", where=where,
            remedy="copy or export the file again",
        ) from error  # fmt: skip


def _check_all(path: Path, file: h5py.File) -> None:
    where, size = str(path), path.stat().st_size
    total, text = 0, 0
    for name, dataset in _datasets(where, file):
        place = f"{where}{name}"
        _check_storage(place, dataset)
        _check_type(place, dataset)
        if h5py.check_string_dtype(dataset.dtype) is not None:
            text += _text_size(path, place, dataset)
            if text > MAX_TEXT:
                raise ModelError("E1033", f"{text:,} bytes of text", where=place)
            continue
        total += dataset.size * dataset.dtype.itemsize
        chunk = prod(dataset.chunks or (0,)) * dataset.dtype.itemsize
        if total > MAX_BYTES or chunk > MAX_BYTES or total > FREE_BYTES + MAX_RATIO * size:
            raise ModelError(
                "E1033", f"arrays claim {total:,} bytes or more in a file of {size:,}", where=place
            )


def _check_version(where: str, file: h5py.File) -> None:
    """Refuse what a later nir wrote: a field that this one ignores could change what it means."""
    written = file["version"][()] if "version" in file else b""
    text = written.decode(errors="replace") if isinstance(written, bytes) else ""
    parts = VERSION.match(text)
    known = VERSION.match(nir.version)
    if parts and known and (int(parts[1]), int(parts[2])) > (int(known[1]), int(known[2])):
        raise ModelError(
            "E1462", f"written by nir {text[:20]}, this snndeploy reads up to {nir.version}",
            where=where, remedy="update nir, or export the graph with this version",
        )  # fmt: skip


def _datasets(where: str, file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yield every dataset, following hard links only, each object once."""
    seen = {h5py.h5o.get_info(file["/"].id).addr}
    stack: list[tuple[str, Any]] = [("", file["/"])]
    while stack:
        prefix, group = stack.pop()
        for key in group:
            name = f"{prefix}/{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise ModelError("E1030", "a link that points elsewhere", where=f"{where}{name}")
            found = group[key]
            address = h5py.h5o.get_info(found.id).addr
            if address in seen or len(seen) > MAX_OBJECTS or name.count("/") > MAX_DEPTH:
                raise ModelError(
                    "E1030", "an object with several names, or too many objects",
                    where=f"{where}{name}",
                )  # fmt: skip
            seen.add(address)
            if isinstance(found, h5py.Group):
                stack.append((name, found))
            elif isinstance(found, h5py.Dataset):
                yield name, found
            else:
                raise ModelError("E1032", "a stored datatype", where=f"{where}{name}")


def _check_storage(place: str, dataset: h5py.Dataset) -> None:
    if dataset.external or dataset.is_virtual:
        raise ModelError("E1030", "an array whose values are in another file", where=place)
    plist = dataset.id.get_create_plist()
    for index in range(plist.get_nfilters()):
        number = plist.get_filter(index)[0]
        if number not in FILTERS:
            raise ModelError(
                "E1031",
                f"unknown filter {number}",
                where=place,
                remedy="write the file with gzip",
            )


def _check_type(place: str, dataset: h5py.Dataset) -> None:
    dtype = dataset.dtype
    is_text = h5py.check_string_dtype(dtype) is not None
    if not is_text and (dtype.kind not in "iufb" or dtype.subdtype is not None):
        if h5py.check_enum_dtype(dtype) is not None:
            return
        raise ModelError("E1032", f"values of type {dtype}, not numbers or text", where=place)
    if dataset.shape is None:
        raise ModelError("E1032", "an array without shape", where=place)


def _text_size(path: Path, place: str, dataset: h5py.Dataset) -> int:
    """Return the bytes that all strings claim, without letting HDF5 allocate them.

    On disk a string of variable length is its length (4 bytes), the address of its heap and an
    index; several may name the same bytes, and a length may be a lie.
    """
    if h5py.check_string_dtype(dataset.dtype).length is not None:
        return int(dataset.size * dataset.dtype.itemsize)
    if not dataset.size:
        return 0
    offset, stored = dataset.id.get_offset(), dataset.id.get_storage_size()
    if offset is None or stored % dataset.size or stored > MAX_TEXT:
        raise ModelError("E1032", "text that is not stored in one piece", where=place)
    with path.open("rb") as file:
        file.seek(offset)
        descriptors = np.frombuffer(file.read(stored), dtype=np.uint8)
    if len(descriptors) < stored:
        raise ModelError("E1003", "the file is truncated", where=place)
    lengths = np.ascontiguousarray(descriptors.reshape(dataset.size, -1)[:, :4]).view("<u4")
    return int(lengths.sum(dtype=np.int64))


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0][:120]
