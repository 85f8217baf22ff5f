"""A planted defect of every cause is found in its layer, at its first step, and called by name."""

import json
from dataclasses import replace

import nir
import numpy as np
import pytest
from chains import chain_model, conv, flatten, lif, pool

import snndeploy
from snndeploy.comparison import compare as comparing
from snndeploy.comparison.cause import CAUSES
from snndeploy.comparison.compare import FROM_BEFORE
from snndeploy.comparison.rule import Rule, arriving, incoming, run_rule
from snndeploy.comparison.side import FloatSide, IntegerSide
from snndeploy.errors import ModelError
from snndeploy.ir.interpret import run_reference, triples
from snndeploy.ir.synapses import Conv, Dense, OneToOne, Pool, sparse_from_dense
from snndeploy.nirgraph.rebuild import copy_node, rebuild_graph
from snndeploy.report.comparison import case_text, first_lines, print_comparison
from snndeploy.samples import check_samples
from snndeploy.semantics import parse_semantics

STEPS, N_IN = 10, 12
FIRST, SECOND = "n1", "n3"


def model(*, keep=0.5, keep_second=None, scale=1 / 16, low=-8, semantics="spikingjelly"):
    """Two layers of LIF whose weights lie on a grid of 1/16."""
    rng = np.random.default_rng(4)
    chain = chain_model(
        nir.Linear(weight=rng.integers(-6, 12, (10, N_IN)) * scale),
        lif((10,), keep=keep),
        nir.Linear(weight=rng.integers(low, 11, (9, 10)) * scale),
        lif((9,), keep=keep if keep_second is None else keep_second),
        nir.Linear(weight=rng.normal(0, 0.4, (4, 9))),
        shape=(N_IN,), out_shape=(4,), steps=STEPS,
    )  # fmt: skip
    return replace(chain, semantics=parse_semantics(semantics))


@pytest.fixture(scope="module")
def x():
    return (np.random.default_rng(9).random((STEPS, 20, N_IN)) < 0.35).astype(np.uint8)


def compiled(chain, **options):
    return snndeploy.compile(chain, "loihi2", **options)


def with_network(deployed, network):
    return replace(deployed, network=network)


def check(found, cause, layer, *, parts=None):
    """The first difference is in the layer, for the cause; nothing before it differs."""
    first = found.first
    assert not found.is_equal
    assert (first.layer, first.why.cause) == (layer, cause)
    if parts is not None:
        assert first.why.parts == parts
    table = {entry.name: entry for entry in found.layers}
    assert table[layer].first[0] == first.step
    for entry in found.layers:
        if entry.different:
            assert entry.first[0] >= first.step
        if entry.name == layer:
            assert cause in entry.causes
            break
        assert not entry.different
    assert cause in "\n".join(first_lines(first))


def test_an_exact_network_equals_its_model(x):
    found = snndeploy.compare(model(), compiled(model()), x)
    assert found.is_equal
    assert found.first is None
    assert [entry.name for entry in found.layers] == [FIRST, SECOND]
    assert all(0 < entry.spikes_a < entry.cells for entry in found.layers)
    assert found.same_decisions == found.n_samples == 20


def test_a_tie_at_the_threshold(x):
    strict = replace(model(), semantics=parse_semantics("spikingjelly,compare=gt"))
    found = snndeploy.compare(model(), strict, x)
    check(found, "tie at threshold", FIRST, parts=("compare",))
    assert found.first.why.v_a == 1.0
    assert (found.first.sent_a, found.first.sent_b) == (1, 0)


@pytest.mark.parametrize("reset", ["subtract", "subtract-delayed", "none"])
def test_another_reset(x, reset):
    other = replace(model(), semantics=parse_semantics(f"spikingjelly,reset={reset}"))
    check(snndeploy.compare(model(), other, x), "reset order", FIRST, parts=("reset",))


def test_another_decay_in_the_second_layer(x):
    found = snndeploy.compare(model(), model(keep_second=0.8), x)
    check(found, "decay", SECOND, parts=("decays",))


def test_rounded_weights(x):
    rough = model(scale=0.0613)
    found = snndeploy.compare(rough, compiled(rough, weight_bits=3), x)
    assert found.first.layer == FIRST
    assert found.first.why.cause == "rounding"
    assert "weights" in found.first.why.parts
    second = next(entry for entry in found.layers if entry.name == SECOND)
    assert second.causes[FROM_BEFORE] > 0


def test_a_rounded_state():
    """An inexact leak: 0.9 is no multiple of 1/4096, and every step drops bits."""
    x = (np.random.default_rng(9).random((STEPS, 60, N_IN)) < 0.35).astype(np.uint8)
    fine = model(keep=0.9)
    found = snndeploy.compare(fine, compiled(fine), x)
    first, second = (set(entry.causes) for entry in found.layers)
    assert first == {"decay", "tie at threshold"}
    assert second <= {"decay", "rounding", "tie at threshold", FROM_BEFORE}
    assert {"decays", "whole states"} <= set(found.first.why.parts)


