"""Writing vector instructions where numba does not find them by itself.

The functions built on this emit LLVM vectors of fixed width, which LLVM fits to whatever the
processor has. The width of a block of channels is 32 times the length of a tuple `lanes`: a number
that is part of a type, known when a kernel is compiled and part of the key of its cache.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.np.arrayobj import make_array

I8, I16, I32, I64 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64)
CHUNK = 16
"""Lanes of 32 bits that the neuron update and the event lists take at a time."""
ESCAPED = 1 << 62
"""Flag: a current left the range in which the update is exact."""
GROUP = 4
"""Rows are added so many at a time."""
LOW_BIAS = 128
"""What is added to the low byte of a packed weight, so that it is not negative."""


class Code:
    """The little of LLVM that is needed here; `args` are pointers for arrays, else values."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self.builder = builder
        self.args = [
            make_array(kind)(context, builder, value).data
            if isinstance(kind, types.Array)
            else value
            for kind, value in zip(signature.args, args, strict=True)
        ]

    def at(self, array: Any, element: Any, index: Any) -> Any:
        """Return a pointer to array[index]."""
        typed = self.builder.bitcast(array, element.as_pointer())
        return self.builder.gep(typed, [index])

    def load(self, pointer: Any, kind: Any) -> Any:
        value = self.builder.load(self.builder.bitcast(pointer, kind.as_pointer()))
        value.align = 1 if getattr(kind, "element", kind) == I8 else 2
        return value

    def store(self, value: Any, pointer: Any) -> None:
        stored = self.builder.store(value, self.builder.bitcast(pointer, value.type.as_pointer()))
        stored.align = 2

    def wide(self, value: Any) -> Any:
        """Return a signed number of 32 or 64 bits in 64."""
        return value if value.type == I64 else self.builder.sext(value, I64)

    def splat(self, value: Any, n: int) -> Any:
        """Return a vector whose n lanes are all a value."""
        kind = ir.VectorType(value.type, n)
        nothing = ir.Constant(kind, ir.Undefined)
        first = self.builder.insert_element(nothing, value, ir.Constant(I32, 0))
        lanes = ir.Constant(ir.VectorType(I32, n), [0] * n)
        return self.builder.shuffle_vector(first, nothing, lanes)

    def loop(
        self, start: Any, stop: Any, values: list[Any], body: Callable[[Any, list[Any]], list[Any]]
    ) -> list[Any]:
        """Emit `for i in range(start, stop): values = body(i, values)` and return the last ones."""
        builder, before = self.builder, self.builder.block
        head, inside, after = (builder.append_basic_block(name) for name in ("head", "in", "out"))
        builder.branch(head)
        builder.position_at_end(head)
        i = builder.phi(I64)
        i.add_incoming(start, before)
        carried = [builder.phi(value.type) for value in values]
        for phi, value in zip(carried, values, strict=True):
            phi.add_incoming(value, before)
        builder.cbranch(builder.icmp_signed("<", i, stop), inside, after)
        builder.position_at_end(inside)
        changed = body(i, carried)
        i.add_incoming(builder.add(i, ir.Constant(I64, 1)), builder.block)
        for phi, value in zip(carried, changed, strict=True):
            phi.add_incoming(value, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return carried


class Scale:
    """((s * scale + zero * n) << left) >> right of CHUNK sums s; scaling: those four numbers."""

    def __init__(self, code: Code, scaling: Any, n: Any) -> None:
        builder = code.builder
        scale, zero, left, right = (
            builder.trunc(builder.extract_value(scaling, k), I32) for k in range(4)
        )
        zero = builder.mul(zero, builder.trunc(code.wide(n), I32))
        self.builder = builder
        self.numbers = [code.splat(x, CHUNK) for x in (scale, zero, left, right)]

    def __call__(self, sums: Any) -> Any:
        _, _, left, right = self.numbers
        return self.builder.ashr(self.builder.shl(self.without_shifts(sums), left), right)

    def without_shifts(self, sums: Any) -> Any:
        """Return the same where both shifts are 0."""
        scale, zero, _, _ = self.numbers
        return self.builder.add(self.builder.mul(sums, scale), zero)


def constant(value: int, kind: Any, n: int) -> Any:
    """Return a vector of n times the same number."""
    return ir.Constant(ir.VectorType(kind, n), [value] * n)
