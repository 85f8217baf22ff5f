"""What runs in the kernels: decided once per run, from weights and ranges alone.

A projection whose weights fit eight bits is gathered or scattered, every other one is multiplied
on arrays. A population of `lif` neurons runs in the kernel, every other one step by step on arrays.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from hwtargets.simulator.deliver import delivery, largest_sum
from hwtargets.simulator.kernels.arguments import Neurons
from hwtargets.simulator.kernels.images import WORD, Image
from hwtargets.simulator.kernels.layout import Layout, lay_out
from hwtargets.simulator.kernels.listing import Listing, list_synapses
from hwtargets.simulator.kernels.spreading import levels_of, spread_out
from hwtargets.simulator.kernels.steps import AT_ONCE, Levels, Spread
from hwtargets.simulator.kernels.weights import aligned
from hwtargets.simulator.lif import INT32_MAX, Constants, constants
from hwtargets.simulator.windows import Schedule, in_order
from snndeploy.ir.arrays import AnyArray
from snndeploy.ir.network import Network, Population, Projection
from snndeploy.ir.neurons import LIF
from snndeploy.ir.ranges import shifted
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse

LISTED_DENSITY = 1 / 32
"""Denser lists of synapses are gathered as a matrix: a row of 64 adds costs as much as two."""
MATRIX_CELLS = 1 << 22
CALM = 1 << 17
"""Less than this cannot bring a current out of its range."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Link:
    """A projection ready to run: by a kernel, or frames [F, n_in] -> sums [F, n_out] on arrays."""

    projection: Projection
    lag: int
    laid: Layout | Listing | None
    deliver: Callable[[AnyArray], AnyArray] | None

    @property
    def source(self) -> str:
        return self.projection.source


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Stage:
    """A population ready to run.

    Attributes:
        image: how its neurons are arranged.
        lif: its parameters, if it runs in the kernel; `neurons`: as the kernel takes them.
        before: projections from what has run before; `fused`, if any, is not among them.
        alone, spread, thin, levels: the only projection, also as the stepwise kernel takes it, and
            the neurons, and how if they only add up; None if it is not for them.
        within: projections from its own group.
        is_quiet: whether its neurons stay at rest if nothing arrives.
    """

    population: Population
    image: Image
    lif: Constants | None
    neurons: Neurons | None
    before: tuple[Link, ...]
    fused: Link | None
    within: tuple[Link, ...]
    alone: Link | None = None
    spread: Spread | None = None
    thin: Neurons | None = None
    levels: Levels | None = None
    is_quiet: bool = False


def plan(
    network: Network,
    schedule: Schedule,
    images: Mapping[str, Image],
    peaks: Mapping[str, int],
    plain: set[str],
) -> tuple[tuple[Stage, ...], ...]:
    """Return groups of populations in order of execution.

    Args:
        network: what is to run.
        schedule: and when.
        images: how every node's neurons are arranged.
        peaks: the largest absolute value of each node.
        plain: nodes that send nothing but 0 and 1.
    """
    groups = []
    for group in in_order(network):
        mates = {p.name for p in group}
        stages = [_stage(network, schedule, p, mates, images, peaks, plain) for p in group]
        in_kernels = all(s.lif and all(link.laid for link in s.within) for s in stages)
        groups.append(tuple(s if in_kernels else _on_arrays(s, peaks) for s in stages))
    return tuple(groups)


def _on_arrays(stage: Stage, peaks: Mapping[str, int]) -> Stage:
    """Return a population of a group that steps on arrays: so do its projections within."""
    if not stage.within:
        return stage
    within = tuple(
        replace(link, laid=None, deliver=delivery(link.projection, peaks[link.source]))
        for link in stage.within
    )
    return replace(stage, lif=None, within=within, is_quiet=False)


def image_of(network: Network, name: str) -> Image:
    """Return how a node's neurons are arranged: as the image that makes it, else that it makes."""
    made = [p.synapse for p in network.into(name) if isinstance(p.synapse, Conv | Pool)]
    taken = [p.synapse for p in network.out_of(name) if isinstance(p.synapse, Conv | Pool)]
    if made:
        shape = made[0].out_shape
    elif taken and not network.into(name):
        shape = taken[0].in_shape
    else:
        shape = (network.nodes[name].n, 1, 1)
    return Image(channels=shape[0], pixels=prod(shape[1:]))


def _stage(
    network: Network, schedule: Schedule, population: Population, group: set[str],
    images: Mapping[str, Image], peaks: Mapping[str, int], plain: set[str],
) -> Stage:  # fmt: skip
    projections = network.into(population.name)
    image = images[population.name]
    links = [
        (p, _link(p, schedule, images[p.source], image, peaks[p.source], plain))
        for p in projections
    ]
    before = [link for p, link in links if p.source not in group]
    within = tuple(link for p, link in links if p.source in group)
    arriving = sum(_largest(link, peaks[link.source]) for _, link in links)
    lif = lif_of(population) if arriving < 1 << 31 else None
    fits = [link for link in before if lif and not within and _covers(link.laid, image)]
    fused = fits[-1] if fits else None
    alone = links[0][1] if lif and len(links) == len(before) == 1 else None
    spread = _spread(alone, images[alone.source], image) if alone and alone.laid else None
    return Stage(
        population=population, image=image, lif=lif,
        neurons=neurons_of(lif, image, arriving) if lif else None,
        fused=fused, within=within,
        before=tuple(link for link in before if link is not fused),
        alone=alone if spread else None, spread=spread,
        thin=thin_neurons(lif, image, spread, arriving) if spread and lif else None,
        levels=levels_of(links[0][0].synapse, spread, lif) if spread and lif else None,
        is_quiet=lif is not None and is_quiet(lif),
    )  # fmt: skip


