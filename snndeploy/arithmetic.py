"""The papers' formula: energy of arithmetic alone, a lower bound and never a chip's energy.

Papers on spiking networks (the QP-SNN series among them) report E = AC x 0.9 pJ + MAC x 4.6 pJ,
45 nm prices of 32-bit floating-point operations (Horowitz, ISSCC 2014, Fig. 1.1.9). No memory is
read and no neuron updated in that sum; on networks with fitted hardware prices it came out 42 to
74 times too low. It is given for comparison with papers, labelled, beside the same network's
hardware count.

AC and MAC are NeuroBench's effective operations (`snndeploy.neurobench`): spikes times synapses
with a nonzero weight, added up over all T steps of a window, per sample. Papers differ here: some
count one step, some count a static image's layer once. Nothing of that is done here.
"""

from dataclasses import dataclass

from snndeploy.neurobench import SynapticOperations
from snndeploy.operations import ARITHMETIC, Range, operation_prices
from snndeploy.quantity import Grade

LABEL = "arithmetic-only lower bound"


@dataclass(frozen=True, kw_only=True, slots=True)
class ArithmeticBound:
    """The papers' formula on one network, per sample.

    Attributes:
        label: what it is.
        acs, macs: effective operations, total over T.
        energy_j: nominal and high as papers compute it; low with integer arithmetic.
        prices: name of the price table; `sources`: of the additions, then of the multiplications.
        hardware_ops: synapses that the chip touched for the same samples, zero weights, pipeline
            fill and drain included.
    """

    label: str = LABEL
    acs: float
    macs: float
    energy_j: Range
    prices: str
    sources: tuple[str, str]
    grade: Grade
    hardware_ops: float


def arithmetic_bound(operations: SynapticOperations, hardware_ops: float) -> ArithmeticBound:
    """Price effective operations by the papers' formula.

    Args:
        operations: per sample.
        hardware_ops: synaptic operations per sample on the chip.
    """
    table = operation_prices(ARITHMETIC)
    acs, macs = operations.effective_acs, operations.effective_macs
    return ArithmeticBound(
        acs=acs,
        macs=macs,
        energy_j=table.energy({"ac": acs, "mac": macs}),
        prices=table.name,
        sources=(table.prices["ac"].source, table.prices["mac"].source),
        grade=table.grade,
        hardware_ops=hardware_ops,
    )
