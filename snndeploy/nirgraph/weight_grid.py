"""The grid on which a quantized layer's weights lie, and its record in the node's metadata.

A weight is step * code: codes are integers, the step is gamma / largest code, gamma the real value
of the largest code. Two families of codes:

    odd    -(2^b - 1), …, -1, 1, …, 2^b - 1     2^b values without zero
    chip   those of the chip's stored weights: -(2^(b-1) - 1), …, 2^(b-1) - 1 where signs are mixed,
           0, …, 2^b - 1 where none is negative, -(2^b - 1), …, 0 where none is positive

Source: Wei et al., "QP-SNN", ICLR 2025, equations 4 to 6 (odd); Loihi's sign modes (chip).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import nir
import numpy as np

from snndeploy.errors import ModelError
from snndeploy.ir.arrays import FloatArray
from snndeploy.ir.synapses import SignMode
from snndeploy.model import METADATA_KEY
from snndeploy.nirgraph.rebuild import copy_node

Kind = Literal["chip", "odd"]
Rule = Literal["mse", "max", "percentile", "mean", "vanilla"]
WEIGHTS = (nir.Linear, nir.Affine, nir.Conv1d, nir.Conv2d)
GRID_KEY = "grid"
"""Where a weight node's own metadata keep the record."""
FEWEST_BITS, MOST_BITS = 2, 8


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class WeightGrid:
    """A quantized layer's grid; gamma and unit are [1], or [rows] where output channels differ.

    Attributes:
        bits: 2..8; there are up to 2^bits codes.
        kind: family of codes.
        sign_mode: signs that the codes may have; `mixed` for odd codes.
        rule: how gamma follows from the weights.
        percentile: of rule `percentile`, 0.5..1.
        gamma: real value of the largest code.
        unit: real value of one weight unit of the population that the layer feeds, so that the
            chip's integer is code * step / unit.
    """

    bits: int
    kind: Kind
    sign_mode: SignMode
    rule: Rule
    percentile: float
    gamma: FloatArray
    unit: FloatArray

    @property
    def largest(self) -> int:
        """The largest magnitude of a code."""
        return largest_code(self.bits, self.kind, self.sign_mode)

    @property
    def step(self) -> FloatArray:
        """Real value of code 1, [1] or [rows]."""
        return self.gamma / self.largest


def largest_code(bits: int, kind: Kind, sign_mode: SignMode) -> int:
    """Return the largest magnitude of a code."""
    mixed_chip = kind == "chip" and sign_mode == "mixed"
    return (1 << (bits - mixed_chip)) - 1


def grid_of_node(name: str, node: Any) -> WeightGrid | None:
    """Return the grid that a weight node says its weights lie on, None if it says none.

    Raises:
        ModelError: E1240, the record is not one of ours or does not suit the node.
    """
    own = (node.metadata or {}).get(METADATA_KEY) if isinstance(node, WEIGHTS) else None
    if not own:
        return None
    record = own.get(GRID_KEY) if isinstance(own, Mapping) else None
    if not isinstance(record, Mapping) or set(own) != {GRID_KEY}:
        raise _malformed(name, "no record of a grid")
    fields = {str(key): _plain(value) for key, value in record.items()}
    if set(fields) != {"bits", "kind", "sign_mode", "rule", "percentile", "gamma", "unit"}:
        raise _malformed(name, f"fields {sorted(fields)}")
    _check(name, fields)
    gamma, unit = (_numbers(name, fields[key]) for key in ("gamma", "unit"))
    if len(gamma) not in (1, len(node.weight)) or len(unit) != len(gamma):
        raise _malformed(
            name, f"{len(gamma)} gammas and {len(unit)} units for {len(node.weight)} rows"
        )
    return WeightGrid(**{**fields, "gamma": gamma, "unit": unit})


def with_grid(node: Any, grid: WeightGrid) -> Any:
    """Return a copy of a weight node that carries a grid."""
    copied = copy_node(node)
    copied.metadata[METADATA_KEY] = {
        GRID_KEY: {
            "bits": grid.bits,
            "kind": grid.kind,
            "sign_mode": grid.sign_mode,
            "rule": grid.rule,
            "percentile": float(grid.percentile),
            "gamma": _text(grid.gamma),
            "unit": _text(grid.unit),
        }
    }
    return copied


def _check(name: str, fields: Mapping[str, Any]) -> None:
    bits, percentile = fields["bits"], fields["percentile"]
    if type(bits) is not int or not FEWEST_BITS <= bits <= MOST_BITS:
        raise _malformed(name, f"{bits!r:.20} bits")
    choices = {"kind": get_args(Kind), "sign_mode": get_args(SignMode), "rule": get_args(Rule)}
    for key, allowed in choices.items():
        if fields[key] not in allowed:
            raise _malformed(name, f"{key} {fields[key]!r:.20}")
    if fields["kind"] == "odd" and fields["sign_mode"] != "mixed":
        raise _malformed(name, "odd codes of one sign")
    if not isinstance(percentile, float) or not 0.5 <= percentile <= 1:
        raise _malformed(name, f"percentile {percentile!r:.20}")


def _numbers(name: str, text: Any) -> FloatArray:
    """Return the numbers that a record keeps as text: metadata hold no arrays."""
    try:
        values = np.array([float(word) for word in str(text).split()])
    except ValueError:
        values = np.zeros(0)
    if not len(values) or not np.isfinite(values).all() or np.any(values <= 0):
        raise _malformed(name, f"{text!r:.40} are not positive numbers")
    return values


def _text(values: FloatArray) -> str:
    return " ".join(repr(float(value)) for value in values)


def _plain(value: Any) -> Any:
    value = value.decode() if isinstance(value, bytes) else value
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value


def _malformed(name: str, what: str) -> ModelError:
    return ModelError(
        "E1240", f"its stored grid: {what}", where=name, remedy="quantize the model again"
    )
