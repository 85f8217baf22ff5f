"""Linear nodes in a row become one map: the same values as node by node, in the smallest layout."""

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snndeploy.errors import UnsupportedError
from snndeploy.nirgraph.interpret import run_float
from snndeploy.passes import compose
from snndeploy.passes.forms import Diagonal, Kernel, Listed, Matrix, Pooled, apply_form, weights_of
from snndeploy.passes.linear import extend, nothing_yet
from snndeploy.passes.listing import listed
from tests.chains import chain_model, conv, flatten, pool


def collected(nodes, shape):
    linear = nothing_yet(shape)
    for index, node in enumerate(nodes):
        linear = extend(linear, f"n{index}", node)
    return linear


def assert_same_values(nodes, linear, shape, rng):
    """Compare with the float interpreter, node by node."""
    x = rng.normal(size=(1, 3, *shape))
    model = chain_model(*nodes, shape=shape, out_shape=linear.shape, values="real", steps=1)
    want = run_float(model, {"input": x})["output"][0].reshape(3, -1)
    bias = linear.biases.get(0, 0.0)
    got = np.stack([apply_form(linear.form, one.reshape(-1)) + bias for one in x[0]])
    size = np.abs(want).max() + 1e-9
    assert np.abs(got - want).max() < 1e-12 * size
    every = listed(linear.form)
    dense = np.zeros((every.n_out, every.n_in))
    dense[every.targets, every.sources] = every.weight
    assert np.abs(x[0].reshape(3, -1) @ dense.T + bias - want).max() < 1e-12 * size


def kernel(rng, shape):
    return rng.integers(-4, 5, shape) / 4