def _spread(link: Link, source: Image, target: Image) -> Spread | None:
    """Return a projection laid out for the stepwise kernel, if it is a thin one."""
    assert link.laid is not None
    return spread_out(link.projection.synapse, link.laid, source, target, link.lag)


def _link(
    projection: Projection,
    schedule: Schedule,
    source: Image,
    target: Image,
    peak: int,
    plain: set[str],
) -> Link:
    laid = _laid(projection, source, target) if projection.source in plain else None
    return Link(
        projection=projection,
        lag=schedule.lag(projection),
        laid=laid,
        deliver=None if laid else delivery(projection, peak),
    )


def _laid(projection: Projection, source: Image, target: Image) -> Layout | Listing | None:
    """Return the layout of a projection of plain spikes, if there is one."""
    synapse, exponent = projection.synapse, projection.weight_exp
    if isinstance(synapse, Conv | Pool):
        c_out, *out = synapse.out_shape
        if (c_out, prod(out)) != (target.channels, target.pixels):
            return None
        return lay_out(synapse, source, target, exponent)
    if isinstance(synapse, Dense):
        return lay_out(synapse, source, target, exponent)
    if isinstance(synapse, Sparse) and target.pixels == 1:
        cells = synapse.n_in * synapse.n_out
        if cells <= MATRIX_CELLS and len(synapse.weight) > LISTED_DENSITY * cells:
            return lay_out(as_dense(synapse), source, target, exponent)
    assert isinstance(synapse, Sparse | OneToOne)
    return list_synapses(synapse, source, target, exponent)


def as_dense(synapse: Sparse) -> Dense:
    """Return listed synapses as a matrix."""
    weight = np.zeros((synapse.n_out, synapse.n_in), dtype=np.int64)
    weight[synapse.rows, synapse.indices] = synapse.weight
    return Dense(weight=weight)


def _covers(laid: Layout | Listing | None, image: Image) -> bool:
    """Return whether the neurons of an image can run in the blocks of a layout."""
    return isinstance(laid, Layout) and laid.pixels == image.pixels


def _largest(link: Link, peak: int) -> int:
    """Bound what a projection brings."""
    if isinstance(link.laid, Layout):
        return link.laid.largest
    weights = int(largest_sum(link.projection.synapse))
    return shifted(weights * peak, link.projection.weight_exp)


def is_quiet(fixed: Constants) -> bool:
    """Return whether neurons at rest stay there if nothing arrives."""
    return not fixed.bias.any() and int(fixed.threshold.min()) >= 0


def neurons_of(fixed: Constants, image: Image, arriving: int) -> Neurons:
    """Return parameters as the kernel takes them, without states; `arriving` bounds what comes."""
    per_pixel = max(len(fixed.threshold), len(fixed.bias)) > 1
    alike = not per_pixel and (image.channels == image.padded or is_quiet(fixed))

    def spread(values: AnyArray, beyond: int) -> AnyArray:
        n = WORD if alike else image.padded
        spread = aligned((image.pixels if per_pixel else 1) * n, np.int32)
        wide = spread.reshape(-1, n)
        wide[:] = beyond
        if per_pixel:
            full = np.broadcast_to(values, (image.n,))
            wide[:, : image.channels] = full.reshape(image.channels, image.pixels).T
        else:
            wide[:, : n if alike else image.channels] = values
        return spread

    nothing, keep = np.empty(0, dtype=np.int32), (int(fixed.keep_u[0]), int(fixed.keep_v[0]))
    return Neurons(
        keep=keep, threshold=spread(fixed.threshold, INT32_MAX), bias=spread(fixed.bias, 0),
        per_pixel=int(per_pixel), per_block=int(not alike),
        calm=int(keep[0] == 0 and arriving < CALM),
        idles=int(keep == (0, 4096) and is_quiet(fixed)),
        u=nothing, v=nothing, carried=0, log_u=nothing, log_v=nothing,
    )  # fmt: skip


def thin_neurons(fixed: Constants, image: Image, spread: Spread, arriving: int) -> Neurons:
    """Return parameters as the stepwise kernel takes them: of 64 neurons if all are alike.

    What is beyond the last neuron never spikes nor clips.
    """
    n = -(-spread.pixels * spread.width // AT_ONCE) * AT_ONCE
    places = np.arange(image.pixels)[None] * spread.width + np.arange(image.channels)[:, None]
    ends = n in (image.n, image.pixels * spread.width)
    per_pixel = max(len(fixed.threshold), len(fixed.bias)) > 1 or not ends

    def laid(values: AnyArray, beyond: int) -> AnyArray:
        flat = aligned(n, np.int32)
        flat[:] = beyond
        flat[places.reshape(-1)] = np.broadcast_to(values, (image.n,))
        return flat if per_pixel else flat[:AT_ONCE]

    return neurons_of(fixed, image, arriving)._replace(
        threshold=laid(fixed.threshold, INT32_MAX), bias=laid(fixed.bias, 0),
        per_pixel=int(per_pixel),
    )  # fmt: skip


def lif_of(population: Population) -> Constants | None:
    """Return the parameters of a population that can run in the kernel, in 32 bits.

    The kernel does not wrap u, it watches whether it would have to.
    """
    if population.program != LIF or any(len(population.params[p]) > 1 for p in ("du", "dv")):
        return None
    fixed = constants(population.params)
    keep = (int(fixed.keep_u[0]), int(fixed.keep_v[0]))
    in_range = all(0 <= k <= 4096 for k in keep) and int(np.abs(fixed.bias).max()) < 1 << 30
    return fixed if in_range else None
