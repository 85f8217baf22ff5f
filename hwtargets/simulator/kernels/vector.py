"""Vector instructions that numba does not write by itself: row sums, neurons, event lists.

Each function emits LLVM vectors of fixed width, which LLVM fits to whatever the processor has. The
width of a block of channels is 32 times the length of the tuple `lanes`: a number that is part of
a type, known when the kernel is compiled and part of the key of its cache.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

I16, I32, I64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
CHUNK = 16
"""Lanes of 32 bits that the neuron update and the event lists take at a time."""
ESCAPED = 1 << 62
"""Flag: a current left the range in which the update is exact."""
GROUP = 4
"""Rows are added so many at a time."""
LOW_BIAS = 128
"""What is added to the low byte of a packed weight, so that it is not negative."""


class _Code:
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
        value.align = 2
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


class _Scale:
    """((s * scale + zero * n) << left) >> right of CHUNK sums s; scaling: those four numbers."""

    def __init__(self, code: _Code, scaling: Any, n: Any) -> None:
        builder = code.builder
        scale, zero, left, right = (
            builder.trunc(builder.extract_value(scaling, k), I32) for k in range(4)
        )
        zero = builder.mul(zero, builder.trunc(code.wide(n), I32))
        self.builder = builder
        self.numbers = [code.splat(x, CHUNK) for x in (scale, zero, left, right)]

    def __call__(self, sums: Any) -> Any:
        scale, zero, left, right = self.numbers
        scaled = self.builder.add(self.builder.mul(sums, scale), zero)
        return self.builder.ashr(self.builder.shl(scaled, left), right)


def constant(value: int, kind: Any, n: int) -> Any:
    """Return a vector of n times the same number."""
    return ir.Constant(ir.VectorType(kind, n), [value] * n)


@intrinsic
def add_rows(context, lanes, rows, first, last, weights, origin, sums, before, after):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201, ARG001, D417
    """Set sums [after] to sums [before] and the weight rows listed in rows[first:last].

    A word of `weights` [., width / 2], int16, holds two channels: 256 * high + low + LOW_BIAS, both
    in int8. The words and their upper bytes are added modulo 2^16 in registers; the low channels
    follow from both. Exact if the rows' sum fits 16 bits in every channel: on the way to it, only
    congruence counts.

    Args:
        lanes: tuple, see the module.
        rows: row numbers, uint32, a multiple of GROUP of them.
        weights: int16, flat; `origin` is where its row 0 starts.
        sums: int32, flat [., width].
    """
    half = 16 * lanes.count
    signature = types.void(lanes, rows, first, last, weights, origin, sums, before, after)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = _Code(context, builder, signature, args)
        _, rows, first, last, weights, origin, sums, before, after = code.args
        words, eight = ir.VectorType(I16, half), constant(8, I16, half)
        ints, width = ir.VectorType(I32, half), ir.Constant(I64, 2 * half)
        origin = code.at(weights, I16, origin)
        first, last = code.wide(first), code.wide(last)

        def add(i: Any, values: list[Any]) -> list[Any]:
            listed = builder.add(first, builder.mul(i, ir.Constant(I64, GROUP)))
            parts: list[list[Any]] = [[], []]
            for k in range(GROUP):
                place = builder.add(listed, ir.Constant(I64, k))
                row = builder.zext(builder.load(code.at(rows, I32, place)), I64)
                at = code.at(origin, I16, builder.mul(row, ir.Constant(I64, half)))
                word = code.load(at, words)
                parts[0].append(word)
                parts[1].append(builder.ashr(word, eight))
            for part in parts:
                while len(part) > 1:
                    part.append(builder.add(part.pop(0), part.pop(0)))
            return [builder.add(value, part[0]) for value, part in zip(values, parts, strict=True)]

        zero = constant(0, I16, half)
        groups = builder.sdiv(builder.sub(last, first), ir.Constant(I64, GROUP))
        total, high = code.loop(ir.Constant(I64, 0), groups, [zero, zero], add)
        n = builder.trunc(builder.sub(last, first), I16)
        bias = code.splat(builder.mul(n, ir.Constant(I16, LOW_BIAS)), half)
        low = builder.sub(builder.sub(total, builder.shl(high, eight)), bias)
        before, after = builder.mul(before, width), builder.mul(after, width)
        for k, part in enumerate((low, high)):
            start = ir.Constant(I64, k * half)
            old = code.load(code.at(sums, I32, builder.add(before, start)), ints)
            new = builder.add(old, builder.sext(part, ints))
            code.store(new, code.at(sums, I32, builder.add(after, start)))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def scale_sums(context, lanes, sums, slot, n, scaling, after):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201, ARG001, D417
    """Set sums [after] to sums [slot] of n rows, scaled.

    Args:
        lanes: tuple, see the module.
        scaling: (scale, zero, left, right): a sum s becomes
            ((s * scale + zero * n) << left) >> right.
    """
    width = 32 * lanes.count
    signature = types.void(lanes, sums, slot, n, scaling, after)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = _Code(context, builder, signature, args)
        _, sums, slot, n, scaling, after = code.args
        scale = _Scale(code, scaling, n)
        start, goal = (builder.mul(x, ir.Constant(I64, width)) for x in (slot, after))
        for k in range(0, width, CHUNK):
            here = ir.Constant(I64, k)
            at = code.at(sums, I32, builder.add(start, here))
            value = scale(code.load(at, ir.VectorType(I32, CHUNK)))
            code.store(value, code.at(sums, I32, builder.add(goal, here)))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def update_lif(
    context,
    lanes,
    kind,
    sums,
    slot,
    n,
    scaling,
    keep,
    u,
    v,
    state,
    threshold,
    bias,
    fixed,
    sent,
    word,
):  # type: ignore[no-untyped-def]
    """Take one step of a block of neurons; return how many v were clipped, and ESCAPED.

        a = scaled sum
        u <- trunc(u * keep_u / 4096) + (a << 6)
        y <- clip(trunc(v * keep_v / 4096) + u + bias),  s <- y > threshold,  v <- 0 where s, else y

    All in 32 bits: for |x| < 2^23 and 0 <= d <= 4096, with x = 4096 h + l and 0 <= l < 4096,
    trunc(x * d / 4096) = h * d + ((l * d + (4095 if x < 0)) >> 12). What arrives and the new u are
    watched: if ESCAPED is set, |u| may have reached 2^23 and nothing that follows is to be used.

    Args:
        lanes: tuple, see the module.
        kind: tuple; of length 1: keep_u is 0 and keep_v 4096; of 2: keep_u is 0, and in both
            u is not kept; of 3: any.
        sums, slot, n, scaling: what arrives; see `scale_sums`.
        keep: (keep_u, keep_v) in 1/4096.
        u, v: int32, flat, of this block from `state`.
        threshold, bias: int32, flat, of this block from `fixed`.
        sent: uint16, flat: a bit per neuron, of this block from `word`.
    """
    signature = types.int64(
        lanes, kind, sums, slot, n, scaling, keep, u, v, state, threshold, bias, fixed, sent, word
    )

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = _Code(context, builder, signature, args)
        _, _, sums, slot, n, scaling, keep, u, v, state, threshold, bias, fixed, sent, word = (
            code.args
        )
        scale = _Scale(code, scaling, n)
        slot = builder.mul(slot, ir.Constant(I64, 32 * lanes.count))
        keep_u, keep_v = (
            code.splat(
                builder.and_(
                    builder.trunc(builder.extract_value(keep, k), I32), ir.Constant(I32, 8191)
                ),
                CHUNK,
            )
            for k in range(2)
        )
        ints = ir.VectorType(I32, CHUNK)
        top, bottom = constant((1 << 23) - 1, I32, CHUNK), constant(1 - (1 << 23), I32, CHUNK)
        zero = constant(0, I32, CHUNK)

        def number(value: int) -> Any:
            return constant(value, I32, CHUNK)

        def decay(x: Any, d: Any) -> Any:
            lift = builder.lshr(builder.ashr(x, number(31)), number(20))
            low = builder.mul(builder.and_(x, number(4095)), d)
            rest = builder.lshr(builder.add(low, lift), number(12))
            return builder.add(builder.mul(builder.ashr(x, number(12)), d), rest)

        def smaller(x: Any, y: Any) -> Any:
            return builder.select(builder.icmp_signed("<", x, y), x, y)

        def larger(x: Any, y: Any) -> Any:
            return builder.select(builder.icmp_signed(">", x, y), x, y)

        clips, escaped = ir.Constant(I64, 0), zero
        for k in range(2 * lanes.count):
            here = ir.Constant(I64, k * CHUNK)
            mine = builder.add(state, here)
            p_u, p_v = code.at(u, I32, mine), code.at(v, I32, mine)
            arriving = scale(code.load(code.at(sums, I32, builder.add(slot, here)), ints))
            x = builder.shl(arriving, number(6))
            if kind.count < 3:
                now, room = x, 1 << 17
            else:
                now, room = builder.add(x, decay(code.load(p_u, ints), keep_u)), 1 << 24
                escaped = builder.or_(
                    escaped, builder.lshr(builder.add(now, number((1 << 23) - 1)), number(24))
                )
                code.store(now, p_u)
            over = builder.add(arriving, number(room - 1))
            escaped = builder.or_(escaped, builder.lshr(over, number(room.bit_length())))
            y = code.load(p_v, ints)
            if kind.count > 1:
                y = decay(y, keep_v)
            y = builder.add(y, now)
            at = builder.add(fixed, here)
            y = builder.add(y, code.load(code.at(bias, I32, at), ints))
            clipped = larger(smaller(y, top), bottom)
            outside = builder.bitcast(builder.icmp_signed("!=", y, clipped), I16)
            clips = builder.add(clips, builder.zext(builder.ctpop(outside), I64))
            fired = builder.icmp_signed(">", clipped, code.load(code.at(threshold, I32, at), ints))
            code.store(builder.select(fired, zero, clipped), p_v)
            mask = builder.bitcast(fired, I16)
            code.store(mask, code.at(sent, I16, builder.add(word, ir.Constant(I64, k))))
        any_escaped = builder.icmp_signed("!=", escaped, zero)
        flag = builder.icmp_signed("!=", builder.bitcast(any_escaped, I16), ir.Constant(I16, 0))
        return builder.or_(clips, builder.shl(builder.zext(flag, I64), ir.Constant(I64, 62)))

    return signature, generate


@intrinsic
def list_bits(context, word, base, events, at):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201, ARG001, D417
    """Write base + i for every bit i set in a word to events[at:]; return how many there are.

    Args:
        word: uint64.
        events: uint32, at least 64 longer than what is listed.
    """
    signature = types.int64(word, base, events, at)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = _Code(context, builder, signature, args)
        word, base, events, at = code.args
        ints, flags = ir.VectorType(I32, CHUNK), ir.VectorType(ir.IntType(1), CHUNK)
        numbers = builder.add(code.splat(base, CHUNK), ir.Constant(ints, list(range(CHUNK))))
        compress = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ints, [ints, flags, ints]),
            f"llvm.experimental.vector.compress.v{CHUNK}i32",
        )
        stop = at
        for k in range(64 // CHUNK):
            part = builder.trunc(builder.lshr(word, ir.Constant(I64, k * CHUNK)), I16)
            shifted = builder.add(numbers, constant(k * CHUNK, I32, CHUNK))
            packed = builder.call(
                compress, [shifted, builder.bitcast(part, flags), ir.Constant(ints, ir.Undefined)]
            )
            code.store(packed, code.at(events, I32, stop))
            stop = builder.add(stop, builder.zext(builder.ctpop(part), I64))
        return builder.sub(stop, at)

    return signature, generate


@intrinsic
def copy_run(context, events, start, stop, base, rows, at):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201, ARG001, D417
    """Write events[start:stop] - base to rows[at:]; return how many there are.

    Whole vectors are read and written, the first always: up to 2 * CHUNK words beyond the end.

    Args:
        events, rows: uint32.
    """
    signature = types.int64(events, start, stop, base, rows, at)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = _Code(context, builder, signature, args)
        events, start, stop, base, rows, at = code.args
        ints, width = ir.VectorType(I32, CHUNK), ir.Constant(I64, CHUNK)
        shift = code.splat(builder.trunc(base, I32), CHUNK)
        start, stop = code.wide(start), code.wide(stop)
        n = builder.sub(stop, start)

        def copy(k: Any) -> None:
            values = code.load(code.at(events, I32, builder.add(start, k)), ints)
            code.store(builder.sub(values, shift), code.at(rows, I32, builder.add(at, k)))

        def more(i: Any, _: list[Any]) -> list[Any]:
            copy(builder.mul(i, width))
            return []

        copy(ir.Constant(I64, 0))
        copy(width)
        chunks = builder.lshr(builder.add(n, ir.Constant(I64, CHUNK - 1)), ir.Constant(I64, 4))
        code.loop(ir.Constant(I64, 2), chunks, [], more)
        return n

    return signature, generate


@intrinsic
def prefetch(context, array, index):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201, ARG001
    """Ask for the cache line of array[index], uint32; it need not exist."""
    signature = types.void(array, index)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = _Code(context, builder, signature, args)
        array, index = code.args
        place = builder.bitcast(code.at(array, I32, index), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, I32, I32, I32])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        read, keep, data = ir.Constant(I32, 0), ir.Constant(I32, 3), ir.Constant(I32, 1)
        builder.call(fetch, [place, read, keep, data])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def pack_word(context, values, first):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201, ARG001
    """Return a uint64 whose bit i says whether values[first + i], integer or float32, is not 0."""
    signature = types.uint64(values, types.int64)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = _Code(context, builder, signature, args)
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
