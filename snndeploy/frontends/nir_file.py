"""Read and write `.nir` files: plain NIR graphs, with snndeploy's own facts in the metadata.

NIR says nothing of time steps: what a file leaves open is taken from its metadata if snndeploy
wrote it, else from the caller, else assumed and noted; where its writer gives itself away
(`exporters`) and is known to mean something else, the option that decides is asked for.
"""

import os
from dataclasses import fields, replace
from math import inf
from pathlib import Path
from typing import Any, Literal

import nir
import numpy as np

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.frontends.confined import packed
from snndeploy.frontends.exporters import (
    Guess,
    check_default,
    check_sinabs,
    check_steps,
    clamp_notes,
    guess_exporter,
)
from snndeploy.frontends.guard_hdf5 import check_hdf5_file
from snndeploy.frontends.nir_content import read_content
from snndeploy.frontends.nir_repair import repair_graph
from snndeploy.ir.arrays import AnyArray
from snndeploy.model import METADATA_KEY, ImportNote, InputPort, Model, OutputPort
from snndeploy.nirgraph import metadata
from snndeploy.nirgraph.canonical import NEURONS
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.nirgraph.rebuild import build_graph
from snndeploy.nirgraph.shapes import normalize_graph, shape_of
from snndeploy.nirgraph.values import check_finite
from snndeploy.semantics import PRESETS, Chosen, Semantics, parse_choice

Values = Literal["spikes", "real"]
FIELDS = tuple(field.name for field in fields(Semantics))
UNREADABLE = (
    ArithmeticError, AssertionError, AttributeError, IndexError, KeyError, NotImplementedError,
    OSError, RecursionError, TypeError, ValueError,
)  # fmt: skip
"""What nir raises on files it cannot read."""


def read(
    path: str | os.PathLike[str],
    semantics: Semantics | Chosen | None = None,
    *,
    values: Values = "real",
    input_range: tuple[float, float] = (-inf, inf),
) -> Model:
    """Read a `.nir` file, nir's own reader first, ours where that fails on sound content.

    Args:
        path: file.
        semantics: of neurons that carry none, all of them or as a preset with overrides; preset
            `nir` is assumed, and noted, if not given.
        values: what the inputs carry, where the file does not say.
        input_range: of real inputs, where the file does not say; unbounded if not given.

    Returns:
        The model; steps are None unless snndeploy wrote the file.

    Raises:
        ModelError: E1001 to E1004, E1030 to E1034 (file), E1010, E1012, E1020 to E1022 (content),
            E1420, E1425 (cannot be repaired), E1421 to E1423 (semantics that contradict the file,
            or that it needs).
        UnsupportedError: E2020, a node type that is not supported, by name.
    """
    file = Path(path)
    check_hdf5_file(file)
    try:
        complete, added, notes = _read_graph(file)
        graph = normalize_graph(complete)
        check_finite(graph)
        metadata.check_semantics(graph)
        model = _model(graph, file.name, semantics, values, input_range)
    except (ModelError, UnsupportedError) as error:
        place = f"{file}: {error.where}" if error.where else str(file)
        raise type(error)(error.code, error.message, where=place, remedy=error.remedy) from error
    except UNREADABLE as error:  # content of a kind that no check foresaw
        text = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
        raise ModelError(
            "E1034", f"its content makes no graph: {text:.160}", where=str(file),
            remedy="export the graph again with a current nir",
        ) from error  # fmt: skip
    text = "the file has no port here; added"
    ports = tuple(ImportNote(kind="assumed", node=name, text=text) for name in added)
    return replace(model, notes=(*ports, *notes, *model.notes))


def read_packed(
    path: str, *, semantics: str | None, values: Values, input_range: tuple[float, float]
) -> tuple[Any, list[AnyArray]]:
    """Read a `.nir` file in the reading process; the semantics are `PRESET[,key=value…]`."""
    chosen = None if semantics is None else parse_choice(semantics)
    low, high = input_range
    return packed(read(path, chosen, values=values, input_range=(low, high)))


