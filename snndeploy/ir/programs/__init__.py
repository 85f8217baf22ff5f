"""Neurons beyond Loihi's own: programs that need microcode there, one family per module.

A program is defined here once; every executor runs it from this definition. `PROGRAMS` lists all
that ship, `lif` included; a program of yours needs no entry (CONTRIBUTING.md, Adding a neuron).
"""

from collections.abc import Mapping

from snndeploy.ir.neurons import LIF
from snndeploy.ir.program import Program
from snndeploy.ir.programs.graded import GRADED_PRODUCT, GRADED_SUM, graded_product, graded_sum
from snndeploy.ir.programs.leaky import (
    LIF_CLAMPED,
    LIF_MULTI,
    LIF_REFRACTORY,
    LIF_SUBTRACT,
    LIF_SUBTRACT_DELAYED,
    lif_clamped,
    lif_multi,
    lif_refractory,
    lif_subtract,
    lif_subtract_delayed,
)
from snndeploy.ir.programs.sigma_delta import DELTA, SIGMA, SIGMA_DELTA, delta, sigma, sigma_delta

__all__ = [
    "DELTA", "GRADED_PRODUCT", "GRADED_SUM", "LIF_CLAMPED", "LIF_MULTI", "LIF_REFRACTORY",
    "LIF_SUBTRACT", "LIF_SUBTRACT_DELAYED", "PROGRAMS", "SIGMA", "SIGMA_DELTA", "delta",
    "graded_product", "graded_sum", "lif_clamped", "lif_multi", "lif_refractory", "lif_subtract",
    "lif_subtract_delayed", "sigma", "sigma_delta",
]  # fmt: skip

PROGRAMS: Mapping[str, Program] = {
    program.name: program
    for program in (
        LIF, LIF_SUBTRACT, LIF_SUBTRACT_DELAYED, LIF_CLAMPED, LIF_MULTI, LIF_REFRACTORY,
        SIGMA, DELTA, SIGMA_DELTA, GRADED_SUM, GRADED_PRODUCT,
    )
}  # fmt: skip
