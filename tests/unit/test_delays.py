"""Explicit delays lag on the ways, samples stay apart, every spike is the float model's."""

import nir
import numpy as np
import pytest

from hwtargets.simulator import SIMULATOR
from snndeploy.errors import UnsupportedError
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.synapses import Conv, Sparse
from snndeploy.nirgraph.interpret import run_float
from snndeploy.passes.ways import delay_steps
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target
from tests.chains import DT, chain_model, conv, graph_model, integrate_and_fire, pool
from tests.generator.check import assert_equal, names

TARGET = find_target("loihi2")
STEPS, N_SAMPLES = 9, 5


def grid(rng, shape):
    return rng.integers(-4, 7, shape) / 16


def affine(rng, n_out, n_in):
    return nir.Affine(weight=grid(rng, (n_out, n_in)), bias=rng.integers(-1, 4, n_out) / 16)


def delay(steps, shape):
    return nir.Delay(delay=np.broadcast_to(np.asarray(steps) * DT, shape).copy())


def uniform_at_the_input(rng):
    return [delay(3, (20,)), affine(rng, 12, 20), integrate_and_fire((12,))], (20,), (12,)


def uniform_between_layers(rng):
    nodes = [affine(rng, 16, 20), integrate_and_fire((16,)), delay(2, (16,)), affine(rng, 9, 16)]
    return [*nodes, integrate_and_fire((9,))], (20,), (9,)


def per_element(rng):
    nodes = [affine(rng, 16, 20), integrate_and_fire((16,)), delay(rng.integers(0, 5, 16), (16,))]
    return [*nodes, affine(rng, 9, 16), integrate_and_fire((9,))], (20,), (9,)


def behind_biased_weights(rng):
    """Before the delay is over nothing arrives, not even the bias."""
    nodes = [affine(rng, 12, 20), delay(rng.integers(0, 4, 12), (12,)), integrate_and_fire((12,))]
    return nodes, (20,), (12,)


def two_in_a_row_around_weights(rng):
    nodes = [delay(rng.integers(0, 3, 20), (20,)), affine(rng, 8, 20)]
    nodes += [delay(rng.integers(0, 3, 8), (8,)), affine(rng, 9, 8)]
    return [*nodes, integrate_and_fire((9,))], (20,), (9,)


def before_a_convolution(rng):
    """The chip's convolutions hold no delay."""
    nodes = [
        conv(grid(rng, (3, 1, 3, 3)), (6, 6), padding=1), integrate_and_fire((3, 6, 6)),
        delay(2, (3, 6, 6)), conv(grid(rng, (2, 3, 3, 3)), (6, 6), padding=1),
        pool(nir.SumPool2d, 2), integrate_and_fire((2, 3, 3)),
    ]  # fmt: skip
    return nodes, (1, 6, 6), (2, 3, 3)


def readout(rng):
    nodes = [affine(rng, 12, 20), integrate_and_fire((12,)), delay(2, (12,)), affine(rng, 4, 12)]
    return nodes, (20,), (4,)


CASES = {
    builder.__name__: builder
    for builder in (
        uniform_at_the_input, uniform_between_layers, per_element, behind_biased_weights,
        two_in_a_row_around_weights, before_a_convolution, readout,
    )
}  # fmt: skip


def assert_every_spike(model, *, options=None):
    """Compare reference, simulator and float model on streamed samples; return the network."""
    result = compile_model(model, TARGET, options or CompileOptions())
    network = result.network
    rng = np.random.default_rng(5)
    x = {
        port.name: (rng.random((model.steps, N_SAMPLES, *port.shape)) < 0.4).astype(np.int64)
        for port in model.inputs
    }
    traces = run_reference(network, x, record=names(network))
    assert_equal(SIMULATOR.run(network, x, record=names(network)).traces, traces)
    floats = run_float(
        model,
        {name: array.astype(float) for name, array in x.items()},
        record=tuple(name for name in names(network) if name in model.graph.nodes),
    )
    for report in result.layers:
        if report.population in floats and report.program == "lif" and report.vth < 1 << 17:
            want = floats[report.population].reshape(traces[report.population].spikes.shape)
            assert report.exact, report.why
            assert np.array_equal(want, traces[report.population].spikes)
            assert 0.01 < want.mean() < 0.7
    return network, result


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_delays_on_a_grid_give_every_spike_of_the_float_model(case, alone):
    nodes, shape, out_shape = CASES[case](np.random.default_rng(3))
    model = chain_model(*nodes, shape=shape, out_shape=out_shape, steps=STEPS, compare="gt")
    network, _ = assert_every_spike(model, options=CompileOptions(one_at_a_time=alone))
    assert max(p.lag for p in network.projections) >= 2


