"""Torch-Pruning as a judge: it prunes the module, we prune its graph, and both are the same.

Its dependency graph follows gradients through the module, ours the nodes of NIR. It is asked where
it works: single steps, on nets whose operations it knows. It does not couple the outputs of a
convolution that makes several channels of each input, and loses count of a concatenation that is
flattened: its own network then fails.
"""

import numpy as np
import pytest
import torch
import torch_pruning as tp
from pruning_networks import FORMS, Chain, Projected, Residual
from spikingjelly.activation_based import functional
from test_branching_modules import calibrate
from test_float_interpreter import build, frames
from torch import nn

from snndeploy.compress.channels import groups_of
from snndeploy.compress.removal import remove_channels
from snndeploy.frontends.torch_module import ImportOptions, import_module
from snndeploy.nirgraph.canonical import PARAMETERS
from snndeploy.nirgraph.rebuild import sources_of
from snndeploy.nirgraph.weight_grid import WEIGHTS


class Depthwise(nn.Module):
    """A convolution channel by channel, and a shortcut around it."""

    def __init__(self, lif):
        super().__init__()
        self.conv1, self.sn1 = nn.Conv2d(2, 6, 3, padding=1), lif()
        self.conv2, self.sn2 = nn.Conv2d(6, 6, 3, padding=1, groups=6), lif()
        self.conv3, self.sn3 = nn.Conv2d(6, 8, 1), lif()
        self.fc = nn.Linear(8 * 8 * 8, 5)

    def forward(self, x):
        x = self.sn1(self.conv1(x))
        return self.fc(self.sn3(self.conv3(self.sn2(self.conv2(x)) + x)).flatten(1))


class SideBySide(nn.Module):
    """Two branches that one convolution reads side by side."""

    def __init__(self, lif):
        super().__init__()
        self.conv1, self.sn1 = nn.Conv2d(2, 4, 1), lif()
        self.conv2, self.sn2 = nn.Conv2d(2, 5, 3, padding=1), lif()
        self.conv3, self.sn3 = nn.Conv2d(9, 6, 3, padding=1), lif()
        self.fc = nn.Linear(6 * 8 * 8, 5)

    def forward(self, x):
        x = torch.cat([self.sn1(self.conv1(x)), self.sn2(self.conv2(x))], dim=1)
        return self.fc(self.sn3(self.conv3(x)).flatten(1))


NETWORKS = {
    "chain": Chain,
    "identity shortcut": Residual,
    "projected shortcut": Projected,
    "concatenation": SideBySide,
    "depthwise": Depthwise,
}
CASES = [(name, form) for name in NETWORKS for form in FORMS]
PRUNERS = {nn.Conv2d: tp.prune_conv_out_channels, nn.Linear: tp.prune_linear_out_channels}
Members = set[tuple[str, str, tuple[int, ...]]]


def network(name, form):
    net = build(lambda: NETWORKS[name](FORMS[form]), seed=3)
    x = frames((2, 8, 8), "spikes", 4)
    calibrate(net, {"input": x}, "outer")
    reset(net)
    return net, x


def reset(net):
    functional.reset_net(net)
    for module in net.modules():
        if hasattr(module, "reset_mem"):
            module.reset_mem()


def imported(net, x):
    reset(net)
    return import_module(net, x[0], ImportOptions(steps=len(x)))


def theirs(net, x, layer, lost) -> Members:
    """Return (layer, side, channels) of the group that Torch-Pruning finds."""
    names = {module: name for name, module in net.named_modules()}
    found = {}
    for dependency, indices in group_of(net, x, layer, lost):
        module = dependency.target.module
        if isinstance(module, nn.Conv2d | nn.Linear):
            side = "in" if "in_channels" in dependency.handler.__name__ else "out"
            side = "out" if getattr(module, "groups", 1) > 1 else side
            found.setdefault((names[module], side), set()).update(indices)
    return {(name, side, tuple(sorted(ids))) for (name, side), ids in found.items()}


def group_of(net, x, layer, lost):
    reset(net)
    graph = tp.DependencyGraph().build_dependency(net, x[0])
    module = net.get_submodule(layer)
    return graph.get_pruning_group(module, PRUNERS[type(module)], idxs=list(lost))


def ours(graph, layer, lost) -> Members:
    """Return the same of our groups; the parts of a layer behind a concatenation are joined."""
    groups = groups_of(graph)
    group = next(g for g in groups if layer in g.layers)
    gone = group.index[layer][list(lost)]
    found = {}
    offsets = {}
    for name, node in graph.nodes.items():
        if not isinstance(node, WEIGHTS):
            continue
        module = name.rpartition(".")[0] or name
        (source, *_) = sources_of(graph, name)
        offset = offsets.get(module, 0)
        offsets[module] = offset + node.weight.shape[1]
        if name in group.index:
            channels = np.flatnonzero(np.isin(group.index[name], gone))
            found.setdefault((module, "out"), set()).update(channels.tolist())
        if source in group.index and getattr(node, "groups", 1) == 1:
            channels = offset + np.flatnonzero(np.isin(group.index[source], gone))
            found.setdefault((module, "in"), set()).update(channels.tolist())
    return {(name, side, tuple(sorted(ids))) for (name, side), ids in found.items()}


@pytest.mark.parametrize(("name", "form"), CASES)
def test_groups_are_those_of_torch_pruning(name, form, tell):
    net, x = network(name, form)
    graph = imported(net, x).graph
    n_groups = 0
    for group in groups_of(graph):
        for layer in group.layers:
            if group.fixed or layer not in dict(net.named_modules()):
                continue
            for lost in ([0], [1, 3]):
                assert ours(graph, layer, lost) == theirs(net, x, layer, lost), (layer, lost)
                n_groups += 1
    tell(f"groups = torch-pruning's in {name}, {form}: {n_groups} of them")
    assert n_groups >= 4


@pytest.mark.parametrize(("name", "form"), CASES)
def test_the_pruned_graph_is_that_of_the_module_torch_pruning_pruned(name, form):
    net, x = network(name, form)
    graph = imported(net, x).graph
    groups = groups_of(graph)
    rng = np.random.default_rng(0)
    kept = {}
    for group in groups:
        if group.fixed:
            continue
        lost = np.sort(rng.permutation(group.n)[: group.n // 3])
        kept[group.name] = np.setdiff1d(np.arange(group.n), lost)
        layer = group.name.rpartition(".")[0] or group.name  # without the part of a concatenation
        channels = np.flatnonzero(np.isin(group.index[group.name], lost))
        group_of(net, x, layer, channels).prune()
    small = remove_channels(graph, groups, kept)
    want = imported(net, x).graph
    assert set(small.nodes) == set(want.nodes)
    for key, node in small.nodes.items():
        for field in ("weight", "bias", *PARAMETERS.get(type(node), ())):
            if hasattr(node, field):
                assert np.array_equal(getattr(node, field), getattr(want.nodes[key], field)), key
    assert any(len(n.weight) < len(graph.nodes[k].weight) for k, n in small.nodes.items()
               if isinstance(n, WEIGHTS))  # fmt: skip
