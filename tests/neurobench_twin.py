"""An integer network as a module of snnTorch neurons, for the package `neurobench` to measure.

Only what torch says exactly: chains of Linear and Conv2d (a pool is a depthwise one), neurons that
reset to zero and either do not leak or halve for as many steps as a float holds.
"""

import numpy as np
import snntorch as snn
import torch
from torch import nn

from snndeploy.ir.network import Network
from snndeploy.ir.neurons import NEVER
from snndeploy.ir.synapses import Conv, Dense, Pool, Sparse

DECAY_ONE, STATE_ONE = 4096, 64


class Twin(nn.Module):
    """Runs one step; `snntorch.utils.reset` clears it between samples."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.shapes, self.steps = {}, []
        for population in network.populations:
            (projection,) = network.into(population.name)
            synapse = projection.synapse
            layer = connection(synapse)
            layer.weight.data = torch.from_numpy(weights(synapse)).float()
            bias = population.params["bias_mant"] << population.params["bias_exp"]
            if bias.any():
                layer.bias = nn.Parameter(torch.from_numpy(bias / STATE_ONE).float())
            self.add_module(f"synapses of {population.name}", layer)
            neuron = None
            if population.scalar("vth") < NEVER:
                neuron = snn.Leaky(
                    beta=1 - population.scalar("dv") / DECAY_ONE,
                    threshold=population.scalar("vth"),
                    init_hidden=True, reset_mechanism="zero", reset_delay=False,
                )  # fmt: skip
                self.add_module(population.name, neuron)
            is_image = isinstance(synapse, Conv | Pool)
            shape = synapse.in_shape if is_image else (synapse.n_in,)
            self.steps.append((layer, neuron, shape))

    def forward(self, x):
        for layer, neuron, shape in self.steps:
            x = layer(x.reshape(len(x), *shape))
            x = x if neuron is None else neuron(x)
        return x.reshape(len(x), -1), None


def connection(synapse):
    """Return an empty torch layer of a synapse kind."""
    match synapse:
        case Dense() | Sparse():
            return nn.Linear(synapse.n_in, synapse.n_out, bias=False)
        case Conv():
            out, each, *kernel = synapse.weight.shape
            return nn.Conv2d(
                each * synapse.groups, out, kernel, stride=synapse.stride, padding=synapse.padding,
                dilation=synapse.dilation, groups=synapse.groups, bias=False,
            )  # fmt: skip
        case Pool():
            channels = synapse.in_shape[0]
            return nn.Conv2d(
                channels, channels, synapse.kernel, stride=synapse.stride, padding=synapse.padding,
                groups=channels, bias=False,
            )  # fmt: skip


def weights(synapse) -> np.ndarray:
    """Return a synapse kind's weights in torch's layout."""
    match synapse:
        case Sparse():
            full = np.zeros((synapse.n_out, synapse.n_in), dtype=np.int64)
            full[synapse.rows, synapse.indices] = synapse.weight
            return full
        case Pool():
            return np.full((synapse.in_shape[0], 1, *synapse.kernel), synapse.weight)
        case _:
            return np.array(synapse.weight)
