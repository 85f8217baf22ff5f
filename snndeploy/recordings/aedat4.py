r"""Read the events of an AEDAT4 file: iniVation's container of flatbuffers in compressed packets.

    #!AER-DAT4.0\r\n
    header    size, table IOHE: compression, position of the data table, an XML of the streams
    packets   stream id and size (int32 each), then a table EVTS, compressed: the size-prefixed
              vector of 16-byte events (int64 t in microseconds, int16 x, int16 y, bool p)

Every offset is checked before it is followed, every packet is bounded before it is inflated, all
in the reading process; other streams (frames, IMU) are skipped. Source: dv-processing, io/, schemas
of IOHeader and EventPacket.
"""

import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from snndeploy.errors import ModelError, TargetError
from snndeploy.ir.arrays import AnyArray
from snndeploy.npz import read_bytes
from snndeploy.reading.confined import read_plain
from snndeploy.recordings.events import FIELDS, Events

MAGIC = b"#!AER-DAT4.0\r\n"
EVENT = np.dtype(
    {"names": ["t", "x", "y", "p"], "formats": ["<i8", "<i2", "<i2", "?"],
     "offsets": [0, 8, 10, 12], "itemsize": 16}
)  # fmt: skip
COMPRESSIONS = {0: "none", 1: "lz4", 2: "lz4", 3: "zstd", 4: "zstd"}
MAX_PACKET = 1 << 28
"""Bytes of one inflated packet, 256 MiB."""
MAX_BYTES = 1 << 31
"""Bytes of all events together, 2 GiB."""


class _Header(NamedTuple):
    compression: str
    end: int
    streams: dict[int, str]
    first: int


def read_confined(path: Path) -> Events:
    """Return the fields of what `read_aedat4` does, the file read where it can do no harm.

    Raises:
        ModelError, TargetError: see `read_aedat4`; E1470, E1471, see `read_plain`.
    """
    _, arrays = read_plain("snndeploy.recordings.aedat4:read_packed", path, {})
    return dict(zip(FIELDS, arrays, strict=True))


def read_packed(path: str) -> tuple[Any, list[AnyArray]]:
    """Read all events in the reading process: an array per field."""
    events = read_aedat4(read_bytes(Path(path)), path)
    return {}, [events[field] for field in FIELDS]


def read_aedat4(data: bytes, where: str) -> AnyArray:
    """Return all events of a file, a structured array with fields t, x, y, p in order of time.

    Raises:
        ModelError: E1441, the file is damaged, or has no events; E1204, it inflates to too much.
        TargetError: E5134, the package that inflates it is missing.
    """
    try:
        header = _header(data, where)
        parts = list(_packets(data, header, where))
    except (struct.error, IndexError, ET.ParseError, UnicodeDecodeError) as error:
        raise _damaged(where, str(error) or type(error).__name__) from error
    if not parts:
        raise _damaged(where, "it has no events")
    events = np.concatenate(parts)
    return events[np.argsort(events["t"], kind="stable")]


def _header(data: bytes, where: str) -> _Header:
    start = len(MAGIC)
    size = _u32(data, start)
    table = _Table(data[start + 4 : start + 4 + size], b"IOHE", where)
    if len(table.data) != size:
        raise _damaged(where, "the header is cut short")
    number = table.integer(0, "<i", 0)
    if number not in COMPRESSIONS:
        raise _damaged(where, f"compression {number} is unknown")
    end = table.integer(1, "<q", -1)
    first = start + 4 + size
    end = len(data) if end < 0 else end
    if not first <= end <= len(data):
        raise _damaged(where, f"its table of data lies at {end:,} of {len(data):,} bytes")
    return _Header(COMPRESSIONS[number], end, _streams(table.text(2), where), first)


def _streams(text: str, where: str) -> dict[int, str]:
    """Return the kind of every stream: EVTS, FRME or IMUS."""
    if "<!" in text:
        raise _damaged(where, "its description declares entities")
    root = ET.fromstring(text)  # entities are refused above, the size is the header's
    found = {}
    for node in root.iter("node"):
        kinds = [a.text or "" for a in node.findall("attr") if a.get("key") == "typeIdentifier"]
        name = node.get("name") or ""
        if kinds and name.isdecimal():
            found[int(name)] = kinds[0]
    return found


