"""From float chains to integers: what is exact, what is rounded, what is proven or refused."""

from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest

from snndeploy.errors import ModelError, UnsupportedError
from snndeploy.ir.arrays import frozen_int
from snndeploy.ir.interpret import run_reference
from snndeploy.ir.network import Source
from snndeploy.ir.programs import GRADED_SUM
from snndeploy.ir.ranges import prove_ranges
from snndeploy.ir.readout import read_output
from snndeploy.ir.synapses import Conv, Dense, Sparse
from snndeploy.ir.verify_network import range_problems, verify_network
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.rebuild import build_graph
from snndeploy.passes.discretize import discretize
from snndeploy.passes.layers import layers_of
from snndeploy.passes.scale import encode_bias, round_weights
from snndeploy.passes.waves import assign_waves
from snndeploy.target import load_chip
from tests.chains import chain_model, conv, cuba, flatten, integrate_and_fire, lif, pool

CHIPS = Path(__file__).parents[2] / "hwtargets" / "chips"
NUMERICS, LOIHI1 = (load_chip(CHIPS / f"{name}.toml").numerics for name in ("loihi2", "loihi1"))


def to_network(model, *, source=None, weight_bits=8, numerics=NUMERICS):
    port = model.inputs[0]
    source = source or Source(name=port.name, shape=port.shape, repeat=port.repeat)
    network, reports = discretize(
        model, layers_of(model), (source,), numerics, steps=model.steps, weight_bits=weight_bits
    )
    network = assign_waves(network, numerics)
    verify_network(network)
    assert not list(range_problems(network))
    return network, reports


def spikes(rng, model, n_samples=6, rate=0.3):
    shape = (model.steps, n_samples, *model.inputs[0].shape)
    return (rng.random(shape) < rate).astype(np.int64)


def compare(model, network, x, names):
    """Return per population the share of differing spikes and the float firing rate."""
    traces = run_reference(network, {"input": x}, record=tuple(names.values()))
    floats = run_float(model, {"input": x.astype(float)}, record=tuple(names))
    result = {}
    for node, population in names.items():
        want = floats[node].reshape(traces[population].spikes.shape)
        result[node] = np.mean(want != traces[population].spikes), want.mean()
    return result


GRID_NEURONS = {
    "if >=": (lambda n: integrate_and_fire(n), "ge", 12),
    "if >": (lambda n: integrate_and_fire(n), "gt", 12),
    "half leak > within 6 bits": (lambda n: lif(n, keep=0.5), "gt", 7),
    "half leak > with exponent": (lambda n: lif(n, keep=0.5), "gt", 10),
    "half leak >= with exponent": (lambda n: lif(n, keep=0.5), "ge", 4),
}


@pytest.mark.parametrize("case", GRID_NEURONS)
def test_weights_on_a_grid_give_every_spike_of_the_float_model(case):
    neuron, compare_rule, steps = GRID_NEURONS[case]
    rng = np.random.default_rng(1)
    w1, w2 = rng.integers(-6, 7, (30, 20)) / 16, rng.integers(-6, 7, (9, 30)) / 16
    model = chain_model(
        nir.Affine(weight=w1, bias=rng.integers(-2, 3, 30) / 16), neuron((30,)),
        nir.Linear(weight=w2), neuron((9,)),
        shape=(20,), out_shape=(9,), steps=steps, compare=compare_rule,
    )  # fmt: skip
    network, reports = to_network(model)
    assert all(report.exact and not report.why for report in reports)
    for differing, rate in compare(
        model, network, spikes(rng, model), {"n1": "n1", "n3": "n3"}
    ).values():
        assert differing == 0
        assert 0.01 < rate < 0.6


def test_a_leak_that_drops_bits_is_not_called_exact():
    rng = np.random.default_rng(2)
    kernel = rng.integers(-6, 7, (4, 1, 3, 3)) / 8
    model = chain_model(
        conv(kernel, (8, 8)), lif((4, 6, 6), keep=0.5),
        shape=(1, 8, 8), out_shape=(4, 6, 6), steps=40, compare="gt",
    )  # fmt: skip
    _, (report,) = to_network(model)
    assert not report.exact
    assert report.why == ("the leak drops fraction bits within the window",)


