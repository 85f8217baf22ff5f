"""Sums of spikes in front of weights: copies or a stream of integers, whichever is smaller."""

from dataclasses import replace

import nir
import numpy as np
import pytest

from hwtargets.simulator import SIMULATOR
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.synapses import Dense, OneToOne, Pool
from snndeploy.nirgraph.interpret import run_float
from snndeploy.passes.forms import Diagonal, Matrix, Pooled
from snndeploy.passes.layers import layers_of
from snndeploy.passes.sums import SumRule, memory_of, stream_bits, whole_step
from snndeploy.pipeline import CompileOptions, compile_model
from snndeploy.registry import find_target
from snndeploy.report.html import _layers
from tests.chains import conv, flatten, graph_model, integrate_and_fire, pool
from tests.generator.check import assert_equal, names

STEPS, N_SAMPLES = 7, 5
LOIHI2 = find_target("loihi2")


def grid(rng, shape):
    return rng.integers(-4, 7, shape) / 16


def linear(rng, n_out, n_in):
    return nir.Linear(weight=grid(rng, (n_out, n_in)))


def residual(rng, *, n=48, n_out=40, factor=None):
    """a + factor * b into weights, b one layer deeper."""
    nodes = {
        "w0": linear(rng, n, 20), "a": integrate_and_fire((n,)), "w1": linear(rng, n, n),
        "b": integrate_and_fire((n,), threshold=2.0), "w2": linear(rng, n_out, n),
        "c": integrate_and_fire((n_out,), threshold=1.0 if factor else 4.0),
    }  # fmt: skip
    edges = [("in", "w0"), ("w0", "a"), ("a", "w1"), ("w1", "b"), ("a", "w2"), ("w2", "c"),
             ("c", "out")]  # fmt: skip
    if factor is None:
        return nodes, [*edges, ("b", "w2")], (20,), (n_out,)
    nodes["s"] = nir.Scale(scale=np.full(n, factor))
    return nodes, [*edges, ("b", "s"), ("s", "w2")], (20,), (n_out,)


def minus(rng):
    return residual(rng, factor=-2.0)


def pooled(rng):
    shape = (3, 8, 8)
    nodes = {
        "w0": conv(grid(rng, (3, 1, 3, 3)) * 2, (8, 8), padding=1), "a": integrate_and_fire(shape),
        "w1": conv(grid(rng, (3, 3, 3, 3)) * 2, (8, 8), padding=1),
        "b": integrate_and_fire(shape, threshold=1.0),
        "pa": pool(nir.AvgPool2d, 2), "pb": pool(nir.AvgPool2d, 2), "f": flatten((3, 4, 4)),
        "w2": linear(rng, 60, 48), "c": integrate_and_fire((60,)),
    }  # fmt: skip
    edges = [("in", "w0"), ("w0", "a"), ("a", "w1"), ("w1", "b"), ("a", "pa"), ("b", "pb"),
             ("pa", "f"), ("pb", "f"), ("f", "w2"), ("w2", "c"), ("c", "out")]  # fmt: skip
    return nodes, edges, (1, 8, 8), (60,)


def wide_convolution(rng):
    """Kernels larger than the feature map, joined with a deeper branch: the stream is relayed."""
    shape = (16, 3, 3)
    weights = lambda c_in: conv(rng.integers(-7, 9, (16, c_in, 3, 3)) / 16, (3, 3), padding=1)  # noqa: E731
    nodes = {
        "w0": weights(1), "a": integrate_and_fire(shape), "w1": weights(16),
        "b": integrate_and_fire(shape, threshold=1.5), "w2": weights(16), "w3": weights(16),
        "d": integrate_and_fire(shape, threshold=1.5), "w4": weights(16),
        "e": integrate_and_fire(shape, threshold=1.5), "w5": weights(16),
        "c": integrate_and_fire(shape, threshold=3.0),
    }  # fmt: skip
    edges = [("in", "w0"), ("w0", "a"), ("a", "w1"), ("w1", "b"), ("a", "w2"), ("b", "w2"),
             ("w2", "c"), ("b", "w3"), ("w3", "d"), ("d", "w4"), ("w4", "e"), ("e", "w5"),
             ("w5", "c"), ("c", "out")]  # fmt: skip
    return nodes, edges, (1, 3, 3), shape


def model_of(builder, *, compare="gt", seed=3):
    nodes, edges, shape, out_shape = builder(np.random.default_rng(seed))
    return graph_model(
        nodes, edges, inputs={"in": shape}, outputs={"out": out_shape}, steps=STEPS,
        compare=compare,
    )  # fmt: skip


def assert_every_spike(model, *, rate=0.4):
    """Compare reference and simulator with the float model; return what was compiled."""
    result = compile_model(model, LOIHI2, CompileOptions())
    network = result.network
    rng = np.random.default_rng(5)
    shape = (model.steps, N_SAMPLES, *model.inputs[0].shape)
    x = {model.inputs[0].name: (rng.random(shape) < rate).astype(np.int64)}
    traces = run_reference(network, x, record=names(network))
    assert_equal(SIMULATOR.run(network, x, record=names(network)).traces, traces)
    own = tuple(name for name in names(network) if name in model.graph.nodes)
    floats = run_float(model, {k: v.astype(float) for k, v in x.items()}, record=own)
    for name in own:
        want = floats[name].reshape(traces[name].spikes.shape)
        assert np.array_equal(want, traces[name].spikes), name
        assert 0.01 < np.mean(want > 0) < 0.7, name
    return result, traces


