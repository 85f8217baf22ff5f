"""Decays per step as NIR's time constants, such that a step gives them back."""

from math import inf, nextafter

import numpy as np

from snndeploy.ir.arrays import FloatArray
from snndeploy.semantics import PRESETS

DT = PRESETS["nir"].dt
FOREVER = DT * 2.0**60
"""Time constant of a state that does not decay: 1 - dt / tau is exactly 1."""


def decay_constants(decay: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return tau [s] and r with 1 - dt / tau = decay (to 1 ulp) and r * dt / tau = 1 exactly.

    An input gain of exactly 1 keeps ties with the threshold on the threshold.
    """
    values, where = np.unique(decay, return_inverse=True)
    pairs = np.array([_decay_pair(float(value)) for value in values])
    tau, r = pairs[where.reshape(decay.shape)].transpose(-1, *range(decay.ndim))
    return np.ascontiguousarray(tau), np.ascontiguousarray(r)


def _decay_pair(decay: float) -> tuple[float, float]:
    if decay == 1.0:
        return FOREVER, FOREVER / DT
    best = DT / (1.0 - decay)
    taus = [best]
    for direction in (0.0, inf):
        tau = best
        for _ in range(4):
            tau = nextafter(tau, direction)
            taus.append(tau)
    pairs = [
        (tau, r)
        for tau in taus
        for r in (tau / DT, nextafter(tau / DT, 0.0), nextafter(tau / DT, inf))
        if r * DT / tau == 1.0
    ]
    return min(pairs, key=lambda pair: abs(1.0 - DT / pair[0] - decay))