def test_ties_at_the_threshold_with_a_leak_are_reported():
    rng = np.random.default_rng(2)
    kernel = rng.integers(-6, 7, (4, 1, 3, 3)) / 8
    model = chain_model(
        conv(kernel, (8, 8)), lif((4, 6, 6), keep=0.5),
        shape=(1, 8, 8), out_shape=(4, 6, 6), steps=20, compare="ge",
    )  # fmt: skip
    _, (report,) = to_network(model)
    assert not report.exact


@pytest.mark.parametrize("compare_rule", ["ge", "gt"])
def test_rounded_networks_stay_close(compare_rule):
    rng = np.random.default_rng(3)
    model = chain_model(
        nir.Affine(weight=rng.normal(0, 0.3, (40, 20)), bias=rng.normal(0, 0.05, 40)),
        lif((40,), keep=0.75),
        nir.Linear(weight=rng.normal(0, 0.3, (12, 40))),
        cuba((12,), keep_u=0.5, keep_v=0.8, threshold=1.5),
        nir.Linear(weight=rng.normal(0, 0.3, (5, 12))),
        shape=(20,), out_shape=(5,), steps=16, compare=compare_rule,
    )  # fmt: skip
    network, reports = to_network(model)
    x = spikes(rng, model, 40)
    shares = compare(model, network, x, {"n1": "n1", "n3": "n3"})
    for differing, rate in shares.values():
        assert differing < 0.04
        assert 0.01 < rate < 0.6
    traces = run_reference(network, {"input": x}, record=("n3", "n4"))
    got = read_output(network.outputs[0], traces["n4"])
    want = traces["n3"].spikes @ model.graph.nodes["n4"].weight.T
    assert np.abs(got - want).max() < 0.02 * np.abs(want).max()
    assert reports[0].weight_exp > 0  # a leak gets spare bits to round in
    assert all(0 < report.rounded <= report.n_weights for report in reports)


def test_threshold_sits_one_state_unit_above_the_register_for_ge():
    model = chain_model(
        nir.Linear(weight=np.array([[0.31234, -0.7]])), integrate_and_fire((1,), threshold=0.9),
        shape=(2,), out_shape=(1,), compare="ge",
    )  # fmt: skip
    network, (report,) = to_network(model)
    assert report.unit * (network.population["n1"].scalar("vth") + 1 / 64) == pytest.approx(0.9)


@pytest.mark.parametrize("padding", [0, 1])
def test_average_pool_folds_into_the_next_convolution(padding):
    rng = np.random.default_rng(4)
    w1, w2 = rng.normal(0, 0.5, (3, 2, 3, 3)), rng.normal(0, 0.6, (4, 3, 3, 3))
    size = 4 + 2 * padding
    model = chain_model(
        conv(w1, (14, 14)), lif((3, 12, 12), keep=0.5),
        pool(nir.AvgPool2d, 2),
        conv(w2, (6, 6), padding=padding), integrate_and_fire((4, size, size), threshold=0.5),
        shape=(2, 14, 14), out_shape=(4, size, size), compare="gt",
    )  # fmt: skip
    network, _ = to_network(model)
    assert [p.name for p in network.populations] == ["n1", "n4"]
    assert network.projections[1].synapse.stride == (2, 2)
    for differing, rate in compare(
        model, network, spikes(rng, model), {"n1": "n1", "n4": "n4"}
    ).values():
        assert differing < 0.04
        assert 0.01 < rate < 0.6


def test_average_pool_folds_into_a_dense_layer_and_crops_odd_images():
    rng = np.random.default_rng(5)
    model = chain_model(
        conv(rng.normal(0, 0.5, (3, 1, 3, 3)), (9, 9)), integrate_and_fire((3, 7, 7)),
        pool(nir.AvgPool2d, 2),
        flatten((3, 3, 3)),
        nir.Linear(weight=rng.normal(0, 0.8, (6, 27))), integrate_and_fire((6,), threshold=0.4),
        shape=(1, 9, 9), out_shape=(6,), compare="gt",
    )  # fmt: skip
    network, _ = to_network(model)
    dense = network.projections[1].synapse
    assert isinstance(dense, Dense)
    cropped = dense.weight.reshape(6, 3, 7, 7)
    assert not cropped[:, :, 6].any()
    for differing, rate in compare(
        model, network, spikes(rng, model, 12), {"n1": "n1", "n5": "n5"}
    ).values():
        assert differing < 0.045
        assert 0.01 < rate < 0.6


