"""A float model on the terminal and as JSON: ports, nodes, semantics, what the import changed."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from snndeploy.model import Model
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.passes.payload import edge_payloads
from snndeploy.report.console import cell, console, table
from snndeploy.report.imports import ImportReport
from snndeploy.report.plain import plain
from snndeploy.report.training import original_line
from snndeploy.semantics import to_record

PORTS = ("Input", "Output")
SMALL = 4
"""Arrays up to this size (kernels, strides) are written out."""


def model_record(model: Model) -> dict[str, Any]:
    """Return a model as plain data, without its arrays."""
    return {
        "origin": model.origin,
        "steps": model.steps,
        "semantics": to_record(model.semantics),
        "inputs": [asdict(port) for port in model.inputs],
        "outputs": [asdict(port) for port in model.outputs],
        "nodes": [
            {"name": name, "type": type(node).__name__, "fields": dict(_fields(node))}
            for name, node in model.graph.nodes.items()
        ],
        "edges": [list(edge) for edge in model.graph.edges],
        "original": asdict(model.original) if model.original else None,
        "payloads": [payload.text for payload in edge_payloads(model).values()],
        "notes": [asdict(note) for note in model.notes],
    }


def print_model(model: Model) -> None:
    """Print what was imported."""
    out = console()
    out.print(cell(f"{model.origin}: {len(model.graph.nodes)} nodes", "bold"))
    ports = table("port", "shape", "values")
    for port in model.inputs:
        shown = f"{port.values} in [{port.low:g}, {port.high:g}]"
        ports.add_row(
            cell(f"in {port.name}"),
            _dims(port.shape),
            shown + (", repeated" if port.repeat else ""),
        )
    for answer in model.outputs:
        ports.add_row(
            cell(f"out {answer.name}"), _dims(answer.shape), f"{answer.decode} over steps"
        )
    out.print(ports)
    nodes = table("node", "type", "sends", "parameters")
    sends = {source: payload.text for (source, _), payload in edge_payloads(model).items()}
    for name, node in model.graph.nodes.items():
        if type(node).__name__ not in PORTS:
            facts = " ".join(f"{key}={value}" for key, value in _fields(node))
            nodes.add_row(cell(name), type(node).__name__, sends.get(name, ""), cell(facts))
    out.print(nodes)
    out.print(cell("steps per sample: " + str(model.steps or "not said; give --steps")))
    out.print(cell("semantics: " + _semantics_line(model)))
    if model.original is not None:
        out.print(f"original module: {original_line(model.original)}")
    for note in model.notes:
        out.print(cell(f"{note.kind} {note.node}: {note.text}"))


def print_import(report: ImportReport, target: str) -> None:
    """Print who said how neurons step, and what each layer became on a chip."""
    out = console()
    if report.semantics:
        stated = table("semantics", "of", "said by")
        for group in report.semantics:
            for who in dict.fromkeys(group.said.values()):
                fields = [f"{k}={v}" for k, v in group.fields.items() if group.said[k] == who]
                stated.add_row(cell(" ".join(fields)), cell(", ".join(group.nodes)), cell(who))
        out.print(stated)
    if report.refused:
        out.print(cell(f"does not compile for {target} as it is: {report.refused}"))
        return
    rows = table(f"on {target}", "became", ">weights", ">bias", ">decay", "exact")
    for became in dict.fromkeys(layer.became for layer in report.layers if layer.became):
        held = [layer for layer in report.layers if layer.became == became]
        errors = (held[0].weight_error, held[0].bias_error, held[0].decay_error)
        rows.add_row(
            cell(" + ".join(layer.node for layer in held)),
            cell(became),
            *(f"{error:.2g}" if error else "0" for error in errors),
            cell("yes" if held[0].exact else "no: " + "; ".join(held[0].why)),
        )
    out.print(rows)
    out.print("errors: weights rms relative, bias in thresholds, decay per step")


def print_graph(model: Model) -> None:
    """Print the NIR graph: one line per node with its shapes, then the edges."""
    out = console()
    for name, node in model.graph.nodes.items():
        facts = " ".join(f"{key}={value}" for key, value in _fields(node))
        out.print(cell(f"node {name} {type(node).__name__} {facts}"), soft_wrap=True)
    for (source, target), payload in edge_payloads(model).items():
        out.print(cell(f"edge {source} -> {target}: {payload.text}"), soft_wrap=True)


def _semantics_line(model: Model) -> str:
    return ", ".join(f"{key}={value}" for key, value in to_record(model.semantics).items())


def _fields(node: Any) -> Iterator[tuple[str, str]]:
    """Yield a node's parameters: small ones as they are, arrays by shape and range."""
    values = vars(node)
    if isinstance(node, Microcode):
        own = {f"{key} ({p.kind})": p.value for key, p in node.parameters.items()}
        values = {"program": node.program.name, "fraction_bits": node.fraction_bits, **own}
    for key, value in values.items():
        if key in ("input_type", "output_type", "metadata", "nodes", "edges") or value is None:
            continue
        array = np.asarray(value)
        if array.dtype.kind not in "biuf" or array.ndim == 0:
            yield key, plain(str(value))
        elif array.size <= SMALL:
            yield key, ",".join(f"{number:g}" for number in array.reshape(-1))
        elif array.min() == array.max():
            yield key, f"[{_dims(array.shape)}] all {array.max():.4g}"
        else:
            yield key, f"[{_dims(array.shape)}] {array.min():.4g}..{array.max():.4g}"


def _dims(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "1"
