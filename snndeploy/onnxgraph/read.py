"""Our own `.onnx` files read back as networks; files of strangers, so nothing in them is believed.

A file is parsed within limits, its network read from the metadata and the initializers, and the
graph of that network written again: only if it is the file's graph, byte for byte, does the file
say what its metadata claim.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from snndeploy.errors import ModelError, SnnDeployError
from snndeploy.ir.arrays import IntArray
from snndeploy.ir.network import Network
from snndeploy.ir.scale import verify_foreign
from snndeploy.ir.text import parse_network
from snndeploy.onnxgraph.file import FORMAT, PREFIX, described, serialized
from snndeploy.onnxgraph.statements import DOMAIN

MAX_BYTES = 256 << 20
"""Largest file; a weight takes one byte."""
MAX_NODES = 1_000_000
MAX_DEPTH = 2
"""A Scan's graph lies in the graph; nothing lies deeper."""
UNREADABLE = (
    ArithmeticError, AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError,
)  # fmt: skip
TYPES = (TensorProto.UINT8, TensorProto.INT8, TensorProto.INT64, TensorProto.DOUBLE)
EXPORT = "export it with `snndeploy export --format onnx`"
AGAIN = "export the network again"


def load_onnx(data: bytes, where: str) -> Network:
    """Return the network of an `.onnx` file that snndeploy wrote.

    Args:
        data: the file.
        where: what to call it in errors.

    Raises:
        ModelError: E1401 damaged, E1402 not ours, E1403 too large, E1404 operators of others, E1405
            data in other files, E1406 nested too deeply, E1407 graph and network differ, E1408
            metadata that cannot be read; E1065, E1413 no network.
    """
    if len(data) > MAX_BYTES:
        raise ModelError(
            "E1403", f"{len(data):,} bytes, {MAX_BYTES:,} are read", where=where, remedy=AGAIN
        )
    model = _parsed(data, where)
    try:  # text that is no UTF-8 comes as bytes, and is no text of ours
        _check_content(model, where)
        props = _metadata(model, where)
    except UNREADABLE as error:
        raise _damaged(where, f"{type(error).__name__} {error!s:.120}") from error
    try:
        network = parse_network(props["network"], _arrays(model, props))
    except ModelError as error:
        raise _damaged_metadata(where, error.line()) from error
    except UNREADABLE as error:
        raise _damaged_metadata(where, f"{type(error).__name__} {error}") from error
    verify_foreign(network, where)
    _check_graph(model, network, props, where)
    return network


def _parsed(data: bytes, where: str) -> ModelProto:
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, RecursionError, ValueError) as error:
        raise _damaged(where, str(error)) from None
    if not model.HasField("graph"):
        raise ModelError("E1401", "no ONNX model: there is no graph", where=where, remedy=EXPORT)
    return model


def _check_content(model: ModelProto, where: str) -> None:
    """Refuse what no file of ours has, before anything is made of it."""
    foreign = {o.domain for o in model.opset_import} - {"", DOMAIN}
    bodies = [model.graph.node, *(function.node for function in model.functions)]
    found = (pair for body in bodies for pair in _walk(body, 1))
    for number, (depth, node) in enumerate(found):
        foreign |= {node.domain} - {"", DOMAIN}
        if depth > MAX_DEPTH:
            raise ModelError(
                "E1406", f"graphs nested deeper than {MAX_DEPTH}", where=where, remedy=EXPORT
            )
        if number >= MAX_NODES:
            raise ModelError("E1403", f"more than {MAX_NODES:,} nodes", where=where, remedy=EXPORT)
    if foreign:
        raise ModelError(
            "E1404", f"operators of domain {min(foreign)!r:.60}", where=where, remedy=EXPORT
        )
    for tensor in model.graph.initializer:
        if tensor.external_data or tensor.data_location == TensorProto.EXTERNAL:
            raise ModelError(
                "E1405",
                f"values of {tensor.name!r:.60} lie in another file",
                where=where,
                remedy=EXPORT,
            )


def _walk(nodes: Any, depth: int) -> Iterator[tuple[int, NodeProto]]:
    """Yield every node with its depth; a level too deep is yielded, not entered."""
    for node in nodes:
        yield depth, node
        if depth > MAX_DEPTH:
            return
        for graph in _graphs(node):
            yield from _walk(graph.node, depth + 1)


def _graphs(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH or attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _metadata(model: ModelProto, where: str) -> dict[str, str]:
    """Return our metadata without their prefix."""
    props = {
        prop.key.removeprefix(PREFIX): prop.value
        for prop in model.metadata_props
        if prop.key.startswith(PREFIX)
    }
    if "network" not in props:
        raise ModelError(
            "E1402", "an ONNX model that snndeploy did not write", where=where,
            remedy="give the .pt or .nir that it was made of; only our own .onnx files are read",
        )  # fmt: skip
    if props.get("format") != FORMAT:
        raise ModelError(
            "E1408", f"format {props.get('format')!r:.20}, this snndeploy reads {FORMAT}",
            where=where, remedy=AGAIN,
        )  # fmt: skip
    return props


def _arrays(model: ModelProto, props: Mapping[str, str]) -> dict[str, IntArray]:
    """Return the network's arrays from the initializers that the metadata name."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    arrays = {}
    for key, how in json.loads(props["arrays"]).items():
        tensor = tensors[how["initializer"]]
        if tensor.data_type not in TYPES or not tensor.HasField("raw_data"):
            raise ValueError(f"{key} is no array of integers")
        values: Any = numpy_helper.to_array(tensor)
        values = values.T if how["transposed"] else values
        arrays[key] = values.astype(np.int64)
        arrays[key] *= int(how["factor"])
    return arrays


def _check_graph(model: ModelProto, network: Network, props: Mapping[str, str], where: str) -> None:
    """Write the network again and compare; only the version that wrote it may differ."""
    form, inline = props.get("form"), props.get("inline") == "true"
    if form not in ("sequence", "step"):
        raise _damaged_metadata(where, f"form {form!r:.20}")
    try:
        again = described(network, "step" if form == "step" else "sequence", inline=inline).model
    except SnnDeployError as error:
        raise _damaged_metadata(where, error.line()) from error
    for prop in again.metadata_props:
        if prop.key == f"{PREFIX}version":
            prop.value = props.get("version", "")
    if serialized(again) != serialized(model):
        raise ModelError(
            "E1407",
            f"its graph is not that of the network it carries (written by snndeploy "
            f"{props.get('version', '')!r:.20})",
            where=where,
            remedy="export it again; a graph that was edited or optimised is another network",
        )


def _damaged(where: str, reason: str) -> ModelError:
    return ModelError("E1401", f"no ONNX model, or damaged ({reason})", where=where, remedy=AGAIN)


def _damaged_metadata(where: str, reason: str) -> ModelError:
    return ModelError(
        "E1408", f"its metadata hold no network: {reason:.200}", where=where, remedy=AGAIN
    )
