"""How many channels go, which, and what is said when they cannot."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from chains import chain_model, conv, flatten, lif
from test_criteria import samples_of, small_model

import snndeploy
from snndeploy.compress.prune import n_weights, prune
from snndeploy.compress.prune_records import Budget
from snndeploy.compress.ratios import n_kept
from snndeploy.errors import UnsupportedError, UsageError
from snndeploy.frontends.checkpoint import load, write_model
from snndeploy.ir.program import Program, State, line
from snndeploy.nirgraph.interpret import run_float
from snndeploy.nirgraph.microcode import Microcode, Parameter
from snndeploy.samples import Samples
from tests.pruned import kept_of, on_grid, silenced


@pytest.mark.parametrize(
    ("n", "ratio", "kept"),
    [
        (64, 0.1, 57), (128, 0.3, 89), (128, 0.6, 51), (256, 0.3, 179), (256, 0.6, 102),
        (512, 0.6, 204), (10, 0.9, 1), (10, 0.7, 3), (3, 0.99, 1), (5, 0, 5), (100, 0.29, 71),
    ],
)  # fmt: skip
def test_kept_is_the_floor_of_what_the_decimal_ratio_leaves(n, ratio, kept):
    """Widths of QP-SNN's ResNet20 first; 10 (1 - 0.9) and 10 (1 - 0.7) are whole numbers."""
    assert n_kept(n, ratio) == kept


def test_one_ratio_is_for_every_layer_and_the_report_says_what_was_left():
    model = small_model()
    found = prune(model, samples_of(model, 8), ratio=0.5)
    assert [(g.name, g.before, g.after) for g in found.report.groups] == [
        ("n0", 5, 2), ("n3", 7, 3),
    ]  # fmt: skip
    assert found.report.left == (("n5", "is read by the output output"),)
    assert [(layer.channels_after, layer.weights_after) for layer in found.report.layers] == [
        (2, 18), (3, 3 * 72), (3, 9),
    ]  # fmt: skip
    assert found.report.weights_before == 45 + 7 * 180 + 21
    assert [(note.kind, note.node) for note in found.model.notes] == [
        ("pruned", "n0"), ("pruned", "n3"),
    ]  # fmt: skip
    assert model.graph.nodes["n0"].weight.shape[0] == 5
    assert n_weights(found.model) == found.report.weights_after


def test_the_best_channels_stay_and_a_pruned_model_is_saved_and_loaded(tmp_path):
    model = small_model()
    found = prune(model, None, criterion="l1", ratio={"n1": 0.4})
    size = np.abs(model.graph.nodes["n0"].weight).sum(axis=(1, 2, 3))
    (group, untouched) = found.report.groups
    assert group.kept == tuple(sorted(np.argsort(-size)[:3].tolist()))
    assert (group.lowest, group.highest) == pytest.approx((size.min(), size.max()))
    assert untouched.after == untouched.before
    write_model(found.model, tmp_path / "small.pt")
    again = load(tmp_path / "small.pt")
    x = samples_of(model, 3).x
    assert np.array_equal(run_float(again, x)["output"], run_float(found.model, x)["output"])
    assert again.notes[-1].text == "5 -> 3 channels of n0, the best by l1"


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_channels_that_stay_keep_their_integers_in_a_quantized_model(granularity):
    quantized = snndeploy.quantize(small_model(), 4, granularity=granularity).model
    found = prune(quantized, None, criterion="l1", ratio=0.5)
    first, second = (list(group.kept) for group in found.report.groups)
    before, after = (snndeploy.compile(m).network.projections for m in (quantized, found.model))
    pixels = np.arange(5 * 36).reshape(5, 36)[first].ravel()
    chosen = (np.ix_(first), np.ix_(second, pixels), np.ix_(range(3), second))
    for whole, part, rows in zip(before, after, chosen, strict=True):
        want, got = (p.synapse.weight * 2.0**p.weight_exp for p in (whole, part))
        assert np.array_equal(got, want[rows])
        assert got.any()


def test_the_same_samples_keep_the_same_channels_and_ties_are_counted():
    weight = np.zeros((6, 1, 1, 1))
    weight[:3] = 2.0  # three channels that do the same, three that do nothing
    model = chain_model(
        conv(weight, (4, 4)), lif((6, 4, 4), keep=0.5), flatten((6, 4, 4)),
        snndeploy_linear(2, 96), shape=(1, 4, 4), out_shape=(2,), steps=3,
    )  # fmt: skip
    samples = samples_of(model, 6)
    first, second = (prune(model, samples, ratio=0.7).report.groups[0] for _ in range(2))
    assert first == second
    assert first.kept == (0,)  # of equals the lower index
    assert first.ties == 3
    assert prune(model, samples, ratio=0.5).report.groups[0].ties == 0