def test_a_delay_of_one_step(x):
    deployed = compiled(model())
    late = tuple(
        replace(p, delay=p.delay + 1) if p.target == SECOND else p
        for p in deployed.network.projections
    )
    found = snndeploy.compare(
        model(), with_network(deployed, replace(deployed.network, projections=late)), x
    )
    check(found, "delay", SECOND, parts=("lag",))


def test_a_potential_that_is_clipped(x):
    """Threshold and weights as large as the registers hold: what falls below -2^23 is lost."""
    strict = model(semantics="spikingjelly,compare=gt", low=-20)
    deployed = compiled(strict)
    target = deployed.network.population[SECOND]
    shift = 17 - int(target.params["vth"][0]).bit_length()
    larger = replace(target, params={**target.params, "vth": target.params["vth"] << shift})
    network = replace(
        deployed.network,
        populations=tuple(larger if p is target else p for p in deployed.network.populations),
        projections=tuple(
            replace(p, weight_exp=p.weight_exp + shift) if p.target == SECOND else p
            for p in deployed.network.projections
        ),
    )
    found = snndeploy.compare(strict, with_network(deployed, network), x)
    check(found, "saturation", SECOND, parts=("limits",))


def test_an_executor_that_answers_otherwise(x, monkeypatch):
    deployed = compiled(model())
    honest = IntegerSide.run

    def dishonest(self, rows):
        ran = honest(self, rows)
        ran.sent[SECOND][4, 3, 5] = 1 - ran.sent[SECOND][4, 3, 5]
        return ran

    monkeypatch.setattr(IntegerSide, "run", dishonest)
    found = snndeploy.compare(model(), deployed, x)
    check(found, "executor", SECOND)
    assert (found.first.step, found.first.sample, found.first.neuron) == (4, 3, 5)
    assert found.first.case is None


def test_another_readout_shows_in_the_decisions(x, capsys):
    chain = model()
    other = copy_node(chain.graph.nodes["n4"], weight=-np.asarray(chain.graph.nodes["n4"].weight))
    found = snndeploy.compare(
        chain, replace(chain, graph=rebuild_graph(chain.graph, {"n4": other})), x
    )
    assert found.fires_alike
    assert found.first is None
    assert found.same_decisions < found.n_samples
    assert not found.is_equal
    print_comparison(found, None)
    assert "DIFFERENT: every spike agrees, decisions do not" in capsys.readouterr().out


def test_every_cause_has_a_planted_defect():
    """The tests above, counted: a new cause needs one."""
    assert set(CAUSES) == {
        "tie at threshold", "delay", "reset order", "decay", "saturation", "rounding", "executor",
    }  # fmt: skip


def test_blocks_of_samples_change_nothing(x, monkeypatch):
    other = model(keep_second=0.8)
    whole = snndeploy.compare(model(), other, x)
    monkeypatch.setattr(comparing, "BLOCK_VALUES", 8 * STEPS * 19 * 3)
    parts = snndeploy.compare(model(), other, x)
    for one, many in zip(whole.layers, parts.layers, strict=True):
        assert (one.cells, one.different, one.first) == (many.cells, many.different, many.first)
    assert whole.first.step == parts.first.step
    assert whole.first.sample == parts.first.sample


def test_the_case_is_minimal_and_replays(x):
    found = snndeploy.compare(model(), model(keep_second=0.8), x)
    case = found.first.case
    assert case.answers[-1][0][0] == found.first.sent_a
    assert case.answers[-1][1][0] == found.first.sent_b
    record = json.loads(case_text(case))
    events = [event for name in record["events"] for event in record["events"][name]]
    full = int(x[: found.first.step + 1, found.first.sample].sum())
    assert 0 < len(events) <= full
    for side in ("a", "b"):  # the file alone, replayed
        rule = record[side]
        arrived = np.zeros(len(record["steps"]))
        for arrival in rule["arrivals"]:
            for step, index, value in record["events"][arrival["source"]]:
                if step + arrival["lag"] < len(arrived):
                    arrived[step + arrival["lag"]] += arrival["weights"][str(index)] * value
        numbers = {name: rule[name] for name in ("bias", "keep_u", "keep_v", "threshold", "drop")}
        again = Rule(arrivals=(), compare=rule["compare"], reset=rule["reset"], **numbers)
        out, _ = run_rule(again, arrived)
        assert out.tolist() == [step[side]["sent"] for step in record["steps"]]


