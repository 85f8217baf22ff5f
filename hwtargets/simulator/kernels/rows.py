"""Adding rows of weights: the instructions of `gather`, `steps` and `scatter`."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from hwtargets.simulator.kernels.vector import (
    CHUNK,
    GROUP,
    I16,
    I32,
    I64,
    LOW_BIAS,
    Code,
    Scale,
    constant,
)

UNROLLED = ((1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 2), (3, 3), (5, 5))
"""Numbers of runs of weights and their lengths, in pixels, that are added without a loop."""
PLACE_BITS = 16
"""Of where a pixel's runs start: so many for the first weight, the others for the first target."""
SPLIT = 40
"""A number over a divisor is the number times its reciprocal, exact while both are below 2^20."""
TOGETHER = 8
"""Listed synapses that are read before the first of them is added."""


@intrinsic
def add_rows(context, lanes, rows, first, last, weights, origin, sums, before, after):
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
        code = Code(context, builder, signature, args)
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
def scale_sums(context, lanes, sums, slot, n, scaling, after):
    """Set sums [after] to sums [slot] of n rows, scaled.

    Args:
        lanes: tuple, see the module.
        scaling: (scale, zero, left, right): a sum s becomes
            ((s * scale + zero * n) << left) >> right.
    """
    width = 32 * lanes.count
    signature = types.void(lanes, sums, slot, n, scaling, after)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Code(context, builder, signature, args)
        _, sums, slot, n, scaling, after = code.args
        scale = Scale(code, scaling, n)
        start, goal = (builder.mul(x, ir.Constant(I64, width)) for x in (slot, after))
        for k in range(0, width, CHUNK):
            here = ir.Constant(I64, k)
            at = code.at(sums, I32, builder.add(start, here))
            value = scale(code.load(at, ir.VectorType(I32, CHUNK)))
            code.store(value, code.at(sums, I32, builder.add(goal, here)))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def list_rows(context, events, starts, n_frames, frame, runs, span, shift, filler, rows, at):
    """List the rows of runs span[0] .. span[1] in a frame from rows[at] on; return their end.

    The last group is filled. Whole vectors are read and written, two always, without a guess to get
    wrong: up to 2 * CHUNK words beyond the end.

    Args:
        events: uint32; starts: int32, flat [cells + 1, n_frames]; see `events.list_events`.
        runs: int32, flat [n, 3]; shift: what is added to their cells; see `arguments.Gather`.
        filler: row that is empty; rows: uint32.
    """
    signature = types.int64(
        events, starts, n_frames, frame, runs, span, shift, filler, rows, at
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Code(context, builder, signature, args)
        events, starts, n_frames, frame, runs, span, shift, filler, rows, first = code.args
        ints, width = ir.VectorType(I32, CHUNK), ir.Constant(I64, CHUNK)

        def number(array: Any, index: Any) -> Any:
            return code.wide(builder.load(code.at(array, I32, index)))

        def run(i: Any, values: list[Any]) -> list[Any]:
            (at,) = values
            here = code.at(runs, I32, builder.mul(i, ir.Constant(I64, 3)))
            cells = [builder.add(number(here, ir.Constant(I64, k)), shift) for k in range(2)]
            start, stop = (
                number(starts, builder.add(builder.mul(cell, n_frames), frame)) for cell in cells
            )
            base = code.splat(builder.load(code.at(here, I32, ir.Constant(I64, 2))), CHUNK)
            n = builder.sub(stop, start)

            def copy(k: Any) -> None:
                values = code.load(code.at(events, I32, builder.add(start, k)), ints)
                code.store(builder.sub(values, base), code.at(rows, I32, builder.add(at, k)))

            def more(i: Any, _: list[Any]) -> list[Any]:
                copy(builder.mul(i, width))
                return []

            copy(ir.Constant(I64, 0))
            copy(width)
            chunks = builder.lshr(builder.add(n, ir.Constant(I64, CHUNK - 1)), ir.Constant(I64, 4))
            code.loop(ir.Constant(I64, 2), chunks, [], more)
            return [builder.add(at, n)]

        begin, stop = (builder.extract_value(span, k) for k in range(2))
        (end,) = code.loop(begin, stop, [first], run)
        code.store(code.splat(builder.trunc(filler, I32), GROUP), code.at(rows, I32, end))
        n = builder.add(builder.sub(end, first), ir.Constant(I64, GROUP - 1))
        return builder.add(first, builder.and_(n, ir.Constant(I64, -GROUP)))

    return signature, generate


def _add_run(code: Code, goal: Any, origin: Any, kind: Any, width: int, length: Any) -> None:
    """Emit the addition of a run of weights to sums, in a loop if its length is not a number."""

    def add(here: Any, lanes: int) -> None:
        words = ir.VectorType(I16, lanes)
        place = code.at(goal, I16, here)
        weight = code.load(code.at(origin, kind, here), ir.VectorType(kind, lanes))
        if kind != I16:
            weight = code.builder.sext(weight, words)
        code.store(code.builder.add(code.load(place, words), weight), place)

    def one(i: Any, _: list[Any]) -> list[Any]:
        add(code.builder.mul(i, ir.Constant(I64, width)), width)
        return []

    if not isinstance(length, int):
        code.loop(ir.Constant(I64, 0), length, [], one)
        return
    done = 0
    while done < length * width:
        lanes = next(lanes for lanes in (32, 16, 8) if done + lanes <= length * width)
        add(ir.Constant(I64, done), lanes)
        done += lanes


@intrinsic
def add_runs(
    context,
    eights,
    sums,
    found,
    n,
    split,
    starts,
    shape,
    steps,
    weights,
    stride,
):
    """Add the weights of n spikes to the sums, run by run; see `steps.Spread`.

    Args:
        eights: tuple as long as the width in units of 8 channels.
        sums: int16, flat; weights: int8 or int16, flat.
        found: uint32, the number of each spike.
        split: (divisor, 2^SPLIT over it rounded up, flat): what a number is of pixel and channel.
        starts: uint32, of each pixel.
        shape: (runs, length of each in target pixels).
        steps: from run to run, (target pixels back, places on).
        stride: weights from one source channel to the next.
    """
    width = 8 * eights.count
    signature = types.void(
        eights, sums, found, n, split, starts, shape, steps, weights, stride
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Code(context, builder, signature, args)
        _, sums, found, n, split, starts, shape, steps, weights, stride = code.args
        divisor, reciprocal, flat = (builder.extract_value(split, k) for k in range(3))
        n_runs, length = (builder.extract_value(shape, k) for k in range(2))
        back, on = (
            builder.mul(builder.extract_value(steps, k), ir.Constant(I64, width)) for k in range(2)
        )
        flat = builder.icmp_signed("!=", flat, ir.Constant(flat.type, 0))
        kind = context.get_data_type(signature.args[8].dtype)

        def add_all(known: tuple[int, int] | None) -> None:
            def spike(i: Any, _: list[Any]) -> list[Any]:
                number = builder.zext(builder.load(code.at(found, I32, i)), I64)
                over = builder.lshr(builder.mul(number, reciprocal), ir.Constant(I64, SPLIT))
                rest = builder.sub(number, builder.mul(over, divisor))
                pixel = builder.select(flat, rest, over)
                mine = builder.mul(builder.select(flat, over, rest), stride)
                both = builder.zext(builder.load(code.at(starts, I32, pixel)), I64)
                place = builder.and_(both, ir.Constant(I64, (1 << PLACE_BITS) - 1))
                target = builder.lshr(both, ir.Constant(I64, PLACE_BITS))
                goal = builder.mul(target, ir.Constant(I64, width))
                origin = builder.add(mine, builder.mul(place, ir.Constant(I64, width)))

                def run(_: Any, at: list[Any]) -> list[Any]:
                    goal, origin = at
                    _add_run(
                        code, code.at(sums, I16, goal), code.at(weights, kind, origin), kind,
                        width, known[1] if known else length,
                    )  # fmt: skip
                    return [builder.sub(goal, back), builder.add(origin, on)]

                if known:
                    for _k in range(known[0]):
                        goal, origin = run(None, [goal, origin])
                else:
                    code.loop(ir.Constant(I64, 0), n_runs, [goal, origin], run)
                return []

            code.loop(ir.Constant(I64, 0), n, [], spike)

        after = builder.append_basic_block("added")
        shape = builder.or_(builder.shl(n_runs, ir.Constant(I64, 8)), length)
        cases = builder.switch(shape, builder.append_basic_block("any"))
        for known in (*UNROLLED, None):
            block = cases.default
            if known:
                block = builder.append_basic_block(f"runs_{known[0]}_{known[1]}")
                cases.add_case(ir.Constant(I64, known[0] << 8 | known[1]), block)
            builder.position_at_end(block)
            add_all(known)
            builder.branch(after)
        builder.position_at_end(after)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def scatter_row(context, synapses, first, stop, sums):
    """Add the weight of synapses[first:stop] to the sum of each one's place.

    Args:
        synapses: uint32, see `scatter.Scatter`.
        sums: int16 or int32.
    """
    signature = types.void(synapses, types.int64, types.int64, sums)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Code(context, builder, signature, args)
        synapses, first, stop, sums = code.args
        kind = context.get_data_type(signature.args[3].dtype)

        def add(synapse: Any) -> None:
            place = builder.zext(builder.lshr(synapse, ir.Constant(I32, 8)), I64)
            total = code.at(sums, kind, place)
            weight = builder.sext(builder.trunc(synapse, ir.IntType(8)), kind)
            builder.store(builder.add(builder.load(total), weight), total)

        def read(at: Any) -> Any:
            return builder.load(code.at(synapses, I32, at))

        def some(i: Any, _: list[Any]) -> list[Any]:
            at = builder.add(first, builder.mul(i, ir.Constant(I64, TOGETHER)))
            for synapse in [read(builder.add(at, ir.Constant(I64, k))) for k in range(TOGETHER)]:
                add(synapse)
            return []

        def one(i: Any, _: list[Any]) -> list[Any]:
            add(read(i))
            return []

        together = ir.Constant(I64, TOGETHER)
        groups = builder.sdiv(builder.sub(stop, first), together)
        code.loop(ir.Constant(I64, 0), groups, [], some)
        code.loop(builder.add(first, builder.mul(groups, together)), stop, [], one)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def prefetch(context, array, index):
    """Ask for the cache line of array[index], uint32; it need not exist."""
    signature = types.void(array, index)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Code(context, builder, signature, args)
        array, index = code.args
        place = builder.bitcast(code.at(array, I32, index), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, I32, I32, I32])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        read, keep, data = ir.Constant(I32, 0), ir.Constant(I32, 3), ir.Constant(I32, 1)
        builder.call(fetch, [place, read, keep, data])
        return context.get_dummy_value()

    return signature, generate
