"""Build chains of NIR nodes as models, for tests of what comes after import."""

from itertools import pairwise

import nir
import numpy as np

from snndeploy.model import InputPort, Model, OutputPort
from snndeploy.nirgraph.rebuild import build_graph
from snndeploy.semantics import Semantics

DT = 1e-4


def chain_model(
    *nodes, shape, out_shape, values="spikes", low=0.0, high=1.0, steps=8, compare="ge",
    repeat=False, decode="sum",
):  # fmt: skip
    """Return a model: input, the nodes named n0, n1, …, output."""
    names = [f"n{i}" for i in range(len(nodes))]
    path = ["input", *names, "output"]
    graph = build_graph(
        {
            "input": nir.Input(input_type={"input": np.array(shape)}),
            **dict(zip(names, nodes, strict=True)),
            "output": nir.Output(output_type={"output": np.array(out_shape)}),
        },
        list(pairwise(path)),
    )
    return Model(
        graph=graph,
        semantics=Semantics(dt=DT, compare=compare, v0="reset"),
        inputs=(
            InputPort(name="input", shape=shape, values=values, low=low, high=high, repeat=repeat),
        ),
        outputs=(OutputPort(name="output", shape=out_shape, decode=decode),),
        steps=steps,
        notes=(),
        origin="chain",
    )


def lif(shape, *, keep, threshold=1.0, v_reset=0.0, gain=1.0):
    """Return a LIF that keeps `keep` per step and adds gain * input."""
    one = np.ones(shape)
    tau = DT / (1 - keep)
    return nir.LIF(
        tau=tau * one, r=gain * tau / DT * one, v_leak=v_reset * one,
        v_threshold=threshold * one, v_reset=v_reset * one,
    )  # fmt: skip


def integrate_and_fire(shape, *, threshold=1.0):
    """Return an IF that adds its input as it is."""
    one = np.ones(shape)
    return nir.IF(r=one / DT, v_threshold=threshold * one, v_reset=0 * one)


def cuba(shape, *, keep_u, keep_v, threshold=1.0):
    """Return a current-based LIF with unit gains."""
    one = np.ones(shape)
    tau_s, tau_m = DT / (1 - keep_u), DT / (1 - keep_v)
    return nir.CubaLIF(
        tau_syn=tau_s * one, tau_mem=tau_m * one, r=tau_m / DT * one, v_leak=0 * one,
        v_threshold=threshold * one, v_reset=0 * one, w_in=tau_s / DT * one,
    )  # fmt: skip


def conv(weight, input_shape, *, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Return a Conv2d."""
    return nir.Conv2d(
        input_shape=tuple(input_shape), weight=weight, stride=stride, padding=padding,
        dilation=dilation, groups=groups, bias=np.zeros(len(weight)) if bias is None else bias,
    )  # fmt: skip


def pool(kind, kernel, *, stride=None, padding=0):
    """Return a square pool; `kind` is nir.AvgPool2d or nir.SumPool2d."""
    sizes = (kernel, stride or kernel, padding)
    return kind(*(np.array([size, size]) for size in sizes))


def flatten(shape):
    """Return a Flatten of all dimensions."""
    return nir.Flatten(start_dim=0, end_dim=-1, input_type={"input": np.array(shape)})


def random_chain(rng):
    """Return a random float chain: 1 to 3 weight layers of odd geometry, with or without pools."""
    shape = (int(rng.integers(1, 4)), int(rng.integers(7, 13)), int(rng.integers(7, 13)))
    grid = bool(rng.random() < 0.3)
    compare = str(rng.choice(["ge", "gt"]))
    nodes, here = [], shape
    for index in range(int(rng.integers(1, 4))):
        if len(here) == 3 and min(here[1:]) >= 5 and rng.random() < 0.75:
            if index and rng.random() < 0.4:
                nodes.append(pool(nir.AvgPool2d, 2))
                here = (here[0], here[1] // 2, here[2] // 2)
            node, here = _random_conv(rng, here, grid=grid)
        else:
            nodes.append(flatten(here))
            node, here = _random_linear(rng, here, grid=grid)
        nodes += [node, _random_neuron(rng, here)]
        if len(here) == 3 and min(here[1:]) >= 4 and rng.random() < 0.3:
            sum_pool = pool(nir.SumPool2d, 2)
            here = (here[0], here[1] // 2, here[2] // 2)
            nodes += [sum_pool, nir.Threshold(threshold=np.full(here, 0.5))]
    if rng.random() < 0.5:
        nodes.append(flatten(here))
        node, here = _random_linear(rng, here, grid=grid)
        nodes.append(node)
    return chain_model(
        *nodes, shape=shape, out_shape=here, steps=int(rng.integers(4, 10)), compare=compare,
        values="real" if rng.random() < 0.4 else "spikes", low=-1.0,
    )  # fmt: skip


def _weights(rng, shape, *, grid):
    size = 2.4 / np.sqrt(np.prod(shape[1:]))
    weight = rng.normal(0.2 * size, size, shape)
    return np.rint(weight * 16) / 16 if grid else weight


def _random_linear(rng, here, *, grid):
    n_in, n_out = int(np.prod(here)), int(rng.integers(5, 40))
    bias = rng.normal(0, 0.1, n_out)
    bias = np.rint(bias * 16) / 16 if grid else bias
    return nir.Affine(weight=_weights(rng, (n_out, n_in), grid=grid), bias=bias), (n_out,)


def _random_conv(rng, here, *, grid):
    groups = int(rng.choice([g for g in (1, 1, 2, 3) if here[0] % g == 0]))
    kernel = tuple(
        min(int(k), size) for k, size in zip(rng.integers(1, 4, 2), here[1:], strict=True)
    )
    dilation = int(rng.integers(1, 3)) if max(kernel) * 2 <= min(here[1:]) else 1
    stride = tuple(int(s) for s in rng.integers(1, 3, 2))
    padding = tuple(int(p) for p in rng.integers(0, 2, 2))
    c_out = groups * int(rng.integers(1, 5))
    weight = _weights(rng, (c_out, here[0] // groups, *kernel), grid=grid)
    bias = np.rint(rng.normal(0, 0.1, c_out) * 16) / 16
    node = conv(
        weight, here[1:], bias=bias, stride=stride, padding=padding, dilation=dilation,
        groups=groups,
    )  # fmt: skip
    out = tuple(
        (size + 2 * p - dilation * (k - 1) - 1) // s + 1
        for size, p, k, s in zip(here[1:], padding, kernel, stride, strict=True)
    )
    return node, (c_out, *out)


def _random_neuron(rng, here):
    threshold = float(rng.choice([0.5, 1.0]))
    if rng.random() < 0.4:
        return integrate_and_fire(here, threshold=threshold)
    return lif(here, keep=float(rng.choice([0.5, 0.75, 0.9])), threshold=threshold)
