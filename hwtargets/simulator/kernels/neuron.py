"""The leaky integrate-and-fire neuron, a block of channels at a time."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from hwtargets.simulator.kernels.vector import (
    CHUNK,
    I16,
    I32,
    I64,
    Code,
    Scale,
    constant,
)

INTS = ir.VectorType(I32, CHUNK)


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
):
    """Take one step of a block of neurons; return how many v were clipped, and ESCAPED.

        a = scaled sum
        u <- trunc(u * keep_u / 4096) + (a << 6)
        y <- clip(trunc(v * keep_v / 4096) + u + bias),  s <- y > threshold,  v <- 0 where s, else y

    All in 32 bits: for |x| < 2^23 and 0 <= d <= 4096, with x = 4096 h + l and 0 <= l < 4096,
    trunc(x * d / 4096) = h * d + ((l * d + (4095 if x < 0)) >> 12). Where u is kept, what arrives
    and the new u are watched: if ESCAPED is set, |u| may have reached 2^23 and nothing that follows
    is to be used.

    Args:
        lanes: tuple, see the module.
        kind: tuple; of length 1: keep_u is 0 and keep_v 4096; of 2: keep_u is 0; in both u is not
            kept, as |a| < 2^17 whatever comes; of 3: any.
        sums, slot, n, scaling: what arrives; see `scale_sums`; sums are int32 or int16. Where u is
            not kept, nothing is shifted right, and scaled sums are a << 6.
        keep: (keep_u, keep_v) in 1/4096.
        u, v: int32, flat, of this block from `state`.
        threshold, bias: int32, flat, of this block from `fixed`.
        sent: uint16, flat: a bit per neuron, of this block from `word`.
    """
    signature = types.int64(
        lanes, kind, sums, slot, n, scaling, keep, u, v, state, threshold, bias, fixed, sent, word
    )

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Code(context, builder, signature, args)
        _, _, sums, slot, n, scaling, keep, u, v, state, threshold, bias, fixed, sent, word = (
            code.args
        )
        scale = Scale(code, scaling, n)
        slot = builder.mul(slot, ir.Constant(I64, 32 * lanes.count))
        element = context.get_data_type(signature.args[2].dtype)
        keep_u, keep_v = (
            code.splat(
                builder.and_(
                    builder.trunc(builder.extract_value(keep, k), I32), ir.Constant(I32, 8191)
                ),
                CHUNK,
            )
            for k in range(2)
        )
        top, bottom, zero = _number((1 << 23) - 1), _number(1 - (1 << 23)), _number(0)
        inside, escaped = zero, zero
        for k in range(2 * lanes.count):
            here = ir.Constant(I64, k * CHUNK)
            mine = builder.add(state, here)
            p_u, p_v = code.at(u, I32, mine), code.at(v, I32, mine)
            arriving = code.load(
                code.at(sums, element, builder.add(slot, here)), ir.VectorType(element, CHUNK)
            )
            if element != I32:
                arriving = builder.sext(arriving, INTS)
            if kind.count < 3:
                now = scale.without_shifts(arriving)
            else:
                arriving = scale(arriving)
                now = builder.add(
                    builder.shl(arriving, _number(6)),
                    _decayed(builder, code.load(p_u, INTS), keep_u),
                )
                for value, bits in ((arriving, 24), (now, 23)):
                    over = builder.add(value, _number((1 << bits) - 1))
                    escaped = builder.or_(escaped, builder.lshr(over, _number(bits + 1)))
                code.store(now, p_u)
            y = code.load(p_v, INTS)
            if kind.count > 1:
                y = _decayed(builder, y, keep_v)
            y = builder.add(y, now)
            at = builder.add(fixed, here)
            y = builder.add(y, code.load(code.at(bias, I32, at), INTS))
            clipped = builder.select(builder.icmp_signed("<", y, top), y, top)
            clipped = builder.select(builder.icmp_signed(">", clipped, bottom), clipped, bottom)
            inside = builder.sub(inside, builder.sext(builder.icmp_signed("==", y, clipped), INTS))
            fired = builder.icmp_signed(">", clipped, code.load(code.at(threshold, I32, at), INTS))
            code.store(builder.select(fired, zero, clipped), p_v)
            mask = builder.bitcast(fired, I16)
            code.store(mask, code.at(sent, I16, builder.add(word, ir.Constant(I64, k))))
        total = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(I32, [INTS]), f"llvm.vector.reduce.add.v{CHUNK}i32"
        )
        clips = builder.sub(ir.Constant(I32, 32 * lanes.count), builder.call(total, [inside]))
        clips = builder.zext(clips, I64)
        if kind.count < 3:
            return clips
        any_escaped = builder.icmp_signed("!=", escaped, zero)
        flag = builder.icmp_signed("!=", builder.bitcast(any_escaped, I16), ir.Constant(I16, 0))
        return builder.or_(clips, builder.shl(builder.zext(flag, I64), ir.Constant(I64, 62)))

    return signature, generate


def _number(value: int) -> Any:
    return constant(value, I32, CHUNK)


def _decayed(builder: Any, x: Any, d: Any) -> Any:
    """Emit trunc(x * d / 4096)."""
    lift = builder.lshr(builder.ashr(x, _number(31)), _number(20))
    low = builder.mul(builder.and_(x, _number(4095)), d)
    rest = builder.lshr(builder.add(low, lift), _number(12))
    return builder.add(builder.mul(builder.ashr(x, _number(12)), d), rest)


@intrinsic
def fire(context, v, rest, threshold, differ, n_blocks, sent):
    """Set v to rest where it exceeds the threshold, and note it; return the least v, rest at most.

    Args:
        v: int16, flat, whole blocks of 64.
        threshold: int16, flat: of one block, or, if they differ, of all.
        differ: 1 or 0.
        sent: a bit per neuron is set, flat.
    """
    signature = types.int64(v, rest, threshold, differ, n_blocks, sent)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = Code(context, builder, signature, args)
        v, rest, threshold, differ, n_blocks, sent = code.args
        lanes = 2 * CHUNK
        shorts, rest = ir.VectorType(I16, lanes), code.splat(builder.trunc(rest, I16), lanes)

        def block(i: Any, values: list[Any]) -> list[Any]:
            (least,) = values
            for k in range(64 // lanes):
                here = ir.Constant(I64, k * lanes)
                start = builder.mul(i, ir.Constant(I64, 64))
                place = code.at(v, I16, builder.add(start, here))
                level = code.at(threshold, I16, builder.add(builder.mul(start, differ), here))
                y = code.load(place, shorts)
                fired = builder.icmp_signed(">", y, code.load(level, shorts))
                code.store(builder.select(fired, rest, y), place)
                word = builder.add(
                    builder.mul(i, ir.Constant(I64, 64 // lanes)), ir.Constant(I64, k)
                )
                code.store(builder.bitcast(fired, I32), code.at(sent, I32, word))
                least = builder.select(builder.icmp_signed("<", y, least), y, least)
            return [least]

        (least,) = code.loop(ir.Constant(I64, 0), n_blocks, [rest], block)
        lowest = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(I16, [shorts]), f"llvm.vector.reduce.smin.v{lanes}i16"
        )
        return builder.sext(builder.call(lowest, [least]), I64)

    return signature, generate
