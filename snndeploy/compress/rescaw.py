"""ReScaW: real weights to codes of a few bits, with the clip point gamma that the weights ask for.

Pure functions of numpy arrays; gamma is [1] or one per row (output channel) of the weights. The
quantizer of the paper, with s = 2^b - 1:

    w_int = round( s/2 * (clamp(w / gamma, -1, 1) + 1) )     round: half to even
    code  = 2 * w_int - s                                     odd, so a weight of 0 becomes +1
    w_hat = gamma / s * code

On the chip's own grid the codes are round(clamp(w / gamma, -1, 1) * largest), zero among them.
Source: Wei et al., "QP-SNN", ICLR 2025, equations 4 to 6, 8 (utilisation), 9 and 10 (gamma).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.ir.grid import natural_sign_mode
from snndeploy.ir.synapses import SignMode
from snndeploy.nirgraph.weight_grid import Kind, Rule, largest_code

COARSE = np.geomspace(0.02, 1.0, 48)
"""Shares of the largest weight that are tried as gamma; the best is refined."""
REFINED = 12
"""Gammas that are tried between the neighbours of the best one, twice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Codes:
    """A family of codes: bits, kind, signs."""

    bits: int
    kind: Kind
    sign_mode: SignMode = "mixed"

    @property
    def largest(self) -> int:
        """The largest magnitude."""
        return largest_code(self.bits, self.kind, self.sign_mode)

    @property
    def n_codes(self) -> int:
        """How many there are."""
        if self.kind == "odd":
            return 1 << self.bits
        return 2 * self.largest + 1 if self.sign_mode == "mixed" else self.largest + 1


def signs_of(weight: FloatArray, kind: Kind) -> SignMode:
    """Return the sign mode that weights are stored in; odd codes have both signs always."""
    return "mixed" if kind == "odd" else natural_sign_mode(np.sign(weight).astype(np.int64))


def to_codes(weight: FloatArray, gamma: FloatArray, codes: Codes) -> IntArray:
    """Return the code of every weight, of the same shape.

    Args:
        weight: real weights [rows, …].
        gamma: clip points, [1] or [rows].
        codes: which codes there are.
    """
    share = np.clip(weight / by_row(gamma, weight), -1.0, 1.0)
    if codes.kind == "odd":
        return np.asarray(2 * np.rint(codes.largest / 2 * (share + 1)) - codes.largest, np.int64)
    low = 0.0 if codes.sign_mode == "excitatory" else -1.0
    high = 0.0 if codes.sign_mode == "inhibitory" else 1.0
    return np.rint(np.clip(share, low, high) * codes.largest).astype(np.int64)


def from_codes(integers: IntArray, gamma: FloatArray, codes: Codes) -> FloatArray:
    """Return the real weights that codes stand for."""
    return np.asarray(by_row(gamma / codes.largest, integers) * integers)


def by_row(values: FloatArray, weight: FloatArray | IntArray) -> FloatArray:
    """Return values [1] or [rows] in a shape that broadcasts over the rows of the weights."""
    return values.reshape(-1, *[1] * (weight.ndim - 1))


def gamma_of(
    weight: FloatArray, rule: Rule, codes: Codes, *, percentile: float, by_channel: bool
) -> FloatArray:
    """Return the clip point that a rule asks for, [rows] if `by_channel`, else [1].

    Rows of zeros take the mean of the others; weights that are all 0 take 1.

    Args:
        weight: real weights [rows, …].
        rule: `max` |w|; `percentile`: the larger magnitude of the percentiles x and 1 - x; `mean`
            |w|; `mse`: least squared error; `vanilla`: 1.
        codes: which codes there are, for `mse`.
        percentile: x of rule `percentile`.
        by_channel: one per row.
    """
    rows = weight.reshape(len(weight) if by_channel else 1, -1)
    if rule == "vanilla":
        return np.ones(len(rows))
    gamma = _least_error(rows, codes) if rule == "mse" else RULES[rule](rows, percentile)
    known = gamma > 0
    return np.where(known, gamma, gamma[known].mean() if known.any() else 1.0)


def _largest(rows: FloatArray, _percentile: float) -> FloatArray:
    return np.asarray(np.abs(rows).max(axis=1))


def _percentile(rows: FloatArray, percentile: float) -> FloatArray:
    ends = np.quantile(rows, [1 - percentile, percentile], axis=1)
    return np.asarray(np.abs(ends).max(axis=0))


def _mean(rows: FloatArray, _percentile: float) -> FloatArray:
    return np.asarray(np.abs(rows).mean(axis=1))


RULES: dict[str, Callable[[FloatArray, float], FloatArray]] = {
    "max": _largest,
    "percentile": _percentile,
    "mean": _mean,
}


def _least_error(rows: FloatArray, codes: Codes) -> FloatArray:
    """Return per row the gamma of least squared error, 0 for rows of zeros."""
    largest = np.abs(rows).max(axis=1)
    tried = np.where(largest > 0, largest, 1.0) * COARSE[:, None]
    best = _best_of(rows, tried, codes)
    for _ in range(2):
        ratio = (tried[1] / tried[0])[None]  # between neighbours, the same for every pair
        exponents = np.linspace(-1, 1, 2 * REFINED + 1)[:, None]
        tried = best * ratio**exponents
        best = _best_of(rows, tried, codes)
    return np.where(largest > 0, best, 0.0)


def _best_of(rows: FloatArray, tried: FloatArray, codes: Codes) -> FloatArray:
    """Return per row the best of gammas [n, rows]; the first of equals."""
    errors = [
        np.square(rows - from_codes(to_codes(rows, gamma, codes), gamma, codes)).sum(axis=1)
        for gamma in tried
    ]
    return np.asarray(tried[np.argmin(errors, axis=0), np.arange(len(rows))])


# ---- what a quantization did -------------------------------------------------------------


def clipped_share(weight: FloatArray, gamma: FloatArray) -> float:
    """Return the share of weights beyond gamma."""
    return float(np.mean(np.abs(weight) > by_row(gamma, weight)))


def sqnr_db(weight: FloatArray, quantized: FloatArray) -> float:
    """Return 10 log10(sum w^2 / sum (w - w_hat)^2) [dB]; inf where nothing was lost."""
    noise, signal = float(np.square(weight - quantized).sum()), float(np.square(weight).sum())
    if not noise:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")


def n_codes_used(integers: IntArray) -> int:
    """Return how many different codes occur."""
    return len(np.unique(integers))
