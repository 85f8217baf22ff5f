"""What a projection delivers, as ONNX operators: exact integers on any runtime.

Dense layers and convolutions multiply uint8 by 8-bit weights into int32. A runtime may add pairs of
such products in 16 bits with saturation (x86 without VNNI), so what is multiplied never exceeds
127: plain spikes as they are, wider payloads in digits of at most 7 bits, by sign, along a leading
axis. Lists of synapses are multiplied in int64 and added up by a running sum.
"""

from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
from onnx import TensorProto

from snndeploy.errors import UnsupportedError
from snndeploy.ir.arrays import AnyArray
from snndeploy.ir.network import Projection
from snndeploy.ir.program import INT32
from snndeploy.ir.ranges import arriving_bounds, shifted
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Shape3, Sparse
from snndeploy.onnxgraph.nodes import Nodes
from snndeploy.onnxgraph.statements import POWERS, WORD_BITS, floored, wrapped
from snndeploy.onnxgraph.weights import Stored, largest_sum, stored

DIGIT_BITS = 7
TYPES = (
    (0, 255, TensorProto.UINT8), (-128, 127, TensorProto.INT8),
    (-(1 << 15), (1 << 15) - 1, TensorProto.INT16), (*INT32, TensorProto.INT32),
)  # fmt: skip
Kept = dict[str, Stored]
"""Weight arrays by the name they have beside a network's text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """What a node sends, as a value of the graph.

    Attributes:
        value: [B, n], or the same with leading axes where `digits` made it.
        low: smallest value it may have.
        high: largest one.
    """

    value: str
    low: int
    high: int

    @property
    def type(self) -> int:
        """Return the narrowest ONNX type that holds it."""
        return next(kind for low, high, kind in TYPES if low <= self.low and self.high <= high)


class Synapses:
    """Writes projections into a graph; weights become initializers.

    Attributes:
        initializers: arrays by value name, in order.
        arrays: weights by the name of the network's array, with the initializer that holds them.
    """

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.initializers: dict[str, AnyArray] = {}
        self.arrays: dict[str, tuple[str, Stored | None]] = {}

    def keep(self, owner: str, key: str, array: AnyArray | Stored) -> str:
        """Keep an array of the network as an initializer; return its name."""
        values = array.values if isinstance(array, Stored) else array
        name = self.initializer(f"{owner}.{key}", values)
        self.arrays[f"{owner}.{key}"] = (name, array if isinstance(array, Stored) else None)
        return name

    def initializer(self, wanted: str, values: AnyArray) -> str:
        """Keep any array; return its name."""
        name = self.nodes.names.fresh(wanted)
        self.initializers[name] = values
        return name

    def deliver(self, projection: Projection, sent: Sent) -> tuple[str, int]:
        """Append a projection; return what arrives, int64 [B, n_out], and its largest magnitude."""
        synapse = projection.synapse
        floor, ceiling = arriving_bounds(synapse, min(sent.low, 0), max(sent.high, 0))
        most = max(-int(floor.min(initial=0)), int(ceiling.max(initial=0)))
        match synapse:
            case Dense() | Conv() | Pool():
                total = self.products(projection, sent)
            case OneToOne(weight=weight):
                kept = self.keep(projection.name, "weight", stored(weight, projection.sign_mode))
                scaled = self.scaled(kept, projection)
                total = self.nodes.op("Mul", self.wide(sent), scaled)
            case Sparse():
                total = self.listed(projection, synapse, sent)
            case _:
                assert_never(synapse)
        if most > INT32[1]:
            total, most = wrapped(self.nodes, total, 32), -INT32[0]
        total = self.shifted(total, projection.weight_exp)
        most = shifted(most, projection.weight_exp)
        if most > INT32[1]:
            total, most = wrapped(self.nodes, total, 32), -INT32[0]
        return total, most

    def wide(self, sent: Sent) -> str:
        """Return what is sent as int64."""
        return self.nodes.op("Cast", sent.value, to=TensorProto.INT64)

    def scaled(self, kept: str, projection: Projection) -> str:
        """Return kept 8-bit weights as the int64 weights they stand for."""
        wide = self.nodes.op("Cast", kept, to=TensorProto.INT64)
        factor = self.arrays[f"{projection.name}.weight"][1]
        assert factor is not None
        return self.nodes.op("Mul", wide, self.nodes.constant(factor.factor))

    def shifted(self, value: str, exponent: int) -> str:
        """Return value << exponent, rounded down if it is negative."""
        if exponent >= 0:
            power = POWERS[min(exponent, WORD_BITS)]
            return self.nodes.op("Mul", value, self.nodes.constant(power)) if exponent else value
        return floored(self.nodes, value, -exponent)

    def listed(self, projection: Projection, synapse: Sparse, sent: Sent) -> str:
        """Multiply synapse by synapse; a row's sum is a difference of two running sums."""
        nodes, owner = self.nodes, projection.name
        indptr = self.keep(owner, "indptr", synapse.indptr)
        indices = self.keep(owner, "indices", synapse.indices)
        kept = self.keep(owner, "weight", stored(synapse.weight, projection.sign_mode))
        inputs = nodes.op("Gather", self.wide(sent), indices, axis=1)
        products = nodes.op("Mul", inputs, self.scaled(kept, projection))
        padded = nodes.op("Pad", products, nodes.constant([0, 1, 0, 0]))
        running = nodes.op("CumSum", padded, nodes.constant(1))
        at_ends = nodes.op("Gather", running, indptr, axis=1)
        zero, one, n_out = (nodes.constant([value]) for value in (0, 1, synapse.n_out))
        beyond = nodes.constant([synapse.n_out + 1])
        lower = nodes.op("Slice", at_ends, zero, n_out, one)
        upper = nodes.op("Slice", at_ends, one, beyond, one)
        return nodes.op("Sub", upper, lower)

    def products(self, projection: Projection, sent: Sent) -> str:
        """Multiply digit by digit into int32, add the digits up in int64.

        By a running sum: ONNX Runtime 1.32 reduces int64 in float64, and rounds beyond 2^53.
        """
        nodes = self.nodes
        digits, radix = self.digits(projection, sent)
        sums = self.multiplied(projection, digits, stacked=len(radix) > 1)
        wide = nodes.op("Cast", sums, to=TensorProto.INT64)
        if len(radix) == 1:
            return nodes.op("Mul", wide, nodes.constant(radix[0])) if radix[0] != 1 else wide
        column = nodes.op("Unsqueeze", nodes.constant(radix), nodes.constant([1, 2]))
        weighed = nodes.op("Mul", wide, column)
        running = nodes.op("CumSum", weighed, nodes.constant(0))
        return nodes.op("Gather", running, nodes.constant(len(radix) - 1), axis=0)

    def digits(self, projection: Projection, sent: Sent) -> tuple[str, list[int]]:
        """Return what is sent as uint8, [B, n] or [digits, B, n], and what each digit is worth.

        Raises:
            UnsupportedError: E2401, too many synapses for an int32 sum of one-bit digits.
        """
        nodes = self.nodes
        factor = _factor(projection)
        sums = largest_sum(projection)
        if sent.low >= 0 and sent.high < 1 << DIGIT_BITS and sent.high * sums <= INT32[1]:
            return nodes.op("Cast", sent.value, to=TensorProto.UINT8), [factor]
        fitting = [b for b in range(1, DIGIT_BITS + 1) if ((1 << b) - 1) * sums <= INT32[1]]
        if not fitting:
            raise UnsupportedError(
                "E2401",
                f"stored weights of one neuron add up to {sums:,}; int32 ends at {INT32[1]:,}",
                where=projection.name,
                remedy="split the layer",
            )
        bits = fitting[-1]
        wide = self.wide(sent)
        parts: list[str] = []
        radix: list[int] = []
        for sign, most in ((1, sent.high), (-1, -sent.low)):
            if most <= 0:
                continue
            signed = wide if sign > 0 else nodes.op("Neg", wide)
            part = nodes.op("Max", signed, nodes.constant(0))
            for place in range(0, most.bit_length(), bits):
                low = nodes.op("Div", part, nodes.constant(1 << place)) if place else part
                digit = nodes.op("Mod", low, nodes.constant(1 << bits))
                small = nodes.op("Cast", digit, to=TensorProto.UINT8)
                parts.append(nodes.op("Unsqueeze", small, nodes.constant([0])))
                radix.append(sign * factor << place)
        if len(parts) > 1:
            return nodes.op("Concat", *parts, axis=0), radix
        return nodes.op("Squeeze", parts[0], nodes.constant([0])), radix

    def multiplied(self, projection: Projection, digits: str, *, stacked: bool) -> str:
        """Multiply digits by 8-bit weights; return int32 with the digits' leading axes."""
        synapse, owner = projection.synapse, projection.name
        match synapse:
            case Dense(weight=weight):
                kept = stored(weight, projection.sign_mode, transposed=True)
                return self.nodes.op("MatMulInteger", digits, self.keep(owner, "weight", kept))
            case Conv(weight=weight):
                kept = stored(weight, projection.sign_mode)
                kernel, image = self.keep(owner, "weight", kept), synapse.in_shape
                settings = {"dilations": synapse.dilation, "group": synapse.groups}
            case Pool():  # every channel is an image of its own
                ones = np.ones((1, 1, *synapse.kernel), dtype=np.uint8)
                kernel = self.initializer(f"{owner}.ones", ones)
                image = (1, *synapse.in_shape[1:])
                settings = {}
            case _:
                raise AssertionError(type(synapse))
        return self.convolved(
            digits, kernel, image, synapse.n_out, stacked=stacked,
            strides=synapse.stride, pads=(*synapse.padding, *synapse.padding), **settings,
        )  # fmt: skip

    def convolved(
        self, digits: str, kernel: str, image: Shape3, n_out: int, *, stacked: bool, **settings: Any
    ) -> str:
        """Convolve images [., C, H, W] that lie flat in `digits`; return them flat again."""
        nodes = self.nodes
        images = nodes.op("Reshape", digits, nodes.constant([-1, *image]))
        sums = nodes.op("ConvInteger", images, kernel, **settings)
        lead = nodes.op("Shape", digits, start=0, end=2 if stacked else 1)
        shape = nodes.op("Concat", lead, nodes.constant([n_out]), axis=0)
        return nodes.op("Reshape", sums, shape)


def _factor(projection: Projection) -> int:
    """Return what a product of a stored weight and a digit is worth."""
    synapse = projection.synapse
    if isinstance(synapse, Pool):
        return synapse.weight
    return stored(np.zeros(0, dtype=np.int64), projection.sign_mode).factor
