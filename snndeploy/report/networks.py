"""An integer network on the terminal and as JSON: what is in it, and what was exported of it."""

from dataclasses import asdict
from typing import Any

import numpy as np

from snndeploy.exporters.export import Exported
from snndeploy.ir.network import Projection
from snndeploy.ir.text import KIND_OF
from snndeploy.network_file import NetworkFile
from snndeploy.report.console import cell, console, table


def network_record(opened: NetworkFile) -> dict[str, Any]:
    """Return a network as plain data, without its arrays."""
    network = opened.network
    return {
        "name": network.name,
        "digest": opened.digest,
        "steps": network.steps,
        "guard": network.guard,
        "alone": network.alone,
        "sources": [
            {"name": s.name, "shape": list(s.shape), "encoding": s.encoding, "low": s.low,
             "high": s.high, "scale": s.scale, "repeat": s.repeat}
            for s in network.sources
        ],
        "populations": [
            {"name": p.name, "shape": list(p.shape), "program": p.program.name, "wave": p.wave}
            for p in network.populations
        ],
        "projections": [
            {"name": p.name, "source": p.source, "target": p.target, "weights": n_weights(p),
             "kind": KIND_OF[type(p.synapse)], "delay": p.delay, "lag": p.lag}
            for p in network.projections
        ],
        "outputs": [asdict(output) for output in network.outputs],
        "facts": dict(network.facts),
    }  # fmt: skip


def print_network_file(opened: NetworkFile) -> None:
    """Print what a network consists of."""
    network, out = opened.network, console()
    length = f"{network.steps} steps" if network.steps else "no end"
    kept = "samples alone" if network.alone else f"{network.guard} guard steps"
    out.print(cell(f"{network.name}: {length} per sample, {kept}", "bold"))
    nodes = table("node", "shape", "neurons", ">wave")
    for source in network.sources:
        what = f"{source.encoding} {source.low}..{source.high}"
        nodes.add_row(cell(source.name), _dims(source.shape), what, f"{source.wave}")
    for population in network.populations:
        shape = _dims(population.shape)
        program = cell(population.program.name)
        nodes.add_row(cell(population.name), shape, program, f"{population.wave}")
    out.print(nodes)
    edges = table("projection", "from", "to", "kind", ">weights", ">delay", ">lag")
    for p in network.projections:
        kind, n = KIND_OF[type(p.synapse)], f"{n_weights(p):,}"
        edges.add_row(
            cell(p.name), cell(p.source), cell(p.target), kind, n, f"{p.delay}", f"{p.lag}"
        )
    out.print(edges)
    for output in network.outputs:
        line = f"out {output.name}: {output.readout} of {output.population}, {output.decode}"
        out.print(cell(line))
    out.print(f"digest {opened.digest}")


def n_weights(projection: Projection) -> int:
    """Return how many weights a projection stores."""
    return int(np.size(projection.synapse.weight))


def exported_record(exported: Exported) -> dict[str, Any]:
    """Return what `export` wrote."""
    return {**asdict(exported), "path": str(exported.path)}


def print_exported(exported: Exported) -> None:
    """Print what was checked and written."""
    out = console()
    for line in exported.checks:
        out.print(cell(line, "green"))
    for note in exported.notes:
        out.print(cell(f"note: {note}", "dim"))
    out.print(cell(f"wrote {exported.path} ({exported.size:,} bytes)"))


def _dims(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
