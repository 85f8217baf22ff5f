"""A neuron program's statements as ONNX operators on int64, each to the bit.

ONNX divides integers toward zero, which is `shz`; a floor first takes off what is above the
multiple below. Casts to a narrower integer drop the high bits, which is `wrap`. Powers of two come
from a table, because ONNX shifts unsigned integers only.
"""

from collections.abc import Mapping

from onnx import FunctionProto, TensorProto, helper

from snndeploy.errors import UnsupportedError
from snndeploy.ir.program import Operand, Program, Statement
from snndeploy.onnxgraph.nodes import Names, Nodes, safe

DOMAIN, DOMAIN_VERSION = "org.snndeploy", 1
OPSET = 18
WORD_BITS = 64
MOST = WORD_BITS - 2
"""The largest power of two that is an int64 above 0 has this exponent."""
POWERS = (*(1 << n for n in range(MOST + 1)), -(1 << 63), 0)
"""2^n as an int64 for n = 0..64; beyond, all bits are shifted out."""
NARROW = {8: TensorProto.INT8, 16: TensorProto.INT16, 32: TensorProto.INT32}
Words = dict[str, str]
"""Values by the word they hold."""


class Statements:
    """Writes statements; knows what their words hold.

    Attributes:
        words: name of the current value of every word.
        truths: the boolean value of words that a comparison has just set.
        wide: words that have a value per sample and neuron; others are [1] or [n].
    """

    def __init__(self, nodes: Nodes, program: Program, words: Mapping[str, str]) -> None:
        self.nodes = nodes
        self.program = program
        self.words: Words = dict(words)
        self.truths: Words = {}
        self.wide = {"a", *(state.name for state in program.states)}

    def write(self, statement: Statement, out: str = "") -> None:
        """Append one statement."""
        args = [self.value(arg) for arg in statement.args]
        truth = ""
        match statement.op:
            case "gt" | "le":
                kind = "Greater" if statement.op == "gt" else "LessOrEqual"
                truth = self.nodes.op(kind, *args)
                result = self.nodes.op("Cast", truth, out=out, to=TensorProto.INT64)
            case "add" | "sub" | "mul" | "max":
                kind = statement.op.capitalize()
                result = self.nodes.op(kind, *args, out=out)
            case "clip":
                floored = self.nodes.op("Max", args[0], args[1])
                result = self.nodes.op("Min", floored, args[2], out=out)
            case "select":
                result = self.nodes.op("Where", self.truth(statement.args[0]), *args[1:], out=out)
            case "shz":
                result = self.divide(args[0], statement.args[1], out=out)
            case "shift":
                result = self.shift(args[0], statement.args[1], out=out)
            case "wrap":
                result = self.wrap(args[0], statement.args[1], out=out)
        self.words[statement.target] = result
        self.truths.pop(statement.target, None)
        if truth:
            self.truths[statement.target] = truth
        is_wide = any(isinstance(arg, str) and arg in self.wide for arg in statement.args)
        (self.wide.add if is_wide else self.wide.discard)(statement.target)

    def value(self, operand: Operand) -> str:
        """Return the value of a word or a literal."""
        return self.words[operand] if isinstance(operand, str) else self.nodes.constant(operand)

    def truth(self, operand: Operand) -> str:
        """Return a word as a boolean value: whether it is not 0."""
        if isinstance(operand, str) and operand in self.truths:
            return self.truths[operand]
        return self.nodes.op("Cast", self.value(operand), to=TensorProto.BOOL)

    def shift(self, value: str, by: Operand, *, out: str = "") -> str:
        """Return value << by; where `by` is negative, value >> -by, rounded down."""
        low, high = self.range_of(by)
        if low >= 0:
            return self.nodes.op("Mul", value, self.power(by), out=out)
        if isinstance(by, int):
            return floored(self.nodes, value, -by, out=out)
        zero = self.nodes.constant(0)
        right = self.nodes.op("Max", self.nodes.op("Neg", self.value(by)), zero)
        if high > 0:
            left = self.nodes.op("Max", self.value(by), zero)
            value = self.nodes.op("Mul", value, self.power_at(left))
        return floored_by(self.nodes, value, right, out=out)

    def divide(self, value: str, by: Operand, *, out: str = "") -> str:
        """Return value / 2^by, rounded toward zero, for by >= 0."""
        low, high = self.range_of(by)
        if isinstance(by, int) and low < 0:
            raise UnsupportedError("E2400", f"shz by {by}", remedy="shift by 0 or more")
        if low >= 0 and high <= MOST:
            return self.nodes.op("Div", value, self.power(by), out=out)
        first, second = halves(self.nodes, self.value(by))
        return self.nodes.op("Div", self.nodes.op("Div", value, first), second, out=out)

    def wrap(self, value: str, bits: Operand, *, out: str = "") -> str:
        """Return the low bits of a value as a signed word."""
        if isinstance(bits, int):
            return wrapped(self.nodes, value, bits, out=out)
        half = self.power_at(self.nodes.op("Sub", self.value(bits), self.nodes.constant(1)))
        whole = self.nodes.op("Add", half, half)
        moved = self.nodes.op("Mod", self.nodes.op("Add", value, half), whole)
        return self.nodes.op("Sub", moved, half, out=out)

    def power(self, by: Operand) -> str:
        """Return 2^by for by >= 0."""
        if isinstance(by, int):
            return self.nodes.constant(POWERS[min(by, WORD_BITS)])
        return self.power_at(self.value(by))

    def power_at(self, exponent: str) -> str:
        """Return 2^exponent for a value that is not negative."""
        capped = self.nodes.op("Min", exponent, self.nodes.constant(WORD_BITS))
        return self.nodes.op("Gather", self.nodes.constant(POWERS), capped, axis=0)

    def range_of(self, operand: Operand) -> tuple[int, int]:
        """Return what is known of an operand: a literal, a register, or nothing."""
        if isinstance(operand, int):
            return operand, operand
        if operand in self.program.registers and operand in self.program.params:
            return self.program.registers[operand]
        return -(1 << 63), (1 << 63) - 1


