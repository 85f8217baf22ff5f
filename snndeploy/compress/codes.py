"""Which layers are quantized, with which codes: bits by layer, rules for the ends, signs."""

from collections.abc import Mapping
from difflib import get_close_matches
from numbers import Integral

import numpy as np

from snndeploy.compress.channels import has_weights
from snndeploy.compress.records import QuantizeOptions
from snndeploy.compress.rescaw import Codes, signs_of
from snndeploy.errors import UnsupportedError, UsageError
from snndeploy.ir.arrays import FloatArray
from snndeploy.model import Model
from snndeploy.nirgraph.rebuild import topological_order
from snndeploy.target import Numerics

AS_IT_IS = 32
"""Bits that mean that a layer is not quantized."""


def choose_codes(model: Model, options: QuantizeOptions, numerics: Numerics) -> dict[str, Codes]:
    """Return the codes of every layer that is quantized, in the order of the graph.

    What only copies channels (a padded shortcut) has no weights to quantize.
    """
    nodes = model.graph.nodes
    names = [name for name in topological_order(model.graph) if has_weights(nodes[name])]
    if isinstance(options.bits, Mapping):
        for name in options.bits:
            _check_name(name, names)
    found = {}
    for position, name in enumerate(names):
        bits, kind = _bits(options, name), options.grid
        ends = (options.first_bits, position == 0), (options.last_bits, position == len(names) - 1)
        for own, is_there in ends:
            if own is not None and is_there:
                bits, kind = own, "chip"
        if bits is None or bits == AS_IT_IS:
            continue
        _check_bits(name, bits, kind, numerics)
        signs = signs_of(real_weight(model, name), kind)
        found[name] = Codes(bits=bits, kind=kind, sign_mode=signs)
    return found


def _bits(options: QuantizeOptions, name: str) -> int | None:
    return options.bits.get(name) if isinstance(options.bits, Mapping) else options.bits


def _check_name(name: str, names: list[str]) -> None:
    if name in names:
        return
    near = get_close_matches(name, names, n=1)
    raise UsageError(
        "E5081",
        f"the model has no layer with weights of the name {name!r}",
        where="--bits",
        remedy=f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(names)}",
    )


def _check_bits(name: str, bits: int, kind: str, numerics: Numerics) -> None:
    most = numerics.weight_bits
    if not isinstance(bits, Integral) or not 2 <= bits <= most:
        raise UsageError(
            "E5080", f"{bits!r:.20} bits for {name}, allowed 2 to {most}", where="--bits",
            remedy=f"use {most}, or {AS_IT_IS} to leave the first or last layer as it is",
        )  # fmt: skip
    if kind == "odd" and bits + 1 > most:
        raise UnsupportedError(
            "E2310",
            f"odd codes of {bits} bits reach {2**bits - 1}; the chip stores even weights up to "
            f"{2**most - 2}, so each code, doubled, has room up to {bits - 1} bits",
            where=name,
            remedy=f"use --bits {most - 1}, or the chip's own grid with --grid chip",
        )


def real_weight(model: Model, name: str) -> FloatArray:
    """Return a layer's weights in float64."""
    return np.asarray(model.graph.nodes[name].weight, dtype=np.float64)
