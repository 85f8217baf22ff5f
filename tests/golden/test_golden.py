"""What a compilation prints, as a reviewer reads it."""

from pathlib import Path

import nir
import numpy as np

from snndeploy.ir.network import Source
from snndeploy.ir.text import print_network
from snndeploy.passes.discretize import discretize
from snndeploy.passes.layers import layers_of
from snndeploy.passes.waves import assign_waves
from snndeploy.target import load_chip
from tests.chains import chain_model, conv, flatten, integrate_and_fire, lif, pool

NUMERICS = load_chip(Path(__file__).parents[2] / "hwtargets" / "chips" / "loihi2.toml").numerics


def compiled_text(model, source):
    network, _ = discretize(
        model, layers_of(model), (source,), NUMERICS, steps=model.steps, weight_bits=8
    )
    return print_network(assign_waves(network, NUMERICS))[0]


def test_grid_chain(golden):
    model = chain_model(
        nir.Affine(weight=np.array([[2, -1, 0], [1, 1, -2]]) / 4, bias=np.array([0.25, -0.5])),
        integrate_and_fire((2,)),
        nir.Linear(weight=np.array([[3, -1]]) / 2), lif((1,), keep=0.5, threshold=0.5),
        shape=(3,), out_shape=(1,), steps=4, compare="gt",
    )  # fmt: skip
    golden("grid_chain", compiled_text(model, Source(name="input", shape=(3,))))


def test_image_chain(golden):
    kernel = np.array([[[[1, 2], [-2, -1]]], [[[0, 1], [1, 0]]]]) / 8
    model = chain_model(
        conv(kernel, (5, 5), bias=np.array([0.1, 0.0])), lif((2, 4, 4), keep=0.5),
        pool(nir.SumPool2d, 2), nir.Threshold(threshold=np.full((2, 2, 2), 0.5)),
        flatten((2, 2, 2)),
        nir.Linear(weight=np.arange(-8, 8).reshape(2, 8) / 8),
        shape=(1, 5, 5), out_shape=(2,), values="real", steps=8, repeat=True,
    )  # fmt: skip
    source = Source(
        name="input", shape=(1, 5, 5), low=0, high=127, encoding="graded", scale=1 / 127,
        repeat=True,
    )  # fmt: skip
    golden("image_chain", compiled_text(model, source))
