"""Neurons are recognised in any form; events and nested graphs keep what they are."""

from itertools import pairwise

import nir
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from snndeploy.frontends.cells import Cell, compared, read_cell, synapse_of
from snndeploy.frontends.expressions import Expr, Source, State
from snndeploy.frontends.nir_repair import repair_graph
from snndeploy.nirgraph.dynamics import step_constants
from snndeploy.nirgraph.neuron_step import run_neuron
from snndeploy.nirgraph.rebuild import build_graph
from snndeploy.recordings.events import bin_events

N, STEPS, SAMPLES = 4, 40, 3
FEW = settings(max_examples=40, deadline=None)


def ex(op, *args):
    return Expr(op, args, op, "cell")


def written(rng, reset, form, *, has_current):
    """Return a cell as somebody may write it, and a function that runs the same in numpy."""
    keep, take, threshold = (rng.uniform(low, high, N) for low, high in
                             ((0.3, 0.95), (0.2, 1.5), (0.5, 2.0)))  # fmt: skip
    keep_u, v_reset = rng.uniform(0.2, 0.9, N), rng.uniform(-0.5, 0.3, N)
    v, i, x = State("v"), State("i"), Source("x")
    drive = ex("add", ex("mul", keep_u, i), x) if has_current else x
    strict = "gt" if form % 2 else "ge"
    kept = ex("mul", keep, v)
    if reset == "subtract-delayed":
        kept = ex(
            "sub", kept, ex("mul", ex("to", ex(strict, ex("sub", v, threshold), 0)), threshold)
        )
    now = ex("add", kept, ex("mul", take, drive))
    compare = (ex(strict, ex("sub", now, threshold), 0) if form < 2 else
               ex(strict, now, threshold))  # fmt: skip
    spike = ex("to", compare)
    after = {
        "zero": ex("add", ex("mul", ex("rsub", spike, 1.0), now), ex("mul", spike, v_reset)),
        "subtract": ex("sub", now, ex("mul", spike, threshold)),
        "none": now,
        "subtract-delayed": now,
    }[reset]
    if reset == "zero" and form == 3:
        after = ex("where", spike, v_reset, now)
    known = {"v": after} | ({"i": drive} if has_current else {})
    measured, level = compared(compare)
    cell = Cell(
        path="cell", shape=(N,), compare=compare, v=measured, threshold=level, currents=(x,),
        potential="v", synapse=synapse_of("v", known), after=known,
    )  # fmt: skip

    def run(inputs):
        pot, cur = np.zeros((SAMPLES, N)), np.zeros((SAMPLES, N))
        last, out = np.zeros((SAMPLES, N)), []
        for frame in inputs:
            cur = keep_u * cur + frame if has_current else frame
            pot = keep * pot + take * cur
            if reset == "subtract-delayed":
                pot = pot - last * threshold
            last = (pot > threshold if strict == "gt" else pot >= threshold).astype(float)
            out.append(last)
            if reset == "zero":
                pot = np.where(last > 0, v_reset, pot)
            elif reset == "subtract":
                pot = pot - last * threshold
        return np.stack(out)

    return cell, run


@FEW
@given(
    st.integers(0, 10_000), st.sampled_from(("zero", "subtract", "subtract-delayed", "none")),
    st.integers(0, 3), st.booleans(),
)  # fmt: skip
def test_a_neuron_is_recognised_by_what_it_computes(seed, reset, form, has_current):
    rng = np.random.default_rng(seed)
    cell, run = written(rng, reset, form, has_current=has_current)
    node, semantics = read_cell(cell)
    assert isinstance(node, nir.CubaLIF if has_current else nir.LIF)
    assert semantics.reset == reset
    x = rng.normal(0.5, 1.0, (STEPS, SAMPLES, N))
    want = run(x)
    assert 0 < want.mean() < 1
    got, _ = run_neuron(step_constants(node, semantics), semantics, x)
    np.testing.assert_array_equal(got, want)


@FEW
@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from((100, 250, 1000)))
def test_every_event_is_counted_once_in_its_step(seed, n, dt_us):
    rng = np.random.default_rng(seed)
    found = {"t": rng.integers(0, 5000, n), "x": rng.integers(0, 3, n), "y": rng.integers(0, 2, n),
             "p": rng.integers(0, 2, n)}  # fmt: skip
    frames = bin_events([found], (2, 2, 3), dt_us * 1e-6, "data")
    want = np.zeros_like(frames)
    for t, x, y, p in zip(*(found[field] for field in "txyp"), strict=True):
        want[(t - found["t"].min()) // dt_us, 0, p, y, x] += 1
    np.testing.assert_array_equal(frames, want)
    assert frames.sum() == n


@FEW
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_a_chain_is_the_same_graph_however_it_is_nested(seed, n):
    rng = np.random.default_rng(seed)
    flat = {f"n{i}": nir.Scale(scale=rng.normal(size=3)) for i in range(n)}
    inner, depth = dict(flat), 0
    while rng.random() < 0.6 and depth < 4:
        depth += 1
        names = ["in", *inner, "out"]
        block = {"in": nir.Input({"input": np.array([3])}), **inner,
                 "out": nir.Output({"output": np.array([3])})}  # fmt: skip
        inner = {"b": build_graph(block, list(pairwise(names)))}
    names = ["input", *inner, "output"]
    nodes = {"input": nir.Input({"input": np.array([3])}), **inner,
             "output": nir.Output({"output": np.array([3])})}  # fmt: skip
    graph, notes = repair_graph(build_graph(nodes, list(pairwise(names))))
    assert len(notes) == depth
    order, name = [], "input"
    following = dict(graph.edges)
    while name in following:
        name = following[name]
        order.append(name)
    assert order[-1] == "output"
    for found, wanted in zip(order[:-1], flat, strict=True):
        assert found == "b." * depth + wanted
        np.testing.assert_array_equal(graph.nodes[found].scale, flat[wanted].scale)
