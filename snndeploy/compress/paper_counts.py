"""What QP-SNN counts, as it counts it; not what a chip stores or does.

    size         sum P_q b / 8 + 4 P_fp bytes, in MB of 10^6 bytes: P_q the weights of all layers
                 but the first and last, b their bits, P_fp the first layer, the last layer, and
                 two numbers of batch normalisation per channel of every convolution
    connections  share of P_q that is left (of its two rows the paper prints 9.61 % and 22.69 %,
                 which gives 9.59 % and 22.70 %; with the first and last layer it would be 9.62 %
                 and 22.94 %)
    SOPs         per step: a layer's multiply-accumulates, borders included, times the share of its
                 inputs that are not zero, summed over all layers but the first
    energy       0.9 pJ per SOP and step, and 4.6 pJ per multiply-accumulate of the first layer,
                 once, as it sees a static image

Our own counts are those of `estimate`: what fires, along synapses that exist, on a chip. Shortcuts
that copy channels have no parameters. Batch normalisation is folded in a graph, so every
convolution is taken to have had one, as all of the paper's have.

Source: QP-SNN (ICLR 2025, arXiv 2502.05905), equation 16; the energy rule is the one that gives the
numbers of its tables for VGG-16 and the full ResNet-20 (its pruned ResNet-20 leaves out the factor
of the steps).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import nir
import torch

from snndeploy.compress.activity import activity_of
from snndeploy.compress.channels import CONVOLUTIONS, has_weights
from snndeploy.compress.prune_records import PaperParameters
from snndeploy.frames import steps_of
from snndeploy.model import Model
from snndeploy.nirgraph.rebuild import sources_of
from snndeploy.nirgraph.shapes import normalize_graph, shape_of
from snndeploy.samples import Samples

PJ_PER_SOP = 0.9
PJ_PER_MAC = 4.6


@dataclass(frozen=True, kw_only=True, slots=True)
class PaperActivity:
    """Operations and energy as QP-SNN counts them.

    Attributes:
        sops: per sample and step.
        macs: of the first layer, per sample.
        steps: per sample.
    """

    sops: float
    macs: int
    steps: int

    @property
    def energy_j(self) -> float:
        """Joules per sample."""
        return (self.steps * self.sops * PJ_PER_SOP + self.macs * PJ_PER_MAC) * 1e-12


def paper_parameters(model: Model, *, first_bias: bool = True) -> PaperParameters:
    """Count parameters as QP-SNN does.

    Args:
        model: pruned or not.
        first_bias: whether the first layer has a bias beside its batch normalisation: VGG has.
    """
    layers = tuple(_layers(normalize_graph(model.graph)).values())
    kept_full = layers[:1] if len(layers) == 1 else (layers[0], layers[-1])
    biased = kept_full if first_bias else layers[-1:]
    normalised = sum(len(node.weight) for node in layers if isinstance(node, CONVOLUTIONS))
    return PaperParameters(
        quantized=sum(node.weight.size for node in layers[1:-1]),
        full=sum(node.weight.size for node in kept_full)
        + sum(len(node.weight) for node in biased)
        + 2 * normalised,
    )


def connections(pruned: Model, whole: Model) -> float:
    """Return the share of quantized weights that pruning left."""
    return paper_parameters(pruned).quantized / paper_parameters(whole).quantized


def paper_activity(model: Model, samples: Samples, *, steps: int | None = None) -> PaperActivity:
    """Run samples in the float model and count operations as QP-SNN does."""
    n_steps = steps_of(model, samples, steps)
    graph = normalize_graph(model.graph)
    (first, _), *others = _layers(graph).items()
    sources = {name: sources_of(graph, name) for name, _ in others}
    record = tuple(dict.fromkeys(source for group in sources.values() for source in group))
    active = dict.fromkeys(sources, 0.0)
    for found in activity_of(model, steps=n_steps).traces(samples, record):
        for name, group in sources.items():
            arriving = sum(found[source] for source in group)
            assert isinstance(arriving, torch.Tensor)
            active[name] += float(
                (arriving != 0).double().mean(dim=(0, *range(2, arriving.ndim))).sum()
            )
    sops = sum(active[name] / samples.n * _macs(graph, name) for name, _ in others)
    return PaperActivity(sops=sops, macs=_macs(graph, first), steps=n_steps)


def _layers(graph: nir.NIRGraph) -> Mapping[str, Any]:
    """Return the layers with weights, in order, shortcuts that copy left out."""
    return {name: node for name, node in graph.nodes.items() if has_weights(node)}


def _macs(graph: nir.NIRGraph, name: str) -> int:
    """Return a layer's multiply-accumulates, those at its borders included."""
    node = graph.nodes[name]
    return int(prod(shape_of(node)) * prod(node.weight.shape[1:]))
