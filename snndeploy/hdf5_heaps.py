"""Walk the global heaps of an HDF5 file, where its strings lie, before HDF5 does.

HDF5 reads a heap object by object and takes the size of free space as it stands: a size of 0 keeps
it there for ever. Source: HDF5 File Format Specification 3.0, III.E, global heap collections.
"""

from snndeploy.errors import ModelError

SIGNATURE = b"GCOL\x01\x00\x00\x00"
"""Signature, version 1, reserved zeros. HDF5 writes collections at multiples of 8, and follows an
address to any byte."""
HEADER = 16
"""Bytes before the first object of a collection, and before the data of every object."""
LARGEST = 1 << 28
"""Bytes of one collection, 256 MiB: all strings of a NIR file together stay below 16."""


def check_heaps(data: bytes, where: str) -> None:
    """Check that every object of every global heap of a file leads on, inside its collection.

    Raises:
        ModelError: E1003, one does not, or collections overlap.
    """
    start, checked = data.find(SIGNATURE), 0
    while start >= 0:
        size = int.from_bytes(data[start + 8 : start + 16], "little")
        if HEADER < size <= len(data) - start:  # HDF5 refuses any other size itself
            if start < checked or size > LARGEST:
                raise _damaged(where, start)
            checked = start + size
            _check_collection(where, data, start, checked)
        start = data.find(SIGNATURE, start + 1)


def _check_collection(where: str, data: bytes, start: int, end: int) -> None:
    place = start + HEADER
    while place + HEADER <= end:
        index = int.from_bytes(data[place : place + 2], "little")
        size = int.from_bytes(data[place + 8 : place + 16], "little")
        taken = HEADER + (size + 7) // 8 * 8 if index else size
        if taken < HEADER or place + taken > end:
            raise _damaged(where, place)
        place += taken


def _damaged(where: str, place: int) -> ModelError:
    return ModelError(
        "E1003", f"the file is truncated or damaged (a heap of text at byte {place:,})",
        where=where, remedy="copy or export the file again",
    )  # fmt: skip
