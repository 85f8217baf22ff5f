"""Which table reads the neurons of which framework."""

from snndeploy.frontends.neurons import SNNTORCH, SPIKINGJELLY, NeuronReader
from snndeploy.frontends.norse_neurons import NORSE
from snndeploy.frontends.sinabs_neurons import SINABS

FRAMEWORKS: dict[str, dict[str, NeuronReader]] = {
    "spikingjelly": SPIKINGJELLY,
    "snntorch": SNNTORCH,
    "norse": NORSE,
    "sinabs": SINABS,
}