def test_a_convolution_of_a_delayed_skip_is_listed_with_its_delay():
    rng = np.random.default_rng(3)
    shape = (2, 6, 6)

    def weights(c_in):
        return conv(rng.integers(-2, 9, (2, c_in, 3, 3)) / 16, (6, 6), padding=1)

    nodes = {
        "w0": weights(1), "a": integrate_and_fire(shape), "w1": weights(2),
        "b": integrate_and_fire(shape, threshold=2.0), "w2": weights(2),
        "late": delay(np.array([1, 3])[:, None, None], shape), "w3": weights(2),
        "c": integrate_and_fire(shape, threshold=2.0),
    }  # fmt: skip
    edges = [("in", "w0"), ("w0", "a"), ("a", "w1"), ("w1", "b"), ("b", "w2"), ("w2", "c"),
             ("a", "late"), ("late", "w3"), ("w3", "c"), ("c", "out")]  # fmt: skip
    model = graph_model(
        nodes, edges, inputs={"in": (1, 6, 6)}, outputs={"out": shape}, steps=STEPS, compare="gt"
    )
    network, _ = assert_every_spike(model)
    skips = [p for p in network.into("c") if p.source == "a"]
    assert [(p.lag, p.delay) for p in skips] == [(1, 2), (3, 4)]
    assert all(isinstance(p.synapse, Sparse) for p in skips)


def test_a_delay_along_a_chain_keeps_the_convolution():
    """The layer behind it takes an earlier wave instead."""
    nodes, shape, out_shape = CASES["before_a_convolution"](np.random.default_rng(3))
    model = chain_model(*nodes, shape=shape, out_shape=out_shape, steps=STEPS)
    (projection,) = compile_model(model, TARGET, CompileOptions()).network.into("n5")
    assert isinstance(projection.synapse, Conv)
    assert (projection.lag, projection.delay) == (2, 0)


def test_elements_that_wait_differently_come_over_ways_of_their_own():
    model = chain_model(
        delay(np.arange(4) % 2, (4,)), nir.Scale(scale=np.full(4, 0.5)), integrate_and_fire((4,)),
        shape=(4,), out_shape=(4,), steps=STEPS,
    )  # fmt: skip
    even, odd = compile_model(model, TARGET, CompileOptions()).network.projections
    assert (even.lag, odd.lag) == (0, 1)
    assert not even.synapse.weight[1::2].any()
    assert odd.synapse.weight[1::2].all()


def test_two_ways_from_a_source_through_the_same_last_node_have_names_of_their_own():
    rng = np.random.default_rng(3)
    nodes = {"w1": affine(rng, 6, 8), "w2": affine(rng, 6, 8), "w": affine(rng, 5, 6)}
    nodes["n"] = integrate_and_fire((5,))
    edges = [("in", "w1"), ("in", "w2"), ("w1", "w"), ("w2", "w"), ("w", "n"), ("n", "out")]
    model = graph_model(
        nodes, edges, inputs={"in": (8,)}, outputs={"out": (5,)}, steps=STEPS, compare="gt"
    )
    network, _ = assert_every_spike(model)
    assert [p.name for p in network.projections] == ["in->n via w1+w", "in->n via w2+w"]


def test_delays_are_whole_steps_within_float32():
    seconds = (np.arange(5) * np.float32(1e-4)).astype(np.float32)
    assert delay_steps("d", nir.Delay(delay=seconds), 1e-4).tolist() == [0, 1, 2, 3, 4]
    for wrong in (2.5e-4, -1e-4):
        with pytest.raises(UnsupportedError, match=r"^error\[E2136\] d: a delay of -?\d"):
            delay_steps("d", nir.Delay(delay=np.array([0.0, wrong])), 1e-4)


def test_a_delay_beyond_what_synapses_hold_is_refused():
    model = chain_model(
        delay(64, (4,)), nir.Linear(weight=np.eye(4)), integrate_and_fire((4,)),
        shape=(4,), out_shape=(4,), steps=80,
    )  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"E2132.* 63 steps of delay, its synapses hold 62"):
        compile_model(model, TARGET, CompileOptions())
