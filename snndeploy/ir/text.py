"""The network as text, printed and parsed back: what goldens hold and bundles store.

One record per line, `kind name key=value …`; a record's arrays and a program's statements follow
it, indented. Arrays are written out (`weight 2x2 : 1 2 3 4`) or, when long, kept beside the text
(`weight @fc.weight`).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, get_args

import numpy as np

from snndeploy.errors import ModelError
from snndeploy.ir.arrays import AnyArray, IntArray, frozen_int
from snndeploy.ir.network import Network, Output, Population, Projection, Source
from snndeploy.ir.program import ARITY, Operand, Program, State, Statement
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse

HEADER = "snndeploy-network 3"
SCHEDULE = ("steps", "guard", "alone")
SYNAPSES: Mapping[str, type[Synapse]] = {
    "dense": Dense, "conv": Conv, "pool": Pool, "sparse": Sparse, "one_to_one": OneToOne,
}  # fmt: skip
KIND_OF: Mapping[type[Synapse], str] = {kind: name for name, kind in SYNAPSES.items()}
UNREADABLE = (
    ArithmeticError, AssertionError, IndexError, KeyError, StopIteration, TypeError, ValueError,
    ModelError,
)  # fmt: skip
_PLAIN = re.compile(r"[A-Za-z_][\w.\-+]*\Z")
_TOKEN = re.compile(r'(?:[^\s"=]+=)?(?:"(?:[^"\\]|\\.)*"|[^\s"]+)')
_JSON = json.JSONDecoder()


def print_network(
    network: Network, *, inline_below: int | None = None
) -> tuple[str, dict[str, IntArray]]:
    """Print a network.

    Args:
        network: the network.
        inline_below: arrays with at least this many elements are returned beside the text; None
            writes every array out.

    Returns:
        The text, and the arrays it refers to by name.
    """
    beside: dict[str, IntArray] = {}

    def array_line(key: str, owner: str, value: IntArray) -> str:
        if inline_below is not None and value.size >= inline_below:
            name = _beside(owner, key)
            beside[name] = value
            return f"  {key} @{_quote(name)}"
        return f"  {key} {_dims(value.shape)} : {' '.join(map(str, value.reshape(-1)))}".rstrip()

    lines = [HEADER, _record("network", network.name, {k: getattr(network, k) for k in SCHEDULE})]
    lines += [f"fact {_quote(k)} {json.dumps(v)}" for k, v in sorted(network.facts.items())]
    programs = {population.program.name: population.program for population in network.populations}
    for _, program in sorted(programs.items()):
        lines += _program_lines(program)
    lines += [_record("source", s.name, _scalars(s)) for s in network.sources]
    for population in network.populations:
        lines.append(_record("population", population.name, _scalars(population)))
        lines += [array_line(k, population.name, v) for k, v in population.params.items()]
    for projection in network.projections:
        synapse = projection.synapse
        head = {**_scalars(projection), "kind": KIND_OF[type(synapse)], **_scalars(synapse)}
        lines.append(_record("projection", projection.name, head))
        lines += [array_line(k, projection.name, v) for k, v in _arrays(synapse).items()]
    lines += [_record("output", o.name, _scalars(o)) for o in network.outputs]
    return "\n".join(lines) + "\n", beside


def array_names(network: Network) -> Iterator[str]:
    """Yield what every array is called where it lies beside the text."""
    for population in network.populations:
        yield from (_beside(population.name, key) for key in population.params)
    for projection in network.projections:
        yield from (_beside(projection.name, key) for key in _arrays(projection.synapse))


def parse_network(text: str, arrays: Mapping[str, AnyArray] | None = None) -> Network:
    """Parse what `print_network` printed; `arrays` holds those it kept beside the text.

    Raises:
        ModelError: E1064, with the line that cannot be read and why.
    """
    reader = _Reader(text, arrays or {})
    try:
        return reader.network()
    except UNREADABLE as error:
        reason = f"{type(error).__name__} {error}"
        if isinstance(error, ModelError):
            reason = f"{error.where}: {error.message}"
        raise ModelError(
            "E1064",
            f"cannot read the network: {reason}",
            where=f"line {reader.line_number}",
            remedy="write it again with `snndeploy inspect --emit network`",
        ) from error


def print_program(program: Program) -> str:
    """Print a neuron program as the text of a network has it."""
    return "\n".join(_program_lines(program)) + "\n"


def parse_program(text: str) -> Program:
    """Parse what `print_program` printed.

    Raises:
        ModelError: E1064, with the line that cannot be read and why.
    """
    reader = _Reader(text, {})
    try:
        _, label, values = reader._head()
        return reader._program(label, values)
    except UNREADABLE as error:
        raise ModelError(
            "E1064",
            f"cannot read the program: {type(error).__name__} {error}",
            where=f"line {reader.line_number}",
            remedy="save the model again",
        ) from error


class _Reader:
    """Cursor over the lines of a network's text."""

    def __init__(self, text: str, arrays: Mapping[str, AnyArray]) -> None:
        self.lines = text.splitlines()
        self.arrays = arrays
        self.line_number = 0

    def network(self) -> Network:
        if not self.lines or self.lines[0] != HEADER:
            raise ValueError(f"first line is not {HEADER!r}")
        self.line_number = 1
        name, schedule, facts = "", {}, {}
        programs: dict[str, Program] = {}
        parts: dict[str, list[Any]] = {
            "source": [],
            "population": [],
            "projection": [],
            "output": [],
        }
        while self.line_number < len(self.lines):
            kind, label, values = self._head()
            if kind == "network":
                name, schedule = label, _typed(Network, values)
            elif kind == "fact":
                facts[label] = values["text"]
            elif kind == "program":
                programs[label] = self._program(label, values)
            else:
                parts[kind].append(self._part(kind, label, values, programs))
        return Network(
            name=name,
            **schedule,
            sources=tuple(parts["source"]),
            populations=tuple(parts["population"]),
            projections=tuple(parts["projection"]),
            outputs=tuple(parts["output"]),
            facts=facts,
        )

    def _part(
        self, kind: str, label: str, values: dict[str, str], programs: Mapping[str, Program]
    ) -> Source | Population | Projection | Output:
        if kind == "source":
            return Source(name=label, **_typed(Source, values))
        if kind == "output":
            return Output(name=label, **_typed(Output, values))
        if kind == "population":
            program = programs[values.pop("program")]
            params = {key: self._array(text) for key, text in self._body()}
            return Population(
                name=label, program=program, params=params, **_typed(Population, values)
            )
        synapse_type = SYNAPSES[values.pop("kind")]
        own = {f.name for f in fields(synapse_type)}
        synapse_values = {k: values.pop(k) for k in list(values) if k in own}
        arrays: dict[str, Any] = {key: self._array(text) for key, text in self._body()}
        synapse = synapse_type(**_typed(synapse_type, synapse_values), **arrays)
        return Projection(name=label, synapse=synapse, **_typed(Projection, values))

    def _head(self) -> tuple[str, str, dict[str, str]]:
        line = self.lines[self.line_number]
        self.line_number += 1
        kind, label, *rest = _TOKEN.findall(line)
        if kind == "fact":
            return kind, _unquote(label), {"text": _unquote(rest[0])}
        pairs = (item.partition("=") for item in rest)
        return kind, _unquote(label), {key: _unquote(value) for key, _, value in pairs}

    def _body(self) -> Iterator[tuple[str, str]]:
        while self.line_number < len(self.lines) and self.lines[self.line_number].startswith("  "):
            key, _, text = self.lines[self.line_number].strip().partition(" ")
            self.line_number += 1
            yield key, text

    def _array(self, text: str) -> IntArray:
        if text.startswith("@"):
            return frozen_int(self.arrays[_unquote(text[1:])])
        shape, _, numbers = text.partition(":")
        return frozen_int(np.array(numbers.split(), dtype=np.int64).reshape(_parse_dims(shape)))

    def _program(self, label: str, values: dict[str, str]) -> Program:
        states: list[State] = []
        params: dict[str, str] = {}
        body: list[Statement] = []
        emits, payload = "", ""
        for key, text in self._body():
            if text.startswith("= "):
                _, op, *args = text.split()
                assert op in ARITY, f"unknown operation {op}"
                body.append(Statement(key, op, tuple(map(_operand, args))))  # type: ignore[arg-type]  # checked against ARITY
            elif key == "state":
                name, bits = text.split()
                states.append(State(name=name, bits=int(bits)))
            elif key == "param":
                name, _, params[name] = text.partition(" ")
            else:
                assert key == "emit", f"unknown word {key}"
                emits, payload = text.split()
        return Program(
            name=label,
            states=tuple(states),
            params=tuple(params),
            body=tuple(body),
            emits=emits,
            payload=_range(payload),
            registers={name: _numbers(text) for name, text in params.items() if text},
            **_typed(Program, values),
        )


