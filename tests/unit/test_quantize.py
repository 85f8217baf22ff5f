"""Quantized models compile to their codes, at every width and grid; the rest is refused by name."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import nir
import numpy as np
import pytest
from chains import chain_model, conv, cuba, flatten, graph_model, integrate_and_fire, lif, pool

import snndeploy
from snndeploy.compress.plans import codes_of
from snndeploy.compress.rescaw import to_codes
from snndeploy.errors import ModelError, UnsupportedError, UsageError
from snndeploy.ir.neurons import NEVER
from snndeploy.ir.synapses import OneToOne, Pool
from snndeploy.ir.text import print_network
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.rebuild import copy_node, rebuild_graph
from snndeploy.nirgraph.weight_grid import grid_of_node
from snndeploy.report.quantization import print_quantized

WIDTHS = [(b, "chip") for b in (2, 3, 4, 6, 8)] + [(b, "odd") for b in (2, 3, 4, 6, 7)]


def images(seed=0, *, values="spikes", positive=False, bias=0.1, repeat=False):
    """Convolution, pool, convolution, matrix: the layers of the demo, small."""
    rng = np.random.default_rng(seed)
    first = rng.normal(0.1, 0.4, (4, 2, 3, 3))
    return chain_model(
        conv(np.abs(first) if positive else first, (8, 8), bias=rng.normal(0, bias, 4), padding=1),
        lif((4, 8, 8), keep=0.5), pool(nir.AvgPool2d, 2),
        conv(rng.normal(0.1, 0.4, (6, 4, 3, 3)), (4, 4), bias=rng.normal(0, bias, 6)),
        integrate_and_fire((6, 2, 2)), flatten((6, 2, 2)),
        nir.Affine(weight=rng.normal(0, 0.3, (5, 24)), bias=rng.normal(0, 0.1, 5)),
        shape=(2, 8, 8), out_shape=(5,), values=values, low=0.0, high=1.0, steps=6, repeat=repeat,
        compare="gt",
    )  # fmt: skip


def meeting_branches(seed, wide, *shortcuts, **semantics):
    """Return a model in which two layers of other weights feed one population."""
    rng = np.random.default_rng(seed)
    nodes = {
        "w1": nir.Linear(weight=rng.normal(0, 0.5, (8, 6))), "a": lif((8,), keep=0.5),
        "w2": nir.Linear(weight=rng.normal(0, 0.13, (8, 8))),
        "w3": nir.Linear(weight=rng.normal(0, wide, (8, 6))), "b": lif((8,), keep=0.5),
    }  # fmt: skip
    edges = [("in", "w1"), ("w1", "a"), ("a", "w2"), ("w2", "b"), ("in", "w3"), ("w3", "b"),
             *shortcuts, ("b", "out")]  # fmt: skip
    ports = {"inputs": {"in": (6,)}, "outputs": {"out": (8,)}}
    return graph_model(nodes, edges, **ports, steps=6, **semantics)


def integers(projection):
    """Return what a synapse adds per spike, weight by weight."""
    synapse, exponent = projection.synapse, projection.weight_exp
    weight = np.array([synapse.weight]) if isinstance(synapse, Pool) else synapse.weight
    shifted = weight * 2.0**exponent
    assert np.array_equal(shifted, np.rint(shifted)), "the exponent drops bits"
    return shifted


@pytest.mark.parametrize(("bits", "grid"), WIDTHS)
@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_stored_weights_are_the_codes(bits, grid, granularity):
    model = images()
    quantized = snndeploy.quantize(model, bits, grid=grid, granularity=granularity)
    compiled = snndeploy.compile(quantized.model)
    for layer, projection in zip(("n0", "n3", "n6"), compiled.network.projections, strict=True):
        node = quantized.model.graph.nodes[layer]
        record = grid_of_node(layer, node)
        real = np.asarray(model.graph.nodes[layer].weight)
        codes = to_codes(real, record.gamma, codes_of(record))
        rows = (-1, *[1] * (codes.ndim - 1))
        np.testing.assert_allclose(node.weight, codes * record.step.reshape(rows), rtol=1e-12)
        units_per_code = np.rint(record.step / record.unit)
        np.testing.assert_allclose(record.step / record.unit, units_per_code, rtol=1e-9)
        stored = integers(projection)
        if layer == "n3":  # the pool in front repeats every code in its window
            stored = stored[:, :, ::2, ::2]
        assert np.array_equal(stored, codes * units_per_code.reshape(rows))
        assert len(np.unique(codes)) > min(2**bits, 12) // 2
        assert projection.weight_bits <= bits + (grid == "odd")
    assert [report.rounded for report in compiled.layers] == [0, 0, 0]
    assert [report.weight_rms < 1e-9 for report in compiled.layers] == [True] * 3
    native = ["lif"] * 3 if granularity == "tensor" else ["lif_clamped", "lif_clamped", "lif"]
    assert [p.program.name for p in compiled.network.populations] == native


def test_one_step_per_layer_needs_one_threshold_and_channels_one_each():
    tensor, channel = (
        snndeploy.quantize(images(), 4, granularity=granularity)
        for granularity in ("tensor", "channel")
    )
    assert [
        len(grid_of_node(n, tensor.model.graph.nodes[n]).gamma) for n in ("n0", "n3", "n6")
    ] == [1, 1, 1]
    lengths = [len(grid_of_node(n, channel.model.graph.nodes[n]).gamma) for n in ("n0", "n3", "n6")]
    assert lengths == [4, 6, 1], "a readout has one scale"
    first = snndeploy.compile(channel.model).network.populations[0]
    assert len(np.unique(first.params["vth_state"])) == 4
    assert sum(r.sqnr_db for r in channel.report) > sum(r.sqnr_db for r in tensor.report)


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize(("bits", "grid"), [(2, "odd"), (4, "chip"), (8, "chip")])
def test_a_population_called_exact_fires_as_the_quantized_float_model(bits, grid, granularity):
    rng = np.random.default_rng(bits)
    model = chain_model(
        nir.Affine(weight=rng.normal(0.2, 0.5, (9, 6)), bias=rng.normal(0, 0.2, 9)),
        integrate_and_fire((9,)), nir.Linear(weight=rng.normal(0.1, 0.5, (8, 9))),
        lif((8,), keep=0.5, v_reset=-0.25), nir.Linear(weight=rng.normal(0, 0.5, (4, 8))),
        shape=(6,), out_shape=(4,), steps=7,
    )  # fmt: skip
    quantized = snndeploy.quantize(model, bits, grid=grid, granularity=granularity).model
    compiled = snndeploy.compile(quantized)
    exact = [r.population for r in compiled.layers if r.exact]
    assert "n1" in exact
    x = (rng.random((7, 300, 6)) < 0.4).astype(float)
    want = run_float(quantized, {"input": x}, record=tuple(exact[:-1]))
    got = snndeploy.run(compiled, x)
    traces = snndeploy.inference.run_deployed(
        compiled, snndeploy.samples.Samples(x={"input": x}, label=None), "sim", record=tuple(exact)
    ).result.traces
    for name in exact[:-1]:
        assert 0.02 < want[name].mean() < 0.98
        assert np.array_equal(want[name].reshape(traces[name].spikes.shape), traces[name].spikes)
    assert got.accuracy is None


def test_accuracies_before_and_after_are_those_of_run():
    model, rng = images(), np.random.default_rng(1)
    x, label = (rng.random((6, 40, 2, 8, 8)) < 0.3).astype(float), rng.integers(0, 5, 40)
    quantized = snndeploy.quantize(model, 3, data=x, label=label)
    assert quantized.accuracy.before == snndeploy.run(model, x, label=label).accuracy
    compiled = snndeploy.compile(quantized.model)
    assert quantized.accuracy.after == snndeploy.run(compiled, x, label=label).accuracy
    assert quantized.accuracy.n_samples == 40
    with pytest.raises(ModelError, match="E1214"):
        snndeploy.quantize(model, 3, data=x)


def test_bits_by_layer_and_rules_for_the_ends():
    mixed = snndeploy.quantize(images(), {"n0": 8, "n6": 2}, gamma="max")
    assert [(r.layer, r.bits) for r in mixed.report] == [("n0", 8), ("n6", 2)]
    assert grid_of_node("n3", mixed.model.graph.nodes["n3"]) is None
    assert snndeploy.compile(mixed.model).layers[1].rounded > 0
    ends = snndeploy.quantize(images(), 2, grid="odd", first_bits=8, last_bits=32)
    assert [(r.layer, r.bits, r.grid) for r in ends.report] == [("n0", 8, "chip"), ("n3", 2, "odd")]
    paper = snndeploy.quantize(images(), 2, grid="odd", first_bits=32, last_bits=32)
    assert [r.layer for r in paper.report] == ["n3"]
    host = snndeploy.compile(paper.model, host_layers=1)
    assert host.network.projections[0].weight_bits == 3


def test_weights_of_one_sign_use_all_codes_of_that_sign():
    quantized = snndeploy.quantize(images(positive=True), 3)
    first, *others = quantized.report
    assert (first.sign_mode, first.codes) == ("excitatory", 8)
    assert {row.sign_mode for row in others} == {"mixed"}
    network = snndeploy.compile(quantized.model).network
    assert network.projections[0].sign_mode == "excitatory"
    assert network.projections[0].weight_bits == 3


def test_the_report_says_what_the_rule_asked_for_and_what_was_given():
    quantized = snndeploy.quantize(images(), 4, grid="odd", gamma="mean")
    for row in quantized.report:
        weight = np.asarray(images().graph.nodes[row.layer].weight)
        assert row.wanted == pytest.approx(np.abs(weight).mean())
        assert row.clipped == np.mean(np.abs(weight) > row.gamma)
        assert row.gamma == pytest.approx(row.wanted, rel=0.03)
        assert row.enlarged == pytest.approx(row.gamma / row.wanted)
        assert row.codes == 16
        codes = to_codes(weight, np.array([row.gamma]), codes_of(
            grid_of_node(row.layer, quantized.model.graph.nodes[row.layer])
        ))  # fmt: skip
        assert row.codes_used == len(np.unique(codes))
    assert "4 bit odd" in quantized.model.notes[-1].text


def test_a_graded_input_makes_the_first_step_as_coarse_as_its_sums_need():
    model = images(values="real")
    fine = snndeploy.quantize(model, 8)
    network = snndeploy.compile(fine.model).network
    assert network.sources[0].high == 127
    coarse = snndeploy.quantize(model, 8, input_bits=13)
    assert coarse.report[0].enlarged > 2 * fine.report[0].enlarged
    assert not snndeploy.compile(coarse.model, input_bits=13).violations
    with pytest.raises(ModelError, match=r"E1242\] n1: .* quantize the model for"):
        snndeploy.compile(fine.model, input_bits=13)


def test_a_readout_holds_the_steps_it_was_quantized_for():
    model = images()
    quantized = snndeploy.quantize(model, 8)
    assert quantized.model.steps == 6
    with pytest.raises(ModelError, match=r"E1242\] n6: a readout up to .* quantize the model for"):
        snndeploy.compile(quantized.model, steps=4000)
    longer = snndeploy.quantize(model, 8, steps=4000)
    assert snndeploy.compile(longer.model).network.steps == 4000


def test_biases_lie_on_the_chips_grid():
    quantized = snndeploy.quantize(images(bias=0.3), 4)
    compiled = snndeploy.compile(quantized.model)
    assert [report.bias_error for report in compiled.layers] == [0.0] * 3
    assert any(np.any(p.params["bias_mant"]) for p in compiled.network.populations)
    before = np.asarray(images(bias=0.3).graph.nodes["n0"].bias)
    after = np.asarray(quantized.model.graph.nodes["n0"].bias)
    unit = float(grid_of_node("n0", quantized.model.graph.nodes["n0"]).unit[0])
    assert 0 < np.abs(after - before).max() <= unit / 128 * 2**3


def test_residual_branches_share_a_unit():
    model = meeting_branches(4, 0.9, ("a", "b"), compare="gt")
    quantized = snndeploy.quantize(model, {"w1": 4, "w2": 4, "w3": 3}, grid="odd")
    units = {
        n: float(grid_of_node(n, quantized.model.graph.nodes[n]).unit[0]) for n in ("w2", "w3")
    }
    assert units["w2"] == pytest.approx(units["w3"], rel=1e-12)
    network = snndeploy.compile(quantized.model).network
    (identity,) = (p for p in network.into("b") if isinstance(p.synapse, OneToOne))
    np.testing.assert_allclose(integers(identity) * units["w2"], 1.0, rtol=0.02)
    weighted = [p for p in network.into("b") if p is not identity]
    for layer, projection in zip(("w2", "w3"), weighted, strict=True):
        record = grid_of_node(layer, quantized.model.graph.nodes[layer])
        per_code = round(float(record.step[0]) / units[layer])
        assert per_code.bit_count() == 1, "a power of two"
        assert set(np.unique(np.abs(integers(projection)) / per_code)) <= set(range(1, 17, 2))


def test_a_shared_unit_is_named_in_both_layers_that_it_moves(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    model = meeting_branches(1, 1.2)
    quantized = snndeploy.quantize(model, 4)
    off = {row.layer: row.enlarged for row in quantized.report}
    assert off["w1"] == pytest.approx(1, abs=0.02)
    assert off["w2"] < 0.95 < 1.05 < off["w3"]
    print_quantized(quantized, Path("q.pt"))
    text = " ".join(capsys.readouterr().out.split())
    for layer, other in (("w2", "w3"), ("w3", "w2")):
        assert f"gamma {off[layer]:.2f} times what the rule asks for: one unit with {other}" in text


# ---- refusals ----------------------------------------------------------------------------


def refused(model, bits=4, **options):
    with pytest.raises((UnsupportedError, UsageError, ModelError)) as caught:
        snndeploy.quantize(model, bits, **options)
    return caught.value.line()


def test_odd_codes_of_eight_bits_are_refused_with_both_ways_out():
    line = refused(images(), 8, grid="odd")
    assert line.startswith("error[E2310] n0: odd codes of 8 bits reach 255")
    assert line.endswith("help: use --bits 7, or the chip's own grid with --grid chip")
    assert snndeploy.quantize(images(), 7, grid="odd").report[0].codes == 128


@pytest.mark.parametrize(
    ("bits", "options", "says"),
    [
        (1, {}, r"E5080\] --bits: 1 bits for n0, allowed 2 to 8"),
        (9, {}, r"E5080\]"),
        (4.5, {}, r"E5080\] --bits: 4\.5 bits for n0"),
        ({"n0": "4"}, {}, r"E5080\] --bits: '4' bits for n0"),
        (4, {"last_bits": 1}, r"E5080\] --bits: 1 bits for n6"),
        ({"n00": 4}, {}, r"E5081\] --bits: .* name 'n00'; help: did you mean 'n0'"),
        ({"n1": 4}, {}, r"E5081\]"),
        (4, {"gamma": "best"}, r"E5082\] --gamma: 'best'"),
        (4, {"grid": "even"}, r"E5082\] --grid"),
        (4, {"granularity": "row"}, r"E5082\] --granularity"),
        (4, {"percentile": 1.5}, r"E5082\] --percentile"),
    ],
)
def test_options_out_of_range_are_refused(bits, options, says):
    with pytest.raises(UsageError, match=says):
        snndeploy.quantize(images(), bits, **options)


def test_what_no_grid_survives_is_refused_by_name():
    eye = np.eye(4) + 0.1
    two = chain_model(
        nir.Linear(weight=eye), nir.Linear(weight=2 * eye), lif((4,), keep=0.5),
        shape=(4,), out_shape=(4,),
    )  # fmt: skip
    assert refused(two).startswith("error[E2311] n0: n0 and n1 are one map")
    scaled = chain_model(
        nir.Scale(scale=np.arange(1.0, 5)), nir.Linear(weight=eye), lif((4,), keep=0.5),
        shape=(4,), out_shape=(4,),
    )  # fmt: skip
    assert refused(scaled).startswith("error[E2312] n1: scales that differ")
    pooled = chain_model(
        conv(np.random.default_rng(0).normal(0, 1, (2, 1, 3, 3)), (6, 6)),
        pool(nir.AvgPool2d, 2), lif((2, 2, 2), keep=0.5), shape=(1, 6, 6), out_shape=(2, 2, 2),
    )  # fmt: skip
    line = refused(pooled, 8)
    assert line.startswith("error[E2313] n0: a sum of 4 codes, pooled into one weight, of 8 bits")
    assert snndeploy.compile(snndeploy.quantize(pooled, 5).model).layers[0].rounded == 0
    assert refused(chain_model(lif((4,), keep=0.5), shape=(4,), out_shape=(4,))).startswith(
        "error[E2302]"
    )


def test_a_layer_for_two_populations_is_refused():
    nodes = {
        "w": nir.Linear(weight=np.eye(3) + 0.2), "a": lif((3,), keep=0.5),
        "b": lif((3,), keep=0.75),
    }  # fmt: skip
    edges = [("in", "w"), ("w", "a"), ("w", "b"), ("a", "out"), ("b", "out2")]
    model = graph_model(
        nodes, edges, inputs={"in": (3,)}, outputs={"out": (3,), "out2": (3,)}, steps=4
    )
    assert refused(model).startswith("error[E2314] w: its outputs go to a and b")


def test_thresholds_per_neuron_need_channels():
    rng = np.random.default_rng(2)
    model = chain_model(
        nir.Linear(weight=rng.normal(0.2, 0.5, (4, 6))),
        lif((4,), keep=0.5, threshold=np.array([0.5, 1.0, 1.5, 2.0])), shape=(6,), out_shape=(4,),
    )  # fmt: skip
    assert refused(model).startswith("error[E2314] n0: the thresholds or gains of n1 differ")
    network = snndeploy.compile(snndeploy.quantize(model, granularity="channel").model).network
    assert network.populations[0].program.name == "lif_clamped"


def test_weights_changed_after_quantization_are_refused():
    model = snndeploy.quantize(images(), 4).model
    node = model.graph.nodes["n0"]
    moved = copy_node(node, weight=node.weight + 0.01)
    changed = replace(model, graph=rebuild_graph(model.graph, {"n0": moved}))
    with pytest.raises(ModelError, match=r"E1241\] n0: weights lie up to"):
        snndeploy.compile(changed)


def test_quantizing_leaves_its_argument_alone_and_repeats_itself():
    model = images()
    before = {n: np.array(model.graph.nodes[n].weight) for n in ("n0", "n3", "n6")}
    one, two = (snndeploy.quantize(model, 3, grid="odd").model for _ in range(2))
    assert all(np.array_equal(model.graph.nodes[n].weight, w) for n, w in before.items())
    assert print_network(snndeploy.compile(one).network) == print_network(
        snndeploy.compile(two).network
    )


def test_a_chip_that_the_host_resets_takes_biases_as_spikes():
    model = images(bias=0.3)
    quantized = snndeploy.quantize(model, 4, target="loihi1")
    network = snndeploy.compile(quantized.model, "loihi1").network
    assert any(p.source == "host.bias" for p in network.projections)
    current = chain_model(
        nir.Affine(weight=np.eye(4) + 0.1, bias=np.full(4, 0.2)),
        cuba((4,), keep_u=0.5, keep_v=0.5),
        shape=(4,), out_shape=(4,),
    )  # fmt: skip
    assert snndeploy.compile(snndeploy.quantize(current, 4).model).layers[0].rounded <= 4


def test_every_rule_and_width_compiles(tell):
    model, count = images(), 0
    for (bits, grid), gamma in product(WIDTHS, ("mse", "max", "percentile", "mean", "vanilla")):
        compiled = snndeploy.compile(snndeploy.quantize(model, bits, grid=grid, gamma=gamma).model)
        assert not compiled.violations
        assert all(r.rounded == 0 and r.clipped == 0 for r in compiled.layers)
        count += sum(p.params["vth"][0] != NEVER for p in compiled.network.populations)
    tell(f"quantized and compiled: {count} spiking layers without a second rounding")
