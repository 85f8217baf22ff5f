"""Plain data and arrays as bytes, from the process that reads files to the one that uses them.

A block is a JSON header (8 bytes of length in front of it) and the raw bytes of its arrays, each
padded to `ALIGNED` bytes. Nothing in it is code, and every length is checked before it is believed.
"""

import json
from math import prod
from typing import Any

import numpy as np

from snndeploy.ir.arrays import AnyArray

KINDS = "biuf"
ALIGNED = 16


def pack(header: dict[str, Any], arrays: list[AnyArray]) -> list[bytes | memoryview]:
    """Return the parts of a block; C-contiguous arrays are not copied."""
    held = [np.asarray(array, order="C") for array in arrays]
    shapes = [[array.dtype.str, list(array.shape)] for array in held]
    text = json.dumps({"header": header, "arrays": shapes}).encode()
    text += b" " * (-(8 + len(text)) % ALIGNED)
    parts: list[bytes | memoryview] = [len(text).to_bytes(8, "little"), text]
    for array in held:
        parts += [array.reshape(-1).view(np.uint8).data, bytes(-array.nbytes % ALIGNED)]
    return parts


def unpack(data: memoryview) -> tuple[dict[str, Any], list[AnyArray], memoryview]:
    """Return header and arrays of the first block, and what follows it; arrays are views of it.

    Raises:
        ValueError: it is none.
    """
    size = int.from_bytes(data[:8], "little")
    block = json.loads(bytes(data[8 : 8 + size]))
    rest = data[8 + size :]
    arrays = []
    for code, shape in block["arrays"]:
        dtype = np.dtype(code)
        if dtype.kind not in KINDS:
            raise ValueError(f"an array of {dtype}")
        size = prod(shape) * dtype.itemsize
        if not 0 <= size <= len(rest):
            raise ValueError(f"an array of {size:,} bytes where {len(rest):,} are")
        arrays.append(np.ndarray(shape, dtype, rest[:size]))
        rest = rest[size + -size % ALIGNED :]
    return block["header"], arrays, rest


def take_arrays(value: Any, arrays: list[AnyArray]) -> Any:
    """Return nested plain data with every array replaced by its number in `arrays`."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"$array": len(arrays) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(key): take_arrays(entry, arrays) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [take_arrays(entry, arrays) for entry in value]
    return value


def give_arrays(value: Any, arrays: list[AnyArray]) -> Any:
    """Return what `take_arrays` was given."""
    if isinstance(value, dict):
        if value.keys() == {"$array"}:
            return arrays[value["$array"]]
        return {key: give_arrays(entry, arrays) for key, entry in value.items()}
    return [give_arrays(entry, arrays) for entry in value] if isinstance(value, list) else value
