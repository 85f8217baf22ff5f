"""What runs a population on arrays."""

from hwtargets.simulator import compiled, lif
from hwtargets.simulator.ran import Kernel
from snndeploy.ir.network import Population
from snndeploy.ir.neurons import LIF


def kernel(population: Population) -> Kernel:
    """Return what runs a population: a kernel written for `lif`, else its compiled program."""
    if population.program == LIF:
        return lif.kernel(population.params)
    return compiled.kernel(population)
