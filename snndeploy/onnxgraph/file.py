"""The network as the bytes of an `.onnx` file, with all that reads it back beside the graph.

The graph says what is computed; the metadata say what it is: the network's text without its arrays,
which initializer holds which array, when the chip computes what, how inputs are encoded and answers
decided.
"""

import json
from importlib.metadata import version
from typing import Any

from onnx import ModelProto

from snndeploy.ir.network import Network
from snndeploy.ir.text import print_network
from snndeploy.onnxgraph.network import Form, OnnxNetwork, write_network

FORMAT = "1"
PREFIX = "snndeploy."
TIME = (
    "model time: one call or scan step is one model step; populations are updated in the order of "
    "their waves and take what their sources send in the same step, or lag steps before; all "
    "carried values are 0 before a sample's first step; arithmetic is int64, weights are 8 bits"
)


def dump_onnx(network: Network, form: Form = "sequence", *, inline: bool = False) -> bytes:
    """Return a network as an `.onnx` file; the same network gives the same bytes.

    Args:
        network: a verified network.
        form: one `step`, or the `sequence` of all.
        inline: without functions, for tools that do not know them.

    Raises:
        UnsupportedError: E2400 to E2403, see `write_network`.
    """
    written = described(network, form, inline=inline)
    return serialized(written.model)


def serialized(model: ModelProto) -> bytes:
    """Return a model as bytes, equal models as equal ones."""
    return bytes(model.SerializeToString(deterministic=True))


def described(network: Network, form: Form, *, inline: bool) -> OnnxNetwork:
    """Return a network as an ONNX model with its metadata; see `dump_onnx`."""
    written = write_network(network, form, inline=inline)
    for key, value in sorted(_metadata(network, written, inline=inline).items()):
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        written.model.metadata_props.add(key=PREFIX + key, value=text)
    return written


def _metadata(network: Network, written: OnnxNetwork, *, inline: bool) -> dict[str, Any]:
    text, _ = print_network(network, inline_below=0)
    return {
        "format": FORMAT,
        "version": version("snndeploy"),
        "form": written.form,
        "inline": inline,
        "steps": network.steps,
        "semantics": TIME,
        "waves": {p.name: p.wave for p in network.populations},
        "inputs": {
            source.name: {
                "name": written.inputs[source.name].name,
                "encoding": source.encoding,
                "scale": source.scale,
                "low": source.low,
                "high": source.high,
                "repeat": source.repeat,
            }
            for source in network.inputs
        },
        "outputs": {
            output.name: {
                "name": written.answers[output.name].name,
                "population": output.population,
                "readout": output.readout,
                "decode": output.decode,
                "scale": output.scale,
            }
            for output in network.outputs
        },
        "carried": [
            {"of": c.owner, "word": c.word, "input": c.before.name, "output": c.after.name}
            for c in written.carried
        ],
        "arrays": {
            key: {
                "initializer": name,
                "factor": stored.factor if stored else 1,
                "transposed": bool(stored and stored.transposed),
            }
            for key, (name, stored) in written.arrays.items()
        },
        "network": text,
    }
