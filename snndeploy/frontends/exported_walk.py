"""An exported program of one step as a `Model`: layers by their operators, neurons by `cells`.

The first input is data, the others are states. A state is the membrane potential or current of the
neuron whose arithmetic reads it, or, if a layer with weights reads it, what a neuron sent in the
step before. Every state must have its next value among the outputs, or as a changed buffer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from snndeploy.errors import ModelError, UnsupportedError, UsageError
from snndeploy.frontends.cells import WHERE, Cell, compared, read_cell, synapse_of
from snndeploy.frontends.confined import packed
from snndeploy.frontends.draft import Draft, Signal
from snndeploy.frontends.examples import ImportOptions, Values, source_of, start
from snndeploy.frontends.exported import (
    DTYPES,
    EXPORT,
    Operation,
    Program,
    Ref,
    read_program,
)
from snndeploy.frontends.expressions import (
    Expr,
    Source,
    State,
    calculate,
    is_known,
    is_spikes,
    leaves,
    own_states,
    states_of,
    unwrapped,
)
from snndeploy.frontends.layers import read_batch_norm, read_conv, read_linear
from snndeploy.frontends.operations import apply_operation
from snndeploy.frontends.outputs import outputs_of, signal_of
from snndeploy.frontends.sums import add
from snndeploy.ir.arrays import AnyArray
from snndeploy.model import Model, OutputPort
from snndeploy.nirgraph.metadata import with_semantics
from snndeploy.nirgraph.payload import SPIKES
from snndeploy.nirgraph.rebuild import build_graph
from snndeploy.nirgraph.shapes import normalize_graph
from snndeploy.nirgraph.values import check_finite
from snndeploy.semantics import Semantics

IGNORED = ("_assert_tensor_metadata", "_assert_scalar", "sym_constrain_range_for_size")
RESHAPES = {"view": "view", "_unsafe_view": "view", "reshape": "view", "flatten": "flatten"}
POOLS = ("avg_pool2d", "max_pool2d")
CASTS = ("aten.to.", "aten._to_copy.")
CAST_TYPE = {"aten.to.dtype": 1, "aten.to.device": 2}
"""Where the type stands that an operation casts to, unless it has a name."""
WIDE = (7, 8)
"""Types that hold what is calculated, float32 and float64; see `DTYPES`."""
OPTIONS = (
    "alpha", "dtype", "device", "layout", "memory_format", "pin_memory", "non_blocking", "copy",
)  # fmt: skip
"""Options of operators that are taken into account, or change no value."""


def load_exported(path: Path, options: ImportOptions | None = None) -> Model:
    """Read a `.pt2` of a single-step program; no code of the file is run.

    Args:
        path: what torch.export.save wrote of `forward(x, *states)`.
        options: what the program does not say; without `values` or `input_range` its input is real
            and unbounded.

    Raises:
        ModelError: E1001 to E1005, E1432 (the file), E1021 (shapes), E1012 (NaN).
        UnsupportedError: E2001 to E2020, E2421, by module path or operator.
        UsageError: E5132, nothing says what its input carries.
    """
    program = read_program(path)
    try:
        return _Walk(program=program, options=options or ImportOptions()).model(path.name)
    except (ModelError, UnsupportedError) as error:
        place = f"{path}: {error.where}" if error.where else str(path)
        raise type(error)(error.code, error.message, where=place, remedy=error.remedy) from error


def load_packed(
    path: str,
    *,
    values: Values | None,
    input_range: tuple[float, float] | None,
    steps: int | None,
) -> tuple[Any, list[AnyArray]]:
    """Read a `.pt2` in the reading process."""
    low_high = None if input_range is None else (input_range[0], input_range[1])
    options = ImportOptions(values=values, input_range=low_high, steps=steps)
    return packed(load_exported(Path(path), options))


@dataclass(kw_only=True, eq=False, slots=True)
class _Walk:
    program: Program
    options: ImportOptions
    draft: Draft = field(default_factory=Draft)
    values: dict[str, Any] = field(default_factory=dict)
    signals: dict[int, Signal] = field(default_factory=dict)
    spikes: dict[int, Signal] = field(default_factory=dict)
    cells: dict[str, Signal] = field(default_factory=dict)
    fed_back: dict[str, Signal] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def model(self, name: str) -> Model:
        """Return the model."""
        program = self.program
        if not program.inputs or not program.inputs[0]:
            raise self._refusal("forward", "takes no tensor first")
        shape = program.shapes[program.inputs[0]]
        example = torch.zeros(shape)
        options = self.options
        if options.values is None and options.input_range is None:
            raise UsageError(
                "E5132", "an exported program does not say what its input carries", where=name,
                remedy="give --encode spikes or --input-range LOW HIGH",
            )  # fmt: skip
        options = replace(options, values=options.values or "real")
        ports = start(self.draft, {"input": example}, 1, options)
        data = Source(program.inputs[0])
        self.values[program.inputs[0]] = data
        self.signals[id(data)] = source_of(ports[0], example, 1, takes_steps=False)
        for state in [*program.inputs[1:], *program.mutated]:
            self.values[state] = State(state)
        for constant, array in program.constants.items():
            self.values.setdefault(constant, array)
        for operation in program.operations:
            self._step(operation)
        named = outputs_of(tuple(self._returned()), self.draft)
        outputs = tuple(
            OutputPort(
                name=self.draft.append_output(signal_of(item), label),
                shape=signal_of(item).shape,
                decode=options.decode,
            )
            for label, item in named
        )
        self._close_loops()
        self.draft.drop_unread()
        graph = normalize_graph(build_graph(self.draft.nodes, self.draft.edges))
        check_finite(graph)
        if not self.cells:
            raise self._refusal("forward", "has no spiking neuron with a state")
        return Model(
            graph=graph,
            semantics=Semantics(),
            inputs=tuple(ports),
            outputs=outputs,
            steps=options.steps,
            notes=tuple(self.draft.notes),
            origin=f"{options.name or name} (torch.export)",
        )

    def _step(self, operation: Operation) -> None:
        op = operation.target.split(".")[1] if "." in operation.target else operation.target
        if op in IGNORED:
            return
        args = tuple(self._value(arg) for arg in operation.args)
        kwargs = {key: self._value(value) for key, value in operation.kwargs.items()}
        if is_known(op) and operation.target.startswith("aten."):
            if not _is_exact(operation, args):
                where = operation.path or operation.name
                raise self._refusal(where, f"rounds what it is given ({operation.target})")
            args = (*args, kwargs["alpha"]) if "alpha" in kwargs else args
            self.values[operation.name] = self._elementwise(op, args, operation)
            return
        self.values[operation.name] = Source(operation.name, operation, args, kwargs)

    def _value(self, arg: Any) -> Any:
        if isinstance(arg, Ref):
            if arg.name not in self.values:
                raise self._refusal(arg.name, "is a tensor whose values are not in the file")
            return self.values[arg.name]
        return [self._value(item) for item in arg] if isinstance(arg, list) else arg

    def _elementwise(self, op: str, args: tuple[Any, ...], operation: Operation) -> Any:
        if not any(isinstance(arg, Expr | State | Source) for arg in args):
            return calculate(op, args)
        return Expr(op, args, operation.name, operation.path)

    def _layer(self, layer: Source) -> Signal:
        """Read a layer behind its source."""
        operation, args, kwargs = layer.operation, layer.args, layer.kwargs
        assert operation is not None
        path = operation.path or operation.name
        op = operation.target.split(".")[1] if "." in operation.target else operation.target
        if not args:
            raise self._refusal(path, f"applies {operation.target}, which is not supported")
        source = self._signal(args[0], path)
        if op == "linear":
            return read_linear(self.draft, path, _module(args, ("weight", "bias")), source)
        if op in ("conv1d", "conv2d"):
            names = ("weight", "bias", "stride", "padding", "dilation", "groups")
            return read_conv(self.draft, path, _convolution(args, names), source)
        if op == "batch_norm" and args[5]:
            raise self._refusal(path, "normalizes by its batch, as in training: call net.eval()")
        if op in ("batch_norm", "_native_batch_norm_legit_no_training"):
            return read_batch_norm(self.draft, path, _batch_norm(op, args), source)
        if op in RESHAPES or op in POOLS:
            flat = op in RESHAPES and op != "flatten"
            given = tuple(args[1]) if flat else args[1:]
            given = tuple(tuple(_ints(a)) if isinstance(a, list) else _plain(a) for a in given)
            name = RESHAPES.get(op, op)
            found = apply_operation(self.draft, path, name, (source, *given), dict(kwargs))
            assert isinstance(found, Signal)
            return found
        if op == "dropout" and args[2] is False:
            return source
        raise self._refusal(path, f"applies {operation.target}, which is not supported")

    def _signal(self, value: Any, path: str) -> Signal:
        """Return a value as a signal: a neuron's spikes, or a sum of signals."""
        value = unwrapped(value)
        if isinstance(value, Source):
            if id(value) not in self.signals:
                self.signals[id(value)] = self._layer(value)
            return self.signals[id(value)]
        if isinstance(value, State):
            return self._fed_back(value, path)
        if not isinstance(value, Expr):
            raise self._refusal(path, "takes a constant for a signal")
        if value.is_comparison:
            return self._neuron(value)
        args = [self._signal(a, path) if isinstance(a, Expr | Source | State) else _plain(a)
                for a in value.args]  # fmt: skip
        if states_of(value) and not all(_is_spiking(a) for a in value.args):
            raise self._refusal(path, "reads a membrane potential outside of its neuron")
        found = apply_operation(self.draft, value.path or value.name, value.op, tuple(args), {})
        if not isinstance(found, Signal):
            raise self._refusal(path, f"applies {value.op!r} to something else than signals")
        return found

    def _fed_back(self, state: State, path: str) -> Signal:
        if state.name not in self.fed_back:
            sizes = self.program.shapes[state.name]
            self.used.add(state.name)
            self.fed_back[state.name] = self.draft.open_feedback(
                path, tuple(sizes[1:]), tuple(sizes[:1]), SPIKES
            )
        return self.fed_back[state.name]

    def _neuron(self, compare: Expr) -> Signal:
        """Return the spikes of the neuron that a comparison belongs to; it is read once."""
        if id(compare) in self.spikes:
            return self.spikes[id(compare)]
        cell, source = self._cell(compare)
        node, semantics = read_cell(cell)
        name = cell.path or compare.name
        spikes = self.draft.append(name, with_semantics(node, semantics), source, payload=SPIKES)
        self.spikes[id(compare)] = self.cells[name] = spikes
        self.used |= set(cell.after)
        return spikes

    def _cell(self, compare: Expr) -> tuple[Cell, Signal]:
        v, threshold = compared(compare)
        path = compare.path
        states = own_states(v)
        if not states or isinstance(threshold, Expr | State | Source):
            raise self._refusal(path or compare.name, "compares something else than a state")
        after = self._next_values(states, path)
        potential = next(
            (name for name in sorted(states) if self._resets(name, after, compare)), ""
        )
        potential = potential or self._deepest(states, after)
        currents = self._current_parts(v, path)
        shape = tuple(self.program.shapes[potential][1:])
        synapse = synapse_of(potential, after)
        if len(states) > 2 or (len(states) == 2 and synapse is None):
            raise self._refusal(path, f"has the states {', '.join(sorted(states))}")
        cell = Cell(
            path=path, shape=shape, compare=compare, v=v,
            threshold=np.array(np.broadcast_to(np.asarray(threshold, np.float64), shape)),
            currents=currents, potential=potential, synapse=synapse, after=after,
        )  # fmt: skip
        signal = self._signal(currents[0], path)
        for part in currents[1:]:
            total = add(path, signal, self._signal(part, path))
            assert isinstance(total, Signal)
            signal = total
        return cell, signal

    def _next_values(self, states: frozenset[str], path: str) -> dict[str, Any]:
        """Return the next value of every state: a changed buffer, or an output that reads it."""
        found = {}
        claimed: dict[str, Any] = {}
        returned = [self.values.get(name) for name in self.program.outputs if name]
        plain = [value for value in map(unwrapped, returned) if not _is_spiking(value)]
        for state in sorted(states):
            if state in self.program.mutated:
                found[state] = self.values[self.program.mutated[state]]
                continue
            reads = [value for value in plain if state in own_states(value)]
            alone = [value for value in reads if own_states(value) == {state}]
            claimed[state] = alone or reads
        for state, values in sorted(claimed.items(), key=lambda item: _most(item[1])):
            free = [
                value for value in values if all(value is not other for other in found.values())
            ]
            if not free:
                raise self._refusal(path, f"state {state} has no next value among the outputs")
            found[state] = free[0]
        return found

    def _resets(self, name: str, after: Mapping[str, Any], compare: Expr) -> bool:
        """Whether the next value of a state depends on the neuron's own spike."""
        return _contains(after[name], compare)

    def _deepest(self, states: frozenset[str], after: Mapping[str, Any]) -> str:
        return max(sorted(states), key=lambda name: len(own_states(after[name])))

    def _current_parts(self, v: Any, path: str) -> tuple[Any, ...]:
        """Return the parts of v that are no states; their sum is the neuron's input."""
        parts = {id(part): part for part in _currents(v)}
        if not parts:
            raise self._refusal(path, "takes no input")
        return tuple(parts.values())

    def _returned(self) -> list[Signal]:
        """Return the outputs that are no states."""
        found = []
        for name in self.program.outputs:
            value = unwrapped(self.values.get(name)) if name else None
            if _is_spiking(value):
                found.append(self._signal(value, name))
        return found

    def _close_loops(self) -> None:
        """Let every state that a layer reads be what the neuron behind that layer sends."""
        unused = [n for n in self.program.inputs[1:] if n and n not in self.used
                  and self._is_read(n)]  # fmt: skip
        if unused:
            raise self._refusal(unused[0], "is an input of its own; one input and states are taken")
        for name, feedback in self.fed_back.items():
            behind = _behind(self.draft, feedback.terms[0][0], set(self._neurons()))
            spikes = [s for s in self.cells.values() if s.terms[0][0] in behind]
            if len(spikes) != 1 or not self._returns(spikes[0]):
                raise self._refusal(name, "is read by a layer of no single neuron that is returned")
            self.draft.close_feedback(name, feedback, spikes[0])

    def _returns(self, spikes: Signal) -> bool:
        values = [unwrapped(self.values.get(name)) for name in self.program.outputs if name]
        return any(self.spikes.get(id(value)) is spikes for value in values)

    def _neurons(self) -> list[str]:
        return [spikes.terms[0][0] for spikes in self.cells.values()]

    def _is_read(self, name: str) -> bool:
        refs = [a for op in self.program.operations for a in (*op.args, *op.kwargs.values())]
        return any(isinstance(ref, Ref) and ref.name == name for ref in refs)

    def _refusal(self, path: str, why: str) -> UnsupportedError:
        return UnsupportedError(
            "E2421", f"{path or WHERE} {why}", where=path,
            remedy=f"export one step, forward(x, *states) -> (spikes, *states): {EXPORT}; or save "
            "the module with snndeploy.save",
        )  # fmt: skip