def test_pool_of_spikes_with_a_threshold_is_an_exact_or():
    rng = np.random.default_rng(6)
    model = chain_model(
        conv(rng.integers(-4, 5, (3, 1, 3, 3)) / 8, (12, 12)), integrate_and_fire((3, 10, 10)),
        pool(nir.SumPool2d, 3, stride=2, padding=1),
        nir.Threshold(threshold=np.full((3, 5, 5), 0.5)),
        shape=(1, 12, 12), out_shape=(3, 5, 5), compare="ge",
    )  # fmt: skip
    network, reports = to_network(model)
    assert [report.exact for report in reports] == [True, True]
    shares = compare(model, network, spikes(rng, model), {"n1": "n1", "n3": "n3"})
    assert {differing for differing, _ in shares.values()} == {0}


def test_nonzero_reset_is_a_shift_of_coordinates():
    rng = np.random.default_rng(7)
    model = chain_model(
        nir.Linear(weight=rng.integers(-6, 7, (30, 20)) / 16),
        lif((30,), keep=0.5, v_reset=-0.5, threshold=0.5),
        shape=(20,), out_shape=(30,), steps=6, compare="gt",
    )  # fmt: skip
    network, (report,) = to_network(model)
    ((differing, rate),) = compare(model, network, spikes(rng, model), {"n1": "n1"}).values()
    assert report.exact
    assert differing == 0
    assert 0.01 < rate < 0.6


def test_few_weights_become_a_list():
    weight = np.zeros((10, 40))
    weight[np.arange(10), np.arange(10)] = 0.7
    model = chain_model(
        nir.Linear(weight=weight), integrate_and_fire((10,)), shape=(40,), out_shape=(10,)
    )
    network, (report,) = to_network(model)
    assert isinstance(network.projections[0].synapse, Sparse)
    assert report.synapse == "sparse"


def big_readout(steps=64):
    rng = np.random.default_rng(8)
    return chain_model(
        nir.Linear(weight=rng.uniform(0.5, 1.0, (4, 400))),
        shape=(400,),
        out_shape=(4,),
        steps=steps,
    )


def test_readout_that_could_clip_gets_a_larger_step():
    network, (report,) = to_network(big_readout())
    assert report.enlarged > 1
    assert report.headroom_bits >= 0
    x = np.ones((64, 1, 400), dtype=np.int64)
    overflows = {}
    run_reference(network, {"input": x}, record=("n0",), overflows=overflows)
    assert overflows["n0.y.clip"] == overflows["n0.u.select"] == 0


def test_unguarded_readout_is_caught():
    network, (report,) = to_network(big_readout())
    projection = network.projections[0]
    finer = np.minimum(projection.synapse.weight * int(np.ceil(report.enlarged * 1.05)), 255)
    unguarded = replace(network, projections=(replace(projection, synapse=Dense(weight=finer)),))
    assert any("clips" in problem for problem in range_problems(unguarded))


def test_graded_input_whose_sum_would_wrap_gets_a_larger_step():
    rng = np.random.default_rng(9)
    model = chain_model(
        conv(rng.uniform(0.8, 1.0, (2, 1, 7, 7)) / 49, (10, 10)), lif((2, 4, 4), keep=0.5),
        shape=(1, 10, 10), out_shape=(2, 4, 4), values="real",
    )  # fmt: skip
    source = Source(
        name="input", shape=(1, 10, 10), low=0, high=127, encoding="graded", scale=1 / 127
    )
    network, (report,) = to_network(model, source=source)
    assert report.enlarged > 1.2
    assert any("fewer --input-bits would help" in reason for reason in report.why)
    projection = network.projections[0]
    assert prove_ranges(network)["n1"].current < 2**23
    natural = np.full_like(projection.synapse.weight, 255)
    unguarded = replace(
        network,
        projections=(
            replace(
                projection,
                synapse=replace(projection.synapse, weight=frozen_int(natural)),
            ),
        ),
    )
    assert any("wraps" in problem for problem in range_problems(unguarded))