@pytest.mark.parametrize("builder", [residual, minus, pooled])
def test_a_stream_gives_every_spike_of_the_float_model(builder):
    result, traces = assert_every_spike(model_of(builder))
    population = result.network.population["w2.sum"]
    assert population.program.name == "graded_sum"
    assert traces["w2.sum"].spikes.min() >= population.low
    assert traces["w2.sum"].spikes.max() <= population.high
    assert len(np.unique(traces["w2.sum"].spikes)) > 2
    kinds = {type(p.synapse) for p in result.network.into("w2.sum")}
    assert kinds == ({Pool} if builder is pooled else {OneToOne})
    (behind,) = result.network.into("c")
    assert isinstance(behind.synapse, Dense)


def test_the_report_says_what_was_chosen_and_at_which_costs():
    result, _ = assert_every_spike(model_of(residual))
    reports = {report.population: report for report in result.layers}
    (note,) = reports["c"].notes
    # 48 axons of 40 weights of 8 bits: 384 bits each; a one-to-one synapse takes a word of 64
    assert note == (
        "a + b: 36,864 bits of synapses as copies of w2, 24,576 as a stream of integers; "
        "stream chosen"
    )
    assert reports["w2.sum"].exact
    assert reports["w2.sum"].notes == ("adds a + b once, sends integers",)


def test_a_small_kernel_is_copied_and_the_report_says_so():
    def builder(rng):
        nodes, edges, shape, _ = wide_convolution(rng)
        nodes["w2"] = conv(rng.integers(-7, 9, (16, 16, 1, 1)) / 16, (3, 3))
        return nodes, edges, shape, (16, 3, 3)

    result, _ = assert_every_spike(model_of(builder))
    assert not any(p.program.name == "graded_sum" for p in result.network.populations)
    report = next(report for report in result.layers if report.population == "c")
    assert report.notes[0].endswith("; copies chosen")


def test_a_stream_that_waits_for_a_deeper_branch_is_relayed_as_integers():
    result, traces = assert_every_spike(model_of(wide_convolution))
    relays = [p for p in result.network.populations if p.name.startswith("w2.sum.relay")]
    assert relays
    assert all(relay.program.name == "graded_sum" for relay in relays)
    assert traces[relays[-1].name].spikes.max() == 2


def test_counts_of_spikes_are_summed_and_relayed_too():
    model = model_of(residual, compare="ge")
    semantics = replace(model.semantics, multi_spike=True, reset="subtract")
    result, traces = assert_every_spike(replace(model, semantics=semantics))
    assert result.network.population["w2.sum"].high == 2 * 15
    assert traces["w2.sum"].spikes.max() > 2


def test_two_layers_behind_one_sum_share_its_stream():
    def builder(rng):
        nodes, edges, shape, out_shape = residual(rng)
        nodes |= {"w3": linear(rng, 40, 48), "s": nir.Scale(scale=np.full(40, 0.5))}
        return nodes, [*edges, ("a", "w3"), ("b", "w3"), ("w3", "s"), ("s", "c")], shape, out_shape

    result, _ = assert_every_spike(model_of(builder))
    streams = [p.name for p in result.network.populations if p.program.name == "graded_sum"]
    assert streams == ["w2.sum"]
    assert [p.source for p in result.network.into("c")] == ["w2.sum", "w2.sum"]


def test_ties_go_to_copies_and_messages_must_hold_the_sum():
    model = model_of(residual)
    free = SumRule(message_bits=24, memory=lambda _: 0)
    assert not any(layer.is_sum for layer in layers_of(model, free).layers)
    weights_only = {"memory": lambda s: s.weight.size if isinstance(s, Dense) else 0}
    wide, narrow = (SumRule(message_bits=bits, **weights_only) for bits in (2, 1))
    assert any(layer.is_sum for layer in layers_of(model, wide).layers)
    assert not any(layer.is_sum for layer in layers_of(model, narrow).layers)
    assert not any(layer.is_sum for layer in layers_of(model).layers)


def test_loops_and_delays_keep_copies():
    def builder(rng):
        nodes, edges, shape, out_shape = residual(rng)
        nodes["late"] = nir.Delay(delay=np.full(40, 1e-4))
        edges = [e for e in edges if e != ("w2", "c")]
        return nodes, [*edges, ("w2", "late"), ("late", "c")], shape, out_shape

    result, _ = assert_every_spike(model_of(builder))
    assert not any(p.program.name == "graded_sum" for p in result.network.populations)


def test_steps_bits_and_memory_of_sums():
    one, half = Diagonal(n=4, weight=np.ones(1)), Diagonal(n=4, weight=np.full(1, -0.5))
    window = Pooled(pool=Pool(in_shape=(1, 4, 4), kernel=(2, 2), stride=(2, 2)), factor=0.25)
    assert whole_step([one, half]) == 0.5
    assert whole_step([one, window]) == 0.25
    assert whole_step([one, Diagonal(n=4, weight=np.full(1, 0.3))]) is None
    assert whole_step([one, Diagonal(n=4, weight=np.full(1, 1 / 256))]) is None
    assert whole_step([one, Diagonal(n=4, weight=np.arange(4.0))]) is None
    assert whole_step([one, Matrix(weight=np.eye(4))]) is None
    assert stream_bits([one, one], [1, 1]) == 2
    assert stream_bits([one, one], [15, 1]) == 5
    negative = Diagonal(n=4, weight=np.full(1, -1.0))
    assert stream_bits([one, negative], [1, 1]) == 2
    assert stream_bits([negative, negative], [1, 1]) == 2
    assert memory_of([one, Matrix(weight=np.eye(4))], lambda s: s.n_in) == 8


def test_the_page_shows_what_was_composed_and_chosen():
    result = compile_model(model_of(residual), LOIHI2, CompileOptions())
    page = _layers(result.layers)
    assert "<li>c: a + b: 36,864 bits of synapses as copies of w2" in page
    assert "<li>w2.sum: adds a + b once" in page