def _is_exact(operation: Operation, args: tuple[Any, ...]) -> bool:
    """Whether an operation is calculated here as torch does: nothing rounded, cut or overlooked."""
    if any(value is not None and key not in OPTIONS for key, value in operation.kwargs.items()):
        return False  # as of div(…, rounding_mode="floor")
    if not operation.target.startswith(CASTS):
        return True
    place = CAST_TYPE.get(operation.target, 0)
    kind = args[place] if 0 < place < len(args) else operation.kwargs.get("dtype")
    if kind is None or kind in WIDE:
        return True
    value = unwrapped(args[0])
    if isinstance(value, Expr):
        return value.is_comparison  # 0 and 1 are of every type
    if isinstance(value, State | Source) or kind not in DTYPES:
        return False
    return np.array_equal(value, np.asarray(value).astype(DTYPES[kind]))


def _currents(value: Any) -> list[Any]:
    """Return the largest parts of an expression that read sources and no states."""
    if isinstance(value, Source):
        return [value]
    if not isinstance(value, Expr):
        return []
    if is_spikes(value):
        return [value]
    if not states_of(value) and any(isinstance(leaf, Source) for leaf in leaves(value)):
        sources = {id(leaf): leaf for leaf in leaves(value)}
        return list(sources.values()) if len(sources) == 1 else [value]
    return [part for arg in value.args for part in _currents(arg)]


