"""From bits to numbers and back."""

from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from hwtargets.simulator.kernels.vector import (
    CHUNK,
    I16,
    I32,
    I64,
    Code,
    constant,
)

COMPRESSES = bool(get_host_cpu_features().get("avx512f"))
"""Whether the processor packs the chosen lanes of a vector in one instruction."""


def _one_by_one(code: Code, word: Any, base: Any, events: Any, at: Any) -> Any:
    """Emit a loop over the bits that are set, lowest first."""
    builder = code.builder
    n = builder.ctpop(word)

    def write(i: Any, left: list[Any]) -> list[Any]:
        lowest = builder.trunc(builder.cttz(left[0], ir.Constant(ir.IntType(1), 0)), I32)
        place = code.at(events, I32, builder.add(at, i))
        builder.store(builder.add(base, lowest), place)
        return [builder.and_(left[0], builder.sub(left[0], ir.Constant(I64, 1)))]

    code.loop(ir.Constant(I64, 0), n, [word], write)
    return n


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
    signature = types.int64(word, base, events, at)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Code(context, builder, signature, args)
        word, base, events, at = code.args
        if not COMPRESSES:
            return _one_by_one(code, word, base, events, at)
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


@intrinsic
def list_words(context, words, first, found, at):
    """Write i to found[at:] for those CHUNK words [first:] that are not 0; return how many.

    Args:
        words: uint64, flat.
        found: uint32, CHUNK longer than what is listed.
    """
    signature = types.int64(words, types.int64, found, types.int64)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Code(context, builder, signature, args)
        words, first, found, at = code.args
        loaded = code.load(code.at(words, I64, first), ir.VectorType(I64, CHUNK))
        flags = builder.icmp_signed("!=", loaded, constant(0, I64, CHUNK))
        ints = ir.VectorType(I32, CHUNK)
        base = code.splat(builder.trunc(first, I32), CHUNK)
        numbers = builder.add(base, ir.Constant(ints, list(range(CHUNK))))
        if COMPRESSES:
            packed = _compressed(builder, numbers, flags)
            code.store(packed, code.at(found, I32, at))
            return builder.zext(builder.ctpop(builder.bitcast(flags, I16)), I64)
        stop = at
        for k in range(CHUNK):
            lane = ir.Constant(I32, k)
            place = code.at(found, I32, stop)
            builder.store(builder.extract_element(numbers, lane), place)
            stop = builder.add(stop, builder.zext(builder.extract_element(flags, lane), I64))
        return builder.sub(stop, at)

    return signature, generate


@intrinsic
def lowest_bit(context, word):
    """Return the number of the lowest bit that is set in a uint64 other than 0."""
    signature = types.int64(word)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return signature, generate


@intrinsic
def count_positions(context, bits, words, first, last, counts):
    """Add to counts[i] how many of the words have bit i set.

    Args:
        bits: uint64.
        words: int32; which of them: words[first:last], at most 255.
        counts: int32 [64].
    """
    signature = types.void(bits, words, types.int64, types.int64, counts)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Code(context, builder, signature, args)
        bits, words, first, last, counts = code.args
        flags, bytes_ = ir.VectorType(ir.IntType(1), 64), ir.VectorType(ir.IntType(8), 64)
        ints = ir.VectorType(I32, 64)

        def add(i: Any, values: list[Any]) -> list[Any]:
            which = builder.sext(builder.load(code.at(words, I32, i)), I64)
            word = builder.load(code.at(bits, I64, which))
            return [builder.add(values[0], builder.zext(builder.bitcast(word, flags), bytes_))]

        (sums,) = code.loop(first, last, [ir.Constant(bytes_, [0] * 64)], add)
        place = code.at(counts, I32, ir.Constant(I64, 0))
        code.store(builder.add(code.load(place, ints), builder.zext(sums, ints)), place)
        return context.get_dummy_value()

    return signature, generate
