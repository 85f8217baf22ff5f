"""The same layers in float frameworks: all steps of a layer at once, in float32, not exact."""

import numpy as np
import torch


def spikingjelly(workload):
    """Return a function that runs a workload in SpikingJelly's multi-step mode."""
    from spikingjelly.activation_based import functional, layer, neuron

    modules = []
    for kind, weight, *pool in workload.layers:
        modules += torch_layer(kind, weight, pool, layer)
        modules.append(neuron.LIFNode(tau=10.0, v_threshold=5.0, v_reset=0.0, step_mode="m"))
    net = torch.nn.Sequential(*modules)
    functional.set_step_mode(net, "m")
    x = torch.from_numpy(workload.inputs["in"].astype(np.float32))

    def once():
        with torch.no_grad():
            functional.reset_net(net)
            net(x)

    return once


def snntorch(workload):
    """Return a function that runs a workload in snnTorch, every layer over all steps first."""
    import snntorch as snn

    layers = [torch_layer(kind, weight, pool, torch.nn) for kind, weight, *pool in workload.layers]
    nodes = [snn.Leaky(beta=0.9, threshold=5.0, reset_mechanism="zero") for _ in layers]
    x = torch.from_numpy(workload.inputs["in"].astype(np.float32))

    def once():
        with torch.no_grad():
            spikes = x
            for modules, node in zip(layers, nodes, strict=True):
                flat = torch.nn.Sequential(*modules)(spikes.flatten(0, 1))
                current = flat.unflatten(0, x.shape[:2])
                memory, out = node.init_leaky(), []
                for step in current:
                    spike, memory = node(step, memory)
                    out.append(spike)
                spikes = torch.stack(out)

    return once


def torch_layer(kind, weight, pool, made_of):
    """Return the modules of a layer with a framework's own classes."""
    weight = torch.from_numpy(weight.astype(np.float32) / 254)
    if kind == "conv":
        main = made_of.Conv2d(weight.shape[1], len(weight), 3, padding=1, bias=False)
        before = [made_of.AvgPool2d(2)] if pool[0] == 2 else []
    else:
        main = made_of.Linear(weight.shape[1], len(weight), bias=False)
        before = [made_of.Flatten()]
    main.weight = torch.nn.Parameter(weight, requires_grad=False)
    return [*before, main]