def test_weights_that_no_step_can_hold_are_refused():
    model = chain_model(
        nir.Linear(weight=np.ones((1, 60_000))), integrate_and_fire((1,), threshold=1e-4),
        shape=(60_000,), out_shape=(1,), steps=8, values="real",
    )  # fmt: skip
    source = Source(
        name="input", shape=(60_000,), low=0, high=32767, encoding="graded", scale=1 / 32767
    )
    with pytest.raises(ModelError, match=r"^error\[E1053\] n1: no weight step keeps"):
        to_network(model, source=source)


EYE = nir.Linear(weight=np.eye(4))
ONE, ZERO = np.ones(4), np.zeros(4)
REFUSED = {
    "E2136": [nir.Delay(delay=1.5e-4 * ONE), EYE, integrate_and_fire((4,))],
    "E2102": [EYE, nir.LI(tau=ONE, r=ONE, v_leak=ZERO)],
}


@pytest.mark.parametrize("code", REFUSED)
def test_what_cannot_be_deployed_exactly_is_refused_by_name(code):
    model = chain_model(*REFUSED[code], shape=(4,), out_shape=(4,))
    with pytest.raises(UnsupportedError, match=rf"^error\[{code}\] n\d: .*; help: "):
        to_network(model)


def test_a_leak_toward_a_value_drives_neurons_that_the_host_resets_as_the_float_model():
    weight = np.random.default_rng(23).integers(-6, 7, (9, 12)) / 16
    neuron = lif((9,), keep=0.5)
    neuron.v_leak = np.full(9, 0.75)
    model = chain_model(
        nir.Linear(weight=weight), neuron, shape=(12,), out_shape=(9,), steps=7, compare="gt"
    )
    model = replace(model, semantics=replace(model.semantics, v0="zero"))
    network, reports = to_network(model, numerics=LOIHI1)
    assert [source.encoding for source in network.sources] == ["spikes", "bias"]
    assert reports[0].exact
    x = spikes(np.random.default_rng(24), model)
    ((wrong, rate),) = compare(model, network, x, {"n1": "n1"}).values()
    assert (wrong, 0.05 < rate < 0.95) == (0, True)


def test_a_drive_behind_a_current_is_refused_where_the_host_resets():
    """Synapses reach the current alone, which would add the drive up over its time constant."""
    neuron = cuba((4,), keep_u=0.75, keep_v=0.5)
    neuron.v_leak = np.full(4, 0.4)
    model = chain_model(EYE, neuron, shape=(4,), out_shape=(4,))
    model = replace(model, semantics=replace(model.semantics, v0="zero"))
    to_network(model)
    with pytest.raises(UnsupportedError, match=r"^error\[E2137\] n1: v_leak drives .*; help: "):
        to_network(model, numerics=LOIHI1)


@pytest.mark.parametrize("v_reset", [-0.5, 0.25])
def test_a_clamp_is_as_far_below_the_reset_value_as_in_the_model(v_reset):
    weight = np.random.default_rng(25).integers(-8, 9, (9, 12)) / 8
    model = chain_model(
        nir.Linear(weight=weight), lif((9,), keep=0.5, v_reset=v_reset),
        shape=(12,), out_shape=(9,), steps=6, compare="gt",
    )  # fmt: skip
    model = replace(model, semantics=replace(model.semantics, v_min=-0.75))
    network, _ = to_network(model)
    assert network.population["n1"].program.name == "lif_clamped"
    x = spikes(np.random.default_rng(26), model, n_samples=200)
    ((wrong, rate),) = compare(model, network, x, {"n1": "n1"}).values()
    assert (wrong, rate > 0) == (0, True)
    unclamped = replace(model, semantics=replace(model.semantics, v_min=None))
    assert compare(unclamped, network, x, {"n1": "n1"})["n1"][0] > 0


