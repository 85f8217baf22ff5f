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


def graph_model(nodes, edges, *, inputs, outputs, steps, compare="ge"):
    """Return a model of named nodes; `inputs` and `outputs` map port names to shapes."""
    ports = {
        **{name: nir.Input(input_type={"input": np.array(s)}) for name, s in inputs.items()},
        **{name: nir.Output(output_type={"output": np.array(s)}) for name, s in outputs.items()},
    }
    return Model(
        graph=build_graph({**ports, **nodes}, edges),
        semantics=Semantics(dt=DT, compare=compare, v0="reset"),
        inputs=tuple(
            InputPort(name=name, shape=s, values="spikes", low=0.0, high=1.0)
            for name, s in inputs.items()
        ),
        outputs=tuple(OutputPort(name=name, shape=s, decode="sum") for name, s in outputs.items()),
        steps=steps,
        notes=(),
        origin="graph",
    )
