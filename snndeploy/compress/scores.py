"""Scores of the channels of every group, from the spikes of samples or from the weights.

A group is measured at its neurons: where branches meet before a neuron, at the neuron behind the
sum. Several neurons, or several neurons per channel, count by their mean.
"""

from collections.abc import Iterator, Mapping

import nir
import numpy as np
import torch
from torch import Tensor

from snndeploy.compress.activity import Activity, activity_of
from snndeploy.compress.channels import Group
from snndeploy.compress.criteria import (
    CHUNK,
    Criterion,
    Statistic,
    mean_size,
    spike_statistics,
)
from snndeploy.compress.potential import potential_before_spikes, recorded_for
from snndeploy.ir.arrays import FloatArray, IntArray
from snndeploy.model import Model
from snndeploy.nirgraph.microcode import Microcode
from snndeploy.samples import Samples
from snndeploy.target import Progress, no_progress

Scores = Mapping[str, FloatArray]
"""Per group [keys, n]: the score, then what tells equal scores apart."""
Sums = dict[tuple[str, Statistic], FloatArray]
"""Sums over samples [C] of a neuron's statistics."""


def unmeasured(group: Group, criterion: Criterion, graph: nir.NIRGraph) -> str:
    """Return why a criterion does not apply to a group; empty if it does."""
    if criterion.needs == "weights":
        return "" if group.layers else "has no layer with weights to be measured by"
    if criterion.needs == "nothing":
        return ""
    if not group.neurons:
        return "has no spiking neuron to be measured at"
    unknown = [n for n in group.neurons if isinstance(graph.nodes[n], Microcode | nir.Threshold)]
    if criterion.needs == "potentials" and unknown:
        return f"is measured at {unknown[0]}, whose potential is not known"
    return ""


def score_groups(
    model: Model,
    groups: tuple[Group, ...],
    criterion: Criterion,
    *,
    samples: Samples | None = None,
    steps: int = 0,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Scores:
    """Score the channels of groups that a criterion applies to.

    Args:
        model: with a normalized graph.
        groups: to be scored.
        criterion: what channels are ranked by.
        samples: to record on, where the criterion needs activity.
        steps: model steps per sample.
        seed: of the random criterion.
        progress: called with samples done and total.
    """
    if criterion.needs == "nothing":
        return {
            group.name: np.random.default_rng([seed, place]).random((1, group.n))
            for place, group in enumerate(groups)
        }
    if criterion.needs == "weights":
        return {group.name: _weights(model.graph, group)[None] for group in groups}
    assert samples is not None
    means = _measure(model, groups, criterion, samples, steps, progress)
    return {
        group.name: criterion.sign
        * np.stack(
            [
                _of_group([(group.index[n], means[n, key]) for n in group.neurons], group.n)
                for key in criterion.keys
            ]
        )
        for group in groups
    }


def _of_group(parts: list[tuple[IntArray, FloatArray]], n: int) -> FloatArray:
    """Return the mean over nodes of the mean over a node's channels that are one of the group's.

    `parts` are index maps [C] and values [C].
    """
    means = [
        np.bincount(i, values, minlength=n) / np.bincount(i, minlength=n) for i, values in parts
    ]
    return np.asarray(np.mean(means, axis=0))


def _weights(graph: nir.NIRGraph, group: Group) -> FloatArray:
    parts = []
    for name in group.layers:
        weight = np.abs(np.asarray(graph.nodes[name].weight, dtype=np.float64))
        parts.append((group.index[name], weight.reshape(len(weight), -1).sum(axis=1)))
    return _of_group(parts, group.n)


def _measure(
    model: Model,
    groups: tuple[Group, ...],
    criterion: Criterion,
    samples: Samples,
    steps: int,
    progress: Progress,
) -> Sums:
    """Return means over samples [C] of every neuron's statistics."""
    neurons = tuple(dict.fromkeys(name for group in groups for name in group.neurons))
    sums: Sums = {}
    activity = activity_of(model, steps=steps)
    for start in range(0, samples.n, CHUNK):
        chunk = samples.rows(slice(start, start + CHUNK))
        for key, values in _of_chunk(activity, neurons, criterion, chunk):
            sums[key] = sums[key] + values if key in sums else values
        progress(min(start + CHUNK, samples.n), samples.n)
    return {key: values / samples.n for key, values in sums.items()}


def _of_chunk(
    activity: Activity, neurons: tuple[str, ...], criterion: Criterion, chunk: Samples
) -> Iterator[tuple[tuple[str, Statistic], FloatArray]]:
    """Yield sums over a chunk's samples; neurons without an image wait for the whole chunk."""
    model, watched = activity.model, neurons
    if criterion.needs == "potentials":
        watched = tuple(
            dict.fromkeys(other for name in neurons for other in recorded_for(model.graph, name))
        )
    whole: dict[str, list[Tensor]] = {}
    for found in activity.traces(chunk, watched):
        for name in neurons:
            if criterion.needs == "potentials":
                arrays = {key: values.numpy() for key, values in found.items()}
                u = potential_before_spikes(model, model.graph, name, arrays)
                yield (name, "potential"), mean_size(u)
            if found[name].ndim == 3:
                whole.setdefault(name, []).append(found[name])
            else:
                yield from _named(name, found[name], criterion)
    for name, parts in whole.items():
        yield from _named(name, torch.cat(parts, dim=1), criterion)


def _named(
    name: str, spikes: Tensor, criterion: Criterion
) -> Iterator[tuple[tuple[str, Statistic], FloatArray]]:
    for key, values in spike_statistics(spikes, criterion.keys).items():
        yield (name, key), values