@pytest.mark.parametrize(("v_reset", "v_min"), [(0.0, 0.25), (-2.0, -0.5), (-0.5, -0.75)])
def test_a_clamp_that_no_register_holds_is_refused(v_reset, v_min):
    neuron = lif((4,), keep=0.5, v_reset=v_reset)
    neuron.v_threshold = np.array([1.0, 1.0, 1.0, 2.0]) if v_reset == -0.5 else neuron.v_threshold
    model = chain_model(EYE, neuron, shape=(4,), out_shape=(4,))
    model = replace(model, semantics=replace(model.semantics, v_min=v_min))
    with pytest.raises(UnsupportedError, match=r"^error\[E2138\] n1: its potential is clamped"):
        to_network(model)


@pytest.mark.parametrize(
    ("change", "code"),
    [({"multi_spike": True}, "E2122"), ({"reset": "subtract-delayed", "v_min": -1.0}, "E2123")],
)
def test_semantics_that_no_program_computes_are_refused(change, code):
    model = chain_model(EYE, integrate_and_fire((4,)), shape=(4,), out_shape=(4,))
    model = replace(model, semantics=replace(model.semantics, **change))
    with pytest.raises(UnsupportedError, match=code):
        to_network(model)


MICROCODE = {
    "subtract": ({"reset": "subtract"}, "lif_subtract"),
    "subtract next step": ({"reset": "subtract-delayed"}, "lif_subtract_delayed"),
    "no reset": ({"reset": "none"}, "lif_subtract"),
    "clamp": ({"v_min": -0.5}, "lif_clamped"),
    "clamp and subtract": ({"v_min": -0.5, "reset": "subtract"}, "lif_subtract"),
    "many spikes": ({"multi_spike": True, "reset": "subtract"}, "lif_multi"),
}


@pytest.mark.parametrize("keep", [0.5, 1.0])
@pytest.mark.parametrize(
    ("case", "compare_rule"),
    # several spikes are counted with >= alone
    [(c, rule) for c in MICROCODE for rule in ("ge", "gt") if (c, rule) != ("many spikes", "gt")],
)
def test_other_neurons_are_exact_on_a_grid(case, keep, compare_rule):
    changes, program = MICROCODE[case]
    rng = np.random.default_rng(11)
    neuron = (lambda n: lif(n, keep=keep)) if keep < 1 else integrate_and_fire
    model = chain_model(
        nir.Affine(
            weight=rng.integers(-5, 9, (30, 20)) / 16, bias=rng.integers(-2, 2, 30) / 16
        ),
        neuron((30,)),
        nir.Linear(weight=rng.integers(-5, 9, (9, 30)) / 16), neuron((9,)),
        shape=(20,), out_shape=(9,), steps=6, compare=compare_rule,
    )  # fmt: skip
    model = replace(model, semantics=replace(model.semantics, **changes))
    network, reports = to_network(model)
    assert [report.program for report in reports] == [program] * 2
    # fifteen spikes of thirty neurons at once may owe more than fifteen
    assert [report.exact for report in reports] == [True, case != "many spikes"]
    for differing, rate in compare(
        model, network, spikes(rng, model), {"n1": "n1", "n3": "n3"}
    ).values():
        assert differing == 0
        assert rate > 0.01


@pytest.mark.parametrize(("weight", "exact"), [(31.0, True), (32.0, False)])
def test_more_spikes_than_one_message_counts_are_not_called_exact(weight, exact):
    model = chain_model(
        nir.Linear(weight=np.full((1, 1), weight)), integrate_and_fire((1,)),
        shape=(1,), out_shape=(1,), steps=3,
    )  # fmt: skip
    model = replace(model, semantics=replace(model.semantics, reset="subtract", multi_spike=True))
    network, (report,) = to_network(model)
    differing, _ = compare(model, network, np.ones((3, 1, 1), dtype=int), {"n1": "n1"})["n1"]
    assert (differing == 0) == report.exact == exact
    assert report.why == (() if exact else ("at most 31 spikes per step",))


