"""How much a channel matters: criteria behind one interface, and the statistics they are made of.

    svs             numerical rank of the spike map, as QP-SNN scores channels
    svs_nuclear     sum of the spike map's singular values
    effective_rank  exp of the entropy of the singular values as shares of their sum
    rate            spikes per neuron and step
    sca             mean size of the membrane potential before the spike
    l1              sum of the absolute weights of the channel's rows
    random          seeded numbers
    svs_inverted    svs with its sign changed, so that the lowest stay

A comparison of criteria proves little without the last two, its controls.

The spike map of a channel (C, H, W) is its spikes averaged over the steps of a sample, [H, W]; its
rank is the number of singular values above 1e-6, in float64, and the score the mean over samples.
What is not an image has no such map, and is an extension of ours: channels (C, L) take the steps
times positions of a sample, [T, L]; neurons (C) take steps times `CHUNK` samples, [T, 32].

Channels of equal score are told apart by the nuclear norm, then the rate, then their index, of
which the lower stays.

Source: QP-SNN (ICLR 2025, arXiv 2502.05905), equations 11 to 13 (svs) and 7 (sca, there summed
over positions, which ranks alike); effective rank: Roy and Vetterli, EUSIPCO 2007; l1: Li et al.,
"Pruning Filters for Efficient ConvNets", ICLR 2017.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from snndeploy.ir.arrays import FloatArray, IntArray

Statistic = Literal["rank", "nuclear", "effective", "rate", "potential", "l1", "random"]
Needs = Literal["spikes", "potentials", "weights", "nothing"]
EPSILON = 1e-6
"""Singular values above it count; of the time-averaged spike map."""
CHUNK = 32
"""Samples whose spikes make up the matrix of a neuron that is no channel of an image."""
DIGITS = 9
"""Scores are compared to so many decimals, so that rounding in the last bits decides nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Criterion:
    """What channels are ranked by.

    Attributes:
        keys: statistics, the score first, then what tells equal scores apart.
        needs: what has to be known.
        sign: -1 where the lowest are to stay.
    """

    name: str
    keys: tuple[Statistic, ...]
    needs: Needs
    sign: int = 1

    @property
    def runs(self) -> bool:
        """Whether samples have to be run."""
        return self.needs in ("spikes", "potentials")


CRITERIA: dict[str, Criterion] = {
    c.name: c
    for c in (
        Criterion(name="svs", keys=("rank", "nuclear", "rate"), needs="spikes"),
        Criterion(name="svs_nuclear", keys=("nuclear", "rate"), needs="spikes"),
        Criterion(name="effective_rank", keys=("effective", "nuclear", "rate"), needs="spikes"),
        Criterion(name="rate", keys=("rate", "nuclear"), needs="spikes"),
        Criterion(name="sca", keys=("potential", "rate"), needs="potentials"),
        Criterion(name="l1", keys=("l1",), needs="weights"),
        Criterion(name="random", keys=("random",), needs="nothing"),
        Criterion(name="svs_inverted", keys=("rank", "nuclear", "rate"), needs="spikes", sign=-1),
    )
}


def spike_statistics(spikes: Tensor, keys: tuple[Statistic, ...]) -> dict[Statistic, FloatArray]:
    """Return statistics of the channels of a neuron layer, each the sum over samples [C] float64.

    Args:
        spikes: [T, B, C], [T, B, C, L] or [T, B, C, H, W].
        keys: which of `rank`, `nuclear`, `effective` and `rate`.
    """
    n_samples = spikes.shape[1]
    found: dict[Statistic, FloatArray] = {}
    if {"rank", "nuclear", "effective"} & set(keys):
        maps = spike_maps(spikes)
        sigma = singular_values(maps)
        each = n_samples / len(maps)
        found["rank"] = _sum((sigma > EPSILON).sum(-1), each)
        found["nuclear"] = _sum(sigma.sum(-1), each)
        if "effective" in keys:
            found["effective"] = _sum(effective_rank(sigma), each)
    found["rate"] = rates(spikes)
    return {key: found[key] for key in keys if key in found}


def spike_maps(spikes: Tensor) -> Tensor:
    """Return the matrices whose singular values are taken, [n, C, h, w] float64."""
    match spikes.ndim:
        case 5:
            return spikes.mean(0, dtype=torch.float64)
        case 4:
            return spikes.double().permute(1, 2, 0, 3)
    return spikes.double().permute(2, 0, 1)[None]


def singular_values(maps: Tensor) -> Tensor:
    """Return singular values of matrices [..., h, w] float64, [..., min(h, w)], largest first.

    Silent maps, of which there are many, are not decomposed.
    """
    flat = maps.reshape(-1, *maps.shape[-2:])
    sigma = torch.zeros((len(flat), min(maps.shape[-2:])), dtype=torch.float64)
    fires = flat.flatten(1).any(1)
    sigma[fires] = torch.linalg.svdvals(flat[fires])
    return sigma.reshape(*maps.shape[:-2], -1)


def effective_rank(sigma: Tensor) -> Tensor:
    """Return exp(-sum p log p) of p = sigma / sum(sigma), 0 where all are 0; [...]."""
    total = sigma.sum(-1, keepdim=True)
    share = sigma / torch.where(total > 0, total, 1.0)
    entropy = -torch.xlogy(share, share).sum(-1)
    return torch.where(total[..., 0] > 0, entropy.exp(), 0.0)


def rates(spikes: Tensor) -> FloatArray:
    """Return what channels send per neuron and step, the sum over samples [C]."""
    sent = spikes.sum((0, 1), dtype=torch.float64)
    return np.asarray(sent.reshape(len(sent), -1).mean(1).numpy() / len(spikes))


def mean_size(potentials: FloatArray) -> FloatArray:
    """Return the mean absolute potential of channels [T, B, C, …], the sum over samples [C]."""
    sizes = np.abs(potentials).mean(axis=0).sum(axis=0)
    return np.asarray(sizes.reshape(len(sizes), -1).mean(axis=1))


def ranked(scores: FloatArray) -> IntArray:
    """Return channels, those to keep first.

    Args:
        scores: [keys, n], the score first.
    """
    rounded = np.round(scores, DIGITS)
    return np.lexsort((np.arange(scores.shape[1]), *(-rounded[::-1])))


def _sum(values: Tensor, each: float) -> FloatArray:
    """Return the sum over matrices [n, C] that stand for `each` samples."""
    total: FloatArray = (values.double() * each).sum(0).numpy()
    return total
