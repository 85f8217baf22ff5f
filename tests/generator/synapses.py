"""Random synapses of every kind, on every weight grid, between shapes of (C, H, W)."""

from dataclasses import dataclass
from math import prod

import numpy as np

from snndeploy.ir.grid import stored_weight, weight_range
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, SignMode, Synapse, sparse_from_dense

KINDS = ("dense", "conv", "pool", "sparse", "one_to_one")
MOST_TARGETS = 24


@dataclass(frozen=True, slots=True)
class Grid:
    """How weights are stored, and how much of the range they use.

    Attributes:
        spread: largest weight before it is put on the grid; 256 uses all of it.
    """

    bits: int = 8
    sign_mode: SignMode = "mixed"
    spread: int = 256


def random_grid(rng, *, extreme, alone) -> Grid:
    """Return a grid; one that feeds a population `alone` can excite it."""
    bits = 8 if rng.random() < 0.5 else int(rng.integers(1, 8))
    modes = ("mixed", "excitatory") if alone else ("mixed", "excitatory", "inhibitory")
    sign_mode = "mixed" if rng.random() < 0.5 else str(rng.choice(modes))
    if alone and bits == 1:
        sign_mode = "excitatory"  # one mixed bit holds 0 and -256
    coarse = 4 << (8 - bits)
    spread = 256 if extreme or rng.random() < 0.1 else int(rng.integers(4, 80))
    return Grid(bits=bits, sign_mode=sign_mode, spread=min(max(spread, coarse), 256))


def random_weights(rng, shape, grid: Grid) -> np.ndarray:
    """Return stored weights, a tenth of them zeros."""
    low, high = weight_range(grid.bits, grid.sign_mode)
    low, high = max(low, -grid.spread), min(high, grid.spread)
    weight = rng.integers(low, high, size=shape, endpoint=True)
    weight[rng.random(shape) < 0.1] = 0
    return stored_weight(weight, grid.bits, grid.sign_mode)


def random_synapse(rng, shape, kind: str, grid: Grid | None = None) -> Synapse:
    """Return a synapse of one kind from neurons of a (C, H, W) shape."""
    grid = grid or Grid()
    n_in = prod(shape)
    match kind:
        case "conv":
            return random_conv(rng, shape, grid)
        case "pool":
            return random_pool(rng, shape, grid)
        case "one_to_one":
            return OneToOne(weight=random_weights(rng, n_in, grid))
    n_out = 1 if rng.random() < 0.1 else int(rng.integers(1, MOST_TARGETS))
    weight = random_weights(rng, (n_out, n_in), grid)
    return Dense(weight=weight) if kind == "dense" else thinned(rng, weight)


def random_dense_like(rng, n_in, n_out, grid: Grid) -> Synapse:
    """Return a dense or sparse synapse between given numbers of neurons, or one to one."""
    if n_in == n_out and rng.random() < 0.3:
        return OneToOne(weight=random_weights(rng, n_in, grid))
    weight = random_weights(rng, (n_out, n_in), grid)
    return Dense(weight=weight) if rng.random() < 0.4 else thinned(rng, weight)


def thinned(rng, weight) -> Synapse:
    """Return most of the weights removed, the rest listed."""
    return sparse_from_dense(np.where(rng.random(weight.shape) < 0.6, 0, weight))


def random_pool(rng, shape, grid: Grid) -> Pool:
    """Return a sum pool with overlaps, gaps and paddings; its weight can excite."""
    kernel = tuple(int(rng.integers(1, min(size, 3) + 1)) for size in shape[1:])
    found = random_weights(rng, 64, grid)
    return Pool(
        in_shape=shape,
        kernel=kernel,
        stride=(int(rng.integers(1, 4)), int(rng.integers(1, 4))),
        padding=(int(rng.integers(0, 2)), int(rng.integers(0, 2))),
        weight=int(next((w for w in found if w > 0), found[0])),
    )


def random_conv(rng, shape, grid: Grid) -> Conv:
    """Return a convolution with odd strides, paddings, dilations and groups that fits."""
    channels, height, width = shape
    groups = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
    padding = (int(rng.integers(0, 3)), int(rng.integers(0, 3)))
    dilation = (int(rng.integers(1, 4)), int(rng.integers(1, 3)))
    kernel = [
        int(rng.integers(1, min(3, (size + 2 * pad - 1) // dil + 1) + 1))
        for size, pad, dil in zip((height, width), padding, dilation, strict=True)
    ]
    c_out = groups * int(rng.integers(1, 4))
    return Conv(
        weight=random_weights(rng, (c_out, channels // groups, *kernel), grid),
        in_shape=shape,
        stride=(int(rng.integers(1, 4)), int(rng.integers(1, 3))),
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


def random_shape(rng, synapse: Synapse) -> tuple[int, int, int]:
    """Return a (C, H, W) of the synapse's targets, so that any layer can follow."""
    if isinstance(synapse, Conv | Pool):
        return synapse.out_shape
    n = synapse.n_out
    height = int(rng.choice([d for d in range(1, n + 1) if n % d == 0]))
    return (1, height, n // height) if rng.random() < 0.5 else (n // height, height, 1)