def test_decays_that_differ_between_neurons_take_a_program_of_their_own():
    rng = np.random.default_rng(12)
    keeps = rng.choice([0.5, 0.75, 0.9], 30)
    tau, one = 1e-4 / (1 - keeps), np.ones(30)
    model = chain_model(
        nir.Linear(weight=rng.normal(0, 0.3, (30, 20))),
        nir.LIF(tau=tau, r=tau / 1e-4, v_leak=0 * one, v_threshold=one, v_reset=0 * one),
        shape=(20,), out_shape=(30,), steps=16,
    )  # fmt: skip
    network, (report,) = to_network(model)
    assert report.program == "lif_clamped"
    assert len(network.population["n1"].params["dv"]) == 30
    ((differing, rate),) = compare(model, network, spikes(rng, model, 20), {"n1": "n1"}).values()
    assert differing < 0.03
    assert 0.01 < rate < 0.6


def test_thresholds_that_differ_by_channel_are_scaled_into_the_weights():
    rng = np.random.default_rng(10)
    threshold = np.repeat([0.5, 1.0, 2.0], 36).reshape(3, 6, 6)
    one = np.ones((3, 6, 6))
    model = chain_model(
        conv(rng.normal(0, 0.6, (3, 1, 3, 3)), (8, 8)),
        nir.IF(r=one / 1e-4, v_threshold=threshold, v_reset=0 * one),
        shape=(1, 8, 8), out_shape=(3, 6, 6), compare="gt",
    )  # fmt: skip
    network, _ = to_network(model)
    assert isinstance(network.projections[0].synapse, Conv)
    ((differing, rate),) = compare(model, network, spikes(rng, model, 12), {"n1": "n1"}).values()
    assert differing < 0.02
    assert 0.01 < rate < 0.6


def uneven_channels(*, shape=(2, 10, 10), values="spikes", steps=20, **semantics):
    """Return a model whose channels' weights and biases differ by a factor of 40."""
    rng = np.random.default_rng(13)
    size = np.array([1.0, 0.2, 0.025])
    kernel = rng.normal(0, 0.4, (3, 2, 3, 3)) * size[:, None, None, None]
    threshold = np.repeat(size, 64).reshape(3, 8, 8)
    model = chain_model(
        conv(kernel, (10, 10), bias=0.01 * size),
        nir.IF(r=np.ones((3, 8, 8)) / 1e-4, v_threshold=0 * threshold + 0.3, v_reset=0 * threshold),
        shape=shape, out_shape=(3, 8, 8), steps=steps, values=values,
    )  # fmt: skip
    return replace(model, semantics=replace(model.semantics, **semantics))


def test_channels_of_a_program_with_a_threshold_each_use_all_bits():
    network, (report,) = to_network(uneven_channels(reset="subtract"))
    _, (native,) = to_network(uneven_channels())
    assert (report.program, native.program) == ("lif_subtract", "lif")
    weight = np.abs(network.projections[0].synapse.weight).reshape(3, -1)
    assert weight.max(axis=1).min() >= 250
    thresholds = np.unique(network.population["n1"].params["vth_state"])
    assert len(thresholds) == 3
    assert report.unit_largest > 20 * report.unit
    assert native.unit_largest == native.unit
    assert 3 * report.weight_rms < 2 * native.weight_rms
    assert report.bias_error < 1e-4


def test_channels_with_units_of_their_own_fire_like_the_model():
    rng = np.random.default_rng(14)
    model = uneven_channels(reset="subtract")
    network, _ = to_network(model)
    ((differing, rate),) = compare(model, network, spikes(rng, model, 10), {"n1": "n1"}).values()
    assert differing < 0.01
    assert 0.01 < rate < 0.6


def test_only_channels_that_could_wrap_get_a_larger_step():
    source = Source(name="input", shape=(2, 10, 10), low=-127, high=127, encoding="graded")
    model = uneven_channels(reset="subtract", values="real")
    kernel = model.graph.nodes["n0"].weight
    kernel[1] = 0
    kernel[1, 0, 1, 1] = 0.2
    network, (report,) = to_network(model, source=source)
    largest = np.abs(network.projections[0].synapse.weight).reshape(3, -1).max(axis=1)
    assert report.enlarged > 1.2
    assert largest[1] >= 250 > 240 > largest[0]


