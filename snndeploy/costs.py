"""What a model costs on a chip, as a number that pruning can hold against a budget.

Each cost is found out, not modelled: the model is compiled, and simulated where events count.
"""

from math import inf

from snndeploy.compress.prune_records import Cost, CostName
from snndeploy.estimation import estimate
from snndeploy.model import Model
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.samples import Samples
from snndeploy.target import Target

SIMULATED = 32
"""Samples that are simulated per network, from the first on."""


def cost_on(
    target: Target, name: CostName, samples: Samples | None, options: CompileOptions
) -> Cost:
    """Return what finds out a model's cost on a chip; infinite where it does not fit.

    Args:
        target: the chip.
        name: `cores`, `synaptic_ops` (per sample) or `energy_j` (dynamic, nominal, per sample).
        samples: to simulate; not needed for cores.
        options: how models are compiled.
    """

    def cost(model: Model) -> float:
        compiled = compile_model(model, target, options)
        if compiled.placement is None:
            return inf
        if name == "cores":
            return float(len({piece.core for piece in compiled.placement.slices}))
        assert samples is not None
        measured = estimate(compiled, samples.first(SIMULATED))
        if name == "synaptic_ops":
            return sum(layer.synaptic_ops_per_sample for layer in measured.layers)
        return measured.dynamic_j[1]

    return cost
