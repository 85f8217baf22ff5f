"""Read our own `.onnx` files in the reading process; see `integer_file`."""

from typing import Any

from snndeploy.frontends.integer_file import packed
from snndeploy.ir.arrays import AnyArray
from snndeploy.onnxgraph.read import load_onnx


def read_onnx(path: str) -> tuple[Any, list[AnyArray]]:
    """Return the network of an `.onnx` file that snndeploy wrote, as plain data and arrays."""
    return packed(path, load_onnx)