def snndeploy_linear(out, into):
    import nir

    return nir.Linear(weight=np.random.default_rng(0).normal(0, 1, (out, into)))


def test_accuracies_are_those_of_the_float_run():
    model = small_model()
    samples = samples_of(model, 30)
    label = run_float(model, samples.x)["output"].sum(axis=0).argmax(axis=1)
    label[:3] = (label[:3] + 1) % 3
    samples = Samples(x=samples.x, label=label)
    found = prune(model, samples, ratio=0.6).report
    assert found.accuracy_before == pytest.approx(0.9)
    pruned = snndeploy.prune(model, samples, ratio=0.6).model
    assert snndeploy.run(pruned, samples).accuracy == found.accuracy_after
    assert found.n_judged == 30
    assert prune(model, samples_of(model, 4), ratio=0.6).report.accuracy_before is None


def test_a_budget_of_weights_is_met_by_the_smallest_ratio():
    model = small_model()
    found = prune(model, samples_of(model, 4), budget=Budget(cost="weights", limit=0.5)).report
    assert found.budget.limit == 0.5 * found.weights_before
    assert found.weights_after <= found.budget.limit
    less = prune(model, samples_of(model, 4), ratio=found.budget.ratio - 0.001).report
    assert less.weights_after > found.budget.limit
    absolute = prune(model, samples_of(model, 4), budget=Budget(cost="weights", limit=700)).report
    assert absolute.weights_after <= 700
    whole = prune(model, samples_of(model, 4), budget=Budget(cost="weights", limit=1)).report
    assert whole.budget.ratio == 0
    assert whole.weights_after == whole.weights_before


@pytest.mark.parametrize(
    ("cost", "limit"), [("synaptic_ops", 0.5), ("energy_j", None), ("cores", None)]
)
def test_a_budget_on_a_chip_is_held_by_the_compiled_network(cost, limit):
    model = small_model()
    samples = samples_of(model, 8)

    def measure(model):
        compiled = snndeploy.compile(model, "loihi")
        if cost == "cores":
            return len(compiled.placement.slices)
        measured = snndeploy.estimate(compiled, samples)
        if cost == "energy_j":
            return measured.dynamic_j[1]
        return sum(layer.synaptic_ops_per_sample for layer in measured.layers)

    before = measure(model)
    limit = limit or before * (1 if cost == "cores" else 0.6)
    found = snndeploy.prune(model, samples, budget={cost: limit})
    after = measure(found.model)
    assert found.report.budget.before == pytest.approx(before)
    assert found.report.budget.after == pytest.approx(after)
    assert after <= found.report.budget.limit
    assert found.report.budget.limit == pytest.approx(limit if limit > 1 or cost == "energy_j"
                                                      else limit * before)  # fmt: skip


def test_a_network_that_does_not_fit_is_pruned_until_it_does():
    """The cost of what does not fit is infinite; here 500 weights are all that fits."""
    model = small_model()
    samples = samples_of(model, 4)
    found = prune(
        model, samples, budget=Budget(cost="cores", limit=5),
        cost=lambda m: inf if n_weights(m) > 500 else 1.0,
    )  # fmt: skip
    assert found.report.weights_after <= 500
    assert found.report.budget.before == inf
    with pytest.raises(UsageError, match=r"E5093.*does not fit its chip"):
        prune(
            model, samples, budget=Budget(cost="synaptic_ops", limit=0.5), cost=lambda _: inf
        )  # fmt: skip


REFUSALS = {
    "E5090] --ratio: neither": {},
    "E5090] --ratio: a ratio and": {"ratio": 0.5, "budget": Budget(cost="weights", limit=0.5)},
    "E5090] --ratio: a ratio of 1;": {"ratio": 1.0},
    "E5090] n0: a ratio of -0.1": {"ratio": {"n0": -0.1}},
    "E5090] --ratio: a ratio of '0.5'": {"ratio": "0.5"},
    "E5090] n0: a ratio of None": {"ratio": {"n0": None}},
    "E5090] --criterion: unknown criterion 'size'": {"ratio": 0.5, "criterion": "size"},
    "E5090] --n-scored: 0 samples to score": {"ratio": 0.5, "n_scored": 0},
    "E5090] --seed: a seed of -1": {"ratio": 0.5, "criterion": "random", "seed": -1},
    "E5091] --ratio: there is no layer 'n00'; help: did you mean 'n0'": {"ratio": {"n00": 0.5}},
    "E5092] n1: 0.4, but 0.3 of n0": {"ratio": {"n0": 0.3, "n1": 0.4}},
    "E5093] --budget: 10 weights cannot be reached": {
        "budget": Budget(cost="weights", limit=10)
    },
}  # fmt: skip