def random_node(rng, shape):
    """Return any linear node that takes a shape, and the shape of its output."""
    if len(shape) == 1 or rng.random() < 0.15:
        if len(shape) > 1:
            return flatten(shape), (int(np.prod(shape)),)
        if rng.random() < 0.4:
            return nir.Scale(scale=rng.integers(-2, 3, shape) / 2), shape
        n_out = int(rng.integers(1, 9))
        weight, bias = kernel(rng, (n_out, shape[0])), rng.integers(-3, 4, n_out) / 4
        return nir.Affine(weight=weight, bias=bias), (n_out,)
    size, stride = int(rng.integers(1, min(3, *shape[1:]) + 1)), int(rng.integers(1, 3))
    padding = int(rng.integers(0, 2))
    out = tuple((n + 2 * padding - size) // stride + 1 for n in shape[1:])
    kind = rng.choice(["conv", "sum", "average", "scale"])
    if kind == "scale":
        channel = rng.random() < 0.5
        scale = rng.integers(-2, 3, (shape[0], 1, 1) if channel else shape) / 2
        return nir.Scale(scale=np.broadcast_to(scale, shape).copy()), shape
    if kind == "conv":
        groups = int(rng.choice([g for g in (1, 2, 3, 4) if shape[0] % g == 0]))
        c_out = groups * int(rng.integers(1, 3))
        dilation = 2 if size > 1 and min(shape[1:]) + 2 * padding > 2 * (size - 1) else 1
        out = tuple((n + 2 * padding - dilation * (size - 1) - 1) // stride + 1 for n in shape[1:])
        node = conv(
            kernel(rng, (c_out, shape[0] // groups, size, size)), shape[1:], stride=stride,
            padding=padding, groups=groups, dilation=dilation, bias=rng.integers(-3, 4, c_out) / 4,
        )  # fmt: skip
        return node, (c_out, *out)
    node = {"sum": nir.SumPool2d, "average": nir.AvgPool2d}[kind]
    return pool(node, size, stride=stride, padding=padding), (shape[0], *out)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_any_nodes_in_a_row_are_one_map_of_the_same_values(seed):
    rng = np.random.default_rng(seed)
    shape = here = (int(rng.integers(1, 5)), int(rng.integers(3, 9)), int(rng.integers(3, 9)))
    nodes = []
    for _ in range(int(rng.integers(1, 6))):
        node, here = random_node(rng, here)
        nodes.append(node)
    linear = collected(nodes, shape)
    assert linear.shape == here
    assert_same_values(nodes, linear, shape, rng)


RNG = np.random.default_rng(0)
ONE, THREE = kernel(RNG, (5, 2, 1, 1)), kernel(RNG, (4, 5, 3, 3))
BACK = kernel(RNG, (2, 5, 1, 1))
IMAGE = (2, 8, 8)
FORMS = {
    "1x1 before a padded 3x3": (
        [conv(ONE, (8, 8)), conv(THREE, (8, 8), padding=1)], Kernel, (4, 2, 3, 3),
    ),
    "1x1 with stride before a padded 3x3": (
        [conv(ONE, (8, 8), stride=2), conv(THREE, (4, 4), padding=1)], Kernel, (4, 2, 3, 3),
    ),
    "padded 3x3 before 1x1": (
        [conv(kernel(RNG, (5, 2, 3, 3)), (8, 8), padding=1), conv(BACK, (8, 8))],
        Kernel, (2, 2, 3, 3),
    ),
    "3x3 before 3x3 without a border between them": (
        [conv(kernel(RNG, (5, 2, 3, 3)), (8, 8), padding=1), conv(THREE, (8, 8))],
        Kernel, (4, 2, 5, 5),
    ),
    "average pool after a convolution": (
        [conv(kernel(RNG, (3, 2, 3, 3)), (8, 8), padding=1), pool(nir.AvgPool2d, 2)],
        Kernel, (3, 2, 4, 4),
    ),
    "pool after a tiling pool": (
        [pool(nir.AvgPool2d, 2), pool(nir.SumPool2d, 2)], Pooled, None,
    ),
    "pool after an overlapping pool": (
        [pool(nir.SumPool2d, 3, stride=1), pool(nir.SumPool2d, 2)], Kernel, (2, 1, 4, 4),
    ),
    "padded 3x3 after padded 3x3: borders differ": (
        [conv(kernel(RNG, (5, 2, 3, 3)), (8, 8), padding=1), conv(THREE, (8, 8), padding=1)],
        (Listed, Matrix), None,
    ),
    "weights after weights": (
        [
            flatten(IMAGE), nir.Linear(weight=kernel(RNG, (6, 128))),
            nir.Linear(weight=kernel(RNG, (3, 6))),
        ],
        Matrix, (3, 128),
    ),
    "weights after a convolution": (
        [conv(ONE, (8, 8)), flatten((5, 8, 8)), nir.Linear(weight=kernel(RNG, (3, 320)))],
        Matrix, (3, 128),
    ),
    "a factor per channel": (
        [conv(ONE, (8, 8)), nir.Scale(scale=np.repeat(np.arange(5.0), 64).reshape(5, 8, 8))],
        Kernel, (5, 2, 1, 1),
    ),
    "a factor per element": ([nir.Scale(scale=RNG.normal(size=IMAGE))], Diagonal, (128,)),
}  # fmt: skip


@pytest.mark.parametrize("case", FORMS)
def test_the_layout_stays_as_small_as_it_can(case):
    nodes, kind, shape = FORMS[case]
    linear = collected(nodes, IMAGE)
    assert isinstance(linear.form, kind)
    assert shape is None or weights_of(linear.form)[0].shape == shape
    assert_same_values(nodes, linear, IMAGE, np.random.default_rng(1))


def test_a_map_that_explodes_is_refused_by_its_layers(monkeypatch):
    monkeypatch.setattr(compose, "MOST_CONNECTIONS", 1000)
    nodes, *_ = FORMS["padded 3x3 after padded 3x3: borders differ"]
    with pytest.raises(
        UnsupportedError, match=r"^error\[E2103\] n0\+n1: .* \d[\d,]+ at most; help: "
    ):
        collected(nodes, IMAGE)


def test_large_lists_are_multiplied_in_slices(monkeypatch):
    rng = np.random.default_rng(2)
    each = nir.Scale(scale=rng.integers(1, 5, (5, 8, 8)) / 4)
    nodes = [conv(ONE, (8, 8)), each, conv(THREE, (8, 8), padding=1)]
    whole = listed(collected(nodes, IMAGE).form)
    assert_same_values(nodes, collected(nodes, IMAGE), IMAGE, rng)
    monkeypatch.setattr(compose, "AT_ONCE", 500)
    sliced = listed(collected(nodes, IMAGE).form)
    for field in ("targets", "sources", "weight"):
        assert np.array_equal(getattr(whole, field), getattr(sliced, field))