@pytest.mark.parametrize("seed", range(20))
def test_rounding_takes_a_neighbour_on_the_grid_and_keeps_the_sum_of_a_row(seed):
    rng = np.random.default_rng(seed)
    weight = rng.normal(rng.choice([0, 3]), 1, (5, 4, 3, 3))
    units = np.abs(weight).reshape(5, -1).max(axis=1) / 254
    rounded = round_weights(weight, units, 8)
    error = rounded.weight - weight / units[:, None, None, None]
    step = 2 if rounded.sign_mode == "mixed" else 1
    assert np.abs(error).max() < step
    assert np.abs(error.reshape(5, -1).sum(axis=1)).max() <= step / 2 + 1e-9
    assert rounded.clipped == 0


def test_weights_on_the_grid_stay_where_they_are():
    rng = np.random.default_rng(15)
    whole = rng.integers(-127, 128, (3, 40_000)) * 2
    real = (whole * np.float32(0.1)).astype(np.float32).astype(np.float64)
    rounded = round_weights(real, np.full(1, float(np.float32(0.1))), 8)
    assert np.array_equal(rounded.weight, whole)
    assert rounded.rounded == 0


def test_biases_share_an_exponent_only_where_they_share_a_unit():
    bias, one = np.array([0.5, 300.0, -6000.0]), np.ones(1)
    mant, exponents = encode_bias(bias, one, NUMERICS)
    assert exponents.tolist() == [7]
    mant, exponents = encode_bias(bias, np.ones(3), NUMERICS)
    assert exponents.tolist() == [0, 3, 7]
    assert (mant << exponents).tolist() == [32, 19200, -384000]
    assert encode_bias(bias, one / 10, NUMERICS) is None


def test_what_only_the_host_reads_may_count_further():
    rng = np.random.default_rng(16)
    model = chain_model(
        nir.Linear(weight=rng.normal(0.3, 0.3, (8, 6))), integrate_and_fire((8,)),
        nir.Linear(weight=rng.normal(0.3, 0.3, (4, 8))), integrate_and_fire((4,)),
        shape=(6,), out_shape=(4,),
    )  # fmt: skip
    semantics = replace(model.semantics, multi_spike=True, reset="subtract", compare="ge")
    network, reports = to_network(replace(model, semantics=semantics))
    assert [population.high for population in network.populations] == [15, 31]
    assert "at most 31 spikes per step" in reports[1].why


def test_relays_carry_counts():
    """A convolution cannot wait, so what several spikes per step say waits in a relay."""
    nodes = {
        "in": nir.Input(input_type={"input": np.array((1, 3, 3))}),
        "two": nir.Scale(scale=np.full((1, 3, 3), 2.0)),
        "a": integrate_and_fire((1, 3, 3)),
        "b": integrate_and_fire((1, 3, 3)),
        "w": conv(np.full((1, 1, 1, 1), 0.25), (3, 3)),
        "c": integrate_and_fire((1, 3, 3)),
        "out": nir.Output(output_type={"output": np.array((1, 3, 3))}),
    }
    edges = [("in", "two"), ("two", "a"), ("a", "b"), ("a", "w"), ("w", "c"), ("b", "c"),
             ("c", "out")]  # fmt: skip
    chain = chain_model(integrate_and_fire((1, 3, 3)), shape=(1, 3, 3), out_shape=(1, 3, 3))
    semantics = replace(chain.semantics, reset="subtract", multi_spike=True)
    ports = {
        "inputs": (replace(chain.inputs[0], name="in"),),
        "outputs": (replace(chain.outputs[0], name="out"),),
    }
    model = replace(chain, graph=build_graph(nodes, edges), semantics=semantics, **ports)
    network, _ = to_network(model)
    assert network.population["a.relay1"].program == GRADED_SUM
    x = spikes(np.random.default_rng(0), model, rate=0.7)
    traces = run_reference(network, {"in": x}, record=("a", "a.relay1", "c"))
    assert traces["a"].spikes.max() == 2
    np.testing.assert_array_equal(traces["a.relay1"].spikes, traces["a"].spikes)
    floats = run_float(model, {"in": x.astype(float)}, record=("c",))["c"]
    np.testing.assert_array_equal(floats.reshape(traces["c"].spikes.shape), traces["c"].spikes)
