"""Networks of integers, alone in a file, read where it can do no harm.

What crosses back is the network printed again, its arrays beside the text; it is parsed and checked
once more on arrival. Texts are read here, our own `.onnx` files by `onnx_file`.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from snndeploy.errors import ModelError
from snndeploy.ir.arrays import AnyArray
from snndeploy.ir.network import Network
from snndeploy.ir.scale import verify_foreign
from snndeploy.ir.text import parse_network, print_network
from snndeploy.npz import read_bytes, smallest_int
from snndeploy.reading.confined import read_plain

ONNX = ".onnx"
MAX_BYTES = 256 << 20
"""Largest file: a weight takes one byte in an `.onnx`, about four in a text."""
READERS = {True: "onnx_file:read_onnx", False: "integer_file:read_text"}
"""Readers by whether the file is an `.onnx`: only for these is onnx imported."""


def read_confined(path: Path) -> tuple[Network, str]:
    """Return the network of a text or of our own `.onnx` file, and the sha256 of the file.

    Raises:
        ModelError: E1212 unreadable, E1204 and E1403 too large, E1064, E1065 and E1413 no network,
            E1410 no text, E1401 to E1408 see `snndeploy.onnxgraph.read`, E1470 and E1471 see
            `read_plain`.
    """
    reader = f"snndeploy.frontends.{READERS[path.suffix == ONNX]}"
    content, arrays = read_plain(reader, path, {})
    network = parse_network(content["text"], dict(zip(content["names"], arrays, strict=True)))
    verify_foreign(network, str(path))
    return network, str(content["sha256"])


def read_text(path: str) -> tuple[Any, list[AnyArray]]:
    """Read a network's text in the reading process."""
    return packed(path, _parsed)


def packed(path: str, parse: Callable[[bytes, str], Network]) -> tuple[Any, list[AnyArray]]:
    """Return the network of a file as plain data and arrays; readers answer with it."""
    data = read_bytes(Path(path), limit=MAX_BYTES)
    text, arrays = print_network(parse(data, path), inline_below=0)
    held = [smallest_int(array) for array in arrays.values()]
    digest = hashlib.sha256(data).hexdigest()
    return {"text": text, "names": list(arrays), "sha256": digest}, held


def _parsed(data: bytes, where: str) -> Network:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ModelError(
            "E1410", "not the text of a network", where=where,
            remedy="write one with `snndeploy inspect MODEL --emit network`",
        ) from None  # fmt: skip
    try:
        network = parse_network(text)
    except ModelError as error:
        raise ModelError(
            error.code, error.message, where=f"{where}: {error.where}", remedy=error.remedy
        ) from error
    verify_foreign(network, where)
    return network