def halves(nodes: Nodes, by: str) -> tuple[str, str]:
    """Return 2^min(by, 62) and 2^min(by - 62, 62), so that by them any int64 is shifted out."""
    table, most = nodes.constant(POWERS[: MOST + 1]), nodes.constant(MOST)
    first = nodes.op("Min", by, most)
    second = nodes.op("Min", nodes.op("Sub", by, first), most)
    return nodes.op("Gather", table, first, axis=0), nodes.op("Gather", table, second, axis=0)


def floored_by(nodes: Nodes, value: str, right: str, *, out: str = "") -> str:
    """Return value >> right, rounded down, for a value `right` that is not negative."""
    first, second = halves(nodes, right)
    once = _floor(nodes, value, first)
    return _floor(nodes, once, second, out=out)


def floored(nodes: Nodes, value: str, right: int, *, out: str = "") -> str:
    """Return value >> right, rounded down."""
    if right > MOST:
        value = _floor(nodes, value, nodes.constant(1 << MOST))
        right = min(right - MOST, MOST)
    return _floor(nodes, value, nodes.constant(1 << right), out=out)


def _floor(nodes: Nodes, value: str, divisor: str, *, out: str = "") -> str:
    above = nodes.op("Mod", value, divisor)  # ONNX's Mod has the divisor's sign, as Python's
    return nodes.op("Div", nodes.op("Sub", value, above), divisor, out=out)


def wrapped(nodes: Nodes, value: str, bits: int, *, out: str = "") -> str:
    """Return the low bits of a value as a signed word.

    Raises:
        UnsupportedError: E2400, more bits than fit below an int64's sign.
    """
    if bits in NARROW:
        narrow = nodes.op("Cast", value, to=NARROW[bits])
        return nodes.op("Cast", narrow, out=out, to=TensorProto.INT64)
    if not 1 <= bits <= MOST:
        raise UnsupportedError(
            "E2400",
            f"a word wrapped to {bits} bits",
            remedy=f"wrap to 1 to {MOST} bits, words have {WORD_BITS}",
        )
    half = nodes.constant(1 << (bits - 1))
    moved = nodes.op("Mod", nodes.op("Add", value, half), nodes.constant(1 << bits))
    return nodes.op("Sub", moved, half, out=out)


def program_inputs(program: Program) -> tuple[str, ...]:
    """Return the words that a program is given: input, states, parameters."""
    return ("a", *(state.name for state in program.states), *program.params)


def program_outputs(program: Program) -> tuple[str, ...]:
    """Return the words that a program leaves: what it emits, then its states."""
    return (program.emits, *(state.name for state in program.states))


def write_program(nodes: Nodes, program: Program, words: Mapping[str, str]) -> tuple[str, ...]:
    """Append a program's statements to a graph; return its outputs, all of the input's shape."""
    writer = Statements(nodes, program, words)
    for statement in program.body:
        writer.write(statement)
    outputs = []
    for word in program_outputs(program):
        if word in writer.wide:
            outputs.append(writer.words[word])
            continue
        shape = nodes.op("Shape", words["a"])
        outputs.append(nodes.op("Expand", writer.words[word], shape))
    return tuple(outputs)


def program_function(program: Program, name: str) -> FunctionProto:
    """Return a program as a function of `DOMAIN`: (input, states, parameters) -> (sent, states)."""
    nodes = Nodes(Names())
    given = program_inputs(program)
    inputs = [nodes.names.fresh(word) for word in given]
    outputs = write_program(nodes, program, dict(zip(given, inputs, strict=True)))
    named = [nodes.names.fresh(f"{word}.next") for word in program_outputs(program)]
    for value, out in zip(outputs, named, strict=True):
        nodes.op("Identity", value, out=out)
    return helper.make_function(
        DOMAIN, name, inputs, named, nodes.nodes, [helper.make_opsetid("", OPSET)],
        doc_string=f"Neuron program {safe(program.name)}: {program.cost} statements on int64",
    )  # fmt: skip
