"""From bits to numbers and back."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from hwtargets.simulator.kernels.vector import (
    CHUNK,
    I8,
    I16,
    I32,
    I64,
    Code,
    constant,
)

COMPRESSES = bool(get_host_cpu_features().get("avx512f"))
"""Whether the processor packs the chosen lanes of a vector in one instruction."""


def _byte_by_byte(code: Code, word: Any, base: Any, events: Any, at: Any) -> Any:
    """Emit what lists the bits of each byte as a table has them: no branch to guess."""
    builder = code.builder
    octet = ir.ArrayType(I8, 8)
    kind = ir.ArrayType(octet, 256)
    table = builder.module.globals.get("bits_of_bytes")
    if table is None:
        table = ir.GlobalVariable(builder.module, kind, "bits_of_bytes")
        table.linkage, table.global_constant, table.align = "internal", True, 64
        rows = [[i for i in range(8) if byte >> i & 1] for byte in range(256)]
        table.initializer = ir.Constant(
            kind, [ir.Constant(octet, row + [0] * (8 - len(row))) for row in rows]
        )
    first, stop = builder.bitcast(table, ir.IntType(64).as_pointer()), at
    offset, eight = code.splat(base, 8), constant(8, I32, 8)
    for k in range(8):
        byte = builder.and_(builder.lshr(word, ir.Constant(I64, 8 * k)), ir.Constant(I64, 255))
        bits = builder.bitcast(builder.load(builder.gep(first, [byte])), ir.VectorType(I8, 8))
        numbers = builder.zext(bits, ir.VectorType(I32, 8))
        code.store(builder.add(numbers, offset), code.at(events, I32, stop))
        offset = builder.add(offset, eight)
        stop = builder.add(stop, builder.ctpop(byte))
    return builder.sub(stop, at)


FEW = 4
"""Bits of a word that are listed one by one, always so many."""


def _bit_by_bit(code: Code, word: Any, base: Any, events: Any, at: Any) -> Any:
    """Emit what lists the bits of a word of few, and byte by byte where there are more."""
    builder = code.builder
    n = builder.ctpop(word)
    few, many, after = (builder.append_basic_block(name) for name in ("few", "many", "listed"))
    builder.cbranch(builder.icmp_unsigned(">", n, ir.Constant(I64, FEW)), many, few)
    builder.position_at_end(few)
    left = word
    for k in range(FEW):
        bit = builder.trunc(builder.cttz(left, ir.Constant(ir.IntType(1), 0)), I32)
        place = code.at(events, I32, builder.add(at, ir.Constant(I64, k)))
        code.store(builder.add(base, bit), place)
        left = builder.and_(left, builder.sub(left, ir.Constant(I64, 1)))
    builder.branch(after)
    builder.position_at_end(many)
    _byte_by_byte(code, word, base, events, at)
    builder.branch(after)
    builder.position_at_end(after)
    return n


def _in_vectors(code: Code, word: Any, base: Any, events: Any, at: Any) -> Any:
    """Emit what packs the numbers of the bits of a word, some lanes at a time."""
    builder = code.builder
    ints, flags = ir.VectorType(I32, CHUNK), ir.VectorType(ir.IntType(1), CHUNK)
    numbers = builder.add(code.splat(base, CHUNK), ir.Constant(ints, list(range(CHUNK))))
    stop = at
    for k in range(64 // CHUNK):
        part = builder.trunc(builder.lshr(word, ir.Constant(I64, k * CHUNK)), I16)
        shifted = builder.add(numbers, constant(k * CHUNK, I32, CHUNK))
        packed = _compressed(builder, shifted, builder.bitcast(part, flags))
        code.store(packed, code.at(events, I32, stop))
        stop = builder.add(stop, builder.zext(builder.ctpop(part), I64))
    return builder.sub(stop, at)


def _compressed(builder: Any, values: Any, flags: Any) -> Any:
    """Emit the chosen lanes of a vector, side by side."""
    compress = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(values.type, [values.type, flags.type, values.type]),
        f"llvm.experimental.vector.compress.v{CHUNK}i32",
    )
    return builder.call(compress, [values, flags, ir.Constant(values.type, ir.Undefined)])


@intrinsic
def list_bits(context, word, base, events, at):
    """Write base + i for every bit i set in a word to events[at:]; return how many there are.

    Args:
        word: uint64.
        events: uint32, at least 64 longer than what is listed.
    """
    return _listing(_bit_by_bit, word, base, events, at)


@intrinsic
def list_many_bits(context, word, base, events, at):
    """Do what `list_bits` does, faster where most words have more than FEW bits."""
    return _listing(_byte_by_byte, word, base, events, at)


def _listing(emit: Callable[..., Any], word: Any, base: Any, events: Any, at: Any) -> Any:
    """Return what lists the bits of a word: in vectors, or, without the instruction, as said."""
    signature = types.int64(word, base, events, at)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Code(context, builder, signature, args)
        return (_in_vectors if COMPRESSES else emit)(code, *code.args)

    return signature, generate


@intrinsic
def pack_word(context, values, first):
    """Return a uint64 whose bit i says whether values[first + i], integer or float32, is not 0."""
    signature = types.uint64(values, types.int64)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Code(context, builder, signature, args)
        values, first = code.args
        kind = context.get_data_type(signature.args[0].dtype)
        is_float = isinstance(signature.args[0].dtype, types.Float)
        compare = builder.fcmp_ordered if is_float else builder.icmp_signed
        word = ir.Constant(I64, 0)
        for k in range(64 // CHUNK):
            start = builder.add(first, ir.Constant(I64, k * CHUNK))
            part = code.load(code.at(values, kind, start), ir.VectorType(kind, CHUNK))
            bits = builder.bitcast(compare("!=", part, ir.Constant(part.type, [0] * CHUNK)), I16)
            shifted = builder.shl(builder.zext(bits, I64), ir.Constant(I64, k * CHUNK))
            word = builder.or_(word, shifted)
        return word

    return signature, generate


@intrinsic
def n_bits(context, word):
    """Return how many bits of a uint64 are set."""
    signature = types.int64(word)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return signature, generate