def write(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model as `.nir`; an existing file is replaced in one step.

    Raises:
        ModelError: E1001, the file cannot be written.
        UnsupportedError: E2020, a node type that NIR files do not hold.
    """
    file = Path(path)
    normalized = normalize_graph(model.graph)
    for name, node in normalized.nodes.items():
        if isinstance(node, Microcode):
            raise UnsupportedError(
                "E2020",
                f"NIR has no node for neurons of program {node.program.name!r}",
                where=name,
                remedy="save the model as model.pt",
            )
    record = {METADATA_KEY: metadata.model_record(model)}
    graph = build_graph(normalized.nodes, normalized.edges, {**normalized.metadata, **record})
    scratch = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        nir.write(str(scratch), graph)
        scratch.replace(file)
    except OSError as error:
        raise ModelError("E1001", f"cannot be written: {error}", where=str(file)) from error
    finally:
        scratch.unlink(missing_ok=True)


def _read_graph(file: Path) -> tuple[nir.NIRGraph, tuple[str, ...], tuple[ImportNote, ...]]:
    """Return the graph, the ports that nir added where a file has none, and what was repaired.

    nir's type check completes graphs without ports, but is wrong on grouped and non-square
    convolutions: where it fails, the graph is taken as it is and checked by us.
    """
    with np.errstate(all="ignore"):
        found, added, notes = _read_as_written(file)
        repaired, more = repair_graph(found)
    return repaired, added, (*notes, *more)


def _read_as_written(file: Path) -> tuple[nir.NIRGraph, tuple[str, ...], tuple[ImportNote, ...]]:
    try:
        plain = nir.read(str(file), type_check=False)
    except UNREADABLE as error:
        graph, notes = _read_ourselves(file, error)
        return graph, (), notes
    try:
        complete = nir.read(str(file), type_check=True)
    except UNREADABLE:
        return plain, (), ()
    return complete, tuple(name for name in complete.nodes if name not in plain.nodes), ()


def _read_ourselves(file: Path, error: Exception) -> tuple[nir.NIRGraph, tuple[ImportNote, ...]]:
    text = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
    why = f"nir {nir.version} cannot read the file ({text:.120}); read by ourselves"
    try:
        graph, notes = read_content(file)
    except (ModelError, *UNREADABLE, RuntimeError) as ours:
        where, what = "", str(ours).split("\n", maxsplit=1)[0][:120]
        if isinstance(ours, ModelError):
            where, what = ours.where, ours.message
        raise ModelError(
            "E1034", f"nir {nir.version} cannot read it: {text:.160}; nor can we: {what}",
            where=where, remedy="export the graph again with a current nir",
        ) from error  # fmt: skip
    return graph, (ImportNote(kind="repaired", node="", text=why), *notes)


def _model(
    graph: nir.NIRGraph,
    origin: str,
    semantics: Semantics | Chosen | None,
    values: Values,
    input_range: tuple[float, float],
) -> Model:
    own = (graph.metadata or {}).get(METADATA_KEY)
    record = metadata.plain_record(own) if own else None
    if record is None:
        return _foreign(graph, origin, semantics, values, input_range)
    inputs, outputs = metadata.ports_of_record(graph, record)
    default = metadata.semantics_of_record("semantics", record.get("semantics"))
    given = {"semantics": semantics is not None, "input range": input_range != (-inf, inf)}
    unused = (
        ImportNote(kind="dropped", node="", text=f"the {what} given: the file has its own")
        for what, is_given in given.items()
        if is_given
    )
    return Model(
        graph=graph,
        semantics=default,
        inputs=inputs,
        outputs=outputs,
        steps=metadata.steps_of_record(record),
        notes=tuple(unused),
        origin=origin,
        said=dict.fromkeys(FIELDS, "file"),
    )


def _foreign(
    graph: nir.NIRGraph,
    origin: str,
    semantics: Semantics | Chosen | None,
    values: Values,
    input_range: tuple[float, float],
) -> Model:
    """Return the model of a file that another program wrote."""
    silent = any(_says_nothing(node) for node in graph.nodes.values())
    guess = guess_exporter(graph) if silent else None
    chosen = semantics.semantics if isinstance(semantics, Chosen) else semantics
    default = chosen or PRESETS["nir"]
    if silent and chosen is None:
        check_default(graph, guess)
    if silent and isinstance(semantics, Chosen) and semantics.preset == "sinabs":
        check_sinabs(graph, semantics.overrides)
    check_steps(graph, default, guess)
    inputs, outputs = _ports(graph, values, input_range)
    return Model(
        graph=graph,
        semantics=default,
        inputs=inputs,
        outputs=outputs,
        steps=None,
        notes=_notes(graph, semantics, guess),
        origin=origin,
        said={field: _origin(semantics, field) for field in FIELDS},
    )


def _says_nothing(node: Any) -> bool:
    return isinstance(node, NEURONS) and METADATA_KEY not in (node.metadata or {})


def _origin(semantics: Semantics | Chosen | None, field: str) -> str:
    if isinstance(semantics, Chosen):
        return semantics.origin(field)
    return "default" if semantics is None else "option"


def _ports(
    graph: nir.NIRGraph, values: Values, input_range: tuple[float, float]
) -> tuple[tuple[InputPort, ...], tuple[OutputPort, ...]]:
    low, high = (0.0, 1.0) if values == "spikes" else input_range
    inputs = tuple(
        InputPort(name=name, shape=shape_of(node), values=values, low=low, high=high)
        for name, node in graph.inputs.items()
    )
    outputs = tuple(
        OutputPort(name=name, shape=shape_of(node)) for name, node in graph.outputs.items()
    )
    return inputs, outputs


def _notes(
    graph: nir.NIRGraph, semantics: Semantics | Chosen | None, guess: Guess | None
) -> tuple[ImportNote, ...]:
    known = () if guess is None else (ImportNote(kind="assumed", node="", text=guess.text),)
    if semantics is not None:
        lost = known if guess is not None and guess.loses_weights else ()
        return (*lost, *clamp_notes(graph, semantics))
    text = "the file does not say how steps are taken; semantics nir (Euler, dt 1e-4 s, reset, >)"
    neurons = [name for name, node in graph.nodes.items() if _says_nothing(node)]
    return (*(ImportNote(kind="assumed", node=name, text=text) for name in neurons), *known)
