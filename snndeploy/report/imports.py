"""What an import did to a model, layer by layer: what each became, how exactly, and who said so.

The float side comes from the model; what a layer became on the chip, and how large its
approximations are, from compiling it. Where that is refused, the refusal is part of the report.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from snndeploy.errors import SnnDeployError
from snndeploy.model import METADATA_KEY, ImportNote, Model
from snndeploy.nirgraph.canonical import NEURONS
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.nirgraph.shapes import normalize_graph, shape_of
from snndeploy.passes.layer_report import LayerReport
from snndeploy.semantics import Semantics, to_record


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedLayer:
    """One node of the imported graph.

    Attributes:
        node: its name.
        kind: NIR node type.
        shape: of what it sends, without time and batch.
        became: population and program that hold it on the chip; empty if it was not compiled.
        exact: whether that population equals the float one, proven; None if it was not compiled.
        weight_error, bias_error, decay_error: of that population, see `LayerReport`.
        why: reasons why it is not exact.
        notes: what the import changed here.
    """

    node: str
    kind: str
    shape: tuple[int, ...]
    became: str
    exact: bool | None
    weight_error: float
    bias_error: float
    decay_error: float
    why: tuple[str, ...]
    notes: tuple[ImportNote, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StatedSemantics:
    """How some neurons take a step.

    Attributes:
        nodes: their names.
        fields: the semantics, field by field.
        said: who said each field: `file`, `module`, `preset NAME`, `option` or `default`.
    """

    nodes: tuple[str, ...]
    fields: Mapping[str, Any]
    said: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        layers: every node but the ports, in the order of the graph.
        semantics: of the neurons, one entry for all that share theirs.
        notes: what concerns no single node.
        refused: why the model does not compile as it is; empty if it does.
    """

    layers: tuple[ImportedLayer, ...]
    semantics: tuple[StatedSemantics, ...]
    notes: tuple[ImportNote, ...]
    refused: str


def import_report(
    model: Model, compiled: Sequence[LayerReport] | SnnDeployError | None
) -> ImportReport:
    """Return what an import did to a model.

    Args:
        model: what was imported.
        compiled: its layers on the chip, why there are none, or None if nobody asked.
    """
    graph = normalize_graph(model.graph)
    layers = () if compiled is None or isinstance(compiled, SnnDeployError) else tuple(compiled)
    holder = {node: layer for layer in layers for node in layer.node.split("+")}
    ports = {*(port.name for port in model.inputs), *(port.name for port in model.outputs)}
    return ImportReport(
        layers=tuple(
            _layer(name, node, model, holder.get(name))
            for name, node in graph.nodes.items()
            if name not in ports
        ),
        semantics=stated_semantics(model),
        notes=tuple(note for note in model.notes if note.node not in graph.nodes),
        refused=compiled.line() if isinstance(compiled, SnnDeployError) else "",
    )


def stated_semantics(model: Model) -> tuple[StatedSemantics, ...]:
    """Return the semantics of all neurons, those that share theirs together."""
    groups: dict[tuple[Semantics, bool], list[str]] = {}
    for name, node in model.graph.nodes.items():
        if isinstance(node, NEURONS) and not isinstance(node, Microcode):
            is_own = METADATA_KEY in (node.metadata or {})
            groups.setdefault((model.semantics_of(name), is_own), []).append(name)
    return tuple(
        StatedSemantics(
            nodes=tuple(names),
            fields=to_record(semantics),
            said={
                field: "the node" if is_own else model.said.get(field, "file")
                for field in to_record(semantics)
            },
        )
        for (semantics, is_own), names in groups.items()
    )


def import_record(report: ImportReport) -> dict[str, Any]:
    """Return the report as plain data."""
    return asdict(report)


def _layer(name: str, node: Any, model: Model, held: LayerReport | None) -> ImportedLayer:
    return ImportedLayer(
        node=name,
        kind=type(node).__name__,
        shape=shape_of(node),
        became=f"{held.population} ({held.program})" if held else "",
        exact=held.exact if held else None,
        weight_error=held.weight_rms if held else 0.0,
        bias_error=held.bias_error if held else 0.0,
        decay_error=held.decay_error if held else 0.0,
        why=held.why if held else (),
        notes=tuple(note for note in model.notes if note.node == name),
    )