def _contains(value: Any, wanted: Expr) -> bool:
    if value is wanted:
        return True
    return isinstance(value, Expr) and any(_contains(arg, wanted) for arg in value.args)


def _is_spiking(value: Any) -> bool:
    """Whether a value is 0 or 1: a comparison, whatever changes nothing left out."""
    found = unwrapped(value)
    return isinstance(found, Source) or (isinstance(found, Expr) and found.is_comparison)


def _most(values: list[Any]) -> int:
    return min((len(own_states(value)) for value in values), default=0)


def _behind(draft: Draft, name: str, neurons: set[str]) -> set[str]:
    """Return the nodes behind a node, up to the first neurons."""
    found, level = set[str](), {name}
    while level:
        level = {target for source, target in draft.edges if source in level} - found
        found |= level
        level -= neurons
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.size == 1:
        return float(value.reshape(()))
    return value


def _ints(values: list[Any]) -> list[int]:
    return [int(value) for value in values]


def _module(args: tuple[Any, ...], names: tuple[str, ...]) -> SimpleNamespace:
    """Return arguments of an operator, after the first, as attributes of a module."""
    given = dict(zip(names, args[1:], strict=False))
    return SimpleNamespace(**{name: given.get(name) for name in names})


def _convolution(args: tuple[Any, ...], names: tuple[str, ...]) -> SimpleNamespace:
    module = _module(args, names)
    n_spatial = module.weight.ndim - 2
    defaults = {"stride": 1, "padding": 0, "dilation": 1}
    for name, default in defaults.items():
        value = getattr(module, name)
        value = [default] * n_spatial if value is None else value
        sizes = value if isinstance(value, str) else tuple(int(v) for v in value)
        wide = sizes * n_spatial if len(sizes) == 1 and not isinstance(sizes, str) else sizes
        setattr(module, name, wide)
    module.groups = int(module.groups or 1)
    module.padding_mode = "zeros"
    return module


def _batch_norm(op: str, args: tuple[Any, ...]) -> SimpleNamespace:
    _, weight, bias, mean, variance, *rest = args
    eps = float(rest[-2] if op == "batch_norm" else rest[-1])
    return SimpleNamespace(
        weight=weight, bias=bias, running_mean=mean, running_var=variance, eps=eps,
        affine=weight is not None,
    )  # fmt: skip