@pytest.mark.parametrize("line", REFUSALS)
def test_what_cannot_be_used_is_refused(line):
    model = small_model()
    with pytest.raises(UsageError) as error:
        prune(model, samples_of(model, 2), **REFUSALS[line])
    assert line in error.value.line()


def test_a_budget_says_what_it_is_of():
    with pytest.raises(UsageError, match=r"E5094.*unknown cost 'joules'.*weights"):
        Budget(cost="joules", limit=1)
    with pytest.raises(UsageError, match=r"E5094.*a limit of 0"):
        Budget(cost="weights", limit=0)
    with pytest.raises(UsageError, match=r"E5094.*2 limits"):
        snndeploy.prune(small_model(), budget={"weights": 1, "cores": 2})


def test_samples_are_asked_for_where_they_are_needed():
    with pytest.raises(UsageError, match=r"E5095.*criterion svs scores"):
        prune(small_model(), None, ratio=0.5)
    with pytest.raises(UsageError, match=r"E5095.*energy_j are counted on samples"):
        snndeploy.prune(small_model(), criterion="l1", budget={"energy_j": 1e-6})


def test_what_cannot_be_pruned_is_named():
    model = small_model()
    with pytest.raises(UnsupportedError, match=r"E2320.*n5.*is read by the output output"):
        prune(model, None, criterion="l1", ratio={"n5": 0.5})
    one = chain_model(snndeploy_linear(3, 4), lif((3,), keep=0.5), shape=(4,), out_shape=(3,))
    with pytest.raises(UnsupportedError, match=r"E2321.*n0 is read by the output output"):
        prune(one, None, criterion="l1", ratio=0.5)


def test_a_layer_without_a_neuron_is_left_by_what_spikes_say():
    model = chain_model(
        snndeploy_linear(6, 4), snndeploy_linear(5, 6), lif((5,), keep=0.5),
        snndeploy_linear(2, 5), shape=(4,), out_shape=(2,), steps=3,
    )  # fmt: skip
    found = prune(replace(model), samples_of(model, 4), ratio=0.5).report
    assert found.left[0] == ("n0", "has no spiking neuron to be measured at")
    assert [group.name for group in found.groups] == ["n1"]
    assert [g.name for g in prune(model, None, criterion="l1", ratio=0.5).report.groups] == [
        "n0", "n1",
    ]  # fmt: skip


def test_a_neuron_of_ones_own_is_scored_by_its_spikes_and_not_by_its_potential():
    program = Program(
        name="own", states=(State(name="v", bits=24),), params=("vth",),
        body=(
            line("x", "shift", "a", 6), line("v", "add", "v", "x"),
            line("v", "clip", "v", -(1 << 22), 1 << 22), line("s", "gt", "v", "vth"),
            line("v", "select", "s", 0, "v"),
        ),
        emits="s",
    )  # fmt: skip
    thresholds = np.linspace(0.5, 2, 6)
    own = Microcode(program=program, parameters={"vth": Parameter(thresholds, "level")})
    model = chain_model(
        snndeploy_linear(6, 5), own, snndeploy_linear(3, 6), shape=(5,), out_shape=(3,), steps=6
    )  # fmt: skip
    model = on_grid(model)
    samples = samples_of(model, 20)
    found = prune(model, samples, ratio=0.5)
    (group,) = found.report.groups
    assert group.after == 3
    assert 0 < group.highest <= 6
    kept = list(group.kept)
    assert found.model.graph.nodes["n1"].parameters["vth"].value.tolist() == (
        thresholds[kept].tolist()
    )
    want = run_float(silenced(model, kept_of(found.report)), samples.x)["output"]
    assert np.array_equal(run_float(found.model, samples.x)["output"], want)
    with pytest.raises(UnsupportedError, match=r"E2321.*n1, whose potential is not known"):
        prune(model, samples, criterion="sca", ratio=0.5)
