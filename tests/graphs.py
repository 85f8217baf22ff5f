"""Graph models beyond chains, one builder per construct; rng in, model out."""

from math import prod

import nir
import numpy as np

from snndeploy.model import InputPort, Model, OutputPort
from snndeploy.nirgraph.rebuild import build_graph
from snndeploy.semantics import Semantics
from tests.chains import DT, conv, flatten, integrate_and_fire, lif, pool

IMAGE = (2, 8, 8)


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


def kernel(rng, c_out, c_in, k=3, *, grid=False):
    size = 1.8 / np.sqrt(c_in * k * k)
    weight = rng.normal(0.08 * size, size, (c_out, c_in, k, k))
    return np.rint(weight * 16) / 16 if grid else weight


def matrix(rng, n_out, n_in):
    size = 1.8 / np.sqrt(n_in)
    return nir.Linear(weight=rng.normal(0.08 * size, size, (n_out, n_in)))


def neuron(rng, shape):
    if rng.random() < 0.5:
        return integrate_and_fire(shape)
    return lif(shape, keep=float(rng.choice([0.5, 0.75, 0.9])))


def same(rng, shape, c_out):
    """Return a convolution that keeps the image's size."""
    return conv(kernel(rng, c_out, shape[0]), shape[1:], padding=1)


def stem(rng, c=3):
    shape = (c, *IMAGE[1:])
    return {"stem": same(rng, IMAGE, c), "a": neuron(rng, shape)}, shape


def membrane_add(rng):
    """Two convolutions with an identity shortcut that is added before the last neuron."""
    nodes, shape = stem(rng)
    nodes |= {"w1": same(rng, shape, 3), "b": neuron(rng, shape), "w2": same(rng, shape, 3)}
    nodes |= {"c": neuron(rng, shape)}
    edges = [("in", "stem"), ("stem", "a"), ("a", "w1"), ("w1", "b"), ("b", "w2"), ("w2", "c"),
             ("a", "c"), ("c", "out")]  # fmt: skip
    return nodes, edges, {"in": IMAGE}, {"out": shape}


def spike_add(rng):
    """SEW addition: the sum of two spike trains feeds the next convolution."""
    nodes, shape = stem(rng)
    nodes |= {"w1": same(rng, shape, 3), "b": neuron(rng, shape), "w2": same(rng, shape, 4)}
    nodes |= {"c": neuron(rng, (4, *shape[1:]))}
    edges = [("in", "stem"), ("stem", "a"), ("a", "w1"), ("w1", "b"), ("b", "w2"), ("a", "w2"),
             ("w2", "c"), ("c", "out")]  # fmt: skip
    return nodes, edges, {"in": IMAGE}, {"out": (4, *shape[1:])}


def concatenation(rng):
    """Two branches of different depth, concatenated: one block of weights per branch."""
    nodes, shape = stem(rng, 2)
    n = prod(shape)
    nodes |= {"fa": flatten(shape), "wa": matrix(rng, 12, n), "w1": same(rng, shape, 2)}
    nodes |= {"b": neuron(rng, shape), "fb": flatten(shape), "wb": matrix(rng, 12, n)}
    nodes |= {"c": neuron(rng, (12,))}
    edges = [("in", "stem"), ("stem", "a"), ("a", "fa"), ("fa", "wa"), ("wa", "c"), ("a", "w1"),
             ("w1", "b"), ("b", "fb"), ("fb", "wb"), ("wb", "c"), ("c", "out")]  # fmt: skip
    return nodes, edges, {"in": IMAGE}, {"out": (12,)}


def logic(threshold, sign=1.0):
    """Return a builder of a gate on two spike trains of different depth."""

    def build(rng):
        nodes, shape = stem(rng)
        nodes |= {"w1": same(rng, shape, 3), "b": neuron(rng, shape)}
        nodes |= {"s": nir.Scale(scale=np.full(shape, sign))}
        nodes |= {"g": nir.Threshold(threshold=np.full(shape, threshold))}
        edges = [("in", "stem"), ("stem", "a"), ("a", "w1"), ("w1", "b"), ("b", "g"), ("a", "s"),
                 ("s", "g"), ("g", "out")]  # fmt: skip
        return nodes, edges, {"in": IMAGE}, {"out": shape}

    return build


def two_inputs(rng):
    """Two inputs into one convolutional layer, at different depths."""
    nodes, shape = stem(rng)
    nodes |= {"w2": same(rng, IMAGE, 3), "w1": same(rng, shape, 3), "b": neuron(rng, shape)}
    edges = [("in", "stem"), ("stem", "a"), ("a", "w1"), ("w1", "b"), ("in2", "w2"), ("w2", "b"),
             ("b", "out")]  # fmt: skip
    return nodes, edges, {"in": IMAGE, "in2": IMAGE}, {"out": shape}


def two_outputs(rng):
    """A spiking output and a readout without a neuron."""
    nodes, shape = stem(rng)
    nodes |= {"p": pool(nir.AvgPool2d, 2), "f": flatten((3, 4, 4)), "w": matrix(rng, 5, 48)}
    edges = [("in", "stem"), ("stem", "a"), ("a", "out"), ("a", "p"), ("p", "f"), ("f", "w"),
             ("w", "out2")]  # fmt: skip
    return nodes, edges, {"in": IMAGE}, {"out": shape, "out2": (5,)}


def long_skip(rng):
    """A pooled shortcut over three layers."""
    nodes, shape = stem(rng)
    half = (3, 4, 4)
    edges = [("in", "stem"), ("stem", "a"), ("a", "p"), ("p", "c"), ("a", "w0")]
    before = "w0"
    for index in range(3):
        nodes |= {f"w{index}": same(rng, shape, 3), f"b{index}": neuron(rng, shape)}
        edges += [(before, f"b{index}")]
        before = f"w{index + 1}"
        edges += [(f"b{index}", before)]
    nodes |= {"w3": conv(kernel(rng, 3, 3), shape[1:], stride=2, padding=1)}
    nodes |= {"p": pool(nir.AvgPool2d, 2), "c": neuron(rng, half)}
    edges += [("w3", "c"), ("c", "out")]
    return nodes, edges, {"in": IMAGE}, {"out": half}


CONSTRUCTS = {
    "membrane add": membrane_add,
    "spike add": spike_add,
    "concatenation": concatenation,
    "or": logic(0.5),
    "and": logic(1.5),
    "iand": logic(0.5, sign=-1.0),
    "two inputs": two_inputs,
    "two outputs": two_outputs,
    "long skip": long_skip,
}


def random_graph(rng, construct):
    """Return a random model of one construct."""
    nodes, edges, inputs, outputs = CONSTRUCTS[construct](rng)
    return graph_model(
        nodes, edges, inputs=inputs, outputs=outputs, steps=int(rng.integers(3, 8)),
        compare=str(rng.choice(["ge", "gt"])),
    )  # fmt: skip