def _program_lines(program: Program) -> list[str]:
    ranges = {name: f" {low}..{high}" for name, (low, high) in program.registers.items()}
    low, high = program.payload
    return [
        _record("program", program.name, {"native": program.native, "bounds": program.bounds}),
        *(f"  state {state.name} {state.bits}" for state in program.states),
        *(f"  param {name}{ranges.get(name, '')}" for name in program.params),
        *(f"  {s.target} = {s.op} {' '.join(map(str, s.args))}" for s in program.body),
        f"  emit {program.emits} {low}..{high}",
    ]


def _operand(text: str) -> Operand:
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def _range(text: str) -> tuple[Operand, Operand]:
    low, high = map(_operand, text.split(".."))
    return low, high


def _numbers(text: str) -> tuple[int, int]:
    low, high = map(int, text.split(".."))
    return low, high


def _beside(owner: str, key: str) -> str:
    return f"{owner}.{key}"


def _scalars(record: Any) -> dict[str, Any]:
    """Return the fields of a record that fit on its line, its program by name."""
    found = {f.name: getattr(record, f.name) for f in fields(record) if f.name != "name"}
    found = {k: v.name if isinstance(v, Program) else v for k, v in found.items()}
    return {k: v for k, v in found.items() if isinstance(v, str | int | float | tuple)}


def _arrays(record: Any) -> dict[str, IntArray]:
    found = {f.name: getattr(record, f.name) for f in fields(record)}
    return {k: v for k, v in found.items() if isinstance(v, np.ndarray)}


def _record(kind: str, name: str, values: Mapping[str, Any]) -> str:
    return " ".join([kind, _quote(name), *(f"{k}={_show(v)}" for k, v in values.items())])


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return _dims(value)
    return _quote(value) if isinstance(value, str) else repr(value)


def _quote(text: str) -> str:
    return text if _PLAIN.match(text) else json.dumps(text)


def _unquote(text: str) -> str:
    return str(_JSON.decode(text)) if text.startswith('"') else text


def _dims(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _parse_dims(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.strip().split("x"))


def _typed(record: type[Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Convert the texts of a record's line to its fields' types; an unknown key is an error."""
    types = {f.name: f.type for f in fields(record)}
    return {key: _converter(types[key])(text) for key, text in values.items()}


def _converter(annotation: Any) -> Callable[[str], Any]:
    if annotation is bool:
        return lambda text: {"true": True, "false": False}[text]
    if annotation in (int, float, str):
        return lambda text: annotation(text)
    choices = get_args(annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        return lambda text: choices[choices.index(text)]
    return _parse_dims
