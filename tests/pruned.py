"""Channels taken away three ways: removed, silenced by their weights, or never firing."""

from dataclasses import replace

import nir
import numpy as np

from snndeploy.compress.channels import by_node, groups_of
from snndeploy.compress.removal import remove_channels, silence_channels
from snndeploy.nirgraph.canonical import SPIKING
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.nirgraph.rebuild import copy_node, rebuild_graph
from snndeploy.nirgraph.shapes import normalize_graph
from snndeploy.nirgraph.weight_grid import WEIGHTS

GRID = 1024
FIRING = (*SPIKING, nir.Threshold)
NEVER = 1e300


def on_grid(model, grid=GRID):
    """Return the model with weights and biases in steps of 1 / grid, so that sums are exact.

    Sums of floats depend on their order, and a matrix product takes another one if it is smaller.
    """
    graph = normalize_graph(model.graph)
    rounded = {
        name: copy_node(
            node,
            **{
                field: np.rint(np.asarray(getattr(node, field), float) * grid) / grid
                for field in ("weight", "bias")
                if hasattr(node, field)
            },
        )
        for name, node in graph.nodes.items()
        if isinstance(node, WEIGHTS)
    }
    return replace(model, graph=rebuild_graph(graph, rounded))


def random_kept(groups, rng, share=0.6):
    """Return channels to keep, as many in every block of a group, at least one."""
    kept = {}
    for group in groups:
        if group.fixed:
            continue
        parts = []
        for block in np.unique(group.blocks):
            members = np.flatnonzero(group.blocks == block)
            parts.append(rng.permutation(members)[: max(1, int(len(members) * share))])
        kept[group.name] = np.sort(np.concatenate(parts))
    return kept


def removed(model, kept):
    return replace(model, graph=remove_channels(model.graph, groups_of(model.graph), kept))


def silenced(model, kept):
    return replace(model, graph=silence_channels(model.graph, groups_of(model.graph), kept))


def muted(model, kept):
    """Return a model whose neurons of lost channels never fire: weights and maps play no part."""
    stays = staying(model, kept)
    raised = {}
    for name, node in model.graph.nodes.items():
        if isinstance(node, FIRING):
            assert not isinstance(node, Microcode)
            field = "threshold" if isinstance(node, nir.Threshold) else "v_threshold"
            values = np.array(getattr(node, field))
            values[~stays[name]] = NEVER
            raised[name] = copy_node(node, **{field: values})
    return replace(model, graph=rebuild_graph(model.graph, raised))


def staying(model, kept):
    """Return per node which of its channels are kept."""
    masks = {}
    for name, group in by_node(groups_of(model.graph)).items():
        channels = kept.get(group.name, np.arange(group.n))
        masks[name] = np.isin(group.index[name], channels)
    return masks


def firing(model):
    return tuple(name for name, node in model.graph.nodes.items() if isinstance(node, FIRING))


def kept_of(report):
    return {group.name: np.array(group.kept) for group in report.groups}