def test_layers_are_matched_by_order_where_names_differ(x):
    chain = model()
    renamed = {name: f"layer.{name}" for name in chain.graph.nodes}
    graph = nir.NIRGraph(
        nodes={renamed[name]: node for name, node in chain.graph.nodes.items()},
        edges=[(renamed[a], renamed[b]) for a, b in chain.graph.edges],
        type_check=False,
    )
    other = replace(
        chain,
        graph=graph,
        inputs=tuple(replace(p, name=renamed[p.name]) for p in chain.inputs),
        outputs=tuple(replace(p, name=renamed[p.name]) for p in chain.outputs),
    )
    samples = check_samples({"input": x}, {"input": (N_IN,)})
    sides = [
        FloatSide(label="a", model=chain, samples=samples, steps=STEPS),
        FloatSide(
            label="b", model=other, steps=STEPS,
            samples=check_samples({"layer.input": x}, {"layer.input": (N_IN,)}),
        ),
    ]  # fmt: skip
    found = comparing.compare(*sides, samples)
    assert found.is_equal
    assert [(entry.name, entry.name_b) for entry in found.layers] == [
        (FIRST, f"layer.{FIRST}"), (SECOND, f"layer.{SECOND}"),
    ]  # fmt: skip


def test_other_networks_are_refused(x):
    wide = chain_model(
        nir.Linear(weight=np.ones((7, N_IN))),
        lif((7,), keep=0.5),
        nir.Linear(weight=np.ones((4, 7))),
        shape=(N_IN,), out_shape=(4,), steps=STEPS,
    )  # fmt: skip
    with pytest.raises(ModelError, match="E1461"):
        snndeploy.compare(model(), wide, x)


def test_graded_inputs_are_compared_in_one_unit():
    rng = np.random.default_rng(2)
    chain = chain_model(
        conv(rng.normal(0, 0.3, (3, 1, 3, 3)), (6, 6), padding=1),
        lif((3, 6, 6), keep=0.5),
        pool(nir.AvgPool2d, 2),
        conv(rng.normal(0, 0.9, (4, 3, 3, 3)), (3, 3), padding=1),
        lif((4, 3, 3), keep=0.5),
        flatten((4, 3, 3)),
        nir.Linear(weight=rng.normal(0, 0.4, (4, 36))),
        shape=(1, 6, 6), out_shape=(4,), steps=6, values="real", low=0.0, high=1.0,
    )  # fmt: skip
    frames = rng.random((6, 12, 1, 6, 6))
    found = snndeploy.compare(chain, compiled(chain, weight_bits=4, input_bits=4), frames)
    assert found.first.why.cause in ("rounding", "tie at threshold")
    looked = sum(n for entry in found.layers for n in entry.causes.values())
    assert looked > 20
    assert not any("executor" in entry.causes for entry in found.layers)


@pytest.mark.parametrize("seed", range(4))
def test_rules_of_integer_populations_answer_as_the_reference(seed):
    """Every cell of a network, neuron by neuron, through its rule."""
    semantics = ("spikingjelly", "snntorch,reset=subtract-delayed", "sinabs", "nir,reset=subtract")
    chain = model(keep=0.7, scale=0.061, semantics=semantics[seed])
    if "sinabs" in semantics[seed]:
        chain = replace(chain, semantics=replace(chain.semantics, dt=1e-4))
    deployed = compiled(chain)
    x = (np.random.default_rng(seed).random((STEPS, 3, N_IN)) < 0.4).astype(np.uint8)
    samples = check_samples({"input": x}, {"input": (N_IN,)})
    side = IntegerSide(label="", deployed=deployed, samples=samples, backend="reference")
    sent = side.run(slice(0, 3)).sent
    for layer, shape in side.layers.items():
        for neuron in range(int(np.prod(shape))):
            rule = side.rule(layer, neuron, "gt")
            for sample in range(3):
                one = {name: values[:, sample] for name, values in sent.items()}
                out, _ = run_rule(rule, arriving(rule, one))
                assert out.tolist() == sent[layer][:, sample, neuron].tolist()


@pytest.mark.parametrize(
    "synapse",
    [
        Dense(weight=np.arange(-6, 6).reshape(3, 4)),
        sparse_from_dense(np.array([[0, 2, 0], [1, 0, -3]])),
        OneToOne(weight=np.array([3, -2, 5])),
        Pool(in_shape=(2, 4, 4), kernel=(2, 2), stride=(2, 2), padding=(1, 1), weight=3),
        Conv(
            weight=np.arange(-18, 18).reshape(4, 1, 3, 3), in_shape=(2, 5, 4), stride=(2, 1),
            padding=(1, 2), dilation=(1, 2), groups=2,
        ),
    ],
)  # fmt: skip
def test_incoming_synapses_are_those_of_the_reference(synapse):
    targets, sources, weights = triples(synapse)
    for neuron in range(synapse.n_out):
        listed = {}
        for source, weight in zip(*incoming(synapse, neuron), strict=True):
            if weight:
                listed[int(source)] = int(weight)
        row = targets == neuron
        assert listed == dict(zip(sources[row].tolist(), weights[row].tolist(), strict=True))


def test_the_reference_is_what_a_side_runs(x):
    deployed = compiled(model())
    samples = check_samples({"input": x}, {"input": (N_IN,)})
    side = IntegerSide(label="", deployed=deployed, samples=samples, backend="reference")
    inputs = {"input": x.astype(np.int64)}
    traces = run_reference(deployed.network, inputs, record=(SECOND,))
    assert np.array_equal(side.run(slice(0, 20)).sent[SECOND], traces[SECOND].spikes)
