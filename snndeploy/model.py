"""A trained model on the float side: a plain NIR graph, its semantics, its ports, its history."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import nir

from snndeploy.ir.network import Decode
from snndeploy.semantics import Semantics, from_record

NoteKind = Literal["folded", "dropped", "approximated", "assumed", "trained", "pruned", "repaired"]
METADATA_KEY = "snndeploy"


@dataclass(frozen=True, kw_only=True, slots=True)
class InputPort:
    """One input: its shape without time and batch, and what its values are.

    Attributes:
        values: `spikes` (0 or 1) or `real` numbers in [low, high].
        repeat: one frame per sample, shown at every step (a static image).
    """

    name: str
    shape: tuple[int, ...]
    values: Literal["spikes", "real"]
    low: float
    high: float
    repeat: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputPort:
    """One output: the last node's answer per step, and the reduction over steps that decides."""

    name: str
    shape: tuple[int, ...]
    decode: Decode = "sum"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportNote:
    """One thing the import or a pass changed: what, where, and its size if it is a number."""

    kind: NoteKind
    node: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Original:
    """What the user's own module reached before a rewrite made another network of it.

    Attributes:
        accuracy: share of right decisions, 0 to 1.
        n_samples: how many were decided.
        digest: of those samples and labels (`Samples.digest`).
    """

    accuracy: float
    n_samples: int
    digest: str


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Model:
    """A NIR graph (float) and all that is needed to run it.

    Attributes:
        graph: plain NIR; every neuron node may carry its own semantics in its metadata.
        semantics: default of nodes that carry none.
        steps: model steps per sample (P), None until the user says.
        origin: where the model came from, for reports.
        original: the module's own accuracy, if it was measured when the model was saved.
        said: who said each field of `semantics`: `file`, `module`, `preset NAME`, `option` or
            `default`; empty where everything is the file's.
    """

    graph: nir.NIRGraph
    semantics: Semantics
    inputs: tuple[InputPort, ...]
    outputs: tuple[OutputPort, ...]
    steps: int | None
    notes: tuple[ImportNote, ...]
    origin: str
    original: Original | None = None
    said: Mapping[str, str] = field(default_factory=dict)

    def semantics_of(self, node: str) -> Semantics:
        """Return the semantics of one neuron node: its own if it carries one, else the default."""
        metadata: dict[str, Any] = self.graph.nodes[node].metadata or {}
        own = metadata.get(METADATA_KEY)
        return from_record({k: _plain(v) for k, v in own.items()}) if own else self.semantics


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