def _packets(data: bytes, header: _Header, where: str) -> Iterator[AnyArray]:
    position, total = header.first, 0
    while position < header.end:
        stream, size = struct.unpack_from("<ii", data, position)
        position += 8
        if size < 0 or position + size > header.end:
            raise _damaged(where, f"a packet of {size:,} bytes at {position:,}")
        if header.streams.get(stream) == "EVTS":
            packet = _inflated(data[position : position + size], header.compression, where)
            events = _events(packet, where)
            total += events.nbytes
            if total > MAX_BYTES:
                raise ModelError("E1204", f"more than {MAX_BYTES:,} bytes of events", where=where)
            yield events
        position += size


def _events(packet: bytes, where: str) -> AnyArray:
    size = _u32(packet, 0)
    table = _Table(packet[4 : 4 + size], b"EVTS", where)
    return table.vector(0, EVENT)


def _inflated(packet: bytes, compression: str, where: str) -> bytes:
    if compression == "none":
        return packet
    try:
        inflated = _lz4(packet) if compression == "lz4" else _zstd(packet)
    except ImportError as error:
        raise TargetError(
            "E5134", f"its packets are compressed ({compression}): {error}", where=where,
            remedy="install snndeploy[events]",
        ) from error  # fmt: skip
    except Exception as error:
        raise _damaged(where, f"a packet does not inflate: {error}") from error
    if len(inflated) > MAX_PACKET:
        raise ModelError("E1204", f"a packet inflates to over {MAX_PACKET:,} bytes", where=where)
    return inflated


def _lz4(packet: bytes) -> bytes:
    from lz4.frame import LZ4FrameDecompressor

    return bytes(LZ4FrameDecompressor().decompress(packet, MAX_PACKET + 1))


def _zstd(packet: bytes) -> bytes:
    from zstandard import ZstdDecompressor

    with ZstdDecompressor(max_window_size=MAX_PACKET).stream_reader(packet) as reader:
        return bytes(reader.read(MAX_PACKET + 1))


class _Table:
    """A flatbuffer's root table; every read lies inside its bytes."""

    def __init__(self, data: bytes, identifier: bytes, where: str) -> None:
        self.data, self.where = data, where
        if data[4:8] != identifier:
            raise _damaged(where, f"no {identifier.decode()} table where one should be")
        self.start = _u32(data, 0)
        offset = struct.unpack_from("<i", data, self.start)[0]
        self.fields = self.start - offset
        if not 0 <= self.fields <= len(data) - 4:
            raise _damaged(where, "a table points outside its packet")
        self.n_fields = (struct.unpack_from("<H", data, self.fields)[0] - 4) // 2

    def integer(self, index: int, kind: str, default: int) -> int:
        """Return a number field."""
        place = self._place(index)
        return default if place is None else int(struct.unpack_from(kind, self.data, place)[0])

    def text(self, index: int) -> str:
        """Return a string field."""
        return bytes(self.vector(index, np.dtype(np.uint8))).decode()

    def vector(self, index: int, kind: "np.dtype[np.generic]") -> AnyArray:
        """Return a vector field, empty if it is not there."""
        place = self._place(index)
        if place is None:
            return np.zeros(0, kind)
        start = place + _u32(self.data, place)
        count = _u32(self.data, start)
        if start + 4 + count * kind.itemsize > len(self.data):
            raise _damaged(self.where, f"a vector of {count:,} ends outside its packet")
        return np.frombuffer(self.data, kind, count, start + 4)

    def _place(self, index: int) -> int | None:
        if index >= self.n_fields:
            return None
        offset = struct.unpack_from("<H", self.data, self.fields + 4 + 2 * index)[0]
        return self.start + offset if offset else None


def _u32(data: bytes, position: int) -> int:
    return int(struct.unpack_from("<I", data, position)[0])


def _damaged(where: str, reason: str) -> ModelError:
    return ModelError(
        "E1441", f"damaged AEDAT4 file: {reason}", where=where, remedy="copy or record it again"
    )
