"""Networks with fewer neurons: every synapse kind cut to the neurons that are kept."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod

import numpy as np

from snndeploy.ir.network import Network, Population
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, Sparse, Synapse, sparse_from_dense
from tests.expanded import expanded
from tests.generator.case import Case

Keeps = Mapping[str, np.ndarray]
"""Indices of the neurons that are kept, by node."""


def keep_neurons(case: Case, keeps: Keeps, synapses: Mapping[str, Synapse] | None = None):
    """Return the case with fewer neurons; None if a synapse cannot be cut so.

    Args:
        case: the case.
        keeps: the nodes that shrink; nodes bound to them one to one must shrink alike.
        synapses: by projection, the synapses that replace what cannot be cut by indices.
    """
    network, given, made = case.network, synapses or {}, []
    for projection in network.projections:
        inside, outside = keeps.get(projection.source), keeps.get(projection.target)
        synapse = given.get(projection.name) or cut(projection.synapse, inside, outside)
        if synapse is None:
            return None
        made.append(replace(projection, synapse=synapse))
    smaller = replace(
        network,
        sources=tuple(
            replace(s, shape=(len(keeps[s.name]),)) if s.name in keeps else s
            for s in network.sources
        ),
        populations=tuple(
            _fewer(p, keeps[p.name]) if p.name in keeps else p for p in network.populations
        ),
        projections=tuple(made),
        outputs=tuple(o for o in network.outputs if o.population not in keeps),
    )
    inputs = {
        name: values.reshape(*values.shape[:2], -1)[..., keeps[name]] if name in keeps else values
        for name, values in case.inputs.items()
    }
    return Case(smaller, inputs)


def _fewer(population: Population, keep: np.ndarray) -> Population:
    params = {k: v if len(v) == 1 else v[keep] for k, v in population.params.items()}
    return replace(population, shape=(len(keep),), params=params)


def cut(synapse: Synapse, inside, outside) -> Synapse | None:
    """Return a synapse from and to the neurons that are kept; None means all of them."""
    if inside is None and outside is None:
        return synapse
    if isinstance(synapse, OneToOne):
        same = inside is not None and outside is not None and np.array_equal(inside, outside)
        return OneToOne(weight=synapse.weight[inside]) if same else None
    if isinstance(synapse, Conv | Pool):
        return None
    weight = synapse.weight if isinstance(synapse, Dense) else expanded(synapse)[0]
    weight = weight if outside is None else weight[outside]
    weight = weight if inside is None else weight[:, inside]
    return Dense(weight=weight) if isinstance(synapse, Dense) else sparse_from_dense(weight)


def bound_to(network: Network, name: str) -> set[str]:
    """Return the nodes that are bound to a node one to one, itself included."""
    found, waiting = {name}, [name]
    while waiting:
        here = waiting.pop()
        for p in network.projections:
            if isinstance(p.synapse, OneToOne) and here in (p.source, p.target):
                new = {p.source, p.target} - found
                found |= new
                waiting += new
    return found


def listed(synapse: Synapse) -> Synapse | None:
    """Return the same synapses in a plainer kind; None if there is none."""
    match synapse:
        case Conv() | Pool():
            return sparse_from_dense(expanded(synapse)[0])
        case Sparse() | OneToOne():
            return Dense(weight=expanded(synapse)[0])
    return None


# ---- images -------------------------------------------------------------------------------


def smaller_images(synapse: Conv | Pool) -> Iterator[tuple[Synapse, np.ndarray, np.ndarray]]:
    """Yield smaller convolutions or pools with the inputs and outputs that are kept."""
    for channels_in, channels_out, changes in _fewer_channels(synapse):
        yield from _variant(synapse, changes, synapse.in_shape[1:], channels_in, channels_out)
    for changes, size in _plainer(synapse):
        everyone = np.arange(synapse.in_shape[0]), np.arange(synapse.out_shape[0])
        yield from _variant(synapse, changes, size, *everyone)


def _fewer_channels(synapse: Conv | Pool):
    c_in, c_out = synapse.in_shape[0], synapse.out_shape[0]
    if isinstance(synapse, Pool):
        yield from ((np.array([c]), np.array([c]), {}) for c in range(c_in if c_in > 1 else 0))
        return
    per_in, per_out = c_in // synapse.groups, c_out // synapse.groups
    for group in range(synapse.groups if synapse.groups > 1 else 0):
        kept = np.arange(per_out) + group * per_out
        changes = {"weight": synapse.weight[kept], "groups": 1}
        yield np.arange(per_in) + group * per_in, kept, changes
    if synapse.groups == 1:
        for c in range(c_out if c_out > 1 else 0):
            yield np.arange(c_in), np.array([c]), {"weight": synapse.weight[[c]]}
        for c in range(c_in if c_in > 1 else 0):
            yield np.array([c]), np.arange(c_out), {"weight": synapse.weight[:, [c]]}


def _plainer(synapse: Conv | Pool):
    """Yield changed settings with the image size that leaves no more outputs than before."""
    is_conv = isinstance(synapse, Conv)
    kernel = synapse.weight.shape[2:] if is_conv else synapse.kernel
    for axis in (0, 1):
        size = synapse.in_shape[1 + axis]
        for smaller in (1, size // 2, size - 1):
            if 0 < smaller < size:
                yield {}, _pair(synapse.in_shape[1:], axis, smaller)
        for name, plain in {"stride": 1, "padding": 0, "dilation": 1}.items():
            value = getattr(synapse, name, (plain, plain))
            for new in dict.fromkeys((plain, value[axis] - 1)) if value[axis] > plain else ():
                yield _sized(synapse, axis, {name: _pair(value, axis, new)}, kernel)
        if kernel[axis] > 1:
            less = _pair(kernel, axis, kernel[axis] - 1)
            weight = {"weight": synapse.weight[:, :, : less[0], : less[1]]} if is_conv else {}
            yield _sized(synapse, axis, weight or {"kernel": less}, less)


def _pair(value, axis, new):
    return tuple(new if i == axis else v for i, v in enumerate(value))


def _sized(synapse: Conv | Pool, axis: int, changes, kernel):
    """Return the changes with the largest image that gives no more outputs than there were."""

    def setting(name, default):
        return changes.get(name, getattr(synapse, name, default))[axis]

    extent = setting("dilation", (1, 1)) * (kernel[axis] - 1) + 1
    places = synapse.out_shape[1 + axis] - 1
    needed = places * setting("stride", None) + extent - 2 * setting("padding", None)
    size = list(synapse.in_shape[1:])
    size[axis] = min(size[axis], max(needed, 1))
    return changes, tuple(size)


def _variant(synapse, changes, size, channels_in, channels_out):
    shape = (len(channels_in), *size)
    try:
        made = replace(synapse, in_shape=shape, **changes)
    except AssertionError:
        return
    if any(new > old for new, old in zip(made.out_shape[1:], synapse.out_shape[1:], strict=True)):
        return
    inside = _crop(synapse.in_shape, channels_in, size)
    yield made, inside, _crop(synapse.out_shape, channels_out, made.out_shape[1:])


def _crop(shape, channels, size) -> np.ndarray:
    image = np.arange(prod(shape)).reshape(shape)
    return image[channels][:, : size[0], : size[1]].reshape(-1)
